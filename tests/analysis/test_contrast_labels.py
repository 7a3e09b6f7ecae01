import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llm_mri_store.analysis.contrast import contrast
from llm_mri_store.analysis.contrast_labels import OMNIBUS_SCHEMA, compare_labels
from llm_mri_store.analysis.contrast_pairs import PAIR_CELLS_SCHEMA, PAIRS_SCHEMA, compare_pairs, holm
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.permutation_design import plan_exchange
from llm_mri_store.analysis.permutation_maps import make_maps
from llm_mri_store.errors import InvalidInput, UnknownName
from tests.analysis.contrasts import labelled, random_codes, smallest

FEW = ContrastSpec(n_permutations=199)


def of_four(seed=0, *, n=400, odds=6.0):
    """Four labels; of the third, a full cell of layer 1 holds more."""
    rng = np.random.default_rng(seed)
    codes = random_codes(rng, n=n, n_layers=3, grid=5)
    cell = int(np.bincount(codes[1]).argmax())
    labels = rng.integers(0, 4, size=n)
    moved = (codes[1] == cell) & (rng.random(n) < 1 - 1 / odds)
    labels[moved] = 2
    return labelled(codes, labels, grid=5, names=("a", "b", "c", "d"), source=np.arange(n) % 7), cell


@given(st.integers(0, 2**32 - 1), st.integers(2, 4))
@settings(max_examples=20, deadline=None)
def test_with_z_for_the_score_the_statistic_is_pearsons_chi_square(seed, n_labels):
    rng = np.random.default_rng(seed)
    labels = np.append(np.arange(n_labels), rng.integers(0, n_labels, size=40))
    n = len(labels)
    codes = rng.integers(0, 4, size=n)
    exchange = plan_exchange(labels, strata=np.zeros(n, dtype=int), n_labels=n_labels)
    maps = make_maps(exchange, codes[None], grid=2)
    own = exchange.unit_labels[None]
    weights = 1 - np.bincount(labels) / n
    for_each = range(n_labels)
    from_z = sum(weights[label] * maps.standardised(own, label=label)[0] ** 2 for label in for_each)
    from_score = sum(weights[label] * maps.scores(own, label=label)[0] ** 2 for label in for_each)
    for cell in np.flatnonzero(maps.is_tested):
        inside = np.bincount(labels[codes == cell], minlength=n_labels)
        table = np.stack([inside, np.bincount(labels) - inside])
        expected = stats.chi2_contingency(table, correction=False).statistic * (n - 1) / n
        assert from_z[cell] == pytest.approx(expected)
    names = tuple("abcd"[:n_labels])
    if np.bincount(labels).min() > 1:
        cells = labelled(codes[None], labels, grid=2, names=names)
        found = compare_labels(cells, spec=ContrastSpec(n_permutations=19))
        statistics = [value or 0 for value in found.cells["statistic"].to_pylist()]
        assert statistics == pytest.approx(from_score.tolist())


def test_of_two_labels_it_is_the_contrast():
    rng = np.random.default_rng(0)
    codes = random_codes(rng, n=70, n_layers=2, grid=3)
    cells = labelled(codes, np.arange(70) % 5 == 0, grid=3)
    both, one = compare_labels(cells, spec=FEW), contrast(cells, "a", "b", spec=FEW)
    scores = np.array([value or 0 for value in one.cells["score"].to_pylist()])
    statistics = np.array([value or 0 for value in both.cells["statistic"].to_pylist()])
    np.testing.assert_allclose(statistics, scores**2, atol=1e-9)
    assert both.cells["p_fwe"].to_pylist() == pytest.approx(one.cells["p_fwe"].to_pylist(), nan_ok=True)


def test_a_label_that_differs_is_found_at_its_cell_and_stands_out():
    cells, cell = of_four()
    found = compare_labels(cells, spec=FEW)
    assert found.cells.schema == OMNIBUS_SCHEMA
    best = found.cells.sort_by([("p_fwe", "ascending"), ("statistic", "descending")]).to_pylist()[0]
    assert (best["layer"], best["cell_x"] * 5 + best["cell_y"], best["p_fwe"]) == (1, cell, 1 / 200)
    assert best["label"] == "c"
    assert best["label_score"] > 4
    inside = (cells.codes[1] == cell) & (cells.label_codes == 2)
    assert best["label_share"] == pytest.approx(inside.sum() / (cells.label_codes == 2).sum())


def test_its_mean_over_relabelings_is_the_number_of_labels_less_one():
    rng = np.random.default_rng(0)
    codes = np.arange(300)[None] % 4
    cells = labelled(codes, rng.permutation(np.arange(300) % 3), grid=2, names=("a", "b", "c"))
    statistics = [
        compare_labels(
            labelled(codes, rng.permutation(cells.label_codes), grid=2, names=("a", "b", "c")),
            spec=ContrastSpec(n_permutations=19),
        ).cells["statistic"].to_pylist()
        for _ in range(100)
    ]  # fmt: skip
    assert np.mean(statistics) == pytest.approx(2, abs=0.4)


def test_strata_and_groups_hold_for_several_labels_too():
    cells, _ = of_four()
    found = compare_labels(cells, spec=ContrastSpec(n_permutations=99, strata=("source",), n_bins=7))
    assert found.facts.n_strata == 7
    assert smallest(found.cells, "p_fwe") == 1 / 100
    grouped = compare_labels(cells, spec=ContrastSpec(n_permutations=99, groups="source"))
    assert grouped.facts.n_split_groups == 7


def test_labels_of_one_sample_are_left_out_and_named():
    codes = random_codes(np.random.default_rng(0), n=41)
    cells = labelled(codes, [0, 1] * 20 + [2], grid=4, names=("a", "b", "lone"))
    found = compare_labels(cells, spec=FEW)
    assert (found.labels, found.left_out) == (("a", "b"), ("lone",))
    assert "Left out, with fewer than 2 samples: lone." in found.sentences


def test_labels_that_cannot_be_compared_are_refused():
    cells, _ = of_four(n=60)
    with pytest.raises(UnknownName, match="label 'e'"):
        compare_labels(cells, ["a", "e"])
    with pytest.raises(InvalidInput, match="to compare labels takes at least 2"):
        compare_labels(cells, ["a"])
    with pytest.raises(InvalidInput, match="several labels differ in no one direction"):
        compare_labels(cells, spec=ContrastSpec(alternative="less"))


def test_pairs_are_contrasts_adjusted_for_their_number():
    cells, cell = of_four()
    found = compare_pairs(cells, spec=FEW)
    assert found.pairs.schema == PAIRS_SCHEMA
    assert found.cells.schema == PAIR_CELLS_SCHEMA
    rows = {(row["a"], row["b"]): row for row in found.pairs.to_pylist()}
    assert len(rows) == 6
    alone = contrast(cells, "b", "c", spec=FEW)
    row = rows["b", "c"]
    assert row["p"] == smallest(alone.cells, "p_fwe")
    assert (row["layer"], row["cell_x"] * 5 + row["cell_y"]) == (1, cell)
    expected = np.minimum(6 * np.array(alone.cells["p_fwe"].to_pylist(), dtype=float), 1)
    theirs = [one["p_pairs"] for one in found.cells.to_pylist() if (one["a"], one["b"]) == ("b", "c")]
    np.testing.assert_allclose(np.array(theirs, dtype=float), expected)
    for pair, row in rows.items():
        assert (row["p_holm"] <= 0.05) == ("c" in pair)
        assert row["p_holm"] >= row["p"]


def test_holm_steps_down():
    p = np.array([0.04, 0.01, 0.02, 0.5])
    assert holm(p) == pytest.approx([0.08, 0.04, 0.06, 0.5])


def test_a_pair_that_cannot_be_tested_says_why_and_does_not_count():
    rng = np.random.default_rng(0)
    codes = random_codes(rng, n=64, n_layers=2, grid=3)
    cells = labelled(codes, [0] * 30 + [1] * 30 + [2] * 2 + [3] * 2, grid=3, names=("a", "b", "few", "fewer"))
    found = compare_pairs(cells, spec=FEW)
    last = found.pairs.to_pylist()[-1]
    assert (last["a"], last["b"], last["p"], last["p_holm"]) == ("few", "fewer", None, None)
    assert "too few samples to exchange" in last["remark"]
    assert len(found.contrasts) == 5
    assert found.sentences[0].startswith("5 of 6 pairs of labels could be tested")
