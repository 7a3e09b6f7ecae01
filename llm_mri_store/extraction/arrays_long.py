"""Activations in a long table: a row per sample and layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_columns import column_dtype, column_vectors
from llm_mri_store.extraction.arrays_given import ArrayChoices, Float32, GivenActivations, checked
from llm_mri_store.extraction.arrays_layers import MOST_LAYER, place_layers
from llm_mri_store.extraction.arrays_rows import Rows, common_width

LONG_INDEX: Final = (schema.LAYER, schema.SAMPLE_ID)
"""The columns by which a long table is known."""


def given_long(
    rows: Rows, columns: Sequence[str], choices: ArrayChoices, *, first_sample: int, name: str, where: str
) -> GivenActivations:
    """Activations of a table of layer, sample_id and one list of floats, a row per sample and layer.

    Args:
        rows: the table, in the order of layer and sample_id or of sample_id and layer.
        columns: its columns of lists of floats, of which there must be one.
        choices: which layers are kept.
        first_sample: the sample_id with which every layer begins.
        name: what to call it.
        where: what to call it in a message.

    Raises:
        InvalidInput: it has another order, or layers of several lengths.
        UnknownName: a layer asked for is not there.
    """
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
    width = common_width(rows, columns, where)
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
    for piece in rows.pieces(LONG_INDEX):
        place = np.arange(row, row + piece.num_rows)
        row += piece.num_rows
        found = [piece[column].to_numpy() for column in LONG_INDEX]
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
