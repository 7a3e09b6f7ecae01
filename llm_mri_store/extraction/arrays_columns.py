"""Arrow columns of lists as arrays: a vector a row, or a vector per token of a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_given import Float32, as_float32
from llm_mri_store.records.choices import DType

Kind = Literal["vector", "tokens"]


def column_kind(type_: pa.DataType) -> Kind | None:
    """What a column holds: a list of floats is a vector, a list of these the vectors of some tokens.

    >>> column_kind(pa.list_(pa.float32())), column_kind(pa.list_(pa.list_(pa.float16())))
    ('vector', 'tokens')
    """
    inner = _item_type(type_)
    if inner is None:
        return None
    if pa.types.is_floating(inner):
        return "vector"
    return "tokens" if column_kind(inner) == "vector" else None


def column_dtype(type_: pa.DataType) -> DType:
    """Precision of the floats in a column of lists; double precision counts as float32, as it is kept."""
    inner = _item_type(type_)
    if inner is not None:
        return column_dtype(inner)
    return "float16" if pa.types.is_float16(type_) else "float32"


def _item_type(type_: pa.DataType) -> pa.DataType | None:
    # A dataset of Hugging Face wraps arrays of two axes into a type of its own.
    if isinstance(type_, pa.ExtensionType):
        type_ = type_.storage_type
    is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return type_.value_type if any(one(type_) for one in is_list) else None


def vector_width(column: pa.ChunkedArray) -> int | None:
    """Length of the first vector in a column; None where it holds none."""
    for chunk in column.chunks:
        lists = _lists(chunk)
        for row in np.flatnonzero(lists.is_valid().to_numpy(zero_copy_only=False)):
            values = lists[int(row)].values
            if column_kind(values.type) is None:
                return len(values)
            width = vector_width(pa.chunked_array([values]))
            if width is not None:
                return width
    return None


def token_counts(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """How many tokens each row has, int64 (rows,); 0 for NULL."""
    counts = [pc.fill_null(pc.list_value_length(_lists(chunk)), 0).to_numpy() for chunk in column.chunks]
    return np.concatenate([np.empty(0, np.int64), *counts]).astype(np.int64)


def column_vectors(column: pa.ChunkedArray, width: int, *, first_row: int, called: str) -> Float32:
    """The vectors of a column as an array.

    Args:
        column: a list of floats per row.
        width: length that each must have.
        first_row: number of the column's first row, for the message.
        called: the column and its file, for the message.

    Returns:
        float32 (rows, width); NaN where a row is NULL or a number in it is.

    Raises:
        InvalidInput: a vector is longer or shorter.
    """
    vectors = np.empty((len(column), width), dtype=np.float32)
    row = 0
    for chunk in column.chunks:
        part = _vectors(_lists(chunk), width, first_row=first_row + row, called=called)
        vectors[row : row + len(chunk)] = part
        row += len(chunk)
    return vectors


def token_vectors(column: pa.ChunkedArray, width: int, *, called: str) -> Iterator[Float32]:
    """The vectors of each row's tokens, float32 (tokens, width); none for NULL.

    Args:
        column: a list of lists of floats per row.
        width: length that each vector must have.
        called: the column and its file, for the message.

    Raises:
        InvalidInput: a vector is longer or shorter.
    """
    for chunk in column.chunks:
        for row in _lists(chunk):
            if row.is_valid:
                yield _vectors(_lists(row.values), width, first_row=0, called=f"a row of {called}")
            else:
                yield np.empty((0, width), np.float32)


def _lists(values: pa.Array) -> pa.Array:
    lists = values.storage if isinstance(values, pa.ExtensionArray) else values
    # A damaged or hostile file may hold offsets that point outside its numbers.
    lists.validate(full=True)
    return lists


def _vectors(lists: pa.Array, width: int, *, first_row: int, called: str) -> Float32:
    lengths = pc.list_value_length(lists)
    wrong = pc.index(pc.fill_null(pc.not_equal(lengths, width), False), True).as_py()
    if wrong >= 0:
        raise InvalidInput(
            f"row {first_row + wrong} of {called} holds {lengths[wrong].as_py()} numbers, the first {width}; "
            "a scan has one width"
        )
    flat = as_float32(lists.flatten().to_numpy(zero_copy_only=False))
    if not lists.null_count:
        return flat.reshape(len(lists), width)
    vectors = np.full((len(lists), width), np.nan, dtype=np.float32)
    vectors[lists.is_valid().to_numpy(zero_copy_only=False)] = flat.reshape(-1, width)
    return vectors
