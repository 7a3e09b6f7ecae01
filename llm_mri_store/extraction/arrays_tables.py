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
    vector_width,
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
from llm_mri_store.extraction.arrays_layers import MOST_LAYER, place_layers
from llm_mri_store.extraction.arrays_rows import Rows
from llm_mri_store.extraction.arrays_tokens import TokenVectors, given_tokens

_INDEX: Final = (schema.LAYER, schema.SAMPLE_ID)
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
    if all(column in kinds and pa.types.is_integer(rows.schema.field(column).type) for column in _INDEX):
        refuse_pooling(choices, where=where)
        return _given_long(rows, columns, choices, first_sample=first_sample, name=name, where=where)
    placed = place_layers(columns, choices.layers, default=None, where=where)
    chosen = [columns[place] for place in placed.values()]
    width = _common_width(rows, chosen, where)
    layers = tuple(placed)
    dtype = column_dtype(rows.schema.field(chosen[0]).type)
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
    _refuse_other_order(rows, first_sample, where)
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


def _common_width(rows: Rows, columns: Sequence[str], where: str) -> int:
    widths: dict[str, int] = {}
    for piece in rows.pieces(columns):
        for column in columns:
            width = None if column in widths else vector_width(piece[column])
            if width is not None:
                widths[column] = width
        if len(widths) == len(columns):
            break
    for column in columns:
        if column not in widths:
            raise InvalidInput(f"column {column!r} of {where} holds no vector")
        if widths[column] != widths[columns[0]]:
            raise InvalidInput(
                f"columns {columns[0]!r} and {column!r} of {where} differ in width: {widths[columns[0]]} and "
                f"{widths[column]}; a scan has one width, import the layers of each with --layers"
            )
    return widths[columns[0]]


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


def _given_long(
    rows: Rows, columns: Sequence[str], choices: ArrayChoices, *, first_sample: int, name: str, where: str
) -> GivenActivations:
    if len(columns) > 1:
        raise InvalidInput(f"{where} has several columns of vectors ({', '.join(columns)}); keep one")
    column = columns[0]
    layers = _layers_there(rows, where)
    n_samples, n_left = divmod(rows.n_rows, len(layers))
    if n_left:
        raise InvalidInput(
            f"{where} holds {rows.n_rows:,} rows of {len(layers)} layers; every layer must have the same "
            "samples"
        )
    has_layers_first = _is_by_layer(rows, layers, n_samples, first_sample, where)
    # The layers name themselves, as columns do in a wide table.
    placed = place_layers([str(layer) for layer in layers], choices.layers, default=None, where=where)
    width = _common_width(rows, columns, where)
    called = f"column {column!r} of {where}"
    places = list(placed.values())

    def vectors(begin: int, end: int, lane: int) -> Float32:
        piece = rows.read(columns, range(begin, end), lane=lane)
        return column_vectors(piece[column], width, first_row=begin, called=called)

    def read_by_layer(ids: range) -> Float32:
        begins = [place * n_samples for place in places]
        return np.stack([vectors(begin + ids.start, begin + ids.stop, begin) for begin in begins], axis=1)

    def read_by_sample(ids: range) -> Float32:
        block = vectors(ids.start * len(layers), ids.stop * len(layers), 0)
        of_samples = block.reshape(len(ids), len(layers), width)
        return of_samples if len(places) == len(layers) else of_samples[:, places]

    read: Callable[[range], Float32] = read_by_layer if has_layers_first else read_by_sample
    return checked(
        GivenActivations(
            name=name,
            layers=tuple(placed),
            width=width,
            n_samples=n_samples,
            dtype=column_dtype(rows.schema.field(column).type),
            pooling="imported",
            read=read,
        ),
        where=where,
    )


def _layers_there(rows: Rows, where: str) -> list[int]:
    there: set[int] = set()
    for piece in rows.pieces([schema.LAYER]):
        if piece[schema.LAYER].null_count:
            raise InvalidInput(f"column {schema.LAYER!r} of {where} is NULL in some rows")
        there.update(int(layer) for layer in np.unique(piece[schema.LAYER].to_numpy()))
    if min(there) < 0 or max(there) > MOST_LAYER:
        raise InvalidInput(f"column {schema.LAYER!r} of {where} holds layers beyond 0 to {MOST_LAYER}")
    return sorted(there)


def _is_by_layer(rows: Rows, layers: Sequence[int], n_samples: int, first_sample: int, where: str) -> bool:
    """True for rows in the order of layer and sample_id, false for that of sample_id and layer.

    Raises:
        InvalidInput: they are in neither.
    """
    numbers = np.asarray(layers)
    may_be = {True, False}
    row = 0
    for piece in rows.pieces(_INDEX):
        place = np.arange(row, row + piece.num_rows)
        row += piece.num_rows
        found = [piece[column].to_numpy() for column in _INDEX]
        by_layer = (numbers[place // n_samples], first_sample + place % n_samples)
        by_sample = (numbers[place % len(layers)], first_sample + place // len(layers))
        for is_by_layer, expected in ((True, by_layer), (False, by_sample)):
            if not all(map(np.array_equal, found, expected)):
                may_be.discard(is_by_layer)
    if not may_be:
        raise InvalidInput(
            f"the rows of {where} are not in the order of layer and sample_id, with sample_id counting "
            f"{first_sample}, {first_sample + 1} ... in every layer; sort them (ORDER BY layer, sample_id)"
        )
    return True in may_be
