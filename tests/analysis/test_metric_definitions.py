import numpy as np

from llm_mri_store.analysis.correlations import correlate_layers
from llm_mri_store.analysis.graph_metrics import degree_by_layer, graph_metrics
from llm_mri_store.analysis.metric_definitions import METRICS
from llm_mri_store.analysis.node_metrics import node_metrics
from llm_mri_store.analysis.projections import projection_metrics
from tests.analysis.graphs import graph_of, layered


def described(table: str) -> list[str]:
    return [metric.name for metric in METRICS if metric.table == table]


def test_every_number_of_a_graph_is_described_in_its_order():
    assert described("graph") == list(graph_metrics(graph_of()))
    assert described("projection") == list(projection_metrics(graph_of(), parity="even"))
    assert described("layer") == degree_by_layer(graph_of()).column_names


def test_every_number_of_a_node_is_described_in_its_order():
    cells = node_metrics(graph_of()).column_names
    components = node_metrics(layered([], n_components=3)).column_names
    both = described("node")
    assert [name for name in both if name != "component"] == cells
    assert [name for name in both if name not in ("cell_x", "cell_y", "n")] == components


def test_every_number_of_a_correlation_is_described_in_its_order():
    points = np.zeros((4, 1))
    assert described("correlation") == correlate_layers([(0, points), (1, points)], ["a"] * 4).column_names


def test_a_definition_is_complete_and_fits_a_table():
    for metric in METRICS:
        for words in (metric.meaning, metric.range, metric.source):
            assert words
            assert "|" not in words
            assert not words.endswith(".")
    assert len({(metric.table, metric.name) for metric in METRICS}) == len(METRICS)
