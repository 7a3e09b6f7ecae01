"""Activations in the columns of a table: wide, long, one column, or a vector per token."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_columns import (
    column_dtype,
    column_kind,
    column_vectors,
    token_counts,
    token_vectors,
)
from llm_mri_store.extraction.arrays_given import (
    ArrayChoices,
    Float32,
    Floats,
    GivenActivations,
    checked,
    names_of,
    refuse_pooling,
)
from llm_mri_store.extraction.arrays_layers import place_layers
from llm_mri_store.extraction.arrays_long import LONG_INDEX, given_long
from llm_mri_store.extraction.arrays_rows import Rows, common_width
from llm_mri_store.extraction.arrays_tokens import TokenVectors, given_tokens

_TOKEN_BYTES: Final = 2**25


def given_table(
    rows: Rows, choices: ArrayChoices, *, first_sample: int, name: str, where: str
) -> GivenActivations:
    """Activations of a table.

    Its columns are one list of floats per layer, named such as ``layer_06`` (wide); or layer, sample_id
    and one list of floats (long, in the order of layer and sample_id or of sample_id and layer); or lists
    of lists, a vector per token, which are pooled by ``choices.pooling``. Other columns are not read.

    Args:
        rows: the table.
        choices: which layers these are, and how tokens are pooled.
        first_sample: the sample_id with which it begins, where it has such a column.
        name: what to call it.
        where: what to call it in a message.

    Raises:
        InvalidInput: its columns or its order are others, or its vectors differ in width.
        UnknownName: a layer asked for is not there.
    """
    kinds = {field.name: column_kind(field.type) for field in rows.schema}
    columns = [column for column, kind in kinds.items() if kind is not None]
    if not columns:
        raise InvalidInput(
            f"{where} has no column of lists of floats, but {', '.join(kinds) or 'none at all'}"
        )
    if len({kinds[column] for column in columns}) > 1:
        raise InvalidInput(f"{where} has vectors per sample and vectors per token; keep the one or the other")
    if not rows.n_rows:
        raise InvalidInput(f"{where} is empty: it has no rows")
    if all(column in kinds and pa.types.is_integer(rows.schema.field(column).type) for column in LONG_INDEX):
        refuse_pooling(choices, where=where)
        return given_long(rows, columns, choices, first_sample=first_sample, name=name, where=where)
    placed = place_layers(columns, choices.layers, default=None, where=where)
    chosen = [columns[place] for place in placed.values()]
    width = common_width(rows, chosen, where)
    layers = tuple(placed)
    dtype = column_dtype(rows.schema.field(chosen[0]).type)
    if choices.pooling != "tokens":
        _refuse_other_order(rows, first_sample, where)
    if kinds[chosen[0]] == "tokens":
        n_tokens = np.concatenate([token_counts(piece[chosen[0]]) for piece in rows.pieces(chosen[:1])])
        vectors = TokenVectors(
            name=name,
            layers=layers,
            width=width,
            dtype=dtype,
            n_tokens=n_tokens,
            read=_token_reader(rows, chosen, n_tokens, width, where),
            read_at=names_of(chosen),
        )
        return given_tokens(vectors, choices, where=where)
    refuse_pooling(choices, where=where)
    return checked(
        GivenActivations(
            name=name,
            layers=layers,
            width=width,
            n_samples=rows.n_rows,
            dtype=dtype,
            pooling="imported",
            read=lambda ids: _read_wide(rows, chosen, ids, width, where),
            read_at=names_of(chosen),
        ),
        where=where,
    )


def _read_wide(rows: Rows, columns: Sequence[str], ids: range, width: int, where: str) -> Float32:
    piece = rows.read(columns, ids)
    vectors = np.empty((len(ids), len(columns), width), dtype=np.float32)
    for place, column in enumerate(columns):
        called = f"column {column!r} of {where}"
        vectors[:, place] = column_vectors(piece[column], width, first_row=ids.start, called=called)
    return vectors


def _token_reader(
    rows: Rows, columns: Sequence[str], n_tokens: npt.NDArray[np.int64], width: int, where: str
) -> Callable[[range], Iterator[Floats]]:
    text_bytes = 4 * max(1, int(n_tokens.max(initial=1))) * len(columns) * width
    n_at_once = max(1, _TOKEN_BYTES // text_bytes)

    def read(texts: range) -> Iterator[Floats]:
        for begin in range(texts.start, texts.stop, n_at_once):
            piece = rows.read(columns, range(begin, min(begin + n_at_once, texts.stop)))
            for layers in zip(
                *(token_vectors(piece[one], width, called=f"column {one!r} of {where}") for one in columns),
                strict=True,
            ):
                if len({len(vectors) for vectors in layers}) > 1:
                    raise InvalidInput(f"a row of {where} has more tokens at one layer than at another")
                yield np.stack(layers)

    return read


def _refuse_other_order(rows: Rows, first_sample: int, where: str) -> None:
    """Refuses samples in another order: rows are matched with the samples by their place alone."""
    if schema.SAMPLE_ID not in rows.schema.names:
        return
    row = 0
    for piece in rows.pieces([schema.SAMPLE_ID]):
        expected = np.arange(first_sample + row, first_sample + row + piece.num_rows)
        if not np.array_equal(piece[schema.SAMPLE_ID].to_numpy(), expected):
            raise InvalidInput(
                f"column {schema.SAMPLE_ID!r} of {where} does not count {first_sample}, {first_sample + 1} "
                "... in order; sort the rows by it, or leave it out where it is another number"
            )
        row += piece.num_rows
