import networkx as nx
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.analysis.graph import build_graph, layers_of
from llm_mri_store.errors import InvalidInput, UnknownName
from tests.analysis.graphs import LABELS, LAYERS, SAMPLES, TOTALS, graph_of, samples_strategy, tables


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
