"""Map of where two labels differ: every layer's cells, and lines around those that differ beyond chance."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.contrast_marks import MEANINGS, Frame, outline_rows, outlines, squares
from llm_mri_store.charts.contrast_rows import (
    ContrastValue,
    Findings,
    contrast_rows,
    kept_numbers,
    layer_findings,
)
from llm_mri_store.charts.tables import Row, refuse_bad_level
from llm_mri_store.charts.theme import EMPTY, apply_theme
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import CELL_X, CELL_Y, LAYER

MOST_COLUMNS: Final = 9
"""Panels to a line; more layers go on to further lines of about equal length."""

_SINGLE_PX: Final = 380
_LARGEST_PX: Final = 240
_STRIP_PX: Final = 1060
_GAP_PX: Final = 10
_LEAST_WIDTH_PX: Final = 560


def contrast_chart(
    cells: pa.Table,
    *,
    name_a: str,
    name_b: str,
    title: str,
    subtitle: Sequence[str] = (),
    value: ContrastValue = "difference",
    alpha: float = 0.05,
    degenerate_layers: Collection[int] = (),
    also_in_twin: Collection[int] = (),
) -> alt.FacetChart:
    """Map of a contrast: a panel for each layer, all on one scale of colours.

    A cell's colour is its share of A's samples minus its share of B's, in percentage points; the scale runs
    from the largest difference of any layer to its opposite. A cell without samples is nearly white, that
    of a degenerate layer dark grey; one that was not tested is drawn smaller. A solid line runs around
    cells that differ by themselves, a dashed one around clusters of cells that do. Where more than 5,000
    cells hold samples, shares, intervals, odds and uncorrected p are left out of the chart's data.

    Args:
        cells: those of a contrast, every cell of every layer; columns as in ``analysis.contrast.contrast``.
        name_a: side A in words.
        name_b: side B in words.
        title: one sentence.
        subtitle: further lines; what passed is added to them.
        value: the difference of all samples, or that within strata.
        alpha: level of the lines, in (0, 1), for the family-wise p of cells and of clusters.
        degenerate_layers: layers whose activations do not vary; their panels say so.
        also_in_twin: layers where the sides differ in a model of random weights as well; their panels say so.

    Raises:
        InvalidInput: a column is missing, a layer lacks cells, or the level or value cannot be used.

    >>> contrast_chart(pa.table({"layer": [0]}), name_a="a", name_b="b", title="t")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    llm_mri_store.errors.InvalidInput: the table of cells of a contrast lacks cell_x, cell_y, n_a, ...
    """
    refuse_bad_level(alpha)
    if value not in MEANINGS:
        raise InvalidInput(f"value is {value!r}; expected {' or '.join(MEANINGS)}")
    rows, grid = contrast_rows(cells)
    layers = sorted(cells[LAYER].unique().to_pylist())
    found = layer_findings(rows, alpha=alpha)
    shown = kept_numbers(rows)
    columns = math.ceil(len(layers) / math.ceil(len(layers) / MOST_COLUMNS))
    edge_px = _SINGLE_PX if len(layers) == 1 else min(_LARGEST_PX, _STRIP_PX // columns - _GAP_PX)
    frame = Frame(grid=grid, edge_px=edge_px, is_single=len(layers) == 1)
    panel = alt.LayerChart(
        layer=[*squares(shown, frame, value=value, sides=(name_a, name_b)), outlines(frame, alpha=alpha)],
        view=alt.ViewBackground(fill=EMPTY, stroke=None),
        width=edge_px,
        height=edge_px,
    )
    names = {layer: _panel_name(layer, degenerate_layers, also_in_twin) for layer in layers}
    data = [
        *({**row, "panel": names[row[LAYER]], "passes": _passes(row, found)} for row in shown),
        *({**line, "panel": names[line[LAYER]]} for line in outline_rows(found, alpha=alpha)),
    ]
    chart = panel.facet(
        alt.Facet(
            "panel:N",
            sort=alt.EncodingSortField(field=LAYER, op="min"),
            title=None,
            header=alt.Header(labelExpr="split(datum.label, ' · ')", labelPadding=4, labelFontWeight=600),
        ),
        data=alt.InlineData(values=data),
        columns=columns,
        spacing=_GAP_PX,
    )
    notes = [*_findings_note(rows, found, alpha), *_untested_note(rows)]
    if not frame.is_single:
        notes.append("In each panel component 1 grows to the right, component 2 upward.")
    return apply_theme(
        chart,
        title=title,
        subtitle=[*subtitle, *notes],
        width_px=max(_LEAST_WIDTH_PX, columns * (edge_px + _GAP_PX)),
    )


def _passes(row: Row, found: Mapping[int, Findings]) -> bool:
    return found[row[LAYER]].holds((row[CELL_X], row[CELL_Y]))


def _panel_name(layer: int, degenerate_layers: Collection[int], also_in_twin: Collection[int]) -> str:
    """Its lines, parted by middle dots."""
    if layer in degenerate_layers:
        return f"layer {layer} · degenerate"
    return f"layer {layer} · also in the twin" if layer in also_in_twin else f"layer {layer}"


def _findings_note(rows: Sequence[Row], found: Mapping[int, Findings], alpha: float) -> list[str]:
    n_tested = sum(bool(row["is_tested"]) for row in rows)
    n_cells = sum(len(one.cells) for one in found.values())
    n_enhanced = sum(len(one.enhanced) for one in found.values())
    n_clusters = len({number for one in found.values() for number in one.clusters.values()})
    if not n_cells and not n_enhanced and not n_clusters:
        return [
            f"Nothing passes a family-wise p of {alpha:g} ({n_tested:,} cells tested): all is drawn pale."
        ]
    return [
        f"Of {n_tested:,} cells tested, {n_cells:,} pass a family-wise p of {alpha:g} by themselves and "
        f"{n_enhanced:,} with their neighbours (TFCE); {n_clusters:,} cluster{'s' * (n_clusters != 1)} "
        f"pass{'es' * (n_clusters == 1)}. The rest is drawn pale."
    ]


def _untested_note(rows: Sequence[Row]) -> list[str]:
    n = sum(not row["is_tested"] for row in rows if "difference" in row)
    return [f"Small squares: {n:,} cells that were not tested."] if n else []
