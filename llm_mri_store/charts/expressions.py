"""Numbers as words in a tooltip: Vega expressions, in which what is NULL says so instead of reading 0."""

from __future__ import annotations

from collections.abc import Mapping

import altair as alt


def number(field: str, form: str = ".2~g", *, unit: str = "", missing: str = "–") -> str:
    """A field's number in a format of d3, or a word where it is NULL.

    >>> number("p", missing="not tested")
    "(isValid(datum['p']) ? format(datum['p'], '.2~g') + '' : 'not tested')"
    """
    return f"(isValid(datum['{field}']) ? format(datum['{field}'], '{form}') + '{unit}' : '{missing}')"


def estimate(field: str, form: str, *, unit: str = "", missing: str = "–", factor: int = 1) -> str:
    """A field's number and, where there is one, its interval: the fields ``<field>_low`` and ``_high``."""
    value, low, high = (
        f"format({factor} * datum['{field}{end}'], '{form}')" for end in ("", "_low", "_high")
    )
    return _with_interval(field, value, low, high, unit=unit, missing=missing)


def odds_ratio(field: str) -> str:
    """The ratio of odds whose logarithm a field holds, with its interval."""
    value, low, high = (f"format(exp(datum['{field}{end}']), '.2~f')" for end in ("", "_low", "_high"))
    return _with_interval(field, value, low, high, unit="", missing="–")


def _with_interval(field: str, value: str, low: str, high: str, *, unit: str, missing: str) -> str:
    interval = f"(isValid(datum['{field}_low']) ? ' (' + {low} + ' to ' + {high} + ')' : '')"
    return f"(isValid(datum['{field}']) ? {value} + '{unit}' + {interval} : '{missing}')"


def word_fields(words: Mapping[str, str]) -> dict[str, str]:
    """Fields to calculate for a tooltip of these titles and expressions."""
    return {f"word{place}": word for place, word in enumerate(words.values())}


def word_tooltip(words: Mapping[str, str]) -> list[alt.Tooltip]:
    """The tooltip that shows those fields."""
    return [alt.Tooltip(f"word{place}:N", title=tooltip_title(title)) for place, title in enumerate(words)]


def tooltip_title(words: str) -> str:
    r"""Words as the title of a line in a tooltip, where they may hold a label.

    Vega-Lite puts a title into an expression between quotation marks and spells out those within it, but no
    backslash: one before a mark would end the words, and what follows would be code.

    >>> tooltip_title(r"samples of a\b")
    'samples of a\\\\b'
    """
    return " ".join(words.splitlines()).replace("\\", "\\\\")
