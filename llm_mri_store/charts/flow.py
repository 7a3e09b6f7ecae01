"""How labels travel through the layers: regions as blocks, samples between them as ribbons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.flow_layout import OTHERS_CELL, Cell, Flow, Ribbon, Segment, lay_out_flow
from llm_mri_store.charts.labels import LabelColours, label_colours
from llm_mri_store.charts.tables import Row, drawn_rows
from llm_mri_store.charts.theme import INK, PAPER, apply_theme
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import CELL_X, CELL_Y, LABEL, LAYER

_COUNT_COLUMNS: Final = (LAYER, CELL_X, CELL_Y, LABEL, "n")
_STEP_COLUMNS: Final = (LAYER, LABEL, "from_x", "from_y", "to_x", "to_y", "weight")

_HEIGHT_PX: Final = 460
_LAYER_PX: Final = 118
_WIDEST_PX: Final = 1120
_BLOCK_PX: Final = 15
_LEAST_RIBBON_PX: Final = 0.25
_MOST_RIBBONS: Final = 6000
_BEND: Final = 0.2
"""Share of the way at either end where a ribbon runs level."""
_NAMED_FROM_PX: Final = 46
"""Way between layers from which blocks are named."""
_NAME_PX: Final = 78
"""Room for the names of the last layer's blocks."""


def flow_chart(
    counts: pa.Table,
    steps: pa.Table,
    *,
    title: str,
    subtitle: Sequence[str] = (),
    n_regions: int = 8,
    degenerate_layers: Sequence[int] = (),
) -> alt.LayerChart:
    """Alluvial drawing: each layer's largest regions, and how samples of each label go from one to the next.

    Layers run from left to right. A block's height and a ribbon's thickness are samples, on one scale.
    Regions beyond the largest are one block at the bottom, outlined with a dashed line.

    Args:
        counts: layer, cell_x, cell_y, label, n: a row for each occupied cell and label, as the named query
            ``label_shares`` gives them.
        steps: layer, label, from_x, from_y, to_x, to_y, weight: a row for each label and edge, those at
            degenerate layers too, as ``edges_all_labels`` gives them.
        title: one sentence.
        subtitle: further lines; what is drawn together or left out is added to them.
        n_regions: regions of a layer that have a block of their own, at least 1.
        degenerate_layers: layers whose activations do not vary; they are named so.

    Raises:
        InvalidInput: a column is missing, there is no sample, or ``n_regions`` is below 1.

    >>> counts = {"layer": [0, 1], "cell_x": [0, 2], "cell_y": [0, 3], "label": ["a", "a"], "n": [3, 3]}
    >>> step = {"layer": [0], "label": ["a"], "from_x": [0], "from_y": [0], "to_x": [2], "to_y": [3]}
    >>> chart = flow_chart(pa.table(counts), pa.table(step | {"weight": [3]}), title="t")
    >>> chart.to_dict()["title"]["subtitle"]
    ['Every region has a block of its own. Block height and', 'ribbon thickness: samples.']
    """
    if n_regions < 1:
        raise InvalidInput(f"n_regions is {n_regions}; it must be at least 1 region to a layer")
    counted = drawn_rows(counts, _COUNT_COLUMNS, what="samples of labels in cells")
    stepped = drawn_rows(steps, _STEP_COLUMNS, what="edges of labels")
    totals = _label_totals(counted)
    if not totals:
        raise InvalidInput("no sample of these labels has a cell, so there is nothing to draw")
    colours = label_colours(totals)
    flow = lay_out_flow(
        _counts(counted, colours), _steps(stepped, colours), colours.names, n_regions=n_regions
    )
    ribbons, least = _drawn_ribbons(flow)
    way_px = min(_LAYER_PX, _WIDEST_PX // max(len(flow.layers) - 1, 1))
    width_px = max(160, way_px * (len(flow.layers) - 1))
    ends = [-0.5 * _BLOCK_PX / way_px, len(flow.layers) - 1 + 0.5 * _BLOCK_PX / way_px]
    is_named = way_px >= _NAMED_FROM_PX
    places = _Places(
        flow=flow,
        half=0.5 * _BLOCK_PX / way_px,
        across=alt.Scale(domain=ends, nice=False, zero=False),
        downward=alt.Scale(domain=[flow.height, 0], nice=False, zero=False),
        axis=_axis(flow, degenerate_layers),
    )
    color = alt.Color(
        "drawn_as:N",
        scale=colours.scale,
        legend=alt.Legend(
            title=LABEL,
            labelExpr=colours.label_expr,
            symbolType="square",
            symbolOpacity=1,
            symbolStrokeWidth=0,
            offset=_NAME_PX if is_named else 24,
        ),
    )
    marks = [
        *_ribbon_marks(ribbons, places, color),
        *_block_marks(places, color, is_named=is_named),
    ]
    chart: alt.LayerChart = alt.LayerChart(layer=marks).properties(
        width=width_px, height=_HEIGHT_PX, view=alt.ViewBackground(stroke=None)
    )
    notes = [*_block_note(flow, n_regions), *_left_out_note(flow, ribbons, least), *colours.notes]
    return apply_theme(chart, title=title, subtitle=[*subtitle, *notes], width_px=width_px + 200)


class _Places(NamedTuple):
    """Where marks of a flow stand.

    Attributes:
        flow: what is drawn.
        half: half a block's width, in ways from layer to layer.
        across, downward: scales of places and of samples.
        axis: of layers.
    """

    flow: Flow
    half: float
    across: alt.Scale
    downward: alt.Scale
    axis: alt.Axis

    def x(self, field: str = "x") -> alt.X:
        """Encoding from left to right, in layers."""
        return alt.X(f"{field}:Q", scale=self.across, axis=self.axis)

    def y(self, field: str = "y") -> alt.Y:
        """Encoding downward, in samples."""
        return alt.Y(f"{field}:Q", scale=self.downward, axis=None)

    def place(self, layer: int) -> int:
        """A layer's place from the left."""
        return self.flow.layers.index(layer)


def _label_totals(rows: Sequence[Row]) -> dict[str, int]:
    """The most samples that a label has at any layer."""
    by_layer: Counter[tuple[int, str]] = Counter()
    for row in rows:
        by_layer[row[LAYER], row[LABEL]] += row["n"]
    totals: dict[str, int] = {}
    for (_, label), n in by_layer.items():
        totals[label] = max(totals.get(label, 0), n)
    return totals


def _counts(rows: Sequence[Row], colours: LabelColours) -> Counter[tuple[int, Cell, str]]:
    counts: Counter[tuple[int, Cell, str]] = Counter()
    for row in rows:
        counts[row[LAYER], (row[CELL_X], row[CELL_Y]), colours.drawn_as[row[LABEL]]] += row["n"]
    return counts


def _steps(rows: Sequence[Row], colours: LabelColours) -> Counter[tuple[int, Cell, Cell, str]]:
    steps: Counter[tuple[int, Cell, Cell, str]] = Counter()
    for row in rows:
        source, target = (row["from_x"], row["from_y"]), (row["to_x"], row["to_y"])
        steps[row[LAYER], source, target, colours.drawn_as[row[LABEL]]] += row["weight"]
    return steps


def _drawn_ribbons(flow: Flow) -> tuple[Sequence[Ribbon], float]:
    """The ribbons thick enough to be seen, and no more than a page can hold; the fewest samples of one."""
    least = _LEAST_RIBBON_PX * flow.height / _HEIGHT_PX
    if len(flow.ribbons) > _MOST_RIBBONS:
        least = max(least, flow.ribbons[_MOST_RIBBONS].n + 1)
    return [one for one in flow.ribbons if one.n >= least], least


def _axis(flow: Flow, degenerate_layers: Sequence[int]) -> alt.Axis:
    """Layers by name, below their blocks."""
    step = math.ceil(len(flow.layers) / 34)
    names = [
        [str(layer), "degenerate"] if layer in degenerate_layers else [str(layer)] for layer in flow.layers
    ]
    return alt.Axis(
        title="layer",
        values=list(range(0, len(flow.layers), step)),
        labelExpr=f"({names})[datum.value]",
        labelFlush=False,
        labelOverlap=False,
        ticks=False,
        orient="bottom",
    )


def _ribbon_marks(ribbons: Sequence[Ribbon], places: _Places, color: alt.Color) -> list[alt.Chart]:
    """The ribbons, faded where the pointer rests on one of another label."""
    if not ribbons:
        return []
    rows = []
    for number, one in enumerate(ribbons):
        left, right = places.place(one.layer) + places.half, places.place(one.next_layer) - places.half
        bend = _BEND * (right - left)
        rows.append(
            {
                "ribbon": number,
                "from": _block_name(one.layer, one.source, places.flow),
                "to": _block_name(one.next_layer, one.target, places.flow),
                "drawn_as": one.label,
                "n": one.n,
                "x": [left, left + bend, right - bend, right],
                "y": [one.from_top, one.from_top, one.to_top, one.to_top],
                "y2": [top + one.n for top in (one.from_top, one.from_top, one.to_top, one.to_top)],
            }
        )
    hover = alt.selection_point(
        name="hovered_label", fields=["drawn_as"], on="pointerover", clear="pointerout"
    )
    marks: alt.Chart = (
        alt.Chart(alt.InlineData(values=rows), name="ribbons")
        .transform_flatten(["x", "y", "y2"])
        .mark_area(interpolate="monotone")
        .encode(
            x=places.x(),
            y=places.y(),
            y2="y2:Q",
            detail="ribbon:N",
            color=color,
            opacity=alt.when(hover).then(alt.value(0.55)).otherwise(alt.value(0.1)),
            tooltip=[
                alt.Tooltip("drawn_as:N", title=LABEL),
                alt.Tooltip("from:N"),
                alt.Tooltip("to:N"),
                alt.Tooltip("n:Q", title="samples", format=",d"),
            ],
        )
        .add_params(hover)
    )
    return [marks]


def _block_marks(places: _Places, color: alt.Color, *, is_named: bool) -> list[alt.Chart]:
    """Segments in the labels' colours, an outline around each block, and its name."""
    rows: list[Row] = [
        {
            **_ends(one, places),
            "block": _block_name(one.layer, one.cell, places.flow),
            "drawn_as": one.label,
            "n": one.n,
        }
        for one in places.flow.segments
    ]
    ends = {"x": places.x(), "x2": "x2:Q", "y": places.y(), "y2": "y2:Q"}
    segments = (
        alt.Chart(alt.InlineData(values=rows))
        .mark_rect(strokeWidth=0)
        .encode(
            **ends,
            color=color,
            tooltip=[
                alt.Tooltip("block:N", title="region"),
                alt.Tooltip("drawn_as:N", title=LABEL),
                alt.Tooltip("n:Q", title="samples", format=",d"),
            ],
        )
    )
    blocks = _blocks(places)
    frames = [
        alt.Chart(alt.InlineData(values=[row for row in blocks if row["is_others"] == is_others]))
        .mark_rect(filled=False, stroke=INK, strokeWidth=0.8, strokeDash=dash)
        .encode(**ends)
        for is_others, dash in ((False, [1, 0]), (True, [2, 2]))
        if any(row["is_others"] == is_others for row in blocks)
    ]
    if not is_named:
        return [segments, *frames]
    named = alt.Chart(alt.InlineData(values=[row for row in blocks if row["height_px"] >= 9]))
    words: dict[str, Any] = {"fontSize": 10, "align": "left", "baseline": "middle", "dx": 0.5 * _BLOCK_PX + 3}
    middle, at = places.y("middle"), places.x("at")
    return [
        segments,
        *frames,
        # A rim of paper, so that the name reads on whatever ribbon lies behind it.
        named.mark_text(**words, stroke=PAPER, strokeWidth=3, strokeOpacity=0.8, strokeJoin="round").encode(
            x=at, y=middle, text="name:N"
        ),
        named.mark_text(**words, color=INK).encode(x=at, y=middle, text="name:N"),
    ]


def _ends(one: Segment, places: _Places) -> Row:
    place = places.place(one.layer)
    return {"x": place - places.half, "x2": place + places.half, "y": one.top, "y2": one.bottom}


def _blocks(places: _Places) -> list[Row]:
    """A row for each block: its ends, its name, whether it stands for several regions."""
    flow = places.flow
    rows: dict[tuple[int, Cell], Row] = {}
    for one in flow.segments:
        row = rows.setdefault(
            (one.layer, one.cell),
            {
                **_ends(one, places),
                "at": places.place(one.layer),
                "name": f"{flow.n_others[one.layer]:,} others"
                if one.cell == OTHERS_CELL
                else f"{one.cell[0]}, {one.cell[1]}",
                "is_others": one.cell == OTHERS_CELL,
            },
        )
        row["y2"] = one.bottom
    for row in rows.values():
        row["middle"] = (row["y"] + row["y2"]) / 2
        row["height_px"] = (row["y2"] - row["y"]) / flow.height * _HEIGHT_PX
    return list(rows.values())


def _block_name(layer: int, cell: Cell, flow: Flow) -> str:
    if cell == OTHERS_CELL:
        return f"layer {layer}, {flow.n_others[layer]:,} other cells"
    return f"layer {layer}, cell {cell[0]}, {cell[1]}"


def _block_note(flow: Flow, n_regions: int) -> list[str]:
    scale = "Block height and ribbon thickness: samples."
    if not any(flow.n_others.values()):
        return [f"Every region has a block of its own. {scale}"]
    return [
        f"The {n_regions} regions with the most samples of each layer have a block, named by component 1 and "
        f"2 of the cell; all others of a layer are one, dashed, at the bottom. {scale}"
    ]


def _left_out_note(flow: Flow, ribbons: Sequence[Ribbon], least: float) -> list[str]:
    n = sum(one.n for one in flow.ribbons)
    n_left = n - sum(one.n for one in ribbons)
    if not n_left:
        return []
    return [
        f"Left out: ribbons of fewer than {math.ceil(least):,} samples, {n_left / n:.1%} of all steps from a "
        "layer to the next."
    ]
