"""The one look of every chart, on light and on dark ground: typeface, spacing, names of colours."""

from __future__ import annotations

import json
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final, TypeVar

import altair as alt

from llm_mri_store.charts.palettes import LIGHT, PALETTES, Ground
from llm_mri_store.errors import InvalidInput

FONT: Final = "Inter, Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"
TITLE_SIZE: Final = 16
SUBTITLE_SIZE: Final = 12
LABEL_SIZE: Final = 11

_COLOURS: Final = "theme"
"""Name of the parameter in a chart's setting that holds the ground's colours."""


Colour = dict[str, str]
"""An expression of Vega that gives a colour, as Vega-Lite writes it."""


def _colour(name: str) -> Colour:
    """A colour of whatever ground the chart is drawn on."""
    return {"expr": f"{_COLOURS}.{name}"}


INK: Final = _colour("ink")
"""Titles, numbers and lines that are read."""
QUIET_INK: Final = _colour("quiet_ink")
"""Subtitles and axis labels."""
PAPER: Final = _colour("paper")
EMPTY: Final = _colour("empty")
"""A cell without samples."""
CHANCE: Final = _colour("chance")
"""The band of what chance alone gives."""
CHANCE_LINE: Final = _colour("chance_line")
UNKNOWN: Final = _colour("unknown")
"""A cell that holds samples but has no difference."""
OTHERS: Final = _colour("others")
"""The rest of something that is drawn in part."""
CATEGORICAL: Final = tuple(_colour(f"category[{place}]") for place in range(len(LIGHT.category)))
"""Colours of things that are not labels of the data: sides, kinds of features."""

SEQUENTIAL: Final = "heatmap"
"""Range of a scale of counts and shares."""
WEIGHTS: Final = "ordinal"
"""Range of a scale of sizes in one hue."""
BALANCE: Final = "ramp"
"""Range of a scale of two labels' shares."""
DIFFERENCE: Final = "diverging"
"""Range of a scale of differences, from more of B to more of A."""
LABELS: Final = "category"
"""Range of a scale of labels; repeated past ten."""

_BLACK_FROM: Final = 0.179
"""Relative luminance of the colour on which black and white read equally well (WCAG 2.2)."""

LABEL_LIMIT_PX: Final = 180
"""Longest label in a legend or panel title, about 30 characters; longer ones end in an ellipsis."""

ChartT = TypeVar("ChartT", bound=alt.TopLevelMixin)


def apply_theme(
    chart: ChartT,
    *,
    title: str,
    subtitle: Sequence[str] = (),
    width_px: int = 480,
    theme: Ground = "light",
) -> ChartT:
    """The chart with the package's look, its title and subtitle lines.

    The look is set in the chart itself; Altair's themes and options are not touched. A themed chart
    is finished: Vega-Lite allows this setting at the outermost level only. All that differs between grounds
    stands in the setting, so ``on_ground`` can turn a finished chart from light to dark.

    Args:
        chart: a chart, layered or facetted chart.
        title: one sentence; wrapped to the chart's width.
        subtitle: further lines, each wrapped likewise.
        width_px: about how wide the chart is drawn.
        theme: light or dark ground.

    >>> bars = alt.Chart(alt.InlineData(values=[{"n": 1}])).mark_bar()
    >>> apply_theme(bars, title="One bar").to_dict()["title"]["text"]
    ['One bar']
    """
    heading = alt.TitleParams(
        text=wrapped_lines([title], width_px=width_px, size_px=TITLE_SIZE),
        subtitle=wrapped_lines(subtitle, width_px=width_px, size_px=SUBTITLE_SIZE),
    )
    themed: ChartT = chart.properties(title=heading).configure(**theme_config(theme))
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


def short_names(names: Sequence[str], limit: int = 28) -> dict[str, str]:
    """Name -> its short form on one line, each different: where ends differ alone, the middle is cut.

    >>> short_names(["a rather long label, one", "a rather long label, two", "b"], limit=15)
    {'a rather long label, one': 'a rathe…el, one', 'a rather long label, two': 'a rathe…el, two', 'b': 'b'}
    """
    cut = {name: shortened(name, limit) for name in names}
    often = Counter(cut.values())
    short: dict[str, str] = {}
    for name in names:
        line = cut[name]
        if often[line] > 1:
            whole = " ".join(name.split())
            half = limit // 2
            line = (
                whole if len(whole) <= limit else f"{whole[:half]}…{whole[len(whole) - (limit - half - 1) :]}"
            )
        while line in short.values():
            line += "\u200b"
        short[name] = line
    return short


def named_by(names: Mapping[str, str]) -> str:
    """Vega expression of a label's short name, of those that ``short_names`` gives."""
    return f"({json.dumps(names)})[datum.value]"


def readable_on(colour: str) -> Colour:
    """Black or white, whichever reads better on a colour: a contrast of 4.5 at least.

    Args:
        colour: a Vega expression of the colour that lies behind the words.
    """
    return {"expr": f"luminance({colour}) > {_BLACK_FROM} ? '#000000' : '#ffffff'"}


def on_ground(specification: dict[str, Any], theme: Ground) -> dict[str, Any]:
    """A chart's Vega-Lite on light or dark ground; that of a chart without our look is left as it is.

    >>> bars = alt.Chart(alt.InlineData(values=[{"n": 1}])).mark_bar()
    >>> drawn = apply_theme(bars, title="One bar").to_dict()
    >>> on_ground(drawn, "dark")["config"]["background"]
    '#14171c'
    """
    config = theme_config(theme)
    names = {one.get("name") for one in specification.get("config", {}).get("params", [])}
    return {**specification, "config": config} if _COLOURS in names else specification


def theme_config(theme: Ground = "light") -> dict[str, Any]:
    """The Vega-Lite setting of a ground: all that differs between light and dark charts.

    Marks name their colours by its parameter ``theme`` (``{"expr": "theme.ink"}``) and scales their ranges by
    its ``range``, so that one setting can stand in for the other.

    Raises:
        InvalidInput: there is no such ground.

    >>> theme_config("dark")["background"]
    '#14171c'
    """
    if theme not in PALETTES:
        raise InvalidInput(f"theme is {theme!r}; expected {' or '.join(map(repr, PALETTES))}")
    colours = PALETTES[theme]
    plain = {name: value for name, value in asdict(colours).items() if isinstance(value, str)}
    words = {
        "labelColor": colours.quiet_ink,
        "labelFontSize": LABEL_SIZE,
        "titleColor": colours.ink,
        "titleFontSize": 12,
    }
    return {
        "params": [{"name": _COLOURS, "value": {**plain, "category": list(colours.category)}}],
        "range": {
            SEQUENTIAL: list(colours.sequential),
            WEIGHTS: list(colours.weights),
            BALANCE: list(colours.balance),
            DIFFERENCE: list(colours.difference),
            LABELS: list(colours.category),
        },
        "background": colours.paper,
        "padding": 14,
        "font": FONT,
        "view": {"continuousWidth": 300, "continuousHeight": 300, "stroke": colours.grid},
        "text": {"color": colours.ink},
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": colours.ink,
            "fontSize": TITLE_SIZE,
            "fontWeight": 600,
            "subtitleColor": colours.quiet_ink,
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
            "gridColor": colours.grid,
            "tickColor": colours.grid,
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
        "header": {
            **words,
            "labelLimit": LABEL_LIMIT_PX,
            "labelColor": colours.ink,
            "titleFontWeight": "normal",
        },
    }
