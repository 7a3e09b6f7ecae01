"""The exact null distribution of a cell's count, and p by itself: no relabeling needs to be drawn."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

from llm_mri_store.analysis.contrast_spec import Alternative
from llm_mri_store.analysis.permutation_design import Exchange
from llm_mri_store.analysis.permutation_moments import Moments, StratumCells, normal_scores
from llm_mri_store.analysis.permutation_null import directed

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

SMALLEST_P: Final = 1e-30
"""An exact p below this is given as this."""

_Distribution = tuple[int, Float64]
"""The lowest count, and the chances of the counts from there on."""

_NEGLIGIBLE: Final = 1e-40
_SHORT: Final = 200
_DEVIATIONS: Final = 12
_MARGIN: Final = 30


def exact_cell_p(
    exchange: Exchange,
    counted: StratumCells,
    moments: Moments,
    *,
    tested: Int64,
    alternative: Alternative = "two-sided",
) -> tuple[Float64, Float64]:
    """P of cells by themselves over all relabelings of single samples: what drawing ever more would come to.

    Of n samples of A among a stratum's N, m of which are in the cell, the number in the cell is
    hypergeometric; over strata it is the sum of independent ones (Agresti, "Categorical Data
    Analysis", 3rd ed. (2013)), whose probabilities are the convolution of theirs. p is the probability
    of all counts whose score (``normal_scores``) is as large as that of the count observed; two-sided, as
    large in size, so that it agrees with the permutation test's, and not those of smaller probability
    as Fisher's test takes them.

    Args:
        exchange: what is exchanged: single samples of two labels; label 0 is A.
        counted: the cells of one layer.
        moments: of its cells, (2, n_cells).
        tested: int64 (n_tested,), the cells wanted.
        alternative: which scores count as large.

    Returns:
        p, and the smallest p that the cell could have had with any labels, that of its least or its most
        samples of A: float64 (n_tested,) each, in [1e-30, 1].
    """
    samples = exchange.samples_of()
    # As observed, so that a stratum's margins are (N, n, m).
    margins = np.stack([samples.sum(axis=1)[counted.stratum], samples[counted.stratum, 0], counted.n], axis=1)
    log_factorials = special.gammaln(np.arange(int(margins[:, 0].max(initial=0)) + 1) + 1.0)

    @cache
    def one_stratum(total: int, members: int, inside: int) -> _Distribution:
        return _hypergeometric(total, members, inside, log_factorials)

    by_cell = np.argsort(counted.cell, kind="stable")
    cells = counted.cell[by_cell]
    p, least = np.ones((2, len(tested)))
    for place, cell in enumerate(tested.tolist()):
        rows = by_cell[slice(*np.searchsorted(cells, [cell, cell + 1]))]
        total, members, inside = margins[rows].T
        lowest, chances = _sum_distribution(margins[rows], one_stratum)
        mean = float((members * inside / total).sum())
        own = Moments(variance=moments.variance[:, [cell]], third=moments.third[:, [cell]])
        counts = np.append(lowest + np.arange(len(chances)), counted.n_label[0, rows].sum())
        scores = directed(normal_scores((counts - mean)[:, None], own, label=0)[:, 0], alternative)
        p[place], least[place] = (
            chances[scores[:-1] >= score - 1e-9 * max(1.0, abs(score))].sum()
            for score in (scores[-1], scores[:-1].max())
        )
    return np.clip(p, SMALLEST_P, 1.0), np.clip(least, SMALLEST_P, 1.0)


def _sum_distribution(margins: Int64, one_stratum: Callable[[int, int, int], _Distribution]) -> _Distribution:
    """Distribution of a sum of hypergeometric variables of these margins (N, n, m)."""
    different, times = np.unique(margins, axis=0, return_counts=True)
    parts = [
        _power(one_stratum(total, members, inside), n)
        for (total, members, inside), n in zip(different.tolist(), times.tolist(), strict=True)
    ]
    # The shortest first, so that long ones are folded once.
    return reduce(_fold, sorted(parts, key=lambda part: len(part[1])))


def _hypergeometric(total: int, members: int, inside: int, log_factorials: Float64) -> _Distribution:
    """Chances of k of ``members`` among ``inside`` of ``total``, where they are not negligible."""
    mean = members * inside / total
    variance = mean * (total - members) * (total - inside) / (total * max(total - 1, 1))
    reach = _DEVIATIONS * variance**0.5 + _MARGIN
    lowest = max(0, members + inside - total, int(mean - reach))
    highest = min(members, inside, int(mean + reach) + 1)
    k = np.arange(lowest, highest + 1)
    f = log_factorials
    ways = f[members] - f[k] - f[members - k] + f[total - members] - f[inside - k]
    ways -= f[total - members - inside + k]
    chances = np.exp(ways - ways.max())
    return lowest, chances / chances.sum()


def _fold(one: _Distribution, other: _Distribution) -> _Distribution:
    """Distribution of the sum of two independent counts, by sums of positive terms: no digit is lost."""
    chances = np.convolve(one[1], other[1])
    if len(chances) < _SHORT:
        return one[0] + other[0], chances
    kept = np.flatnonzero(chances > _NEGLIGIBLE)
    first, last = int(kept[0]), int(kept[-1])
    return one[0] + other[0] + first, chances[first : last + 1]


def _power(part: _Distribution, times: int) -> _Distribution:
    """Distribution of the sum of independent counts that are alike, by repeated doubling."""
    whole: _Distribution | None = None
    while times:
        if times % 2:
            whole = part if whole is None else _fold(whole, part)
        times //= 2
        part = _fold(part, part) if times else part
    return whole or (0, np.ones(1))
