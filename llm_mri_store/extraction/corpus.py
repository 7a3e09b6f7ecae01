"""A corpus made ready for a scan: texts, labels as strings, covariates, and their fingerprint."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.errors import CorpusError, UnknownName
from llm_mri_store.extraction.fingerprints import fingerprint_rows
from llm_mri_store.extraction.spans import is_words, join_words, spans_of
from llm_mri_store.schema import Status

_KEPT_TYPES: Final = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_date,
    pa.types.is_timestamp,
)


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
        spans: per row the labelled parts of its text (type ``spans.SPANS``), for token scans; else None.
    """

    name: str
    rows: pa.Table
    status: tuple[Status, ...]
    covariates: pa.Schema
    labels: tuple[str, ...]
    fingerprint: str
    notes: tuple[str, ...]
    spans: pa.ChunkedArray | None = None

    @property
    def readable(self) -> list[int]:
        """Places of the texts that are run through the model, ascending."""
        return [place for place, status in enumerate(self.status) if status.is_readable]


def prepare_corpus(
    name: str,
    table: pa.Table,
    *,
    text_column: str,
    label_column: str,
    token_label_column: str | None = None,
    limit: int | None = None,
    keep_invalid: bool = False,
) -> Corpus:
    """Checks a table of texts and makes it ready.

    Args:
        name: what to call the corpus.
        table: its rows.
        text_column: which column holds the texts.
        label_column: which column holds the labels; with ``token_label_column`` it may be absent.
        token_label_column: which column labels parts of the texts: spans, or one tag per word; the texts may
            then be lists of words.
        limit: read only the first rows.
        keep_invalid: keep rows whose text or label is null, with a status, instead of refusing them.

    Raises:
        CorpusError: it has fewer than 2 rows, null texts or labels, texts that are no strings, or labels
            that are neither strings, integers nor booleans.
        UnknownName: a column is not there.
    """
    if table.num_rows == 0:
        raise CorpusError(f"corpus {name!r} is empty; a scan needs at least 2 samples")
    labels_tokens = token_label_column is not None
    if labels_tokens and label_column not in table.schema.names:
        table = table.append_column(label_column, pa.nulls(table.num_rows, pa.string()))
        has_labels = False
    else:
        has_labels = True
    _refuse_bad_columns(name, table, text_column, label_column, token_label_column)
    if limit is not None:
        table = table.slice(0, limit)
    if table.num_rows == 1:
        raise CorpusError(f"corpus {name!r} has one sample; a scan needs at least 2")
    given = table[text_column]
    words = given if labels_tokens and is_words(given.type) else None
    texts = _as_texts(name, text_column, given if words is None else join_words(words))
    labels = _as_labels(name, label_column, table[label_column])
    if not keep_invalid:
        _refuse_nulls(name, text_column, texts)
        if has_labels:
            _refuse_nulls(name, label_column, labels)
    spans = None
    if token_label_column is not None:
        spans = spans_of(table[token_label_column], texts, words, column=token_label_column, where=name)
    covariates, notes = _covariates(table, {text_column, label_column, token_label_column})
    rows = pa.table({schema.TEXT: texts, schema.LABEL: labels, **covariates})
    return Corpus(
        name=name,
        rows=rows,
        status=_statuses(texts, labels) if has_labels else _statuses(texts, texts),
        covariates=pa.schema([rows.schema.field(column) for column in covariates]),
        labels=tuple(sorted(pc.unique(labels).drop_null().to_pylist())),
        fingerprint=fingerprint_rows(rows if spans is None else rows.append_column("spans", _words(spans))),
        notes=tuple(notes),
        spans=spans,
    )


def _words(spans: pa.ChunkedArray) -> pa.ChunkedArray:
    """Spans as strings, so that they take part in the fingerprint."""
    return pa.chunked_array(
        [[None if row is None else json.dumps(row) for row in spans.to_pylist()]], pa.string()
    )


def _refuse_bad_columns(
    name: str, table: pa.Table, text_column: str, label_column: str, token_label_column: str | None
) -> None:
    seen: dict[str, str] = {}
    for column in table.schema.names:
        if column.lower() in seen:
            raise CorpusError(
                f"corpus {name!r} has two columns that SQL cannot tell apart, {seen[column.lower()]!r} and "
                f"{column!r}; rename one"
            )
        seen[column.lower()] = column
    for option, column in (
        ("--text-column", text_column),
        ("--label-column", label_column),
        ("--token-label-column", token_label_column),
    ):
        if column is not None and column not in table.schema.names:
            raise UnknownName(
                "column", column, known=table.schema.names, where=f"corpus {name!r} (see {option})"
            )
    if text_column == label_column:
        raise CorpusError(f"text and label are the same column {text_column!r}; name two different ones")


def _as_texts(name: str, column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    values = _plain(values)
    if pa.types.is_string(values.type) or pa.types.is_null(values.type):
        return values.cast(pa.string())
    raise CorpusError(
        f"column {column!r} of corpus {name!r} holds {values.type}, not text; choose another with "
        "--text-column (lists of words are read with --token-label-column)"
    )


def _as_labels(name: str, column: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    values = _plain(values)
    label_types = (pa.types.is_string, pa.types.is_integer, pa.types.is_boolean, pa.types.is_null)
    if any(is_label(values.type) for is_label in label_types):
        return values.cast(pa.string())
    raise CorpusError(
        f"column {column!r} of corpus {name!r} holds {values.type}; labels must be class labels, strings, "
        "integers or booleans (choose another with --label-column)"
    )


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same values in one type a kind, so that a corpus is the same whatever container held it.

    Dictionaries are decoded; strings, integers, floats, dates and timestamps become string, int64,
    float64, date32 and timestamp[us] where that loses nothing.
    """
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return values.cast(pa.string())
    if pa.types.is_integer(kind) and kind != pa.uint64():
        return values.cast(pa.int64())
    if pa.types.is_floating(kind):
        return values.cast(pa.float64())
    if pa.types.is_date(kind):
        return values.cast(pa.date32())
    if pa.types.is_timestamp(kind):
        with suppress(pa.ArrowInvalid):
            return values.cast(pa.timestamp("us", kind.tz))
    return values


def _refuse_nulls(name: str, column: str, values: pa.ChunkedArray) -> None:
    if not values.null_count:
        return
    first = pc.index(pc.is_null(values), True).as_py()
    raise CorpusError(
        f"{values.null_count} of {len(values)} values in column {column!r} of corpus {name!r} are null, the "
        f"first in row {first}; fill or drop these rows, or keep them unread with --keep-invalid"
    )


def _covariates(table: pa.Table, used: set[str | None]) -> tuple[dict[str, pa.ChunkedArray], list[str]]:
    kept: dict[str, pa.ChunkedArray] = {}
    notes: list[str] = []
    taken = {column.lower() for column in table.schema.names}
    for column in table.schema.names:
        if column in used:
            continue
        values = _plain(table[column])
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
    """What can be said of each row before it is read; a missing text outweighs a missing label."""
    has_no_text = pc.is_null(texts)
    is_blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts), ""), False)
    status = pc.case_when(
        pc.make_struct(has_no_text, is_blank, pc.is_null(labels)),
        Status.NULL_TEXT.value,
        Status.EMPTY.value,
        Status.NULL_LABEL.value,
        Status.OK.value,
    )
    by_word = {one.value: one for one in Status}
    return tuple(by_word[word] for word in status.to_pylist())
