"""Verify: every file against its digest, and the tables against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import StoreCorrupt, UnknownName
from llm_mri_store.records import (
    ChunkRecord,
    Problem,
    Progress,
    ProgressCallback,
    ReductionRecord,
    ScanRecord,
    ScanSpec,
    chunks_digest,
    no_progress,
    scan_identity,
)
from llm_mri_store.store.files import read_json, read_parquet, sha256_of
from llm_mri_store.store.paths import ScanPaths, StorePaths


def verify_store(
    store: StorePaths, scan: str | None = None, *, progress: ProgressCallback = no_progress
) -> list[Problem]:
    """Everything that is wrong with a store's files; an empty list is good.

    A file is compared with the sha256 recorded when it was committed, so a single flipped bit shows.
    Beyond that the tables must agree: each chunk holds the samples of its range, every points file
    the samples of its scan in order, and a reduction was made of the chunks that are there.

    Raises:
        UnknownName: there is no such scan.
    """
    folders = sorted(path for path in store.scans.iterdir() if path.is_dir()) if store.scans.is_dir() else []
    if scan is not None:
        known = [folder.name for folder in folders]
        if scan not in known:
            raise UnknownName("scan", scan, known=known, where=f"store {store.root}")
        folders = [folder for folder in folders if folder.name == scan]
    problems: list[Problem] = []
    for place, folder in enumerate(folders):
        progress(Progress(job="verify", done=place, total=len(folders), note=folder.name))
        problems += [
            Problem(where=store.relative(Path(where)), what=what)
            for where, what in _scan_problems(ScanPaths(folder))
        ]
    progress(Progress(job="verify", done=len(folders), total=len(folders)))
    return problems


Found = tuple[str, str]


def _scan_problems(paths: ScanPaths) -> Iterator[Found]:
    try:
        record = read_json(paths.record, ScanRecord)
    except StoreCorrupt as error:
        yield str(paths.record), str(error)
        return
    if record.identity != scan_identity(record.spec):
        yield (
            str(paths.record),
            "its identity is not that of its inputs: the file was changed after its commit",
        )
    chunks: list[ChunkRecord] = []
    found = {path.name: path for path in sorted(paths.chunks.iterdir())} if paths.chunks.is_dir() else {}
    expected = {schema.chunk_folder(index): index for index in range(record.spec.n_chunks)}
    for name in sorted(found.keys() - expected.keys()):
        yield str(found[name]), "no chunk of this scan has this name; remove it"
    last = max((expected[name] for name in found.keys() & expected.keys()), default=-1)
    for name, index in expected.items():
        if name in found:
            yield from _chunk_problems(found[name], index, record.spec, chunks)
        elif index < last:
            yield (
                str(paths.chunks / name),
                "this chunk is missing while later ones are there; run the scan command again to make it anew",
            )
    is_whole = len(chunks) == record.spec.n_chunks
    if paths.reductions.is_dir():
        for folder in sorted(paths.reductions.iterdir()):
            source = chunks_digest(tuple(chunks)) if is_whole else None
            yield from _reduction_problems(folder, record.spec, source)


def _chunk_problems(folder: Path, index: int, spec: ScanSpec, chunks: list[ChunkRecord]) -> Iterator[Found]:
    """Problems of one chunk; its record is added to ``chunks`` when it can be read."""
    path = folder / schema.CHUNK_FILE
    try:
        record = read_json(path, ChunkRecord)
    except StoreCorrupt as error:
        yield str(path), str(error)
        return
    chunks.append(record)
    ids = spec.chunk_range(index)
    if (record.index, record.first_sample, record.n_samples) != (index, ids.start, len(ids)):
        yield str(path), f"it says it holds other samples than {ids.start}-{ids.stop - 1}"
    damaged = list(_file_problems(folder, record.files, schema.CHUNK_FILE))
    yield from damaged
    if damaged:
        return
    for name in (schema.SAMPLES_FILE, schema.ACTIVATIONS_FILE):
        yield from _row_problems(folder / name, np.arange(ids.start, ids.stop))


def _reduction_problems(folder: Path, spec: ScanSpec, source: str | None) -> Iterator[Found]:
    path = folder / schema.REDUCTION_FILE
    try:
        record = read_json(path, ReductionRecord)
    except StoreCorrupt as error:
        yield str(path), str(error)
        return
    if source is not None and record.source != source:
        yield (
            str(path),
            "it was made from other activations than the scan holds now; remove it and reduce again",
        )
    damaged = list(_file_problems(folder, record.files, schema.REDUCTION_FILE))
    yield from damaged
    if damaged:
        return
    for one in record.layers:
        file = folder / schema.POINTS_FOLDER / schema.points_file(one.layer)
        if not file.is_file():
            yield str(file), "the layer's points are missing"
        else:
            yield from _row_problems(file, np.arange(spec.n_samples))


def _file_problems(folder: Path, digests: Mapping[str, str], record_name: str) -> Iterator[Found]:
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            yield str(path), "the file is missing"
        elif sha256_of(path) != digest:
            yield (
                str(path),
                "the file is damaged: its bytes are not those that were committed (sha256 differs)",
            )
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in digests and name != record_name:
            yield str(path), "this file is no part of what was committed"


def _row_problems(path: Path, sample_ids: np.ndarray) -> Iterator[Found]:
    try:
        table = read_parquet(path, [schema.SAMPLE_ID])
    except (StoreCorrupt, pa.ArrowException) as error:
        yield str(path), str(error)
        return
    if not np.array_equal(table[schema.SAMPLE_ID].to_numpy(), sample_ids):
        yield str(path), f"its samples are not {sample_ids[0]}-{sample_ids[-1]} in order"
