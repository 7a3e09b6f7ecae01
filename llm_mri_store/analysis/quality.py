"""How good a scan's activations are, layer by layer: computed once, then kept in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.analysis.quality_measures import (
    EXACT_WIDTH,
    MOST_RANK_SAMPLES,
    OUTLIER_DEVIATIONS,
    Bool,
    Float32,
    measure_vectors,
    rank_sample,
)
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.jobs import Progress, ProgressCallback, no_progress
from llm_mri_store.records.results import ResultSpec
from llm_mri_store.reduction.rounding import spread_tolerance
from llm_mri_store.schema import Status
from llm_mri_store.store.arrays import activation_parts, sample_column
from llm_mri_store.store.catalogue import ScanEntry, find_scan
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.result_commit import kept_tables

Texts = npt.NDArray[np.str_]

_SPEC: Final = ResultSpec(
    kind=schema.LAYER_QUALITY,
    name="default",
    parameters={
        "exact_width": EXACT_WIDTH,
        "most_rank_samples": MOST_RANK_SAMPLES,
        "outlier_deviations": OUTLIER_DEVIATIONS,
    },
    seed=0,
)


def scan_quality(store: StorePaths, scan_name: str, *, progress: ProgressCallback = no_progress) -> pa.Table:
    """The quality of each layer of a scan: what is kept, or computed in one pass per layer and kept.

    Args:
        store: the store.
        scan_name: the scan.
        progress: told how far it is, in layers, where it must be computed.

    Returns:
        A row per layer, ascending: layer; n_ok, samples that can be read and labelled and have a finite
        vector here, which the row is about; n_not_finite and n_excluded, those left out because the model
        returned NaN or infinity, or for another reason; is_degenerate, true where the vectors do not vary
        beyond rounding, so that their covariance is noise, and effective rank and top dimension are NULL;
        and the columns of ``quality_measures.VectorMeasures``. What is not defined is NULL.

    Raises:
        UnknownName: there is no such scan.
        InvalidInput: it is not complete, or its activations were removed before this was kept.
        StoreCorrupt: a file is damaged.
    """
    scan = find_scan(store, scan_name)
    made = kept_tables(
        store,
        scan,
        _SPEC,
        lambda: {schema.LAYER_QUALITY: measure_scan(scan, progress=progress)},
        replace=True,
    )
    return made[schema.LAYER_QUALITY]


def measure_scan(scan: ScanEntry, *, progress: ProgressCallback = no_progress) -> pa.Table:
    """The same, computed; nothing is kept."""
    _refuse_unmeasurable(scan)
    status = np.asarray(sample_column(scan, schema.STATUS))
    is_ok = status == Status.OK
    is_ranked = np.zeros(len(status), dtype=np.bool_)
    is_ranked[np.flatnonzero(is_ok)[rank_sample(int(is_ok.sum()), seed=_SPEC.seed or 0)]] = True
    n_layers = len(scan.spec.layers)
    rows = []
    for place, layer in enumerate(scan.spec.layers):
        progress(Progress(job="quality", done=place, total=n_layers, note=f"layer {layer}"))
        rows.append(_measure_layer(scan, layer, status, is_ok, is_ranked))
    progress(Progress(job="quality", done=n_layers, total=n_layers, note=f"{n_layers} layers"))
    declared = schema.result_schema(schema.LAYER_QUALITY, schema.LAYER_QUALITY).remove(0)
    return pa.Table.from_pylist(rows, schema=declared)


def _refuse_unmeasurable(scan: ScanEntry) -> None:
    if not scan.is_complete:
        raise InvalidInput(
            f"scan {scan.name!r} is not complete ({scan.n_stored:,} of {scan.spec.n_samples:,} samples), so "
            "its quality is not known yet; run its scan command again to finish it"
        )
    if scan.is_pruned:
        raise InvalidInput(
            f"the activations of scan {scan.name!r} were removed before its quality was computed; scan again "
            "under another --name"
        )


def _measure_layer(
    scan: ScanEntry, layer: int, status: Texts, is_ok: Bool, is_ranked: Bool
) -> dict[str, object]:
    found = measure_vectors(_chosen_parts(scan, layer, is_ok, is_ranked), width=scan.spec.hidden_size)
    n_ok, n_without = int(is_ok.sum()), int((status == Status.NOT_FINITE).sum())
    spread = found.relative_spread
    is_degenerate = None if spread is None else spread <= spread_tolerance(scan.spec.dtype)
    if is_degenerate:
        found = replace(
            found, effective_rank=None, n_rank_samples=0, top_dimension=None, top_dimension_share=None
        )
    return {
        schema.LAYER: layer,
        "n_ok": found.n,
        "n_not_finite": n_without + n_ok - found.n,
        "n_excluded": len(status) - n_ok - n_without,
        "is_degenerate": is_degenerate,
        **asdict(found),
    }


def _chosen_parts(
    scan: ScanEntry, layer: int, is_ok: Bool, is_ranked: Bool
) -> Iterator[tuple[Float32, Bool]]:
    """The vectors of the samples that are ok, chunk by chunk, and which of them are taken for the rank."""
    first = 0
    for vectors in activation_parts(scan, layer):
        ids = slice(first, first + len(vectors))
        yield vectors[is_ok[ids]], is_ranked[ids][is_ok[ids]]
        first += len(vectors)
