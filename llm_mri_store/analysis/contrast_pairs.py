"""Every pair of several labels, each with its own test, adjusted for their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.analysis.contrast import Contrast, contrast
from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_labels import labels_to_compare
from llm_mri_store.analysis.contrast_spec import ALPHA, ContrastSpec
from llm_mri_store.analysis.contrast_tables import CELLS_SCHEMA
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.jobs import ProgressCallback, no_progress
from llm_mri_store.schema import CELL_X, CELL_Y, LAYER

Float64 = npt.NDArray[np.float64]

_DEFAULT: Final = ContrastSpec()

PAIRS_SCHEMA: Final = pa.schema(
    [
        ("a", pa.string()),
        ("b", pa.string()),
        ("n_a", pa.int64()),
        ("n_b", pa.int64()),
        ("p", pa.float64()),
        ("p_holm", pa.float64()),
        ("n_cells", pa.int64()),
        (LAYER, pa.int16()),
        (CELL_X, pa.int16()),
        (CELL_Y, pa.int16()),
        ("z", pa.float64()),
        ("difference", pa.float64()),
        ("remark", pa.string()),
    ]
)

PAIR_CELLS_SCHEMA: Final = pa.schema(
    [("a", pa.string()), ("b", pa.string()), *CELLS_SCHEMA, ("p_pairs", pa.float64())]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairComparison:
    """Every pair of some labels.

    Attributes:
        labels: the labels.
        pairs: a row per pair, see ``compare_pairs``.
        cells: the cells of every pair that could be tested: a, b, the columns of a contrast's ``cells``,
            and p_pairs.
        contrasts: those pairs' contrasts.
        sentences: what was done and found.
    """

    labels: tuple[str, ...]
    pairs: pa.Table
    cells: pa.Table
    contrasts: tuple[Contrast, ...]
    sentences: tuple[str, ...]


def compare_pairs(
    cells: LabelledCells,
    labels: Sequence[str] | None = None,
    *,
    spec: ContrastSpec = _DEFAULT,
    progress: ProgressCallback = no_progress,
) -> PairComparison:
    """Which pairs of several labels differ, and where.

    Each pair is a contrast of its own: only its two labels are permuted, so that what a third label does
    has no part in it. (Permuting all labels together tests that none differ; where some do, it is no test of
    a pair.) Two questions, two adjustments, both valid however pairs depend on each other:

    * Does the pair differ anywhere? ``p`` is the p_fwe of its largest score, ``p_holm`` that adjusted over
      the pairs (Holm, Scand. J. Statist. 6 (1979)).
    * Does it differ in this cell? ``p_pairs`` of the table ``cells`` is p_fwe times the number of pairs, at
      most 1 (Bonferroni; Holm's steps would let a pair that surely differs somewhere pass on its level
      while its other cells are still in doubt).

    Args:
        cells: cells and labels; with the covariates that ``spec`` names.
        labels: at least 2; by default all that have at least 2 samples.
        spec: every choice, the same for each pair.
        progress: told after each batch of relabelings of each pair.

    Returns:
        The table ``pairs``: a, b, n_a, n_b, p, p_holm, n_cells (cells with p_pairs <= 0.05), then layer,
        cell_x, cell_y, z and difference of the cell with the largest score; for a pair that cannot be
        tested NULL and a ``remark`` that says why, and it does not count among the pairs.

    Raises:
        UnknownName, InvalidInput: as for ``compare_labels``.
    """
    names, _ = labels_to_compare(cells, labels)
    counts = cells.label_counts()
    contrasts: list[Contrast] = []
    rows: list[dict[str, Any]] = []
    for a, b in combinations(names, 2):
        row: dict[str, Any] = {"a": a, "b": b, "n_a": counts[a], "n_b": counts[b]}
        try:
            one = contrast(cells, a, b, spec=spec, progress=progress)
        except InvalidInput as error:
            row["remark"] = str(error)
        else:
            contrasts.append(one)
            row |= _peak(one)
        rows.append(row)
    if not contrasts:
        raise InvalidInput(f"no pair of labels can be tested; the first because {rows[0]['remark']}")
    adjusted = iter(holm(np.array([row["p"] for row in rows if "p" in row])).tolist())
    tables = [_pair_cells(one, n_pairs=len(contrasts)) for one in contrasts]
    found = iter([pc.sum(pc.less_equal(table["p_pairs"], ALPHA)).as_py() or 0 for table in tables])
    for row in rows:
        if "p" in row:
            row |= {"p_holm": next(adjusted), "n_cells": next(found)}
    pairs = pa.Table.from_pylist(rows, schema=PAIRS_SCHEMA)
    n_found = pc.sum(pc.less_equal(pairs["p_holm"], ALPHA)).as_py()
    return PairComparison(
        labels=names,
        pairs=pairs,
        cells=pa.concat_tables(tables),
        contrasts=tuple(contrasts),
        sentences=(
            f"{len(contrasts)} of {len(rows)} pairs of labels could be tested; {n_found} differ (p <= "
            f"{ALPHA} after Holm).",
        ),
    )


def _peak(one: Contrast) -> dict[str, Any]:
    """The cell of the largest absolute score of those with the smallest p_fwe."""
    tested = one.cells.filter(one.cells["is_tested"])
    keyed = tested.append_column("size", pc.abs(tested["score"]))
    best = keyed.sort_by([("p_fwe", "ascending"), ("size", "descending")]).slice(0, 1).to_pylist()[0]
    return {"p": best["p_fwe"], **{name: best[name] for name in (LAYER, CELL_X, CELL_Y, "z", "difference")}}


def _pair_cells(one: Contrast, *, n_pairs: int) -> pa.Table:
    n_rows = one.cells.num_rows
    p_pairs = pc.min_element_wise(pc.multiply(one.cells["p_fwe"], float(n_pairs)), 1.0, skip_nulls=False)
    sides = [pa.repeat(pa.scalar(side[0], pa.string()), n_rows) for side in (one.a, one.b)]
    return pa.table([*sides, *one.cells.columns, p_pairs], schema=PAIR_CELLS_SCHEMA)


def holm(p: Float64) -> Float64:
    """P adjusted by Holm's step-down method, in [0, 1].

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(steps)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
