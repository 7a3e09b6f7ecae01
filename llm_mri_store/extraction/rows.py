"""Rows given as mappings, made into one Arrow table column by column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from llm_mri_store.errors import CorpusError


def table_of_rows(rows: Iterable[Mapping[str, object]], *, where: str) -> pa.Table:
    """A table of mappings; a key that a row lacks is null there.

    Args:
        rows: the rows.
        where: what to call them in a message.

    Returns:
        A column per key, in the order in which keys appear.

    Raises:
        CorpusError: a row is no mapping, a key is no string, or a column holds values of several types
            or half a surrogate pair.

    >>> table_of_rows([{"text": "a"}, {"text": "b", "year": 1999}], where="records").to_pylist()
    [{'text': 'a', 'year': None}, {'text': 'b', 'year': 1999}]
    """
    columns: dict[str, list[object]] = {}
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping) or not all(isinstance(key, str) for key in row):
            raise CorpusError(
                f"row {place} of {where} is no mapping such as {{'text': ..., 'label': ...}}, but "
                f"{type(row).__name__}"
            )
        for key in row:
            # A key first seen here was absent from every row before.
            column = columns.setdefault(key, [])
            column.extend([None] * (place - len(column)))
            column.append(row[key])
    n_rows = max(map(len, columns.values()), default=0)
    return pa.table(
        {
            key: _array(key, [*column, *[None] * (n_rows - len(column))], where)
            for key, column in columns.items()
        }
    )


def _array(column: str, values: list[object], where: str) -> pa.Array:
    try:
        return pa.array(values)
    except UnicodeEncodeError as error:
        raise CorpusError(
            f"column {column!r} of {where} holds half a surrogate pair in row {_first_unwritable(values)}, "
            "which is no character and cannot be stored; replace it"
        ) from error
    except (pa.ArrowException, OverflowError) as error:
        raise CorpusError(
            f"column {column!r} of {where} does not hold values of one type: "
            f"{_first_stranger(values) or str(error).splitlines()[0]}"
        ) from error


def _first_unwritable(values: list[object]) -> int | str:
    for place, value in enumerate(values):
        try:
            str(value).encode()
        except UnicodeEncodeError:
            return place
    return "?"


def _first_stranger(values: list[object]) -> str | None:
    """Where a column's type changes, in words; None where its values are all of one Python type."""
    first = next((value for value in values if value is not None), None)
    for place, value in enumerate(values):
        if value is not None and type(value) is not type(first):
            return f"row {place} holds {value!r:.40} where earlier rows hold such as {first!r:.40}"
    return None
