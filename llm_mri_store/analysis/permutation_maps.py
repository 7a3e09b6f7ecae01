"""Maps of scores of any relabeling: counting with bincount on integer codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.permutation_design import Exchange
from llm_mri_store.analysis.permutation_draws import Labels
from llm_mri_store.analysis.permutation_moments import (
    Moments,
    StratumCells,
    count_strata,
    expected_counts,
    normal_scores,
    null_moments,
    standardised,
)

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MapMaker:
    """What is needed to turn labels into a map, layers behind each other: n_cells = n_layers * grid**2.

    Attributes:
        exchange: what is exchanged.
        codes: int64 (n_kept, n_layers), the cell of each sample of ``exchange.samples`` in the map.
        totals: int64 (n_cells,), samples that take part in each cell.
        layers: per layer its strata's cells.
        moments: of every label and cell.
        is_tested: bool (n_cells,), cells whose content depends on the labels.
        expected: float64 (n_labels, n_cells), what strata hold in which every relabeling has as many
            samples of a label.
        shares: float64 (n_uneven, n_cells), share of the samples of every other stratum that are in a cell.
        uneven: int64 (n_uneven,), those strata: whole groups differ in size there.
    """

    exchange: Exchange
    codes: Int64
    totals: Int64
    layers: tuple[StratumCells, ...]
    moments: Moments
    is_tested: Bool
    expected: Float64
    shares: Float64
    uneven: Int64

    def scores(self, labels: Labels | Int64, *, label: int = 0) -> Float64:
        """Maps of a label's scores, float64 (n, n_cells), of the labels of units (n, n_units)."""
        return normal_scores(self.deviations(labels, label=label), self.moments, label=label)

    def standardised(self, labels: Labels | Int64, *, label: int = 0) -> Float64:
        """Maps of a label's z, float64 (n, n_cells)."""
        return standardised(self.deviations(labels, label=label), self.moments, label=label)

    def deviations(self, labels: Labels | Int64, *, label: int) -> Float64:
        """Samples of a label in each cell less those expected, float64 (n, n_cells); 0 where not tested."""
        has_label = labels == label
        counts = np.stack([self._count(row) for row in has_label]) - self.expected[label]
        if len(self.uneven):
            starts = self.exchange.starts[:-1]
            sizes = np.add.reduceat(has_label * self.exchange.unit_sizes, starts, axis=1)
            counts -= sizes[:, self.uneven] @ self.shares
        counts[:, ~self.is_tested] = 0.0
        return np.asarray(counts, np.float64)

    def _count(self, has_label: Bool) -> Int64:
        """Samples of the chosen units in each cell."""
        of_sample = np.repeat(has_label, self.exchange.unit_sizes) if self._has_groups else has_label
        chosen = np.flatnonzero(of_sample)
        if 2 * len(chosen) <= len(self.codes):
            return np.bincount(self.codes.take(chosen, axis=0).ravel(), minlength=len(self.totals))
        others = self.codes.take(np.flatnonzero(~of_sample), axis=0)
        return self.totals - np.bincount(others.ravel(), minlength=len(self.totals))

    @property
    def _has_groups(self) -> bool:
        return len(self.exchange.samples) > self.exchange.n_units


def make_maps(
    exchange: Exchange, codes: npt.NDArray[np.integer], *, grid: int, min_samples: int = 1
) -> MapMaker:
    """Counts what is the same for every relabeling.

    Args:
        exchange: what is exchanged.
        codes: integers (n_layers, n_samples), cells in 0 .. grid**2 - 1, of the samples that
            ``exchange.samples`` counts through.
        grid: cells per axis.
        min_samples: cells with fewer samples are not tested.
    """
    n_cells = grid * grid
    taking_part = codes[:, exchange.samples]
    counted = tuple(count_strata(exchange, layer, n_cells=n_cells) for layer in taking_part)
    moments = [null_moments(exchange, one, n_cells=n_cells) for one in counted]
    together = Moments(
        variance=np.concatenate([one.variance for one in moments], axis=1),
        third=np.concatenate([one.third for one in moments], axis=1),
    )
    offsets = np.arange(len(codes)) * n_cells
    flat = np.ascontiguousarray((taking_part + offsets[:, None]).T.astype(np.int64))
    totals = np.bincount(flat.ravel(), minlength=len(codes) * n_cells)
    uneven = _uneven_strata(exchange)
    in_stratum = exchange.samples_of().sum(axis=1)
    return MapMaker(
        exchange=exchange,
        codes=flat,
        totals=totals,
        layers=counted,
        moments=together,
        is_tested=(together.variance > 0).any(axis=0) & (totals >= min_samples),
        expected=np.concatenate(
            [_even_part(exchange, one, uneven=uneven, n_cells=n_cells) for one in counted], axis=1
        ),
        shares=_shares(counted, in_stratum, uneven=uneven, n_cells=n_cells),
        uneven=uneven,
    )


def _uneven_strata(exchange: Exchange) -> Int64:
    """Strata whose units differ in size."""
    if exchange.of_samples:
        return np.zeros(0, dtype=np.int64)
    starts = exchange.starts[:-1]
    least = np.minimum.reduceat(exchange.unit_sizes, starts)
    most = np.maximum.reduceat(exchange.unit_sizes, starts)
    return np.flatnonzero(least < most)


def _even_part(exchange: Exchange, counted: StratumCells, *, uneven: Int64, n_cells: int) -> Float64:
    if not len(uneven):
        return expected_counts(exchange, counted, n_cells=n_cells)
    even = ~np.isin(counted.stratum, uneven)
    kept = StratumCells(
        stratum=counted.stratum[even],
        cell=counted.cell[even],
        n=counted.n[even],
        n_label=counted.n_label[:, even],
        squares=counted.squares[even],
        cubes=counted.cubes[even],
    )
    return expected_counts(exchange, kept, n_cells=n_cells)


def _shares(counted: Sequence[StratumCells], in_stratum: Int64, *, uneven: Int64, n_cells: int) -> Float64:
    shares = np.zeros((len(uneven), len(counted), n_cells))
    for layer, one in enumerate(counted):
        chosen = np.isin(one.stratum, uneven)
        row = np.searchsorted(uneven, one.stratum[chosen])
        shares[row, layer, one.cell[chosen]] = one.n[chosen] / in_stratum[one.stratum[chosen]]
    return shares.reshape(len(uneven), len(counted) * n_cells)
