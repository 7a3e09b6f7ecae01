import networkx as nx
import pytest
from hypothesis import given

from llm_mri_store.analysis.reachability import Reachability, reachability
from llm_mri_store.errors import InvalidInput
from tests.analysis.graphs import empty, fully_connected, graphs, layered


@given(graphs())
def test_reachability_is_that_of_networkx(graph):
    found = reachability(graph)
    reached = {node: nx.descendants(graph, node) for node in graph}
    first, last = (
        [node for node, layer in graph.nodes(data="layer") if layer == graph.graph["layers"][end]]
        for end in (0, -1)
    )
    if first and last:
        joined = sum(end in reached[start] for start in first for end in last)
        assert found.joined_share == pytest.approx(joined / (len(first) * len(last)))
    else:
        assert found.joined_share is None
    mean = sum(map(len, reached.values())) / len(graph) if graph else None
    assert found.mean_reachable == pytest.approx(mean)


def test_every_node_reaches_all_later_layers_of_a_full_graph():
    assert reachability(fully_connected([9, 9, 9])) == Reachability(joined_share=1.0, mean_reachable=9.0)


def test_first_and_last_layer_are_those_that_vary():
    graph = layered([("1_0", "2_0", 1)], n_layers=4, degenerate_layers=(0, 3))
    graph.add_nodes_from([("0_0", {"layer": 0}), ("3_0", {"layer": 3}), ("2_1", {"layer": 2})])
    assert reachability(graph).joined_share == 0.5


def test_an_edge_of_weight_zero_is_none():
    assert reachability(layered([("0_0", "1_0", 0)], n_layers=2)) == Reachability(
        joined_share=0.0, mean_reachable=0.0
    )


def test_without_nodes_or_layers_there_is_nothing_to_reach():
    assert reachability(empty()) == Reachability(joined_share=None, mean_reachable=None)
    assert reachability(layered([], n_layers=1)).joined_share is None
    with pytest.raises(InvalidInput, match="no attribute 'layers'"):
        reachability(nx.DiGraph())
