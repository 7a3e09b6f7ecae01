"""The store's JSON records as rows of ``sql/tables.sql``, in the order of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

import msgspec

from llm_mri_store.errors import StoreCorrupt, UnknownName
from llm_mri_store.records.reductions import ReductionRecord
from llm_mri_store.records.scans import chunks_digest
from llm_mri_store.store.catalogue import (
    ReductionEntry,
    ScanEntry,
    find_reduction,
    find_scan,
    reduction_names,
    scan_names,
)
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.selection import Opened

Row = tuple[object, ...]

_DAMAGED_SCAN: Final = ("damaged", *(None,) * 16)
_DAMAGED_REDUCTION: Final = (None,) * 10


def store_rows(store: StorePaths, opened: Mapping[str, ScanEntry]) -> tuple[list[Row], list[Row]]:
    """Rows of ``stored_scans`` and of ``stored_reductions``, for every scan of the store.

    A scan or reduction whose record is damaged keeps its row, without values, so that it does not
    stand in the way of questions about the others.

    Args:
        store: the store.
        opened: scans read already; their rows show them as they were then.
    """
    scans: list[Row] = []
    reductions: list[Row] = []
    for name in scan_names(store):
        try:
            scan = opened.get(name) or find_scan(store, name)
        except StoreCorrupt:
            scans.append((name, *_DAMAGED_SCAN))
        except UnknownName:
            # It was removed since the names were listed.
            continue
        else:
            scans.append(_scan_row(scan))
            reductions += _reduction_rows(scan)
    return scans, reductions


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
        _time(scan.record.created),
        scan.record.identity,
    )


def _reduction_rows(scan: ScanEntry) -> list[Row]:
    source = chunks_digest(scan.chunks)
    rows: list[Row] = []
    for name in reduction_names(scan.paths):
        try:
            rows.append(_reduction_row(scan.name, name, find_reduction(scan, name).record, source))
        except StoreCorrupt:
            rows.append((scan.name, name, *_DAMAGED_REDUCTION))
        except UnknownName:
            continue
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
        _time(record.created),
    )


def result_rows(opened: Opened) -> list[Row]:
    """Rows of ``stored_results`` for an opened scan; a damaged result has its name alone."""
    return [
        (
            opened.scan.name,
            one.name,
            one.kind,
            one.reduction,
            None if one.record is None else msgspec.json.encode(one.record.spec.parameters).decode(),
            None if one.record is None else one.record.spec.seed,
            None if one.record is None else _time(one.record.created),
        )
        for one in opened.results
    ]


def _time(words: str) -> datetime | None:
    """A record's time in UTC, without a zone; None where the words are no time."""
    try:
        return datetime.fromisoformat(words).astimezone(UTC).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


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
