"""Exact p of every value that a count of relabelled samples can have, alone or summed over strata."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from llm_mri_store.analysis.contrast_spec import ALPHA
from llm_mri_store.analysis.permutation_exact import SMALLEST_P
from llm_mri_store.analysis.permutation_moments import Moments, normal_scores

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_Stratum = tuple[int, int, int]
"""Samples, those of them that count towards the edge, and those that have the label."""

_ROUNDING: Final = 1e-9
_DEVIATIONS: Final = 12
_MARGIN: Final = 30
"""Standard deviations, and counts more, beyond which lies a chance below 1e-30."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExactCounts:
    """The null distributions of some counts.

    Attributes:
        mean, variance: float64 (n_counts,).
        lowest, highest: int64 (n_counts,), the least and the most a count can be but for a chance below
            1e-30.
        start: int64 (n_counts,), entry of the value 0, were it in range; see ``entries``.
        p: float64 (n_entries,), two-sided p of every value, in [1e-30, 1].
        score: float64 (n_entries,), score of every value, > 0 above the mean.
    """

    mean: Float64
    variance: Float64
    lowest: Int64
    highest: Int64
    start: Int64
    p: Float64
    score: Float64

    def rows(self, kept: npt.NDArray[np.bool_]) -> ExactCounts:
        """The same of some counts, bool (n_counts,)."""
        names = ("mean", "variance", "lowest", "highest", "start")
        return replace(self, **{name: getattr(self, name)[kept] for name in names})

    def entries(self, counts: npt.NDArray[np.integer]) -> Int64:
        """Where in ``p`` and ``score`` what belongs to counts stands, int64 (n_counts, ...) like them."""
        by_row = (slice(None), *(None,) * (counts.ndim - 1))
        inside: Int64 = np.clip(counts, self.lowest[by_row], self.highest[by_row])
        return inside + self.start[by_row]

    def p_of(self, counts: npt.NDArray[np.integer]) -> Float64:
        """P of observed counts, float64 (n_counts,)."""
        return self.p[self.entries(counts)]

    def z_of(self, counts: npt.NDArray[np.integer]) -> Float64:
        """(count - mean) / standard deviation, float64 (n_counts,); 0 for a count that cannot vary."""
        sd = np.sqrt(self.variance)
        return np.divide(counts - self.mean, sd, out=np.zeros_like(sd), where=sd > 0)

    def smallest_p(self) -> Float64:
        """The smallest p that each count can have, that of its least or its most, float64 (n_counts,)."""
        return np.minimum(self.p_of(self.lowest), self.p_of(self.highest))


def can_pass(smallest_p: Float64) -> npt.NDArray[np.bool_]:
    """Which of some tests could pass a correction for their number, whatever is observed.

    Of n tests those alone count whose smallest possible p is at most 0.05 / k, with k the least number that
    no more than k of them satisfy (Tarone, "A modified Bonferroni method for discrete data", Biometrics 46
    (1990)). The others would only weigh on the family: a count of three cannot have a p of 0.001. As what a p
    can be at its smallest does not depend on the labels, leaving tests out by it is no peeking (Gilbert,
    "A modified false discovery rate multiple-comparisons procedure for discrete data", J. R. Stat. Soc. C
    54 (2005), does so before Benjamini & Hochberg's method).

    Args:
        smallest_p: float64 (n_tests,), in [0, 1].

    >>> can_pass(np.array([0.001, 0.04, 0.3])).tolist()
    [True, False, False]
    """
    ascending = np.sort(smallest_p)
    # The number that satisfy falls as k grows.
    k = 1
    while np.searchsorted(ascending, ALPHA / k, side="right") > k:
        k += 1
    passes: npt.NDArray[np.bool_] = smallest_p <= ALPHA / k
    return passes


def exact_counts(totals: Int64, marked: Int64, drawn: Int64) -> ExactCounts:
    """Null distributions of counts that are sums, over strata, of hypergeometric ones.

    In each stratum ``drawn`` of ``totals`` samples have a label and ``marked`` of them take an edge; which of
    them, is chance. The number that does both is hypergeometric, and the sum over strata is distributed as
    the convolution (Agresti, "Categorical Data Analysis", 3rd ed. (2013), 3.5 and 7.3.5). p is the
    probability of all values whose score is as large in size, as in ``permutation_exact.exact_cell_p``,
    which gives it for the observed value alone; here every value has its p, so that relabelled edges have
    theirs too.

    Args:
        totals: int64 (n_counts, n_strata), samples.
        marked: int64 (n_counts, n_strata), those that take the edge.
        drawn: int64 (n_counts, n_strata), those that have the label.

    >>> counts = exact_counts(np.array([[4]]), np.array([[2]]), np.array([[2]]))
    >>> counts.p.round(6).tolist()
    [0.333333, 1.0, 0.333333]
    """
    place: dict[tuple[_Stratum, ...], int] = {}
    which = np.zeros(len(totals), dtype=np.int64)
    for index, rows in enumerate(np.stack([totals, marked, drawn], axis=2).tolist()):
        # What cannot vary adds a constant alone.
        strata = tuple(sorted(tuple(row) for row in rows if row[1]))
        which[index] = place.setdefault(strata, len(place))
    parts = [_one_count(strata) for strata in place]
    sizes = np.array([part.p.size for part in parts], dtype=np.int64)
    first = np.cumsum(sizes) - sizes
    lowest = np.array([part.lowest for part in parts], dtype=np.int64)
    return ExactCounts(
        mean=np.array([part.mean for part in parts])[which],
        variance=np.array([part.variance for part in parts])[which],
        lowest=lowest[which],
        highest=(lowest + sizes - 1)[which],
        start=(first - lowest)[which],
        p=np.concatenate([np.zeros(0), *(part.p for part in parts)]),
        score=np.concatenate([np.zeros(0), *(part.score for part in parts)]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _OneCount:
    mean: float
    variance: float
    lowest: int
    p: Float64
    score: Float64


def _one_count(strata: tuple[_Stratum, ...]) -> _OneCount:
    chances = np.ones(1)
    mean, variance, third, lowest = 0.0, 0.0, 0.0, 0
    for total, marked, drawn in strata:
        share = drawn / total
        spread = marked * (1 - marked / total) * share * (1 - share) * total / max(total - 1, 1)
        reach = _DEVIATIONS * spread**0.5 + _MARGIN
        least = max(0, marked + drawn - total, int(marked * share - reach))
        own = _hypergeometric(
            total, marked, drawn, np.arange(least, min(marked, drawn, int(marked * share + reach) + 1) + 1)
        )
        chances = np.convolve(chances, own) if own.size > 1 else chances
        lowest += least
        mean, variance = mean + marked * share, variance + spread
        third += spread * (1 - 2 * marked / total) * (1 - 2 * share) * total / max(total - 2, 1)
    moments = Moments(variance=np.array([[variance]]), third=np.array([[third]]))
    deviations = (lowest + np.arange(chances.size) - mean).astype(np.float64)
    score = normal_scores(deviations[:, None], moments, label=0)[:, 0]
    size = np.abs(score)
    farthest_first = np.argsort(-size, kind="stable")
    as_far = np.searchsorted(-size[farthest_first], -(size - _ROUNDING * np.maximum(size, 1.0)), side="right")
    p = np.cumsum(chances[farthest_first])[as_far - 1]
    return _OneCount(mean=mean, variance=variance, lowest=lowest, p=np.clip(p, SMALLEST_P, 1.0), score=score)


def _hypergeometric(total: int, marked: int, drawn: int, counts: Int64) -> Float64:
    """Probability of each of the possible counts that are not negligible."""
    logs = -special.gammaln(
        np.stack([counts, marked - counts, drawn - counts, total - marked - drawn + counts]) + 1.0
    ).sum(axis=0)
    chances = np.exp(logs - logs.max())
    normed: Float64 = chances / chances.sum()
    return normed
