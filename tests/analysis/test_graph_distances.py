"""Distances by hand, against second implementations, and by their laws."""

from collections import Counter

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy, wasserstein_distance

from llm_mri_store.analysis.graph_distances import (
    DISTANCE_DEFINITIONS,
    DISTANCES,
    graph_distances,
    jaccard_distances,
)
from llm_mri_store.analysis.graph_portraits import divergences, portrait_divergences, portraits
from llm_mri_store.analysis.graph_reach import reach_of
from llm_mri_store.analysis.step_edges import step_edges
from tests.analysis.contrasts import labelled
from tests.analysis.test_graph_blocks import graph_of


def ways(*paths, grid=2):
    """Edges of samples that go through these cells, a column of ones for each sample."""
    codes = np.array(paths).T
    return step_edges(labelled(codes, np.zeros(len(paths)), grid=grid, names=("a",)))


def distances(edges, first, second, wanted=DISTANCES):
    weights = tuple(edges.weights(np.asarray(one, dtype=int).reshape(-1, 1)) for one in (first, second))
    reach = tuple(reach_of(edges, one) for one in weights)
    found = graph_distances(edges, weights, reach, wanted=wanted)
    return dict(zip(wanted, found[:, 0].tolist(), strict=True))


def portrait_by_definition(graph):
    """B[l, k] as a Counter, by breadth-first search in networkx."""
    lengths = {node: list(nx.single_source_shortest_path_length(graph, node).values()) for node in graph}
    longest = max(max(one) for one in lengths.values())
    return Counter((at, one.count(at)) for one in lengths.values() for at in range(longest + 1))


def divergence_by_definition(first, second):
    """Bagrow & Bollt (2019), equations 5 to 8, term by term."""
    joint = []
    for graph in (first, second):
        portrait, n = portrait_by_definition(graph), graph.number_of_nodes()
        pairs = sum(k * count for (_, k), count in portrait.items())
        of_distance = Counter()
        for (at, k), count in portrait.items():
            of_distance[at] += k * count / pairs
        joint.append({key: count / n * of_distance[key[0]] for key, count in portrait.items()})
    keys = sorted(set(joint[0]) | set(joint[1]))
    p, q = (np.array([one.get(key, 0.0) for key in keys]) for one in joint)
    m = (p + q) / 2
    return (entropy(p, m, base=2) + entropy(q, m, base=2)) / 2


def test_the_portrait_of_a_hand_sized_graph():
    # 0_0_0 leads to two cells of layer 1, which lead to one of layer 2.
    edges = ways((0, 0, 3), (0, 1, 3))
    reach = reach_of(edges, edges.weights(np.ones((2, 1))))
    # Rows are distances, columns numbers of nodes: 4 nodes have themselves; at distance 1 one node has two
    # others, two have one and the last has none; at distance 2 the first alone has one.
    assert portraits(reach.at_distance)[:, :, 0].tolist() == [[0, 4, 0], [1, 2, 1], [3, 1, 0]]


def test_the_portrait_divergence_of_two_hand_sized_graphs():
    """A fork 0 -> {1, 2} against a line 0 -> 1, worked out with pen and paper."""
    edges = ways((0, 0), (0, 1))
    found = distances(edges, [1, 1], [1, 0], wanted=("portrait",))["portrait"]
    # Fork: B[0] = {1: 3}, B[1] = {2: 1, 0: 2}; pairs: 3 at distance 0, 2 at 1.
    fork = {(0, 1): 3 / 3 * 3 / 5, (1, 2): 1 / 3 * 2 / 5, (1, 0): 2 / 3 * 2 / 5}
    # Line: B[0] = {1: 2}, B[1] = {1: 1, 0: 1}; pairs: 2 at distance 0, 1 at 1.
    line = {(0, 1): 2 / 2 * 2 / 3, (1, 1): 1 / 2 * 1 / 3, (1, 0): 1 / 2 * 1 / 3}
    keys = sorted({*fork, *line})
    p, q = (np.array([one.get(key, 0.0) for key in keys]) for one in (fork, line))
    by_hand = sum(entropy(one, (p + q) / 2, base=2) for one in (p, q)) / 2
    assert found == pytest.approx(by_hand)
    assert found == pytest.approx(0.1597, abs=1e-4)


def test_jaccard_and_jensen_shannon_by_hand():
    edges = ways((0, 0), (0, 1), (1, 1))
    # Shares 1/2, 1/2, 0 against 1/2, 0, 1/2.
    found = distances(edges, [2, 2, 0], [1, 0, 1], wanted=("jaccard", "jensen_shannon"))
    assert found["jaccard"] == pytest.approx(1 - 0.5 / 1.5)
    assert found["jensen_shannon"] == pytest.approx(0.5)


def test_the_spectral_distance_by_hand():
    # One edge has the eigenvalues 0 and 2, a fork 0, 1 and 2: a third of the mass moves by 1.
    edges = ways((0, 0), (0, 1))
    assert distances(edges, [1, 0], [1, 1], wanted=("spectral",))["spectral"] == pytest.approx(1 / 3)


@st.composite
def pairs_of_graphs(draw):
    n, n_layers = draw(st.integers(2, 25)), draw(st.integers(2, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    cells = labelled(
        rng.integers(0, draw(st.integers(1, 9)), (n_layers, n)), np.zeros(n), grid=3, names=("a",)
    )
    counted = rng.integers(0, 3, (2, n))
    counted[:, 0] = 1
    return step_edges(cells), counted


@settings(max_examples=100, deadline=None)
@given(pairs_of_graphs())
def test_distances_keep_their_laws(drawn):
    edges, (first, second) = drawn
    there, back = distances(edges, first, second), distances(edges, second, first)
    own = distances(edges, first, first)
    for name in DISTANCES:
        assert 0 <= there[name] <= 1
        assert there[name] == pytest.approx(back[name], abs=1e-9)
        assert own[name] == pytest.approx(0, abs=1e-9)
    # Twice the samples in the same places make no other graph.
    doubled = distances(edges, first, 2 * second)
    assert doubled == pytest.approx(there, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(pairs_of_graphs())
def test_distances_are_those_of_second_implementations(drawn):
    edges, counted = drawn
    found = distances(edges, *counted)
    weights = edges.weights(counted.T)
    shares = weights / weights.sum(axis=0)
    assert found["jensen_shannon"] == pytest.approx(jensenshannon(*shares.T, base=2) ** 2, abs=1e-7)
    total = np.abs(shares[:, 0] - shares[:, 1]).sum() / 2
    assert found["jaccard"] == pytest.approx(2 * total / (1 + total))
    graphs = [graph_of(edges, weights[:, column]) for column in (0, 1)]
    assert found["portrait"] == pytest.approx(divergence_by_definition(*graphs), abs=1e-9)
    spectra = [
        np.linalg.eigvalsh(nx.normalized_laplacian_matrix(graph.to_undirected()).toarray())
        for graph in graphs
    ]
    assert found["spectral"] == pytest.approx(wasserstein_distance(*spectra), abs=1e-6)


def test_graphs_of_the_same_shape_in_other_places_differ_in_places_alone():
    edges = ways((0, 0), (0, 1), (3, 3), (3, 2))
    found = distances(edges, [1, 1, 0, 0], [0, 0, 1, 1])
    assert found["jaccard"] == found["jensen_shannon"] == 1.0
    assert found["portrait"] == found["spectral"] == 0.0


def test_an_empty_graph_is_at_no_distance():
    edges = ways((0, 0), (0, 1))
    assert all(np.isnan(value) for value in distances(edges, [0, 0], [1, 1]).values())
    weights = (edges.weights(np.ones((2, 1))),) * 2
    assert np.isnan(graph_distances(edges, weights, None, wanted=["portrait"])[0, 0])


def test_many_pairs_at_once_are_each_by_itself():
    rng = np.random.default_rng(0)
    edges = step_edges(labelled(rng.integers(0, 9, (4, 40)), np.zeros(40), grid=3, names=("a",)))
    first, second = rng.random((2, 40, 5)) < 0.5
    weights = edges.weights(first), edges.weights(second)
    together = graph_distances(edges, weights, tuple(reach_of(edges, one) for one in weights))
    for pair in range(5):
        alone = distances(edges, first[:, pair], second[:, pair])
        assert together[:, pair] == pytest.approx(list(alone.values()))


def test_every_distance_is_described():
    assert [one.name for one in DISTANCE_DEFINITIONS] == list(DISTANCES)
    assert all(one.meaning and one.range and one.source for one in DISTANCE_DEFINITIONS)


def test_divergences_of_distributions_by_hand():
    p = np.array([[1.0, 0.5, 0.25], [0.0, 0.5, 0.75]])
    q = np.array([[0.0, 0.5, 0.75], [1.0, 0.5, 0.25]])
    assert divergences(p, q).tolist() == pytest.approx([1.0, 0.0, 1 - entropy([0.25, 0.75], base=2)])
    assert jaccard_distances(p, q).tolist() == pytest.approx([1.0, 0.0, 1 - 0.5 / 1.5])
    assert portrait_divergences(np.ones((2, 1, 1), int), np.ones((2, 1, 1), int)).tolist() == [0.0]
