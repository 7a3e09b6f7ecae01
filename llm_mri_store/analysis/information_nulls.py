"""Information of labels observed, of labels handed out again, and of samples thinned out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.contrast_plan import Plan
from llm_mri_store.analysis.information_counts import (
    CellMaps,
    cell_maps,
    miller_madow_bias,
    mutual_information,
)
from llm_mri_store.analysis.permutation_design import plan_exchange
from llm_mri_store.analysis.relabelings import Relabelings, spawned_seeds
from llm_mri_store.records.jobs import Progress, ProgressCallback

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """Information, in bits, of some layers or of some pairs of layers.

    Attributes:
        n_cells: int64 (n,), occupied cells, or pairs of cells that a sample steps between.
        observed: float64 (n,), plug-in.
        bias: float64 (n,), its Miller-Madow bias.
        by_chance: float64 (n, n_relabelings), plug-in.
        has_null: bool (n,), labels could be exchanged; where not, by_chance says nothing.
        left_out: float64 (n, n_parts), plug-in without each part of the samples; None for too few samples.
        is_exact: the relabelings are all there are.
    """

    n_cells: Int64
    observed: Float64
    bias: Float64
    by_chance: Float64
    has_null: Bool
    left_out: Float64 | None
    is_exact: bool


def measure_layers(
    codes: Int64, relabelings: Relabelings, kept: Bool | None, *, n_labels: int, progress: ProgressCallback
) -> Measured:
    """I(label; cell) of every layer.

    Args:
        codes: int64 (n_layers, n_samples), cells; one and the same for all samples of a degenerate layer.
        relabelings: of the samples, all layers together.
        kept: bool (n_samples, n_parts), who stays when each part is left out; None for no parts.
        n_labels: labels there are.
        progress: told after each batch.
    """
    maps, labels = cell_maps(codes), relabelings.labels
    blocks = _by_chance(maps, relabelings, n_labels=n_labels, progress=progress, begun=0)
    return Measured(
        n_cells=maps.n_cells,
        observed=mutual_information(maps, labels[:, None], n_labels=n_labels)[:, 0],
        bias=miller_madow_bias(maps, labels),
        by_chance=np.concatenate(list(blocks), axis=1),
        has_null=np.ones(len(codes), dtype=np.bool_),
        left_out=_thinned(maps, labels, kept, n_labels=n_labels),
        is_exact=relabelings.is_exact,
    )


def measure_steps(
    codes: Int64,
    relabelings: Relabelings,
    plan: Plan,
    kept: Bool | None,
    *,
    n_labels: int,
    progress: ProgressCallback,
) -> Measured:
    """I(label; next cell | cell) of every pair of neighbouring layers.

    By the chain rule (Cover & Thomas, "Elements of Information Theory", 2nd ed. (2006), theorem 2.5.2) it is
    I(label; cell and next cell) - I(label; cell). Under the null the next cell tells nothing beyond the cell:
    labels are exchanged among samples of one cell, at each pair of layers anew, so that what the cell
    tells stays as it is.

    Args:
        codes: int64 (n_layers, n_samples), cells; one and the same for all samples of a degenerate layer.
        relabelings: of the samples; labels, seed and number are used.
        plan: strata and groups within which labels are exchanged.
        kept: as for ``measure_layers``.
        n_labels: labels there are.
        progress: told after each batch.
    """
    n_steps, labels, n = len(codes) - 1, relabelings.labels, relabelings.n_permutations
    n_values = int(codes.max(initial=0)) + 1
    pairs = codes[:-1] * n_values + codes[1:]
    by_chance, has_null = np.zeros((n_steps, n)), np.zeros(n_steps, dtype=np.bool_)
    here, both = cell_maps(codes[:-1]), cell_maps(pairs)
    told = mutual_information(here, labels[:, None], n_labels=n_labels)
    can_exchange = not plan.exchange.n_whole_groups
    seeds = spawned_seeds(relabelings.seed, n_steps)
    for place in range(n_steps if can_exchange else 0):
        strata = np.unique(plan.strata.codes * n_values + codes[place], return_inverse=True)[1]
        exchange = plan_exchange(
            labels, strata=strata.astype(np.int64), n_labels=n_labels, groups=plan.groups
        )
        if not exchange.n_units:
            continue
        has_null[place] = True
        own = replace(relabelings, exchange=exchange, seed=seeds[place], may_count=False)
        blocks = _by_chance(
            cell_maps(pairs[[place]]), own, n_labels=n_labels, progress=progress, begun=(place + 1) * n
        )
        by_chance[place] = _beyond(np.concatenate(list(blocks), axis=1)[0], told[place])
    thinned = [_thinned(maps, labels, kept, n_labels=n_labels) for maps in (both, here)]
    return Measured(
        n_cells=both.n_cells,
        observed=_beyond(mutual_information(both, labels[:, None], n_labels=n_labels), told)[:, 0],
        bias=miller_madow_bias(both, labels) - miller_madow_bias(here, labels),
        by_chance=by_chance,
        has_null=has_null,
        left_out=None if thinned[0] is None or thinned[1] is None else thinned[0] - thinned[1],
        is_exact=False,
    )


def _beyond(both: Float64, alone: Float64) -> Float64:
    """What a pair of cells tells beyond the first; what is left of 0 is rounding."""
    beyond = both - alone
    return np.where(beyond > 1e-12, beyond, 0.0)


def _by_chance(
    maps: CellMaps, relabelings: Relabelings, *, n_labels: int, progress: ProgressCallback, begun: int
) -> Iterable[Float64]:
    done = begun
    for labels in relabelings.columns(n_rows=maps.incidence.shape[0]):
        yield mutual_information(maps, labels, n_labels=n_labels)
        done += labels.shape[1]
        progress(Progress(job="information", done=done, total=max(done, relabelings.n)))


def _thinned(maps: CellMaps, labels: Int64, kept: Bool | None, *, n_labels: int) -> Float64 | None:
    if kept is None:
        return None
    return mutual_information(maps, np.where(kept, labels[:, None], n_labels), n_labels=n_labels)
