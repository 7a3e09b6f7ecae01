"""Tables of a page: numbers at the right, shares in percent, small p as such."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from typing import Any, Final

from llm_mri_store.report.content import Rows

_LONG: Final = 60
"""Characters from which a text takes a wide column."""

_SMALL: Final = 0.001
_CHANCES: Final = frozenset({"p", "q"})


def table_html(rows: Rows, *, id: str) -> str:
    """A table as HTML.

    Args:
        rows: what it shows.
        id: of the part that is folded away at first.
    """
    names = rows.table.column_names
    columns = {name: rows.table[name].to_pylist() for name in names}
    kinds = {name: _kind(values) for name, values in columns.items()}
    cells = {
        name: [
            _linked(rows, name, place, _cell(name, value, is_percent=name in rows.percent, decimals=decimals))
            for place, value in enumerate(values)
        ]
        for name, values in columns.items()
        for decimals in (decimals_of(values),)
    }
    words = {name: html.escape(rows.headings.get(name, _words(name)), quote=True) for name in names}
    head = "".join(f'<th scope="col"{_class(kinds[name])}>{words[name]}</th>' for name in names)
    is_stacked = "long" in kinds.values()
    heads = {name: f' data-head="{words[name]}"' if is_stacked else "" for name in names}
    lines = [
        "".join(f"<td{_class(kinds[name])}{heads[name]}>{cells[name][place]}</td>" for name in names)
        for place in range(rows.table.num_rows)
    ]
    # A table that is little longer than it may be is shown whole.
    most = rows.most if len(lines) > rows.most + 3 else len(lines)
    kind = "table stacked" if is_stacked else "table"
    return f'<div class="{kind}">{"".join(_parts(rows, id, head, lines, most))}</div>\n'


def _parts(rows: Rows, id: str, head: str, lines: list[str], most: int) -> Iterator[str]:
    yield f'<p class="caption" id="{id}-caption">{html.escape(rows.caption)}</p>'
    yield f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{id}-caption"><table>'
    yield f"<thead><tr>{head}</tr></thead><tbody>{_body(lines[:most])}</tbody>"
    if len(lines) > most:
        yield f'<tbody id="{id}" hidden>{_body(lines[most:])}</tbody>'
    yield "</table></div>"
    if len(lines) > most:
        yield f'<button type="button" data-rest="{id}">Show all {len(lines):,} rows</button>'


def _body(lines: list[str]) -> str:
    return "".join(f"<tr>{line}</tr>" for line in lines)


def _kind(values: list[Any]) -> str:
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return "number"
    longest = max((len(text) for value in known for text in _texts(value)), default=0)
    return "long" if longest >= _LONG else ("words" if any(isinstance(one, list) for one in known) else "")


def _texts(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _linked(rows: Rows, name: str, place: int, words: str) -> str:
    if name not in rows.links or not words:
        return words
    return f'<a href="#{html.escape(rows.links[name][place], quote=True)}">{words}</a>'


def _cell(name: str, value: object, *, is_percent: bool, decimals: int) -> str:
    if not isinstance(value, list):
        return html.escape(value_words(name, value, is_percent=is_percent, decimals=decimals))
    if any(len(str(one)) >= _LONG / 2 for one in value):
        return "".join(f"<span>{html.escape(str(one))}</span>" for one in value)
    return html.escape(", ".join(map(str, value)))


def decimals_of(values: list[Any]) -> int:
    """Decimals that give the largest of a column's numbers 3 digits: none of whole numbers, at most 5.

    >>> decimals_of([49.0, 50.6]), decimals_of([0.07, None]), decimals_of([12.0])
    (1, 4, 0)
    """
    sizes = [abs(value) for value in values if isinstance(value, float) and math.isfinite(value)]
    if all(size.is_integer() for size in sizes):
        return 0
    largest = max(sizes, default=0.0)
    return min(5, max(0, 2 - math.floor(math.log10(largest)))) if largest > 0 else 0


def value_words(name: str, value: object, *, is_percent: bool = False, decimals: int = 3) -> str:
    """A value as a table shows it.

    >>> [value_words("p_fwe", 0.0002), value_words("n", 1200), value_words("share", 0.1234, is_percent=True)]
    ['< 0.001', '1,200', '12.3 %']
    >>> value_words("difference", -0.267, is_percent=True)
    '\u221226.7 points'
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if is_percent:
        # A difference of shares is counted in percentage points.
        unit = "points" if name == "difference" else "%"
        return f"{100 * value:.1f} {unit}".replace("-", "\u2212")
    if name in _CHANCES or name.startswith("p_"):
        return f"< {_SMALL}" if value < _SMALL else f"{value:.3f}"
    return f"{value:,.{decimals}f}".replace("-", "\u2212")


def _words(name: str) -> str:
    return name.replace("_", " ")
