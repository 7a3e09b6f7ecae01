import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mutual_info_score

from llm_mri_store.analysis.contrast_cells import read_cells
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.information import label_information
from llm_mri_store.analysis.information_counts import (
    cell_maps,
    entropy_bits,
    miller_madow_bias,
    mutual_information,
)
from llm_mri_store.analysis.information_tables import LAYERS_SCHEMA, STEPS_SCHEMA, peak_candidates
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.store.catalogue import find_reduction, find_scan
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.queries import named_query
from llm_mri_store.store.selection import select
from tests.analysis.contrasts import halves, labelled, random_codes, smallest
from tests.store.stores import random_store

FEW = ContrastSpec(n_permutations=199)


def column(table, name):
    return np.array([np.nan if value is None else value for value in table[name].to_pylist()])


def drawn(seed=0, *, n=200, n_layers=4, grid=3, **options):
    codes = random_codes(np.random.default_rng(seed), n=n, n_layers=n_layers, grid=grid)
    return labelled(codes, options.pop("labels", halves(n)), grid=grid, **options)


def peaked(seed=0, *, n=400, peak=3, n_layers=6):
    """Cells tell the label most at one layer, and less the farther from it."""
    rng = np.random.default_rng(seed)
    labels = halves(n)
    codes = np.stack(
        [
            np.where(
                rng.random(n) < 0.9 ** (1 + 4 * abs(layer - peak)),
                rng.integers(0, 8, n) + 8 * labels,
                rng.integers(0, 16, n),
            )
            for layer in range(n_layers)
        ]
    )
    return labelled(codes, labels, grid=4)


codes_and_labels = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.tuples(st.just(seed), st.integers(1, 40), st.integers(1, 5), st.integers(1, 9))
)


@settings(deadline=None)
@given(codes_and_labels)
def test_information_is_that_of_scikit_learn(drawn_):
    seed, n, n_labels, n_cells = drawn_
    rng = np.random.default_rng(seed)
    codes, labels = rng.integers(0, n_cells, (3, n)), rng.integers(0, n_labels, (n, 4))
    found = mutual_information(cell_maps(codes), labels, n_labels=n_labels)
    for layer in range(3):
        for column_ in range(4):
            theirs = mutual_info_score(labels[:, column_], codes[layer]) / math.log(2)
            assert found[layer, column_] == pytest.approx(max(theirs, 0), abs=1e-9)
            assert found[layer, column_] <= entropy_bits(labels[:, column_]) + 1e-9


@settings(deadline=None)
@given(codes_and_labels)
def test_samples_that_are_left_out_do_not_count(drawn_):
    seed, n, n_labels, n_cells = drawn_
    rng = np.random.default_rng(seed)
    codes, labels = rng.integers(0, n_cells, n), rng.integers(0, n_labels, n)
    kept = rng.random(n) < 0.7
    kept[0] = True
    found = mutual_information(
        cell_maps(codes[None]), np.where(kept, labels, n_labels)[:, None], n_labels=n_labels
    )
    alone = mutual_information(cell_maps(codes[None, kept]), labels[kept][:, None], n_labels=n_labels)
    assert found[0, 0] == pytest.approx(alone[0, 0], abs=1e-9)


def test_the_numbers_of_layers_and_steps_are_those_of_the_queries(tmp_path):
    store = random_store(tmp_path / "store")
    scan = find_scan(store, "big")
    found = label_information(read_cells(scan, find_reduction(scan, "pca-2")), spec=FEW)
    names = ["n", "information", "bias", "information_corrected"]
    for table, query, more in (
        (found.layers, "layer_information", ["layer", "n_cells"]),
        (found.steps, "step_information", ["layer", "next_layer", "n_steps"]),
    ):
        rows = fetch(select(store), named_query(query).sql)
        for name in names + more:
            assert table[name].to_pylist() == pytest.approx(rows[name].to_pylist(), abs=1e-9)
        assert found.label_entropy == pytest.approx(rows["label_entropy"][0].as_py())


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_cell_and_what_the_next_adds_are_what_both_tell(seed):
    """The chain rule, with scikit-learn on pairs of cells."""
    rng = np.random.default_rng(seed)
    codes, labels = rng.integers(0, 4, (3, 30)), rng.integers(0, 3, 30)
    cells = labelled(codes, labels, grid=2, names=("a", "b", "c"))
    found = label_information(cells, spec=ContrastSpec(n_permutations=19))
    kept = np.isin(cells.label_codes, [cells.labels.index(name) for name in found.labels])
    for row in found.steps.to_pylist():
        here, there = codes[row["layer"]][kept], codes[row["next_layer"]][kept]
        both = mutual_info_score(labels[kept], here * 4 + there) / math.log(2)
        alone = found.layers["information"][row["layer"]].as_py()
        assert alone + row["information"] == pytest.approx(both, abs=1e-9)


def test_tables_have_the_columns_they_say():
    found = label_information(drawn(), spec=FEW)
    assert found.layers.schema == LAYERS_SCHEMA
    assert found.steps.schema == STEPS_SCHEMA
    assert (found.layers.num_rows, found.steps.num_rows) == (4, 3)
    assert (found.labels, found.n_samples) == (("a", "b"), (100, 100))


def test_the_peak_is_found_where_it_was_put():
    found = label_information(peaked(), spec=FEW)
    assert found.layers["is_peak"].to_pylist() == [False, False, False, True, False, False]
    assert found.layers["may_be_peak"].to_pylist() == [False, False, False, True, False, False]
    assert found.layers["p_fwe"][3].as_py() == 1 / 200
    text = " ".join(found.sentences)
    assert "most at layer 3" in text
    assert "No other layer may be the peak" in text


def test_the_confidence_set_holds_the_peak_in_95_of_100_where_all_are_alike():
    """Twelve equal layers: the first is the peak as much as any, and is to be in the set."""
    held = 0
    for seed in range(80):
        rng = np.random.default_rng(seed)
        labels = halves(120)
        codes = np.where(rng.random((12, 120)) < 0.5, rng.integers(0, 4, (12, 120)), labels * 3)
        found = label_information(labelled(codes, labels, grid=2), spec=ContrastSpec(n_permutations=19))
        held += found.layers["may_be_peak"].to_pylist()[0]
    assert held >= stats.binom.ppf(0.0005, 80, 0.95)


def test_candidates_of_the_peak_by_hand():
    parts = np.array([[1.0, 1.1, 0.9, 1.0], [0.5, 0.6, 0.4, 0.5], [0.9, 0.7, 1.1, 0.9]])
    # The first two rise and fall together, so the second is below for certain; the third is not.
    assert peak_candidates(np.array([1.0, 0.5, 0.9]), parts) == [True, False, True]
    assert peak_candidates(np.array([1.0, 1.0]), np.ones((2, 6))) == [True, True]
    assert peak_candidates(np.array([1.0, 0.5]), None) == [None, None]
    assert peak_candidates(np.array([1.0]), parts[:1]) == [True]


def test_labels_that_cells_do_not_tell_are_seldom_found():
    hits = {"layers": 0, "steps": 0, "band": 0}
    for seed in range(60):
        labels = np.random.default_rng(seed).permutation(np.repeat([0, 1, 2], 40))
        cells = drawn(seed, n=120, labels=labels, names=("a", "b", "c"))
        found = label_information(cells, spec=ContrastSpec(n_permutations=99))
        hits["layers"] += smallest(found.layers, "p_fwe") <= 0.05
        hits["steps"] += smallest(found.steps, "p_fwe") <= 0.05
        hits["band"] += bool((column(found.layers, "information") > column(found.layers, "band_fwe")).any())
    assert max(hits.values()) <= stats.binom.ppf(0.9995, 60, 0.05)
    assert hits["band"] == pytest.approx(hits["layers"], abs=1)


def test_chance_is_the_mean_over_relabelings_and_excess_what_is_left():
    found = label_information(drawn(labels=np.random.default_rng(1).permutation(halves(200))), spec=FEW)
    for table in (found.layers, found.steps):
        assert column(table, "excess") == pytest.approx(
            column(table, "information") - column(table, "by_chance")
        )
        assert column(table, "excess_share") == pytest.approx(column(table, "excess") / found.label_entropy)
        assert (column(table, "by_chance_low") <= column(table, "by_chance")).all()
        assert (column(table, "by_chance_high") <= column(table, "band_fwe")).all()
        assert np.abs(column(table, "excess")).max() < 0.1
        assert (column(table, "excess_low") <= column(table, "excess")).all()
        assert (column(table, "excess") <= column(table, "excess_high")).all()


@pytest.mark.parametrize(("n_cells", "n"), [(60, 120), (60, 300), (12, 300)])
def test_the_truth_lies_between_excess_and_miller_and_madow(n_cells, n):
    """The claim of ``label_information``, with cells whose chances are known."""
    rng = np.random.default_rng(0)
    chances = (rng.dirichlet(np.ones(n_cells), size=2) + rng.dirichlet(np.ones(n_cells))) / 2
    truth = (chances / 2 * np.log2(chances / chances.mean(axis=0))).sum()
    labels, low, high = halves(n), [], []
    for _ in range(40):
        codes = np.concatenate([rng.choice(n_cells, n // 2, p=row) for row in chances])
        maps = cell_maps(codes[None])
        value = mutual_information(maps, labels[:, None], n_labels=2)[0, 0]
        shuffled = np.stack([rng.permutation(labels) for _ in range(60)], axis=1)
        low.append(value - mutual_information(maps, shuffled, n_labels=2).mean())
        high.append(value - miller_madow_bias(maps, labels)[0])
    assert np.mean(low) - 0.01 <= truth <= np.mean(high) + 0.01


def test_the_next_cell_adds_nothing_where_it_repeats_the_cell_and_much_where_it_is_new():
    rng = np.random.default_rng(0)
    labels = halves(200)
    first = rng.integers(0, 4, 200)
    cells = labelled(np.stack([first, first, (first + 2 * labels) % 4]), labels, grid=2)
    found = label_information(cells, spec=FEW)
    same, new = found.steps.to_pylist()
    assert same["information"] == pytest.approx(0)
    assert same["p"] == 1.0
    assert new["information"] == pytest.approx(1 - found.layers["information"][0].as_py(), abs=1e-9)
    assert new["p_fwe"] == 1 / 200


def test_steps_keep_what_the_cell_tells_in_their_null():
    """The cell tells all there is, so nothing can be exchanged within it, and nothing is made up."""
    labels = halves(80)
    codes = np.stack([labels * 3, np.random.default_rng(0).integers(0, 4, 80)])
    found = label_information(labelled(codes, labels, grid=2), spec=FEW)
    row = found.steps.to_pylist()[0]
    assert row["information"] == pytest.approx(0)
    assert (row["p"], row["by_chance"], row["excess"]) == (None, None, 0.0)
    assert row["note"] == "labels cannot be exchanged among samples of one cell, so there is no test"


def test_a_covariate_that_cells_follow_is_part_of_chance():
    rng = np.random.default_rng(0)
    length = rng.integers(0, 3, 600)
    labels = (rng.random(600) < np.array([0.1, 0.5, 0.9])[length]).astype(int)
    codes = (length + rng.integers(0, 2, (3, 600))) % 4
    cells = labelled(codes, labels, grid=2, n_tokens=length)
    plain = label_information(cells, spec=FEW)
    held = label_information(cells, spec=ContrastSpec(n_permutations=199, strata=("n_tokens",)))
    assert column(plain.layers, "information").tolist() == column(held.layers, "information").tolist()
    assert column(plain.layers, "excess").min() > 0.1
    assert np.abs(column(held.layers, "excess")).max() < 0.04
    assert smallest(held.layers, "p_fwe") > 0.05
    assert "What n_tokens alone tells is in by_chance" in " ".join(held.sentences)


def test_a_degenerate_layer_tells_nothing_and_says_why():
    found = label_information(drawn(degenerate=[1]), spec=FEW)
    row = found.layers.to_pylist()[1]
    assert (row["information"], row["excess"], row["n_cells"]) == (0.0, 0.0, 1)
    assert (row["p"], row["p_fwe"], row["by_chance"], row["band_fwe"]) == (None,) * 4
    assert (row["is_peak"], row["may_be_peak"]) == (False, False)
    assert row["note"] == "degenerate: one cell, which tells nothing"
    into, out = found.steps.to_pylist()[:2]
    assert (into["information"], into["p"]) == (0.0, None)
    assert into["note"] == "the next layer is degenerate: one cell, which tells nothing"
    # From a layer that tells nothing on, the next one adds all it tells.
    assert out["information"] == pytest.approx(found.layers["information"][2].as_py())
    assert out["note"] is None
    assert "Degenerate, so that the cell tells nothing: layer 1." in found.sentences


def test_where_all_layers_are_degenerate_nothing_is_tested():
    found = label_information(drawn(n_layers=2, degenerate=[0, 1]), spec=FEW)
    assert found.layers["information"].to_pylist() == [0.0, 0.0]
    assert found.layers["p"].null_count == found.layers["p_fwe"].null_count == 2
    assert not any(found.layers["is_peak"].to_pylist())
    assert "No layer varies, so nothing was tested." in found.sentences


def test_one_layer_has_no_steps():
    found = label_information(drawn(n_layers=1), spec=FEW)
    assert (found.layers.num_rows, found.steps.num_rows) == (1, 0)
    assert found.layers["is_peak"].to_pylist() == [True]


def test_one_label_against_the_rest_is_two():
    cells = drawn(n=240, labels=np.arange(240) % 3, names=("a", "b", "c"))
    found = label_information(cells, ["a"], rest=True, spec=FEW)
    assert (found.labels, found.n_samples) == (("'a'", "rest"), (80, 160))
    assert found.label_entropy == pytest.approx(stats.entropy([1, 2], base=2))
    two = label_information(cells, ["a", "c"], spec=FEW)
    assert (two.labels, two.n_samples, two.label_entropy) == (("a", "c"), (80, 80), 1.0)


def test_few_samples_have_no_intervals_and_rare_labels_are_left_out():
    labels = np.repeat([0, 1, 2], [20, 5, 1])
    found = label_information(drawn(n=26, labels=labels, names=("a", "b", "c")), spec=FEW)
    assert (found.labels, found.left_out, found.n_parts) == (("a", "b"), ("c",), 0)
    assert found.layers["excess_low"].null_count == 4
    assert found.layers["may_be_peak"].null_count == 4
    text = " ".join(found.sentences)
    assert "Left out, with fewer than 2 samples: c." in text
    assert "There are no intervals" in text


def test_groups_of_one_label_move_as_a_whole_and_steps_have_no_test():
    ways = np.random.default_rng(0).integers(0, 4, (3, 16)).repeat(10, axis=1)
    cells = labelled(ways, np.repeat(np.arange(16) >= 8, 10), grid=2, author=np.repeat(np.arange(16), 10))
    alone = label_information(cells, spec=FEW)
    grouped = label_information(cells, spec=ContrastSpec(n_permutations=199, groups="author"))
    assert smallest(alone.layers, "p_fwe") == 1 / 200
    assert smallest(grouped.layers, "p_fwe") > 0.05
    assert grouped.steps["p"].null_count == 2
    assert set(grouped.steps["note"].to_pylist()) == {
        "labels cannot be exchanged among samples of one cell, so there is no test"
    }


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(UnknownName, match="label 'c'"):
        label_information(drawn(), ["a", "c"], spec=FEW)
    with pytest.raises(InvalidInput, match="to compare labels takes at least 2"):
        label_information(drawn(), ["a"], spec=FEW)
    with pytest.raises(InvalidInput, match="two-sided"):
        label_information(drawn(), spec=ContrastSpec(alternative="greater"))
    with pytest.raises(InvalidInput, match="a side needs at least one label"):
        label_information(drawn(), rest=True, spec=FEW)


def test_the_same_seed_gives_the_same_however_it_is_cut(monkeypatch):
    told = []
    whole = label_information(peaked(), spec=FEW, progress=told.append)
    monkeypatch.setattr("llm_mri_store.analysis.relabelings._ENTRIES_AT_ONCE", 2000)
    parts = label_information(peaked(), spec=FEW)
    assert whole.layers.equals(parts.layers)
    assert whole.steps.equals(parts.steps)
    assert told[-1].job == "information"
