"""How far two partitions of the same samples agree: mutual information beyond what chance gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import special

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_DEVIATIONS: Final = 9
_MARGIN: Final = 16
"""Standard deviations, and counts more, beyond which a count has a chance below 1e-15."""

_ENTRIES_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Partition:
    """A partition of samples.

    Attributes:
        part: int64 (n_samples,), the part of each, 0 .. n_parts - 1; none is empty.
        sizes: int64 (n_parts,).
    """

    part: Int64
    sizes: Int64

    @classmethod
    def of(cls, codes: npt.NDArray[np.integer]) -> Partition:
        """Samples with one code are one part."""
        _, part, sizes = np.unique(codes, return_inverse=True, return_counts=True)
        return cls(part=part.astype(np.int64), sizes=sizes.astype(np.int64))

    @property
    def entropy(self) -> float:
        """In nats, >= 0."""
        share = self.sizes / self.sizes.sum()
        return float(-(share * np.log(share)).sum())


class CellPairs:
    """Adjusted mutual information of each of some partitions with each of some others.

    Vinh, Epps & Bailey, "Information theoretic measures for clusterings comparison", JMLR 11 (2010): (I - E)
    / ((H_a + H_b) / 2 - E), where I is the mutual information of two partitions, H their entropies and E the
    mean of I over all ways to hand out samples to parts of these sizes. At most 1, the same partition; 0 = as
    by chance. It is scikit-learn's ``adjusted_mutual_info_score`` but where a partition has one part, or both
    have a part for each sample: nothing can be said of these, and it is NaN.

    Args:
        codes_a: int (n_partitions, n_samples); samples of one code are one part.
        codes_b: int (n_other_partitions, n_samples).

    >>> CellPairs(np.array([[0, 0, 1, 1]]), np.array([[7, 7, 3, 3], [1, 1, 1, 1]])).values().tolist()
    [[1.0, nan]]
    """

    def __init__(self, codes_a: npt.NDArray[np.integer], codes_b: npt.NDArray[np.integer]) -> None:
        self._a = [Partition.of(codes) for codes in codes_a]
        self._b = [Partition.of(codes) for codes in codes_b]
        self._n = codes_a.shape[1]
        self._n_log_n = special.xlogy(np.arange(self._n + 1.0), np.arange(self._n + 1.0))
        shape = (len(self._a), len(self._b))
        self._expected, self._room = np.zeros(shape), np.full(shape, np.nan)
        self._parts_b = np.stack([one.part for one in self._b])
        for place in np.ndindex(shape):
            a, b = self._a[place[0]], self._b[place[1]]
            if min(a.sizes.size, b.sizes.size) > 1:
                expected = expected_information(a.sizes, b.sizes)
                room = (a.entropy + b.entropy) / 2 - expected
                self._expected[place], self._room[place] = expected, room if room > 1e-12 else np.nan

    def values(self, order: Int64 | None = None) -> Float64:
        """Of every pair, float64 (n_partitions, n_other_partitions).

        Args:
            order: int64 (n_samples,), which sample of the others stands at each sample's place.
        """
        parts = self._parts_b if order is None else self._parts_b[:, order]
        found = np.full(self._room.shape, np.nan)
        own_b = [float(self._n_log_n[one.sizes].sum()) for one in self._b]
        for row, a in enumerate(self._a):
            own_a = float(self._n_log_n[a.sizes].sum())
            for column, b in enumerate(self._b):
                if np.isnan(self._room[row, column]):
                    continue
                joint = np.bincount(a.part * b.sizes.size + parts[column])
                both = float(self._n_log_n[joint].sum()) - own_a - own_b[column]
                information = (both + float(self._n_log_n[self._n])) / self._n
                adjusted = (information - self._expected[row, column]) / self._room[row, column]
                found[row, column] = min(adjusted, 1.0)
        return found


def expected_information(sizes_a: Int64, sizes_b: Int64) -> float:
    """Mean mutual information, in nats, over all ways to hand out samples to parts of given sizes.

    Each count of a pair of parts is hypergeometric (Vinh et al. 2010, eq. 24a); counts so rare that they
    weigh less than rounding are left out.

    Args:
        sizes_a: int64 (n_parts,), > 0.
        sizes_b: int64 (n_other_parts,), > 0, of the same sum.

    >>> round(expected_information(np.array([1, 1]), np.array([1, 1])), 6)
    0.693147
    """
    n = int(sizes_a.sum())
    logs = special.gammaln(np.arange(n + 1) + 1.0)
    (a, times_a), (b, times_b) = (np.unique(sizes, return_counts=True) for sizes in (sizes_a, sizes_b))
    reach = _DEVIATIONS * np.sqrt(a.max() * b.max() / n) + _MARGIN
    at_once = max(1, int(_ENTRIES_AT_ONCE / (b.size * (2 * reach + 1))))
    total = 0.0
    for start in range(0, a.size, at_once):
        some = slice(start, start + at_once)
        total += _expected_part(
            np.repeat(a[some], b.size),
            np.tile(b, a[some].size),
            logs,
            times=np.outer(times_a[some], times_b).ravel(),
        )
    return total


def _expected_part(a: Int64, b: Int64, logs: Float64, *, times: Int64) -> float:
    """Sum over pairs of sizes, each ``times`` times, of the mean of n / N log(N n / (a b))."""
    total = logs.size - 1
    mean = a * b / total
    reach = _DEVIATIONS * np.sqrt(mean) + _MARGIN
    least = np.maximum(np.maximum(1, a + b - total), np.floor(mean - reach)).astype(np.int64)
    most = np.minimum(np.minimum(a, b), np.ceil(mean + reach)).astype(np.int64)
    lengths = np.maximum(most - least + 1, 0)
    start = np.cumsum(lengths) - lengths
    pair = np.repeat(np.arange(a.size), lengths)
    count = np.arange(pair.size) - start[pair] + least[pair]
    apart = logs[a] + logs[b] + logs[total - a] + logs[total - b] - logs[total]
    chance = np.exp(
        apart[pair]
        - logs[count]
        - logs[a[pair] - count]
        - logs[b[pair] - count]
        - logs[total - a[pair] - b[pair] + count]
    )
    bits = count / total * (np.log(count) + np.log(total / (a * b.astype(np.float64)))[pair])
    return float((times[pair] * chance * bits).sum())
