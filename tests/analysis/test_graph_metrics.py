import math

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.analysis.communities import communities
from llm_mri_store.analysis.graph_metrics import (
    assortativity,
    center_of_mass,
    center_of_strength,
    degree_by_layer,
    density,
    graph_metrics,
)
from llm_mri_store.analysis.projections import projection_metrics
from llm_mri_store.analysis.reachability import reachability
from llm_mri_store.errors import InvalidInput
from tests.analysis.graphs import ORACLE, ORACLE_LABELS, empty, fully_connected, graphs, layered, oracle_graph


@pytest.mark.parametrize("name", [*ORACLE_LABELS, "all"])
def test_edges_are_those_of_llm_mri(name):
    graph = oracle_graph(name)
    assert sorted([u, v, w] for u, v, w in graph.edges(data="weight")) == ORACLE["graphs"][name]["edges"]


@pytest.mark.parametrize("name", [*ORACLE_LABELS, "all"])
def test_metrics_are_those_of_llm_mri(name):
    ours, theirs = graph_metrics(oracle_graph(name)), dict(ORACLE["graphs"][name]["metrics"])
    assert ours["total_weight"] == theirs.pop("sum_weight")
    # LLM-MRI counts depth from 7 / 2, half a layer below the middle of layers 0-6.
    assert 6 * ours["center_of_mass"] - 3.5 == pytest.approx(theirs.pop("center_of_mass"), abs=1e-9)
    assert {metric: ours[metric] for metric in theirs} == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("name", [*ORACLE_LABELS, "all"])
def test_mean_degree_by_layer_is_that_of_llm_mri(name):
    ours = degree_by_layer(oracle_graph(name))["mean_degree"].to_pylist()
    # Its eighth row is a layer that does not exist.
    assert [*ours, None] == pytest.approx(ORACLE["graphs"][name]["mean_degree_by_layer"], abs=1e-9)


@pytest.mark.parametrize("n_layers", [2, 3, 7])
def test_a_fully_connected_graph_has_density_one_and_its_centers_in_the_middle(n_layers):
    metrics = graph_metrics(fully_connected([3] * n_layers))
    assert metrics["density"] == 1.0
    assert metrics["center_of_mass"] == pytest.approx(0.5)
    assert metrics["center_of_strength"] == pytest.approx(0.5)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=5))
def test_density_of_a_fully_connected_graph_is_one_whatever_its_layers_hold(sizes):
    assert density(fully_connected(sizes)) == 1.0


def test_density_by_hand():
    # 2 x 2 possible edges, then 2 x 1.
    graph = layered([("0_0", "1_0", 5), ("0_1", "1_1", 5), ("1_0", "2_0", 5)], n_layers=3)
    assert density(graph) == 0.5


def test_density_leaves_degenerate_layers_out():
    graph = layered([("1_0", "2_0", 1)], n_layers=3, degenerate_layers=(0,))
    graph.add_node("0_0", layer=0)
    assert density(graph) == 1.0


def test_density_without_neighbouring_nodes_is_none():
    assert density(empty()) is None
    assert density(empty(n_layers=1)) is None


def test_centers_by_hand():
    graph = layered([("0_0", "1_0", 1), ("1_0", "2_0", 3)], n_layers=5)
    assert center_of_mass(graph) == pytest.approx((0 + 1 + 2) / 3 / 4)
    assert center_of_strength(graph) == pytest.approx((1 * 0 + 4 * 1 + 3 * 2) / 8 / 4)


def test_centers_do_not_depend_on_how_layers_are_numbered():
    graph = layered([("0_0", "1_0", 1), ("1_0", "2_0", 3)], n_layers=3)
    shifted = nx.relabel_nodes(graph, {"0_0": "4_0", "1_0": "8_0", "2_0": "12_0"})
    nx.set_node_attributes(shifted, {"4_0": 4, "8_0": 8, "12_0": 12}, "layer")
    shifted.graph["layers"] = (4, 8, 12)
    assert graph_metrics(shifted) == graph_metrics(graph)


@pytest.mark.parametrize("name", [*ORACLE_LABELS, "all"])
def test_strength_of_a_graph_of_counts_is_centered_whatever_the_texts(name):
    assert center_of_strength(oracle_graph(name)) == pytest.approx(0.5)


def test_centers_of_nothing_are_none():
    assert center_of_mass(empty()) is None
    assert center_of_strength(empty()) is None
    one_layer = empty(n_layers=1)
    one_layer.add_node("0_0", layer=0)
    assert center_of_mass(one_layer) is None
    isolated = empty()
    isolated.add_node("0_0", layer=0)
    assert center_of_mass(isolated) == 0.0
    assert center_of_strength(isolated) is None


def test_assortativity_is_perfect_where_strong_nodes_lead_to_strong_nodes():
    graph = layered([("0_0", "1_0", 5), ("0_1", "1_1", 1)], n_layers=2)
    assert assortativity(graph) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "graph",
    [empty(), fully_connected([2, 2]), layered([("0_0", "1_0", 3)], n_layers=2)],
    ids=["no edges", "all alike", "one edge"],
)
def test_assortativity_of_edges_that_are_all_alike_is_none(graph):
    assert assortativity(graph) is None


@given(graphs())
def test_assortativity_is_that_of_networkx(graph):
    ours = assortativity(graph)
    if ours is not None:
        theirs = nx.degree_assortativity_coefficient(graph, weight="weight")
        assert ours == pytest.approx(theirs, abs=1e-9)


@given(graphs(), st.randoms(use_true_random=False))
def test_metrics_do_not_depend_on_the_names_of_cells(graph, random):
    nodes = list(graph)
    names = {}
    for layer in graph.graph["layers"]:
        here = [node for node in nodes if graph.nodes[node]["layer"] == layer]
        names |= dict(zip(here, random.sample(here, len(here)), strict=True))
    renamed = nx.DiGraph(**graph.graph)
    renamed.add_nodes_from((node, graph.nodes[node]) for node in random.sample(nodes, len(nodes)))
    renamed.add_edges_from((names[u], names[v], data) for u, v, data in graph.edges(data=True))
    assert unsearched(graph_metrics(renamed)) == pytest.approx(unsearched(graph_metrics(graph)), abs=1e-9)


def unsearched(metrics: dict) -> dict:
    """The numbers that do not come from a search, which names of nodes may lead elsewhere."""
    return {name: value for name, value in metrics.items() if name not in ("n_communities", "modularity")}


def test_metrics_added_to_llm_mris_agree_with_their_functions():
    graph = oracle_graph("all")
    metrics, found = graph_metrics(graph, seed=3), communities(graph, seed=3)
    assert (metrics["n_communities"], metrics["modularity"]) == (found.n_communities, found.modularity)
    reached = reachability(graph)
    assert (metrics["joined_share"], metrics["mean_reachable"]) == (
        reached.joined_share,
        reached.mean_reachable,
    )


@given(graphs())
def test_every_metric_is_in_its_range_and_never_nan(graph):
    metrics = graph_metrics(graph)
    projections = [projection_metrics(graph, parity=parity) for parity in ("even", "odd")]
    for row in (metrics, *projections):
        assert all(
            value is None or (type(value) in (int, float) and math.isfinite(value)) for value in row.values()
        )
        for name in ("density", "center_of_mass", "center_of_strength", "average_clustering"):
            assert row.get(name) is None or 0 <= row[name] <= 1 + 1e-12
        assert row["assortativity"] is None or -1 <= row["assortativity"] <= 1
    assert metrics["mean_degree"] is None or metrics["mean_degree"] == pytest.approx(
        2 * metrics["n_edges"] / metrics["n_nodes"]
    )
    assert metrics["mean_strength"] is None or metrics["mean_strength"] == pytest.approx(
        2 * metrics["total_weight"] / metrics["n_nodes"]
    )


def test_strengths_are_sums_of_absolute_weights():
    edges = [("0_0", "1_0", 3.0), ("0_1", "1_0", 1.0), ("1_0", "2_0", 2.0)]
    signed = [(u, v, -w if w == 3.0 else w) for u, v, w in edges]
    assert graph_metrics(layered(signed, n_layers=3)) == graph_metrics(layered(edges, n_layers=3))
    assert graph_metrics(layered(signed, n_layers=3))["total_weight"] == 6.0


def test_metrics_of_a_graph_without_nodes():
    metrics = graph_metrics(empty())
    assert {name: value for name, value in metrics.items() if value is not None} == {
        "n_nodes": 0,
        "n_edges": 0,
        "total_weight": 0.0,
        "n_communities": 0,
    }


def test_metrics_of_nodes_without_edges():
    graph = empty()
    graph.add_nodes_from((f"{layer}_0", {"layer": layer}) for layer in range(3))
    metrics = graph_metrics(graph)
    assert (metrics["mean_degree"], metrics["var_strength"], metrics["density"]) == (0.0, 0.0, 0.0)
    assert metrics["skew_degree"] is None


def test_degree_by_layer_by_hand():
    graph = layered([("0_0", "1_0", 1), ("0_0", "1_1", 2), ("0_1", "1_0", 4), ("1_0", "2_0", 5)], n_layers=4)
    table = degree_by_layer(graph)
    assert table.to_pylist()[1] == {
        "layer": 1, "n_nodes": 2, "mean_degree": 2.0, "var_degree": 2.0,
        "mean_in_degree": 1.5, "var_in_degree": 0.5, "mean_out_degree": 0.5, "var_out_degree": 0.5,
        "mean_in_strength": 3.5, "mean_out_strength": 2.5,
    }  # fmt: skip
    assert table["layer"].to_pylist() == [0, 1, 2, 3]
    assert table["n_nodes"].to_pylist() == [2, 2, 1, 0]
    assert table["mean_in_degree"].to_pylist() == [0.0, 1.5, 1.0, None]
    assert table["var_degree"].to_pylist() == [0.5, 2.0, None, None]


def test_degree_by_layer_of_an_empty_graph_has_a_row_per_layer():
    table = degree_by_layer(empty())
    assert table["n_nodes"].to_pylist() == [0, 0, 0]
    assert table["mean_degree"].null_count == 3
    assert table.schema == degree_by_layer(fully_connected([2, 2, 2])).schema


def test_metrics_of_a_graph_without_layers_are_refused():
    with pytest.raises(InvalidInput, match="no attribute 'layers'"):
        graph_metrics(nx.DiGraph())
