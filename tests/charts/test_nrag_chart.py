import json
import random

import networkx as nx
import pytest

from llm_mri_store.charts import EDGE_WIDTH_PX, graph_paths, layered_positions, nrag_chart
from llm_mri_store.charts.graph_paths import nodes_on_paths
from llm_mri_store.charts.theme import LABELS
from llm_mri_store.errors import InvalidInput


def small_graph(labels=("true", "fake"), totals=(100, 50), edges=None):
    """0_0_0 -> 1_0_0 and 0_1_1 -> 1_0_0, and the isolated 1_5_5; edges: weights by label."""
    graph = nx.DiGraph(
        labels=labels,
        layers=(0, 1),
        degenerate_layers=(),
        label_totals=dict(zip(labels, totals, strict=True)),
        grid=10,
    )
    for node in ("0_0_0", "0_1_1", "1_0_0", "1_5_5"):
        layer, x, y = map(int, node.split("_"))
        graph.add_node(node, layer=layer, cell=(x, y), label_weights=dict.fromkeys(labels, 2))
    edges = edges or [[10.0] * len(labels), [500.0, *[0.0] * (len(labels) - 1)]]
    for source, weights in zip(("0_0_0", "0_1_1"), edges, strict=True):
        label_weights = dict(zip(labels, weights, strict=True))
        graph.add_edge(source, "1_0_0", weight=sum(weights), label_weights=label_weights)
    return graph


def rows_with(chart, column):
    """The rows of the one dataset that has a column."""
    (rows,) = [rows for rows in chart.to_dict()["datasets"].values() if column in rows[0]]
    return rows


def layer_of(chart, mark):
    return [layer for layer in chart.to_dict()["layer"] if layer["mark"]["type"] == mark][-1]


def test_edges_and_nodes_are_those_of_the_graph():
    chart = nrag_chart(small_graph(), title="t")

    edges = {(row["source"], row["target"]): row["weight"] for row in rows_with(chart, "source")}
    assert edges == {("0_0_0", "1_0_0"): 20.0, ("0_1_1", "1_0_0"): 500.0}
    nodes = {row["node"]: row for row in rows_with(chart, "node")}
    assert {node: row["strength"] for node, row in nodes.items()} == {
        "0_0_0": 20.0,
        "0_1_1": 500.0,
        "1_0_0": 520.0,
        "1_5_5": 0,
    }
    assert nodes["1_5_5"]["by_label"] == "true: 2 · fake: 2"
    assert nodes["0_1_1"]["place"] == "cell 1, 1"


def test_the_width_of_edges_is_bounded_whatever_the_weights():
    scale = layer_of(nrag_chart(small_graph(), title="t"), "rule")["encoding"]["strokeWidth"]["scale"]

    assert scale == {"domain": [0, 500.0], "range": list(EDGE_WIDTH_PX)}


def test_edges_are_drawn_beneath_nodes_and_thin_ones_first():
    chart = nrag_chart(small_graph(), title="t")

    marks = [layer["mark"]["type"] for layer in chart.to_dict()["layer"]]
    assert marks.index("rule") < marks.index("circle")
    assert [row["weight"] for row in rows_with(chart, "source")] == [20.0, 500.0]


def test_two_labels_are_compared_by_shares_of_their_classes():
    chart = nrag_chart(small_graph(), title="t")

    balance = {row["source"]: row["balance"] for row in rows_with(chart, "source")}
    assert balance == {"0_0_0": pytest.approx((10 / 50) / (10 / 100 + 10 / 50)), "0_1_1": 0.0}


def test_labels_of_equal_share_stand_in_the_middle():
    chart = nrag_chart(small_graph(edges=[[100.0, 50.0], [2.0, 1.0]]), title="t")

    assert [row["balance"] for row in rows_with(chart, "source")] == [0.5, 0.5]


def test_more_labels_take_the_colour_of_the_leading_one():
    graph = small_graph(("a", "b", "c"), (100, 10, 100), [[20.0, 4.0, 0.0], [0.0, 0.0, 7.0]])

    chart = nrag_chart(graph, title="t")

    leading = {row["source"]: (row["leading"], row["lead"]) for row in rows_with(chart, "source")}
    assert leading["0_0_0"] == ("b", pytest.approx(0.4 / 0.6))
    assert leading["0_1_1"] == ("c", 1.0)
    scale = layer_of(chart, "rule")["encoding"]["color"]["scale"]
    assert scale == {"domain": ["a", "b", "c"], "range": LABELS}


def test_one_label_is_one_hue():
    chart = nrag_chart(small_graph(("a",), (10,)), title="t")

    colour = layer_of(chart, "rule")["encoding"]["color"]
    assert colour["field"] == "tone"
    assert colour["legend"] is None


def test_layers_are_named_also_those_without_nodes():
    graph = small_graph()
    graph.graph.update(layers=(0, 1, 2, 3), degenerate_layers=(0, 3))

    names = {row["name"]: row["y"] for row in rows_with(nrag_chart(graph, title="t"), "name")}

    assert names == {
        "layer 0\n(embedding, degenerate)": 1.0,
        "layer 1": pytest.approx(2 / 3),
        "layer 2": pytest.approx(1 / 3),
        "layer 3\n(degenerate)": 0.0,
    }


def test_given_positions_are_kept():
    positions = {node: (float(index), float(-index)) for index, node in enumerate(small_graph())}

    rows = rows_with(nrag_chart(small_graph(), title="t", positions={**positions, "9_9_9": (7, 7)}), "node")

    assert {row["node"]: (row["x"], row["y"]) for row in rows} == positions


def test_a_subgraph_keeps_the_places_of_the_whole():
    whole = small_graph()
    positions = layered_positions(whole)
    part = whole.subgraph(["0_0_0", "1_0_0"])

    rows = rows_with(nrag_chart(part, title="t", positions=positions), "node")

    assert {row["node"]: (row["x"], row["y"]) for row in rows} == {node: positions[node] for node in part}


def test_light_edges_can_be_left_out_and_the_subtitle_tells():
    chart = nrag_chart(small_graph(), title="t", subtitle=["news"], min_weight_percentile=50)

    assert [row["weight"] for row in rows_with(chart, "source")] == [500.0]
    assert {row["node"]: row["strength"] for row in rows_with(chart, "node")}["0_0_0"] == 20.0
    assert chart.to_dict()["title"]["subtitle"] == [
        "news",
        "1 of 2 edges kept: those of at least 500 samples",
    ]


def test_of_very_many_edges_the_heaviest_are_kept_and_the_subtitle_tells():
    chart = nrag_chart(small_graph(), title="t", most_edges=1)

    assert [row["weight"] for row in rows_with(chart, "source")] == [500.0]
    assert chart.to_dict()["title"]["subtitle"] == [
        "1 of 2 edges kept: the heaviest; some of those of 500 samples are left out"
    ]


def test_a_graph_without_edges_is_drawn_by_its_samples():
    graph = small_graph()
    graph.remove_edges_from(list(graph.edges))

    chart = nrag_chart(graph, title="t")

    assert chart.to_dict()["title"]["subtitle"] == ["no edges to draw"]
    assert {row["area"] for row in rows_with(chart, "node")} == {4}


def test_components_are_joined_by_the_size_of_their_correlation():
    graph = nx.DiGraph(labels=("a", "b"), label_totals={"a": 100, "b": 1})
    graph.add_node("0_1", layer=0, component=1)
    graph.add_node("1_0", layer=1, component=0)
    graph.add_edge("0_1", "1_0", weight=-0.8, label_weights={"a": -0.4, "b": -0.4})

    chart = nrag_chart(graph, title="t")

    (edge,) = rows_with(chart, "source")
    assert (edge["weight"], edge["balance"]) == (0.8, 0.5)
    assert {row["place"]: row["balance"] for row in rows_with(chart, "node")} == {
        "component 1": 0.5,
        "component 0": 0.5,
    }
    assert "|rho| on an edge" in json.dumps(chart.to_dict())


def test_texts_of_a_node_are_shown_short():
    graph = small_graph()
    graph.nodes["0_0_0"]["texts"] = ["x" * 500, "b", "c", "d"]

    rows = {row["node"]: row["texts"] for row in rows_with(nrag_chart(graph, title="t"), "node")}

    assert rows["0_0_0"].split("\n") == ["“" + "x" * 99 + "…”", "“b”", "“c”"]
    assert rows["1_5_5"] == ""


def test_the_same_graph_gives_the_same_chart():
    assert nrag_chart(small_graph(), title="t").to_dict() == nrag_chart(small_graph(), title="t").to_dict()


def test_pointing_at_a_node_fades_what_no_path_through_it_passes():
    chart = nrag_chart(small_graph(), title="t")

    (hover,) = [one for one in chart.to_dict()["params"] if one["name"] == "hover"]
    assert (hover["views"], hover["select"]["fields"]) == (["nodes"], ["node", "paths"])
    for mark in ("rule", "circle"):
        (condition,) = layer_of(chart, mark)["encoding"]["opacity"]["condition"]
        assert "hover.paths" in condition["test"]
    nodes = {row["node"]: row for row in rows_with(chart, "node")}
    on_paths = {
        node: {other for other in nodes if f",{nodes[other]['number']}," in row["paths"]}
        for node, row in nodes.items()
    }
    assert on_paths == {
        "0_0_0": {"0_0_0", "1_0_0"},
        "0_1_1": {"0_1_1", "1_0_0"},
        "1_0_0": {"0_0_0", "0_1_1", "1_0_0"},
        "1_5_5": {"1_5_5"},
    }
    for row in rows_with(chart, "source"):
        assert row["source_number"] == nodes[row["source"]]["number"]
        assert row["target_number"] == nodes[row["target"]]["number"]


def test_paths_are_those_that_networkx_finds():
    rng = random.Random(0)
    graph = nx.DiGraph()
    for layer in range(5):
        graph.add_edges_from(
            (f"{layer}_{rng.randrange(6)}", f"{layer + 1}_{rng.randrange(6)}") for _ in range(6)
        )

    found, n_steps = nodes_on_paths(list(graph.edges), list(graph))

    assert n_steps == nx.dag_longest_path_length(graph)
    assert found == {node: {node, *nx.ancestors(graph, node), *nx.descendants(graph, node)} for node in graph}


def test_paths_of_a_dense_graph_end_early_and_the_subtitle_tells(monkeypatch):
    monkeypatch.setattr(graph_paths, "MOST_NAMED", 8)
    graph = nx.DiGraph(labels=("a",), layers=range(4), label_totals={"a": 1})
    for layer in range(4):
        graph.add_node(f"{layer}_0_0", layer=layer, cell=(0, 0), label_weights={"a": 1})
    nx.add_path(graph, [f"{layer}_0_0" for layer in range(4)], weight=1.0, label_weights={"a": 1.0})

    chart = nrag_chart(graph, title="t")

    assert "paths that light up have at most 1 step to either side" in chart.to_dict()["title"]["subtitle"]


def test_the_slider_hides_the_edges_that_the_same_percentile_leaves_out():
    rng = random.Random(1)
    graph = nx.DiGraph(labels=("a",), layers=(0, 1), label_totals={"a": 9})
    for layer in (0, 1):
        for x in range(6):
            graph.add_node(f"{layer}_{x}_0", layer=layer, cell=(x, 0), label_weights={"a": 1})
    for x in range(6):
        for y in range(6):
            weight = float(rng.randint(1, 9))
            graph.add_edge(f"0_{x}_0", f"1_{y}_0", weight=weight, label_weights={"a": weight})
    chart = nrag_chart(graph, title="t")
    rows = rows_with(chart, "source")

    (slider,) = [one for one in chart.to_dict()["params"] if one["name"] == "edge_percentile"]
    assert (slider["value"], slider["bind"]["min"], slider["bind"]["input"]) == (0, 0, "range")
    assert {"filter": "datum.percentile >= edge_percentile"} in layer_of(chart, "rule")["transform"]
    for percentile in (0, 5, 12.5, 50, 77.5, 90, 99.5):
        kept = rows_with(nrag_chart(graph, title="t", min_weight_percentile=percentile), "source")
        assert {(row["source"], row["target"]) for row in kept} == {
            (row["source"], row["target"]) for row in rows if row["percentile"] >= percentile
        }


def test_a_graph_without_nodes_is_refused():
    with pytest.raises(InvalidInput, match="no nodes"):
        nrag_chart(nx.DiGraph(), title="t")


@pytest.mark.parametrize("percentile", [-1, 100, float("nan")])
def test_a_percentile_out_of_range_is_refused(percentile):
    with pytest.raises(InvalidInput, match="min_weight_percentile is"):
        nrag_chart(small_graph(), title="t", min_weight_percentile=percentile)


def test_positions_that_leave_out_a_node_are_refused():
    with pytest.raises(InvalidInput, match="4 of 4 nodes have no position"):
        nrag_chart(small_graph(), title="t", positions={})
