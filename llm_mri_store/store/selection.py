"""What a connection opens: scans, their reductions and results, and why a view is not there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llm_mri_store import schema
from llm_mri_store.store.catalogue import (
    ReductionEntry,
    ScanEntry,
    find_reduction,
    find_scan,
    reduction_names,
    scan_names,
)
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.results import ResultEntry, find_results


@dataclass(frozen=True, slots=True)
class Opened:
    """A scan a connection shows, which of its reductions, and the results made of the two.

    Attributes:
        scan: the scan.
        reduction: the chosen reduction.
        results: the results of the scan and of the reduction that can be seen, and those that are damaged.
    """

    scan: ScanEntry
    reduction: ReductionEntry | None
    results: tuple[ResultEntry, ...] = ()

    def result_files(self) -> dict[str, list[Path]]:
        """Table of results -> its Parquet files, for the tables that have any."""
        files: dict[str, list[Path]] = {}
        for one in self.results:
            for table in schema.RESULT_KINDS[one.kind].tables if one.is_current else ():
                files.setdefault(table, []).append(one.file(table))
        return files


@dataclass(frozen=True, slots=True)
class Selection:
    """What a connection opens.

    Attributes:
        store: the store.
        opened: scans side by side; the first one's views stand in the main schema, and each one's
            in a schema of the scan's name.
        absent: view -> why it is not there, for the message when SQL asks for it.
    """

    store: StorePaths
    opened: tuple[Opened, ...]
    absent: Mapping[str, str]


def select(store: StorePaths, scans: Sequence[str] = (), reduction: str | None = None) -> Selection:
    """What to open: scans by name, each ``scan`` or ``scan/reduction``.

    A store's only scan and a scan's only reduction need no naming; where there are several and
    none is named, the views that would need one are absent.

    Args:
        store: the store.
        scans: names; the first is the chosen one.
        reduction: reduction of the first scan.

    Raises:
        UnknownName: a scan or reduction is not there.
    """
    known = scan_names(store)
    wanted = tuple(scans) or (known if len(known) == 1 else ())
    if not wanted:
        why = (
            f"the store holds several scans ({', '.join(known)}); choose one with --scan"
            if known
            else "the store holds no scan yet; make one with 'llm-mri scan'"
        )
        return Selection(store, (), dict.fromkeys(_views_of_a_scan(), why))
    opened = tuple(
        open_scan(store, name, reduction if place == 0 else None) for place, name in enumerate(wanted)
    )
    return Selection(store, opened, _absent_views(opened[0]))


def open_scan(store: StorePaths, name: str, reduction: str | None = None) -> Opened:
    """A scan named ``scan`` or ``scan/reduction``, with its reduction if it is named or the only one.

    Raises:
        UnknownName: the scan or the reduction is not there.
    """
    scan_name, _, of_name = name.partition("/")
    scan = find_scan(store, scan_name)
    reduction = reduction or of_name or None
    if reduction is None:
        names = reduction_names(scan.paths)
        reduction = names[0] if len(names) == 1 else None
    chosen = find_reduction(scan, reduction) if reduction else None
    found = [*find_results(scan), *(find_results(scan, chosen) if chosen is not None else ())]
    return Opened(scan, chosen, tuple(one for one in found if one.is_current or one.record is None))


def why_no_reduction(scan: ScanEntry) -> str:
    """One sentence on why a scan's reduction must be named or made."""
    names = reduction_names(scan.paths)
    if names:
        return f"scan {scan.name!r} has several reductions ({', '.join(names)}); choose one with -r"
    return f"scan {scan.name!r} has no reduction yet; make one with 'llm-mri reduce {scan.name}'"


def why_no_activations(scan: ScanEntry) -> str:
    """One sentence on activations that were removed."""
    return (
        f"the activations of scan {scan.name!r} were removed ('llm-mri prune'); its samples, points and "
        "cells are there; scan again under another --name for the activations"
    )


def _views_of_a_scan() -> list[str]:
    results = [table for kind in schema.RESULT_KINDS.values() for table in kind.tables]
    return [*schema.SCAN_VIEWS, *schema.REDUCTION_VIEWS, *results]


def _absent_views(chosen: Opened) -> dict[str, str]:
    if not chosen.scan.chunks:
        why = f"scan {chosen.scan.name!r} has no committed chunk yet; run its scan command again"
        return dict.fromkeys(_views_of_a_scan(), why)
    absent: dict[str, str] = {}
    if chosen.scan.is_pruned:
        absent[schema.ACTIVATIONS_VIEW] = why_no_activations(chosen.scan)
    if chosen.reduction is None:
        absent |= dict.fromkeys(schema.REDUCTION_VIEWS, why_no_reduction(chosen.scan))
    seen = chosen.result_files()
    for name, kind in schema.RESULT_KINDS.items():
        missing = [table for table in kind.tables if table not in seen]
        if missing:
            absent |= dict.fromkeys(missing, _why_no_result(chosen, name))
    return absent


def _why_no_result(chosen: Opened, name: str) -> str:
    kind = schema.RESULT_KINDS[name]
    if kind.of_reduction and chosen.reduction is None:
        return why_no_reduction(chosen.scan)
    of_name = chosen.reduction.name if kind.of_reduction and chosen.reduction is not None else None
    owner = f"scan {chosen.scan.name!r}" if of_name is None else f"reduction {chosen.scan.name}/{of_name}"
    way = kind.way.format(scan=chosen.scan.name, reduction=of_name)
    return f"{owner} has no such result; make one with '{way}'"
