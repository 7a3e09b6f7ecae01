import math
from fractions import Fraction

import networkx as nx
import pytest
from hypothesis import given

from llm_mri_store.analysis.centrality import betweenness, hubs_and_authorities, pagerank
from llm_mri_store.errors import InvalidInput
from tests.analysis.graphs import empty, fully_connected, graphs, layered, oracle_graph


@given(graphs())
def test_pagerank_is_that_of_networkx(graph):
    theirs = nx.pagerank(graph, weight="weight", tol=1e-13, max_iter=500)
    assert pagerank(graph) == pytest.approx(theirs, abs=1e-10)


def test_pagerank_sums_to_one_and_grows_with_the_weight_that_leads_there():
    ranks = pagerank(layered([("0_0", "1_0", 3), ("0_0", "1_1", -1)]))
    assert sum(ranks.values()) == pytest.approx(1.0)
    assert ranks["1_0"] / ranks["0_0"] == pytest.approx(1 + 0.85 * 3 / 4)
    assert ranks["1_1"] / ranks["0_0"] == pytest.approx(1 + 0.85 * 1 / 4)
    assert pagerank(empty()) == {}


@given(graphs())
def test_betweenness_is_that_of_networkx(graph):
    for _, _, data in graph.edges(data=True):
        # Exact, so that equally short paths are equal.
        data["length"] = 1 / Fraction(int(data["weight"]))
    theirs = nx.betweenness_centrality(graph, weight="length")
    assert betweenness(graph) == pytest.approx(theirs if len(graph) > 2 else dict.fromkeys(theirs), abs=1e-12)


def test_betweenness_of_a_real_graph_is_that_of_networkx(monkeypatch):
    graph = oracle_graph("all")
    for _, _, data in graph.edges(data=True):
        data["length"] = 1 / Fraction(int(data["weight"]))
    theirs = nx.betweenness_centrality(graph, weight="length")
    monkeypatch.setattr("llm_mri_store.analysis.centrality._PATH_CELLS", 5000)
    assert betweenness(graph) == pytest.approx(theirs, abs=1e-12)


def test_betweenness_takes_strong_edges_as_short():
    edges = [("0_0", "1_0", 4), ("1_0", "2_0", -4), ("0_0", "1_1", 1), ("1_1", "2_0", 1)]
    found = betweenness(layered(edges))
    assert (found["1_0"], found["1_1"]) == (1 / 6, 0.0)
    even = betweenness(layered([(u, v, 1) for u, v, _ in edges]))
    assert (even["1_0"], even["1_1"]) == (1 / 12, 1 / 12)


def test_hubs_and_authorities_of_one_pair_of_layers_are_those_of_networkx():
    graph = layered([("0_0", "1_0", 3), ("0_0", "1_1", 1), ("0_1", "1_1", 2), ("0_2", "1_0", 1)], n_layers=2)
    hubs, authorities = hubs_and_authorities(graph)
    their_hubs, their_authorities = nx.hits(graph, max_iter=1000, tol=1e-12)
    for node in graph:
        ours = (hubs[node], authorities[node])
        theirs = (their_hubs[node], their_authorities[node])
        assert [0.0 if one is None else one for one in ours] == pytest.approx(theirs, abs=1e-8)
    assert hubs["1_0"] is None
    assert authorities["0_0"] is None


@given(graphs())
def test_hubs_and_authorities_sum_to_one_in_every_layer_that_has_edges(graph):
    layers = graph.graph["layers"]
    layer_of = dict(graph.nodes(data="layer"))
    for scores, ends in zip(
        hubs_and_authorities(graph), ([u for u, _ in graph.edges], [v for _, v in graph.edges]), strict=True
    ):
        for layer in layers:
            here = [scores[node] for node in graph if layer_of[node] == layer]
            if any(layer_of[end] == layer for end in ends):
                assert all(0 <= score <= 1 for score in here)
                assert math.fsum(here) == pytest.approx(1.0)
            else:
                assert here == [None] * len(here)


@given(graphs())
def test_hubs_are_where_kleinbergs_iteration_leads(graph):
    hubs, authorities = hubs_and_authorities(graph)
    for source, target in graph.edges:
        # A fixed point: a hub is in proportion to the authorities it leads to, layer by layer.
        led_to = sum(data["weight"] * authorities[v] for _, v, data in graph.out_edges(source, data=True))
        total = sum(
            data["weight"] * authorities[v]
            for u, v, data in graph.edges(data=True)
            if graph.nodes[u]["layer"] == graph.nodes[source]["layer"]
        )
        assert hubs[source] == pytest.approx(led_to / total, abs=1e-6)
        assert authorities[target] >= 0


def test_equally_strong_groups_score_together():
    hubs, _ = hubs_and_authorities(
        layered([("0_0", "1_0", 2), ("0_1", "1_1", 2), ("0_2", "1_2", 1)], n_layers=2)
    )
    assert [hubs[f"0_{index}"] for index in range(3)] == pytest.approx([0.5, 0.5, 0.0])


def test_every_node_of_a_fully_connected_layer_is_as_central():
    graph = fully_connected([2, 3, 2])
    assert {round(value, 12) for node, value in betweenness(graph).items() if node[0] == "1"} == {
        round(4 / 3 / 30, 12)
    }
    hubs, authorities = hubs_and_authorities(graph)
    assert (hubs["0_0"], hubs["1_0"], hubs["2_0"]) == (pytest.approx(1 / 2), pytest.approx(1 / 3), None)
    assert (authorities["0_0"], authorities["2_0"]) == (None, pytest.approx(1 / 2))


@pytest.mark.parametrize("edge", [("1_0", "0_0", 1), ("0_0", "2_0", 1), ("0_0", "0_1", 1)])
@pytest.mark.parametrize("metric", [pagerank, betweenness, hubs_and_authorities])
def test_an_edge_that_does_not_lead_to_the_next_layer_is_refused(metric, edge):
    with pytest.raises(InvalidInput, match="does not lead from a layer to the next"):
        metric(layered([edge]))


def test_a_layer_that_the_graph_does_not_name_is_refused():
    with pytest.raises(InvalidInput, match="a node is at layer 7"):
        pagerank(layered([("0_0", "7_0", 1)]))
