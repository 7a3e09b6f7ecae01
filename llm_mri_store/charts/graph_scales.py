"""Colours, widths, areas and legends of a graph's drawing."""

from __future__ import annotations

import math
from typing import Final

import altair as alt

from llm_mri_store.charts.expressions import tooltip_title
from llm_mri_store.charts.graph_marks import GraphMeaning
from llm_mri_store.charts.theme import (
    BALANCE,
    INK,
    LABELS,
    QUIET_INK,
    WEIGHTS,
    named_by,
    short_names,
    shortened,
)

EDGE_WIDTH_PX: Final = (0.4, 7.0)
"""Width of an edge of no weight and of the heaviest one."""

_ROUND_NUMBER: Final = ",.2~r"
_EDGE_OPACITY: Final = (0.25, 0.85)
_LEAST_AREA: Final = 14.0
_NODE_DIAMETERS_PX: Final = (9.0, 26.0)
"""The largest node's diameter: 1.5 times the room a node has in the fullest layer, within these."""


def colour_scale(meaning: GraphMeaning) -> alt.Color:
    """One hue by weight, a diverging scale by the balance of two labels, or a colour for each label."""
    if meaning.colouring == "weight":
        return alt.Color("tone:Q", scale=alt.Scale(domain=[0, 1], range=WEIGHTS), legend=None)
    names = [str(label) for label in meaning.labels]
    if meaning.colouring == "balance":
        first, second = (shortened(name) for name in names)
        title = [f"share of {second}", f"against {first}"]
        if meaning.unit == "samples":
            title = [*title, "(classes weighed equally)"]
        return alt.Color(
            "balance:Q",
            scale=alt.Scale(domain=[0, 1], range=BALANCE, interpolate="lab"),
            legend=alt.Legend(title=title, format=".0%", values=[0, 0.25, 0.5, 0.75, 1], symbolStrokeWidth=0),
        )
    return alt.Color(
        "leading:N",
        scale=alt.Scale(domain=names, range=LABELS),
        legend=alt.Legend(
            title="leading label",
            labelExpr=named_by(short_names(names)),
            symbolType="circle",
            symbolOpacity=1,
            symbolStrokeWidth=0,
            columns=1,
        ),
    )


def opacity_scale(meaning: GraphMeaning) -> alt.Opacity | alt.Value:
    """Pale where the leading one of more than two labels barely leads; else the same for all."""
    if meaning.colouring != "label":
        return alt.value(1.0)
    least = 1 / len(meaning.labels)
    return alt.Opacity(
        "lead:Q",
        scale=alt.Scale(domain=[least, 1], range=[0.35, 1]),
        legend=alt.Legend(
            title="share of the leading label",
            format=".0%",
            values=[least, 0.5 * (1 + least), 1],
            symbolType="circle",
            symbolFillColor=INK,
            symbolStrokeWidth=0,
        ),
    )


def stroke_scales(heaviest: float, meaning: GraphMeaning) -> tuple[alt.StrokeWidth, alt.StrokeOpacity]:
    """Width in proportion to the weight, and an opacity that keeps many thin edges quiet."""
    width = alt.StrokeWidth(
        "weight:Q",
        scale=alt.Scale(domain=[0, heaviest], range=list(EDGE_WIDTH_PX)),
        legend=alt.Legend(
            title=f"{meaning.unit} on an edge",
            values=legend_values(heaviest, whole=meaning.unit == "samples"),
            format=_ROUND_NUMBER,
            symbolType="stroke",
            symbolSize=500,
            symbolStrokeColor=QUIET_INK,
        ),
    )
    opacity = alt.StrokeOpacity(
        "weight:Q",
        scale=alt.Scale(type="sqrt", domain=[0, heaviest], range=list(_EDGE_OPACITY)),
        legend=None,
    )
    return width, opacity


def area_scale(largest: float, meaning: GraphMeaning, *, room_px: float, has_edges: bool) -> alt.Size:
    """Area of a node, the largest as large as the fullest layer allows."""
    narrowest, widest = _NODE_DIAMETERS_PX
    most = math.pi / 4 * min(widest, max(narrowest, 1.5 * room_px)) ** 2
    return alt.Size(
        "area:Q",
        scale=alt.Scale(domain=[0, largest], range=[_LEAST_AREA, most]),
        legend=alt.Legend(
            title=f"{meaning.unit} in and out of a node" if has_edges else "samples in a node",
            values=legend_values(largest, whole=meaning.unit == "samples"),
            format=_ROUND_NUMBER,
            symbolType="circle",
            symbolFillColor=QUIET_INK,
            symbolStrokeWidth=0,
        ),
    )


def colour_tooltips(meaning: GraphMeaning) -> list[alt.Tooltip]:
    """What a mark's colour stands for, in figures."""
    if meaning.colouring == "balance":
        title = tooltip_title(f"share of {shortened(str(meaning.labels[1]))}")
        return [alt.Tooltip("balance:Q", title=title, format=".0%")]
    if meaning.colouring == "label":
        return [
            alt.Tooltip("leading:N", title="leading label"),
            alt.Tooltip("lead:Q", title="its share", format=".0%"),
        ]
    return []


def legend_values(largest: float, *, whole: bool) -> list[float]:
    """Up to three round numbers in (0, largest], about a tenth, a half and all of it.

    >>> legend_values(57, whole=True)
    [5.0, 20.0, 50.0]
    """
    top = _rounded_down(largest)
    values = {_rounded_down(top / 10), _rounded_down(top / 2), top}
    return sorted({float(math.ceil(value)) for value in values} if whole else values)


def _rounded_down(value: float) -> float:
    """The value cut to one significant digit."""
    unit = 10.0 ** math.floor(math.log10(value))
    return math.floor(value / unit + 1e-9) * unit
