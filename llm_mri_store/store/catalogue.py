"""What a store holds: the listing of its folders is the only manifest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Final

from llm_mri_store import schema
from llm_mri_store.errors import AlreadyThere, StoreCorrupt, UnknownName, WriteFailed
from llm_mri_store.records.reductions import ReductionRecord
from llm_mri_store.records.scans import (
    PROVENANCE_FIELDS,
    ChunkRecord,
    ScanRecord,
    ScanSpec,
    StoreRecord,
    scan_identity,
)
from llm_mri_store.records.words import spec_differences
from llm_mri_store.store.commit import commit_folder, remove_folder, sweep_files, write_file_once
from llm_mri_store.store.files import read_json, reading, sealed_json, write_json
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import ScanPaths, StorePaths, is_name

DESKTOP_FILES: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What desktops leave in folders they have shown."""

_MOST: Final = 2**48
_VERSIONED: Final = ("llm-mri-store", "torch", "transformers", "tokenizers", "pyarrow", "numpy", "scipy")


def versions() -> dict[str, str]:
    """Versions of the packages that decide a stored number; packages not installed are left out."""
    found = {}
    for package in _VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def now() -> str:
    """The time in UTC to the second, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def open_store(root: Path) -> StorePaths:
    """Paths of an existing store, its format checked.

    Raises:
        StoreCorrupt: the folder is no store, or of a newer format.
    """
    store = StorePaths(root)
    with reading(root):
        if not store.record.is_file():
            raise StoreCorrupt(_why_no_store(store))
    # A lost one is written anew by hand.
    read_json(store.record, StoreRecord, may_lack_digest=True)
    return store


def _why_no_store(store: StorePaths) -> str:
    if store.scans.is_dir():
        return (
            f"{store.record} is missing though there are scans beside it; bring it back as a file that holds "
            f'{{"format": {schema.FORMAT_VERSION}}}'
        )
    there = "has no store.json" if store.root.is_dir() else "does not exist"
    return f"{store.root} is no store (it {there}); name one with --store, or make one with 'llm-mri scan'"


def ensure_store(root: Path) -> StorePaths:
    """Paths of a store, made if there is none yet.

    Raises:
        AlreadyThere: the folder holds something else.
        WriteFailed: it cannot be made.
    """
    store = StorePaths(root)
    with reading(root):
        is_store = store.record.is_file()
        holds_more = not is_store and root.is_dir() and any(_is_stranger(path) for path in root.iterdir())
        # Another process may have made the store between the two looks.
        if holds_more and not store.record.is_file():
            if store.scans.is_dir():
                raise StoreCorrupt(_why_no_store(store))
            raise AlreadyThere(
                f"{root} holds files but is no store; name an empty or new folder with --store"
            )
    if not is_store:
        write_file_once(store.record, sealed_json(StoreRecord()), staging=store.staging)
    sweep_files(store.staging)
    return open_store(root)


def _is_stranger(path: Path) -> bool:
    return path.name != schema.STAGING_FOLDER and path.name not in DESKTOP_FILES


def scan_names(store: StorePaths) -> tuple[str, ...]:
    """Names of the scans, sorted."""
    return named_folders(store.scans)


def reduction_names(scan: ScanPaths) -> tuple[str, ...]:
    """Names of a scan's reductions, sorted."""
    return named_folders(scan.reductions)


def named_folders(parent: Path) -> tuple[str, ...]:
    """Folders with a name that a part of a store may have, sorted; a copy called ``news (2)`` is none.

    One without its record counts: it was committed with one, so that reading it says what is lost.
    """
    with reading(parent):
        if not parent.is_dir():
            return ()
        return tuple(sorted(path.name for path in parent.iterdir() if is_name(path.name) and path.is_dir()))


@dataclass(frozen=True, slots=True)
class ScanEntry:
    """A scan as it stands: its record and the chunks that are committed.

    Attributes:
        is_pruned: its activations were removed (``llm-mri prune``); samples and reductions are there.
    """

    name: str
    paths: ScanPaths
    record: ScanRecord
    chunks: tuple[ChunkRecord, ...]
    is_pruned: bool

    @property
    def spec(self) -> ScanSpec:
        """The scan's spec."""
        return self.record.spec

    @property
    def is_complete(self) -> bool:
        """True when every chunk is committed."""
        return len(self.chunks) == self.spec.n_chunks

    @property
    def n_stored(self) -> int:
        """Samples committed so far."""
        return sum(chunk.n_samples for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class ReductionEntry:
    """A reduction as it stands."""

    name: str
    folder: Path
    record: ReductionRecord

    def points_file(self, layer: int) -> Path:
        """Parquet file of one layer's points."""
        return self.folder / schema.POINTS_FOLDER / schema.points_file(layer)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers reduced, ascending."""
        return tuple(one.layer for one in self.record.layers)


def find_scan(store: StorePaths, name: str) -> ScanEntry:
    """A scan by its name.

    Raises:
        UnknownName: there is no such scan.
        StoreCorrupt: its records are damaged.
    """
    names = scan_names(store)
    if name not in names:
        raise UnknownName("scan", name, known=names, where=f"store {store.root}")
    paths = store.scan(name)
    record = read_json(paths.record, ScanRecord)
    _refuse_absurd(record.spec, paths.record)
    with reading(paths.chunks):
        folders = paths.chunk_folders()
    chunks = tuple(_read_chunk(folder) for folder in folders)
    return ScanEntry(name, paths, record, chunks, is_pruned=paths.pruned.is_file())


def _refuse_absurd(spec: ScanSpec, path: Path) -> None:
    if not is_possible(spec):
        raise StoreCorrupt(
            f"{path} is damaged: no scan has such samples, chunks, layers or width; restore it (what else is "
            "damaged: 'llm-mri verify')"
        )


def is_possible(spec: ScanSpec) -> bool:
    """True when a scan can have such numbers; a damaged or edited record may hold any."""
    least = min(spec.n_samples, spec.chunk_samples, spec.hidden_size, 1 + min(spec.layers, default=-1))
    most = max(spec.n_samples, spec.chunk_samples, spec.hidden_size, *spec.layers, *spec.chunk_ends, 0)
    ends = (0, *spec.chunk_ends)
    return (
        least >= 1
        and most <= _MOST
        and all(one <= other for one, other in pairwise(ends))  # a chunk of empty texts has no token
        and (ends[-1] == spec.n_samples or not spec.chunk_ends)
    )


def _read_chunk(folder: Path) -> ChunkRecord:
    path = folder / schema.CHUNK_FILE
    record = read_json(path, ChunkRecord)
    numbers = (record.index, record.first_sample, record.n_samples)
    if schema.chunk_folder(record.index) != folder.name or not 0 <= min(numbers) <= max(numbers) <= _MOST:
        raise StoreCorrupt(
            f"{path} is damaged: it says it is of chunk {record.index}, {record.n_samples} samples from "
            f"{record.first_sample} on; restore it, or run 'llm-mri repair'"
        )
    return record


def find_reduction(scan: ScanEntry, name: str) -> ReductionEntry:
    """A reduction by its name.

    Raises:
        UnknownName: there is no such reduction.
        StoreCorrupt: its record is damaged.
    """
    names = reduction_names(scan.paths)
    if name not in names:
        raise UnknownName("reduction", name, known=names, where=f"scan {scan.name!r}")
    folder = scan.paths.reduction(name)
    record = read_json(folder / schema.REDUCTION_FILE, ReductionRecord)
    if not _is_possible_reduction(record):
        raise StoreCorrupt(
            f"{folder / schema.REDUCTION_FILE} is damaged: it names no points, or no such grid; restore it, "
            "or run 'llm-mri repair'"
        )
    return ReductionEntry(name, folder, record)


def _is_possible_reduction(record: ReductionRecord) -> bool:
    """True when it names points, and as many bin edges as its grid needs: a query counts over all cells."""
    n_edges = 0 if record.spec.grid is None else record.spec.grid + 1
    return (
        bool(record.layers)
        and 1 <= record.spec.n_components <= _MOST
        and all({len(one.edges_x), len(one.edges_y)} == {n_edges} for one in record.layers)
    )


def begin_scan(
    store: StorePaths,
    name: str,
    spec: ScanSpec,
    *,
    staging: Path,
    notes: tuple[str, ...],
    read_at: tuple[str, ...] = (),
) -> None:
    """Commits a new scan's record; an existing one must be of the same identity.

    Raises:
        AlreadyThere: the name is taken by a scan of other inputs.
    """
    paths = store.scan(name)
    if paths.record.is_file():
        recorded = read_json(paths.record, ScanRecord)
        # Not the identity that was recorded: an earlier version knew fewer inputs.
        if scan_identity(recorded.spec) != scan_identity(spec):
            differences = spec_differences(recorded.spec, spec, ignore=PROVENANCE_FIELDS)
            raise AlreadyThere(
                f"scan {name!r} exists with other inputs ({differences}); choose another name with --name, "
                f"or remove it with 'llm-mri rm {name}'"
            )
        return
    twin = next((one for one in scan_names(store) if one.lower() == name.lower()), None)
    if twin is not None:
        raise AlreadyThere(
            f"scan {twin!r} exists, and some file systems and SQL cannot tell {name!r} from it; choose "
            "another name with --name"
        )
    record = ScanRecord(
        identity=scan_identity(spec),
        created=now(),
        versions=versions(),
        notes=notes,
        read_at=read_at,
        spec=spec,
    )
    with commit_folder(paths.folder, staging=staging) as folder:
        write_json(folder / schema.SCAN_FILE, record)


def remove_scan(store: StorePaths, name: str) -> None:
    """Removes a scan with its reductions.

    Raises:
        UnknownName: there is no such scan.
        StoreBusy: it is being written.
        WriteFailed: it cannot be removed; or it is, but not all of its files can be deleted.
    """
    refuse_missing(store, name)
    with scan_lock(store, name) as staging:
        remove_folder(store.scan(name).folder, staging=staging)
    # The lock's end tried once more; no one else would look for it, as the scan is gone.
    if staging.exists():
        raise WriteFailed(
            f"scan {name!r} is removed, but not all of its files can be deleted; what is left lies in "
            f"{staging}: delete that folder"
        )


def remove_reduction(store: StorePaths, scan: str, name: str) -> None:
    """Removes one reduction of a scan.

    Raises:
        UnknownName: there is no such scan or reduction.
        StoreBusy: the scan is being written.
    """
    refuse_missing(store, scan, name)
    with scan_lock(store, scan) as staging:
        remove_folder(store.scan(scan).reduction(name), staging=staging)


def refuse_missing(store: StorePaths, scan: str, reduction: str | None = None) -> None:
    """Refuses a scan or reduction whose folder is not there; a damaged one may still be removed.

    Raises:
        UnknownName: it is not there.
    """
    scans = _folders(store.scans)
    if scan not in scans:
        raise UnknownName("scan", scan, known=scans, where=f"store {store.root}")
    if reduction is not None and reduction not in (known := _folders(store.scan(scan).reductions)):
        raise UnknownName("reduction", reduction, known=known, where=f"scan {scan!r}")


def _folders(parent: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in parent.iterdir())) if parent.is_dir() else ()
