import math

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.analysis.projections import project_layers, projection_metrics
from llm_mri_store.errors import InvalidInput
from tests.analysis.graphs import (
    ORACLE_LABELS,
    empty,
    graph_of,
    graphs,
    layered,
    oracle_graph,
    samples_strategy,
)


def test_projection_of_equal_weights_is_newmans():
    graph = layered(
        [("0_0", "1_0", 1), ("0_1", "1_0", 1), ("1_0", "2_0", 1), ("0_0", "1_1", 1), ("0_1", "1_1", 1)]
    )
    projected = project_layers(graph, parity="even")
    # 1_0 has three neighbours, so 1 / (3 - 1) each; 1_1 has two, so 1 / (2 - 1).
    assert projected.edges["0_0", "0_1"]["weight"] == pytest.approx(1.5)
    assert projected.edges["0_0", "2_0"]["weight"] == pytest.approx(0.5)
    assert projected.edges["0_1", "2_0"]["weight"] == pytest.approx(0.5)


def test_projection_of_unequal_weights_by_hand():
    graph = layered([("0_0", "1_0", 1), ("0_1", "1_0", 2), ("1_0", "2_0", 3)])
    projected = project_layers(graph, parity="even")
    assert projected.edges["0_0", "0_1"]["weight"] == pytest.approx(1 * 2 * (1 / 5 + 1 / 4) / 2)
    assert projected.edges["0_1", "2_0"]["weight"] == pytest.approx(2 * 3 * (1 / 4 + 1 / 3) / 2)


def test_projection_keeps_nodes_that_share_nothing():
    graph = layered([("0_0", "1_0", 1), ("1_1", "2_0", 1)])
    assert list(project_layers(graph, parity="odd").nodes(data="layer")) == [("1_0", 1), ("1_1", 1)]
    assert project_layers(graph, parity="even").number_of_edges() == 0


def test_parity_is_of_the_layers_number_where_layers_are_contiguous():
    graph = layered([("1_0", "2_0", 1), ("2_0", "3_0", 1)], layers=(1, 2, 3))
    assert set(project_layers(graph, parity="odd")) == {"1_0", "3_0"}
    assert project_layers(graph, parity="even").graph["layers"] == (2,)


def test_layers_with_gaps_alternate():
    graph = layered([("0_0", "4_0", 1), ("4_0", "8_0", 1)], layers=(0, 4, 8))
    assert set(project_layers(graph, parity="even")) == {"0_0", "8_0"}
    assert set(project_layers(graph, parity="odd")) == {"4_0"}


def test_an_unknown_parity_is_refused():
    with pytest.raises(InvalidInput, match="must be 'even' or 'odd'"):
        project_layers(layered([]), parity="both")


@given(samples_strategy, st.sampled_from(["even", "odd"]))
def test_projection_hands_on_the_weight_of_edges_whose_other_end_is_shared(samples, parity):
    graph = graph_of(samples)
    projected = project_layers(graph, parity=parity)
    neighbours = graph.to_undirected()
    shared = [node for node in neighbours if node not in projected and neighbours.degree(node) > 1]
    handed_on = sum(weight for _, weight in neighbours.degree(shared, weight="weight"))
    assert sum(weight for _, weight in projected.degree(weight="weight")) == pytest.approx(handed_on)


def test_projection_takes_absolute_weights_of_any_size():
    graph = layered([("0_0", "1_0", -1e17), ("0_1", "1_0", 1.0), ("0_2", "1_0", 0.0)])
    projected = project_layers(graph, parity="even")
    assert projected.edges["0_0", "0_1"]["weight"] == pytest.approx(5e16)
    assert projected.degree("0_2") == 0


def assert_projection_agrees_with_networkx(graph: nx.DiGraph, parity: str) -> None:
    found = projection_metrics(graph, parity=parity)
    projection = project_layers(graph, parity=parity)
    degrees = pd.Series([d for _, d in projection.degree()], dtype=float)
    strengths = pd.Series([s for _, s in projection.degree(weight="weight")], dtype=float)
    expected = {
        "n_nodes": len(projection),
        "n_edges": projection.number_of_edges(),
        "total_weight": projection.size(weight="weight"),
        "mean_degree": degrees.mean(),
        "var_degree": degrees.var(),
        "mean_strength": strengths.mean(),
        "var_strength": strengths.var(),
        "density": nx.density(projection) if len(projection) > 1 else math.nan,
        "average_clustering": nx.average_clustering(projection, weight="weight") if projection else math.nan,
        "n_components": nx.number_connected_components(projection),
    }
    components = sorted(
        nx.connected_components(projection),
        key=lambda nodes: (len(nodes), projection.subgraph(nodes).size(weight="weight")),
    )
    if components:
        expected["largest_component_share"] = len(components[-1]) / len(projection)
    sizes = [len(nodes) for nodes in components]
    if components and sizes[-1] > 1 and sizes.count(sizes[-1]) == 1:
        largest = projection.subgraph(components[-1]).copy()
        for *_, data in largest.edges(data=True):
            data["length"] = 1 / data["weight"]
        expected["average_shortest_path"] = nx.average_shortest_path_length(largest, weight="length")
    if found["assortativity"] is not None:
        ends = [(strengths[u], strengths[v]) for u, v in nx.convert_node_labels_to_integers(projection).edges]
        expected["assortativity"] = np.corrcoef(np.array(ends + [(v, u) for u, v in ends]).T)[0, 1]
    cleaned = {name: None if math.isnan(value) else value for name, value in expected.items()}
    assert {name: found[name] for name in cleaned} == pytest.approx(cleaned, abs=1e-9)


@given(graphs(), st.sampled_from(["even", "odd"]))
def test_projection_metrics_agree_with_networkx(graph, parity):
    assert_projection_agrees_with_networkx(graph, parity)


def test_strong_links_of_a_projection_are_short():
    def path(weight):
        graph = layered([("0_0", "1_0", weight), ("0_1", "1_0", weight)], n_layers=2)
        return projection_metrics(graph, parity="even")["average_shortest_path"]

    assert path(4.0) == pytest.approx(0.25)
    assert path(1.0) == pytest.approx(1.0)


def test_projection_measures_the_largest_component_and_says_its_share():
    graph = layered(
        [("0_0", "1_0", 1), ("0_1", "1_0", 1), ("0_2", "1_0", 1), ("0_3", "1_1", 1), ("0_4", "1_1", 1)],
        n_layers=2,
    )
    found = projection_metrics(graph, parity="even")
    assert found["n_components"] == 2
    assert found["largest_component_share"] == 0.6
    assert found["average_shortest_path"] == pytest.approx(2.0)
    assert found["average_clustering"] == pytest.approx(3 * 0.5 / 5)


def test_of_equally_large_components_the_strongest_is_measured():
    graph = layered([("0_0", "1_0", 1), ("0_1", "1_0", 1), ("0_2", "1_1", 4), ("0_3", "1_1", 4)], n_layers=2)
    assert projection_metrics(graph, parity="even")["average_shortest_path"] == pytest.approx(0.25)


def test_paths_of_more_nodes_than_are_held_at_a_time():
    graph = layered([(f"0_{index}", "1_0", 1.0) for index in range(300)], n_layers=2)
    found = projection_metrics(graph, parity="even")
    assert found["average_shortest_path"] == pytest.approx(299.0)
    assert found["average_clustering"] == pytest.approx(1.0)


@pytest.mark.parametrize("parity", ["even", "odd"])
def test_projection_of_a_graph_without_nodes(parity):
    found = projection_metrics(empty(), parity=parity)
    assert {name: value for name, value in found.items() if value is not None} == {
        "n_nodes": 0,
        "n_edges": 0,
        "total_weight": 0.0,
        "n_components": 0,
    }


def test_projection_of_nodes_that_share_nothing():
    found = projection_metrics(layered([("0_0", "1_0", 1), ("0_1", "1_1", 1)], n_layers=2), parity="even")
    assert found["average_clustering"] == 0.0
    assert found["n_components"] == 2
    assert found["largest_component_share"] == 0.5
    assert found["average_shortest_path"] is None


@pytest.mark.parametrize("name", [*ORACLE_LABELS, "all"])
@pytest.mark.parametrize("parity", ["even", "odd"])
def test_projections_of_a_real_graph_agree_with_networkx(name, parity):
    assert_projection_agrees_with_networkx(oracle_graph(name), parity)


@pytest.mark.parametrize("n_nearest", [1, 2, 12])
def test_shortest_paths_do_not_depend_on_how_detours_are_found(monkeypatch, n_nearest):
    expected = projection_metrics(oracle_graph("all"), parity="odd")
    monkeypatch.setattr("llm_mri_store.analysis.projections._NEAREST", n_nearest)
    monkeypatch.setattr("llm_mri_store.analysis.projections._PATH_ROWS", 7)
    assert projection_metrics(oracle_graph("all"), parity="odd") == pytest.approx(expected, abs=1e-12)
