"""Rows of a table that a chart draws, and the levels it marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from llm_mri_store.errors import InvalidInput

Row = dict[str, Any]


def drawn_rows(
    table: pa.Table, columns: Sequence[str], *, what: str, optional: Sequence[str] = ()
) -> list[Row]:
    """The table's rows as they are drawn: without what is NULL or not finite.

    Args:
        table: the table.
        columns: those it must have.
        what: whose table it is, for messages.
        optional: further columns, taken where they are there.

    Raises:
        InvalidInput: a column is missing.

    >>> drawn_rows(pa.table({"p": [0.5, None]}), ["p"], what="cells of a contrast")
    [{'p': 0.5}, {}]
    """
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise InvalidInput(
            f"the table of {what} lacks {', '.join(missing)}; it has {', '.join(table.column_names)}, and "
            f"needs {', '.join(columns)}"
        )
    chosen = [*columns, *(name for name in optional if name in table.column_names)]
    return [
        {name: value for name, value in row.items() if _is_known(value)}
        for row in table.select(chosen).to_pylist()
    ]


def _is_known(value: object) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def refuse_bad_level(alpha: float) -> None:
    """Refuses what is no level of a test.

    Raises:
        InvalidInput: it is not between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise InvalidInput(f"alpha is {alpha}; expected a level between 0 and 1, such as 0.05")
