"""Results of analyses: rows kept beside what they were made from, with their parameters and seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import AlreadyThere, InvalidInput, StoreCorrupt, UnknownName
from llm_mri_store.records.reductions import ReductionRecord
from llm_mri_store.records.results import ResultRecord, ResultSpec, result_source
from llm_mri_store.store.catalogue import (
    ReductionEntry,
    ScanEntry,
    named_folders,
    refuse_missing,
)
from llm_mri_store.store.commit import remove_folder
from llm_mri_store.store.digests import refuse_changed
from llm_mri_store.store.files import read_json, read_parquet
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths, check_name


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultEntry:
    """A result as it stands.

    Attributes:
        kind, name: as its folders are called.
        address: what ``llm-mri rm`` calls it.
        reduction: name of the reduction it was made from; None for one made from the scan alone.
        record: what its ``result.json`` says; None where that is damaged.
        is_current: what it was made from is what is there now, and its tables have the columns of this
            version. Any other result is seen nowhere.
    """

    kind: str
    name: str
    address: str
    reduction: str | None
    folder: Path
    record: ResultRecord | None
    is_current: bool

    def file(self, table: str) -> Path:
        """Parquet file of its rows of one table."""
        return self.folder / schema.result_table_file(table)

    def digest(self, table: str) -> str | None:
        """Digest that this file was committed with; None where no record says so."""
        return None if self.record is None else self.record.files.get(schema.result_table_file(table))


def find_results(scan: ScanEntry, reduction: ReductionEntry | None = None) -> tuple[ResultEntry, ...]:
    """Every result made of a scan itself, or of one of its reductions, by kind and name.

    One whose record or file is damaged or missing is there without a record, so that it does not stand
    in the way of the others.
    """
    of_name = None if reduction is None else reduction.name
    folder = scan.paths.results(of_name)
    source = source_of(scan, reduction)
    return tuple(
        _read_entry(folder / kind / name, scan.name, of_name, source)
        for kind in sorted(schema.RESULT_KINDS)
        for name in named_folders(folder / kind)
    )


def source_of(scan: ScanEntry, reduction: ReductionEntry | None) -> str:
    """Digest of what a result made from them now is made from."""
    record: ReductionRecord | None = None if reduction is None else reduction.record
    return result_source(scan.chunks, record)


def _read_entry(folder: Path, scan: str, reduction: str | None, source: str) -> ResultEntry:
    kind, name = folder.parent.name, folder.name
    record: ResultRecord | None
    try:
        record = read_json(folder / schema.RESULT_FILE, ResultRecord)
    except StoreCorrupt:
        record = None
    if record is not None and (
        (record.spec.kind, record.spec.name) != (kind, name) or not _is_seed(record.spec)
    ):
        record = None
    columns = declared_columns(kind)
    is_current = record is not None and record.source == source and record.columns == columns
    if is_current and not all((folder / schema.result_table_file(table)).is_file() for table in columns):
        record, is_current = None, False
    return ResultEntry(
        kind=kind,
        name=name,
        address="/".join(filter(None, (scan, reduction, kind, name))),
        reduction=reduction,
        folder=folder,
        record=record,
        is_current=is_current,
    )


def _is_seed(spec: ResultSpec) -> bool:
    """True for what a column of 64-bit integers can hold."""
    return spec.seed is None or -(2**63) <= spec.seed < 2**63


def declared_columns(kind: str) -> dict[str, tuple[str, ...]]:
    """Table -> its columns as a record names them, in this version."""
    return {
        table: tuple(f"{field.name} {field.type}" for field in schema.result_schema(kind, table))
        for table in schema.RESULT_KINDS[kind].tables
    }


def find_result(
    scan: ScanEntry, spec: ResultSpec, *, reduction: ReductionEntry | None = None, replace: bool = False
) -> ResultEntry | None:
    """The current result of exactly these choices; None where it must be made (anew).

    Args:
        scan: the scan it is made from.
        spec: its kind, name and choices.
        reduction: the reduction it is made from, where its kind needs one.
        replace: one of other choices will give way, and counts as none.

    Raises:
        AlreadyThere: the name is taken by a current result of other choices.
        InvalidInput, UnknownName: there is no such kind, or a name or parameter cannot be kept.
    """
    refuse_bad_spec(spec, reduction)
    found = [one for one in find_results(scan, reduction) if (one.kind, one.name) == (spec.kind, spec.name)]
    if not found or not found[0].is_current or found[0].record is None:
        return None
    differences = _differences(found[0].record.spec, spec)
    if differences and not replace:
        raise AlreadyThere(
            f"result {found[0].address!r} exists with other choices ({differences}); choose another name, or "
            f"remove it with 'llm-mri rm {found[0].address}'"
        )
    return None if differences else found[0]


def refuse_bad_spec(spec: ResultSpec, reduction: ReductionEntry | None) -> None:
    """Refuses a spec that no result can have.

    Raises:
        UnknownName: there is no such kind.
        InvalidInput: the name or a parameter cannot be kept, or the kind is made from something else.
    """
    kind = schema.RESULT_KINDS.get(spec.kind)
    if kind is None:
        raise UnknownName("kind", spec.kind, known=schema.RESULT_KINDS, where="the kinds of results")
    check_name("result", spec.name)
    if kind.of_reduction != (reduction is not None):
        made_from = "a reduction" if kind.of_reduction else "the scan alone, not from a reduction"
        raise InvalidInput(f"a result of kind {spec.kind!r} is made from {made_from}")
    try:
        is_kept = _is_seed(spec) and msgspec.json.decode(msgspec.json.encode(spec), type=ResultSpec) == spec
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError):
        is_kept = False
    if not is_kept:
        raise InvalidInput(
            f"the parameters of result {spec.name!r} must be words, finite numbers, booleans, None or tuples "
            f"of them, and its seed a whole number, got {spec.parameters!r} and {spec.seed!r}"
        )


def _differences(recorded: ResultSpec, asked: ResultSpec) -> str:
    names = {**recorded.parameters, **asked.parameters}
    pairs = [(name, recorded.parameters.get(name), asked.parameters.get(name)) for name in names]
    return "; ".join(
        f"{name}: {there!r} there, {here!r} asked"
        for name, there, here in [*pairs, ("seed", recorded.seed, asked.seed)]
        if there != here
    )


def read_result(result: ResultEntry, table: str) -> pa.Table:
    """A result's own rows of one table, without the column ``result``.

    Raises:
        UnknownName: its kind has no such table.
        StoreCorrupt: the file is damaged.
    """
    known = schema.RESULT_KINDS[result.kind].tables
    if table not in known:
        raise UnknownName("table", table, known=known, where=f"results of kind {result.kind!r}")
    refuse_changed({result.file(table): result.digest(table)})
    return read_parquet(result.file(table)).drop_columns([schema.RESULT])


def remove_result(store: StorePaths, address: str) -> None:
    """Removes one result by one rename, even one that is damaged.

    Args:
        store: the store.
        address: ``scan/kind/name`` or ``scan/reduction/kind/name``.

    Raises:
        UnknownName: it is not there.
        StoreBusy: the scan is being written.
    """
    folder = _existing_folder(store, address)
    with scan_lock(store, address.partition("/")[0]) as staging:
        remove_folder(folder, staging=staging)


def refuse_missing_result(store: StorePaths, address: str) -> None:
    """Refuses a result whose folder is not there; a damaged one may still be removed.

    Raises:
        UnknownName: it is not there.
    """
    _existing_folder(store, address)


def _existing_folder(store: StorePaths, address: str) -> Path:
    scan, *of_reduction, kind, name = address.split("/")
    reduction = of_reduction[0] if of_reduction else None
    refuse_missing(store, scan, reduction)
    folder = store.scan(scan).results(reduction)
    known = {f"{one.parent.name}/{one.name}": one for one in folder.glob("*/*") if one.is_dir()}
    if len(of_reduction) > 1 or f"{kind}/{name}" not in known:
        where = f"scan {scan!r}" if reduction is None else f"reduction {scan}/{reduction}"
        raise UnknownName("result", f"{kind}/{name}", known=sorted(known), where=where)
    return known[f"{kind}/{name}"]
