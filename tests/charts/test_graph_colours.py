import networkx as nx
import pytest

from llm_mri_store.charts import node_colours
from llm_mri_store.charts.palettes import LIGHT


def graph_of(labels, **weights):
    graph = nx.DiGraph(labels=labels, layers=(0,), label_totals=dict.fromkeys(labels, 10))
    for name, numbers in weights.items():
        graph.add_node(name, layer=0, cell=(0, 0), label_weights=dict(zip(labels, numbers, strict=True)))
    return graph


def test_two_labels_lie_on_the_diverging_scale():
    colours = node_colours(graph_of(("a", "b"), first=(4, 0), both=(2, 2), second=(0, 3)))
    assert colours == {"first": LIGHT.balance[0], "both": LIGHT.balance[4], "second": LIGHT.balance[-1]}


def test_more_labels_take_the_colour_of_the_leading_one():
    colours = node_colours(graph_of(("a", "b", "c"), x=(5, 1, 0), y=(0, 1, 2)))
    assert colours == {"x": LIGHT.category[0], "y": LIGHT.category[2]}


@pytest.mark.parametrize("labels", [("a",), ("a", "b"), ("a", "b", "c")])
def test_every_node_has_a_colour_that_files_can_hold(labels):
    graph = graph_of(labels, x=[3] * len(labels), y=[1] * len(labels))
    assert set(node_colours(graph)) == {"x", "y"}
    assert all(len(colour) == 7 and colour.startswith("#") for colour in node_colours(graph).values())
