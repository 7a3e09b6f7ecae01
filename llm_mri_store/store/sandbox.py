"""SQL given by a user: reads the store's views, and can do nothing else.

DuckDB has no privileges inside a process, so four fences stand one behind the other: the files
are handed over as Arrow datasets and file access is then switched off altogether; the
configuration is locked; the statement must be one SELECT (or EXPLAIN of one), which its syntax
tree must show; a timer interrupts it.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from llm_mri_store.errors import InvalidInput, QueryError, QueryForbidden, StoreCorrupt
from llm_mri_store.store.connection import Selection, Value, open_connection, translated_errors

_READING_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_EXPLAIN: Final = re.compile(r"^\s*EXPLAIN(\s+ANALYZE)?\s+", re.IGNORECASE)
_MEMORY_LIMIT: Final = "4GB"
_TEMP_LIMIT: Final = "20GB"


def run(
    selection: Selection,
    query: str,
    parameters: Mapping[str, Value] | None = None,
    *,
    timeout_s: float = 60.0,
) -> pa.Table:
    """Rows of one SELECT over the views of a selection.

    Args:
        selection: what is opened.
        query: one SELECT, FROM, WITH, VALUES, DESCRIBE, SHOW, SUMMARIZE or EXPLAIN statement.
        parameters: value of each ``$name``.
        timeout_s: seconds after which it is interrupted.

    Raises:
        QueryForbidden: it is something else than reading, or reaches for a file, the network, an
            extension or a setting.
        QueryTimeout: it ran longer than ``timeout_s``.
        QueryError: DuckDB refuses it for another reason.
        StoreCorrupt: a file of the store cannot be read.
    """
    if timeout_s <= 0:
        raise InvalidInput(f"the timeout must be a positive number of seconds, got {timeout_s}")
    # Spilling still works with file access switched off; its folder is ours alone (mode 0700).
    with tempfile.TemporaryDirectory(prefix="llm-mri-") as spill:
        con = open_connection(
            selection,
            _arrow_dataset,
            {
                "memory_limit": _MEMORY_LIMIT,
                "temp_directory": spill,
                "max_temp_directory_size": _TEMP_LIMIT,
                "allow_persistent_secrets": "false",
            },
        )
        try:
            with translated_errors(selection):
                con.execute("SET enable_external_access = false")
                con.execute("SET lock_configuration = true")
                _refuse_writing(con, query)
                return _fetch_within(con, query, parameters or {}, timeout_s)
        finally:
            con.close()


def _arrow_dataset(con: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> duckdb.DuckDBPyRelation:
    import pyarrow.dataset as ds

    try:
        dataset = ds.dataset([str(path) for path in files], format="parquet")
    except (OSError, pa.ArrowException) as error:
        raise StoreCorrupt(
            f"{files[0].parent} holds a damaged or missing file; run 'llm-mri verify' to see which"
        ) from error
    name = f"files_{len(con.execute('SHOW ALL TABLES').fetchall())}"
    con.register(name, dataset)
    return con.table(f"temp.main.{name}")


def _refuse_writing(con: duckdb.DuckDBPyConnection, query: str) -> None:
    """Refuses all but one reading statement, by its syntax tree."""
    try:
        statements = con.extract_statements(query)
    except UnicodeEncodeError as error:
        raise QueryError(f"the SQL is not valid Unicode: {error.reason}") from error
    if len(statements) != 1:
        raise QueryForbidden(f"give one statement at a time; this is {len(statements)}")
    if statements[0].type not in {duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN}:
        raise QueryForbidden(_not_reading(statements[0].type.name))
    reading = _EXPLAIN.sub("", statements[0].query)
    row = con.execute("SELECT json_serialize_sql($query)", {"query": reading}).fetchone()
    tree = json.loads(row[0]) if row else {"error": True}
    if tree["error"]:
        raise QueryForbidden(_not_reading(str(tree.get("error_message", "not a SELECT"))))
    for node in _node_types(tree):
        if node not in _READING_NODES:
            raise QueryForbidden(_not_reading(node.removesuffix("_NODE").removesuffix("_QUERY")))


def _not_reading(what: str) -> str:
    return f"SQL here only reads: one SELECT over the store's views, no {what} (the store is never changed by SQL)"


def _node_types(tree: object) -> set[str]:
    """Types of all query nodes in a syntax tree; literals that look like one do not count."""
    found: set[str] = set()
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            kind = part.get("type")
            if isinstance(kind, str) and kind.endswith("_NODE"):
                found.add(kind)
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)
    return found


def _fetch_within(
    con: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Value], timeout_s: float
) -> pa.Table:
    timer = threading.Timer(timeout_s, con.interrupt)
    timer.daemon = True
    timer.start()
    try:
        return con.sql(query, params=dict(parameters)).to_arrow_table()
    finally:
        timer.cancel()
        timer.join()
