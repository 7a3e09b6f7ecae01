"""In a small form what docs/validation.md shows in full: how often the tests err, and how often they find."""

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binom

from llm_mri_store.analysis.contrast import contrast
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.edge_differences import edge_differences
from llm_mri_store.analysis.graph_comparison import compare_graphs
from llm_mri_store.analysis.information import label_information
from tests.analysis.contrasts import halves, labelled, random_codes, smallest

N_RUNS = 60
MOST = int(binom.isf(0.001, N_RUNS, 0.05))
"""Runs in which a test of level 0.05 finds something once in a thousand trials such as this."""


@pytest.fixture(scope="module")
def found():
    """How many of the runs without any difference found what."""
    found = Counter()
    for run in range(N_RUNS):
        rng = np.random.default_rng([1, run])
        cells = labelled(random_codes(rng, n=120, grid=4), rng.permutation(halves(120)), grid=4)
        spec = ContrastSpec(n_permutations=99, seed=run)
        one = contrast(cells, "a", "b", spec=spec)
        edges = edge_differences(cells, "a", "b", spec=spec)
        graphs = compare_graphs(cells, "a", "b", spec=spec, distances=["jaccard", "jensen_shannon"])
        told = label_information(cells, spec=spec)
        for name, table, column in (
            ("largest score", one.cells, "p_fwe"),
            ("cluster mass", one.clusters, "p_fwe"),
            ("TFCE", one.cells, "p_tfce"),
            ("q", one.cells, "q"),
            ("edges", edges.edges, "p_fwe"),
            ("sets of edges", edges.components, "p_fwe"),
            ("distances", graphs.distances, "p_fwe"),
            ("metrics", graphs.metrics, "p_fwe"),
            ("layers", told.layers, "p_fwe"),
            ("steps", told.steps, "p_fwe"),
        ):
            found[name] += smallest(table, column) <= 0.05
    return found


@pytest.mark.parametrize(
    "test",
    "largest score,cluster mass,TFCE,q,edges,sets of edges,distances,metrics,layers,steps".split(","),
)
def test_without_a_difference_no_test_finds_one_more_often_than_it_says(found, test):
    assert found[test] <= MOST


def test_not_because_nothing_is_ever_found(found):
    assert sum(found.values()) > 0


@pytest.mark.parametrize(("odds", "least", "most"), [(6.0, 11, 12), (1.5, 0, 3)])
def test_a_planted_odds_ratio_is_found_where_it_is_large_enough(odds, least, most):
    n_found = 0
    for run in range(12):
        rng = np.random.default_rng([2, run])
        labels = halves(800)
        codes = random_codes(rng, n=800, n_layers=7, grid=10)
        cell = int(np.bincount(codes[3]).argmax())
        others = codes[3][codes[3] != cell]
        codes[3][codes[3] == cell] = rng.choice(others, size=(codes[3] == cell).sum())
        base = 0.2 / (1 + odds)
        share = np.where(labels == 0, odds * base / (1 - base + odds * base), base)
        codes[3][rng.random(800) < share] = cell
        one = contrast(labelled(codes, labels, grid=10), "a", "b", spec=ContrastSpec(n_permutations=99))
        (row,) = (
            row
            for row in one.cells.to_pylist()
            if (row["layer"], row["cell_x"] * 10 + row["cell_y"]) == (3, cell)
        )
        n_found += row["p_fwe"] <= 0.05
    assert least <= n_found <= most
