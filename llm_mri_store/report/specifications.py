"""Charts as a page carries them: their heading as words of the page, their rows as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

_FEWEST_FOLDED: Final = 4
"""Rows from which columns take less room."""

_ABSENT: Final[dict[str, Any]] = {}
"""What stands in a column for a value that a row does not have."""

Json = Any


def chart_heading(
    specification: Mapping[str, Any], known: Collection[str] = ()
) -> tuple[str, tuple[str, ...]]:
    """A chart's title, and its subtitle as sentences that were wrapped to its width.

    A line was wrapped where the next word would not have fitted; other lines end where their words do.

    Args:
        specification: Vega-Lite.
        known: sentences that are left out.

    >>> lines = ["Filled points pass a family-wise p of 0.05. Grey: chance and", "more.", "Bars: intervals."]
    >>> chart_heading({"title": {"text": ["All", "layers"], "subtitle": lines}})[1]
    ('Filled points pass a family-wise p of 0.05. Grey: chance and more.', 'Bars: intervals.')
    """
    title = specification.get("title") or ""
    if not isinstance(title, Mapping):
        return _joined(title), ()
    sentences = _unwrapped(_lines(title.get("subtitle", ())), known)
    return _joined(title.get("text", "")), tuple(one for one in sentences if one not in known)


def page_specification(specification: Mapping[str, Any]) -> dict[str, Any]:
    """The specification without heading and colours, which are the page's, and with its rows folded.

    Numbers keep 6 significant digits.
    """
    kept = {name: part for name, part in specification.items() if name not in ("title", "config", "$schema")}
    written: dict[str, Any] = folded(kept)
    return written


def folded(part: Json, *, is_data: bool = False) -> Json:
    """The same, with rows of data as columns; ``unfolded`` in ``page.js`` is its inverse.

    Args:
        part: a specification, or a part of one.
        is_data: the part is data, or data sets by name.

    >>> folded({"data": {"values": [{"n": 1, "label": "a"}] * 4}})["data"]["values"]
    {'$n': 4, '$columns': {'n': [1, 1, 1, 1], 'label': {'of': ['a'], 'at': [0, 0, 0, 0]}}}
    """
    if isinstance(part, Mapping):
        return {
            name: folded(value, is_data=is_data or name in ("data", "datasets"))
            for name, value in part.items()
        }
    if isinstance(part, float):
        return float(f"{part:.6g}")
    if not isinstance(part, list | tuple):
        return part
    if is_data and len(part) >= _FEWEST_FOLDED and all(isinstance(row, Mapping) for row in part):
        names = dict.fromkeys(name for row in part for name in row)
        columns = {name: _folded_column([row.get(name, _ABSENT) for row in part]) for name in names}
        return {"$n": len(part), "$columns": columns}
    return [folded(value, is_data=is_data) for value in part]


def _folded_column(values: Sequence[Json]) -> Json:
    if all(isinstance(value, str) for value in values):
        words = {word: place for place, word in enumerate(dict.fromkeys(values))}
        if 2 * len(words) <= len(values):
            return {"of": list(words), "at": [words[value] for value in values]}
    return [folded(value) for value in values]


def _lines(words: Json) -> list[str]:
    return [words] if isinstance(words, str) else [str(line) for line in words]


def _joined(words: Json) -> str:
    return " ".join(_lines(words))


def _unwrapped(lines: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    longest = max(map(len, lines), default=0)
    sentences: list[str] = []
    goes_on = False
    for place, line in enumerate(lines):
        if goes_on:
            sentences[-1] += f" {line}"
        else:
            sentences.append(line)
        following = lines[place + 1] if place + 1 < len(lines) else ""
        fits = len(line) + 1 + len(following.split(" ")[0]) <= longest
        begins_anew = following[:1].isupper() and not line.endswith((".", ",", ":", ";"))
        goes_on = not fits and not begins_anew and sentences[-1] not in known
    return tuple(sentences)
