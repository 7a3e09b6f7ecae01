"""What a drawn node and a drawn edge show: their place, their samples and the labels these are of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import networkx as nx
import numpy as np

from llm_mri_store.charts.graph_paths import as_words, nodes_on_paths
from llm_mri_store.charts.theme import shortened
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import LAYER

_LABELS_IN_TOOLTIP: Final = 8
_TEXTS_IN_TOOLTIP: Final = 3

Colouring = Literal["weight", "balance", "label"]
"""By weight (one label), by the balance of two labels, or by the leading one of more labels."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphMeaning:
    """What a graph's weights are.

    Attributes:
        labels: its labels in order.
        totals: samples of each label; 1 for a label without a total.
        unit: ``"samples"``, or ``"|rho|"`` where nodes are components and weights correlations.
    """

    labels: tuple[str, ...]
    totals: Mapping[str, float]
    unit: str

    @property
    def number_format(self) -> str:
        """Format of one weight, in Python and in Vega-Lite alike."""
        return ",.0f" if self.unit == "samples" else ".3f"

    @property
    def colouring(self) -> Colouring:
        """How nodes and edges are coloured."""
        if len(self.labels) < 2:
            return "weight"
        return "balance" if len(self.labels) == 2 else "label"


def graph_meaning(graph: nx.DiGraph[str]) -> GraphMeaning:
    """Labels, class sizes and unit of a graph, as its attributes state them.

    Where the graph names no labels they are those of its weights. Correlations do not grow with the
    class, so they are compared as they are.
    """
    is_correlation = any("component" in attributes for _, attributes in graph.nodes(data=True))
    labels = graph.graph.get("labels") or sorted(
        {
            label
            for _, _, attributes in graph.edges(data=True)
            for label in attributes.get("label_weights", ())
        }
    )
    stated = {} if is_correlation else graph.graph.get("label_totals", {})
    return GraphMeaning(
        labels=tuple(labels),
        totals={label: float(stated.get(label) or 1.0) for label in labels},
        unit="|rho|" if is_correlation else "samples",
    )


def thickest_edges(graph: nx.DiGraph[str], min_weight_percentile: float) -> list[tuple[str, str]]:
    """Edges whose weight reaches a percentile of all weights, thin ones first.

    Raises:
        InvalidInput: the percentile is not in [0, 100).
    """
    if not 0 <= min_weight_percentile < 100:
        raise InvalidInput(
            f"min_weight_percentile is {min_weight_percentile}; it must be at least 0 (every edge is drawn) "
            "and below 100"
        )
    weights = {(source, target): edge_weight(link) for source, target, link in graph.edges(data=True)}
    if not weights:
        return []
    least = np.percentile(list(weights.values()), min_weight_percentile)
    return sorted(
        (edge for edge in weights if weights[edge] >= least), key=lambda edge: (weights[edge], edge)
    )


def _percentiles(weights: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """Edge -> the largest percentile that its weight reaches, rounded up, as ``thickest_edges`` cuts."""
    ordered = np.sort(np.array(list(weights.values())))
    reached = np.searchsorted(ordered, list(weights.values()), side="right") - 1
    share = 100.0 * reached / max(len(ordered) - 1, 1) if len(ordered) > 1 else np.array([100.0])
    return dict(zip(weights, np.ceil(100 * share) / 100, strict=True)) if weights else {}


def number_paths(nodes: Sequence[Row], edges: Sequence[Row]) -> int:
    """Numbers the nodes, at both ends of edges too, and names those on paths through each: ``paths``.

    Returns:
        The most steps of a path to either side.
    """
    number = {row["node"]: place for place, row in enumerate(nodes)}
    found, n_steps = nodes_on_paths([(row["source"], row["target"]) for row in edges], list(number))
    for row in nodes:
        row["number"] = number[row["node"]]
        row["paths"] = as_words(sorted(number[node] for node in found[row["node"]]))
    for row in edges:
        row["source_number"], row["target_number"] = number[row["source"]], number[row["target"]]
    return n_steps


def edge_weight(attributes: Mapping[str, Any]) -> float:
    """Size of an edge's weight, >= 0; 1 where it has none."""
    return abs(float(attributes.get("weight", 1.0)))


def edge_rows(
    graph: nx.DiGraph[str],
    edges: Sequence[tuple[str, str]],
    *,
    positions: Mapping[str, tuple[float, float]],
    meaning: GraphMeaning,
) -> list[Row]:
    """A row an edge: source, target, weight, percentile, by_label, x, y, x2, y2 and its colour columns.

    ``percentile``: the largest of the weights that it reaches.
    """
    rows: list[Row] = []
    weights = {(source, target): edge_weight(link) for source, target, link in graph.edges(data=True)}
    percentiles = _percentiles(weights)
    for source, target in edges:
        attributes = graph.edges[source, target]
        label_weights = attributes.get("label_weights", {})
        rows.append(
            {
                "source": source,
                "target": target,
                "weight": weights[source, target],
                "percentile": float(percentiles[source, target]),
                "by_label": _by_label(label_weights, meaning),
                "x": positions[source][0],
                "y": positions[source][1],
                "x2": positions[target][0],
                "y2": positions[target][1],
                **_colour_columns(label_weights, meaning),
            }
        )
    return rows


def node_rows(
    graph: nx.DiGraph[str], *, positions: Mapping[str, tuple[float, float]], meaning: GraphMeaning
) -> list[Row]:
    """A row a node, large ones first: node, layer, place, samples, by_label, strength, area, x, y, colours.

    A node without weights of its own, as a component is, shows those of its edges by label.
    ``strength`` is the sum of the weights of its edges. ``area`` is the same, or its samples where the
    graph has no edge at all.
    """
    has_edges = graph.number_of_edges() > 0
    rows: list[Row] = []
    for node, attributes in graph.nodes(data=True):
        links = [link for _, _, link in (*graph.in_edges(node, data=True), *graph.out_edges(node, data=True))]
        strength = sum(edge_weight(link) for link in links)
        label_weights = attributes.get("label_weights") or _summed_labels(links)
        samples = sum(attributes.get("label_weights", {}).values())
        texts = attributes.get("texts", ())
        rows.append(
            {
                "node": node,
                LAYER: attributes[LAYER],
                "place": _place(attributes),
                "samples": samples,
                "by_label": _by_label(label_weights, meaning),
                "strength": strength,
                "area": strength if has_edges else samples,
                "texts": "\n".join(f"“{shortened(text, 100)}”" for text in texts[:_TEXTS_IN_TOOLTIP]),
                "x": positions[node][0],
                "y": positions[node][1],
                **_colour_columns(label_weights, meaning),
            }
        )
    return sorted(rows, key=lambda row: (-row["area"], row["node"]))


def _summed_labels(links: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Sizes of some edges' weights, summed by label."""
    total: defaultdict[str, float] = defaultdict(float)
    for link in links:
        for label, weight in link.get("label_weights", {}).items():
            total[label] += abs(weight)
    return total


def _place(attributes: Mapping[str, Any]) -> str:
    if "cell" in attributes:
        x, y = attributes["cell"]
        return f"cell {x}, {y}"
    return f"component {attributes['component']}" if "component" in attributes else ""


def _by_label(label_weights: Mapping[str, float], meaning: GraphMeaning) -> str:
    """The labels' weights as text, heaviest first."""
    present = sorted(
        ((label, weight) for label, weight in label_weights.items() if weight), key=lambda pair: -abs(pair[1])
    )
    said = [
        f"{shortened(str(label))}: {format(weight, meaning.number_format)}"
        for label, weight in present[:_LABELS_IN_TOOLTIP]
    ]
    n_more = len(present) - len(said)
    return " · ".join([*said, f"{n_more} more"] if n_more else said)


def _colour_columns(label_weights: Mapping[str, float], meaning: GraphMeaning) -> Row:
    """Columns that colour a mark, from each label's weight over the label's size.

    ``balance``: the second label's part of two, in [0, 1]; 0.5 where neither has weight.
    ``leading``: the label with the largest part of more; ``lead``: that part, in [1 / n_labels, 1].
    """
    if meaning.colouring == "weight":
        return {}
    parts = [abs(label_weights.get(label, 0.0)) / meaning.totals[label] for label in meaning.labels]
    total = sum(parts)
    if meaning.colouring == "balance":
        return {"balance": parts[1] / total if total else 0.5}
    lead = max(parts)
    return {
        "leading": str(meaning.labels[parts.index(lead)]),
        "lead": lead / total if total else 1 / len(meaning.labels),
    }
