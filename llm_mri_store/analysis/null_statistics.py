"""P and bands of statistics, from what relabelings came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.permutation_null import share_reached

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

_ROUNDING: Final = 1e-9
"""Difference up to which two values are the same: sums taken in another order differ in last bits."""


def own_p(observed: Float64, by_chance: Float64, *, is_exact: bool) -> Float64:
    """P of each statistic by itself: the share of relabelings that reach it, never 0.

    Args:
        observed: float64 (n_statistics,), large = against the null; NaN has no p.
        by_chance: float64 (n_statistics, n_relabelings). A NaN, a statistic that a relabeling leaves
            undefined, counts as reaching, so that p errs to the safe side.
        is_exact: the relabelings are all there are (see ``permutation_null.share_reached``).

    >>> own_p(np.array([3.0]), np.array([[1.0, 2.0, 3.0]]), is_exact=False).tolist()
    [0.5]
    """
    reached = ~(by_chance < _just_below(observed)[:, None])
    p = share_reached(reached.sum(axis=1), by_chance.shape[1], is_exact=is_exact)
    return np.where(np.isnan(observed), np.nan, p)


def family_p(observed: Float64, largest: Float64, *, is_exact: bool) -> Float64:
    """P of each statistic among all: the share of relabelings of which any statistic reaches it.

    Single-step maxT of Westfall & Young, "Resampling-Based Multiple Testing" (1993), section 2.3: where the
    null holds for all, any p is at most 0.05 in at most 5 % of samples.

    Args:
        observed: float64 (n_statistics,), all on one scale; NaN has no p.
        largest: float64 (n_relabelings,), the largest statistic of each; NaN counts as reaching.
        is_exact: the relabelings are all there are.

    >>> family_p(np.array([3.0, 9.0]), np.array([2.0, 3.0, 4.0]), is_exact=False).tolist()
    [0.75, 0.25]
    """
    ascending = np.sort(np.where(np.isnan(largest), np.inf, largest))
    below = np.searchsorted(ascending, _just_below(observed), side="left")
    p = share_reached(largest.size - below, largest.size, is_exact=is_exact)
    return np.where(np.isnan(observed), np.nan, p)


def _just_below(values: Float64) -> Float64:
    return values - _ROUNDING * np.maximum(np.abs(values), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FromChance:
    """Statistics on one scale: distances from their means by chance, in standard deviations.

    Attributes:
        mean, sd: float64 (n_statistics,), over relabelings and the observed labels together, so that under
            the null all of them are alike and p stays exact.
        observed: float64 (n_statistics,); 0 for a statistic that does not vary, NaN for one undefined.
        by_chance: float64 (n_statistics, n_relabelings), likewise.
    """

    mean: Float64
    sd: Float64
    observed: Float64
    by_chance: Float64

    @property
    def in_family(self) -> Bool:
        """Statistics that the observed labels and every relabeling define, bool (n_statistics,)."""
        return np.isfinite(self.by_chance).all(axis=1) & np.isfinite(self.observed)


def distances_from_chance(observed: Float64, by_chance: Float64, *, is_exact: bool) -> FromChance:
    """Statistics on one scale.

    Args:
        observed: float64 (n_statistics,).
        by_chance: float64 (n_statistics, n_relabelings).
        is_exact: the observed labels are among the relabelings.

    >>> distances_from_chance(np.array([3.0]), np.array([[1.0, 2.0]]), is_exact=False).mean.tolist()
    [2.0]
    """
    every = by_chance if is_exact else np.concatenate([by_chance, observed[:, None]], axis=1)
    known = np.isfinite(every)
    n = np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, every, 0.0).sum(axis=1) / n
    sd = np.sqrt((np.where(known, every - mean[:, None], 0.0) ** 2).sum(axis=1) / n)
    varies = sd > 1e-12 * np.maximum(np.abs(mean), 1.0)
    scale = np.where(varies, sd, np.inf)
    return FromChance(
        mean=mean,
        sd=np.where(varies, sd, 0.0),
        observed=(observed - mean) / scale,
        by_chance=(by_chance - mean[:, None]) / scale[:, None],
    )


def joint_p(found: FromChance, *, is_exact: bool, two_sided: bool) -> Float64:
    """P of each statistic among all that every relabeling defines (``family_p``); NaN for the others."""
    observed, by_chance = found.observed, found.by_chance
    if two_sided:
        observed, by_chance = np.abs(observed), np.abs(by_chance)
    p = np.full(observed.shape, np.nan)
    if (family := found.in_family).any():
        p[family] = family_p(observed[family], by_chance[family].max(axis=0), is_exact=is_exact)
    return p


def band(by_chance: Float64) -> tuple[Float64, Float64, Float64]:
    """Mean, 2.5 % and 97.5 % points over relabelings, float64 (n_statistics,); NaN where any is undefined."""
    low, high = np.quantile(by_chance, [0.025, 0.975], axis=1)
    return by_chance.mean(axis=1), low, high
