import numpy as np
import pytest
from scipy import stats

from llm_mri_store.analysis.contrast_cells import read_cells
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.graph_blocks import BLOCK_METRICS
from llm_mri_store.analysis.graph_comparison import compare_graphs
from llm_mri_store.analysis.graph_distances import DISTANCES
from llm_mri_store.analysis.graph_metrics import graph_metrics
from llm_mri_store.analysis.graph_tables import DISTANCES_SCHEMA, METRICS_SCHEMA
from llm_mri_store.analysis.questions import nrag
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.store.catalogue import find_reduction, find_scan
from llm_mri_store.store.selection import select
from tests.analysis.contrasts import halves, labelled, random_codes, smallest
from tests.store.stores import random_store

FEW = ContrastSpec(n_permutations=99)


def drawn(seed=0, *, n=80, n_layers=4, grid=4, **options):
    codes = random_codes(np.random.default_rng(seed), n=n, n_layers=n_layers, grid=grid)
    return labelled(codes, options.pop("labels", halves(n)), grid=grid, **options)


def planted(seed=0, *, n=120):
    """From layer 2 on, A's samples lie in a quarter of the cells."""
    cells = drawn(seed, n=n)
    codes = cells.codes.copy()
    codes[2:, : n // 2] //= 4
    return labelled(codes, halves(n), grid=4)


def rows_of(table, key):
    return {row[key]: row for row in table.to_pylist()}


def test_metrics_are_those_of_the_labels_graphs(tmp_path):
    store = random_store(tmp_path / "store")
    scan = find_scan(store, "big")
    found = compare_graphs(read_cells(scan, find_reduction(scan, "pca-2")), "a", "b", spec=FEW)
    assert found.metrics.schema == METRICS_SCHEMA
    assert found.distances.schema == DISTANCES_SCHEMA
    assert found.metrics["metric"].to_pylist() == list(BLOCK_METRICS)
    assert found.distances["distance"].to_pylist() == list(DISTANCES)
    for side in ("a", "b"):
        theirs = graph_metrics(nrag(select(store), [side]))
        for row in found.metrics.to_pylist():
            assert row[f"value_{side}"] == pytest.approx(theirs[row["metric"]], abs=1e-8)


def test_a_planted_difference_is_found():
    found = compare_graphs(planted(), "a", "b", spec=FEW)
    distances, metrics = rows_of(found.distances, "distance"), rows_of(found.metrics, "metric")
    for name in ("jaccard", "jensen_shannon"):
        assert distances[name]["p"] == distances[name]["p_fwe"] == 1 / 100
        assert distances[name]["excess"] > 0.1
    assert metrics["n_nodes"]["p_fwe"] == 1 / 100
    assert metrics["n_nodes"]["difference"] < 0
    assert "The graphs differ: jaccard" in " ".join(found.sentences)


def test_swapping_the_labels_turns_differences_and_leaves_distances():
    one, other = (compare_graphs(planted(), *names, spec=FEW) for names in (("a", "b"), ("b", "a")))
    for row, swapped in zip(one.distances.to_pylist(), other.distances.to_pylist(), strict=True):
        for name in ("value", "value_low", "value_high", "p"):
            assert row[name] == pytest.approx(swapped[name])
    for row, swapped in zip(one.metrics.to_pylist(), other.metrics.to_pylist(), strict=True):
        assert row["difference"] == pytest.approx(-swapped["difference"])
        assert row["difference_low"] == pytest.approx(-swapped["difference_high"])
        assert row["value_a"] == pytest.approx(swapped["value_b"])


def test_equal_graphs_are_at_distance_zero_and_do_not_differ():
    codes = random_codes(np.random.default_rng(0), n=30, n_layers=3, grid=3)
    cells = labelled(np.concatenate([codes, codes], axis=1), halves(60), grid=3)
    found = compare_graphs(cells, "a", "b", spec=FEW)
    for row in found.distances.to_pylist():
        assert row["value"] == pytest.approx(0, abs=1e-9)
        assert row["p"] == row["p_fwe"] == 1.0
        assert row["excess"] < 0
    assert {row["difference"] for row in found.metrics.to_pylist()} == {0.0}
    assert smallest(found.metrics, "p_fwe") > 0.05
    assert any(sentence.startswith("None of 4 distances is larger") for sentence in found.sentences)


@pytest.mark.parametrize("sizes", [(30, 30), (12, 48)])
def test_labels_that_differ_in_nothing_are_seldom_told_apart(sizes):
    hits = {"distances": 0, "metrics": 0}
    for seed in range(40):
        labels = np.random.default_rng(seed).permutation(np.repeat([0, 1], sizes))
        found = compare_graphs(
            drawn(seed, n=60, n_layers=3, labels=labels), "a", "b", spec=ContrastSpec(n_permutations=39)
        )
        hits["distances"] += smallest(found.distances, "p_fwe") <= 0.05
        hits["metrics"] += smallest(found.metrics, "p_fwe") <= 0.05
    assert max(hits.values()) <= stats.binom.ppf(0.9995, 40, 0.05)


def test_a_larger_label_has_more_edges_by_chance_and_as_many_when_rarefied():
    labels = np.repeat([0, 1], [20, 160])
    found = compare_graphs(
        drawn(n=180, labels=np.random.default_rng(0).permutation(labels)), "a", "b", spec=FEW
    )
    row = rows_of(found.metrics, "metric")["n_edges"]
    assert row["difference"] < -50
    assert row["by_chance_low"] < row["difference"] < row["by_chance_high"]
    assert row["p"] > 0.05
    assert row["rarefied_a"] == row["value_a"]
    assert abs(row["rarefied_a"] - row["rarefied_b"]) < 10
    assert found.n_rarefied == 20
    assert "rarefied to 20 samples a side" in " ".join(found.sentences)


def test_of_equal_labels_nothing_is_rarefied_unless_asked():
    cells = drawn()
    plain = compare_graphs(cells, "a", "b", spec=FEW)
    assert plain.distances["rarefied"].to_pylist() == plain.distances["value"].to_pylist()
    fewer = compare_graphs(cells, "a", "b", spec=FEW, n_rarefied=10)
    assert rows_of(fewer.metrics, "metric")["n_edges"]["rarefied_a"] <= 3 * 10
    # Fewer samples have less in common.
    assert fewer.distances["rarefied"][0].as_py() > fewer.distances["value"][0].as_py()
    for n_rarefied in (0, 41):
        with pytest.raises(InvalidInput, match="expected 1 to 40, the samples of the smaller side"):
            compare_graphs(cells, "a", "b", spec=FEW, n_rarefied=n_rarefied)


def test_p_by_all_relabelings_of_few_samples():
    cells = labelled(np.array([[0, 0, 0, 3, 3, 3], [1, 1, 1, 2, 2, 2]]), halves(6), grid=2)
    with pytest.raises(InvalidInput, match=r"no p below 0\.1 can be had"):
        compare_graphs(cells, "a", "b", spec=FEW)
    cells = labelled(np.array([[0] * 4 + [3] * 5, [1] * 4 + [2] * 5]), [0] * 4 + [1] * 5, grid=2)
    found = compare_graphs(cells, "a", "b", spec=ContrastSpec(n_permutations=999))
    assert (found.facts.is_exact, found.facts.n_permutations) == (True, 126)
    assert rows_of(found.distances, "distance")["jaccard"]["p"] == 1 / 126
    assert found.n_parts == 0
    assert found.distances["value_low"].null_count == 4
    assert "There are no intervals: a side has fewer than 6 samples or groups to leave out in turn." in (
        found.sentences
    )


def test_intervals_hold_the_value_and_stay_in_range():
    found = compare_graphs(planted(), "a", "b", spec=FEW)
    assert found.n_parts == 20
    for row in found.distances.to_pylist():
        assert 0 <= row["value_low"] <= row["value"] <= row["value_high"] <= 1
        assert row["by_chance_low"] <= row["by_chance"] <= row["by_chance_high"]
    for row in found.metrics.to_pylist():
        for name in ("value_a", "value_b", "difference"):
            if row[f"{name}_low"] is not None:
                assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_a_covariate_that_explains_the_graphs_is_held_constant():
    rng = np.random.default_rng(0)
    length = rng.integers(0, 2, 160)
    labels = (rng.random(160) < np.array([0.15, 0.85])[length]).astype(int)
    codes = rng.integers(0, 8, (3, 160)) + 8 * length
    cells = labelled(codes, labels, grid=4, n_tokens=length)
    plain = compare_graphs(cells, "a", "b", spec=FEW)
    held = compare_graphs(cells, "a", "b", spec=ContrastSpec(n_permutations=99, strata=("n_tokens",)))
    assert smallest(plain.distances, "p_fwe") == 1 / 100
    assert smallest(held.distances, "p_fwe") > 0.05


def test_degenerate_layers_are_left_out_and_without_edges_nothing_is_compared():
    found = compare_graphs(drawn(degenerate=[0]), "a", "b", spec=FEW)
    assert "Left out, because activations do not vary there: layer 0." in found.sentences
    for options in ({"n_layers": 1}, {"n_layers": 3, "degenerate": [1]}):
        with pytest.raises(InvalidInput, match="no two neighbouring layers of these samples vary"):
            compare_graphs(drawn(**options), "a", "b", spec=FEW)


def test_what_cannot_be_asked_is_refused():
    cells = drawn()
    with pytest.raises(InvalidInput, match="a label does not differ from itself"):
        compare_graphs(cells, "a", "a", spec=FEW)
    with pytest.raises(UnknownName, match="did you mean 'spectral'"):
        compare_graphs(cells, "a", "b", spec=FEW, distances=["spectrum"])
    with pytest.raises(InvalidInput, match="two-sided"):
        compare_graphs(cells, "a", "b", spec=ContrastSpec(alternative="less"))


def test_only_the_wanted_distances_are_taken():
    told = []
    found = compare_graphs(
        drawn(), "a", "b", spec=FEW, distances=["portrait", "jaccard"], progress=told.append
    )
    assert found.distances["distance"].to_pylist() == ["portrait", "jaccard"]
    assert (told[-1].job, told[-1].done, told[-1].total) == ("graphs", 99, 99)
    none = compare_graphs(drawn(), "a", "b", spec=FEW, distances=[])
    assert none.distances.num_rows == 0
    assert "No distance is defined, so none was tested." in none.sentences


def test_the_same_seed_gives_the_same_however_it_is_cut(monkeypatch):
    whole = compare_graphs(planted(), "a", "b", spec=FEW)
    monkeypatch.setattr("llm_mri_store.analysis.relabelings._ENTRIES_AT_ONCE", 2000)
    parts = compare_graphs(planted(), "a", "b", spec=FEW)
    for one, other in ((whole.distances, parts.distances), (whole.metrics, parts.metrics)):
        assert one.column_names == other.column_names
        for column, same in zip(one.columns[1:], other.columns[1:], strict=True):
            assert column.to_pylist() == pytest.approx(same.to_pylist(), rel=1e-9, abs=1e-12)


def test_layers_of_too_many_cells_have_no_numbers_of_paths(monkeypatch):
    monkeypatch.setattr("llm_mri_store.analysis.graph_reach.MOST_CELLS", 3)
    found = compare_graphs(drawn(), "a", "b", spec=FEW)
    assert rows_of(found.distances, "distance")["portrait"]["value"] is None
    assert rows_of(found.distances, "distance")["portrait"]["p"] is None
    assert rows_of(found.metrics, "metric")["joined_share"]["value_a"] is None
    assert rows_of(found.distances, "distance")["jaccard"]["p_fwe"] is not None
