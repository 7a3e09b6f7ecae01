"""Activations made elsewhere: what any form of them comes to, and which layers its arrays are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_layers import called, place_block, place_layers
from llm_mri_store.records.choices import DType, StoredPooling

Float32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.floating]
Int32 = npt.NDArray[np.int32]

Layout = Literal["samples-first", "layers-first"]
LAYOUTS: Final[tuple[Layout, ...]] = ("samples-first", "layers-first")

TokenPooling = Literal["first", "last", "mean", "max", "tokens"]
TOKEN_POOLINGS: Final[tuple[TokenPooling, ...]] = ("first", "last", "mean", "max", "tokens")

_MOST_SAMPLE_BYTES: Final = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayChoices:
    """How activations made elsewhere are to be read, where the file does not say it itself.

    Attributes:
        layers: numbers of the layers. Arrays without names are given these numbers in order; of arrays
            whose names tell their layer, these are kept. None: 0, 1, 2 ..., or every layer named.
        layout: which axis of an array of three comes first.
        pooling: how the tokens of a text become one vector, or ``tokens`` to make each a sample of its own;
            needed where there is a vector per token, refused elsewhere.
    """

    layers: tuple[int, ...] | None = None
    layout: Layout = "samples-first"
    pooling: TokenPooling | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenActivations:
    """Activations made elsewhere, read in pieces.

    Attributes:
        name: what to call them: the name of their file or folder.
        layers: their layers, ascending.
        width: length of a vector.
        n_samples: vectors per layer.
        dtype: precision in which they are kept.
        pooling: ``imported`` for vectors given one a sample, else the pooling applied in reading them.
        read: sample ids -> float32 (samples, layers, width); NaN where a vector is absent. Quick where ids
            ascend from call to call.
        n_tokens: int32 (n_samples,), tokens pooled into each sample; None where that is not known.
        read_at: per layer the array or column it was found in; empty where these have no names.
    """

    name: str
    layers: tuple[int, ...]
    width: int
    n_samples: int
    dtype: DType
    pooling: StoredPooling
    read: Callable[[range], Float32]
    n_tokens: Int32 | None = None
    read_at: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredArray:
    """One array, read in pieces.

    Attributes:
        name: its name in the file; None where it has none of its own.
        shape: its shape.
        dtype: precision of its numbers.
        read: leading indices and a range -> the part of the array under these indices, cut to the range
            along its first axis; any float dtype.
    """

    name: str | None
    shape: tuple[int, ...]
    dtype: DType
    read: Callable[[tuple[int, ...], range], Floats]


def given_arrays(
    arrays: Sequence[StoredArray], choices: ArrayChoices, *, name: str, where: str
) -> GivenActivations:
    """Activations of one array of samples and layers, or of an array of samples per layer.

    Args:
        arrays: one of shape (samples, width), (samples, layers, width) or, by ``choices.layout``, (layers,
            samples, width); or several of the first.
        choices: which layers these are.
        name: what to call them.
        where: what to call their file in a message.

    Raises:
        InvalidInput: they have other shapes, differ in shape, or do not say of which layer they are.
        UnknownName: a layer asked for is not there.
    """
    refuse_pooling(choices, where=where)
    if not arrays:
        raise InvalidInput(f"{where} holds no array; activations are arrays of (samples, width) per layer")
    if len(arrays) == 1 and len(arrays[0].shape) == 3:
        return _given_block(arrays[0], choices, name=name, where=where)
    for array in arrays:
        if len(array.shape) != 2:
            raise InvalidInput(
                f"{called(array.name, where)} has the shape {array.shape}; activations are one array of "
                "(samples, width), (samples, layers, width) or (layers, samples, width), or one of (samples, "
                "width) per layer, with tokens pooled"
            )
    return _given_matrices(arrays, choices, name=name, where=where)


def _given_block(array: StoredArray, choices: ArrayChoices, *, name: str, where: str) -> GivenActivations:
    has_layers_first = choices.layout == "layers-first"
    n_layers, n_samples = array.shape[:2] if has_layers_first else array.shape[1::-1]
    placed = place_block(n_layers, choices.layers, where=where)
    places = list(placed.values())

    def read(ids: range) -> Float32:
        if has_layers_first:
            return np.stack([as_float32(array.read((place,), ids)) for place in places], axis=1)
        block = as_float32(array.read((), ids))
        return block if places == list(range(n_layers)) else block[:, places]

    return checked(
        GivenActivations(
            name=name,
            layers=tuple(placed),
            width=array.shape[2],
            n_samples=n_samples,
            dtype=array.dtype,
            pooling="imported",
            read=read,
        ),
        where=where,
    )


def _given_matrices(
    arrays: Sequence[StoredArray], choices: ArrayChoices, *, name: str, where: str
) -> GivenActivations:
    default = range(len(arrays)) if len(arrays) > 1 else None
    placed = place_layers([array.name for array in arrays], choices.layers, default=default, where=where)
    chosen = [arrays[place] for place in placed.values()]
    first = chosen[0]
    for layer, array in zip(placed, chosen, strict=True):
        if array.shape != first.shape or array.dtype != first.dtype:
            raise InvalidInput(
                f"layers {min(placed)} and {layer} of {where} differ: {first.shape} {first.dtype} and "
                f"{array.shape} {array.dtype}; a scan has one width, import the layers of each by themselves "
                "with --layers"
            )
    n_samples, width = first.shape
    return checked(
        GivenActivations(
            name=name,
            layers=tuple(placed),
            width=width,
            n_samples=n_samples,
            dtype=first.dtype,
            pooling="imported",
            read=lambda ids: np.stack([as_float32(array.read((), ids)) for array in chosen], axis=1),
            read_at=names_of([array.name for array in chosen]),
        ),
        where=where,
    )


def cut(array: Floats, at: tuple[int, ...], rows: range) -> Floats:
    """The part of an array under some leading indices, cut to a range along its first axis."""
    for index in at:
        array = array[index]
    return array[rows.start : rows.stop]


def names_of(names: Sequence[str | None]) -> tuple[str, ...]:
    """The names, where all have one; else none."""
    return tuple(name for name in names if name is not None) if None not in names else ()


def checked(given: GivenActivations, *, where: str) -> GivenActivations:
    """The activations themselves, where they are of a size that can be.

    Raises:
        InvalidInput: they hold no sample, layer or number, or a sample is larger than any can be.
    """
    if min(given.n_samples, len(given.layers), given.width) < 1:
        raise InvalidInput(
            f"{where} is empty: {given.n_samples} samples x {len(given.layers)} layers x {given.width}"
        )
    refuse_huge((len(given.layers), given.width), where=where)
    return given


def refuse_huge(shape: tuple[int, ...], *, where: str) -> None:
    """Refuses one sample of a size that only a damaged or hostile header has.

    Raises:
        InvalidInput: it would take more than 4 GiB.
    """
    if 4 * math.prod(shape) > _MOST_SAMPLE_BYTES:
        raise InvalidInput(f"{where} is damaged: one sample would hold {' x '.join(map(str, shape))} numbers")


def refuse_pooling(choices: ArrayChoices, *, where: str) -> None:
    """Refuses a pooling where there are no tokens to pool.

    Raises:
        InvalidInput: one was chosen.
    """
    if choices.pooling is not None:
        raise InvalidInput(
            f"{where} holds a vector per sample, so there is nothing to pool; leave --pooling out"
        )


def float_dtype(dtype: np.dtype[np.generic], *, name: str | None, where: str) -> DType:
    """Our name of the precision of an array's numbers; double precision counts as float32, as it is kept.

    Raises:
        InvalidInput: they are no floats of 16, 32 or 64 bits.
    """
    if dtype.kind == "f" and dtype.itemsize in {2, 4, 8}:
        return "float16" if dtype.itemsize == 2 else "float32"
    raise InvalidInput(
        f"{called(name, where)} holds {dtype} values; activations are float16, bfloat16, float32 or float64"
    )


def as_float32(values: Floats) -> Float32:
    """The values as float32, C-ordered; what is beyond its range becomes infinite, without a warning."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)
