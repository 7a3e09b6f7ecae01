"""How far two labels differ in a cell: differences of shares, odds ratios, and their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.integer] | Float64

LEVEL: Final = 0.95
"""Confidence level of every interval; each is for its own cell, not for all at once."""

_QUANTILE: Final = float(special.ndtri(0.5 + LEVEL / 2))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimates:
    """An estimate per cell with its confidence interval, float64 (n_cells,); NaN where there is none."""

    value: Float64
    low: Float64
    high: Float64


def share_difference(
    a: Numbers, n_a: Numbers | int, b: Numbers, n_b: Numbers | int, *, inflation: Float64 | float = 1.0
) -> Estimates:
    """Share of A in a cell less the share of B, in [-1, 1]: whatever the labels' sizes.

    The interval is Newcombe's hybrid of two Wilson intervals ("Interval estimation for the difference
    between independent proportions", Statistics in Medicine 17 (1998), method 10), which keeps within
    [-1, 1] and holds at counts of 0.

    Args:
        a: samples of A in the cell, (n_cells,).
        n_a: samples of A, at least 1.
        b: samples of B in the cell, (n_cells,).
        n_b: samples of B, at least 1.
        inflation: how many samples are worth one, at least 1 (``design_effect``): Rao & Scott, "A simple
            method for the analysis of clustered binary data", Biometrics 48 (1992), divide counts by it.

    >>> share_difference(np.array([56]), 70, np.array([48]), 80).low.round(4).tolist()
    [0.0524]
    """
    share_a, share_b = a / np.asarray(n_a), b / np.asarray(n_b)
    low_a, high_a = _wilson(share_a, n_a / np.asarray(inflation))
    low_b, high_b = _wilson(share_b, n_b / np.asarray(inflation))
    difference = share_a - share_b
    return Estimates(
        value=difference,
        low=difference - np.hypot(share_a - low_a, high_b - share_b),
        high=difference + np.hypot(high_a - share_a, share_b - low_b),
    )


def _wilson(share: Float64, n: Float64) -> tuple[Float64, Float64]:
    square = _QUANTILE**2
    centre = (share + square / (2 * n)) / (1 + square / n)
    half = _QUANTILE / (1 + square / n) * np.sqrt(share * (1 - share) / n + square / (4 * n**2))
    # At shares of 0 and 1 an end is the share itself, but for rounding.
    return np.where(share == 0, 0.0, centre - half), np.where(share == 1, 1.0, centre + half)


def log_odds_ratio(
    a: Numbers, n_a: int, b: Numbers, n_b: int, *, inflation: Float64 | float = 1.0
) -> Estimates:
    """Log of the odds of A to be in the cell over those of B; 0 = no difference.

    Half a sample is added to each of the four counts (Haldane 1956; Anscombe 1956), so there is a value
    also where a side has none in the cell, or none outside. The interval is Woolf's (1955), with the sum of
    the reciprocals of the same counts as variance (Gart & Zweifel, Biometrika 54 (1967)), times
    ``inflation``.

    Args:
        a: samples of A in the cell, (n_cells,).
        n_a: samples of A.
        b: samples of B in the cell, (n_cells,).
        n_b: samples of B.
        inflation: as for ``share_difference``.

    >>> log_odds_ratio(np.array([3]), 10, np.array([3]), 10).value.tolist()
    [0.0]
    """
    table = np.stack(np.broadcast_arrays(a, n_a - np.asarray(a), b, n_b - np.asarray(b))) + 0.5
    value = np.log(table[0] * table[3] / (table[1] * table[2]))
    half = _QUANTILE * np.sqrt((1 / table).sum(axis=0) * inflation)
    return Estimates(value=value, low=value - half, high=value + half)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StratumTables:
    """2 x 2 tables of strata and cells: samples in the cell, of the stratum's.

    Attributes:
        cell: int64 (n_tables,), the cell; strata without a sample in it may be left out.
        a, b: (n_tables,), samples of either side in the cell.
        n_a, n_b: (n_tables,), samples of either side in the stratum.
        all_a, all_b: (n_strata,), samples of either side in every stratum.
    """

    cell: Int64
    a: Numbers
    b: Numbers
    n_a: Numbers
    n_b: Numbers
    all_a: Numbers
    all_b: Numbers

    def summed(self, values: Float64, n_cells: int) -> Float64:
        """Sums over strata, float64 (n_cells,)."""
        return np.bincount(self.cell, weights=values, minlength=n_cells).astype(np.float64)


def adjusted_log_odds_ratio(
    tables: StratumTables, *, n_cells: int, inflation: Float64 | float = 1.0
) -> Estimates:
    """Log of Mantel & Haenszel's common odds ratio (1959): that of A and B within strata.

    The interval is that of Robins, Breslow & Greenland, "Estimators of the Mantel-Haenszel variance
    consistent in both sparse data and large-strata limiting models", Biometrics 42 (1986), times
    ``inflation``.

    Returns:
        NaN where the ratio is 0 or infinite: a side has no sample in the cell in strata where the
        other has one.
    """
    a, b = np.asarray(tables.a, np.float64), np.asarray(tables.b, np.float64)
    out_a, out_b = tables.n_a - a, tables.n_b - b
    n = tables.n_a + tables.n_b
    agree, differ = (a + out_b) / n, (out_a + b) / n
    for_a, for_b = a * out_b / n, out_a * b / n
    r, s = tables.summed(for_a, n_cells), tables.summed(for_b, n_cells)
    both = (r > 0) & (s > 0)
    r, s = np.where(both, r, np.nan), np.where(both, s, np.nan)
    variance = (
        tables.summed(agree * for_a, n_cells) / (2 * r**2)
        + tables.summed(agree * for_b + differ * for_a, n_cells) / (2 * r * s)
        + tables.summed(differ * for_b, n_cells) / (2 * s**2)
    )
    value = np.log(r / s)
    half = _QUANTILE * np.sqrt(variance * inflation)
    return Estimates(value=value, low=value - half, high=value + half)


def adjusted_difference(
    tables: StratumTables, *, n_cells: int, inflation: Float64 | float = 1.0
) -> Estimates:
    """Difference of shares within strata, weighted as Mantel and Haenszel weigh: n_a n_b / n.

    Greenland & Robins, Biometrics 41 (1985); the interval is Sato's, "On the variance estimator for the
    Mantel-Haenszel risk difference", Biometrics 45 (1989), times ``inflation``, cut at -1 and 1. Its
    numerator is that of the test's z, so the two have one sign.

    Returns:
        NaN where no stratum has both sides.
    """
    a, b = np.asarray(tables.a, np.float64), np.asarray(tables.b, np.float64)
    n_a, n_b = np.asarray(tables.n_a, np.float64), np.asarray(tables.n_b, np.float64)
    n = n_a + n_b
    all_a, all_b = np.asarray(tables.all_a, np.float64), np.asarray(tables.all_b, np.float64)
    everyone = all_a + all_b
    weight = (all_a * all_b / everyone).sum()
    if not weight > 0:
        nothing = np.full(n_cells, np.nan)
        return Estimates(value=nothing, low=nothing, high=nothing)
    value = tables.summed((a * n_b - b * n_a) / n, n_cells) / weight
    # The last part of P is the same whether or not a stratum has a sample in the cell.
    balance = (all_a * all_b * (all_b - all_a) / (2 * everyone**2)).sum()
    p = tables.summed((n_a**2 * b - n_b**2 * a) / n**2, n_cells) + balance
    q = tables.summed((a * (n_b - b) + b * (n_a - a)) / (2 * n), n_cells)
    half = _QUANTILE * np.sqrt(np.maximum(value * p + q, 0.0) * inflation) / weight
    return Estimates(value=value, low=np.maximum(value - half, -1.0), high=np.minimum(value + half, 1.0))


def design_effect(codes: Int64, side: Int64, groups: Int64, *, n_cells: int) -> Float64:
    """How many samples are worth one because those of a group share cells, at least 1.

    The variance of a cell's share between groups over the one independent samples would have, pooled over
    the two sides: sum over sides of G / (G - 1) * sum over the side's G groups of (samples of the group in
    the cell - size of the group * share of the side)**2, over sum of n * share * (1 - share) (the variance
    of a ratio, as Rao & Scott 1992 use it). A group with both sides counts as a group of either.

    Args:
        codes: int64 (n_samples,), cells.
        side: int64 (n_samples,), 0 or 1.
        groups: int64 (n_samples,), from 0.
        n_cells: cells.

    Returns:
        float64 (n_cells,); 1 where nothing varies.
    """
    between, within = np.zeros(n_cells), np.zeros(n_cells)
    for one in (0, 1):
        chosen = side == one
        _, group = np.unique(groups[chosen], return_inverse=True)
        n_samples, sizes = int(chosen.sum()), np.bincount(group)
        if not n_samples:
            continue
        share = np.bincount(codes[chosen], minlength=n_cells) / n_samples
        keys, counts = np.unique(group * n_cells + codes[chosen], return_counts=True)
        cell, size = keys % n_cells, sizes[keys // n_cells]
        squares = np.bincount(cell, weights=counts.astype(np.float64) ** 2, minlength=n_cells)
        crossed = np.bincount(cell, weights=(counts * size).astype(np.float64), minlength=n_cells)
        spread = squares - 2 * share * crossed + share**2 * float((sizes.astype(np.float64) ** 2).sum())
        between += spread * len(sizes) / max(len(sizes) - 1, 1)
        within += n_samples * share * (1 - share)
    effect = np.divide(between, within, out=np.ones(n_cells), where=within > 0)
    return np.maximum(effect, 1.0)
