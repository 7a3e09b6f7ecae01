"""Where samples lie in a layer's projection, as points, with the density of all samples behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.labels import NO_LABEL, LabelColours, label_colours
from llm_mri_store.charts.tables import Row, drawn_rows
from llm_mri_store.charts.theme import PAPER, UNKNOWN, apply_theme, shortened
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import LABEL, LAYER, SAMPLE_ID, TEXT

_POINT_COLUMNS: Final = (LAYER, LABEL, "x", "y")
_DENSITY_COLUMNS: Final = (LAYER, "left", "right", "bottom", "top", "n")

_SINGLE_PX: Final = 420
_PAGE_PX: Final = 860
_COLUMN_PX: Final = 56
_NUMBERS_PX: Final = 36
"""Room for the numbers of an upright axis, so that panels share columns."""
_NUMBERS: Final = "format(datum.value, datum.value != 0 && abs(datum.value) < 0.001 ? '.1~e' : '~g')"
"""Vega expression of an axis's numbers; those of a degenerate layer are tiny."""
_TITLED_FROM_PX: Final = 150
"""Side of a panel from which its axes have titles."""
_TOOLTIP_CHARACTERS: Final = 100
_POINT_AREAS_PX: Final = (8.0, 44.0)
_SHADES: Final = (0.06, 0.75)
"""Opacity of the ground where a cell holds next to nothing, and in the fullest."""


def points_chart(
    points: pa.Table,
    density: pa.Table | None = None,
    *,
    title: str,
    subtitle: Sequence[str] = (),
    columns: int = 3,
    degenerate_layers: Sequence[int] = (),
) -> alt.FacetChart:
    """Points of samples, a panel for each layer, coloured by label; behind them all samples in grey.

    Each panel has scales of its own: coordinates of different layers have nothing to do with each other.

    Args:
        points: layer, label (NULL = none), x, y, and perhaps text and sample_id; a row per layer and sample
            drawn. Rows without coordinates are left out.
        density: layer, left, right, bottom, top (ends of a cell, in coordinates), n (all samples in it);
            None leaves the ground white.
        title: one sentence.
        subtitle: further lines; they must say how many of how many samples are drawn.
        columns: panels to a line, at least 1.
        degenerate_layers: layers whose activations do not vary; their panels say so.

    Raises:
        InvalidInput: a column is missing, no row has coordinates, or ``columns`` is below 1.

    >>> points = pa.table({"layer": [3], "label": ["a"], "x": [0.5], "y": [1.0], "text": ["A text."]})
    >>> points_chart(points, title="Layer 3 (n = 1)").to_dict()["title"]["text"]
    ['Layer 3 (n = 1)']
    """
    if columns < 1:
        raise InvalidInput(f"columns is {columns}; it must be at least 1 panel to a line")
    every = drawn_rows(points, _POINT_COLUMNS, what="points", optional=(TEXT, SAMPLE_ID))
    drawn = [row for row in every if "x" in row]
    if not drawn:
        raise InvalidInput("no sample of these layers has a point, so there is nothing to draw")
    colours = label_colours(Counter(row.get(LABEL, NO_LABEL) for row in drawn))
    rows = _rows(drawn, colours)
    cells = (
        [row for row in drawn_rows(density, _DENSITY_COLUMNS, what="cells") if row["n"]]
        if density is not None
        else []
    )
    layers = sorted({row[LAYER] for row in rows})
    columns = min(columns, len(layers))
    edge_px = _SINGLE_PX if len(layers) == 1 else _PAGE_PX // columns - _COLUMN_PX
    has_titles = edge_px >= _TITLED_FROM_PX
    panel = alt.LayerChart(
        layer=[
            *_ground(cells, degenerate_layers, has_titles=has_titles),
            _dots(rows, edge_px, colours, has_titles=has_titles),
        ],
        width=edge_px,
        height=edge_px,
    )
    names = {
        layer: f"layer {layer} · degenerate" if layer in degenerate_layers else f"layer {layer}"
        for layer in layers
    }
    chart: alt.FacetChart = panel.facet(
        alt.Facet(
            "panel:N",
            sort=alt.EncodingSortField(field=LAYER, op="min"),
            title=None,
            header=alt.Header(labelExpr="split(datum.label, ' · ')", labelPadding=4, labelFontWeight=600),
        ),
        data=alt.InlineData(values=[{**row, "panel": names[row[LAYER]]} for row in (*cells, *rows)]),
        columns=columns,
        spacing={"row": 88 if has_titles else 62, "column": 72 if has_titles else 52},
        bounds="flush",
    ).resolve_scale(x="independent", y="independent")
    return apply_theme(
        chart,
        title=title,
        subtitle=[
            *subtitle,
            *([] if has_titles else ["Across: component 1, upward: component 2 (scores), each panel's own."]),
            *colours.notes,
        ],
        width_px=max(560, columns * (edge_px + _COLUMN_PX)),
    )


def _rows(drawn: Sequence[Row], colours: LabelColours) -> list[Row]:
    """The points, those of the largest label first, so that small ones lie on top."""
    sizes = Counter(colours.drawn_as[row.get(LABEL, NO_LABEL)] for row in drawn)
    rows = []
    for row in drawn:
        label = row.get(LABEL, NO_LABEL)
        words = {TEXT: shortened(row[TEXT], _TOOLTIP_CHARACTERS)} if TEXT in row else {}
        rows.append({**row, **words, LABEL: label, "drawn_as": colours.drawn_as[label]})
    return sorted(rows, key=lambda row: -sizes[row["drawn_as"]])


def _ground(cells: Sequence[Row], degenerate_layers: Sequence[int], *, has_titles: bool) -> list[alt.Chart]:
    """All samples, cell by cell: the more, the darker."""
    if not cells:
        return []
    varying = [row for row in cells if row[LAYER] not in degenerate_layers] or cells
    largest = max(row["n"] for row in varying)
    ground: alt.Chart = (
        alt.Chart()
        .transform_filter("isValid(datum.left)")
        .mark_rect(color=UNKNOWN, strokeWidth=0)
        .encode(
            x=_x("left", has_titles=has_titles),
            x2="right:Q",
            y=_y("bottom", has_titles=has_titles),
            y2="top:Q",
            opacity=alt.Opacity(
                "n:Q",
                scale=alt.Scale(domain=[0, largest], range=list(_SHADES), clamp=True),
                legend=alt.Legend(
                    title="all samples, per cell",
                    format=",d",
                    tickMinStep=1,
                    values=sorted({1, max(1, largest // 2), largest}),
                    symbolType="square",
                    symbolFillColor=UNKNOWN,
                    symbolStrokeWidth=0,
                ),
            ),
            tooltip=[
                alt.Tooltip(f"{LAYER}:Q", title="layer"),
                alt.Tooltip("n:Q", title="all samples in this cell", format=",d"),
            ],
        )
    )
    return [ground]


def _dots(rows: Sequence[Row], edge_px: int, colours: LabelColours, *, has_titles: bool) -> alt.Chart:
    """The samples drawn, smaller where there are many."""
    least, most = _POINT_AREAS_PX
    n_most = max(Counter(row[LAYER] for row in rows).values())
    tooltip = [
        alt.Tooltip(f"{LABEL}:N", title="label"),
        alt.Tooltip(f"{TEXT}:N", title="text"),
        alt.Tooltip(f"{LAYER}:Q", title="layer"),
    ]
    dots: alt.Chart = (
        alt.Chart()
        .transform_filter("isValid(datum.x)")
        .mark_circle(
            size=min(most, max(least, 0.035 * edge_px * edge_px / n_most)),
            opacity=0.85,
            stroke=PAPER,
            strokeWidth=0.4,
        )
        .encode(
            x=_x("x", has_titles=has_titles),
            y=_y("y", has_titles=has_titles),
            color=alt.Color(
                "drawn_as:N",
                scale=colours.scale,
                legend=alt.Legend(
                    title=LABEL,
                    labelExpr=colours.label_expr,
                    symbolType="circle",
                    symbolOpacity=1,
                    symbolStrokeWidth=0,
                ),
            ),
            tooltip=tooltip,
        )
    )
    return dots


def _x(field: str, *, has_titles: bool) -> alt.X:
    return alt.X(
        f"{field}:Q",
        scale=alt.Scale(zero=False, nice=False, padding=6),
        axis=alt.Axis(title="component 1 (score)" if has_titles else None, tickCount=4, labelExpr=_NUMBERS),
    )


def _y(field: str, *, has_titles: bool) -> alt.Y:
    return alt.Y(
        f"{field}:Q",
        scale=alt.Scale(zero=False, nice=False, padding=6),
        axis=alt.Axis(
            title="component 2 (score)" if has_titles else None,
            tickCount=4,
            labelExpr=_NUMBERS,
            minExtent=_NUMBERS_PX,
            maxExtent=_NUMBERS_PX,
        ),
    )
