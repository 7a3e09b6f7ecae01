"""DuckDB connections over a store: what is opened, and its views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput
from llm_mri_store.store.border import translated_errors
from llm_mri_store.store.catalogue import (
    ReductionEntry,
    ScanEntry,
    find_reduction,
    find_scan,
    reduction_names,
    scan_names,
)
from llm_mri_store.store.metadata import layer_rows, store_rows
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.queries import table_statements, view_statements

Value = str | int | float | bool | None | Sequence[str]
"""What a query's parameter may be."""

Relation = Callable[[duckdb.DuckDBPyConnection, Sequence[Path]], duckdb.DuckDBPyRelation]
"""Makes a relation over Parquet files of one table."""

_TAKEN_SCHEMAS: Final = frozenset({"main", "memory", "temp", "system", "pg_catalog", "information_schema"})

_CONFIG: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}


@dataclass(frozen=True, slots=True)
class Opened:
    """A scan a connection shows, and which of its reductions."""

    scan: ScanEntry
    reduction: ReductionEntry | None


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
        return Selection(store, (), dict.fromkeys((*schema.SCAN_VIEWS, *schema.REDUCTION_VIEWS), why))
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
    return Opened(scan, find_reduction(scan, reduction) if reduction else None)


def why_no_reduction(scan: ScanEntry) -> str:
    """One sentence on why a scan's reduction must be named or made."""
    names = reduction_names(scan.paths)
    if names:
        return f"scan {scan.name!r} has several reductions ({', '.join(names)}); choose one with -r"
    return f"scan {scan.name!r} has no reduction yet; make one with 'llm-mri reduce {scan.name}'"


def _absent_views(chosen: Opened) -> dict[str, str]:
    if not chosen.scan.chunks:
        why = f"scan {chosen.scan.name!r} has no committed chunk yet; run its scan command again"
        return dict.fromkeys((*schema.SCAN_VIEWS, *schema.REDUCTION_VIEWS), why)
    if chosen.reduction is None:
        return dict.fromkeys(schema.REDUCTION_VIEWS, why_no_reduction(chosen.scan))
    return {}


def connect(selection: Selection, *, with_activations: bool = True) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with the views of ``sql/views.sql`` over the store's Parquet files.

    For the package's own queries: it reads files directly and must never run a user's SQL
    (that is ``sandbox.run``). The caller closes it.

    Args:
        selection: what is opened.
        with_activations: make the view ``activations``, which costs a millisecond or more a layer.

    Raises:
        StoreCorrupt: a Parquet file cannot be read.
    """
    with translated_errors(selection.absent, reads_files=True):
        return open_connection(selection, _parquet_files, with_activations=with_activations)


def _parquet_files(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> duckdb.DuckDBPyRelation:
    return con.read_parquet([str(path) for path in files], hive_partitioning=False)


def open_connection(
    selection: Selection,
    relation: Relation,
    config: Mapping[str, str] | None = None,
    *,
    with_activations: bool = True,
) -> duckdb.DuckDBPyConnection:
    """A connection with the tables and views of a selection, its files read through ``relation``.

    Raises:
        InvalidInput: the scans cannot stand side by side.
    """
    schemas = _schemas(selection.opened)
    con = duckdb.connect(config={**_CONFIG, **(config or {})})
    try:
        _bind_store(con, selection)
        for name, opened in schemas.items():
            con.execute(f"CREATE SCHEMA {_quoted(name)}")
            con.execute(f"USE {_quoted(name)}")
            _bind_scan(con, opened, relation, with_activations)
        con.execute("USE main")
        if selection.opened:
            first = selection.opened[0]
            if first.scan.name in schemas:
                for view in _views_of(first, with_activations):
                    con.execute(f"CREATE VIEW {view} AS FROM {_quoted(first.scan.name)}.{view}")
            else:
                _bind_scan(con, first, relation, with_activations)
    except BaseException:
        con.close()
        raise
    return con


def _schemas(opened: Sequence[Opened]) -> dict[str, Opened]:
    """Schema -> the scan whose views it holds.

    The first scan's stand in the main schema, so a first scan whose name DuckDB uses itself needs
    no schema of its own; any other such scan would be hidden behind DuckDB's own.
    """
    schemas: dict[str, Opened] = {}
    for place, one in enumerate(opened):
        name = one.scan.name
        if name.lower() in _TAKEN_SCHEMAS:
            if place > 0:
                raise InvalidInput(
                    f"scan {name!r} has a name that DuckDB uses itself, so it can only be opened first, not "
                    f"beside {opened[0].scan.name!r}"
                )
        elif any(name.lower() == other.lower() for other in schemas):
            raise InvalidInput(
                f"scan {name!r} is opened twice, but each scan has one schema of its name; name it once"
            )
        else:
            schemas[name] = one
    return schemas


def _bind_store(con: duckdb.DuckDBPyConnection, selection: Selection) -> None:
    """Makes the tables filled from JSON records, and the views over them."""
    for statement in table_statements().values():
        con.execute(statement)
    scans, reductions = store_rows(selection.store, {one.scan.name: one.scan for one in selection.opened})
    _insert(con, "stored_scans", scans)
    _insert(con, "stored_reductions", reductions)
    for opened in selection.opened:
        if opened.reduction is not None:
            _insert(con, "stored_layers", layer_rows(opened.scan, opened.reduction))
    views = view_statements()
    for view in schema.STORE_VIEWS:
        con.execute(views[view])


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        marks = ", ".join("?" for _ in rows[0])
        con.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - names are ours


def _views_of(opened: Opened, with_activations: bool) -> list[str]:
    """The views that are there for a scan as it stands."""
    if not opened.scan.chunks:
        return []
    views = [*schema.SCAN_VIEWS, *(schema.REDUCTION_VIEWS if opened.reduction is not None else ())]
    return [view for view in views if with_activations or view != schema.ACTIVATIONS_VIEW]


def _bind_scan(
    con: duckdb.DuckDBPyConnection, opened: Opened, relation: Relation, with_activations: bool
) -> None:
    """Makes one scan's views in the schema in use; what is absent is left out."""
    scan, reduction = opened.scan, opened.reduction
    if not scan.chunks:
        return
    views = view_statements()
    folders = [scan.paths.chunk(chunk.index) for chunk in scan.chunks]
    relation(con, [folder / schema.SAMPLES_FILE for folder in folders]).create_view("stored_samples")
    con.execute(views[schema.SAMPLES_VIEW])

    if with_activations:
        wide = relation(con, [folder / schema.ACTIVATIONS_FILE for folder in folders])
        _long_activations(wide, scan).create_view("stored_activations")
        con.execute(views[schema.ACTIVATIONS_VIEW])
    if reduction is None:
        return
    k = reduction.record.spec.n_components
    others = [schema.SAMPLE_ID, schema.LAYER, schema.CELL_X, schema.CELL_Y]
    points = relation(con, [reduction.points_file(layer) for layer in reduction.layers])
    points.project(", ".join([*others, f"CAST(coordinates AS FLOAT[{k}]) AS coordinates"])).create_view(
        "stored_points"
    )
    con.table("main.stored_layers").filter(
        (duckdb.ColumnExpression("scan") == duckdb.ConstantExpression(scan.name))
        & (duckdb.ColumnExpression("reduction") == duckdb.ConstantExpression(reduction.name))
    ).create_view("chosen_layers")
    con.execute(views[schema.LAYERS_VIEW])
    con.execute(views[schema.POINTS_VIEW])


def _long_activations(wide: duckdb.DuckDBPyRelation, scan: ScanEntry) -> duckdb.DuckDBPyRelation:
    """Wide rows as long ones: a filter on the layer leaves one branch, which reads one column."""
    parts = []
    for layer in scan.spec.layers:
        vector = f"CAST({schema.layer_column(layer)} AS FLOAT[{scan.spec.hidden_size}]) AS vector"
        parts.append(wide.project(f"CAST({layer} AS INTEGER) AS layer, sample_id, {vector}"))
    # Each union binds all below it anew: two by two that is layers * log(layers), in a row their square.
    while len(parts) > 1:
        pairs = zip(parts[::2], parts[1::2], strict=False)
        parts = [one.union(other) for one, other in pairs] + parts[len(parts) // 2 * 2 :]
    return parts[0]


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def fetch(selection: Selection, query: str, parameters: Mapping[str, Value] | None = None) -> pa.Table:
    """Rows of one of the package's own queries, over a fresh connection that is closed again.

    Raises:
        QueryError: the SQL is wrong.
        StoreCorrupt: a Parquet file cannot be read.
    """
    con = connect(selection, with_activations=schema.ACTIVATIONS_VIEW in query)
    try:
        with translated_errors(selection.absent, reads_files=True):
            return con.sql(query, params=dict(parameters or {})).to_arrow_table()
    finally:
        con.close()
