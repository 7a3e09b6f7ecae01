"""Verify: every file against its digest, and the tables against each other."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import StoreCorrupt, StoreTooNew, UnknownName
from llm_mri_store.records.jobs import Problem, Progress, ProgressCallback, no_progress
from llm_mri_store.records.reductions import ReductionRecord
from llm_mri_store.records.results import ResultRecord, result_source
from llm_mri_store.records.scans import (
    ChunkRecord,
    PrunedRecord,
    ScanRecord,
    ScanSpec,
    chunks_digest,
    scan_identity,
    written_identity,
)
from llm_mri_store.store.catalogue import DESKTOP_FILES, is_possible
from llm_mri_store.store.files import read_json, read_parquet, sha256_of
from llm_mri_store.store.paths import ScanPaths, StorePaths, is_name
from llm_mri_store.store.tables import holds_samples

RecordT = TypeVar("RecordT")

Found = tuple[str, str, str | None]
"""Where, what, and the part of the store that is lost by it (``Problem``)."""

_MOST_MISSING: Final = 10_000
_STRANGE: Final = "this is no part of what was committed; move it elsewhere"


def verify_store(
    store: StorePaths, scan: str | None = None, *, progress: ProgressCallback = no_progress
) -> list[Problem]:
    """Everything that is wrong with a store's files; an empty list is good.

    A file is compared with the sha256 recorded when it was committed, so a single flipped bit shows, and
    a record with the digest it ends in. Beyond that the tables must agree: each chunk holds the samples
    of its range, every points file the samples of its scan in order, a reduction was made of the
    chunks that are there, and a result of them and of the reduction that is there.

    Raises:
        UnknownName: there is no such scan.
    """
    known = _listing(store.scans)
    problems: list[Found] = []
    if scan is None:
        own = {schema.STORE_FILE, schema.SCANS_FOLDER, schema.STAGING_FOLDER}
        problems += _strangers(store.root, own)
    elif scan not in known:
        raise UnknownName("scan", scan, known=known, where=f"store {store.root}")
    names = known if scan is None else [scan]
    for place, name in enumerate(names):
        progress(Progress(job="verify", done=place, total=len(names), note=name))
        folder = store.scans / name
        if not is_name(name) or not folder.is_dir():
            problems.append((str(folder), "no scan has such a name; move it elsewhere", None))
        else:
            problems += _scan_problems(ScanPaths(folder))
    progress(Progress(job="verify", done=len(names), total=len(names)))
    return [
        Problem(
            where=store.relative(Path(where)),
            what=what,
            part=None if part is None else store.relative(Path(part)),
        )
        for where, what, part in problems
    ]


def _listing(folder: Path) -> list[str]:
    """Names in a folder, sorted, but for what desktops leave there."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.name not in DESKTOP_FILES)


def _strangers(folder: Path, own: Collection[str]) -> Iterator[Found]:
    for name in _listing(folder):
        if name not in own:
            yield str(folder / name), _STRANGE, None


def _read_record(
    path: Path, record_type: type[RecordT], problems: list[Found], *, part: Path | None
) -> RecordT | None:
    """A record, or None where it is not as committed: nothing else can be held against what it says."""
    lost = None if part is None else str(part)
    try:
        record = read_json(path, record_type)
    except StoreCorrupt as error:
        # What may not be read just now, or not by this version, is not lost.
        is_there = isinstance(error, StoreTooNew) or (
            isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError)
        )
        problems.append((str(path), str(error), None if is_there else lost))
        return None
    return record


def _scan_problems(paths: ScanPaths) -> list[Found]:
    own = {
        *(schema.SCAN_FILE, schema.PRUNED_FILE),
        *(schema.CHUNKS_FOLDER, schema.REDUCTIONS_FOLDER, schema.RESULTS_FOLDER),
    }
    problems = list(_strangers(paths.folder, own))
    record = _read_record(paths.record, ScanRecord, problems, part=None)
    if record is None:
        return problems
    if record.identity not in {scan_identity(record.spec), written_identity(paths.record.read_bytes())}:
        return [*problems, (str(paths.record), "its identity is not that of its inputs", None)]
    if not is_possible(record.spec):
        return [*problems, (str(paths.record), "no scan has such samples, chunks, layers or width", None)]
    chunks = _all_chunks(paths, record.spec, problems)
    whole = chunks if len(chunks) == record.spec.n_chunks else None
    _check_results(paths.results(), None if whole is None else result_source(tuple(whole), None), problems)
    for name in _listing(paths.reductions):
        folder = paths.reductions / name
        if not is_name(name) or not folder.is_dir():
            problems.append((str(folder), "no reduction has such a name; move it elsewhere", None))
        else:
            reduction = _check_reduction(folder, record.spec, whole, problems)
            known = whole is not None and reduction is not None
            source = result_source(tuple(whole or ()), reduction) if known else None
            _check_results(paths.results(name), source, problems)
    return problems


def _all_chunks(paths: ScanPaths, spec: ScanSpec, problems: list[Found]) -> list[ChunkRecord]:
    """Records of the chunks that can be read."""
    found = set(_listing(paths.chunks))
    indices = sorted(index for name in found if (index := _chunk_index(name)) in range(spec.n_chunks))
    for name in sorted(found.difference(map(schema.chunk_folder, indices))):
        what = "no chunk of this scan has this name; move it elsewhere"
        problems.append((str(paths.chunks / name), what, None))
    is_pruned = (
        paths.pruned.is_file() and _read_record(paths.pruned, PrunedRecord, problems, part=None) is not None
    )
    tables = (schema.SAMPLES_FILE,) if is_pruned else (schema.SAMPLES_FILE, schema.ACTIVATIONS_FILE)
    chunks: list[ChunkRecord] = []
    following = 0
    for index in indices:
        problems += _gap(paths, range(following, index))
        record = _check_chunk(paths.chunk(index), index, spec, problems, tables=tables)
        chunks += [record] if record is not None else []
        following = index + 1
    return chunks


def _chunk_index(name: str) -> int:
    """The chunk whose folder has this name; -1 where none has."""
    index = int(name) if name.isdecimal() else -1
    return index if schema.chunk_folder(index) == name else -1


def _gap(paths: ScanPaths, missing: range) -> Iterator[Found]:
    """Chunks that are missing before one that is there; a gap that only a hostile folder makes is one."""
    way_out = "missing while later ones are there; run the scan command again to make"
    if len(missing) > _MOST_MISSING:
        what = f"this chunk and the {len(missing) - 1:,} behind it are {way_out} them anew"
        yield str(paths.chunk(missing.start)), what, None
    else:
        for index in missing:
            yield str(paths.chunk(index)), f"this chunk is {way_out} it anew", None


def _check_chunk(
    folder: Path, index: int, spec: ScanSpec, problems: list[Found], *, tables: Sequence[str]
) -> ChunkRecord | None:
    path = folder / schema.CHUNK_FILE
    record = _read_record(path, ChunkRecord, problems, part=folder)
    if record is None:
        return None
    ids = spec.chunk_range(index)
    if (record.index, record.first_sample, record.n_samples) != (index, ids.start, len(ids)):
        what = f"it says it holds other samples than {ids.start}-{ids.stop - 1}"
        problems.append((str(path), what, str(folder)))
    # Activations that were removed on purpose are looked for nowhere.
    apart = None if schema.ACTIVATIONS_FILE in tables else schema.ACTIVATIONS_FILE
    files = {name: digest for name, digest in record.files.items() if name != apart}
    damaged = list(_file_problems(folder, files, schema.CHUNK_FILE, apart=apart))
    problems += damaged
    if not damaged:
        for name in tables:
            problems += _row_problems(folder / name, ids, part=folder)
    return record


def _check_reduction(
    folder: Path, spec: ScanSpec, chunks: Sequence[ChunkRecord] | None, problems: list[Found]
) -> ReductionRecord | None:
    path = folder / schema.REDUCTION_FILE
    record = _read_record(path, ReductionRecord, problems, part=folder)
    if record is None:
        return None
    if chunks is not None and record.source != chunks_digest(tuple(chunks)):
        what = "it was made from other activations than the scan holds now; remove it and reduce again"
        problems.append((str(path), what, str(folder)))
    damaged = list(_file_problems(folder, record.files, schema.REDUCTION_FILE, apart=schema.RESULTS_FOLDER))
    problems += damaged
    for one in () if damaged else record.layers:
        file = folder / schema.POINTS_FOLDER / schema.points_file(one.layer)
        problems += _row_problems(file, range(spec.n_samples), part=folder)
    return record


def _check_results(folder: Path, source: str | None, problems: list[Found]) -> None:
    """Checks the results of a scan or a reduction, of whatever kinds: later versions may know more.

    Args:
        folder: the folder they lie in.
        source: what a current result is made from; None where that cannot be known.
        problems: what is found is added to them.
    """
    for kind in _listing(folder):
        for name in _listing(folder / kind):
            if not is_name(kind) or not is_name(name) or not (folder / kind / name).is_dir():
                what = "no result has such a name; move it elsewhere"
                problems.append((str(folder / kind / name), what, None))
            else:
                _check_result(folder / kind / name, source, problems)
        if not (folder / kind).is_dir():
            problems.append((str(folder / kind), _STRANGE, None))


def _check_result(folder: Path, source: str | None, problems: list[Found]) -> None:
    path = folder / schema.RESULT_FILE
    record = _read_record(path, ResultRecord, problems, part=folder)
    if record is None:
        return
    if (record.spec.kind, record.spec.name) != (folder.parent.name, folder.name):
        what = f"it says it is result {record.spec.name!r} of kind {record.spec.kind!r}; move it back there"
        problems.append((str(path), what, None))
    if source is not None and record.source != source:
        what = (
            "it was made from other activations, or from another reduction, than are there now, and is seen "
            "nowhere; remove it, or ask for it again"
        )
        problems.append((str(path), what, str(folder)))
    problems += _file_problems(folder, record.files, schema.RESULT_FILE)


def _file_problems(
    folder: Path, digests: Mapping[str, str], record_name: str, *, apart: str | None = None
) -> Iterator[Found]:
    """Files of a folder that are not as committed, and those that are not its own.

    What lies in the folder ``apart`` of it is looked at elsewhere.
    """
    for name, digest in digests.items():
        path = folder / name
        try:
            if not _is_own(folder, path):
                yield (
                    str(folder / record_name),
                    f"it names {name[:80]!r}, which is no file of its own",
                    str(folder),
                )
            elif sha256_of(path) != digest:
                yield (
                    str(path),
                    "the file is damaged: its bytes are not those that were committed (sha256 differs)",
                    str(folder),
                )
        except FileNotFoundError:
            yield str(path), "the file is missing", str(folder)
        except OSError as error:
            # What may not be read just now is not lost.
            yield str(path), f"the file cannot be read: {error.strerror}", None
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if apart is not None and name.partition("/")[0] == apart:
            continue
        if path.is_file() and name not in {*digests, record_name} and path.name not in DESKTOP_FILES:
            yield str(path), _STRANGE, None


def _is_own(folder: Path, path: Path) -> bool:
    """True for a plain file below the folder, or none: a hostile record may name a device, or any file."""
    return path.resolve().is_relative_to(folder.resolve()) and (path.is_file() or not path.exists())


def _row_problems(path: Path, sample_ids: range, *, part: Path) -> Iterator[Found]:
    try:
        table = read_parquet(path, [schema.SAMPLE_ID])
    except (StoreCorrupt, pa.ArrowException) as error:
        yield str(path), str(error), str(part)
        return
    if not holds_samples(table, sample_ids):
        yield str(path), f"its samples are not {sample_ids[0]}-{sample_ids[-1]} in order", str(part)
