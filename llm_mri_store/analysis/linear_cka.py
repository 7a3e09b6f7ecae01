"""Linear centred kernel alignment: how alike two layers hold the same samples apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Final

import numpy as np
import numpy.typing as npt

from llm_mri_store.errors import InvalidInput, StoreCorrupt
from llm_mri_store.records.jobs import Progress, ProgressCallback
from llm_mri_store.store.arrays import activation_parts
from llm_mri_store.store.catalogue import ScanEntry

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_ROWS_AT_ONCE: Final = 1024
_MOST_BYTES: Final = 64 * 2**20
"""Memory of the cross-products of some layers, between which more are computed in one reading."""


def linear_cka(a: Float64, b: Float64) -> float:
    """Linear CKA of two sets of vectors of the same samples, in [0, 1].

    ||B'A||^2 / (||A'A|| ||B'B||) of centred A and B in Frobenius norms (Kornblith et al., "Similarity of
    neural network representations revisited", ICML 2019, eq. 3 and 4; arXiv 1905.00414). It is 1 where one
    is the other turned and scaled, and it is the RV coefficient (Robert & Escoufier 1976). Between unrelated
    vectors it is above 0, most so for few samples of many dimensions.

    Args:
        a: float64 (n_samples, n_dimensions).
        b: float64 (n_samples, n_other_dimensions).

    Returns:
        NaN where vectors do not vary.

    >>> turned = np.array([[0.0, 1.0], [1.0, 0.0], [3.0, 0.0]])
    >>> round(linear_cka(turned, turned[:, ::-1] * 2 + 5), 6)
    1.0
    """
    one, other = (aligned(values) for values in (a, b))
    return float(block_cka(one, other, (one.shape[1], other.shape[1]))[0, 0])


def aligned(points: Float64) -> Float64:
    """Points centred and scaled so that squared cross-products of two such sets sum to their CKA.

    Args:
        points: float64 (n_samples, n_dimensions).

    Returns:
        The same shape; NaN where points do not vary.
    """
    centred = points - points.mean(axis=0)
    norm = float(np.linalg.norm(centred.T @ centred))
    size = float(np.abs(points).max(initial=0.0))
    varies = norm > len(points) * (1e-12 * size) ** 2 and norm > 0
    return centred / np.sqrt(norm) if varies else np.full_like(centred, np.nan)


def block_cka(one: Float64, other: Float64, dimensions: tuple[int, int]) -> Float64:
    """CKA of every layer of one set with every layer of another, float64 (n_layers, n_other_layers).

    Args:
        one: float64 (n_samples, n_layers * n_dimensions), ``aligned`` points of layers side by side.
        other: likewise.
        dimensions: of a layer in either.
    """
    cross = one.T @ other
    shape = (cross.shape[0] // dimensions[0], dimensions[0], -1, dimensions[1])
    found: Float64 = np.minimum((cross.reshape(shape) ** 2).sum(axis=(1, 3)), 1.0)
    return found


def activation_cka(
    a: ScanEntry,
    b: ScanEntry,
    layers: tuple[Sequence[int], Sequence[int]],
    sample_ids: Int64,
    *,
    progress: ProgressCallback,
) -> tuple[Float64, Float64]:
    """Linear CKA of the activations of every pair of layers, and its mean by chance.

    Activations are read some samples at a time; what is kept are the cross-products of some layers, up to
    64 MiB of them or those of one pair. The mean over all orders of the samples of B is exact: tr(AA')
    tr(BB') / ((n - 1) ||A'A|| ||B'B||) (Kazi-Aoual et al., "Refined approximations to permutation tests for
    multivariate inference", Comput. Statist. Data Anal. 20 (1995)).

    Args:
        a: a scan.
        b: another one of the same samples.
        layers: of either.
        sample_ids: int64 (n,), ascending: those that count.
        progress: told after each layer, and after each block of pairs.

    Returns:
        Two arrays float64 (n_layers, n_other_layers), the value and its mean by chance, in [0, 1]; NaN where
        activations do not vary.

    Raises:
        InvalidInput: activations of a scan were removed.
        StoreCorrupt: an activation is missing.
    """
    for scan in (a, b):
        if scan.is_pruned:
            raise InvalidInput(f"the activations of scan {scan.name!r} were removed; leave activations out")
    widths = (a.spec.hidden_size, b.spec.hidden_size)
    at_once = max(1, int((_MOST_BYTES / (8 * widths[0] * widths[1])) ** 0.5))
    n_own = len(layers[0]) + len(layers[1])
    n_blocks = len(range(0, len(layers[0]), at_once)) * len(range(0, len(layers[1]), at_once))
    done = count(1)

    def tell() -> None:
        progress(Progress(job="activations", done=next(done), total=n_own + n_blocks))

    own = [_own_products(scan, of, sample_ids, tell) for scan, of in zip((a, b), layers, strict=True)]
    value = np.full((len(layers[0]), len(layers[1])), np.nan)
    for row in range(0, len(layers[0]), at_once):
        for column in range(0, len(layers[1]), at_once):
            some = (layers[0][row : row + at_once], layers[1][column : column + at_once])
            squares = _squared_cross(a, b, some, sample_ids, pilots=(own[0][2][row:], own[1][2][column:]))
            value[row : row + at_once, column : column + at_once] = squares
            tell()
    (traces_a, norms_a, _), (traces_b, norms_b, _) = own
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.outer(norms_a, norms_b)
        return np.minimum(value / scale, 1.0), np.outer(traces_a, traces_b) / ((len(sample_ids) - 1) * scale)


def _own_products(
    scan: ScanEntry, layers: Sequence[int], sample_ids: Int64, tell: Callable[[], None]
) -> tuple[Float64, Float64, list[Float64]]:
    """Of each layer the trace and the Frobenius norm of its scatter, and its mean."""
    traces, norms, means = [], [], []
    for layer in layers:
        total = np.zeros(scan.spec.hidden_size)
        for rows in _rows(scan, [layer], sample_ids):
            total += rows.sum(axis=0, dtype=np.float64)
        mean = total / len(sample_ids)
        scatter = np.zeros((total.size, total.size))
        for rows in _rows(scan, [layer], sample_ids):
            centred = rows - mean
            scatter += centred.T @ centred
        trace = float(np.trace(scatter))
        # Beyond rounding: float32 activations hold seven digits.
        varies = trace > len(sample_ids) * 1e-12 * float(mean @ mean)
        traces.append(trace if varies else np.nan)
        norms.append(float(np.linalg.norm(scatter)) if varies else np.nan)
        means.append(mean)
        tell()
    return np.array(traces), np.array(norms), means


def _squared_cross(
    a: ScanEntry,
    b: ScanEntry,
    layers: tuple[Sequence[int], Sequence[int]],
    sample_ids: Int64,
    *,
    pilots: tuple[Sequence[Float64], Sequence[Float64]],
) -> Float64:
    """Squared Frobenius norms of the cross-products of centred activations of pairs of layers."""
    widths = (a.spec.hidden_size, b.spec.hidden_size)
    means = [np.concatenate(of[: len(some)]) for of, some in zip(pilots, layers, strict=True)]
    cross = np.zeros((means[0].size, means[1].size))
    for one, other in zip(_rows(a, layers[0], sample_ids), _rows(b, layers[1], sample_ids), strict=True):
        cross += (one - means[0]).T @ (other - means[1])
    shape = (len(layers[0]), widths[0], len(layers[1]), widths[1])
    squares: Float64 = np.einsum("iajb,iajb->ij", *[cross.reshape(shape)] * 2)
    return squares


def _rows(scan: ScanEntry, layers: Sequence[int], sample_ids: Int64) -> Iterator[Float32]:
    """Activations of layers side by side, so many samples at a time, whatever the scan's chunks."""
    waiting = np.zeros((0, len(layers) * scan.spec.hidden_size), dtype=np.float32)
    parts = zip(*(activation_parts(scan, layer) for layer in layers), strict=True)
    for chunk, vectors in zip(scan.chunks, parts, strict=True):
        first, end = np.searchsorted(sample_ids, [chunk.first_sample, chunk.first_sample + chunk.n_samples])
        chosen = sample_ids[first:end] - chunk.first_sample
        waiting = np.concatenate([waiting, np.concatenate([one[chosen] for one in vectors], axis=1)])
        if not np.isfinite(waiting).all():
            raise StoreCorrupt(
                f"chunk {chunk.index} of scan {scan.name!r} lacks an activation; run 'llm-mri verify'"
            )
        n_whole = len(waiting) // _ROWS_AT_ONCE * _ROWS_AT_ONCE
        for start in range(0, n_whole, _ROWS_AT_ONCE):
            yield waiting[start : start + _ROWS_AT_ONCE]
        waiting = waiting[n_whole:]
    if len(waiting):
        yield waiting
