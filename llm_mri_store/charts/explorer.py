"""The explorer's charts: they hold no data; the page's script gives them data and what is chosen.

Each names its data set and its parameters, and that is all the script needs to know. The data sets: ``cells``
(layer, cell, cell_x, cell_y, n, share, value, printed), a row for every cell of every layer drawn; ``points``
(x, y, cell, label, text); ``shares`` (label, n, share, expected). Parameters: ``layer``, ``label``,
``chosen_cell`` (-1 for none), ``is_share``, ``largest``, the end of the scale of colours, and ``point_size``,
below 20 square pixels where points are many: those of the chosen cell then stand out without rings.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import altair as alt

from llm_mri_store.charts.export import chart_specification
from llm_mri_store.charts.theme import (
    EMPTY,
    INK,
    LABEL_SIZE,
    LABELS,
    OTHERS,
    PAPER,
    QUIET_INK,
    SEQUENTIAL,
    apply_theme,
    readable_on,
)

LARGEST_PRINTED_GRID: Final = 12
"""Cells per axis up to which the map has numbers printed in its cells."""

_MAP_PX: Final = 450
_BAR_PX: Final = 20
_STRIP_PX: Final = 1090
_GAP_PX: Final = 10


def explorer_specifications(
    layers: Sequence[int], *, grid: int, labels: Sequence[str], degenerate_layers: Collection[int] = ()
) -> Mapping[str, dict[str, Any]]:
    """The explorer's charts by name: ``map``, ``strip``, ``scatter``, ``shares``, as Vega-Lite.

    Args:
        layers: those of the strip, from left to right.
        grid: cells per axis.
        labels: in the order of their colours.
        degenerate_layers: layers whose activations do not vary; their panels say so.

    >>> sorted(explorer_specifications([0, 1], grid=2, labels=["a"]))
    ['map', 'scatter', 'shares', 'strip']
    """
    charts: dict[str, alt.LayerChart | alt.FacetChart] = {
        "map": _map(grid),
        "strip": _strip(layers, grid=grid, degenerate_layers=degenerate_layers),
        "scatter": _scatter(labels),
        "shares": _shares(labels),
    }
    specifications = {}
    for name, chart in charts.items():
        specification = chart_specification(apply_theme(chart, title=""))
        del specification["title"]
        specifications[name] = specification
    return specifications


def _number_param(name: str, value: float) -> alt.Parameter:
    return alt.param(name=name, value=value)


def _cell_params() -> list[alt.Parameter]:
    return [
        _number_param("layer", -1),
        _number_param("chosen_cell", -1),
        _number_param("largest", 1),
        alt.param(name="is_share", value=False),
    ]


def _squares(grid: int, edge_px: int, *, axes: bool) -> alt.Chart:
    """The cells as squares, coloured by samples or by share."""
    step = max(1, math.ceil(grid * 18 / edge_px))

    def axis(title: str) -> alt.Axis | None:
        if not axes:
            return None
        places = list(range(0, grid, step))
        return alt.Axis(title=title, labelAngle=0, values=places, ticks=False, labelPadding=5)

    legend = alt.Legend(
        title=None,
        labelExpr="format(datum.value, !is_share ? ',d' : largest < 0.05 ? '.1%' : '.0%')",
        orient="bottom",
        direction="horizontal",
        gradientLength=min(edge_px, 260),
        tickMinStep={"expr": "is_share ? 0.001 : 1"},
        tickCount=5,
        offset=8,
    )
    colour = alt.Color(
        "value:Q",
        scale=alt.Scale(
            domainMin={"expr": "is_share || largest <= 1 ? 0 : 1"},
            domainMax={"expr": "largest"},
            range=SEQUENTIAL,
            interpolate="lab",
            clamp=True,
        ),
        legend=legend if axes else None,
    )
    squares: alt.Chart = (
        alt.Chart()
        .mark_rect(stroke=PAPER, strokeWidth=1 if edge_px / grid >= 8 else 0.3, cursor="pointer")
        .encode(
            x=alt.X("cell_x:O", scale=alt.Scale(domain=list(range(grid))), axis=axis("component 1 (cell)")),
            y=alt.Y(
                "cell_y:O",
                scale=alt.Scale(domain=list(reversed(range(grid)))),
                axis=axis("component 2 (cell)"),
            ),
            color=alt.when("datum.n === 0").then(alt.value(EMPTY)).otherwise(colour),
            tooltip=[
                alt.Tooltip("layer:Q", title="layer"),
                alt.Tooltip("place:N", title="cell"),
                alt.Tooltip("n:Q", title="samples", format=",d"),
                alt.Tooltip("share:Q", title="share of samples", format=".1%"),
            ],
        )
        .properties(width=edge_px, height=edge_px)
    )
    return squares


def _outline(squares: alt.Chart, condition: str, *, width_px: float) -> alt.Chart:
    """A dark line around the cells that meet a condition; what lies below is still under the pointer."""
    line: alt.Chart = (
        alt.Chart()
        .transform_filter(condition)
        .mark_rect(filled=False, stroke=INK, strokeWidth=width_px, strokeJoin="round")
        .encode(x=squares.encoding.x, y=squares.encoding.y)
    )
    return line


def _map(grid: int) -> alt.LayerChart:
    squares = _squares(grid, _MAP_PX, axes=True)
    parts = [squares]
    if grid <= LARGEST_PRINTED_GRID:
        parts.append(
            squares.mark_text(fontSize=LABEL_SIZE if grid <= 10 else 9, cursor="pointer").encode(
                text="printed:N", color=alt.value(readable_on("scale('color', datum.value)"))
            )
        )
    parts.append(_outline(squares, "datum.cell === chosen_cell", width_px=3))
    drawn: alt.LayerChart = alt.LayerChart(layer=parts, data=alt.NamedData("cells")).add_params(
        *_cell_params()
    )
    return drawn


def _strip(layers: Sequence[int], *, grid: int, degenerate_layers: Collection[int]) -> alt.FacetChart:
    edge_px = min(150, max(64, _STRIP_PX // max(len(layers), 1) - _GAP_PX))
    squares = _squares(grid, edge_px, axes=False)
    frame: alt.Chart = (
        alt.Chart()
        .transform_aggregate(n_cells="count()", groupby=["layer"])
        .transform_filter("datum.layer === layer")
        .mark_rect(filled=False, stroke=INK, strokeWidth=2.5)
        .encode(x=alt.value(-1), y=alt.value(-1), x2=alt.value(edge_px + 1), y2=alt.value(edge_px + 1))
    )
    cell = _outline(squares, "datum.cell === chosen_cell && datum.layer === layer", width_px=1.5)
    flat = f"indexof({sorted(degenerate_layers)}, +datum.value) >= 0"
    second_line = f"({flat} ? 'degenerate' : '')" if degenerate_layers else ""
    name = "'layer ' + datum.value"
    drawn: alt.FacetChart = (
        alt.LayerChart(layer=[squares, cell, frame])
        .facet(
            column=alt.Column(
                "layer:O",
                title=None,
                header=alt.Header(
                    labelExpr=f"[{name}, {second_line}]" if second_line else name,
                    labelFontWeight=600,
                    labelFontSize=LABEL_SIZE,
                    labelPadding=4,
                ),
            ),
            data=alt.NamedData("cells"),
            spacing=_GAP_PX,
        )
        .add_params(*_cell_params())
    )
    return drawn


def _scatter(labels: Sequence[str]) -> alt.LayerChart:
    def axis(title: str) -> alt.Axis:
        return alt.Axis(title=title, grid=True, tickCount=6, format="~g")

    colour = alt.Color(
        "label:N",
        scale=alt.Scale(domain=list(labels), range=LABELS),
        legend=alt.Legend(title=None, orient="bottom", columns=3, symbolOpacity=1, offset=8),
    )
    points = (
        alt.Chart()
        .mark_circle(size={"expr": "point_size"}, cursor="pointer")
        .encode(
            x=alt.X("x:Q", axis=axis("component 1"), scale=alt.Scale(zero=False, nice=True, padding=8)),
            y=alt.Y("y:Q", axis=axis("component 2"), scale=alt.Scale(zero=False, nice=True, padding=8)),
            tooltip=[alt.Tooltip("label:N", title="label"), alt.Tooltip("text:N", title="text")],
        )
    )
    is_other = "label !== '' && datum.label !== label"
    others = points.transform_filter(is_other).encode(color=alt.value(OTHERS), opacity=alt.value(0.6))
    chosen = points.transform_filter(f"!({is_other})").encode(
        color=colour,
        opacity=alt.when("chosen_cell < 0 || datum.cell === chosen_cell")
        .then(alt.value(0.85))
        .otherwise(alt.value(alt.ExprRef("point_size < 20 ? 0.2 : 0.45"))),
    )
    ringed = (
        points.transform_filter(f"point_size >= 20 && datum.cell === chosen_cell && !({is_other})")
        .mark_point(size=62, filled=False, stroke=INK, strokeWidth=1.6, opacity=1)
        .encode(tooltip=alt.Undefined)
    )
    drawn: alt.LayerChart = (
        alt.LayerChart(layer=[others, chosen, ringed], data=alt.NamedData("points"))
        .properties(width=_MAP_PX, height=_MAP_PX)
        .add_params(
            _number_param("chosen_cell", -1),
            _number_param("point_size", 34),
            alt.param(name="label", value=""),
        )
    )
    return drawn


def _shares(labels: Sequence[str]) -> alt.LayerChart:
    """Bars of the labels' shares of a cell; a tick where all samples would put them."""
    base = alt.Chart().encode(
        y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(ticks=False, labelLimit=150, labelPadding=6)),
    )
    bars = base.mark_bar(height=_BAR_PX - 7).encode(
        x=alt.X(
            "share:Q",
            title="share of the cell's samples",
            axis=alt.Axis(format=".0%", tickCount=4, grid=True),
            scale=alt.Scale(domain=[0, 1]),
        ),
        color=alt.Color("label:N", scale=alt.Scale(domain=list(labels), range=LABELS), legend=None),
        opacity=alt.when("label === '' || datum.label === label")
        .then(alt.value(1))
        .otherwise(alt.value(0.55)),
        tooltip=[
            alt.Tooltip("label:N", title="label"),
            alt.Tooltip("n:Q", title="samples in the cell", format=",d"),
            alt.Tooltip("share:Q", title="share of the cell", format=".1%"),
            alt.Tooltip("expected:Q", title="share of all samples", format=".1%"),
        ],
    )
    numbers = base.mark_text(align="left", dx=5, fontSize=LABEL_SIZE, color=QUIET_INK).encode(
        x="share:Q", text=alt.Text("n:Q", format=",d")
    )
    expected = base.mark_tick(color=INK, thickness=2, size=_BAR_PX - 2).encode(x="expected:Q")
    drawn: alt.LayerChart = (
        alt.LayerChart(layer=[bars, expected, numbers], data=alt.NamedData("shares"))
        .properties(width=240, height=alt.Step(_BAR_PX))
        .add_params(alt.param(name="label", value=""))
    )
    return drawn
