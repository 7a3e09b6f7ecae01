import json
import math
from itertools import pairwise, product
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.analysis.graph import build_graph, project_layers
from llm_mri_store.analysis.graph_metrics import (
    Moments,
    assortativity,
    center_of_mass,
    center_of_strength,
    degree_by_layer,
    density,
    graph_metrics,
    moments,
    projection_metrics,
)
from llm_mri_store.errors import InvalidInput

ORACLE = json.loads((Path(__file__).parents[1] / "data" / "animals_pca2_graphs.json").read_text())
ORACLE_LABELS = ORACLE["labels"]


def layered(edges: list[tuple], *, n_layers: int, **attributes: object) -> nx.DiGraph:
    graph = nx.DiGraph(layers=tuple(range(n_layers)), **attributes)
    graph.add_weighted_edges_from(edges)
    nx.set_node_attributes(graph, {node: int(node.split("_")[0]) for node in graph}, "layer")
    return graph


def fully_connected(sizes: list[int]) -> nx.DiGraph:
    layers = [[f"{layer}_{index}" for index in range(size)] for layer, size in enumerate(sizes)]
    edges = [(u, v, 1.0) for here, there in pairwise(layers) for u, v in product(here, there)]
    return layered(edges, n_layers=len(sizes))


def empty(n_layers: int = 3) -> nx.DiGraph:
    return layered([], n_layers=n_layers)


@st.composite
def graphs(draw) -> nx.DiGraph:
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    possible = list(fully_connected(sizes).edges)
    chosen = draw(st.lists(st.sampled_from(possible), unique=True, max_size=len(possible)))
    weights = draw(st.lists(st.integers(1, 50), min_size=len(chosen), max_size=len(chosen)))
    return layered([(*edge, float(w)) for edge, w in zip(chosen, weights, strict=True)], n_layers=len(sizes))


def oracle_graph(name: str) -> nx.DiGraph:
    """The graph of one label (or all), built from rows as the queries would give them."""
    labels = ORACLE_LABELS if name == "all" else [name]
    samples = {(layer, x, y, label): n for layer, x, y, label, n in ORACLE["nodes"]}
    totals = {
        label: sum(n for *cell, one, n in ORACLE["nodes"] if one == label and cell[0] == 0)
        for label in labels
    }
    rows = []
    for label in labels:
        for source, target, weight in ORACLE["graphs"][label]["edges"]:
            (layer, from_x, from_y), (following, to_x, to_y) = (
                map(int, node.split("_")) for node in (source, target)
            )
            n_from, n_to = samples[layer, from_x, from_y, label], samples[following, to_x, to_y, label]
            expected = n_from * n_to / totals[label]
            rows.append(
                {
                    "label": label,
                    "layer": layer,
                    "source": source,
                    "target": target,
                    "from_x": from_x,
                    "from_y": from_y,
                    "to_x": to_x,
                    "to_y": to_y,
                    "weight": weight,
                    "n_from": n_from,
                    "n_to": n_to,
                    "n": totals[label],
                    "expected": expected,
                    "lift": weight / expected,
                }
            )
    nodes = [
        dict(zip(("layer", "cell_x", "cell_y", "label", "n"), row, strict=True)) for row in ORACLE["nodes"]
    ]
    return build_graph(
        pa.Table.from_pylist(rows),
        pa.Table.from_pylist(nodes),
        labels=labels,
        layers=ORACLE["layers"],
        label_totals=totals,
        grid=ORACLE["grid"],
    )


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


@pytest.mark.parametrize("name", [*ORACLE_LABELS, "all"])
@pytest.mark.parametrize("parity", ["even", "odd"])
def test_projections_of_a_real_graph_agree_with_networkx(name, parity):
    assert_projection_agrees_with_networkx(oracle_graph(name), parity)


def test_moments_by_hand():
    found = moments([1.0, 1.0, 2.0, 4.0])
    # Central moments: m2 = 1.5, m3 = 1.5, m4 = 4.5.
    assert found.mean == 2.0
    assert found.var == 2.0
    assert found.skew == pytest.approx(math.sqrt(4 * 3) / 2 * 1.5 / 1.5**1.5)
    assert found.kurt == pytest.approx(3 / (2 * 1) * (5 * (4.5 / 1.5**2) - 3 * 3))


@given(st.lists(st.integers(-50, 50), min_size=0, max_size=12))
def test_moments_are_those_of_pandas(values):
    series = pd.Series(values, dtype=float)
    theirs = [series.mean(), series.var(), series.skew(), series.kurt()]
    if len(set(values)) < 2:
        theirs[2:] = [math.nan, math.nan]  # pandas 2 gives 0 for a constant
    ours = moments(values)
    expected = [None if math.isnan(number) else number for number in theirs]
    assert [ours.mean, ours.var, ours.skew, ours.kurt] == pytest.approx(expected, abs=1e-9)


def test_moments_of_too_few_numbers_are_none():
    assert moments([]) == Moments(mean=None, var=None, skew=None, kurt=None)
    assert moments([3.0]) == Moments(mean=3.0, var=None, skew=None, kurt=None)
    assert moments([3.0, 5.0]) == Moments(mean=4.0, var=2.0, skew=None, kurt=None)


@pytest.mark.parametrize("constant", [[0.0] * 5, [2.0] * 5, [0.1 + 0.2, 0.3, 0.3, 0.3]])
def test_shape_of_a_constant_is_none(constant):
    found = moments(constant)
    assert found.var == pytest.approx(0.0, abs=1e-30)
    assert (found.skew, found.kurt) == (None, None)


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
    assert graph_metrics(renamed) == pytest.approx(graph_metrics(graph), abs=1e-9)


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


def test_metrics_of_a_graph_without_layers_are_refused():
    with pytest.raises(InvalidInput, match="no attribute 'layers'"):
        graph_metrics(nx.DiGraph())
