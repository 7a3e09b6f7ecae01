import random
import time
from itertools import combinations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_mri_store.charts import count_crossings, layered_positions
from llm_mri_store.errors import InvalidInput


def layered_graph(sizes, edges):
    """Nodes "layer_index_0"; edges as (layer, upper index, lower index, weight)."""
    graph = nx.DiGraph()
    for layer, size in enumerate(sizes):
        graph.add_nodes_from((f"{layer}_{index}_0", {"layer": layer}) for index in range(size))
    for layer, upper, lower, weight in edges:
        graph.add_edge(f"{layer}_{upper}_0", f"{layer + 1}_{lower}_0", weight=weight)
    return graph


@st.composite
def layered_graphs(draw):
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    possible = [
        (layer, upper, lower)
        for layer in range(len(sizes) - 1)
        for upper in range(sizes[layer])
        for lower in range(sizes[layer + 1])
    ]
    edges = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    weights = draw(st.lists(st.integers(0, 9), min_size=len(edges), max_size=len(edges)))
    return layered_graph(sizes, [(*edge, weight) for edge, weight in zip(edges, weights, strict=True)])


def crossings_by_pairs(graph, positions, weight=None):
    total = 0
    for (a, b, first), (c, d, second) in combinations(graph.edges(data=True), 2):
        if graph.nodes[a]["layer"] != graph.nodes[c]["layer"]:
            continue
        if (positions[a][0] - positions[c][0]) * (positions[b][0] - positions[d][0]) < 0:
            total += first[weight] * second[weight] if weight else 1
    return total


@given(graph=layered_graphs(), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_crossings_equal_those_of_every_pair_of_edges(graph, seed):
    rng = random.Random(seed)
    positions = {node: (rng.randrange(5), 0.0) for node in graph}

    assert count_crossings(graph, positions) == crossings_by_pairs(graph, positions)
    assert count_crossings(graph, positions, weight="weight") == crossings_by_pairs(
        graph, positions, "weight"
    )


@given(graph=layered_graphs())
@settings(deadline=None)
def test_the_layout_never_crosses_more_than_the_order_of_names(graph):
    by_name = {node: (int(node.split("_")[1]), 0.0) for node in graph}

    after = count_crossings(graph, layered_positions(graph), weight="weight")

    assert after <= count_crossings(graph, by_name, weight="weight")


@given(graph=layered_graphs(), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_the_layout_depends_on_the_graph_alone(graph, seed):
    rng = random.Random(seed)
    nodes, edges = list(graph.nodes(data=True)), list(graph.edges(data=True))
    rng.shuffle(nodes)
    rng.shuffle(edges)
    shuffled = nx.DiGraph()
    shuffled.add_nodes_from(nodes)
    shuffled.add_edges_from(edges)

    assert layered_positions(shuffled) == layered_positions(graph)


@given(graph=layered_graphs())
@settings(deadline=None)
def test_nodes_stand_in_the_unit_square_evenly_and_centred(graph):
    positions = layered_positions(graph)

    assert set(positions) == set(graph)
    layers = {attributes["layer"] for _, attributes in graph.nodes(data=True)}
    for layer in layers:
        across = sorted(positions[node][0] for node in graph if graph.nodes[node]["layer"] == layer)
        assert across == pytest.approx([(index + 0.5) / len(across) for index in range(len(across))])
        heights = {positions[node][1] for node in graph if graph.nodes[node]["layer"] == layer}
        assert heights == {1 - layer / (len(layers) - 1) if len(layers) > 1 else 0.5}


def test_a_planar_graph_is_drawn_without_crossings():
    straight = [(layer, index, index, 1 + index) for layer in range(4) for index in range(6)]
    graph = layered_graph([6] * 5, straight)
    rng = random.Random(0)
    names = {
        f"{layer}_{index}_0": f"{layer}_{place}_0"
        for layer in range(5)
        for index, place in enumerate(rng.sample(range(6), 6))
    }
    tangled = nx.relabel_nodes(graph, names)

    by_name = {node: (int(node.split("_")[1]), 0.0) for node in tangled}
    assert count_crossings(tangled, by_name) > 0
    assert count_crossings(tangled, layered_positions(tangled)) == 0


def test_weights_decide_which_crossing_is_avoided():
    heavy_straight = layered_graph([2, 2], [(0, 0, 1, 9), (0, 1, 0, 9), (0, 0, 0, 1), (0, 1, 1, 1)])

    assert count_crossings(heavy_straight, layered_positions(heavy_straight), weight="weight") == 1


def test_a_layer_without_nodes_keeps_its_place():
    graph = layered_graph([1], [])
    graph.graph["layers"] = (0, 1, 2)

    assert layered_positions(graph) == {"0_0_0": (0.5, 1.0)}


def test_layers_with_gaps_are_neighbours():
    graph = nx.DiGraph([("0_0_0", "6_1_0"), ("0_1_0", "6_0_0")])
    nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")

    assert count_crossings(graph, {node: (float(node[2]), 0.0) for node in graph}) == 1
    assert count_crossings(graph, layered_positions(graph)) == 0


def test_negative_weights_count_by_size():
    graph = layered_graph([2, 2], [(0, 0, 1, -2), (0, 1, 0, 3)])

    assert count_crossings(graph, {node: (float(node[2]), 0.0) for node in graph}, weight="weight") == 6


def test_a_dense_graph_of_13_layers_and_100_nodes_is_laid_out():
    rng = np.random.default_rng(0)
    edges = [
        (layer, upper, lower, 1 + int(rng.integers(9)))
        for layer in range(12)
        for upper in range(100)
        for lower in rng.choice(100, size=8, replace=False)
    ]
    graph = layered_graph([100] * 13, edges)

    started = time.process_time()
    positions = layered_positions(graph)

    assert len(positions) == 1300
    assert time.process_time() - started < 30  # some seconds; a count over all pairs takes minutes


def test_a_node_without_layer_is_named():
    with pytest.raises(InvalidInput, match="'lost' has no attribute 'layer'"):
        layered_positions(nx.DiGraph([("lost", "too")]))


def test_a_node_without_position_is_named():
    with pytest.raises(InvalidInput, match="2 of 2 nodes have no position"):
        count_crossings(layered_graph([2], []), {})
