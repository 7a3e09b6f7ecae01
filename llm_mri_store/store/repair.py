"""Repair: what is damaged goes, so that the command that made it makes it anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

from llm_mri_store import schema
from llm_mri_store.records.jobs import LostPart, Problem, ProgressCallback, no_progress
from llm_mri_store.store.catalogue import refuse_missing
from llm_mri_store.store.commit import remove_folder
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.verify import verify_store


def repair_scan(
    store: StorePaths,
    scan: str,
    *,
    agree: Callable[[Sequence[LostPart]], bool],
    progress: ProgressCallback = no_progress,
) -> tuple[tuple[LostPart, ...], tuple[Problem, ...]]:
    """Removes the parts of a scan that are damaged or stale, each by one rename; nothing else is touched.

    What is sound stays: the same scan command makes only the chunks that are gone, bit for bit where machine
    and versions are the same, so that reductions made from them hold again.

    Args:
        store: the store.
        scan: the scan; no one else can write it meanwhile.
        agree: told what would go, and asked whether it may; not asked where nothing would.
        progress: told how far the check is.

    Returns:
        The parts that were removed, and the problems that are left: those that removing does not mend, and
        all where it was not agreed to.

    Raises:
        UnknownName: there is no such scan.
        StoreBusy: it is being written.
        WriteFailed: the store cannot be written to.
    """
    refuse_missing(store, scan)
    with scan_lock(store, scan) as staging:
        problems = verify_store(store, scan, progress=progress)
        parts = lost_parts(problems)
        if not parts or not agree(parts):
            return (), tuple(problems)
        for one in parts:
            remove_folder(store.root / one.where, staging=staging)
    gone = {one.where for one in parts}
    return parts, tuple(one for one in problems if not _lies_in(one.part, gone))


def lost_parts(problems: Sequence[Problem]) -> tuple[LostPart, ...]:
    """What problems cost, outermost parts only, in the order of their places.

    >>> chunk = "scans/s/chunks/000001"
    >>> (one,) = lost_parts([Problem(where=f"{chunk}/chunk.json", what="the file is missing", part=chunk)])
    >>> one.kind, one.remedy
    ('chunk', 'run the scan command again')
    """
    reasons: dict[str, list[str]] = {}
    for problem in problems:
        if problem.part is not None:
            reasons.setdefault(problem.part, []).append(problem.what)
    outermost = [
        where
        for where in sorted(reasons)
        if not any(PurePosixPath(where).is_relative_to(other) for other in reasons if other != where)
    ]
    return tuple(_lost_part(where, reasons[where]) for where in outermost)


def _lost_part(where: str, reasons: Sequence[str]) -> LostPart:
    folders = PurePosixPath(where).parts
    if schema.RESULTS_FOLDER in folders[2:]:
        kind, remedy = "result", "ask for it again"
    elif folders[2] == schema.REDUCTIONS_FOLDER:
        kind, remedy = "reduction", "reduce again with the same choices"
    else:
        kind, remedy = "chunk", "run the scan command again"
    return LostPart(where=where, kind=kind, why="; ".join(dict.fromkeys(reasons)), remedy=remedy)


def _lies_in(part: str | None, gone: set[str]) -> bool:
    return part is not None and any(PurePosixPath(part).is_relative_to(other) for other in gone)
