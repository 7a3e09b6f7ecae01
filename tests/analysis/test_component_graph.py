import networkx as nx
import numpy as np
import pyarrow as pa
import pytest

from llm_mri_store.analysis.component_graph import build_component_graph
from llm_mri_store.analysis.correlations import correlate_layers
from llm_mri_store.analysis.graph_files import edge_table, to_export_graph, write_graph
from llm_mri_store.analysis.graph_metrics import degree_by_layer, graph_metrics
from llm_mri_store.charts.graph import nrag_chart
from llm_mri_store.errors import InvalidInput, UnknownName

LABELS = ["bird", "fish"]


def planted() -> pa.Table:
    """Links 0_0 -> 1_2 of both labels, falling in fish, and 1_1 -> 2_0 of birds alone."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(3, 80, 3))
    is_bird = np.arange(80) < 50
    points[1, :, 2] = np.where(is_bird, points[0, :, 0], -points[0, :, 0])
    points[2, is_bird, 0] = points[1, is_bird, 1] + 0.2 * rng.normal(size=50)
    return correlate_layers(enumerate(points), np.where(is_bird, "bird", "fish").tolist())


def graph_of(correlations: pa.Table | None = None, **choice: object) -> nx.DiGraph:
    defaults = {"labels": LABELS, "layers": (0, 1, 2), "n_components": 3, "threshold": 0.8}
    return build_component_graph(planted() if correlations is None else correlations, **(defaults | choice))


def test_planted_links_are_found_between_their_own_ends():
    assert list(graph_of().edges) == [("0_0", "1_2"), ("1_1", "2_0")]
    assert list(graph_of(labels=["fish"]).edges) == [("0_0", "1_2")]
    assert list(graph_of(threshold=None, fdr=1e-9).edges) == [("0_0", "1_2"), ("1_1", "2_0")]


def test_an_edge_keeps_every_labels_own_correlation():
    shared, own = graph_of().edges["0_0", "1_2"], graph_of().edges["1_1", "2_0"]
    assert shared["label_weights"] == {"bird": 1.0, "fish": 1.0}
    assert shared["label_rho"] == {"bird": 1.0, "fish": -1.0}
    assert own["label_weights"] == {"bird": own["weight"], "fish": 0.0}
    assert own["label_rho"]["bird"] == own["weight"] > 0.9
    assert 0 < abs(own["label_rho"]["fish"]) < 0.8
    assert own["label_q"]["bird"] < 1e-9 < own["label_q"]["fish"]
    assert set(own["label_p"]) == set(LABELS)


def test_the_weight_is_the_largest_of_the_labels_that_keep_the_edge():
    rows = {"label": LABELS, "rho": [0.5, -0.7], "p": [0.1, 0.2], "q": [0.01, 0.2], "n": [9, 9]}
    place = {"layer": [0] * 2, "next_layer": [1] * 2, "from_component": [0] * 2, "to_component": [0] * 2}
    table = pa.table(rows | place | {"source": ["0_0"] * 2, "target": ["1_0"] * 2})
    options = {"labels": LABELS, "layers": (0, 1), "n_components": 1}
    assert build_component_graph(table, **options).edges["0_0", "1_0"]["weight"] == 0.7
    by_level = build_component_graph(table, **options, fdr=0.05).edges["0_0", "1_0"]
    assert by_level["weight"] == 0.5
    assert by_level["label_weights"] == {"bird": 0.5, "fish": 0.0}
    twice = pa.concat_tables([table, table])
    with pytest.raises(InvalidInput, match="0_0 -> 1_0 has two rows of the label 'bird'"):
        build_component_graph(twice, **options)


def test_the_graph_says_what_it_was_built_from():
    assert graph_of(degenerate_layers=[2, 7]).graph == {
        "labels": ("bird", "fish"),
        "layers": (0, 1, 2),
        "degenerate_layers": (2,),
        "label_totals": {"bird": 50, "fish": 30},
        "n_components": 3,
        "selection": "|rho| >= 0.8",
    }


def test_nodes_know_their_layer_and_component_and_come_in_order():
    graph = graph_of(isolated=True)
    assert list(graph)[:4] == ["0_0", "0_1", "0_2", "1_0"]
    assert graph.nodes["1_2"] == {"layer": 1, "component": 2}
    assert len(graph) == 9
    many = graph_of(isolated=True, layers=range(12), n_components=11)
    assert list(many)[9:13] == ["0_9", "0_10", "1_0", "1_1"]


def test_a_degenerate_layer_has_no_edges():
    assert list(graph_of(degenerate_layers=[2]).edges) == [("0_0", "1_2")]
    points = np.random.default_rng(0).normal(size=(2, 20, 2))
    points[0] = 0.0
    table = correlate_layers(enumerate(points), ["a"] * 20)
    assert len(build_component_graph(table, labels=["a"], layers=(0, 1), n_components=2, threshold=0)) == 0


def test_flipping_signs_changes_no_weight_and_no_edge():
    points = np.random.default_rng(1).normal(size=(3, 15, 4))
    flipped = points * np.random.default_rng(2).choice([-1, 1], size=(3, 1, 4))
    one, other = (
        graph_of(
            correlate_layers(enumerate(array), ["bird"] * 15), labels=["bird"], threshold=0.3, n_components=4
        )
        for array in (points, flipped)
    )
    assert one.number_of_edges() == 5
    assert list(one.edges(data="weight")) == list(other.edges(data="weight"))
    assert [q for *_, q in one.edges(data="label_q")] == [q for *_, q in other.edges(data="label_q")]
    assert [rho for *_, rho in one.edges(data="label_rho")] != [
        rho for *_, rho in other.edges(data="label_rho")
    ]


def test_unusable_arguments_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'bird'"):
        graph_of(labels=["birds"])
    with pytest.raises(InvalidInput, match="names the component 1_2, but each layer has 2"):
        graph_of(n_components=2)
    with pytest.raises(InvalidInput, match="threshold is 'x'"):
        graph_of(threshold="x")


def test_a_reduction_of_one_layer_has_a_graph_without_edges():
    table = correlate_layers([(0, np.zeros((4, 2)))], ["a"] * 4)
    graph = build_component_graph(table, labels=["a"], layers=[0], n_components=2, isolated=True)
    assert list(graph) == ["0_0", "0_1"]
    assert graph.graph["label_totals"] == {"a": 0}


def test_it_can_be_measured_drawn_and_written(tmp_path):
    for graph in (graph_of(isolated=True), graph_of(), graph_of(threshold=1, labels=["fish"], fdr=1e-300)):
        assert graph_metrics(graph)["n_edges"] == graph.number_of_edges()
        assert degree_by_layer(graph)["layer"].to_pylist() == [0, 1, 2]
        for ending in ("gexf", "graphml", "json", "parquet", "csv"):
            write_graph(graph, tmp_path / f"graph.{ending}")
    assert nrag_chart(graph_of(), title="Components").to_dict()["layer"]
    exported = to_export_graph(graph_of()).edges["0_0", "1_2"]
    assert exported["rho_fish"] == -1.0
    assert {"weight", "weight_bird", "p_bird", "q_fish"} <= exported.keys()
    rows = edge_table(graph_of()).to_pylist()
    assert [(row["source"], row["target"], row["label"]) for row in rows] == [
        ("0_0", "1_2", "bird"),
        ("0_0", "1_2", "fish"),
        ("1_1", "2_0", "bird"),
    ]
    assert rows[1]["rho"] == -rows[1]["weight"] == -1.0
