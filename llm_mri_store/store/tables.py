"""Tables of a scan and of a reduction, each file held against the digest of its commit and then read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import StoreCorrupt
from llm_mri_store.records.scans import ChunkRecord
from llm_mri_store.store.catalogue import ReductionEntry, ScanEntry
from llm_mri_store.store.digests import Signature, refuse_changed, signature_of
from llm_mri_store.store.files import read_parquet
from llm_mri_store.store.results import ResultEntry
from llm_mri_store.store.selection import Selection

_own_samples: dict[Path, Signature] = {}
"""Files of activations whose sample ids were found to be those of their chunk, and how they looked then."""


def samples_table(scan: ScanEntry, chunk: ChunkRecord, columns: Sequence[str] | None = None) -> pa.Table:
    """Samples of one chunk, in corpus order; all columns unless some are named.

    Raises:
        StoreCorrupt: the file is damaged.
    """
    path = scan.paths.chunk(chunk.index) / schema.SAMPLES_FILE
    refuse_changed({path: chunk.files.get(schema.SAMPLES_FILE)})
    return read_parquet(path, None if columns is None else list(columns))


def points_table(reduction: ReductionEntry, layer: int, columns: Sequence[str]) -> pa.Table:
    """Columns of a layer's points, by ascending sample_id.

    Raises:
        StoreCorrupt: the file is damaged.
    """
    path = reduction.points_file(layer)
    refuse_changed({path: _points_digest(reduction, layer)})
    return read_parquet(path, list(columns))


def activations_column(scan: ScanEntry, chunk: ChunkRecord, layer: int) -> pa.ChunkedArray:
    """Vectors of one chunk at a layer, in corpus order; null where a sample has none.

    Raises:
        StoreCorrupt: the file is damaged, or is that of another chunk.
    """
    path = scan.paths.chunk(chunk.index) / schema.ACTIVATIONS_FILE
    table = read_parquet(path, [schema.SAMPLE_ID, schema.layer_column(layer)])
    _refuse_other_samples(table, chunk, path)
    return table[schema.layer_column(layer)]


def _refuse_other_samples(table: pa.Table, chunk: ChunkRecord, path: Path) -> None:
    ids = range(chunk.first_sample, chunk.first_sample + chunk.n_samples)
    if not holds_samples(table, ids):
        raise StoreCorrupt(
            f"{path} is damaged: its samples are not {ids.start}-{ids.stop - 1}; run 'llm-mri verify' to see "
            "what else is, and 'llm-mri repair' to drop it"
        )


def holds_samples(table: pa.Table, sample_ids: range) -> bool:
    """True for a table of just these samples, in order."""
    found = table[schema.SAMPLE_ID]
    # The length first: a hostile record may name more samples than memory holds.
    return (
        pa.types.is_integer(found.type)
        and len(found) == len(sample_ids)
        and np.array_equal(found.to_numpy(), np.arange(sample_ids.start, sample_ids.stop))
    )


def _points_digest(reduction: ReductionEntry, layer: int) -> str | None:
    return reduction.record.files.get(f"{schema.POINTS_FOLDER}/{schema.points_file(layer)}")


def refuse_damaged(selection: Selection, query: str | None) -> None:
    """Refuses a query of files that are not as they were committed.

    A file counts where the query names a view of it; all do where there is no query. Activations count by
    their sample ids alone: they may be many times what a query reads of them, so that the checksums of their
    pages are checked instead, as they are read.

    Raises:
        StoreCorrupt: one is damaged or missing.
    """
    words = None if query is None or "query_table" in query.lower() else query.lower()

    def is_named(*views: str) -> bool:
        return words is None or re.search(rf"\b({'|'.join(views)})\b", words) is not None

    files: dict[Path, str | None] = {}
    for one in selection.opened:
        if is_named(schema.SAMPLES_VIEW, schema.TERMS_VIEW, schema.POINTS_VIEW):
            for chunk in one.scan.chunks:
                path = one.scan.paths.chunk(chunk.index) / schema.SAMPLES_FILE
                files[path] = chunk.files.get(schema.SAMPLES_FILE)
        if one.reduction is not None and is_named(schema.POINTS_VIEW):
            for layer in one.reduction.layers:
                files[one.reduction.points_file(layer)] = _points_digest(one.reduction, layer)
        for result in one.results:
            for table in filter(is_named, schema.RESULT_KINDS[result.kind].tables):
                refuse_damaged_result(result)
                files[result.file(table)] = result.digest(table)
    refuse_changed(files)
    if is_named(schema.ACTIVATIONS_VIEW):
        for one in selection.opened:
            for chunk in () if one.scan.is_pruned else one.scan.chunks:
                _refuse_other_activations(one.scan, chunk)


def _refuse_other_activations(scan: ScanEntry, chunk: ChunkRecord) -> None:
    """Holds the sample ids of a chunk's activations against its record, once for the file as it stands."""
    path = scan.paths.chunk(chunk.index) / schema.ACTIVATIONS_FILE
    look = signature_of(path)
    if _own_samples.get(path) != look:
        _refuse_other_samples(read_parquet(path, [schema.SAMPLE_ID]), chunk, path)
        _own_samples[path] = look


def refuse_damaged_result(result: ResultEntry) -> None:
    """Refuses a result that has no record: what it said is missing among the others of its kind.

    Raises:
        StoreCorrupt: it is damaged.
    """
    if result.record is None:
        raise StoreCorrupt(
            f"result {result.address!r} is damaged; remove it with 'llm-mri rm {result.address}' (or with "
            "'llm-mri repair'), then make it anew"
        )
