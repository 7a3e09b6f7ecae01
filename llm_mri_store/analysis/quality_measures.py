"""What a layer's vectors look like as a cloud: spread, rank, direction and dominant dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt

from llm_mri_store.reduction.moments import relative_spread

Bool = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]

EXACT_WIDTH: Final = 1024
"""Up to this many dimensions the covariance of all vectors is small enough to be kept whole."""

MOST_RANK_SAMPLES: Final = 2048
"""Vectors that the effective rank of a wider layer is computed from, at most."""

OUTLIER_DEVIATIONS: Final = 3.0
"""Standard deviations from the mean over dimensions beyond which a dimension is an outlier."""

_BLOCK_VALUES: Final = 2**21
"""Numbers turned into float64 at a time: 16 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorMeasures:
    """Numbers of some vectors; None where they are not defined.

    Attributes:
        n: vectors without NaN or infinity; the others are left out of everything here.
        n_distinct: distinct vectors, by their bytes (as blake2b digests of 128 bits tell them apart).
        relative_spread: how far the most variable dimension varies, against the size of the vectors
            (``reduction.moments.relative_spread``), >= 0.
        total_variance: sum of the dimensions' variances, divisor n - 1, >= 0.
        effective_rank: how many dimensions their covariance fills (see ``effective_rank``), in
            [1, dimensions]; None where nothing varies.
        n_rank_samples: vectors it was computed from; ``n`` where it is exact, 0 where there is none.
        anisotropy: mean cosine similarity of two different vectors, over all pairs of vectors that have a
            direction, in [-1, 1] (Ethayarajh, "How contextual are contextualized word
            representations?", EMNLP 2019, section 4.1, which draws pairs at random).
        mean_norm: mean Euclidean length.
        n_outlier_dimensions: dimensions whose mean lies more than 3 standard deviations from the mean
            over all dimensions: the criterion of Kovaleva et al., "BERT Busters", Findings of ACL 2021,
            for weights of a layer, applied to its mean vector. Of normal values 0.27 % do.
        top_dimension: 0-based dimension of the largest variance; None where nothing varies.
        top_dimension_share: its share of the total variance, in (0, 1].
    """

    n: int
    n_distinct: int
    relative_spread: float | None
    total_variance: float | None
    effective_rank: float | None
    n_rank_samples: int
    anisotropy: float | None
    mean_norm: float | None
    n_outlier_dimensions: int | None
    top_dimension: int | None
    top_dimension_share: float | None


@dataclass(slots=True)
class _Sums:
    """What is summed over the vectors seen so far, about a pilot so that large means cost no precision."""

    pilot: Float64
    scatter: Float64 | None
    total: Float64 = field(init=False)
    squares: Float64 = field(init=False)
    directions: Float64 = field(init=False)
    n: int = 0
    n_directed: int = 0
    norms: float = 0.0

    def __post_init__(self) -> None:
        self.total, self.squares, self.directions = (np.zeros_like(self.pilot) for _ in range(3))

    def add(self, vectors: Float64) -> None:
        norms = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        has_direction = norms > 0
        self.directions += np.divide(1.0, norms, out=np.zeros_like(norms), where=has_direction) @ vectors
        self.n += len(vectors)
        self.n_directed += int(has_direction.sum())
        self.norms += float(norms.sum())
        shifted = vectors - self.pilot
        self.total += shifted.sum(axis=0)
        self.squares += np.einsum("ij,ij->j", shifted, shifted)
        if self.scatter is not None:
            self.scatter += shifted.T @ shifted

    @property
    def mean(self) -> Float64:
        return self.pilot + self.total / self.n

    @property
    def variance(self) -> Float64:
        """Population variance of each dimension."""
        return np.maximum(self.squares / self.n - (self.total / self.n) ** 2, 0.0)


def measure_vectors(parts: Iterable[tuple[Float32, Bool]], *, width: int) -> VectorMeasures:
    """Measures of a layer's vectors, read part by part; memory does not grow with their number.

    The effective rank is exact up to a width of 1,024, by the covariance of all vectors; of wider
    vectors it is that of those marked for it, by the smaller of their covariance and Gram matrix.

    Args:
        parts: vectors, float32 (some, width), and which of them may be taken for the rank of wide
            vectors, bool (some,).
        width: dimensions of a vector, at least 1.
    """
    digests: set[bytes] = set()
    ranked: list[Float32] = []
    sums: _Sums | None = None
    for vectors, is_marked in _finite_blocks(parts, width):
        digests.update(blake2b(vector, digest_size=16).digest() for vector in vectors)
        doubled = vectors.astype(np.float64)
        if sums is None:
            scatter = np.zeros((width, width)) if width <= EXACT_WIDTH else None
            sums = _Sums(pilot=doubled.mean(axis=0), scatter=scatter)
        sums.add(doubled)
        if sums.scatter is None:
            ranked.append(vectors[is_marked])
    if sums is None:
        return _NOTHING
    rank, n_rank_samples = _effective_rank(sums, ranked)
    return _measures(sums, n_distinct=len(digests), effective_rank=rank, n_rank_samples=n_rank_samples)


_NOTHING: Final = VectorMeasures(
    n=0,
    n_distinct=0,
    relative_spread=None,
    total_variance=None,
    effective_rank=None,
    n_rank_samples=0,
    anisotropy=None,
    mean_norm=None,
    n_outlier_dimensions=None,
    top_dimension=None,
    top_dimension_share=None,
)


def _finite_blocks(parts: Iterable[tuple[Float32, Bool]], width: int) -> Iterator[tuple[Float32, Bool]]:
    step = max(1, _BLOCK_VALUES // width)
    for vectors, is_marked in parts:
        for first in range(0, len(vectors), step):
            block = slice(first, first + step)
            is_finite = np.isfinite(vectors[block]).all(axis=1)
            if is_finite.any():
                yield np.ascontiguousarray(vectors[block][is_finite]), is_marked[block][is_finite]


def _effective_rank(sums: _Sums, ranked: list[Float32]) -> tuple[float | None, int]:
    """The effective rank and how many vectors it is of."""
    if sums.scatter is not None:
        shift = sums.total / sums.n
        rank = effective_rank(sums.scatter / sums.n - np.outer(shift, shift))
        return rank, sums.n if rank is not None else 0
    chosen = np.concatenate(ranked).astype(np.float64)
    if len(chosen) == 0:
        return None, 0
    chosen -= chosen.mean(axis=0)
    rank = effective_rank(chosen @ chosen.T if len(chosen) < chosen.shape[1] else chosen.T @ chosen)
    return rank, len(chosen) if rank is not None else 0


def effective_rank(covariance: Float64) -> float | None:
    """How many dimensions a covariance fills: exp of the entropy of its eigenvalues' shares.

    Roy & Vetterli, "The effective rank", EUSIPCO 2007, eq. 2-4, of the covariance matrix.

    Args:
        covariance: symmetric, positive semidefinite, float64 (size, size); a multiple of it, or the Gram
            matrix of the centred vectors, has the same effective rank.

    Returns:
        In [1, size]; None where the matrix is zero.

    >>> round(effective_rank(np.diag([1.0, 1.0, 1.0, 0.0])), 6)
    3.0
    """
    moments = np.maximum(np.linalg.eigvalsh(covariance), 0.0)
    total = moments.sum()
    if not total > 0:
        return None
    shares = moments[moments > 0] / total
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _measures(
    sums: _Sums, *, n_distinct: int, effective_rank: float | None, n_rank_samples: int
) -> VectorMeasures:
    mean, variance = sums.mean, sums.variance
    total = float(variance.sum())
    top = int(variance.argmax()) if total > 0 else None
    pairs = sums.n_directed * (sums.n_directed - 1)
    similarity = (float(sums.directions @ sums.directions) - sums.n_directed) / pairs if pairs else None
    return VectorMeasures(
        n=sums.n,
        n_distinct=n_distinct,
        relative_spread=relative_spread(variance, mean) if sums.n > 1 else None,
        total_variance=total * sums.n / (sums.n - 1) if sums.n > 1 else None,
        effective_rank=effective_rank,
        n_rank_samples=n_rank_samples,
        anisotropy=None if similarity is None else min(max(similarity, -1.0), 1.0),
        mean_norm=sums.norms / sums.n,
        n_outlier_dimensions=count_outliers(mean),
        top_dimension=top,
        top_dimension_share=None if top is None else float(variance[top]) / total,
    )


def count_outliers(mean: Float64) -> int:
    """Dimensions whose mean is more than 3 standard deviations off the mean over dimensions.

    Args:
        mean: the mean vector, float64 (width,).

    >>> count_outliers(np.array([0.0] * 20 + [5.0]))
    1
    """
    return int((np.abs(mean - mean.mean()) > OUTLIER_DEVIATIONS * mean.std()).sum())


def rank_sample(n: int, *, seed: int) -> npt.NDArray[np.int64]:
    """Which of n vectors the effective rank of a wide layer is computed from, int64, ascending.

    All up to 2,048; beyond, one from each of 2,048 equally long stretches, drawn with the seed: an even
    step would meet only some labels of a corpus in which they take turns.
    """
    if n <= MOST_RANK_SAMPLES:
        return np.arange(n)
    edges = np.arange(MOST_RANK_SAMPLES + 1) * n // MOST_RANK_SAMPLES
    return np.random.default_rng(seed).integers(edges[:-1], edges[1:])
