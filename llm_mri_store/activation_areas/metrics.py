"""LLM-MRI's metrics of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import networkx as nx

from llm_mri_store.analysis import graph_metrics as metrics_of
from llm_mri_store.analysis.projections import projection_metrics
from llm_mri_store.api.table import Table

Row: TypeAlias = dict[str, float | int | str | None]
"""Named numbers, and the names of model and category."""


class Metrics:
    """Numbers that describe a graph.

    Args:
        graph: of ``get_graph``.
        model: name of the model, for the row.
        label: the category or categories, for the row. LLM-MRI's documentation gives model and label in
            this order and its code takes them in the other; both are understood where the graph has
            the label.
        model_name: ``model`` by the name that LLM-MRI's code gives it.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0", {"weight": 3.0})], labels=("bird",), layers=(0, 1))
    >>> nx.set_node_attributes(graph, {"0_0_0": 0, "1_0_0": 1}, "layer")
    >>> Metrics(graph, "bird", "bert").get_basic_metrics()["label"]
    'bird'
    """

    def __init__(
        self, graph: nx.DiGraph[str], model: object = None, label: object = None, model_name: object = None
    ) -> None:
        if model_name is not None:
            # LLM-MRI's code takes (graph, label, model_name).
            model, label = model_name, model if label is None else label
        if _names_labels(model, graph) and not _names_labels(label, graph):
            model, label = label, model
        self.graph = graph
        self.model_name = None if model is None else str(model)
        self.label = label if label is None or isinstance(label, str) else _joined(label)

    def get_graph(self) -> nx.DiGraph[str]:
        """The graph."""
        return self.graph

    def get_basic_metrics(self) -> Row:
        """One row of named numbers; their definitions stand in docs/metrics.md."""
        return metrics_of.graph_metrics(self.graph) | self._names()

    def get_basic_metrics_list_of_names(self) -> list[str]:
        """Names of the numbers of ``get_basic_metrics``."""
        return list(self.get_basic_metrics())

    def get_degree_by_layer(self) -> Table:
        """Degrees and strengths by layer."""
        return Table(metrics_of.degree_by_layer(self.graph))

    def get_graph_center_of_mass(self) -> float | None:
        """Mean relative depth of the nodes, in [0, 1]."""
        return metrics_of.center_of_mass(self.graph)

    def get_graph_center_of_strength(self) -> float | None:
        """Mean relative depth of the nodes weighted by strength, in [0, 1]."""
        return metrics_of.center_of_strength(self.graph)

    def get_projection_metrics_even(self) -> Row:
        """Numbers of the projection onto the even layers."""
        return projection_metrics(self.graph, parity="even") | self._names() | {"side": "even"}

    def get_projection_metrics_odd(self) -> Row:
        """Numbers of the projection onto the odd layers."""
        return projection_metrics(self.graph, parity="odd") | self._names() | {"side": "odd"}

    def _names(self) -> Row:
        return {"model_name": self.model_name, "label": self.label}


def _names_labels(value: object, graph: nx.DiGraph[str]) -> bool:
    """True where a value is one of a graph's labels, or some of them."""
    names = [value] if isinstance(value, str) else value if isinstance(value, Sequence) else []
    return bool(names) and {str(name) for name in names} <= set(graph.graph.get("labels", ()))


def _joined(label: object) -> str:
    return " + ".join(str(one) for one in label) if isinstance(label, Sequence) else str(label)
