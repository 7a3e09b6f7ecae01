"""What a panel of an information chart draws: chance, curves over it, and names beside their ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import altair as alt

from llm_mri_store.charts.expressions import word_fields, word_tooltip
from llm_mri_store.charts.information_panel import RUN, Panel
from llm_mri_store.charts.probe import spread_apart
from llm_mri_store.charts.tables import Row
from llm_mri_store.charts.theme import (
    CATEGORICAL,
    CHANCE,
    CHANCE_LINE,
    INK,
    LABEL_SIZE,
    PAPER,
    QUIET_INK,
    Colour,
)

_LABEL_GAP_PX: Final = 17


class _Look(NamedTuple):
    """How a series is drawn beside its name."""

    colour: Colour
    dash: tuple[int, ...] = (1, 0)
    shape: str = ""
    width: float = 1.5


_CURVE: Final = _Look(CATEGORICAL[0], shape="circle", width=2)
_TWIN: Final = _Look(CATEGORICAL[4], shape="square")
_BAND: Final = _Look(CHANCE, width=11)
_MEAN: Final = _Look(CHANCE_LINE, width=1)
_FAMILY: Final = _Look(INK, dash=(5, 3), width=1.2)
_ENTROPY: Final = _Look(INK, dash=(1, 3))


def panel_chart(panel: Panel) -> alt.LayerChart:
    """The panel's marks: chance beneath, its twin, the curve, names."""
    tested = [row for row in panel.rows if RUN in row]
    of_twin = [row for row in tested if "twin_excess" in row]
    marks = _chance(tested, panel)
    if panel.entropy is not None:
        entropy = alt.Chart(alt.InlineData(values=[{"label_entropy": panel.entropy}]))
        marks.append(
            entropy.mark_rule(color=INK, strokeDash=_ENTROPY.dash, strokeWidth=_ENTROPY.width).encode(
                y=panel.y("label_entropy"),
                tooltip=[alt.Tooltip("label_entropy:Q", title="H(label), bits", format=".3f")],
            )
        )
    marks += _line(of_twin, panel, "twin", _TWIN)
    marks += _intervals(tested, panel)
    marks += _line(tested, panel, "information", _CURVE)
    marks += _points(of_twin, panel, "twin", _TWIN, p="twin_p_fwe")
    marks += _points(tested, panel, "information", _CURVE, p="p_fwe")
    marks += _untested([row for row in panel.rows if RUN not in row], panel)
    marks += _peak(panel)
    chart: alt.LayerChart = alt.LayerChart(layer=[*marks, *_names(panel)]).properties(
        width=panel.width_px, height=panel.height_px
    )
    return chart


def _base(rows: Sequence[Row], panel: Panel) -> alt.Chart:
    """Rows with their words; what is an excess, and the twin's, on top of chance as it is here."""
    base: alt.Chart = alt.Chart(alt.InlineData(values=list(rows))).transform_calculate(
        low="max(0, datum.by_chance + datum.excess_low)",
        high="datum.by_chance + datum.excess_high",
        twin="max(0, datum.by_chance + datum.twin_excess)",
        **word_fields(panel.words()),
    )
    return base


def _chance(tested: Sequence[Row], panel: Panel) -> list[alt.Chart]:
    """Band and mean of chance, and the line it stays below at all layers; bars where a row stands alone."""
    sizes = Counter(row[RUN] for row in tested)
    joined = [row for row in tested if sizes[row[RUN]] > 1]
    alone = [row for row in tested if sizes[row[RUN]] == 1]
    marks = []
    ends = {
        "x": panel.x(),
        "y": panel.y("by_chance_low"),
        "y2": "by_chance_high:Q",
        "tooltip": word_tooltip(panel.words()),
    }
    if joined:
        base = _base(joined, panel).encode(detail=f"{RUN}:N")
        marks.append(base.mark_area(color=_BAND.colour).encode(**ends))
        for column, look in (("by_chance", _MEAN), ("band_fwe", _FAMILY)):
            line = base.mark_line(color=look.colour, strokeDash=look.dash, strokeWidth=look.width)
            marks.append(line.encode(x=panel.x(), y=panel.y(column)))
    if alone:
        base = _base(alone, panel)
        marks.append(base.mark_rule(color=_BAND.colour, strokeWidth=_BAND.width).encode(**ends))
        for column, look in (("by_chance", _MEAN), ("band_fwe", _FAMILY)):
            tick = base.mark_tick(color=look.colour, orient="horizontal", size=20, thickness=look.width)
            marks.append(tick.encode(x=panel.x(), y=panel.y(column)))
    return marks


def _intervals(tested: Sequence[Row], panel: Panel) -> list[alt.Chart]:
    """The interval of the excess, on top of what chance gives."""
    rows = [row for row in tested if "excess_low" in row]
    if not rows:
        return []
    bars = _base(rows, panel).mark_rule(color=_CURVE.colour, strokeWidth=1.5)
    return [bars.encode(x=panel.x(), y=panel.y("low"), y2="high:Q", tooltip=word_tooltip(panel.words()))]


def _line(rows: Sequence[Row], panel: Panel, column: str, look: _Look) -> list[alt.Chart]:
    if not rows:
        return []
    line = _base(rows, panel).mark_line(color=look.colour, strokeWidth=look.width, strokeDash=look.dash)
    return [line.encode(x=panel.x(), y=panel.y(column), detail=f"{RUN}:N")]


def _points(rows: Sequence[Row], panel: Panel, column: str, look: _Look, *, p: str) -> list[alt.Chart]:
    """Points, filled where they pass."""
    if not rows:
        return []
    points = _base(rows, panel).mark_point(
        stroke=look.colour,
        strokeWidth=1.8,
        opacity=1,
        size=52 if len(panel.layers) <= 20 else 30,
        shape=look.shape,
    )
    fill = alt.when(f"isValid(datum.{p}) && datum.{p} <= {panel.alpha}").then(alt.value(look.colour))
    return [
        points.encode(
            x=panel.x(),
            y=panel.y(column),
            fill=fill.otherwise(alt.value(PAPER)),
            tooltip=word_tooltip(panel.words()),
        )
    ]


def _untested(rows: Sequence[Row], panel: Panel) -> list[alt.Chart]:
    """A cross where nothing can be tested."""
    if not rows:
        return []
    crosses = _base(rows, panel).mark_text(text="×", fontSize=17, fontWeight="bold", color=QUIET_INK)
    tooltip = [*word_tooltip(panel.words()), alt.Tooltip("note:N", title="why not tested")]
    return [crosses.encode(x=panel.x(), y=panel.y("information"), tooltip=tooltip)]


def found_peak(panel: Panel) -> Row | None:
    """The row of the peak, where it passes."""
    rows = [row for row in panel.rows if row.get("is_peak") and row.get("p_fwe", 1.0) <= panel.alpha]
    return rows[0] if rows else None


def _peak(panel: Panel) -> list[alt.Chart]:
    """A word over the peak, with a question mark where others may be it."""
    row = found_peak(panel)
    if row is None:
        return []
    is_sole = sum(bool(one.get("may_be_peak")) for one in panel.rows) <= 1
    word = _base([row], panel).mark_text(
        text="peak" if is_sole else "peak?",
        baseline="bottom",
        dy=-6,
        fontSize=LABEL_SIZE,
        fontWeight=600,
        color=_CURVE.colour,
    )
    return [word.encode(x=panel.x(), y=panel.y("high" if "excess_high" in row else "information"))]


def _names(panel: Panel) -> list[alt.Chart]:
    """The name of each series beside its right end, after a swatch of it."""
    ends: dict[str, tuple[float, _Look]] = {}
    for row in panel.rows:
        if RUN in row:
            ends |= {
                panel.measure: (row["information"], _CURVE),
                "chance: family-wise line": (row["band_fwe"], _FAMILY),
                "chance: mean, 95\u00a0% band": (row["by_chance"], _BAND),
            }
            if "twin_excess" in row:
                ends["random twin"] = (max(0.0, row["by_chance"] + row["twin_excess"]), _TWIN)
    if panel.entropy is not None:
        ends[f"label's entropy, {panel.entropy:.2f} bits"] = (panel.entropy, _ENTROPY)
    names = sorted(ends, key=lambda name: ends[name][0])
    gap = _LABEL_GAP_PX * panel.top / panel.height_px
    heights = spread_apart([ends[name][0] for name in names], gap=gap, low=0, high=panel.top)
    marks = []
    for name, height in zip(names, heights, strict=True):
        look = ends[name][1]
        base = alt.Chart(alt.InlineData(values=[{"height": height, "name": name}]))
        swatch = base.mark_rule(color=look.colour, strokeWidth=look.width, strokeDash=look.dash)
        left, right = alt.value(panel.width_px + 8), alt.value(panel.width_px + 30)
        marks.append(swatch.encode(x=left, x2=right, y=panel.y("height")))
        if look.shape:
            shape = base.mark_point(color=look.colour, fill=look.colour, opacity=1, size=42, shape=look.shape)
            marks.append(shape.encode(x=alt.value(panel.width_px + 19), y=panel.y("height")))
        words = base.mark_text(align="left", baseline="middle", color=INK, fontSize=LABEL_SIZE)
        marks.append(words.encode(x=alt.value(panel.width_px + 36), y=panel.y("height"), text="name:N"))
    return marks
