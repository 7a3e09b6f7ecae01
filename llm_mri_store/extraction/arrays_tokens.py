"""Activations made elsewhere that hold a vector per token: pooled here, or each token a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_given import (
    TOKEN_POOLINGS,
    ArrayChoices,
    Float32,
    Floats,
    GivenActivations,
    TokenPooling,
    as_float32,
    checked,
    refuse_huge,
)
from llm_mri_store.records.choices import DType


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVectors:
    """Texts with a vector per token and layer.

    Attributes:
        name: what to call them.
        layers: their layers, ascending.
        width: length of a vector.
        dtype: precision in which they are kept.
        n_tokens: int64 (texts,), tokens of each text, all of them real.
        read: a range of texts -> per text (layers, tokens, width), any float dtype.
        read_at: per layer the column it was found in; empty where these have no names.
    """

    name: str
    layers: tuple[int, ...]
    width: int
    dtype: DType
    n_tokens: npt.NDArray[np.int64]
    read: Callable[[range], Iterator[Floats]]
    read_at: tuple[str, ...] = ()


def given_tokens(vectors: TokenVectors, choices: ArrayChoices, *, where: str) -> GivenActivations:
    """Activations of texts, pooled over their tokens; or of tokens, text after text.

    A text without tokens has no vector; where each token is a sample, it has no sample.

    Args:
        vectors: texts with a vector per token.
        choices: the pooling.
        where: what to call their file in a message.

    Raises:
        InvalidInput: no pooling was chosen, or there is nothing to pool.
    """
    if choices.pooling is None:
        raise InvalidInput(
            f"{where} holds a vector per token; say with --pooling how a text's tokens become one vector "
            f"({', '.join(TOKEN_POOLINGS[:-1])}), or 'tokens' to make each a sample"
        )
    refuse_huge((len(vectors.layers), int(vectors.n_tokens.max(initial=0)), vectors.width), where=where)
    is_of_tokens = choices.pooling == "tokens"
    n_samples = int(vectors.n_tokens.sum()) if is_of_tokens else len(vectors.n_tokens)
    return checked(
        GivenActivations(
            name=vectors.name,
            layers=vectors.layers,
            width=vectors.width,
            n_samples=n_samples,
            dtype=vectors.dtype,
            pooling=choices.pooling,
            read=_token_reader(vectors) if is_of_tokens else _pooling_reader(vectors, choices.pooling),
            n_tokens=np.ones(n_samples, np.int32) if is_of_tokens else vectors.n_tokens.astype(np.int32),
            read_at=vectors.read_at,
        ),
        where=where,
    )


def _pooling_reader(vectors: TokenVectors, pooling: TokenPooling) -> Callable[[range], Float32]:
    def read(ids: range) -> Float32:
        pooled = np.full((len(ids), len(vectors.layers), vectors.width), np.nan, dtype=np.float32)
        for place, states in enumerate(vectors.read(ids)):
            if states.shape[1]:
                pooled[place] = pool_tokens(as_float32(states), pooling)
        return pooled

    return read


def pool_tokens(states: Float32, pooling: TokenPooling) -> Float32:
    """One vector per layer.

    Args:
        states: float32 (layers, tokens, width), at least one token, all real.
        pooling: ``first``, ``last``, ``mean`` or ``max``.

    Returns:
        float32 (layers, width); NaN where a token that counts is NaN.

    >>> pool_tokens(np.array([[[1.0], [5.0]]], np.float32), "mean").tolist()
    [[3.0]]
    """
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        return states[:, -1]
    with np.errstate(invalid="ignore", over="ignore"):
        if pooling == "max":
            most: Float32 = states.max(axis=1)
            return most
        return as_float32(states.mean(axis=1, dtype=np.float64))


def _token_reader(vectors: TokenVectors) -> Callable[[range], Float32]:
    ends = np.cumsum(vectors.n_tokens)

    def read(ids: range) -> Float32:
        if not ids:
            return np.empty((0, len(vectors.layers), vectors.width), np.float32)
        first_text, last_text = np.searchsorted(ends, (ids.start, ids.stop - 1), side="right")
        texts = range(int(first_text), int(last_text) + 1)
        parts = []
        for text, states in zip(texts, vectors.read(texts), strict=True):
            begins = int(ends[text] - vectors.n_tokens[text])
            part = states[:, max(ids.start - begins, 0) : ids.stop - begins]
            parts.append(as_float32(part.transpose(1, 0, 2)))
        return np.concatenate(parts)

    return read
