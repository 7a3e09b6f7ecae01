"""A corpus made ready for a scan: texts, labels as strings, covariates, and their fingerprint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.errors import CorpusError, UnknownName
from llm_mri_store.schema import Status

_KEPT_TYPES: Final = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_date,
    pa.types.is_timestamp,
)
_HASHED_ROWS: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A corpus ready for a scan.

    Attributes:
        name: what to call it.
        rows: text string, label string, then the covariates; in corpus order.
        status: one Status per row, by what can be seen before the model runs.
        covariates: fields of the covariate columns.
        labels: distinct labels, sorted.
        fingerprint: sha256 of all rows in order.
        notes: what was left out or renamed, a sentence each.
    """

    name: str
    rows: pa.Table
    status: tuple[Status, ...]
    covariates: pa.Schema
    labels: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...]


def prepare_corpus(
    name: str,
    table: pa.Table,
    *,
    text_column: str,
    label_column: str,
    limit: int | None = None,
    keep_invalid: bool = False,
) -> Corpus:
    """Checks a table of texts and makes it ready.

    Args:
        name: what to call the corpus.
        table: its rows.
        text_column, label_column: which columns hold texts and labels.
        limit: read only the first rows.
        keep_invalid: keep rows whose text or label is null, with a status, instead of refusing them.

    Raises:
        CorpusError: it has fewer than 2 rows, null texts or labels, texts that are no strings, or labels
            that are neither strings, integers nor booleans.
        UnknownName: a column is not there.
    """
    _refuse_bad_columns(name, table, text_column, label_column)
    if limit is not None:
        table = table.slice(0, limit)
    if table.num_rows == 0:
        raise CorpusError(f"corpus {name!r} is empty; a scan needs at least 2 samples")
    if table.num_rows == 1:
        raise CorpusError(f"corpus {name!r} has one sample; a scan needs at least 2")
    texts = _as_texts(name, text_column, table[text_column])
    labels = _as_labels(name, label_column, table[label_column])
    if not keep_invalid:
        _refuse_nulls(name, text_column, texts)
        _refuse_nulls(name, label_column, labels)
    covariates, notes = _covariates(table, {text_column, label_column})
    rows = pa.table({schema.TEXT: texts, schema.LABEL: labels, **covariates})
    return Corpus(
        name=name,
        rows=rows,
        status=_statuses(texts, labels),
        covariates=pa.schema([rows.schema.field(column) for column in covariates]),
        labels=tuple(sorted(pc.unique(labels).drop_null().to_pylist())),
        fingerprint=fingerprint(rows),
        notes=tuple(notes),
    )


def _refuse_bad_columns(name: str, table: pa.Table, text_column: str, label_column: str) -> None:
    seen: dict[str, str] = {}
    for column in table.schema.names:
        if column.lower() in seen:
            raise CorpusError(
                f"corpus {name!r} has two columns that SQL cannot tell apart, {seen[column.lower()]!r} and "
                f"{column!r}; rename one"
            )
        seen[column.lower()] = column
    for option, column in (("--text-column", text_column), ("--label-column", label_column)):
        if column not in table.schema.names:
            raise UnknownName(
                "column", column, known=table.schema.names, where=f"corpus {name!r} (see {option})"
            )
    if text_column == label_column:
        raise CorpusError(f"text and label are the same column {text_column!r}; name two different ones")


def _as_texts(name: str, column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    values = _decoded(values)
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        if pa.types.is_null(values.type):
            return values.cast(pa.string())
        raise CorpusError(
            f"column {column!r} of corpus {name!r} holds {values.type}, not text; choose another with "
            "--text-column"
        )
    return values.cast(pa.string())


def _as_labels(name: str, column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    values = _decoded(values)
    kind = values.type
    if (
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_null(kind)
    ):
        return values.cast(pa.string())
    raise CorpusError(
        f"column {column!r} of corpus {name!r} holds {kind}; labels must be class labels, strings, integers "
        "or booleans (choose another with --label-column)"
    )


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dictionary-encoded values as plain ones, string views as strings."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.cast(pa.string()) if values.type == pa.string_view() else values


def _refuse_nulls(name: str, column: str, values: pa.ChunkedArray) -> None:
    if not values.null_count:
        return
    first = pc.index(pc.is_null(values), True).as_py()
    raise CorpusError(
        f"{values.null_count} of {len(values)} values in column {column!r} of corpus {name!r} are null, the "
        f"first in row {first}; fill or drop these rows, or keep them unread with --keep-invalid"
    )


def _covariates(table: pa.Table, used: set[str]) -> tuple[dict[str, pa.ChunkedArray], list[str]]:
    kept: dict[str, pa.ChunkedArray] = {}
    notes: list[str] = []
    taken = {column.lower() for column in table.schema.names}
    for column in table.schema.names:
        if column in used:
            continue
        values = _decoded(table[column])
        if not any(is_kept(values.type) for is_kept in _KEPT_TYPES):
            notes.append(f"column {column!r} ({values.type}) is no covariate and was left out")
            continue
        name = column
        if column.lower() in schema.RESERVED_COLUMNS:
            name = f"corpus_{column}"
            if name.lower() in taken:
                notes.append(f"column {column!r} hides one of the store's own and was left out")
                continue
            notes.append(f"column {column!r} is called {name!r}: the store has a column of that name")
        kept[name] = values
    return kept, notes


def _statuses(texts: pa.ChunkedArray, labels: pa.ChunkedArray) -> tuple[Status, ...]:
    statuses = []
    for text, label in zip(texts.to_pylist(), labels.to_pylist(), strict=True):
        if text is None:
            statuses.append(Status.NULL_TEXT)
        elif not text.strip():
            statuses.append(Status.EMPTY)
        elif label is None:
            statuses.append(Status.NULL_LABEL)
        else:
            statuses.append(Status.OK)
    return tuple(statuses)


def fingerprint(rows: pa.Table) -> str:
    """Hex sha256 of a table's column names, types and values, whatever its chunks."""
    digest = hashlib.sha256()
    for field in rows.schema:
        digest.update(f"{field.name}:{field.type}\n".encode())
    for batch in rows.to_batches(max_chunksize=_HASHED_ROWS):
        for row in zip(*(batch.column(place).to_pylist() for place in range(batch.num_columns)), strict=True):
            digest.update(msgspec.json.encode(row))
    return digest.hexdigest()
