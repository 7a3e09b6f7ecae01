"""Intervals of numbers about graphs, from what becomes of them when a part of the samples is left out."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from llm_mri_store.analysis.contrast_effects import LEVEL, Estimates

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

N_PARTS: Final = 20
"""Parts that samples are cut into, each left out once."""

FEWEST_PARTS: Final = 6
"""With fewer parts, that is with a label of fewer samples, no interval is given."""


def leave_parts_out(labels: Int64, groups: Int64 | None, *, seed: int) -> Bool | None:
    """Which samples stay when each part is left out; parts hold as much of every label as can be.

    Args:
        labels: int64 (n_samples,), codes from 0.
        groups: int64 (n_samples,), samples that stay or go together; None where each stands for itself.
        seed: of who is in which part.

    Returns:
        bool (n_samples, n_parts), up to 20 parts; None where some label has fewer than 6 samples, or groups.

    >>> leave_parts_out(np.repeat([0, 1], 6), None, seed=0).sum(axis=0).tolist()
    [10, 10, 10, 10, 10, 10]
    """
    units = np.arange(labels.size) if groups is None else groups
    different, first, unit = np.unique(units, return_index=True, return_inverse=True)
    pairs = np.unique(np.stack([labels, unit]), axis=1)
    n_parts = min(N_PARTS, int(np.bincount(pairs[0]).min()))
    if n_parts < FEWEST_PARTS:
        return None
    # Shuffled within labels, then dealt out in turn.
    order = np.lexsort((np.random.default_rng(seed).random(different.size), labels[first]))
    part = np.empty(different.size, dtype=np.int64)
    part[order] = np.arange(different.size) % n_parts
    stays: Bool = part[unit][:, None] != np.arange(n_parts)
    return stays


def jackknife_interval(
    value: Float64, left_out: Float64 | None, *, lowest: float | Float64, highest: float | Float64
) -> Estimates:
    """Values with their 95 % intervals: what as many other samples of the same source would give.

    With g parts of the samples, each left out once, the variance is (g - 1) / g * sum of (value without the
    part - their mean)**2, and the interval value +- t(g - 1 degrees of freedom) * its root (Tukey 1958).
    Parts are independent and alike, so by Efron & Stein, "The jackknife estimate of variance", Ann. Statist.
    9 (1981), the variance of any such number, however uneven, is not underestimated on average.

    The bootstrap, which resamples with replacement, is of no use for graphs: a resample holds 63 % of the
    samples, many twice, so it has fewer edges than the sample, fewer nodes, and a larger distance to any
    other. In four times 100 simulated corpora its 95 % percentile intervals held the number of nodes, edges
    and reachable nodes in none and the Jaccard distance in 0 to 59 %; these held every distance, metric and
    difference in 91 to 100 %, half of them in 98 % and more (``benchmarks/inference_graphs.py``): they are
    rather too wide, most so where cells hold a sample or two.

    Args:
        value: float64 (n_values,).
        left_out: float64 (n_values, n_parts), the same without each part; None where there are too few.
        lowest: the least a value can be; intervals end there.
        highest: the most, likewise.

    Returns:
        Estimates; ends NaN where a value without some part is undefined, or there are no parts.
    """
    if left_out is None:
        nothing = np.full(value.shape, np.nan)
        return Estimates(value=value, low=nothing, high=nothing)
    n_parts = left_out.shape[1]
    apart = left_out - left_out.mean(axis=1, keepdims=True)
    sd = np.sqrt((apart * apart).sum(axis=1) * (n_parts - 1) / n_parts)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n_parts - 1)) * sd
    return Estimates(
        value=value, low=np.maximum(value - half, lowest), high=np.minimum(value + half, highest)
    )
