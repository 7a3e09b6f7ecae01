"""DuckDB connections over a store: what is opened, its views, and the one border for errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import QueryError, QueryForbidden, QueryTimeout, StoreCorrupt
from llm_mri_store.store.catalogue import (
    ReductionEntry,
    ScanEntry,
    find_reduction,
    find_scan,
    reduction_names,
    scan_names,
)
from llm_mri_store.store.metadata import layer_rows, reduction_rows, scan_rows
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.queries import table_statements, view_statements

Value = str | int | float | bool | None | Sequence[str]
"""What a query's parameter may be."""

Relation = Callable[[duckdb.DuckDBPyConnection, Sequence[Path]], duckdb.DuckDBPyRelation]
"""Makes a relation over Parquet files of one table."""

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


def connect(selection: Selection) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with the views of ``sql/views.sql`` over the store's Parquet files.

    For the package's own queries: it reads files directly and must never run a user's SQL
    (that is ``sandbox.run``). The caller closes it.

    Raises:
        StoreCorrupt: a Parquet file cannot be read.
    """
    return open_connection(selection, _parquet_files)


def _parquet_files(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> duckdb.DuckDBPyRelation:
    return con.read_parquet([str(path) for path in files], hive_partitioning=False)


def open_connection(
    selection: Selection, relation: Relation, config: Mapping[str, str] | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection with the tables and views of a selection, its files read through ``relation``."""
    con = duckdb.connect(config={**_CONFIG, **(config or {})})
    try:
        with translated_errors(selection):
            _bind(con, selection, relation)
    except BaseException:
        con.close()
        raise
    return con


def _bind(con: duckdb.DuckDBPyConnection, selection: Selection, relation: Relation) -> None:
    for statement in table_statements().values():
        con.execute(statement)
    chosen = selection.opened[0] if selection.opened else None
    _insert(con, "stored_scans", scan_rows(selection.store))
    _insert(con, "stored_reductions", reduction_rows(selection.store))
    for opened in selection.opened:
        if opened.reduction is not None:
            _insert(con, "stored_layers", layer_rows(opened.scan, opened.reduction))
    views = view_statements()
    for view in schema.STORE_VIEWS:
        con.execute(views[view])
    if chosen is not None:
        _bind_scan(con, "main", chosen, relation)
    for opened in selection.opened:
        if opened.scan.name.lower() not in {"main", "temp", "system", "pg_catalog", "information_schema"}:
            con.execute(f"CREATE SCHEMA {_quoted(opened.scan.name)}")
            _bind_scan(con, opened.scan.name, opened, relation)
    con.execute("SET schema = 'main'")


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        marks = ", ".join("?" for _ in rows[0])
        con.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - names are ours


def _bind_scan(con: duckdb.DuckDBPyConnection, target: str, opened: Opened, relation: Relation) -> None:
    """Makes one scan's views in the schema ``target``; what is absent is left out."""
    scan, reduction = opened.scan, opened.reduction
    if not scan.chunks:
        return
    con.execute(f"SET schema = {_quoted(target)}")
    views = view_statements()
    folders = [scan.paths.chunk(chunk.index) for chunk in scan.chunks]
    relation(con, [folder / schema.SAMPLES_FILE for folder in folders]).create_view("stored_samples")
    con.execute(views[schema.SAMPLES_VIEW])

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
    long: duckdb.DuckDBPyRelation | None = None
    for layer in scan.spec.layers:
        vector = f"CAST({schema.layer_column(layer)} AS FLOAT[{scan.spec.hidden_size}]) AS vector"
        branch = wide.project(f"CAST({layer} AS INTEGER) AS layer, sample_id, {vector}")
        long = branch if long is None else long.union(branch)
    if long is None:
        raise StoreCorrupt(f"scan {scan.name!r} names no layer; restore its scan.json")
    return long


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def fetch(selection: Selection, query: str, parameters: Mapping[str, Value] | None = None) -> pa.Table:
    """Rows of one of the package's own queries, over a fresh connection that is closed again.

    Raises:
        QueryError: the SQL is wrong.
        StoreCorrupt: a Parquet file cannot be read.
    """
    con = connect(selection)
    try:
        with translated_errors(selection):
            return con.sql(query, params=dict(parameters or {})).to_arrow_table()
    finally:
        con.close()


@contextmanager
def translated_errors(selection: Selection) -> Iterator[None]:
    """Turns DuckDB's errors into ours.

    Raises:
        QueryForbidden: the SQL asked for a file, the network, an extension or a setting.
        QueryTimeout: it was interrupted.
        StoreCorrupt: a file of the store cannot be read.
        QueryError: anything else DuckDB refuses.
    """
    try:
        yield
    except duckdb.InterruptException as error:
        raise QueryTimeout("the query ran longer than allowed and was stopped; see --timeout") from error
    except duckdb.PermissionException as error:
        raise QueryForbidden(
            "SQL here reads the store's views and nothing else: no file, network, extension or setting "
            f"({_first_line(error)})"
        ) from error
    except duckdb.CatalogException as error:
        raise QueryError(_missing_words(error, selection)) from error
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as error:
        words = _first_line(error)
        if ".parquet" in words or re.search(r"parquet|snappy|zstd|thrift|magic bytes", words, re.IGNORECASE):
            raise StoreCorrupt(
                f"a file of the store is damaged or missing ({words}); run 'llm-mri verify' to see which"
            ) from error
        raise QueryError(words) from error
    except duckdb.OutOfMemoryException as error:
        raise QueryError(f"the query needs more memory than it is allowed ({_first_line(error)})") from error
    except (duckdb.Error, pa.ArrowException) as error:
        raise QueryError(_sql_words(error)) from error


def _missing_words(error: duckdb.Error, selection: Selection) -> str:
    words = str(error)
    for view, why in selection.absent.items():
        if re.search(rf"(Table|View) with name {view} does not exist", words, re.IGNORECASE):
            return f"view {view!r} is not there: {why}"
    return _sql_words(error)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]


def _sql_words(error: BaseException) -> str:
    """DuckDB's message without its blank lines: it points at the place in the SQL."""
    return "\n".join(line for line in str(error).splitlines() if line.strip())
