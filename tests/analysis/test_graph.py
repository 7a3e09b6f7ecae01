import json
from collections.abc import Iterable
from pathlib import Path

import networkx as nx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.analysis.graph import build_graph, layers_of, project_layers, to_export_graph, write_graph
from llm_mri_store.errors import ExportError, InvalidInput, UnknownName, WriteFailed

LABELS = ("bird", "fish")
LAYERS = (0, 1, 2)
TOTALS = {"bird": 3, "fish": 2}

# Of three layers, the cells of each sample.
SAMPLES = [
    ("bird", [(0, 0), (1, 0), (2, 0)]),
    ("bird", [(0, 0), (1, 0), (2, 2)]),
    ("bird", [(0, 1), (1, 0), (2, 2)]),
    ("fish", [(0, 0), (1, 0), (2, 2)]),
    ("fish", [(0, 0), (1, 1), (2, 2)]),
]

EDGE_TYPES = {
    "label": pa.string(), "layer": pa.int64(), "source": pa.string(), "target": pa.string(),
    "from_x": pa.int64(), "from_y": pa.int64(), "to_x": pa.int64(), "to_y": pa.int64(),
    "weight": pa.int64(), "n_from": pa.int64(), "n_to": pa.int64(), "n": pa.int64(),
    "expected": pa.float64(), "lift": pa.float64(),
}  # fmt: skip
NODE_TYPES = {
    "layer": pa.int64(), "cell_x": pa.int64(), "cell_y": pa.int64(), "label": pa.string(), "n": pa.int64(),
}  # fmt: skip


def tables(samples: Iterable[tuple[str, list[tuple[int, int]]]]) -> tuple[pa.Table, pa.Table]:
    """What the queries give for these samples, counted one by one."""
    cells: dict[tuple, int] = {}
    links: dict[tuple, int] = {}
    totals: dict[str, int] = {}
    for label, path in samples:
        totals[label] = totals.get(label, 0) + 1
        for layer, cell in enumerate(path):
            cells[label, layer, cell] = cells.get((label, layer, cell), 0) + 1
            if layer + 1 < len(path):
                link = (label, layer, cell, path[layer + 1])
                links[link] = links.get(link, 0) + 1
    edges = []
    for (label, layer, start, end), weight in links.items():
        n_from, n_to = cells[label, layer, start], cells[label, layer + 1, end]
        expected = n_from * n_to / totals[label]
        edges.append(
            {
                "label": label,
                "layer": layer,
                "source": f"{layer}_{start[0]}_{start[1]}",
                "target": f"{layer + 1}_{end[0]}_{end[1]}",
                "from_x": start[0],
                "from_y": start[1],
                "to_x": end[0],
                "to_y": end[1],
                "weight": weight,
                "n_from": n_from,
                "n_to": n_to,
                "n": totals[label],
                "expected": expected,
                "lift": weight / expected,
            }
        )
    nodes = [
        {"layer": layer, "cell_x": x, "cell_y": y, "label": label, "n": n}
        for (label, layer, (x, y)), n in cells.items()
    ]
    return (
        pa.Table.from_pylist(edges, schema=pa.schema(EDGE_TYPES.items())),
        pa.Table.from_pylist(nodes, schema=pa.schema(NODE_TYPES.items())),
    )


def graph_of(samples: Iterable = SAMPLES, **options: object) -> nx.DiGraph:
    edges, nodes = tables(samples)
    defaults = {"labels": LABELS, "layers": LAYERS, "label_totals": TOTALS, "grid": 3}
    return build_graph(edges, nodes, **(defaults | options))


samples_strategy = st.lists(
    st.tuples(
        st.sampled_from(LABELS),
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=3),
    ),
    max_size=20,
)


def test_an_edge_keeps_one_weight_per_label_and_their_sum():
    edge = graph_of().edges["0_0_0", "1_1_0"]
    assert edge["label_weights"] == {"bird": 2.0, "fish": 1.0}
    assert edge["weight"] == 3.0
    assert isinstance(edge["weight"], float)


def test_an_edge_keeps_expected_and_lift_of_the_labels_it_has():
    graph = graph_of()
    assert graph.edges["0_0_0", "1_1_0"]["label_expected"] == {"bird": 2.0, "fish": 1.0}
    assert graph.edges["0_0_0", "1_1_1"]["label_expected"] == {"fish": 1.0}
    assert graph.edges["0_0_0", "1_1_1"]["label_lift"] == {"fish": 1.0}
    assert graph.edges["0_0_0", "1_1_1"]["label_weights"] == {"bird": 0.0, "fish": 1.0}


def test_a_node_knows_its_layer_cell_and_the_samples_of_every_label():
    graph = graph_of()
    assert graph.nodes["0_0_1"] == {
        "layer": 0,
        "cell": (0, 1),
        "label_weights": {"bird": 1, "fish": 0},
        "n": 1,
    }


def test_the_graph_says_what_it_was_built_from():
    assert graph_of(degenerate_layers=[0]).graph == {
        "labels": LABELS,
        "layers": LAYERS,
        "degenerate_layers": (0,),
        "label_totals": TOTALS,
        "grid": 3,
    }


@given(samples_strategy)
def test_each_label_sums_to_its_samples_over_every_pair_of_layers(samples):
    graph = graph_of(samples)
    for label in LABELS:
        n_samples = sum(one == label for one, _ in samples)
        for layer in (0, 1):
            weights = [
                data["label_weights"][label]
                for source, _, data in graph.edges(data=True)
                if graph.nodes[source]["layer"] == layer
            ]
            assert sum(weights) == n_samples


@given(samples_strategy, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(samples, random):
    edges, nodes = tables(samples)
    options = {"labels": LABELS, "layers": LAYERS, "label_totals": TOTALS, "grid": 3}
    shuffled = [
        pa.Table.from_pylist(random.sample(table.to_pylist(), table.num_rows), schema=table.schema)
        for table in (edges, nodes)
    ]
    one, other = build_graph(edges, nodes, **options), build_graph(*shuffled, **options)
    assert list(one.nodes(data=True)) == list(other.nodes(data=True))
    assert list(one.edges(data=True)) == list(other.edges(data=True))
    assert list(one) == sorted(one, key=lambda node: tuple(map(int, node.split("_"))))


def test_layers_are_ordered_as_numbers():
    samples = [("bird", [(0, 0)] * 12)]
    graph = graph_of(samples, layers=range(12))
    assert list(graph)[-2:] == ["10_0_0", "11_0_0"]


def test_other_labels_and_layers_are_left_out():
    graph = graph_of(labels=["fish"], layers=[0, 1])
    assert set(graph) == {"0_0_0", "1_1_0", "1_1_1"}
    assert graph.edges["0_0_0", "1_1_0"]["weight"] == 1.0
    assert graph.graph["label_totals"] == {"fish": 2}


def test_a_degenerate_layer_has_no_edges():
    graph = graph_of(degenerate_layers=[1])
    assert graph.number_of_nodes() == graph.number_of_edges() == 0


def test_isolated_nodes_are_kept_by_choice():
    bare = graph_of(degenerate_layers=[0])
    full = graph_of(degenerate_layers=[0], isolated=True)
    assert set(full) - set(bare) == {"0_0_0", "0_0_1"}
    assert list(full.edges(data=True)) == list(bare.edges(data=True))


@pytest.mark.parametrize("isolated", [True, False])
def test_empty_tables_give_an_empty_graph(isolated):
    graph = graph_of([], isolated=isolated)
    assert len(graph) == 0
    assert layers_of(graph) == LAYERS


def test_an_edge_into_a_cell_without_samples_is_refused():
    edges, _ = tables(SAMPLES)
    _, nodes = tables(SAMPLES[:1])
    with pytest.raises(InvalidInput, match="names the cell 0_0_1, in which the table of nodes has no sample"):
        build_graph(edges, nodes, labels=LABELS, layers=LAYERS, label_totals=TOTALS, grid=3)


def test_two_rows_of_one_label_and_edge_are_refused():
    edges, nodes = tables(SAMPLES)
    twice = pa.concat_tables([edges, edges])
    with pytest.raises(InvalidInput, match="two rows of the label 'bird'"):
        build_graph(twice, nodes, labels=LABELS, layers=LAYERS, label_totals=TOTALS, grid=3)


def test_an_unknown_label_suggests_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'bird'"):
        graph_of(labels=["birds"])


def test_a_graph_without_layers_is_refused():
    with pytest.raises(InvalidInput, match="no attribute 'layers'"):
        layers_of(nx.DiGraph())


def layered(edges: list[tuple], layers: tuple[int, ...] = LAYERS) -> nx.DiGraph:
    graph = nx.DiGraph(layers=layers)
    graph.add_weighted_edges_from(edges)
    nx.set_node_attributes(graph, {node: int(node.split("_")[0]) for node in graph}, "layer")
    return graph


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
    with pytest.raises(ExportError, match=r"use \.gexf, \.graphml or \.json"):
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

    monkeypatch.setattr("llm_mri_store.analysis.graph.os.replace", refuse)
    with pytest.raises(WriteFailed, match="no permission"):
        write_graph(graph_of(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
