"""The drawing of a Neural Region Activation Graph, layer 0 on top."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import altair as alt
import networkx as nx

from llm_mri_store.charts.graph_layout import layer_heights, layered_positions, require_positions
from llm_mri_store.charts.graph_marks import (
    GraphMeaning,
    Row,
    edge_rows,
    graph_meaning,
    node_rows,
    number_paths,
    thickest_edges,
)
from llm_mri_store.charts.graph_scales import (
    area_scale,
    colour_scale,
    colour_tooltips,
    opacity_scale,
    stroke_scales,
)
from llm_mri_store.charts.theme import PAPER, QUIET_INK, apply_theme
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import LAYER

_LAYER_PX: Final = 58
_LEGEND_PX: Final = 170

PERCENTILE: Final = "edge_percentile"
"""Name of the slider's parameter."""

_IS_LIT: Final = "indexof(hover.paths[0], ',' + datum.{} + ',') >= 0"
_EDGE_IS_APART: Final = (
    f"isValid(hover.paths) && !({_IS_LIT.format('source_number')} && {_IS_LIT.format('target_number')})"
)
_NODE_IS_APART: Final = f"isValid(hover.paths) && !({_IS_LIT.format('number')})"
"""Vega expressions: the pointer rests on a node, and no path through it passes here."""


def nrag_chart(
    graph: nx.DiGraph[str],
    *,
    title: str,
    subtitle: Sequence[str] = (),
    positions: Mapping[str, tuple[float, float]] | None = None,
    min_weight_percentile: float = 0.0,
    most_edges: int = 4000,
    width: int = 760,
    height: int | None = None,
) -> alt.LayerChart:
    """Drawing of a graph of regions: layers from top to bottom, edges beneath nodes.

    Widths run over 0.4 to 7 pixels whatever the weights are. A node's area grows with its strength, the
    sum of the weights of its edges, so isolated nodes are the smallest; in a graph without edges it grows
    with the node's samples. Resting the pointer on a node fades what no path through it passes. In a page, a
    slider hides the lighter edges.

    Colour compares labels by their weight over the size of their class, s_L = w_L / n_L. One label is
    drawn in one hue, darker for more. Two labels A, B lie on a diverging scale by s_B / (s_A + s_B): 0 is
    only A, 1 only B, 0.5 the middle of both. Of more labels a mark takes the colour of the one with the
    largest s, the paler the smaller its share of their sum.

    Args:
        graph: nodes with ``layer``, ``cell`` or ``component``, ``label_weights`` and perhaps ``texts``;
            edges with ``weight`` and ``label_weights``; graph attributes ``labels``, ``layers``,
            ``degenerate_layers`` and ``label_totals``.
        title: one sentence.
        subtitle: further lines.
        positions: node -> (x, y), y upward, as ``layered_positions`` gives them; those of a larger
            graph keep nodes in place across drawings. None: laid out for this graph.
        min_weight_percentile: leave out edges lighter than this percentile of the weights, in [0, 100);
            sizes and positions are those of the whole graph, and the subtitle tells.
        most_edges: of more, the heaviest are kept, and the subtitle tells.
        width: of the drawing in pixels, without layer names and legends.
        height: likewise; None: it follows the number of layers.

    Raises:
        InvalidInput: the graph has no node, a node has no layer or no position, or the percentile is out
            of range.

    >>> graph = nx.DiGraph(labels=("a",), layers=(0,), label_totals={"a": 3})
    >>> graph.add_node("0_1_2", layer=0, cell=(1, 2), label_weights={"a": 3})
    >>> nrag_chart(graph, title="One cell").to_dict()["title"]["subtitle"]
    ['no edges to draw']
    """
    if len(graph) == 0:
        raise InvalidInput(
            "the graph has no nodes, so there is nothing to draw; check its labels and threshold, or build "
            "it with isolated nodes"
        )
    heights = layer_heights(graph)
    if positions is None:
        positions = layered_positions(graph)
    require_positions(graph, positions)
    heavy = thickest_edges(graph, min_weight_percentile)
    edges = heavy[-most_edges:]
    is_cut = len(edges) < len(heavy)
    meaning = graph_meaning(graph)
    nodes_shown = node_rows(graph, positions=positions, meaning=meaning)
    edges_shown = edge_rows(graph, edges, positions=positions, meaning=meaning)
    n_steps = number_paths(nodes_shown, edges_shown)
    x, y = _places(nodes_shown, heights)
    parts = [_layer_names(graph, nodes_shown, heights, y)]
    if edges_shown:
        parts.append(_edge_marks(edges_shown, meaning, x, y, least_percentile=min_weight_percentile))
    has_edges = graph.number_of_edges() > 0
    parts.extend(_node_marks(nodes_shown, meaning, x, y, width_px=width, has_edges=has_edges))
    drawing: alt.LayerChart = (
        alt.LayerChart(layer=parts)
        .resolve_scale(size="independent")
        .properties(
            width=width,
            height=height if height is not None else max(160, _LAYER_PX * (len(heights) - 1)),
            view=alt.ViewBackground(stroke=None),
        )
    )
    note = _edges_note(edges_shown, graph.number_of_edges(), meaning, is_cut=is_cut)
    if 0 < n_steps < len(heights) - 1:
        note.append(f"paths that light up have at most {n_steps} step{'s' * (n_steps > 1)} to either side")
    return apply_theme(drawing, title=title, subtitle=[*subtitle, *note], width_px=width + _LEGEND_PX)


def _edges_note(
    edges_shown: Sequence[Row], n_edges: int, meaning: GraphMeaning, *, is_cut: bool
) -> list[str]:
    if n_edges == 0:
        return ["no edges to draw"]
    if len(edges_shown) == n_edges:
        return []
    weights = [row["weight"] for row in edges_shown]
    lightest = format(min(weights), meaning.number_format)
    kept = f"{len(edges_shown):,} of {n_edges:,} edges kept: "
    if is_cut:
        return [f"{kept}the heaviest; some of those of {lightest} {meaning.unit} are left out"]
    return [f"{kept}those of at least {lightest} {meaning.unit}"]


def _places(nodes_shown: Sequence[Row], heights: Mapping[int, float]) -> tuple[alt.X, alt.Y]:
    """Encodings of x and y, scaled to the nodes and to layers that hold none."""
    across = [row["x"] for row in nodes_shown]
    upward = [row["y"] for row in nodes_shown] + [
        height for layer, height in heights.items() if all(row[LAYER] != layer for row in nodes_shown)
    ]
    return (
        alt.X("x:Q", axis=None, scale=alt.Scale(domain=_domain(across), nice=False, zero=False, padding=14)),
        alt.Y("y:Q", axis=None, scale=alt.Scale(domain=_domain(upward), nice=False, zero=False, padding=14)),
    )


def _domain(values: Sequence[float]) -> list[float]:
    least, most = min(values), max(values)
    return [least, most] if most > least else [least - 0.5, least + 0.5]


def _layer_names(
    graph: nx.DiGraph[str], nodes_shown: Sequence[Row], heights: Mapping[int, float], y: alt.Y
) -> alt.Chart:
    """The name of each layer left of the drawing, at the mean height of its nodes."""
    degenerate = set(graph.graph.get("degenerate_layers", ()))
    names: list[Row] = []
    for layer, height in heights.items():
        its_heights = [row["y"] for row in nodes_shown if row[LAYER] == layer] or [height]
        note = "\n(embedding)" if layer == 0 else ""
        if layer in degenerate:
            note = "\n(embedding, degenerate)" if layer == 0 else "\n(degenerate)"
        names.append({"name": f"layer {layer}{note}", "y": sum(its_heights) / len(its_heights)})
    drawn: alt.Chart = (
        alt.Chart(alt.InlineData(values=names))
        .mark_text(
            align="right", baseline="middle", fontSize=12, color=QUIET_INK, lineBreak="\n", lineHeight=14
        )
        .encode(x=alt.value(-10), y=y, text="name:N")
    )
    return drawn


def _edge_marks(
    edges_shown: Sequence[Row], meaning: GraphMeaning, x: alt.X, y: alt.Y, *, least_percentile: float
) -> alt.Chart:
    """The edges that reach the slider's percentile."""
    heaviest = max(row["weight"] for row in edges_shown) or 1.0
    slider = alt.param(
        name=PERCENTILE,
        value=least_percentile,
        bind=alt.binding_range(
            min=least_percentile, max=99.5, step=0.5, name="hide edges lighter than this percentile: "
        ),
    )
    width, strength = stroke_scales(heaviest, meaning)
    edges: alt.Chart = (
        alt.Chart(alt.InlineData(values=list(edges_shown)))
        .transform_filter(f"datum.percentile >= {PERCENTILE}")
        .transform_calculate(tone=f"datum.weight / {heaviest}")
        .mark_rule()
        .encode(
            x=x,
            y=y,
            x2="x2",
            y2="y2",
            color=colour_scale(meaning),
            strokeWidth=width,
            strokeOpacity=strength,
            opacity=alt.when(_EDGE_IS_APART).then(alt.value(0.06)).otherwise(opacity_scale(meaning)),
            tooltip=[
                alt.Tooltip("source:N", title="from"),
                alt.Tooltip("target:N", title="to"),
                alt.Tooltip("weight:Q", title=meaning.unit, format=meaning.number_format),
                alt.Tooltip("by_label:N", title="by label"),
                *colour_tooltips(meaning),
            ],
        )
        .add_params(slider)
    )
    return edges


def _node_marks(
    nodes_shown: Sequence[Row],
    meaning: GraphMeaning,
    x: alt.X,
    y: alt.Y,
    *,
    width_px: int,
    has_edges: bool,
) -> list[alt.Chart]:
    """The nodes, and below them white discs that hide the edges beneath pale ones."""
    largest = max(row["area"] for row in nodes_shown) or 1.0
    crowd = max(Counter(row[LAYER] for row in nodes_shown).values())
    areas = area_scale(largest, meaning, room_px=width_px / crowd, has_edges=has_edges)
    tooltip = [
        alt.Tooltip("node:N", title="node"),
        alt.Tooltip(f"{LAYER}:Q", title="layer"),
        alt.Tooltip("place:N", title="place"),
        alt.Tooltip("by_label:N", title="by label"),
        alt.Tooltip("strength:Q", title="strength", format=meaning.number_format),
        *colour_tooltips(meaning),
    ]
    if meaning.unit == "samples":
        tooltip.insert(3, alt.Tooltip("samples:Q", title="samples", format=",d"))
    if any(row["texts"] for row in nodes_shown):
        tooltip.append(alt.Tooltip("texts:N", title="examples"))
    hover = alt.selection_point(
        name="hover", fields=["node", "paths"], on="pointerover", clear="pointerout", empty=False
    )
    nodes: alt.Chart = (
        alt.Chart(alt.InlineData(values=list(nodes_shown)), name="nodes")
        .transform_calculate(tone=f"datum.area / {largest}")
        .mark_circle(stroke=PAPER, strokeWidth=0.8)
        .encode(
            x=x,
            y=y,
            size=areas,
            color=colour_scale(meaning),
            opacity=alt.when(_NODE_IS_APART).then(alt.value(0.12)).otherwise(opacity_scale(meaning)),
            tooltip=tooltip,
        )
        .add_params(hover)
    )
    ground: alt.Chart = (
        alt.Chart(alt.InlineData(values=list(nodes_shown)))
        .mark_circle(color=PAPER, opacity=1)
        .encode(x=x, y=y, size=alt.Size("area:Q", scale=areas["scale"], legend=None))
    )
    return [ground, nodes]
