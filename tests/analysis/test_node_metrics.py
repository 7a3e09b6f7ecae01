import math

import pytest
from hypothesis import given

from llm_mri_store.analysis.centrality import betweenness, hubs_and_authorities, pagerank
from llm_mri_store.analysis.communities import communities
from llm_mri_store.analysis.node_metrics import node_metrics
from tests.analysis.graphs import empty, graph_of, graphs, layered, oracle_graph


def test_nodes_of_cells_say_their_cell_and_samples():
    row = node_metrics(graph_of()).to_pylist()[0]
    assert {name: row[name] for name in ("node", "layer", "cell_x", "cell_y", "n", "degree", "strength")} == {
        "node": "0_0_0", "layer": 0, "cell_x": 0, "cell_y": 0, "n": 4, "degree": 2, "strength": 4.0,
    }  # fmt: skip


def test_nodes_of_components_say_their_component():
    graph = layered([("0_1", "1_0", -0.5), ("0_1", "1_1", 0.25)], n_layers=2, n_components=2)
    for node in graph:
        graph.nodes[node]["component"] = int(node[2])
    table = node_metrics(graph)
    assert table["component"].to_pylist() == [1, 0, 1]
    assert "cell_x" not in table.column_names
    assert table["out_strength"].to_pylist() == [0.75, 0.0, 0.0]
    assert table["in_degree"].to_pylist() == [0, 1, 1]
    assert table["hub"].to_pylist() == [1.0, None, None]


def test_numbers_are_those_of_their_functions():
    graph = oracle_graph("all")
    table = node_metrics(graph, seed=2)
    hubs, authorities = hubs_and_authorities(graph)
    expected = {
        "pagerank": pagerank(graph),
        "betweenness": betweenness(graph),
        "hub": hubs,
        "authority": authorities,
        "community": communities(graph, seed=2).of_node,
        "degree": dict(graph.degree()),
        "in_strength": dict(graph.in_degree(weight="weight")),
        "strength": dict(graph.degree(weight="weight")),
    }
    assert table["node"].to_pylist() == list(graph)
    for name, values in expected.items():
        assert table[name].to_pylist() == pytest.approx([values[node] for node in graph])


@given(graphs())
def test_every_number_is_finite_or_null_and_the_same_again(graph):
    table = node_metrics(graph)
    assert table.equals(node_metrics(graph))
    for column in table.columns:
        assert all(not isinstance(value, float) or math.isfinite(value) for value in column.to_pylist())


def test_a_graph_without_nodes_has_no_rows_but_all_columns():
    assert node_metrics(empty()).schema == node_metrics(graph_of()).schema
    assert node_metrics(empty()).num_rows == 0
