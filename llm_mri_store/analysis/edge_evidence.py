"""How strongly an edge's weight speaks against chance, for observed and for relabelled samples alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats

from llm_mri_store.analysis.hypergeometric import ExactCounts, exact_counts
from llm_mri_store.analysis.permutation_design import Exchange
from llm_mri_store.analysis.permutation_moments import Moments, count_strata, normal_scores, null_moments
from llm_mri_store.analysis.step_edges import weigh

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


class Evidence(Protocol):
    """Evidence on one scale for all edges: about a standard normal deviate where chance alone is at work."""

    @property
    def expected(self) -> Float64:
        """Samples of the first label on each edge by chance, float64 (n_edges,)."""

    @property
    def sd(self) -> Float64:
        """Their standard deviation over all relabelings, float64 (n_edges,)."""

    def of(self, weights: Int32, is_first: Bool) -> Float64:
        """Evidence, float64 (n_edges, n_columns), > 0 where the first label has more than by chance.

        Args:
            weights: int32 (n_edges, n_columns), samples of the first label on each edge.
            is_first: bool (n_samples, n_columns), which samples have it.
        """

    def smallest_p(self) -> Float64:
        """The smallest p an edge can have, however its samples' labels fall, float64 (n_edges,)."""

    def own_p(self, weights: Int32) -> Float64 | None:
        """Exact p of weights (n_edges,), each edge by itself; None where p must be counted."""

    def rows(self, kept: Bool) -> Self:
        """The same of some edges, bool (n_edges,)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExactEvidence:
    """An edge's exact two-sided p as the normal deviate that has it, with the sign of the difference.

    Attributes:
        counts: null distributions of the edges' weights, less what is fixed.
        deviates: float64 (n_entries,), evidence of every value of ``counts``.
        fixed: int64 (n_edges,), samples of the first label that nothing can be exchanged with.
    """

    counts: ExactCounts
    deviates: Float64
    fixed: Int64

    @property
    def expected(self) -> Float64:
        """See ``Evidence``."""
        return self.counts.mean + self.fixed

    @property
    def sd(self) -> Float64:
        """See ``Evidence``."""
        sd: Float64 = np.sqrt(self.counts.variance)
        return sd

    def of(self, weights: Int32, is_first: Bool) -> Float64:
        """See ``Evidence``."""
        deviates: Float64 = self.deviates[self.counts.entries(weights - self.fixed[:, None])]
        return deviates

    def smallest_p(self) -> Float64:
        """See ``Evidence``."""
        return self.counts.smallest_p()

    def own_p(self, weights: Int32) -> Float64 | None:
        """See ``Evidence``."""
        return self.counts.p_of(weights - self.fixed)

    def rows(self, kept: Bool) -> ExactEvidence:
        """See ``Evidence``."""
        return replace(self, counts=self.counts.rows(kept), fixed=self.fixed[kept])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredEvidence:
    """The score of ``permutation_moments.normal_scores``: for labels that move in groups.

    Attributes:
        moments: of each edge's weight over all relabelings.
        shares: float64 (n_edges, n_strata), share of a stratum's samples that take the edge.
        stratum: sparse (n_strata, n_samples), which samples are in which stratum.
        expected: see ``Evidence``; for as many samples of the first label as were observed.
        fixed: int64 (n_edges,), samples of the first label that nothing can be exchanged with.
    """

    moments: Moments
    shares: Float64
    stratum: sparse.csr_array[Any]
    expected: Float64
    fixed: Int64

    @property
    def sd(self) -> Float64:
        """See ``Evidence``."""
        sd: Float64 = np.sqrt(self.moments.variance[0])
        return sd

    def of(self, weights: Int32, is_first: Bool) -> Float64:
        """See ``Evidence``."""
        by_chance = self.shares @ weigh(self.stratum, is_first) + self.fixed[:, None]
        return normal_scores((weights - by_chance).T, self.moments, label=0).T

    def smallest_p(self) -> Float64:
        """0 for an edge whose weight can vary, as no more is known of groups; 1 for any other."""
        return np.where(self.moments.variance[0] > 0, 0.0, 1.0)

    def own_p(self, weights: Int32) -> Float64 | None:
        """See ``Evidence``."""
        return None

    def rows(self, kept: Bool) -> ScoredEvidence:
        """See ``Evidence``."""
        moments = Moments(variance=self.moments.variance[:, kept], third=self.moments.third[:, kept])
        return replace(
            self,
            moments=moments,
            shares=self.shares[kept],
            expected=self.expected[kept],
            fixed=self.fixed[kept],
        )


def gather_evidence(exchange: Exchange, edge: Int64, *, is_first: Bool, n_edges: int) -> Evidence:
    """What is the same for every relabeling, of the edges of one pair of layers.

    Args:
        exchange: what is exchanged; label 0 is the first.
        edge: int64 (n_samples,), the edge that each sample takes, in 0 .. n_edges - 1.
        is_first: bool (n_samples,), which samples have the first label.
        n_edges: edges of the pair of layers.
    """
    counted = count_strata(exchange, edge[exchange.samples], n_cells=n_edges)
    samples = exchange.samples_of()
    in_stratum = samples.sum(axis=1)
    marked = np.zeros((n_edges, exchange.n_strata), dtype=np.int64)
    marked[counted.cell, counted.stratum] = counted.n
    is_fixed = is_first.copy()
    is_fixed[exchange.samples] = False
    fixed = np.bincount(edge[is_fixed], minlength=n_edges).astype(np.int64)
    if exchange.of_samples:
        counts = exact_counts(
            np.broadcast_to(in_stratum, marked.shape), marked, np.broadcast_to(samples[:, 0], marked.shape)
        )
        deviates = np.copysign(stats.norm.isf(counts.p / 2), counts.score)
        return ExactEvidence(counts=counts, deviates=deviates, fixed=fixed)
    shares = marked / in_stratum
    ones = np.ones(exchange.samples.size, dtype=np.int32)
    return ScoredEvidence(
        moments=null_moments(exchange, counted, n_cells=n_edges),
        shares=shares,
        stratum=sparse.csr_array(
            (ones, (exchange.sample_strata, exchange.samples)), shape=(exchange.n_strata, edge.size)
        ),
        expected=shares @ samples[:, 0] + fixed,
        fixed=fixed,
    )
