"""The tables of a contrast: a row per cell, per cluster, and one for the contrast itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store.analysis.clusters import label_clusters
from llm_mri_store.schema import CELL_X, CELL_Y, LAYER

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_CELL: Final = [(LAYER, pa.int16()), (CELL_X, pa.int16()), (CELL_Y, pa.int16())]

CELLS_SCHEMA: Final = pa.schema(
    [
        *_CELL,
        ("n_a", pa.int64()),
        ("n_b", pa.int64()),
        ("share_a", pa.float64()),
        ("share_b", pa.float64()),
        ("difference", pa.float64()),
        ("difference_low", pa.float64()),
        ("difference_high", pa.float64()),
        ("log_odds", pa.float64()),
        ("log_odds_low", pa.float64()),
        ("log_odds_high", pa.float64()),
        ("adjusted_difference", pa.float64()),
        ("adjusted_difference_low", pa.float64()),
        ("adjusted_difference_high", pa.float64()),
        ("adjusted_log_odds", pa.float64()),
        ("adjusted_log_odds_low", pa.float64()),
        ("adjusted_log_odds_high", pa.float64()),
        ("design_effect", pa.float64()),
        ("is_tested", pa.bool_()),
        ("z", pa.float64()),
        ("score", pa.float64()),
        ("p", pa.float64()),
        ("p_least", pa.float64()),
        ("q", pa.float64()),
        ("p_fwe", pa.float64()),
        ("tfce", pa.float64()),
        ("p_tfce", pa.float64()),
        ("cluster", pa.int32()),
        ("p_cluster", pa.float64()),
        ("z_before", pa.float64()),
        ("p_fwe_before", pa.float64()),
    ]
)

CLUSTERS_SCHEMA: Final = pa.schema(
    [
        ("cluster", pa.int32()),
        (LAYER, pa.int16()),
        ("sign", pa.int8()),
        ("size", pa.int32()),
        ("mass", pa.float64()),
        ("p_fwe", pa.float64()),
        ("n_a", pa.int64()),
        ("n_b", pa.int64()),
        ("difference", pa.float64()),
        ("peak_x", pa.int16()),
        ("peak_y", pa.int16()),
        ("peak_z", pa.float64()),
        ("peak_score", pa.float64()),
        ("peak_difference", pa.float64()),
        ("peak_log_odds", pa.float64()),
        ("peak_p", pa.float64()),
        ("peak_q", pa.float64()),
        ("peak_p_fwe", pa.float64()),
        ("peak_p_tfce", pa.float64()),
    ]
)


def as_column(values: npt.NDArray[np.generic], kind: pa.DataType) -> pa.Array:
    """A column of a table; NaN becomes NULL."""
    if values.dtype.kind == "f":
        missing = np.isnan(values)
        return pa.array(np.where(missing, 0, values), mask=missing).cast(kind)
    return pa.array(values).cast(kind)


def as_table(columns: Mapping[str, npt.NDArray[np.generic]], schema: pa.Schema) -> pa.Table:
    """A table of a schema; a column that is not given is NULL throughout."""
    n_rows = len(next(iter(columns.values())))
    arrays = [
        as_column(columns[field.name], field.type) if field.name in columns else pa.nulls(n_rows, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoundClusters:
    """The clusters of an observed map, the heaviest first.

    Attributes:
        of_cell: int64 (n_cells,), number of each cell's cluster from 1; 0 for none.
        masses: float64 (n_clusters,).
    """

    of_cell: Int64
    masses: Float64


def find_clusters(scores: Float64, *, grid: int, threshold: float) -> FoundClusters:
    """The clusters of a map of scores, float64 (n_cells,), layers behind each other."""
    labels, masses = label_clusters(scores.reshape(-1, grid, grid), threshold=threshold)
    order = np.argsort(-masses, kind="stable")
    number = np.zeros(len(masses) + 1, dtype=np.int64)
    number[order + 1] = np.arange(1, len(masses) + 1)
    return FoundClusters(of_cell=number[labels.ravel()], masses=masses[order])


def cluster_table(
    columns: Mapping[str, npt.NDArray[np.generic]],
    found: FoundClusters,
    *,
    p_fwe: Float64,
    sides: tuple[int, int],
) -> pa.Table:
    """A row per cluster: what it holds, and its peak, the cell of the largest absolute score.

    Args:
        columns: those of the cells table.
        found: the clusters of its rows.
        p_fwe: float64 (n_clusters,).
        sides: samples of A and of B.
    """
    members = np.flatnonzero(found.of_cell)
    of_member = found.of_cell[members] - 1
    n_clusters = len(found.masses)
    sizes = np.abs(np.asarray(columns["score"], np.float64)[members])
    # Sorted by cluster, then by falling score: the first of each cluster is its peak.
    order = np.lexsort((members, -sizes, of_member))
    first = np.searchsorted(of_member[order], np.arange(n_clusters))
    peaks = members[order[first]]
    counts = {
        name: np.bincount(of_member, weights=columns[name][members], minlength=n_clusters)
        for name in ("n_a", "n_b")
    }
    rows: dict[str, npt.NDArray[np.generic]] = {
        "cluster": np.arange(1, n_clusters + 1),
        LAYER: columns[LAYER][peaks],
        "sign": np.sign(np.asarray(columns["score"], np.float64)[peaks]).astype(np.int8),
        "size": np.bincount(of_member, minlength=n_clusters),
        "mass": found.masses,
        "p_fwe": p_fwe,
        "n_a": counts["n_a"].astype(np.int64),
        "n_b": counts["n_b"].astype(np.int64),
        "difference": counts["n_a"] / sides[0] - counts["n_b"] / sides[1],
        "peak_x": columns[CELL_X][peaks],
        "peak_y": columns[CELL_Y][peaks],
    }
    for name in ("z", "score", "difference", "log_odds", "p", "q", "p_fwe", "p_tfce"):
        rows[f"peak_{name}"] = columns[name][peaks]
    return as_table(rows, CLUSTERS_SCHEMA)
