"""The colours of a drawing's nodes as plain values, for files that other programs open."""

from __future__ import annotations

from collections.abc import Mapping

import networkx as nx

from llm_mri_store.charts.graph_layout import layered_positions
from llm_mri_store.charts.graph_marks import graph_meaning, node_rows
from llm_mri_store.charts.palettes import LIGHT


def node_colours(
    graph: nx.DiGraph[str], *, positions: Mapping[str, tuple[float, float]] | None = None
) -> dict[str, str]:
    """Node -> ``"#rrggbb"``, its colour in ``nrag_chart`` on light ground, to the nearest step.

    >>> graph = nx.DiGraph(labels=("a", "b"), layers=(0,), label_totals={"a": 3, "b": 3})
    >>> graph.add_node("0_1_2", layer=0, cell=(1, 2), label_weights={"a": 3, "b": 0})
    >>> node_colours(graph)
    {'0_1_2': '#005a9e'}
    """
    meaning = graph_meaning(graph)
    places = positions if positions is not None else layered_positions(graph)
    rows = node_rows(graph, positions=places, meaning=meaning)
    if meaning.colouring == "weight":
        largest = max((row["area"] for row in rows), default=0) or 1
        return {row["node"]: _step(LIGHT.weights, row["area"] / largest) for row in rows}
    if meaning.colouring == "balance":
        return {row["node"]: _step(LIGHT.balance, row["balance"]) for row in rows}
    number = {str(label): place for place, label in enumerate(meaning.labels)}
    return {
        row["node"]: LIGHT.category[number[row["leading"]] % len(LIGHT.category)]
        if row["leading"] in number
        else LIGHT.quiet_ink
        for row in rows
    }


def _step(colours: tuple[str, ...], value: float | None) -> str:
    """The colour at ``value`` in [0, 1]; the middle one where there is none."""
    share = 0.5 if value is None else min(max(value, 0.0), 1.0)
    return colours[round(share * (len(colours) - 1))]
