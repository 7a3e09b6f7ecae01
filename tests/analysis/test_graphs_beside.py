"""Graphs of two reductions side by side: numbers are those of each graph by itself."""

from dataclasses import replace

import numpy as np
import pytest

from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.graph_comparison import compare_graphs
from llm_mri_store.analysis.graph_intervals import metric_intervals
from llm_mri_store.analysis.graphs_beside import graphs_beside, pooled
from llm_mri_store.records.jobs import no_progress
from tests.analysis.contrasts import halves, labelled, random_codes


def drawn(seed, *, n=60, n_layers=3, grid=4, **options):
    codes = random_codes(np.random.default_rng(seed), n=n, n_layers=n_layers, grid=grid)
    return labelled(codes, halves(n), grid=grid, **options)


def test_metrics_are_those_of_each_graph():
    a, b = drawn(0), drawn(1, n=80, n_layers=4, grid=5)
    metrics, _ = graphs_beside(a, b, seed=3, progress=no_progress)
    assert list(dict.fromkeys(metrics["graph"].to_pylist())) == ["all", "a", "b"]
    for side, cells in (("a", a), ("b", b)):
        rows = [row for name in "ab" for row in metric_intervals(cells, [name], seed=3).to_pylist()]
        rows = metric_intervals(pooled(cells), ["all"], seed=3).to_pylist() + rows
        for found, own in zip(metrics.to_pylist(), rows, strict=True):
            assert (found["graph"], found["metric"]) == (own["graph"], own["metric"])
            assert found[f"n_{side}"] == own["n"]
            for end in ("", "_low", "_high"):
                assert found[f"value_{side}{end}"] == own[f"value{end}"]


def test_distances_are_those_of_two_labels_whose_samples_these_are():
    a, b = drawn(0), drawn(1)
    both = labelled(np.concatenate([a.codes, b.codes], axis=1), halves(120), grid=4)
    expected = compare_graphs(both, "a", "b", spec=ContrastSpec(n_permutations=19)).distances.to_pylist()
    expected = {row["distance"]: row["value"] for row in expected}
    _, distances = graphs_beside(a, b, seed=0, progress=no_progress)
    for row in distances.slice(0, 2).to_pylist():
        assert (row["graph"], row["n_a"], row["n_b"]) == ("all", 60, 60)
        assert row["value"] == pytest.approx(expected[row["distance"]], abs=1e-9)


def test_graphs_of_other_numbers_of_layers_have_distances_and_those_without_edges_none():
    _, distances = graphs_beside(drawn(0), drawn(0, n_layers=5), seed=0, progress=no_progress)
    assert all(0 < row["value"] <= 1 for row in distances.to_pylist())
    metrics, none = graphs_beside(drawn(0), drawn(1, n_layers=1), seed=0, progress=no_progress)
    assert none["value"].null_count == none.num_rows == 6
    assert metrics["value_b"].null_count == metrics.num_rows


def test_labels_that_one_alone_has_are_left_out():
    b = replace(drawn(1), labels=("b", "c"))
    metrics, _ = graphs_beside(drawn(0), b, seed=0, progress=no_progress)
    assert set(metrics["graph"].to_pylist()) == {"all", "b"}
