"""The permutation test: maps of relabelled samples, and p by the largest value of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store.analysis.clusters import largest_masses
from llm_mri_store.analysis.clusters_tfce import enhance
from llm_mri_store.analysis.contrast_spec import Alternative
from llm_mri_store.analysis.permutation_design import Exchange
from llm_mri_store.analysis.permutation_draws import (
    Labels,
    all_relabelings,
    draw_relabelings,
    is_countable,
)
from llm_mri_store.records.jobs import Progress, ProgressCallback, no_progress

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_CELLS_AT_ONCE: Final = 1_000_000
_ROUNDING: Final = 1e-9
"""Difference up to which two values are the same: sums taken in another order differ in last bits."""

NULLS_SCHEMA: Final = pa.schema(
    [
        ("permutation", pa.int64()),
        ("max_score", pa.float64()),
        ("max_mass", pa.float64()),
        ("max_tfce", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NullDistribution:
    """What relabelled maps came to.

    Attributes:
        scores: float64 (n,), the largest value of each map.
        masses, enhanced: float64 (n,), the heaviest cluster's mass and the largest enhanced value; empty
            where clusters were not asked for.
        n_reached: int64 (n_cells,), relabelings in which a cell's value is as large as observed.
        is_exact: every relabeling was counted once, the observed one among them.
    """

    scores: Float64
    masses: Float64
    enhanced: Float64
    n_reached: Int64
    is_exact: bool

    @property
    def n(self) -> int:
        """Relabelings."""
        return len(self.scores)

    def cell_p(self) -> Float64:
        """P of each cell by itself, float64 (n_cells,), in (0, 1]."""
        return share_reached(self.n_reached, self.n, is_exact=self.is_exact)

    def family_p(self, observed: Float64, largest: Float64) -> Float64:
        """P of values among all cells of all layers: the share of relabelings whose largest is as large.

        Single-step maxT of Westfall & Young (1993), as Nichols & Holmes, "Nonparametric permutation tests for
        functional neuroimaging", Human Brain Mapping 15 (2002): the chance of one false finding anywhere is
        at most the level, however cells and layers depend on each other.

        Args:
            observed: float64 (n_values,).
            largest: float64 (n,), one of ``scores``, ``masses``, ``enhanced``.
        """
        below = np.searchsorted(np.sort(largest), _just_below(observed), side="left")
        return share_reached(len(largest) - below, len(largest), is_exact=self.is_exact)

    def table(self) -> pa.Table:
        """A row per relabeling: permutation (from 0), max_score, max_mass, max_tfce; NULL where not taken."""
        missing = np.full(self.n, np.nan)
        columns = [
            (values if values.size else missing) for values in (self.scores, self.masses, self.enhanced)
        ]
        return pa.table(
            [pa.array(np.arange(self.n)), *(pa.array(one, mask=np.isnan(one)) for one in columns)],
            schema=NULLS_SCHEMA,
        )


def share_reached(n_reached: npt.NDArray[np.integer], n: int, *, is_exact: bool) -> Float64:
    """P from a count: b / n of all relabelings, else (b + 1) / (n + 1) of n drawn, never 0.

    Phipson & Smyth, "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9 (2010).

    >>> share_reached(np.array([0, 99]), 999, is_exact=False).tolist()
    [0.001, 0.1]
    """
    return n_reached / n if is_exact else (n_reached + 1) / (n + 1)


def _just_below(values: Float64) -> Float64:
    return values - _ROUNDING * np.maximum(np.abs(values), 1.0)


def directed(values: Float64, alternative: Alternative) -> Float64:
    """Scores so that larger means further in the direction that is tested."""
    if alternative == "two-sided":
        return np.abs(values)
    return values if alternative == "greater" else -values


def one_sided(values: Float64, alternative: Alternative) -> Float64:
    """Scores, those in the direction that is not tested set to 0: they form no cluster."""
    if alternative == "two-sided":
        return values
    return np.maximum(values, 0.0) if alternative == "greater" else np.minimum(values, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterChoice:
    """How clusters are formed.

    Attributes:
        grid: cells per axis; a map is layers of grid**2 cells.
        threshold: see ``ContrastSpec.cluster_threshold``.
    """

    grid: int
    threshold: float


def permute_maps(
    exchange: Exchange,
    map_of: Callable[[Labels], Float64],
    observed: Float64,
    *,
    n_permutations: int,
    seed: int,
    alternative: Alternative = "two-sided",
    clusters: ClusterChoice | None = None,
    progress: ProgressCallback = no_progress,
) -> NullDistribution:
    """What relabelled maps come to: every layer and cell under the same relabeling.

    So the dependence between layers, and between cells, is that of the data. Relabelings are drawn, or all
    are counted where there are no more of them (see ``is_countable``). Memory does not grow with their
    number.

    Args:
        exchange: what is exchanged.
        map_of: gives the maps of relabelings (n, n_units) as float64 (n, n_cells); 0 for a cell that
            is not tested.
        observed: float64 (n_cells,), the map of the observed labels.
        n_permutations: relabelings to draw.
        seed: of the draws.
        alternative: which values count as large.
        clusters: how clusters are formed; None for no clusters.
        progress: told after each batch.
    """
    is_exact = is_countable(exchange, n_permutations)
    if is_exact:
        batches = all_relabelings(exchange)
    else:
        batches = draw_relabelings(exchange, n=n_permutations, seed=seed)
    target = _just_below(directed(observed, alternative))
    at_once = max(1, _CELLS_AT_ONCE // max(len(observed), 1))
    n_reached = np.zeros(len(observed), dtype=np.int64)
    scores: list[Float64] = []
    masses: list[Float64] = []
    enhanced: list[Float64] = []
    done = 0
    for batch in batches:
        for start in range(0, len(batch), at_once):
            maps = map_of(batch[start : start + at_once])
            values = directed(maps, alternative)
            n_reached += (values >= target).sum(axis=0)
            scores.append(values.max(axis=1))
            if clusters is not None:
                sided = one_sided(maps, alternative)
                grid = clusters.grid
                framed = sided.reshape(len(maps), -1, grid, grid)
                masses.append(largest_masses(framed, threshold=clusters.threshold))
                flat = enhance(sided.reshape(-1, grid * grid), grid=grid)
                enhanced.append(flat.reshape(len(maps), -1).max(axis=1))
            done += len(maps)
            progress(Progress(job="contrast", done=done, total=max(done, n_permutations)))
    nothing = [np.zeros(0)]
    return NullDistribution(
        scores=np.concatenate(scores),
        masses=np.concatenate(masses or nothing),
        enhanced=np.concatenate(enhanced or nothing),
        n_reached=n_reached,
        is_exact=is_exact,
    )
