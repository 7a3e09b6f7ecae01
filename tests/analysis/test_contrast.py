import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llm_mri_store.analysis.contrast import contrast
from llm_mri_store.analysis.contrast_cells import read_cells
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.contrast_tables import CELLS_SCHEMA, CLUSTERS_SCHEMA
from llm_mri_store.errors import InvalidInput
from llm_mri_store.store.catalogue import find_reduction, find_scan
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.queries import named_query
from llm_mri_store.store.selection import select
from tests.analysis.contrasts import halves, labelled, random_codes, smallest
from tests.store.stores import random_store

FEW = ContrastSpec(n_permutations=199)


def column(table, name):
    return np.array([np.nan if value is None else value for value in table[name].to_pylist()])


def planted(seed=0, *, n=800, odds=5.0):
    """Seven layers; at layer 3 one full cell is that much likelier for A."""
    rng = np.random.default_rng(seed)
    codes = random_codes(rng, n=n, n_layers=7, grid=10)
    cell = int(np.bincount(codes[3]).argmax())
    weight = np.where(codes[3] == cell, odds, 1.0)
    labels = np.ones(n, dtype=int)
    labels[rng.choice(n, n // 2, replace=False, p=weight / weight.sum())] = 0
    return labelled(codes, labels, grid=10), cell


def test_counts_and_shares_are_those_of_the_heatmap_query(tmp_path):
    store = random_store(tmp_path / "store")
    scan = find_scan(store, "big")
    found = contrast(read_cells(scan, find_reduction(scan, "pca-2")), "a", "b", spec=FEW)
    rows = fetch(select(store), named_query("heatmap_all_layers").sql, {"labels": ["a", "b"]}).to_pylist()
    theirs = {
        (row["layer"], row["cell_x"], row["cell_y"], row["label"]): (row["n"], row["share"]) for row in rows
    }
    for row in found.cells.to_pylist():
        for side in ("a", "b"):
            key = row["layer"], row["cell_x"], row["cell_y"], side
            assert (row[f"n_{side}"], row[f"share_{side}"]) == theirs[key]


def test_tables_have_the_columns_they_say():
    found = contrast(planted()[0], "a", "b", spec=FEW)
    assert found.cells.schema == CELLS_SCHEMA
    assert found.clusters.schema == CLUSTERS_SCHEMA
    assert found.cells.num_rows == 7 * 100
    assert found.facts.n_permutations == 199


def test_a_planted_difference_is_found_at_its_cell():
    cells, cell = planted()
    found = contrast(cells, "a", "b", spec=FEW)
    best = found.cells.sort_by([("p_fwe", "ascending"), ("score", "descending")]).to_pylist()[0]
    assert (best["layer"], best["cell_x"] * 10 + best["cell_y"]) == (3, cell)
    assert best["p_fwe"] == 1 / 200
    assert max(best["p_tfce"], best["p_cluster"]) <= 0.05
    assert best["difference_low"] > 0
    assert best["log_odds_low"] > 0
    assert best["log_odds_low"] < np.log(5) < best["log_odds_high"]
    first = found.clusters.to_pylist()[0]
    assert (first["cluster"], first["layer"], first["sign"]) == (1, 3, 1)
    assert first["p_fwe"] == best["p_cluster"]
    assert first["peak_x"] * 10 + first["peak_y"] == cell
    assert first["peak_z"] == best["z"]
    assert any("most clearly layer 3" in sentence for sentence in found.sentences)


def test_q_is_p_adjusted_as_scipy_adjusts_it_over_all_cells_that_could_differ():
    found = contrast(planted()[0], "a", "b", spec=FEW)
    tested = found.cells.filter(found.cells["is_tested"])
    assert tested.num_rows == found.n_tested
    could_differ = column(tested, "p_least") <= 0.05
    # With labels of one size, 5 samples that are all of A have a p of about 2 * 0.5**5, and 6 of half that.
    n = column(tested, "n_a") + column(tested, "n_b")
    assert np.array_equal(could_differ, n >= 6)
    expected = stats.false_discovery_control(column(tested, "p")[could_differ], method="bh")
    np.testing.assert_array_equal(column(tested, "q")[could_differ], expected)
    assert np.isnan(column(tested, "q")[~could_differ]).all()
    assert (column(tested, "p") >= column(tested, "p_least")).all()


def test_family_wise_p_is_at_least_that_of_the_cell_by_itself():
    """Up to chance: p is exact, p_fwe is drawn."""
    found = contrast(planted(1, odds=1.0)[0], "a", "b", spec=FEW)
    tested = found.cells.filter(found.cells["is_tested"])
    assert (column(tested, "p_fwe") >= column(tested, "p") - 0.1).all()


@given(st.integers(0, 2**32 - 1), st.sampled_from(["two-sided", "greater", "less"]))
@settings(max_examples=15, deadline=None)
def test_swapping_the_labels_changes_signs_and_no_p(seed, alternative):
    rng = np.random.default_rng(seed)
    codes = random_codes(rng, n=60, n_layers=2, grid=3)
    cells = labelled(codes, rng.permutation(np.arange(60) < 20), grid=3)
    other = {"two-sided": "two-sided", "greater": "less", "less": "greater"}[alternative]
    one = contrast(cells, "a", "b", spec=ContrastSpec(n_permutations=49, alternative=alternative))
    swapped = contrast(cells, "b", "a", spec=ContrastSpec(n_permutations=49, alternative=other))
    for name in ("p", "q", "p_fwe", "p_tfce", "p_cluster", "tfce"):
        np.testing.assert_allclose(column(one.cells, name), column(swapped.cells, name), atol=1e-12)
    for name in ("z", "score", "difference", "log_odds"):
        np.testing.assert_allclose(column(one.cells, name), -column(swapped.cells, name), atol=1e-9)
    np.testing.assert_allclose(
        column(one.cells, "difference_low"), -column(swapped.cells, "difference_high"), atol=1e-9
    )


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_laws_of_a_contrast(seed):
    rng = np.random.default_rng(seed)
    n_a, n_b = rng.integers(5, 40, size=2)
    codes = random_codes(rng, n=n_a + n_b, n_layers=2, grid=3)
    cells = labelled(codes, np.repeat([0, 1], [n_a, n_b]), grid=3)
    found = contrast(cells, "a", "b", spec=ContrastSpec(n_permutations=39))
    table = found.cells
    for layer in (0, 1):
        rows = table.filter(np.asarray(table["layer"]) == layer)
        assert (sum(column(rows, "n_a")), sum(column(rows, "n_b"))) == (n_a, n_b)
        assert np.nansum(column(rows, "difference")) == pytest.approx(0, abs=1e-12)
    tested = table.filter(table["is_tested"])
    for name in ("p", "q", "p_fwe", "p_tfce"):
        told = column(tested, name)[np.isfinite(column(tested, name))]
        assert ((told > 0) & (told <= 1)).all()
    for effect in ("difference", "log_odds"):
        low, value, high = (column(tested, effect + end) for end in ("_low", "", "_high"))
        assert ((low <= value) & (value <= high)).all()
    order = np.argsort(-np.abs(column(tested, "score")))
    assert (np.diff(column(tested, "p_fwe")[order]) >= 0).all()
    in_cluster = table.filter(np.isfinite(column(table, "cluster")))
    assert (
        found.clusters["size"].to_pylist()
        == np.bincount(column(in_cluster, "cluster").astype(int))[1:].tolist()
    )
    assert (np.abs(column(in_cluster, "score")) > 2).all()
    assert sum(found.clusters["mass"].to_pylist()) == pytest.approx(np.abs(column(in_cluster, "score")).sum())
    assert (np.diff(found.clusters["mass"].to_pylist()) <= 0).all()


def test_the_order_of_samples_does_not_change_what_is_observed():
    cells, _ = planted()
    order = np.random.default_rng(1).permutation(cells.n_samples)
    other = labelled(cells.codes[:, order], cells.label_codes[order], grid=10)
    one, two = (contrast(each, "a", "b", spec=FEW) for each in (cells, other))
    for name in ("z", "score", "p", "q", "tfce", "difference", "log_odds"):
        np.testing.assert_allclose(column(one.cells, name), column(two.cells, name), atol=1e-12)


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    cells, _ = planted()
    one, two, other = (
        contrast(cells, "a", "b", spec=ContrastSpec(n_permutations=99, seed=seed)) for seed in (4, 4, 5)
    )
    assert one.cells.equals(two.cells)
    assert one.nulls.equals(two.nulls)
    assert not one.nulls.equals(other.nulls)


def test_few_samples_are_counted_exactly():
    """Four against four: 70 relabelings, of which 2 put all of A together where they are and B elsewhere."""
    codes = np.array([[0, 0, 0, 0, 3, 3, 3, 3], [0, 1, 2, 3, 0, 1, 2, 3]])
    found = contrast(labelled(codes, halves(8), grid=2), "a", "b", spec=FEW)
    assert found.facts.is_exact
    assert (found.facts.n_relabelings, found.facts.n_permutations) == (70, 70)
    assert found.facts.smallest_p == pytest.approx(2 / 70)
    rows = {(row["layer"], row["cell_x"], row["cell_y"]): row for row in found.cells.to_pylist()}
    assert rows[0, 0, 0]["p_fwe"] == pytest.approx(2 / 70)
    assert rows[0, 0, 0]["p"] == pytest.approx(2 / 70)
    assert rows[1, 0, 0]["z"] == 0
    assert rows[1, 0, 0]["p"] == rows[1, 0, 0]["p_fwe"] == 1.0
    assert "All 70 relabelings were counted, so p is exact; none can be below 0.029." in found.sentences


def test_p_of_one_side_halves_the_smallest_p():
    codes = np.array([[0, 0, 0, 0, 3, 3, 3, 3]])
    spec = ContrastSpec(n_permutations=199, alternative="greater")
    found = contrast(labelled(codes, halves(8), grid=2), "a", "b", spec=spec)
    rows = {(row["cell_x"], row["cell_y"]): row for row in found.cells.to_pylist()}
    assert rows[0, 0]["p"] == pytest.approx(1 / 70)
    assert rows[1, 1]["p"] == 1.0
    # Somewhere among the two cells: A all here, or A all there.
    assert rows[0, 0]["p_fwe"] == pytest.approx(2 / 70)
    assert found.clusters["peak_x"].to_pylist() == [0]


@pytest.mark.parametrize(("n_a", "n_b"), [(2, 2), (3, 3), (2, 5)])
def test_samples_too_few_for_any_p_are_refused(n_a, n_b):
    cells = labelled(np.arange(n_a + n_b)[None] % 4, np.repeat([0, 1], [n_a, n_b]), grid=2)
    if (n_a, n_b) == (2, 5):
        assert contrast(cells, "a", "b", spec=FEW).facts.smallest_p == pytest.approx(1 / 21)
        return
    with pytest.raises(
        InvalidInput, match=r"too few samples to exchange \('a' \d, 'b' \d\): no p below 0\.\d+ can"
    ):
        contrast(cells, "a", "b", spec=FEW)


def test_degenerate_layers_are_left_out_and_named():
    rng = np.random.default_rng(0)
    codes = random_codes(rng, n=40, n_layers=3, grid=3)
    cells = labelled(codes, halves(40), grid=3, degenerate=[1])
    found = contrast(cells, "a", "b", spec=FEW)
    rows = [row for row in found.cells.to_pylist() if row["layer"] == 1]
    assert sum(row["n_a"] for row in rows) == 20
    untold = set(CELLS_SCHEMA.names) - {
        "layer", "cell_x", "cell_y", "n_a", "n_b", "share_a", "share_b", "is_tested"
    }  # fmt: skip
    assert all(row[name] is None for row in rows for name in untold)
    assert not any(row["is_tested"] for row in rows)
    assert found.degenerate_layers == (1,)
    assert "Left out, because activations do not vary there: layer 1." in found.sentences
    without = labelled(codes[[0, 2]], halves(40), grid=3)
    other = contrast(without, "a", "b", spec=FEW)
    kept = found.cells.filter(np.asarray(found.cells["layer"]) != 1)
    np.testing.assert_array_equal(column(kept, "p_fwe"), column(other.cells, "p_fwe"))


def test_a_reduction_whose_layers_are_all_degenerate_is_refused():
    cells = labelled(np.zeros((2, 40)), halves(40), grid=3, degenerate=[0, 1])
    with pytest.raises(InvalidInput, match="no layer of these samples varies between samples"):
        contrast(cells, "a", "b")


def test_samples_that_all_share_a_cell_are_refused():
    with pytest.raises(InvalidInput, match="no cell can be tested: at every layer"):
        contrast(labelled(np.zeros((2, 40)), halves(40), grid=3), "a", "b")


def test_cells_with_fewer_samples_than_asked_for_are_not_tested():
    cells, _ = planted()
    found = contrast(cells, "a", "b", spec=ContrastSpec(n_permutations=99, min_samples=10))
    n = column(found.cells, "n_a") + column(found.cells, "n_b")
    assert np.array_equal(np.array(found.cells["is_tested"].to_pylist()), n >= 10)
    assert found.n_tested == (n >= 10).sum()


def test_an_empty_cell_has_no_effect_and_no_p():
    found = contrast(planted()[0], "a", "b", spec=FEW)
    empty = [row for row in found.cells.to_pylist() if row["n_a"] + row["n_b"] == 0]
    assert empty
    for name in ("difference", "log_odds", "z", "score", "p", "q", "p_fwe", "tfce", "p_tfce", "cluster"):
        assert all(row[name] is None for row in empty)


def test_the_rest_is_tested_as_one_label():
    rng = np.random.default_rng(0)
    codes = random_codes(rng, n=90, n_layers=2, grid=3)
    three = labelled(codes, np.arange(90) % 3, grid=3, names=("a", "b", "c"))
    two = labelled(codes, np.arange(90) % 3 != 0, grid=3, names=("a", "others"))
    one, other = contrast(three, "a", spec=FEW), contrast(two, "a", "others", spec=FEW)
    assert one.cells.equals(other.cells)
    assert one.name_b == "rest"


def test_relabelled_at_random_nothing_is_found_more_often_than_said():
    """200 runs with labels that mean nothing: of 0.05, 10 are expected, more than 20 in 0.1 % of cases."""
    rng = np.random.default_rng(7)
    codes = random_codes(rng, n=150, n_layers=3, grid=5)
    hits = np.zeros(4, dtype=int)
    for run in range(200):
        labels = rng.permutation(np.arange(150) >= (75 if run % 2 else 15))
        found = contrast(
            labelled(codes, labels, grid=5), "a", "b", spec=ContrastSpec(n_permutations=39, seed=run)
        )
        hits += [
            smallest(found.cells, "p_fwe") <= 0.05,
            smallest(found.clusters, "p_fwe") <= 0.05,
            smallest(found.cells, "p_tfce") <= 0.05,
            smallest(found.cells, "q") <= 0.05,
        ]
    assert (hits <= 20).all()
    # Family-wise tests use their level up; that of Benjamini and Hochberg, the fourth, need not.
    assert (hits[:3] >= 2).all()
