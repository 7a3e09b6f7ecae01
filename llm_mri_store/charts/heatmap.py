"""Heatmaps of how many samples each cell of the grid holds: one layer, or every layer side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.heatmap_cells import CellValue, Row, cell_rows, printed_number
from llm_mri_store.charts.theme import (
    EMPTY,
    LABEL_SIZE,
    PAPER,
    SEQUENTIAL,
    apply_theme,
    named_by,
    readable_on,
    short_names,
)
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import CELL_X, CELL_Y, LABEL, LAYER

_LARGEST_PRINTED_GRID: Final = 12
_PLOT_PX: Final = 380
_GAP_PX: Final = 10


def heatmap_chart(
    cells: pa.Table,
    *,
    value: CellValue = "n",
    title: str,
    subtitle: Sequence[str] = (),
    examples: pa.Table | None = None,
) -> alt.Chart | alt.LayerChart:
    """Heatmap of one layer and label; component 1 to the right, component 2 upward.

    A cell without samples is nearly white whatever the scale. Grids of up to 12 x 12 cells have their
    numbers printed.

    Args:
        cells: layer, label (NULL = all labels), cell_x, cell_y, n, share in [0, 1]; one row for every
            cell of an n x n grid, of one layer and one label.
        value: colour by samples (``"n"``) or by share of the label's samples (``"share"``).
        title: one sentence.
        subtitle: further lines.
        examples: layer, cell_x, cell_y, text; a few texts a cell, shown when the pointer rests on it.

    Raises:
        InvalidInput: a column is missing, the grid is not complete, or there are several layers or labels.

    >>> cell = {"layer": [0], "label": ["a"], "cell_x": [0], "cell_y": [0]}
    >>> cells = pa.table(cell | {"n": [3], "share": [1.0]})
    >>> heatmap_chart(cells, title="Layer 0").to_dict()["title"]["text"]
    ['Layer 0']
    """
    rows, grid = cell_rows(cells, value=value, examples=examples)
    panels = {(row[LAYER], row[LABEL]) for row in rows}
    if len(panels) > 1:
        raise InvalidInput(
            f"these cells belong to {len(panels)} pairs of layer and label, expected one; choose one layer "
            "and label, or draw them with heatmap_layers_chart"
        )
    for row in rows:
        row["printed"] = printed_number(row, value)
    squares = _squares(
        rows,
        grid,
        value=value,
        has_examples=examples is not None,
        edge_px=_PLOT_PX,
        axes=True,
        largest=_largest(rows, value),
    )
    if grid > _LARGEST_PRINTED_GRID:
        return apply_theme(squares, title=title, subtitle=subtitle, width_px=_PLOT_PX + 100)
    numbered = alt.LayerChart(layer=[squares, _numbers(squares, rows, grid, value=value)])
    return apply_theme(numbered, title=title, subtitle=subtitle, width_px=_PLOT_PX + 100)


def heatmap_layers_chart(
    cells: pa.Table,
    *,
    value: CellValue = "n",
    title: str,
    subtitle: Sequence[str] = (),
    columns: int = 4,
    examples: pa.Table | None = None,
    degenerate_layers: Sequence[int] = (),
) -> alt.FacetChart:
    """Heatmaps of many layers on one shared colour scale.

    One label: panels in reading order, ``columns`` to a line. Several labels: a row for each label
    and a column for each layer.

    Args:
        cells: as for ``heatmap_chart``, with any number of layers and labels.
        value: as for ``heatmap_chart``.
        title: one sentence.
        subtitle: further lines.
        columns: panels to a line when there is one label, at least 1.
        examples: as for ``heatmap_chart``.
        degenerate_layers: layers whose activations do not vary; their panels say so.

    Raises:
        InvalidInput: a column is missing, a grid is not complete, or ``columns`` is below 1.

    >>> one = {"label": ["a", "a"], "cell_x": [0, 0], "cell_y": [0, 0], "n": [3, 3], "share": [1.0, 1.0]}
    >>> cells = pa.table({"layer": [0, 1], **one})
    >>> heatmap_layers_chart(cells, title="Both layers", columns=2).to_dict()["columns"]
    2
    """
    if columns < 1:
        raise InvalidInput(f"columns is {columns}; it must be at least 1 panel to a line")
    rows, grid = cell_rows(cells, value=value, examples=examples)
    layers = sorted({row[LAYER] for row in rows})
    labels = list(dict.fromkeys(row[LABEL] for row in rows))
    several_labels = len(labels) > 1
    for row in rows:
        row["panel"] = _panel_name(row[LAYER], degenerate_layers)
        row["label_rank"] = labels.index(row[LABEL])
    columns = len(layers) if several_labels else min(columns, len(layers))
    edge_px = max(grid, _strip_edge(columns) if several_labels else _panel_edge(columns))
    varying = [row for row in rows if row[LAYER] not in degenerate_layers] or rows
    squares = _squares(
        rows,
        grid,
        value=value,
        has_examples=examples is not None,
        edge_px=edge_px,
        axes=False,
        largest=_largest(varying, value),
    )
    in_layer_order = alt.EncodingSortField(field=LAYER, op="min")
    if several_labels:
        panels = squares.facet(
            column=alt.Column("panel:N", sort=in_layer_order, title=None, header=_header(edge_px)),
            row=alt.Row(
                f"{LABEL}:N",
                sort=alt.EncodingSortField(field="label_rank", op="min"),
                title=None,
                header=alt.Header(
                    labelExpr=named_by(short_names(labels)),
                    labelAngle=0,
                    labelAlign="left",
                    labelPadding=8,
                    labelFontWeight=600,
                ),
            ),
            spacing=_GAP_PX,
        )
    else:
        panels = squares.facet(
            alt.Facet("panel:N", sort=in_layer_order, title=None, header=_header(edge_px)),
            columns=columns,
            spacing=_GAP_PX,
        )
    return apply_theme(
        panels,
        title=title,
        subtitle=[
            *subtitle,
            "In each panel component 1 grows to the right, component 2 upward.",
            *(
                ["The one cell of a degenerate layer lies beyond the scale."]
                if len(varying) < len(rows)
                else []
            ),
        ],
        width_px=columns * (edge_px + _GAP_PX) + 100,
    )


def _largest(rows: Sequence[Row], value: CellValue) -> float:
    return max((float(row[value]) for row in rows if row[value] is not None), default=0.0)


def _squares(
    rows: Sequence[Row],
    grid: int,
    *,
    value: CellValue,
    has_examples: bool,
    edge_px: int,
    axes: bool,
    largest: float,
) -> alt.Chart:
    """The cells as squares on ordinal axes, on one scale for all rows, up to the largest value."""
    percent = ".0%" if largest >= 0.05 else ".1%"
    legend = alt.Legend(
        title="samples" if value == "n" else "share of samples",
        format=",d" if value == "n" else percent,
        tickMinStep=1 if value == "n" else 0.001,
        tickCount=5,
    )
    colour = alt.Color(
        f"{value}:Q",
        scale=alt.Scale(
            domain=_colour_domain(largest, value), range=SEQUENTIAL, interpolate="lab", clamp=True
        ),
        legend=legend,
    )
    tooltip = [
        alt.Tooltip(f"{LAYER}:Q", title="layer"),
        alt.Tooltip(f"{LABEL}:N", title="label"),
        alt.Tooltip("cell:N", title="cell"),
        alt.Tooltip("n:Q", title="samples", format=",d"),
        alt.Tooltip("share:Q", title="share of samples", format=".1%"),
    ]
    if has_examples:
        tooltip.append(alt.Tooltip("examples:N", title="examples"))
    squares: alt.Chart = (
        alt.Chart(alt.InlineData(values=list(rows)))
        .transform_calculate(cell=f"datum.{CELL_X} + ', ' + datum.{CELL_Y}")
        .mark_rect(stroke=PAPER, strokeWidth=1 if edge_px / grid >= 8 else 0.3)
        .encode(
            x=alt.X(
                f"{CELL_X}:O",
                scale=alt.Scale(domain=list(range(grid))),
                axis=_axis("component 1 (cell)", grid, edge_px) if axes else None,
            ),
            y=alt.Y(
                f"{CELL_Y}:O",
                scale=alt.Scale(domain=list(reversed(range(grid)))),
                axis=_axis("component 2 (cell)", grid, edge_px) if axes else None,
            ),
            color=alt.when("datum.n === 0").then(alt.value(EMPTY)).otherwise(colour),
            tooltip=tooltip,
        )
        .properties(width=edge_px, height=edge_px)
    )
    return squares


def _colour_domain(largest: float, value: CellValue) -> list[float]:
    """From a single sample, or from a share of nothing, to the largest value."""
    return [1, largest] if value == "n" and largest > 1 else [0, largest or 1]


def _axis(title: str, grid: int, edge_px: int) -> alt.Axis:
    """A bare axis with as many cell numbers as fit."""
    step = max(1, math.ceil(grid * 18 / edge_px))
    return alt.Axis(title=title, labelAngle=0, values=list(range(0, grid, step)), ticks=False, labelPadding=5)


def _numbers(squares: alt.Chart, rows: Sequence[Row], grid: int, *, value: CellValue) -> alt.Chart:
    """The number of each cell, black on light squares and white on dark ones."""
    numbers: alt.Chart = squares.mark_text(fontSize=LABEL_SIZE if grid <= 10 else 9).encode(
        text="printed:N", color=alt.value(readable_on(f"scale('color', datum.{value})"))
    )
    return numbers


def _panel_name(layer: int, degenerate_layers: Sequence[int]) -> str:
    return f"layer {layer} · degenerate" if layer in degenerate_layers else f"layer {layer}"


def _header(edge_px: int) -> alt.Header:
    """The panel's name, a line for each part of it."""
    return alt.Header(
        labelExpr="split(datum.label, ' · ')",
        labelPadding=4,
        labelFontWeight=600,
        labelFontSize=LABEL_SIZE if edge_px >= 64 else 9,
    )


def _panel_edge(columns: int) -> int:
    """Side of a panel in a page of ``columns`` panels, about 800 pixels in all."""
    return min(_PLOT_PX, max(90, 800 // columns - _GAP_PX))


def _strip_edge(n_layers: int) -> int:
    """Side of a panel in a strip of one panel a layer, about 1100 pixels in all."""
    return min(160, max(48, 1100 // n_layers - _GAP_PX))
