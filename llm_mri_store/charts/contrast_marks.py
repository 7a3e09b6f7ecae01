"""What a map of a contrast draws in each panel: cells, and lines around those that differ."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import altair as alt

from llm_mri_store.charts.contrast_rows import ContrastValue, Findings, borders
from llm_mri_store.charts.expressions import estimate, number, odds_ratio, word_fields, word_tooltip
from llm_mri_store.charts.tables import Row
from llm_mri_store.charts.theme import DIFFERENCE, INK, PAPER, UNKNOWN, shortened
from llm_mri_store.schema import CELL_X, CELL_Y, LAYER

MEANINGS: Final[Mapping[ContrastValue, str]] = {
    "difference": "share of A minus share of B",
    "adjusted_difference": "share of A minus share of B within strata",
}

_FINEST_GRIDDED: Final = 20
_MARGIN_PX: Final = 1.5
"""Room for lines along the outermost cells, so that panels with and without them are of one size."""

_INSET: Final = 0.25
"""What an untested cell is drawn smaller by on each side, in cells."""

_PALE: Final = 0.4
"""Opacity of cells that do not pass, so that a map of nothing but chance does not light up.

Shown faintly, not hidden: Taylor et al., "Highlight results, don't hide them", NeuroImage 274 (2023).
"""

_INTERVAL: Final = "95\u00a0% interval"
_DASHES: Final = ([1, 0], [3, 2])


class Frame(NamedTuple):
    """The panels: cells per axis, side in pixels, and whether there is only one."""

    grid: int
    edge_px: int
    is_single: bool

    def x(self, field: str) -> alt.X:
        """Encoding from left to right, in cells."""
        return alt.X(f"{field}:Q", scale=self._scale(), axis=self._axis("component 1 (cell)"))

    def y(self, field: str) -> alt.Y:
        """Encoding upward, in cells."""
        return alt.Y(f"{field}:Q", scale=self._scale(), axis=self._axis("component 2 (cell)"))

    @property
    def is_coarse(self) -> bool:
        """True where cells are large enough for gaps and strong lines."""
        return self.edge_px / self.grid >= 8

    @property
    def line_widths(self) -> list[float]:
        """Of solid and dashed lines, in pixels."""
        if self.is_coarse:
            return [2.2, 1.2]
        return [1.4, 0.8] if self.edge_px / self.grid >= 4 else [0.9, 0.5]

    def _scale(self) -> alt.Scale:
        margin = _MARGIN_PX * self.grid / self.edge_px
        return alt.Scale(domain=[-margin, self.grid + margin], nice=False, zero=False)

    def _axis(self, title: str) -> alt.Axis:
        """White lines between cells; their numbers too where there is one panel."""
        lines = list(range(1, self.grid)) if self.grid <= _FINEST_GRIDDED else []
        if not self.is_single:
            return alt.Axis(
                title=None, labels=False, ticks=False, grid=bool(lines), gridColor=PAPER, values=lines
            )
        step = max(1, math.ceil(self.grid * 18 / self.edge_px))
        return alt.Axis(
            title=title,
            values=[cell + 0.5 for cell in range(0, self.grid, step)],
            labelExpr="floor(datum.value)",
            labelPadding=5,
            ticks=False,
            grid=False,
        )


def squares(
    rows: Sequence[Row], frame: Frame, *, value: ContrastValue, sides: tuple[str, str]
) -> list[alt.Chart]:
    """The cells that hold samples: those without a difference, and over them those coloured by it."""
    words = _tooltip(sides, {name for row in rows for name in row})
    is_known = f"isValid(datum.{value})"
    inset = f"({is_known} && !datum.is_tested ? {_INSET} : 0)"
    drawn = []
    for condition, fill in ((f"!{is_known}", UNKNOWN), (is_known, None)):
        cells = (
            alt.Chart()
            .transform_filter(f"isValid(datum.{CELL_X}) && {condition}")
            .transform_calculate(
                left=f"datum.{CELL_X} + {inset}",
                right=f"datum.{CELL_X} + 1 - {inset}",
                bottom=f"datum.{CELL_Y} + {inset}",
                top=f"datum.{CELL_Y} + 1 - {inset}",
                **word_fields(words),
            )
            .mark_rect(stroke=PAPER, strokeWidth=1 if frame.is_coarse else 0)
            .encode(
                x=frame.x("left"), x2="right:Q", y=frame.y("bottom"), y2="top:Q", tooltip=word_tooltip(words)
            )
        )
        if fill:
            drawn.append(cells.encode(color=alt.value(fill)))
        else:
            opacity = alt.when("datum.passes").then(alt.value(1)).otherwise(alt.value(_PALE))
            drawn.append(cells.encode(color=_colour(rows, value, sides), fillOpacity=opacity))
    return drawn


def _colour(rows: Sequence[Row], value: ContrastValue, sides: tuple[str, str]) -> alt.Color:
    """A scale as long on either side of no difference, whatever was found."""
    largest = max((abs(row[value]) for row in rows if value in row), default=0.0) or 0.01
    decimals = 1 if largest >= 0.02 else 2
    name_a, name_b = (shortened(name) for name in sides)
    return alt.Color(
        f"{value}:Q",
        scale=alt.Scale(domain=[-largest, largest], range=DIFFERENCE, interpolate="lab"),
        legend=alt.Legend(
            title=[
                f"{MEANINGS[value]} (percentage points)",
                f"blue: more of A, {name_a}",
                f"orange: more of B, {name_b}",
            ],
            labelExpr=f"datum.value == 0 ? '0' : format(100 * datum.value, '+.{decimals}f')",
            values=[-largest, -largest / 2, 0, largest / 2, largest],
            orient="bottom",
            direction="horizontal",
            gradientLength=300,
            padding=0,
        ),
    )


def _tooltip(sides: tuple[str, str], known: Collection[str]) -> dict[str, str]:
    """Titles and the expressions of what stands beside them, of those numbers that are known of some cell."""
    name_a, name_b = (shortened(name) for name in sides)
    untested = "not tested"
    numbers = {
        "n_a": (f"samples of A, {name_a}", _samples("n_a", "share_a")),
        "n_b": (f"samples of B, {name_b}", _samples("n_b", "share_b")),
        "difference": (f"difference ({_INTERVAL})", _points("difference")),
        "log_odds": (f"odds ratio ({_INTERVAL})", odds_ratio("log_odds")),
        "adjusted_difference": ("difference within strata", _points("adjusted_difference")),
        "adjusted_log_odds": ("odds ratio within strata", odds_ratio("adjusted_log_odds")),
        "p": ("p of this cell by itself", number("p", missing=untested)),
        "q": ("q (false discovery rate)", number("q")),
        "p_fwe": ("family-wise p", number("p_fwe", missing=untested)),
        "p_cluster": ("family-wise p of its cluster", number("p_cluster", missing="in no cluster")),
        "p_tfce": ("family-wise p by TFCE", number("p_tfce", missing=untested)),
    }
    return {
        "layer": f"datum.{LAYER}",
        "cell": f"datum.{CELL_X} + ', ' + datum.{CELL_Y}",
        **dict(words for field, words in numbers.items() if field in known),
    }


def _samples(n: str, share: str) -> str:
    """``16 (26.7%)``, without the share where it is not at hand."""
    return f"datum.{n} + (isValid(datum.{share}) ? ' (' + format(datum.{share}, '.1%') + ')' : '')"


def _points(field: str) -> str:
    return estimate(field, "+.1f", unit=" points", factor=100)


def outline_names(alpha: float) -> tuple[str, str]:
    """What the solid and the dashed lines are called."""
    return (
        f"cells that differ, family-wise p ≤ {alpha:g}",
        f"clusters that differ, family-wise p ≤ {alpha:g}",
    )


def outline_rows(found: Mapping[int, Findings], *, alpha: float) -> list[Row]:
    """Lines around what passes: layer, outline (the name), x, y, x2, y2."""
    around_cells, around_clusters = outline_names(alpha)
    return [
        {LAYER: layer, "outline": name, "x": x, "y": y, "x2": x2, "y2": y2}
        for layer, one in sorted(found.items())
        for name, members in ((around_clusters, one.clusters), (around_cells, one.cells))
        for x, y, x2, y2 in borders(members)
    ]


def outlines(frame: Frame, *, alpha: float) -> alt.Chart:
    """The lines, and their legend, which is there even where no line is."""
    names = list(outline_names(alpha))
    legend = alt.Legend(
        title="lines around", orient="bottom", direction="vertical", labelLimit=320, symbolType="stroke",
        symbolSize=500, symbolStrokeColor=INK, padding=0,
    )  # fmt: skip
    drawn: alt.Chart = (
        alt.Chart()
        .transform_filter("isValid(datum.outline)")
        .mark_rule(color=INK, strokeCap="square")
        .encode(
            x=frame.x("x"),
            x2="x2:Q",
            y=frame.y("y"),
            y2="y2:Q",
            strokeDash=alt.StrokeDash(
                "outline:N", scale=alt.Scale(domain=names, range=list(_DASHES)), legend=legend
            ),
            strokeWidth=alt.StrokeWidth(
                "outline:N",
                scale=alt.Scale(domain=names, range=frame.line_widths),
                legend=legend,
            ),
        )
    )
    return drawn
