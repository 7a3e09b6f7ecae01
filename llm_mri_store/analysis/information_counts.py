"""Mutual information of labels and cells, counted exactly, for many labelings at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from llm_mri_store.analysis.step_edges import weigh

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellMaps:
    """The occupied cells of some maps of the same samples, each of which has one cell in every map.

    Attributes:
        incidence: which samples are in which cell, sparse int32 (n_cells, n_samples), map by map.
        starts: int64 (n_maps,), first cell of each map.
    """

    incidence: sparse.csr_array[Any]
    starts: Int64

    @property
    def n_cells(self) -> Int64:
        """Occupied cells of each map, int64 (n_maps,)."""
        return np.diff(np.append(self.starts, self.incidence.shape[0]))

    def summed(self, values: Float64) -> Float64:
        """Sums over the cells of each map, float64 (n_maps, n_columns), of values (n_cells, n_columns)."""
        if not self.starts.size:
            return np.zeros((0, values.shape[1]))
        sums: Float64 = np.add.reduceat(values, self.starts, axis=0)
        return sums


def cell_maps(codes: Int64) -> CellMaps:
    """Maps of cells.

    Args:
        codes: int64 (n_maps, n_samples), any whole numbers that say which cell.
    """
    rows, starts, n_found = [np.zeros(0, dtype=np.int64)], [], 0
    for one in codes:
        different, row = np.unique(one, return_inverse=True)
        rows.append(row.astype(np.int64) + n_found)
        starts.append(n_found)
        n_found += different.size
    n_samples = codes.shape[1]
    row, sample = np.concatenate(rows), np.tile(np.arange(n_samples), len(codes))
    ones = np.ones(row.size, dtype=np.int32)
    return CellMaps(
        incidence=sparse.csr_array((ones, (row, sample)), shape=(n_found, n_samples)),
        starts=np.array(starts, dtype=np.int64),
    )


def mutual_information(maps: CellMaps, labels: npt.NDArray[np.integer], *, n_labels: int) -> Float64:
    """I(label; cell) of each map and labeling, float64 (n_maps, n_labelings), in bits, >= 0.

    The plug-in value, sum over labels and cells of n_lc / n * log2(n n_lc / (n_l n_c)) (Shannon 1948), as in
    the query ``layer_information``; above the true one by chance, the more cells the more.

    Args:
        maps: the cells.
        labels: whole numbers (n_samples, n_labelings) in 0 .. n_labels - 1, or any other for a sample that is
            left out.
        n_labels: labels there are.

    >>> maps = cell_maps(np.array([[0, 0, 1, 1], [0, 1, 0, 1]]))
    >>> mutual_information(maps, np.array([[0], [0], [1], [1]]), n_labels=2).tolist()
    [[1.0], [0.0]]
    """
    n_samples, n_labelings = labels.shape
    counts = np.arange(n_samples + 1, dtype=np.float64)
    # n log2 n of every count there can be.
    bits = counts * np.log2(np.maximum(counts, 1.0))
    joint = np.zeros((maps.starts.size, n_labelings))
    of_label = np.zeros(n_labelings)
    in_cell = np.zeros((maps.incidence.shape[0], n_labelings), dtype=np.int64)
    n = np.zeros(n_labelings, dtype=np.int64)
    for label in range(n_labels):
        chosen = labels == label
        both = weigh(maps.incidence, chosen)
        size = chosen.sum(axis=0)
        joint += maps.summed(bits[both])
        of_label += bits[size]
        in_cell += both
        n += size
    plug_in: Float64 = (joint + bits[n] - of_label - maps.summed(bits[in_cell])) / np.maximum(n, 1)
    # What sums leave of 0 is rounding.
    return np.where(plug_in > _ROUNDING, plug_in, 0.0)


def miller_madow_bias(maps: CellMaps, labels: npt.NDArray[np.integer]) -> Float64:
    """How much chance alone adds to the plug-in information of each map, float64 (n_maps,), in bits.

    (pairs - cells - labels + 1) / (2 n ln 2), with pairs the combinations of label and cell that are seen:
    Miller, "Note on the bias of information estimates" (1955). To first order in 1 / n; where most cells hold
    one sample it is far too small, and below 0 where every one does. The mean over relabelings is exact, if
    labels do not differ.

    Args:
        maps: the cells.
        labels: int64 (n_samples,), from 0.
    """
    seen = np.zeros(maps.starts.size)
    names = np.unique(labels)
    for label in names:
        occupied = weigh(maps.incidence, (labels == label)[:, None])[:, 0] > 0
        seen += maps.summed(occupied[:, None].astype(np.float64))[:, 0]
    bias: Float64 = (seen - maps.n_cells - names.size + 1) / (2 * labels.size * np.log(2))
    return bias


def entropy_bits(labels: Int64) -> float:
    """H(label) in bits, >= 0: what there is to tell.

    >>> entropy_bits(np.array([0, 0, 1, 1]))
    1.0
    """
    share = np.unique(labels, return_counts=True)[1] / labels.size
    return float(-(share * np.log2(share)).sum()) + 0.0
