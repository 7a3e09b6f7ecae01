import json
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from llm_mri_store.analysis.graph_files import edge_table, to_export_graph, write_graph
from llm_mri_store.errors import ExportError, WriteFailed
from tests.analysis.graphs import LABELS, SAMPLES, TOTALS, graph_of


def test_export_attributes_are_scalars():
    exported = to_export_graph(graph_of())
    values = [*exported.graph.values()]
    values += [value for _, data in exported.nodes(data=True) for value in data.values()]
    values += [value for _, _, data in exported.edges(data=True) for value in data.values()]
    assert {type(value) for value in values} == {int, float, str}
    assert json.loads(exported.graph["labels"]) == list(LABELS)
    assert exported.nodes["0_0_1"] == {
        "layer": 0, "cell_x": 0, "cell_y": 1, "weight_bird": 1, "weight_fish": 0, "n": 1,
    }  # fmt: skip
    assert exported.edges["0_0_0", "1_1_1"] == {
        "weight": 1.0, "weight_bird": 0.0, "weight_fish": 1.0, "expected_fish": 1.0, "lift_fish": 1.0,
    }  # fmt: skip


def test_export_leaves_the_graph_as_it_was():
    graph, untouched = graph_of(), graph_of()
    to_export_graph(graph)
    assert list(graph.edges(data=True)) == list(untouched.edges(data=True))
    assert graph.graph == untouched.graph


def test_export_leaves_out_what_is_not_a_number():
    graph = nx.DiGraph(labels=("a",))
    graph.add_edge("0_0_0", "1_0_0", weight=1.0, p=float("nan"), label_lift={"a": None})
    assert to_export_graph(graph).edges["0_0_0", "1_0_0"] == {"weight": 1.0}


def test_export_names_of_labels_are_unique_and_safe():
    labels = ("a b", "a_b", "A  B", "a_b_2", "", "\x00<é>", "魚")
    graph = nx.DiGraph(labels=labels)
    graph.add_node("0_0_0", label_weights=dict.fromkeys(labels, 1))
    exported = to_export_graph(graph)
    names = json.loads(exported.graph["label_names"])
    assert list(names) == list(labels)
    assert names["a b"] == "a_b"
    assert names["魚"] == "魚"
    assert len({name.casefold() for name in names.values()}) == len(labels)
    assert set(exported.nodes["0_0_0"]) == {f"weight_{name}" for name in names.values()}


def read_graph(path: Path) -> nx.DiGraph:
    if path.suffix == ".graphml":
        return nx.read_graphml(path)
    if path.suffix == ".gexf":
        return nx.read_gexf(path)
    return nx.node_link_graph(json.loads(path.read_text(encoding="utf-8")), edges="edges")


@pytest.mark.parametrize("name", ["nrag.graphml", "nrag.gexf", "nrag.json"])
def test_a_written_graph_reads_back(tmp_path, name):
    labels = {"bird": "Vögel <&> 'x'", "fish": "\x01fish"}
    samples = [(labels[label], path) for label, path in SAMPLES]
    totals = {labels[label]: n for label, n in TOTALS.items()}
    graph = graph_of(samples, labels=list(totals), label_totals=totals)
    write_graph(graph, tmp_path / name)
    back, exported = read_graph(tmp_path / name), to_export_graph(graph)
    assert isinstance(back, nx.DiGraph)
    assert list(back) == list(exported)
    for node, attributes in exported.nodes(data=True):
        assert attributes.items() <= back.nodes[node].items()
    for source, target, attributes in exported.edges(data=True):
        assert attributes.items() <= back.edges[source, target].items()
    if not name.endswith(".gexf"):
        assert exported.graph.items() <= back.graph.items()


@pytest.mark.parametrize("name", ["nrag.graphml", "nrag.gexf", "nrag.json"])
def test_an_empty_graph_can_be_written(tmp_path, name):
    write_graph(graph_of([]), tmp_path / name)
    assert len(read_graph(tmp_path / name)) == 0


def test_writing_replaces_an_existing_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "NRAG.JSON"
    path.write_text("old")
    write_graph(graph_of(), str(path))
    assert json.loads(path.read_text())["directed"] is True
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["nrag.png", "nrag", "nrag.graphml.gz"])
def test_an_unknown_ending_lists_those_there_are(tmp_path, name):
    with pytest.raises(ExportError, match=r"use \.csv, \.gexf, \.graphml, \.json or \.parquet"):
        write_graph(graph_of(), tmp_path / name)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(WriteFailed, match=r"there is no folder .*nowhere"):
        write_graph(graph_of(), tmp_path / "nowhere" / "nrag.json")


def test_a_folder_in_the_way_is_said_and_nothing_stays(tmp_path):
    target = tmp_path / "nrag.json"
    target.mkdir()
    with pytest.raises(WriteFailed, match="a folder is in the way"):
        write_graph(graph_of(), target)
    assert list(tmp_path.iterdir()) == [target]


def test_a_refused_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "nrag.json"
    path.write_text("old")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("llm_mri_store.store.files.os.replace", refuse)
    with pytest.raises(WriteFailed, match="no permission"):
        write_graph(graph_of(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def drawn() -> dict:
    graph = graph_of()
    return {
        "positions": {
            node: (index / 10, data["layer"] / 2) for index, (node, data) in enumerate(graph.nodes(data=True))
        },
        "colours": dict.fromkeys(list(graph)[:2], "#1f77B4"),
    }


def test_gexf_holds_places_and_colours_as_gephi_reads_them(tmp_path):
    write_graph(graph_of(), tmp_path / "nrag.gexf", **drawn())
    viz = "{http://www.gexf.net/1.2draft/viz}"
    nodes = list(ElementTree.parse(tmp_path / "nrag.gexf").iter("{http://www.gexf.net/1.2draft}node"))
    assert nodes[1].find(f"{viz}position").attrib == {"x": "100.0", "y": "0.0", "z": "0.0"}
    colour = nodes[1].find(f"{viz}color").attrib
    assert [colour[part] for part in "rgb"] == ["31", "119", "180"]
    assert nodes[2].find(f"{viz}color") is None
    back = read_graph(tmp_path / "nrag.gexf")
    assert back.nodes["0_0_1"]["viz"]["position"] == {"x": 100.0, "y": 0.0, "z": 0.0}
    assert back.nodes["0_0_1"]["n"] == 1


def test_graphml_holds_places_and_colours_as_attributes(tmp_path):
    write_graph(graph_of(), tmp_path / "nrag.graphml", **drawn())
    attributes = read_graph(tmp_path / "nrag.graphml").nodes["0_0_1"]
    assert {name: attributes[name] for name in "xyrgb"} == {"x": 100.0, "y": 0.0, "r": 31, "g": 119, "b": 180}


def test_json_holds_places_and_colours_as_they_were_given(tmp_path):
    write_graph(graph_of(), tmp_path / "nrag.json", **drawn())
    attributes = read_graph(tmp_path / "nrag.json").nodes["0_0_1"]
    assert (attributes["x"], attributes["y"], attributes["colour"]) == (0.1, 0.0, "#1f77B4")


def test_a_missing_place_or_an_unknown_colour_is_refused(tmp_path):
    with pytest.raises(ExportError, match="node '0_0_0' has no position"):
        write_graph(graph_of(), tmp_path / "nrag.gexf", positions={})
    with pytest.raises(ExportError, match=r"colour of node '0_0_0' is 'blue'; spell it as '#1f77b4'"):
        write_graph(graph_of(), tmp_path / "nrag.gexf", colours={"0_0_0": "blue"})
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_edges_has_a_row_for_each_label_on_an_edge(tmp_path):
    graph = graph_of()
    table = edge_table(graph)
    assert table.filter(pc.equal(table["source"], "0_0_0")).to_pylist()[:2] == [
        {
            "source": "0_0_0", "target": "1_1_0", "label": label, "layer": 0, "next_layer": 1,
            "weight": weight, "expected": weight, "lift": 1.0,
        }
        for label, weight in (("bird", 2.0), ("fish", 1.0))
    ]  # fmt: skip
    assert pc.sum(table["weight"]).as_py() == graph.size(weight="weight")
    write_graph(graph, tmp_path / "nrag.parquet")
    assert pq.read_table(tmp_path / "nrag.parquet").equals(table)
    write_graph(graph, tmp_path / "nrag.csv")
    assert (tmp_path / "nrag.csv").read_text().count("\n") == table.num_rows + 1


def test_a_table_of_no_edges_has_its_columns():
    assert edge_table(graph_of([])).column_names == [
        "source",
        "target",
        "label",
        "layer",
        "next_layer",
        "weight",
    ]
