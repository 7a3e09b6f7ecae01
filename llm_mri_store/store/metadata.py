"""The store's JSON records as rows of ``sql/tables.sql``, in the order of its columns."""

from __future__ import annotations

from itertools import pairwise

from llm_mri_store.records import ReductionRecord, chunks_digest
from llm_mri_store.store.catalogue import (
    ReductionEntry,
    ScanEntry,
    find_reduction,
    find_scan,
    reduction_names,
    scan_names,
)
from llm_mri_store.store.paths import StorePaths

Row = tuple[object, ...]


def scan_rows(store: StorePaths) -> list[Row]:
    """Rows of ``stored_scans``: one per scan; status is ``complete`` or ``partial``."""
    return [_scan_row(find_scan(store, name)) for name in scan_names(store)]


def _scan_row(scan: ScanEntry) -> Row:
    spec = scan.spec
    return (
        scan.name,
        "complete" if scan.is_complete else "partial",
        spec.n_samples,
        scan.n_stored,
        spec.model,
        spec.revision,
        spec.random_weights,
        spec.corpus,
        spec.split,
        list(spec.labels),
        spec.site,
        spec.pooling,
        list(spec.layers),
        spec.hidden_size,
        spec.max_tokens,
        spec.dtype,
        scan.record.created,
        scan.record.identity,
    )


def reduction_rows(store: StorePaths) -> list[Row]:
    """Rows of ``stored_reductions``: one per reduction of every scan.

    ``is_current`` is false where the scan's chunks are no longer those that were reduced.
    """
    rows: list[Row] = []
    for scan_name in scan_names(store):
        scan = find_scan(store, scan_name)
        source = chunks_digest(scan.chunks)
        for name in reduction_names(scan.paths):
            entry = find_reduction(scan, name)
            rows.append(_reduction_row(scan_name, entry.name, entry.record, source))
    return rows


def _reduction_row(scan: str, name: str, record: ReductionRecord, source: str) -> Row:
    spec = record.spec
    return (
        scan,
        name,
        spec.method,
        spec.n_components,
        spec.grid,
        spec.bins,
        spec.seed,
        spec.template,
        [one.layer for one in record.layers],
        [one.layer for one in record.layers if one.is_degenerate],
        record.source == source,
        record.created,
    )


def layer_rows(scan: ScanEntry, reduction: ReductionEntry) -> list[Row]:
    """Rows of ``stored_layers``: one per layer of a reduction, with the layer that follows it."""
    found = reduction.record.layers
    following = {one.layer: after.layer for one, after in pairwise(found)}
    return [
        (
            scan.name,
            reduction.name,
            one.layer,
            following.get(one.layer),
            reduction.record.spec.grid,
            one.is_degenerate,
            one.n_fitted,
            one.n_excluded,
            one.n_clipped,
            one.relative_spread,
            one.total_variance,
            list(one.explained_variance),
            list(one.explained_variance_ratio),
            list(one.edges_x),
            list(one.edges_y),
        )
        for one in found
    ]
