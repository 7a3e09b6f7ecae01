"""Evidence of edges under the labels observed, and under labels handed out again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats

from llm_mri_store.analysis.contrast_plan import Plan
from llm_mri_store.analysis.contrast_spec import ALPHA, ContrastSpec
from llm_mri_store.analysis.edge_evidence import Evidence, gather_evidence
from llm_mri_store.analysis.hypergeometric import can_pass
from llm_mri_store.analysis.permutation_design import Exchange, plan_exchange
from llm_mri_store.analysis.relabelings import Relabelings, spawned_seeds
from llm_mri_store.analysis.step_edges import StepEdges, weigh
from llm_mri_store.errors import InvalidInput

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

Given = Literal["nothing", "source"]
GIVEN: Final[tuple[Given, ...]] = ("nothing", "source")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _StepNull:
    """The null of the edges between two layers.

    Attributes:
        relabelings: of all samples; None where those of all pairs of layers hold.
        evidence: of the counted edges.
        incidence: sparse (n_counted, n_samples).
    """

    relabelings: Relabelings | None
    evidence: Evidence
    incidence: sparse.csr_array[Any]

    def of(self, is_first: Bool) -> Float64:
        """Evidence of samples of which some have the first label, bool (n_samples, n_columns)."""
        return self.evidence.of(weigh(self.incidence, is_first), is_first)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeNull:
    """The edges of samples of two labels, and what speaks against chance; label 0 is the first.

    Attributes:
        expected, sd: float64 (n_edges,), the first label's weight by chance and its standard deviation; NaN
            where nothing can be exchanged, as in what follows.
        score: float64 (n_edges,), evidence of the observed labels.
        p: float64 (n_edges,), exact p of each edge by itself; NaN also where it must be counted.
        is_counted: bool (n_edges,), edges that relabelings are counted of: that can be tested, or pass the
            threshold of components.
        is_tested: bool (n_edges,), the family: those of them that could pass a correction for its size.
        relabelings: of all samples, by which all pairs of layers are relabelled together; where pairs of
            layers are relabelled by themselves, how often.
        steps: the counted edges, a pair of layers at a time.
    """

    expected: Float64
    sd: Float64
    score: Float64
    p: Float64
    is_counted: Bool
    is_tested: Bool
    relabelings: Relabelings
    steps: tuple[_StepNull, ...]

    def blocks(self) -> Iterator[Float64]:
        """Evidence of relabelled samples, float64 (n_counted, n_columns), some relabelings at a time."""
        if not self.steps:
            return
        n_rows = int(self.is_counted.sum())
        own = [step.relabelings.columns(n_rows=n_rows) for step in self.steps if step.relabelings]
        drawn = zip(*own, strict=True) if own else ([one] for one in self.relabelings.columns(n_rows=n_rows))
        for together in drawn:
            labels = together if own else [*together] * len(self.steps)
            yield np.concatenate([step.of(one == 0) for step, one in zip(self.steps, labels, strict=True)])


def edge_null(edges: StepEdges, labels: Int64, plan: Plan, *, given: Given, spec: ContrastSpec) -> EdgeNull:
    """The null of every edge.

    Given nothing, labels are exchanged among all samples (of a stratum), by one relabeling for all layers.
    Given the source, they are exchanged among the samples of one cell, at each pair of layers anew.

    Args:
        edges: the edges of the samples.
        labels: int64 (n_samples,), 0 for the first label and 1 for the second.
        plan: of the test of these labels.
        given: what is given.
        spec: every choice.

    Raises:
        InvalidInput: the source is given, and groups move as a whole.
    """
    if given == "source" and plan.exchange.n_whole_groups:
        raise InvalidInput(
            f"{spec.groups!r} has groups that have one label and move as a whole, through many cells; given "
            "the source, samples of one cell are exchanged: leave out groups"
        )
    numbers = {name: np.full(edges.n_edges, np.nan) for name in ("expected", "sd", "score", "p")}
    least, is_counted = np.ones(edges.n_edges), np.zeros(edges.n_edges, dtype=np.bool_)
    passable = max(ALPHA, 2 * float(stats.norm.sf(spec.cluster_threshold)))
    is_first = labels == 0
    weights = weigh(edges.incidence, np.stack([is_first, np.ones_like(is_first)], axis=1))
    relabelings = Relabelings(
        exchange=plan.exchange,
        labels=labels,
        n_permutations=spec.n_permutations,
        seed=spec.seed,
        may_count=given == "nothing",
    )
    seeds = spawned_seeds(spec.seed, len(edges.layers))
    steps: list[_StepNull] = []
    for place in np.unique(edges.place).tolist():
        rows, edge = edges.taken(place)
        exchange = plan.exchange if given == "nothing" else _within(edges.from_cell[rows][edge], labels, plan)
        if not exchange.n_units:
            continue
        evidence = gather_evidence(exchange, edge, is_first=is_first, n_edges=rows.size)
        own = weights[rows, 0]
        numbers["expected"][rows], numbers["sd"][rows] = evidence.expected, evidence.sd
        numbers["score"][rows] = evidence.of(own[:, None], is_first[:, None])[:, 0]
        if (exact := evidence.own_p(own)) is not None:
            numbers["p"][rows] = exact
        least[rows] = evidence.smallest_p()
        counted = (weights[rows, 1] >= spec.min_samples) & (least[rows] <= passable)
        is_counted[rows] = counted
        if counted.any():
            alone = None if given == "nothing" else replace(relabelings, exchange=exchange, seed=seeds[place])
            steps.append(
                _StepNull(
                    relabelings=alone,
                    evidence=evidence.rows(counted),
                    incidence=edges.incidence[rows[counted]],
                )
            )
    is_tested = is_counted.copy()
    is_tested[is_counted] = can_pass(least[is_counted])
    return EdgeNull(
        **numbers, is_counted=is_counted, is_tested=is_tested, relabelings=relabelings, steps=tuple(steps)
    )


def _within(cell: Int64, labels: Int64, plan: Plan) -> Exchange:
    """The exchange among samples of one cell."""
    strata = np.unique(plan.strata.codes * (int(cell.max(initial=0)) + 1) + cell, return_inverse=True)[1]
    return plan_exchange(labels, strata=strata.astype(np.int64), n_labels=2, groups=plan.groups)
