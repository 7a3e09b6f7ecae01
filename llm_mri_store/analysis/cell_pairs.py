"""Pairs of a cell and a cell of the next layer, and what permuted samples make of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.hypergeometric import ExactCounts, exact_counts
from llm_mri_store.analysis.permutation_design import plan_exchange
from llm_mri_store.analysis.relabelings import Relabelings, spawned_seeds
from llm_mri_store.analysis.step_edges import live_places
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.jobs import Progress, ProgressCallback

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_MOST_PAIRS: Final = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellPairs:
    """Pairs that an edge joins, or whose cells are both large; by layer, source cell and target cell.

    Attributes:
        codes: int64 (n_layers, n_samples), the cells of the samples.
        strata: int64 (n_samples,), from 0.
        place, from_cell, to_cell: int64 (n_pairs,), as in ``StepEdges``.
        weight, n_from, n_to: int64 (n_pairs,), samples in both cells, in the source's, in the target's.
        is_large: bool (n_pairs,), both cells hold ``min_cell`` samples.
        counts: null distributions of the weights.
    """

    codes: Int64
    strata: Int64
    place: Int64
    from_cell: Int64
    to_cell: Int64
    weight: Int64
    n_from: Int64
    n_to: Int64
    is_large: Bool
    counts: ExactCounts


def pair_cells(cells: LabelledCells, samples: Int64, strata: Int64, *, min_cell: int) -> CellPairs:
    """The pairs of cells of some samples.

    Args:
        cells: the cells.
        samples: int64 (n,), positions of the samples.
        strata: int64 (n,), from 0, within which cells are permuted.
        min_cell: samples that make a cell large.

    Raises:
        InvalidInput: there are more than two million pairs of large cells.
    """
    n_cells, codes = cells.grid**2, cells.codes[:, samples].astype(np.int64)
    n_strata = int(strata.max(initial=0)) + 1
    in_stratum = np.bincount(strata, minlength=n_strata)
    rows: list[Int64] = [np.zeros((6, 0), dtype=np.int64)]
    margins: list[Int64] = [np.zeros((2, 0, n_strata), dtype=np.int64)]
    n_large = 0
    for place in live_places(cells):
        here, there = codes[place], codes[place + 1]
        # Samples of each cell and stratum.
        held = [np.bincount(one * n_strata + strata, minlength=n_cells * n_strata) for one in (here, there)]
        by_cell = [one.reshape(n_cells, n_strata) for one in held]
        n_here, n_there = (one.sum(axis=1) for one in by_cell)
        large = [np.flatnonzero(n >= min_cell) for n in (n_here, n_there)]
        n_large += large[0].size * large[1].size
        if n_large > _MOST_PAIRS:
            raise InvalidInput(
                f"more than {_MOST_PAIRS:,} pairs of cells hold {min_cell} samples each; raise min_cell, or "
                "use a coarser grid"
            )
        seen, weights = np.unique(here * n_cells + there, return_counts=True)
        pairs = np.union1d(seen, (large[0][:, None] * n_cells + large[1]).ravel())
        start, end = pairs // n_cells, pairs % n_cells
        weight = np.zeros(pairs.size, dtype=np.int64)
        weight[np.searchsorted(pairs, seen)] = weights
        place_of = np.full(pairs.size, place)
        rows.append(np.stack([place_of, start, end, weight, n_here[start], n_there[end]]))
        margins.append(np.stack([by_cell[0][start], by_cell[1][end]]))
    of_pair, start, end, weight, n_from, n_to = np.concatenate(rows, axis=1)
    drawn, marked = np.concatenate(margins, axis=1)
    return CellPairs(
        codes=codes,
        strata=strata,
        place=of_pair,
        from_cell=start,
        to_cell=end,
        weight=weight,
        n_from=n_from,
        n_to=n_to,
        is_large=(n_from >= min_cell) & (n_to >= min_cell),
        counts=exact_counts(np.broadcast_to(in_stratum, marked.shape), marked, drawn),
    )


def largest_scores(
    pairs: CellPairs, tested: Bool, deviates: Float64, *, spec: ContrastSpec, progress: ProgressCallback
) -> Float64:
    """The largest absolute score of each permutation of samples, float64 (n_permutations,).

    At each pair of layers the target's cells are permuted anew: what all layers do when they are independent.

    Args:
        pairs: the pairs.
        tested: bool (n_pairs,), those that count.
        deviates: float64 (n_entries,), score of every entry of ``pairs.counts``.
        spec: permutations and seed.
        progress: told after each batch.
    """
    largest = np.zeros(spec.n_permutations)
    size = np.abs(deviates)
    seeds = spawned_seeds(spec.seed, len(pairs.codes))
    places = np.unique(pairs.place[tested]).tolist()
    for done, place in enumerate(places):
        chosen = np.flatnonzero(tested & (pairs.place == place))
        (first, here), (second, there) = (
            _numbered(pairs.codes[layer], cell[chosen])
            for layer, cell in ((place, pairs.from_cell), (place + 1, pairs.to_cell))
        )
        # A row and a column more, for the cells that are in no tested pair.
        n_first, n_second = int(first.max(initial=0)) + 2, int(second.max(initial=0)) + 2
        entry = first * n_second + second
        relabelings = Relabelings(
            exchange=plan_exchange(there, strata=pairs.strata, n_labels=n_second),
            labels=there,
            n_permutations=spec.n_permutations,
            seed=seeds[place],
            may_count=False,
        )
        counts, begun = pairs.counts.rows(np.isin(np.arange(tested.size), chosen)), 0
        for block in relabelings.columns(n_rows=n_first * n_second):
            for row in np.ascontiguousarray(block.T):
                counted = np.bincount(here * n_second + row, minlength=n_first * n_second)
                score = size[counts.entries(counted[entry])].max()
                largest[begun] = max(largest[begun], score)
                begun += 1
            total = len(places) * spec.n_permutations
            progress(Progress(job="edges", done=done * spec.n_permutations + begun, total=total))
    return largest


def _numbered(codes: Int64, chosen: Int64) -> tuple[Int64, Int64]:
    """Number of each chosen cell among the chosen ones, and of each sample's cell; one more for any other."""
    different, number = np.unique(chosen, return_inverse=True)
    place = np.minimum(np.searchsorted(different, codes), different.size - 1)
    return number, np.where(different[place] == codes, place, different.size)
