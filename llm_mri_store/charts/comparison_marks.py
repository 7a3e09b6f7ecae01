"""What a comparison of two graphs draws: a panel per distance and per metric, each on its own scale."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import altair as alt

from llm_mri_store.charts.expressions import estimate, number, word_fields, word_tooltip
from llm_mri_store.charts.tables import Row
from llm_mri_store.charts.theme import CATEGORICAL, CHANCE, INK, LABEL_SIZE, PAPER, QUIET_INK, Colour

COLUMNS: Final = 4
WIDTH_PX: Final = 190
GAP_PX: Final = 26

_ROW_PX: Final = 23
_HEADER_PX: Final = 36
_AXIS_PX: Final = 20
_CHARACTER_PX: Final = 6
_DISTANCE_LINES: Final = ("between the two", "if relabelled")
_LOOKS: Final = {"a": (CATEGORICAL[0], "circle"), "b": (CATEGORICAL[4], "square")}


def line_margin(names: Sequence[str]) -> int:
    """Room in pixels for the names of lines: one for both parts, so that their panels share columns."""
    return _CHARACTER_PX * max(len(name) for name in (*_DISTANCE_LINES, *names)) + 8


def distance_panels(rows: Sequence[Row], alpha: float, *, margin_px: int) -> alt.FacetChart:
    """A panel per distance: the distance above, what relabelled samples have below."""
    found, chance = _DISTANCE_LINES
    words = {
        "distance": "datum.distance",
        "value (95\u00a0% interval)": estimate("value", ".3f", missing="not defined"),
        "of equally many samples": number("rarefied", ".3f"),
        **_chance_words(".3f"),
        "excess over chance": number("excess", "+.3f"),
        **_p_words(),
    }
    drawn = [
        {**row, "side": side, **(_ends(row, "value") if side == found else {})}
        for row in rows
        for side in (found, chance)
    ]
    y = _y(_DISTANCE_LINES, margin_px)
    under_chance = alt.Chart().transform_filter(f"datum.side == '{chance}' && isValid(datum.by_chance)")
    tooltip = word_tooltip(words)
    band = under_chance.transform_calculate(**word_fields(words)).mark_rule(color=CHANCE, strokeWidth=12)
    mean = under_chance.mark_tick(color=QUIET_INK, thickness=1.5, size=12, orient="vertical")
    marks = [
        band.encode(x=_x("by_chance_low"), x2="by_chance_high:Q", y=y, tooltip=tooltip),
        mean.encode(x=_x("by_chance"), y=y),
        *_estimates(f"datum.side == '{found}'", (INK, "circle"), y=y, words=words, alpha=alpha),
    ]
    return _facet(marks, drawn)


def metric_panels(
    rows: Sequence[Row], names: tuple[str, str], alpha: float, *, margin_px: int
) -> alt.FacetChart:
    """A panel per metric: side A above, side B below."""
    of_side = dict(zip("ab", names, strict=True))
    bounded = "95\u00a0% interval"
    words = {
        "metric": "datum.metric",
        f"{names[0]} ({bounded})": estimate("value_a", ".4~g", missing="not defined"),
        f"{names[1]} ({bounded})": estimate("value_b", ".4~g", missing="not defined"),
        "of equally many samples": " + ' and ' + ".join(number(f"rarefied_{side}", ".4~g") for side in "ab"),
        f"difference ({bounded})": estimate("difference", "+.3~g"),
        **_chance_words("+.3~g"),
        **_p_words(),
    }
    drawn = [
        {
            **row,
            "side": of_side[side],
            "key": side,
            **_ends(row, f"value_{side}"),
            **rarefied_place(row, side),
        }
        for row in rows
        for side in "ab"
    ]
    y = _y(names, margin_px)
    marks = [
        mark
        for side, look in _LOOKS.items()
        for mark in _estimates(f"datum.key == '{side}'", look, y=y, words=words, alpha=alpha)
    ]
    return _facet(marks, drawn)


def _ends(row: Row, value: str) -> Row:
    """Where a value and its interval are drawn."""
    columns = {"at": value, "low": f"{value}_low", "high": f"{value}_high"}
    return {name: row[column] for name, column in columns.items() if column in row}


def rarefied_place(row: Row, side: str) -> Row:
    """Where the value of equally many samples is drawn: nowhere, if it is the same."""
    value, rarefied = row.get(f"value_{side}"), row.get(f"rarefied_{side}")
    if value is None or rarefied is None or math.isclose(value, rarefied, rel_tol=1e-6, abs_tol=1e-12):
        return {}
    return {"fair": rarefied}


def _estimates(
    condition: str, look: tuple[Colour, str], *, y: alt.Y, words: Mapping[str, str], alpha: float
) -> list[alt.Chart]:
    """Interval, stroke at the rarefied value, and point of one side; a word where it is not defined."""
    colour, shape = look
    base = alt.Chart().transform_filter(condition).transform_calculate(**word_fields(words))
    tooltip = word_tooltip(words)
    bar = base.transform_filter("isValid(datum.low)").mark_rule(color=colour, strokeWidth=1.8)
    stroke = base.transform_filter("isValid(datum.fair)").mark_tick(
        color=colour, opacity=1, thickness=2, size=14, orient="vertical"
    )
    point = base.transform_filter("isValid(datum.at)").mark_point(
        stroke=colour, strokeWidth=1.8, opacity=1, size=52, shape=shape
    )
    fill = alt.when(f"isValid(datum.p_fwe) && datum.p_fwe <= {alpha}").then(alt.value(colour))
    undefined = base.transform_filter("!isValid(datum.at)").mark_text(
        text="not defined", fontSize=LABEL_SIZE, color=QUIET_INK
    )
    return [
        bar.encode(x=_x("low"), x2="high:Q", y=y, tooltip=tooltip),
        stroke.encode(x=_x("fair"), y=y, tooltip=tooltip),
        point.encode(x=_x("at"), y=y, fill=fill.otherwise(alt.value(PAPER)), tooltip=tooltip),
        undefined.encode(x=alt.value(WIDTH_PX / 2), y=y, tooltip=tooltip),
    ]


def _facet(marks: Sequence[alt.Chart], rows: Sequence[Row]) -> alt.FacetChart:
    panel = alt.LayerChart(layer=list(marks), width=WIDTH_PX, height=2 * _ROW_PX)
    chart: alt.FacetChart = panel.facet(
        alt.Facet(
            "panel:N",
            sort=alt.EncodingSortField(field="order", op="min"),
            title=None,
            header=alt.Header(
                labelExpr="split(datum.label, ' · ')", labelPadding=5, labelLimit=WIDTH_PX + GAP_PX
            ),
        ),
        data=alt.InlineData(values=list(rows)),
        columns=COLUMNS,
        spacing={"row": _HEADER_PX + _AXIS_PX + 12, "column": GAP_PX},
        bounds="flush",
    ).resolve_scale(x="independent")
    return chart


def _x(column: str) -> alt.X:
    """A scale of each panel's own."""
    return alt.X(
        f"{column}:Q",
        scale=alt.Scale(zero=False, nice=True, padding=8),
        axis=alt.Axis(title=None, grid=True, tickCount=3, labelOverlap="greedy", labelFlush=False),
    )


def _y(names: Sequence[str], margin_px: int) -> alt.Y:
    """The two lines of a panel, named on its left."""
    axis = alt.Axis(
        title=None,
        ticks=False,
        labelColor=INK,
        labelPadding=8,
        labelLimit=margin_px,
        minExtent=margin_px,
        maxExtent=margin_px,
    )
    return alt.Y("side:N", sort=list(names), scale=alt.Scale(domain=list(names)), axis=axis)


def _chance_words(form: str) -> dict[str, str]:
    return {"by chance (95\u00a0% band)": estimate("by_chance", form)}


def _p_words() -> dict[str, str]:
    return {"p": number("p", missing="not tested"), "family-wise p": number("p_fwe", missing="not tested")}
