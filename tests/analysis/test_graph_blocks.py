"""Numbers of many graphs at once against those of each graph by itself."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_mri_store.analysis.graph_blocks import BLOCK_METRICS, block_metrics
from llm_mri_store.analysis.graph_metrics import graph_metrics
from llm_mri_store.analysis.graph_reach import can_reach, reach_numbers, reach_of
from llm_mri_store.analysis.step_edges import step_edges
from tests.analysis.contrasts import labelled


def graph_of(edges, weights):
    """The networkx graph of a column of weights."""
    names = edges.names()
    graph = nx.DiGraph(
        layers=edges.layers,
        degenerate_layers=tuple(
            layer for layer, alive in zip(edges.layers, edges.alive, strict=True) if not alive
        ),
    )
    for source, target, weight in zip(
        names["source"].to_pylist(), names["target"].to_pylist(), weights.tolist(), strict=True
    ):
        if weight:
            graph.add_edge(source, target, weight=float(weight))
    nx.set_node_attributes(graph, {node: int(node.split("_")[0]) for node in graph}, "layer")
    return graph


@st.composite
def samples(draw):
    """Edges of random samples of up to 5 layers, some degenerate, and columns of chosen samples."""
    n_layers, n = draw(st.integers(2, 5)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    degenerate = draw(st.lists(st.integers(0, n_layers - 1), unique=True, max_size=2))
    codes = rng.integers(0, draw(st.integers(1, 9)), (n_layers, n))
    cells = labelled(codes, np.zeros(n), grid=3, names=("a",), degenerate=degenerate)
    chosen = rng.random((n, 4)) < [1.0, 0.5, 0.1, 0.0]
    return step_edges(cells), chosen


@settings(max_examples=150, deadline=None)
@given(samples())
def test_metrics_are_those_of_graph_metrics(drawn):
    edges, chosen = drawn
    weights = edges.weights(chosen)
    found = block_metrics(edges, weights, reach_of(edges, weights))
    for column in range(weights.shape[1]):
        expected = graph_metrics(graph_of(edges, weights[:, column]))
        for name, value in zip(BLOCK_METRICS, found[:, column].tolist(), strict=True):
            if expected[name] is None:
                assert np.isnan(value), name
            else:
                assert value == pytest.approx(expected[name], abs=1e-8), name


@settings(max_examples=60, deadline=None)
@given(samples())
def test_nodes_at_a_distance_are_those_networkx_finds(drawn):
    edges, chosen = drawn
    weights = edges.weights(chosen)
    reach = reach_of(edges, weights)
    places = {layer: place for place, layer in enumerate(edges.layers)}
    for column in range(weights.shape[1]):
        graph = graph_of(edges, weights[:, column])
        counts = {
            node: np.bincount(
                list(nx.single_source_shortest_path_length(graph, node).values()),
                minlength=len(edges.layers),
            ).tolist()
            for node in graph
        }
        for index in range(edges.n_nodes):
            layer = edges.layers[int(edges.node_place[index])]
            assert places[layer] == edges.node_place[index]
            name = f"{layer}_{edges.node_cell[index] // 3}_{edges.node_cell[index] % 3}"
            assert reach.at_distance[index, :, column].tolist() == counts.get(name, [0] * len(edges.layers))


def test_without_reach_the_metrics_of_paths_are_undefined():
    edges = step_edges(labelled(np.array([[0, 1], [1, 1]]), [0, 0], grid=2, names=("a",)))
    found = block_metrics(edges, edges.weights(np.ones((2, 1))), None)
    undefined = {name for name, value in zip(BLOCK_METRICS, found[:, 0], strict=True) if np.isnan(value)}
    assert {"joined_share", "mean_reachable"} <= undefined
    assert not {"n_nodes", "n_edges", "density"} & undefined


def test_how_much_is_needed_for_paths_grows_with_the_cells(monkeypatch):
    edges = step_edges(labelled(np.array([[0, 1, 2], [1, 1, 3]]), [0, 0, 0], grid=2, names=("a",)))
    assert reach_numbers(edges) == 3 * 2 + 5 * 2
    assert can_reach(edges)
    monkeypatch.setattr("llm_mri_store.analysis.graph_reach.MOST_CELLS", 2)
    assert not can_reach(edges)
