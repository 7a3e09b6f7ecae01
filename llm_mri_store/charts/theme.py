"""The one look of every chart: typeface, spacing, and colours that colour-blind readers tell apart."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import altair as alt

FONT: Final = "Inter, Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
TITLE_SIZE: Final = 16
SUBTITLE_SIZE: Final = 12
LABEL_SIZE: Final = 11

INK: Final = "#1f2328"
"""Colour of titles and of numbers on light ground."""
QUIET_INK: Final = "#57606a"
"""Colour of subtitles and axis labels."""
GRID: Final = "#e4e6e8"
PAPER: Final = "#ffffff"

CHANCE: Final = "#d3d7dc"
"""Colour of the band of what chance alone gives."""

EMPTY: Final = "#f6f7f8"
"""Colour of a cell without samples."""

SEQUENTIAL: Final = (
    "#b2ece3",
    "#78d6d8",
    "#37bed1",
    "#05a2c5",
    "#0085b5",
    "#0068a5",
    "#164c8f",
    "#22336c",
    "#1e1e47",
)
"""Counts and shares, small to large.

OKLCH (Ottosson 2020) with lightness falling in equal steps from 0.90 to 0.26 and hue turning from 185
to 280 degrees: equal differences look equal, in grey too, and the smallest differs from ``EMPTY``.
"""

DIVERGING: Final = (
    "#005a9e",
    "#2e70af",
    "#5a87b5",
    "#839db8",
    "#b1b1b1",
    "#bf9883",
    "#c2805a",
    "#c2672e",
    "#b75400",
)
"""Two labels: the first blue, the second orange; the middle is a grey that shows on white paper.

Blue and orange stay apart in protanopia, deuteranopia and tritanopia.
"""

DIFFERENCE: Final = (
    "#772e00",
    "#9b4602",
    "#b46731",
    "#c18e69",
    "#ccb39f",
    "#d6d8d9",
    "#a1bace",
    "#6c9bc4",
    "#367bba",
    "#025aa3",
    "#013c79",
)
"""A minus B: the first label's blue where A has more, the second's orange where B has; nothing is light grey.

OKLCH with lightness falling from 0.88 in the middle in equal steps to 0.36 (hue 255) and 0.40 (hue 45), so
that the size of a difference shows in grey too, and no difference is told from ``EMPTY``. The two sides stay
apart in protanopia, deuteranopia and tritanopia.
"""

CATEGORICAL: Final = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#cc79a7",
    "#d55e00",
    "#56b4e9",
    "#832db6",
    "#717581",
    "#a96b59",
    "#1f2328",
)
"""More labels: Okabe & Ito (2008) without its yellow, then four of Petroff (2021); repeated past ten."""

LABEL_LIMIT_PX: Final = 180
"""Longest label in a legend or panel title, about 30 characters; longer ones end in an ellipsis."""

ChartT = TypeVar("ChartT", bound=alt.TopLevelMixin)


def apply_theme(chart: ChartT, *, title: str, subtitle: Sequence[str] = (), width_px: int = 480) -> ChartT:
    """The chart with the package's look, its title and subtitle lines.

    The look is set in the chart itself; Altair's themes and options are not touched. A themed chart
    is finished: Vega-Lite allows this setting at the outermost level only.

    Args:
        chart: a chart, layered or facetted chart.
        title: one sentence; wrapped to the chart's width.
        subtitle: further lines, each wrapped likewise.
        width_px: about how wide the chart is drawn.

    >>> bars = alt.Chart(alt.InlineData(values=[{"n": 1}])).mark_bar()
    >>> apply_theme(bars, title="One bar").to_dict()["title"]["text"]
    ['One bar']
    """
    heading = alt.TitleParams(
        text=wrapped_lines([title], width_px=width_px, size_px=TITLE_SIZE),
        subtitle=wrapped_lines(subtitle, width_px=width_px, size_px=SUBTITLE_SIZE),
    )
    themed: ChartT = chart.properties(title=heading, background=PAPER, padding=14).configure(**_look())
    return themed


def wrapped_lines(texts: Sequence[str], *, width_px: int, size_px: int) -> list[str]:
    """The texts broken into lines that fit a width, at 0.55 em a character and never under 40.

    >>> wrapped_lines(["layer 3 of all-MiniLM-L6-v2", ""], width_px=480, size_px=12)
    ['layer 3 of all-MiniLM-L6-v2']
    """
    columns = max(40, int(width_px / (0.55 * size_px)))
    return [line for text in texts for line in textwrap.wrap(text, columns, break_on_hyphens=False)]


def shortened(text: str, limit: int = 30) -> str:
    """The text on one line of at most ``limit`` characters, with an ellipsis where it was cut.

    >>> shortened("a rather long label", 10)
    'a rather …'
    """
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _look() -> dict[str, Any]:
    words = {"labelColor": QUIET_INK, "labelFontSize": LABEL_SIZE, "titleColor": INK, "titleFontSize": 12}
    return {
        "font": FONT,
        "view": {"stroke": GRID},
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": INK,
            "fontSize": TITLE_SIZE,
            "fontWeight": 600,
            "subtitleColor": QUIET_INK,
            "subtitleFontSize": SUBTITLE_SIZE,
            "subtitlePadding": 5,
            "lineHeight": 20,
            "subtitleLineHeight": 16,
            "offset": 14,
            "limit": 0,
        },
        "axis": {
            **words,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "domain": False,
            "grid": False,
            "gridColor": GRID,
            "tickColor": GRID,
            "tickSize": 4,
        },
        "legend": {
            **words,
            "titleFontWeight": 600,
            "titleLimit": 0,
            "labelLimit": LABEL_LIMIT_PX,
            "titlePadding": 6,
            "rowPadding": 4,
            "padding": 4,
            "gradientLength": 140,
            "gradientThickness": 12,
            "gradientStrokeColor": "transparent",
            "offset": 24,
        },
        "header": {**words, "labelLimit": LABEL_LIMIT_PX, "labelColor": INK, "titleFontWeight": "normal"},
    }
