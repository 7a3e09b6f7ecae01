"""What cells tell of labels, layer by layer and step by step, against what chance alone would tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.information_marks import found_peak, panel_chart
from llm_mri_store.charts.information_panel import NEXT_LAYER, PLACE, RUN, Panel
from llm_mri_store.charts.tables import Row, drawn_rows, refuse_bad_level
from llm_mri_store.charts.theme import apply_theme
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import LAYER

_NUMBERS: Final = (
    "information", "by_chance", "by_chance_low", "by_chance_high", "band_fwe",
    "excess", "excess_low", "excess_high", "excess_share", "p", "p_fwe",
)  # fmt: skip
_TWIN: Final = ("twin_excess", "twin_excess_low", "twin_excess_high", "twin_p_fwe")
_LAYER_COLUMNS: Final = (LAYER, "n", *_NUMBERS, "is_peak", "may_be_peak", "note")
_STEP_COLUMNS: Final = (LAYER, NEXT_LAYER, "n", *_NUMBERS, "note")

_HEIGHT_PX: Final = 280
_LEAST_HEIGHT_PX: Final = 130
_ROOM: Final = 1.08
_LABEL_ROOM_PX: Final = 210
_LEAST_SHARE: Final = 0.35
"""Of the label's entropy that the curve must reach for the entropy to be drawn above it."""


def information_chart(
    layers: pa.Table,
    steps: pa.Table,
    *,
    label_entropy: float,
    title: str,
    subtitle: Sequence[str] = (),
    alpha: float = 0.05,
) -> alt.VConcatChart:
    """Bits that the cell tells of the label, layer by layer; below, from each layer to the next.

    Grey is what relabelled samples tell: their mean, their 95 % band, and dashed what they stay below at all
    layers in 95 % of relabelings. A point is filled where its family-wise p is at most alpha; the bar
    through it is the 95 % interval of its excess over chance. Both panels have as many pixels to a bit.

    Args:
        layers: a row per layer, columns as in ``analysis.information.label_information``; a random twin is
            drawn beside where there are its columns (``twin_excess`` ...).
        steps: a row per pair of neighbouring layers, likewise; one panel where there is none.
        label_entropy: H(label) in bits; drawn where the curve comes near it, told in any case.
        title: one sentence.
        subtitle: further lines; how to read the chart is added to them.
        alpha: level of filled points, in (0, 1).

    Raises:
        InvalidInput: a column is missing, there is no layer, or the level cannot be used.

    >>> layers = pa.table(dict.fromkeys(_LAYER_COLUMNS, [None]) | {"layer": [0], "information": [0.0]})
    >>> steps = pa.table({name: [] for name in _STEP_COLUMNS})
    >>> chart = information_chart(layers, steps, label_entropy=1.0, title="One degenerate layer")
    >>> chart.to_dict()["title"]["subtitle"]
    ['No layer varies, so nothing was tested.']
    """
    refuse_bad_level(alpha)
    of_layers = _rows(layers, _LAYER_COLUMNS, "information of layers")
    of_steps = _rows(steps, _STEP_COLUMNS, "information of steps")
    if not of_layers:
        raise InvalidInput("the table of layers has no rows, so there is nothing to draw")
    places = [row[LAYER] for row in of_layers]
    width_px = min(640, max(340, 60 * len(places)))
    top = _highest(of_layers) or label_entropy or 1.0
    is_near = top >= _LEAST_SHARE * label_entropy
    top = _ROOM * max(top, label_entropy if is_near else 0.0)
    top_of_steps = _ROOM * _highest(of_steps) if of_steps else 0.0
    pixels_a_bit = _HEIGHT_PX / max(top, top_of_steps)
    height_px = max(_LEAST_HEIGHT_PX, math.ceil(pixels_a_bit * top))
    panels = [
        Panel(
            rows=of_layers,
            layers=places,
            measure="I(label; cell)",
            top=height_px / pixels_a_bit,
            entropy=label_entropy if is_near else None,
            alpha=alpha,
            width_px=width_px,
            height_px=height_px,
        )
    ]
    if of_steps:
        height_px = max(_LEAST_HEIGHT_PX, math.ceil(pixels_a_bit * top_of_steps))
        panels.append(
            panels[0]._replace(
                rows=of_steps,
                measure="I(label; next cell | cell)",
                top=height_px / pixels_a_bit,
                entropy=None,
                height_px=height_px,
            )
        )
    notes = _explanation(panels, label_entropy)
    return apply_theme(
        alt.VConcatChart(vconcat=[panel_chart(panel) for panel in panels], spacing=28),
        title=title,
        subtitle=[*subtitle, *notes],
        width_px=width_px + _LABEL_ROOM_PX,
    )


def _rows(table: pa.Table, expected: Sequence[str], what: str) -> list[Row]:
    """The table's rows in the order of layers, without what is NULL, with their places and runs."""
    every = drawn_rows(table, expected, what=what, optional=_TWIN)
    every.sort(key=lambda row: int(row[LAYER]))
    run = 0
    for row in every:
        row[PLACE] = (row[LAYER] + row.get(NEXT_LAYER, row[LAYER])) / 2
        if "by_chance" in row:
            row[RUN] = run
        else:
            run += 1
    return every


def _highest(rows: Sequence[Row]) -> float:
    """The highest that anything of these rows is drawn, in bits."""
    heights = [0.0]
    for row in rows:
        heights += [row[name] for name in ("information", "by_chance_high", "band_fwe") if name in row]
        if RUN in row:
            heights += [
                row["by_chance"] + row[name] for name in ("excess_high", "twin_excess") if name in row
            ]
    return max(heights)


def _explanation(panels: Sequence[Panel], label_entropy: float) -> list[str]:
    rows = [row for panel in panels for row in panel.rows]
    tested = [row for row in rows if RUN in row]
    alpha = panels[0].alpha
    if not tested:
        return ["No layer varies, so nothing was tested."]
    lines = [
        f"Filled points pass a family-wise p of {alpha:g}. Grey: relabelled samples, their mean and "
        "95\u00a0% band; dashed: they stay below at all layers in 95\u00a0% of relabelings."
    ]
    if any("excess_low" in row for row in tested):
        lines.append("Bars: 95\u00a0% interval of the excess over chance.")
    if any("twin_excess" in row for row in tested):
        lines.append("Random twin (fresh weights): its excess over its own chance, on top of chance here.")
    if panels[0].entropy is None:
        lines.append(f"The label's entropy, {label_entropy:.2f} bits, lies above the axis.")
    peak = found_peak(panels[0])
    rivals = [str(row[LAYER]) for row in panels[0].rows if row.get("may_be_peak") and row is not peak]
    if peak is not None and rivals:
        lines.append(f"The peak may as well be at layer {', '.join(rivals)} (95\u00a0% confidence set).")
    flat = [str(row[LAYER]) for row in panels[0].rows if RUN not in row]
    if flat:
        lines.append(f"× not tested: degenerate layer{'s' * (len(flat) > 1)} {', '.join(flat)}.")
    return lines
