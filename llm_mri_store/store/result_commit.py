"""Keeps results of analyses: commits their rows, or gives those that are kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput, StoreBusy, StoreCorrupt, WriteFailed
from llm_mri_store.records.results import ResultRecord, ResultSpec
from llm_mri_store.store.catalogue import (
    ReductionEntry,
    ScanEntry,
    find_reduction,
    find_scan,
    now,
    versions,
)
from llm_mri_store.store.commit import commit_folder, remove_folder
from llm_mri_store.store.files import file_digests, write_json, write_parquet
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.results import (
    ResultEntry,
    declared_columns,
    find_result,
    read_result,
    refuse_bad_spec,
    source_of,
)

_LOGGER: Final = logging.getLogger("llm_mri_store")


def kept_tables(
    store: StorePaths,
    scan: ScanEntry,
    spec: ResultSpec,
    make: Callable[[], Mapping[str, pa.Table]],
    *,
    reduction: ReductionEntry | None = None,
    replace: bool = False,
) -> dict[str, pa.Table]:
    """A result's tables: those that are kept, or those that ``make`` gives, kept from now on.

    Where they cannot be written (another process writes the scan, or the store may not be written to)
    they are given all the same, and the log says so.

    Args:
        store: the store.
        scan: the scan it is made from.
        spec: its kind, name and choices.
        make: computes every table of the kind; not called where the result is there.
        reduction: the reduction it is made from, where its kind needs one.
        replace: put it in the place of a current result of other choices.

    Returns:
        Table -> its rows, without the column ``result``.

    Raises:
        AlreadyThere: the name is taken by a current result of other choices; nothing was computed.
        InvalidInput, UnknownName: as ``save_result``.
        StoreCorrupt: a file of the kept result is damaged.
    """
    kept = find_result(scan, spec, reduction=reduction, replace=replace)
    if kept is None:
        rows = make()
        try:
            kept = save_result(store, scan, spec, rows, reduction=reduction, replace=replace)
        except (StoreBusy, WriteFailed) as error:
            _LOGGER.warning("the result %r could not be kept: %s", spec.name, error)
            made = _declared_tables(spec, rows)
            return {table: content.drop_columns([schema.RESULT]) for table, content in made.items()}
    return {table: read_result(kept, table) for table in schema.RESULT_KINDS[spec.kind].tables}


def save_result(
    store: StorePaths,
    scan: ScanEntry,
    spec: ResultSpec,
    tables: Mapping[str, pa.Table],
    *,
    reduction: ReductionEntry | None = None,
    replace: bool = False,
) -> ResultEntry:
    """Commits a result by one rename of its folder.

    A current result of the same choices is returned as it is. One that is no longer current, or is
    damaged, is seen nowhere, so it gives way without a word.

    Args:
        store: the store.
        scan: the scan it was made from, as it was read.
        spec: its kind, name and choices.
        tables: every table of the kind, with the columns that ``schema.RESULT_KINDS`` declares, by name.
        reduction: the reduction it was made from, as it was read, where its kind needs one.
        replace: put it in the place of a current result of other choices.

    Raises:
        AlreadyThere: the name is taken by a current result of other choices.
        InvalidInput: the spec, or a table's columns, are not what they must be.
        UnknownName: the scan or reduction was removed meanwhile.
        StoreBusy: another process writes the scan, or has changed what the result was made from.
        WriteFailed: the store cannot be written to.
    """
    refuse_bad_spec(spec, reduction)
    rows = _declared_tables(spec, tables)
    source = source_of(scan, reduction)
    of_name = None if reduction is None else reduction.name
    folder = scan.paths.results(of_name) / spec.kind / spec.name
    with scan_lock(store, scan.name) as staging:
        current = find_scan(store, scan.name)
        of_current = None if reduction is None else find_reduction(current, reduction.name)
        if source_of(current, of_current) != source:
            raise StoreBusy(
                f"what result {spec.name!r} was made from was changed by another process; ask for it again"
            )
        kept = find_result(current, spec, reduction=of_current, replace=replace)
        if kept is not None:
            return kept
        if folder.exists():
            remove_folder(folder, staging=staging)
        with commit_folder(folder, staging=staging) as staged:
            for table, content in rows.items():
                write_parquet(staged / schema.result_table_file(table), content)
            record = ResultRecord(
                created=now(),
                versions=versions(),
                source=source,
                spec=spec,
                columns=declared_columns(spec.kind),
                files=file_digests(staged),
            )
            write_json(staged / schema.RESULT_FILE, record)
        made = find_result(current, spec, reduction=of_current)
    if made is None:
        raise StoreCorrupt(f"{folder} was changed while it was written; run 'llm-mri verify'")
    return made


def _declared_tables(spec: ResultSpec, tables: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The tables of a kind with the column ``result`` first, all in their declared types."""
    declared = schema.RESULT_KINDS[spec.kind].tables
    if set(tables) != set(declared):
        raise InvalidInput(
            f"a result of kind {spec.kind!r} has the tables {', '.join(declared)}, got {', '.join(tables)}"
        )
    return {table: _as_declared(spec, table, tables[table]) for table in declared}


def _as_declared(spec: ResultSpec, table: str, rows: pa.Table) -> pa.Table:
    declared = schema.result_schema(spec.kind, table)
    names = pa.array([spec.name] * rows.num_rows, pa.string())
    try:
        if set(rows.schema.names) != set(declared.names[1:]):
            raise InvalidInput(
                f"table {table!r} has the columns {', '.join(declared.names[1:])}, got "
                f"{', '.join(rows.schema.names)}"
            )
        return rows.select(declared.names[1:]).add_column(0, schema.RESULT, names).cast(declared)
    except pa.ArrowException as error:
        raise InvalidInput(f"a column of table {table!r} has another type than declared: {error}") from error
