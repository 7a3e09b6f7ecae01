"""The columns of a contrast's cells: effects, effects within strata, tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from llm_mri_store.analysis.clusters_tfce import enhance
from llm_mri_store.analysis.contrast_effects import (
    Estimates,
    StratumTables,
    adjusted_difference,
    adjusted_log_odds_ratio,
    design_effect,
    log_odds_ratio,
    share_difference,
)
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.contrast_tables import FoundClusters
from llm_mri_store.analysis.permutation_exact import exact_cell_p
from llm_mri_store.analysis.permutation_maps import MapMaker
from llm_mri_store.analysis.permutation_moments import Moments
from llm_mri_store.analysis.permutation_null import NullDistribution, directed, one_sided
from llm_mri_store.schema import CELL_X, CELL_Y, LAYER

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Columns = dict[str, npt.NDArray[np.generic]]

REACHABLE: Final = 0.05
"""A cell counts towards q where its p could be this small with some labels."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """The cells of all layers, a row each, in the order of layers and cell codes.

    Attributes:
        layers: the layers.
        grid: cells per axis.
        is_varying: bool (n_layers,), layers that are not degenerate.
    """

    layers: tuple[int, ...]
    grid: int
    is_varying: Bool

    @property
    def n_cells(self) -> int:
        """Cells of one layer."""
        return self.grid**2

    @property
    def in_family(self) -> Bool:
        """Rows of the varying layers, bool (n_rows,)."""
        return np.repeat(self.is_varying, self.n_cells)

    def keys(self) -> Columns:
        """The columns layer, cell_x and cell_y."""
        axis = np.arange(self.grid)
        layer, x, y = np.meshgrid(np.array(self.layers), axis, axis, indexing="ij")
        return {LAYER: layer.ravel(), CELL_X: x.ravel(), CELL_Y: y.ravel()}

    def spread(self, values: Float64) -> Float64:
        """A column of the varying layers with NaN at all others."""
        column = np.full(len(self.layers) * self.n_cells, np.nan)
        column[self.in_family] = values
        return column


def crude_columns(
    codes: npt.NDArray[np.integer], labels: Int64, groups: Int64 | None, *, frame: Frame
) -> Columns:
    """Counts, shares and differences of two labels over all their samples.

    Args:
        codes: integers (n_layers, n_samples).
        labels: int64 (n_samples,), 0 for A, 1 for B.
        groups: int64 (n_samples,), from 0, or None.
        frame: the rows.
    """
    n_cells = frame.n_cells
    counts = np.stack(
        [np.bincount(row * 2 + labels, minlength=2 * n_cells).reshape(n_cells, 2) for row in codes]
    ).reshape(-1, 2)
    n_a, n_b = np.bincount(labels, minlength=2).tolist()
    a, b = counts[:, 0], counts[:, 1]
    inflation = np.ones(len(counts))
    columns: Columns = frame.keys() | {"n_a": a, "n_b": b, "share_a": a / n_a, "share_b": b / n_b}
    has_effect = frame.in_family & (a + b > 0)
    if groups is not None:
        inflation = np.concatenate(
            [design_effect(row.astype(np.int64), labels, groups, n_cells=n_cells) for row in codes]
        )
        columns["design_effect"] = np.where(has_effect, inflation, np.nan)
    difference = share_difference(a, n_a, b, n_b, inflation=inflation)
    log_odds = log_odds_ratio(a, n_a, b, n_b, inflation=inflation)
    columns |= _named("difference", difference, where=has_effect)
    return columns | _named("log_odds", log_odds, where=has_effect)


def adjusted_columns(maps: MapMaker, crude: Columns, *, frame: Frame) -> Columns:
    """Differences within strata, of the samples that take part.

    Args:
        maps: of the varying layers.
        crude: the columns so far. Where whole groups move, intervals are widened by ``design_effect``; within
            groups what they have in common falls out.
        frame: the rows.
    """
    samples = maps.exchange.samples_of()
    parts: list[Columns] = []
    inflation = np.ones((len(maps.layers), frame.n_cells))
    if maps.exchange.n_whole_groups:
        effects = np.asarray(crude["design_effect"], np.float64)[frame.in_family]
        inflation = np.nan_to_num(effects, nan=1.0).reshape(inflation.shape)
    for place, one in enumerate(maps.layers):
        tables = StratumTables(
            cell=one.cell,
            a=one.n_label[0],
            b=one.n_label[1],
            n_a=samples[one.stratum, 0],
            n_b=samples[one.stratum, 1],
            all_a=samples[:, 0],
            all_b=samples[:, 1],
        )
        n_cells = frame.n_cells
        occupied = np.bincount(one.cell, minlength=n_cells) > 0
        difference = adjusted_difference(tables, n_cells=n_cells, inflation=inflation[place])
        log_odds = adjusted_log_odds_ratio(tables, n_cells=n_cells, inflation=inflation[place])
        parts.append(
            _named("adjusted_difference", difference, where=occupied)
            | _named("adjusted_log_odds", log_odds, where=occupied)
        )
    return {name: frame.spread(np.concatenate([part[name] for part in parts])) for name in parts[0]}


def _named(name: str, estimates: Estimates, *, where: Bool) -> Columns:
    values = {name: estimates.value, f"{name}_low": estimates.low, f"{name}_high": estimates.high}
    return {column: np.where(where, one, np.nan) for column, one in values.items()}


def inference_columns(
    maps: MapMaker, scores: Float64, null: NullDistribution, *, spec: ContrastSpec, frame: Frame
) -> Columns:
    """Statistics and p of every cell that is tested.

    Args:
        maps: of the varying layers.
        scores: float64 (n_family,), the observed map.
        null: of the same maps.
        spec: ``alternative`` is used.
        frame: the rows.
    """
    tested = maps.is_tested
    z = maps.standardised(maps.exchange.unit_labels[None])[0]
    p, least, q = np.full((3, len(tested)), np.nan)
    if maps.exchange.of_samples:
        p[tested], least[tested] = _exact(maps, spec, n_cells=frame.n_cells)
        counted = tested & (np.nan_to_num(least, nan=1.0) <= REACHABLE)
    else:
        p[tested] = null.cell_p()[tested]
        counted = tested
    if counted.any():
        q[counted] = stats.false_discovery_control(p[counted], method="bh")
    enhanced = enhance(one_sided(scores, spec.alternative).reshape(-1, frame.n_cells), grid=frame.grid)
    columns = {
        "z": z,
        "score": scores,
        "p": p,
        "p_least": least,
        "q": q,
        "p_fwe": null.family_p(directed(scores, spec.alternative), null.scores),
        "tfce": enhanced.ravel(),
        "p_tfce": null.family_p(enhanced.ravel(), null.enhanced),
    }
    spread: Columns = {
        name: frame.spread(np.where(tested, values, np.nan)) for name, values in columns.items()
    }
    return spread | {"is_tested": frame.spread(tested.astype(np.float64)) == 1}


def _exact(maps: MapMaker, spec: ContrastSpec, *, n_cells: int) -> tuple[Float64, Float64]:
    """Exact p of the cells that are tested, layer by layer, and the smallest they could have had."""
    parts = []
    for place, one in enumerate(maps.layers):
        layer = slice(place * n_cells, (place + 1) * n_cells)
        moments = Moments(variance=maps.moments.variance[:, layer], third=maps.moments.third[:, layer])
        parts.append(
            exact_cell_p(
                maps.exchange,
                one,
                moments,
                tested=np.flatnonzero(maps.is_tested[layer]),
                alternative=spec.alternative,
            )
        )
    return np.concatenate([p for p, _ in parts]), np.concatenate([least for _, least in parts])


def cluster_columns(found: FoundClusters, p_clusters: Float64) -> Columns:
    """Number of each cell's cluster, and the cluster's p; NaN for a cell of none."""
    number = np.where(found.of_cell > 0, found.of_cell, np.nan)
    p = np.append(p_clusters, np.nan)[found.of_cell - 1]
    return {"cluster": number, "p_cluster": p}
