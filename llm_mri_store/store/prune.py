"""Prune: a scan's activations go once it is reduced; samples, points and cells stay."""

from __future__ import annotations

from pathlib import Path

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput, WriteFailed
from llm_mri_store.records.scans import PrunedRecord
from llm_mri_store.store.catalogue import find_scan, now, reduction_names, refuse_missing
from llm_mri_store.store.commit import write_file_once
from llm_mri_store.store.files import flush, sealed_json
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import ScanPaths, StorePaths


def prunable_bytes(store: StorePaths, name: str) -> int:
    """Bytes of the activations that are there.

    Raises:
        UnknownName: there is no such scan.
        InvalidInput: the scan is not complete, or has no reduction.
    """
    scan = find_scan(store, name)
    if not scan.is_complete:
        raise InvalidInput(
            f"scan {name!r} is not complete ({scan.n_stored:,} of {scan.spec.n_samples:,} samples); run its "
            "scan command again to finish it before its activations are removed"
        )
    if not reduction_names(scan.paths):
        raise InvalidInput(
            f"scan {name!r} has no reduction, so that nothing would be left of its activations; reduce it "
            f"with 'llm-mri reduce {name}' first"
        )
    return sum(path.stat().st_size for path in _activations(scan.paths) if path.is_file())


def prune_scan(store: StorePaths, name: str) -> int:
    """Removes a scan's activations; a small record, committed first, says that they are meant to be gone.

    The chunks' own records stay as they were committed, so that reductions and results still name what they
    were made from. A prune that is interrupted is finished by the next.

    Returns:
        Bytes that were freed.

    Raises:
        UnknownName: there is no such scan.
        InvalidInput: the scan is not complete, or has no reduction.
        StoreBusy: it is being written.
        WriteFailed: the store cannot be written to, or a file of the activations cannot be deleted.
    """
    refuse_missing(store, name)
    with scan_lock(store, name) as staging:
        n_bytes = prunable_bytes(store, name)
        paths = store.scan(name)
        write_file_once(paths.pruned, sealed_json(PrunedRecord(created=now())), staging=staging)
        refused = [(path, error) for path in _activations(paths) if (error := _refused(path)) is not None]
    if refused:
        path, error = refused[0]
        raise WriteFailed(
            f"the activations of scan {name!r} are given up, but {len(refused):,} of their files cannot be "
            f"deleted ({path}: {error.strerror}); run 'llm-mri prune {name}' again"
        ) from error
    return n_bytes


def _activations(scan: ScanPaths) -> list[Path]:
    return sorted(scan.chunks.glob(f"*/{schema.ACTIVATIONS_FILE}"))


def _refused(path: Path) -> OSError | None:
    """Deletes a file for good; the operating system's refusal, if it refuses."""
    try:
        path.unlink(missing_ok=True)
        flush(path.parent)
    except OSError as error:
        return error
    return None
