"""What a permutation test exchanges: single samples or whole groups, within strata."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt
from scipy import special

Bool = npt.NDArray[np.bool_]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exchange:
    """Units whose labels are exchangeable within their stratum under the null hypothesis.

    A unit is a sample, or a whole group of samples that have one label. Strata in which all units
    have one label are left out: nothing can be exchanged there.

    Attributes:
        samples: int64 (n_kept,), positions of the samples that take part, unit by unit.
        unit_sizes: int64 (n_units,), samples of each unit.
        unit_labels: int64 (n_units,), codes from 0.
        unit_strata: int64 (n_units,), ascending from 0 without a gap.
        n_labels: labels there are.
        n_whole_groups: groups exchanged as a whole.
        n_split_groups: groups whose samples are exchanged among each other.
        n_strata_left_out, n_samples_left_out: what takes no part, for want of a second label.
    """

    samples: Int64
    unit_sizes: Int64
    unit_labels: Int64
    unit_strata: Int64
    n_labels: int
    n_whole_groups: int
    n_split_groups: int
    n_strata_left_out: int
    n_samples_left_out: int

    @property
    def n_units(self) -> int:
        """Units that take part."""
        return len(self.unit_sizes)

    @property
    def n_strata(self) -> int:
        """Strata that take part."""
        return int(self.unit_strata[-1]) + 1 if self.n_units else 0

    @property
    def of_samples(self) -> bool:
        """True when every unit is one sample."""
        return bool((self.unit_sizes == 1).all())

    @property
    def starts(self) -> Int64:
        """First unit of each stratum, then the number of units: int64 (n_strata + 1,)."""
        return np.searchsorted(self.unit_strata, np.arange(self.n_strata + 1)).astype(np.int64)

    @property
    def sample_strata(self) -> Int64:
        """Stratum of each sample that takes part, int64 (n_kept,)."""
        return np.repeat(self.unit_strata, self.unit_sizes)

    def units_of(self) -> Int64:
        """Units of each stratum and label, int64 (n_strata, n_labels)."""
        return self._counts(None)

    def samples_of(self) -> Int64:
        """Samples of each stratum and label, int64 (n_strata, n_labels)."""
        return self._counts(self.unit_sizes)

    def _counts(self, weights: Int64 | None) -> Int64:
        keys = self.unit_strata * self.n_labels + self.unit_labels
        counts = np.bincount(keys, weights=weights, minlength=self.n_strata * self.n_labels)
        return np.rint(counts).astype(np.int64).reshape(-1, self.n_labels)


def whole_groups(labels: Int64, groups: Int64) -> Int64:
    """The group of each sample whose group has one label, else -1.

    Args:
        labels: int64 (n_samples,).
        groups: int64 (n_samples,), from 0.

    >>> whole_groups(np.array([0, 0, 1, 0]), np.array([0, 0, 1, 1])).tolist()
    [0, 0, -1, -1]
    """
    n_groups = int(groups.max(initial=-1)) + 1
    least, most = np.full(n_groups, np.iinfo(np.int64).max), np.full(n_groups, -1)
    np.minimum.at(least, groups, labels)
    np.maximum.at(most, groups, labels)
    return np.where((least == most)[groups], groups, -1)


def plan_exchange(labels: Int64, *, strata: Int64, n_labels: int, groups: Int64 | None = None) -> Exchange:
    """What is exchanged with what.

    Without groups every sample is a unit, and labels are permuted among the samples of a stratum. That is
    right when samples are independent of each other. With groups:

    * A group that has several labels is a stratum of its own: its samples' labels are permuted among
      them, so that what the group has in common falls out. The null hypothesis: within a group, which
      sample has which label tells nothing of its cell.
    * A group that has one label is one unit: it keeps its samples, and labels are permuted among such
      groups of the stratum, so that as many groups as before have each label, though not as many
      samples. The null hypothesis: groups, their sizes included, do not depend on the label.

    This is whole-block and within-block exchangeability (Winkler et al., "Multi-level block permutation",
    NeuroImage 123 (2015)); there, blocks that are swapped have equal sizes, because whole vectors of labels
    are swapped, and here a whole group has one label only.

    Args:
        labels: int64 (n_samples,), codes in 0 .. n_labels - 1.
        strata: int64 (n_samples,), from 0; the same all over a group that has one label.
        n_labels: labels there are.
        groups: int64 (n_samples,), from 0; None where every sample stands for itself.

    Returns:
        The design; without units where nothing can be exchanged.

    >>> design = plan_exchange(np.array([0, 1, 0, 1, 1]), strata=np.array([0, 0, 0, 1, 1]), n_labels=2)
    >>> design.samples.tolist(), design.n_samples_left_out
    ([0, 1, 2], 2)
    """
    n_samples = len(labels)
    if groups is None:
        whole, shared = np.full(n_samples, -1), np.zeros(n_samples, dtype=np.int64)
    else:
        whole = whole_groups(labels, groups)
        # Groups of several labels are strata of their own, numbered from 1; the others share stratum 0.
        shared = np.where(whole < 0, groups + 1, 0)
    n_shared = int(shared.max(initial=0)) + 1
    _, own_strata = np.unique(strata * n_shared + shared, return_inverse=True)
    kept = _has_two_labels(own_strata, labels)[own_strata]
    n_strata = int(own_strata.max(initial=-1)) + 1
    # Whole groups are numbered below, single samples above them: both stand for a unit.
    unit = np.where(whole >= 0, whole, n_samples + np.arange(n_samples))
    samples = np.flatnonzero(kept)
    samples = samples[np.lexsort((samples, unit[samples], own_strata[samples]))]
    is_first = np.ones(len(samples), dtype=np.bool_)
    is_first[1:] = (np.diff(unit[samples]) != 0) | (np.diff(own_strata[samples]) != 0)
    first = np.flatnonzero(is_first)
    leaders = samples[first]
    _, unit_strata = np.unique(own_strata[leaders], return_inverse=True)
    n_whole = int((whole[leaders] >= 0).sum()) if groups is not None else 0
    split = groups[samples[whole[samples] < 0]] if groups is not None else np.zeros(0, dtype=np.int64)
    return Exchange(
        samples=samples.astype(np.int64),
        unit_sizes=np.diff(np.append(first, len(samples))).astype(np.int64),
        unit_labels=labels[leaders].astype(np.int64),
        unit_strata=unit_strata.astype(np.int64),
        n_labels=n_labels,
        n_whole_groups=n_whole,
        n_split_groups=len(np.unique(split)),
        n_strata_left_out=n_strata - len(np.unique(unit_strata)),
        n_samples_left_out=n_samples - len(samples),
    )


def _has_two_labels(strata: Int64, labels: Int64) -> Bool:
    """Which strata hold samples of at least two labels, bool (n_strata,)."""
    n_strata = int(strata.max(initial=-1)) + 1
    least, most = np.full(n_strata, np.iinfo(np.int64).max), np.full(n_strata, -1)
    np.minimum.at(least, strata, labels)
    np.maximum.at(most, strata, labels)
    return least < most


def count_relabelings(exchange: Exchange) -> int | None:
    """Different ways to hand the labels out again, the one that was observed among them.

    Returns:
        The product over strata of n! / (n_1! n_2! ...); None beyond 10**15.

    >>> count_relabelings(plan_exchange(np.array([0, 0, 1, 1]), strata=np.zeros(4, dtype=int), n_labels=2))
    6
    """
    units = exchange.units_of()
    logs = special.gammaln(units.sum(axis=1) + 1.0) - special.gammaln(units + 1.0).sum(axis=1)
    if logs.sum() > math.log(1e15):
        return None
    ways = 1
    for row in units.tolist():
        left = sum(row)
        for n in row:
            ways *= math.comb(left, n)
            left -= n
    return ways


def smallest_p(exchange: Exchange, *, n_permutations: int, two_sided: bool) -> float:
    """The smallest p that can be had, in (0, 1].

    1 / (n_permutations + 1), or, where there are fewer relabelings, the share of one of them and those that
    mirror it: with as many units of one label as of another in every stratum, swapping the two gives the
    same two-sided statistic.

    >>> design = plan_exchange(np.array([0, 0, 1, 1]), strata=np.zeros(4, dtype=int), n_labels=2)
    >>> round(smallest_p(design, n_permutations=999, two_sided=True), 3)
    0.333
    """
    least = 1 / (n_permutations + 1)
    ways = count_relabelings(exchange)
    if ways is None:
        return least
    columns = sorted(map(tuple, exchange.units_of().T.tolist()))
    mirrored = math.prod(math.factorial(len(list(same))) for _, same in groupby(columns)) if two_sided else 1
    return max(least, min(1.0, mirrored / ways))
