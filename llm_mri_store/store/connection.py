"""DuckDB connections over a store, with its tables and views."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Final

import duckdb
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput
from llm_mri_store.store.border import translated_errors
from llm_mri_store.store.catalogue import ReductionEntry, ScanEntry
from llm_mri_store.store.clock import Clock, stopped_by
from llm_mri_store.store.metadata import layer_rows, result_rows, store_rows
from llm_mri_store.store.queries import table_statements, view_statements
from llm_mri_store.store.relations import Relation, arrow_dataset, parquet_files
from llm_mri_store.store.selection import Opened, Selection
from llm_mri_store.store.tables import refuse_damaged

Value = str | int | float | bool | None | Sequence[str]
"""What a query's parameter may be."""

_TAKEN_SCHEMAS: Final = frozenset({"main", "memory", "temp", "system", "pg_catalog", "information_schema"})

_COSTLY_VIEWS: Final = frozenset({schema.ACTIVATIONS_VIEW, schema.TERMS_VIEW})
"""Views that are made only where they are asked for."""

_CONFIG: Final = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "python_enable_replacements": "false",
}


def connect(
    selection: Selection, *, query: str | None = None, keep_terms: bool = False
) -> duckdb.DuckDBPyConnection:
    """An in-memory connection with the views of ``sql/views.sql`` over the store's Parquet files.

    For the package's own queries: it reads files directly and must never run a user's SQL
    (that is ``sandbox.run``). The caller closes it.

    Args:
        selection: what is opened.
        query: what will be asked. Of what costs (``activations``, a millisecond or more a layer; tables of
            results, whose files are opened, and their listing) only what it names is made; all by default.
        keep_terms: take every text apart once and for all, where several queries will ask for its words.

    Raises:
        StoreCorrupt: a file that it reads is damaged or missing.
    """
    refuse_damaged(selection, query)
    with translated_errors(selection.absent, reads_files=True):
        con = open_connection(selection, parquet_files, query=query)
        if keep_terms:
            con.execute(f"CREATE TEMP TABLE {schema.TERMS_VIEW} AS FROM {schema.TERMS_VIEW}")
        return con


def open_connection(
    selection: Selection,
    relation: Relation,
    config: Mapping[str, str] | None = None,
    *,
    query: str | None = None,
) -> duckdb.DuckDBPyConnection:
    """A connection with the tables and views of a selection, its files read through ``relation``.

    Args:
        selection: what is opened.
        relation: reads the files of a table.
        config: DuckDB's settings beside our own.
        query: as ``connect``.

    Raises:
        InvalidInput: the scans cannot stand side by side.
    """
    schemas = _schemas(selection.opened)
    con = duckdb.connect(config={**_CONFIG, **(config or {})})
    try:
        # In a notebook or at a prompt DuckDB would draw a bar on standard output.
        con.execute("SET enable_progress_bar = false")
        _bind_store(con, selection, query)
        for name, opened in schemas.items():
            con.execute(f"CREATE SCHEMA {_quoted(name)}")
            con.execute(f"USE {_quoted(name)}")
            _bind_scan(con, opened, relation, query)
        con.execute("USE main")
        if selection.opened:
            first = selection.opened[0]
            if first.scan.name in schemas:
                for view in _views_of(first, query):
                    con.execute(f"CREATE VIEW {view} AS FROM {_quoted(first.scan.name)}.{view}")
            else:
                _bind_scan(con, first, relation, query)
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


def _bind_store(con: duckdb.DuckDBPyConnection, selection: Selection, query: str | None) -> None:
    """Makes the tables filled from JSON records, and the views over them."""
    for statement in table_statements().values():
        con.execute(statement)
    scans, reductions = store_rows(selection.store, {one.scan.name: one.scan for one in selection.opened})
    _insert(con, "stored_scans", scans)
    _insert(con, "stored_reductions", reductions)
    for opened in selection.opened:
        if _names(query, schema.RESULTS_VIEW):
            _insert(con, "stored_results", result_rows(opened))
        if opened.reduction is not None:
            _insert(con, "stored_layers", layer_rows(opened.scan, opened.reduction))
    views = view_statements()
    for view in schema.STORE_VIEWS:
        con.execute(views[view])


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    if rows:
        marks = ", ".join("?" for _ in rows[0])
        con.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)  # noqa: S608 - names are ours


def _views_of(opened: Opened, query: str | None) -> list[str]:
    """The views that are made for a scan as it stands."""
    if not opened.scan.chunks:
        return []
    views = [*schema.SCAN_VIEWS, *(schema.REDUCTION_VIEWS if opened.reduction is not None else ())]
    if opened.scan.is_pruned:
        views.remove(schema.ACTIVATIONS_VIEW)
    results = [table for table in opened.result_files() if _names(query, table)]
    return [*(view for view in views if view not in _COSTLY_VIEWS or _names(query, view)), *results]


def _names(query: str | None, view: str) -> bool:
    return query is None or view in query.lower()


def _bind_scan(con: duckdb.DuckDBPyConnection, opened: Opened, relation: Relation, query: str | None) -> None:
    """Makes one scan's views in the schema in use; what is absent is left out."""
    scan, reduction = opened.scan, opened.reduction
    if not scan.chunks:
        return
    views = view_statements()
    folders = [scan.paths.chunk(chunk.index) for chunk in scan.chunks]
    relation(con, [folder / schema.SAMPLES_FILE for folder in folders], None).create_view("stored_samples")
    con.execute(views[schema.SAMPLES_VIEW])
    if _names(query, schema.TERMS_VIEW):
        con.execute(views[schema.TERMS_VIEW])
    if _names(query, schema.ACTIVATIONS_VIEW) and not scan.is_pruned:
        wide = arrow_dataset(con, [folder / schema.ACTIVATIONS_FILE for folder in folders])
        _long_activations(wide, scan).create_view("stored_activations")
        con.execute(views[schema.ACTIVATIONS_VIEW])
    _bind_results(con, opened, relation, query)
    if reduction is not None:
        _bind_reduction(con, scan, reduction, relation)


def _bind_results(
    con: duckdb.DuckDBPyConnection, opened: Opened, relation: Relation, query: str | None
) -> None:
    """Makes the listing of a scan's results, and a view for each of their tables: its files as they are."""
    con.table("main.stored_results").filter(
        duckdb.ColumnExpression("scan") == duckdb.ConstantExpression(opened.scan.name)
    ).create_view("chosen_results")
    con.execute(view_statements()[schema.RESULTS_VIEW])
    kinds = {table: kind for kind, of_kind in schema.RESULT_KINDS.items() for table in of_kind.tables}
    for table, files in opened.result_files().items():
        if _names(query, table):
            relation(con, files, schema.result_schema(kinds[table], table)).create_view(table)


def _bind_reduction(
    con: duckdb.DuckDBPyConnection, scan: ScanEntry, reduction: ReductionEntry, relation: Relation
) -> None:
    views = view_statements()
    k = reduction.record.spec.n_components
    others = [schema.SAMPLE_ID, schema.LAYER, schema.CELL_X, schema.CELL_Y]
    points = relation(con, [reduction.points_file(layer) for layer in reduction.layers], None)
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


def fetch(
    selection: Selection,
    query: str,
    parameters: Mapping[str, Value] | None = None,
    *,
    clock: Clock | None = None,
) -> pa.Table:
    """Rows of one of the package's own queries, over a fresh connection that is closed again.

    Args:
        selection: what is opened.
        query: the query.
        parameters: value of each ``$name``.
        clock: stops it; by default it takes as long as it takes.

    Raises:
        QueryError: the SQL is wrong.
        QueryTimeout: the clock stopped it.
        StoreCorrupt: a file that it reads is damaged or missing.
    """
    con = connect(selection, query=query)
    try:
        with (
            translated_errors(selection.absent, reads_files=True),
            nullcontext() if clock is None else stopped_by(clock, con),
        ):
            return con.sql(query, params=dict(parameters or {})).to_arrow_table()
    finally:
        con.close()


def fetch_each(
    selection: Selection, query: str, parameters: Iterable[Mapping[str, Value]]
) -> Iterator[pa.Table]:
    """Rows of one of the package's own queries for each set of parameters, over one connection.

    Raises:
        QueryError: the SQL is wrong.
        StoreCorrupt: a file that it reads is damaged or missing.
    """
    con = connect(selection, query=query, keep_terms=_names(query, schema.TERMS_VIEW))
    try:
        for values in parameters:
            with translated_errors(selection.absent, reads_files=True):
                rows = con.sql(query, params=dict(values)).to_arrow_table()
            yield rows
    finally:
        con.close()
