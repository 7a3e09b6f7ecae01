"""SQL given by a user: reads the store's views, and can do nothing else.

DuckDB has no privileges inside a process, so fences stand one behind the other: the files are
handed over as Arrow datasets and file access is then switched off altogether; the configuration
is locked; the statement must be one SELECT (or EXPLAIN of one), which its syntax tree must show,
and the text that was checked is the text that runs; a clock interrupts it, and its result is
read in pieces up to a limit.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import duckdb
import pyarrow as pa

from llm_mri_store.errors import (
    InvalidInput,
    QueryError,
    QueryForbidden,
    UnknownName,
)
from llm_mri_store.store.border import translated_errors
from llm_mri_store.store.clock import Clock, stopped_by
from llm_mri_store.store.connection import Value, open_connection
from llm_mri_store.store.relations import arrow_dataset
from llm_mri_store.store.selection import Selection
from llm_mri_store.store.tables import refuse_damaged

_READING_NODES: Final = frozenset({"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"})
_TABLE_FUNCTIONS: Final = frozenset(
    "range generate_series unnest repeat repeat_row json_each json_tree query_table summary histogram "
    "histogram_values test_all_types pragma_table_info pragma_show".split()
)
"""What may stand in FROM like a table, besides ``duckdb_...``. Others read files, run SQL out of sight of
the check, switch on logs, or read memory at an address they are given."""
_WAITING: Final = frozenset({"sleep_ms", "pg_sleep"})
"""Functions that read nothing, and that no clock could stop before DuckDB 1.5.4."""
_EXPLAIN: Final = re.compile(r"\s*(EXPLAIN(?:\s+ANALYZE|\s*\([\w\s,]*\))?)\s+(.*)", re.IGNORECASE | re.DOTALL)
_MEMORY_LIMIT: Final = "4GB"
_TEMP_LIMIT: Final = "20GB"
_MOST_BYTES: Final = 2**31
_BATCH_ROWS: Final = 8192


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
        timeout_s: seconds after which it is interrupted. One long call of a function on one value, such as
            ``repeat('x', 1000000000)``, can only be stopped when it returns.

    Raises:
        InvalidInput: a parameter has no value, or one that DuckDB cannot take.
        UnknownName: a value is given for a parameter that is not there.
        QueryForbidden: it is something else than reading, or reaches for a file, the network, an
            extension or a setting.
        QueryTimeout: it ran longer than ``timeout_s``.
        QueryError: DuckDB refuses it for another reason, or its result is larger than 2 GiB.
        StoreCorrupt: a file that it reads is damaged or missing.
    """
    if not timeout_s > 0:
        raise InvalidInput(f"the timeout must be a positive number of seconds, got {timeout_s}")
    values = dict(parameters or {})
    refuse_damaged(selection, query)
    # Spilling still works with file access switched off; its folder is ours alone (mode 0700).
    with tempfile.TemporaryDirectory(prefix="llm-mri-") as spill:
        config = {
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": spill,
            "max_temp_directory_size": _TEMP_LIMIT,
            "allow_persistent_secrets": "false",
        }
        with translated_errors(selection.absent, reads_files=False):
            con = open_connection(selection, arrow_dataset, config)
            try:
                con.execute("SET enable_external_access = false")
                con.execute("SET lock_configuration = true")
                with stopped_by(Clock(timeout_s), con):
                    return _fetch(con, _checked(con, query, values), values)
            finally:
                con.close()


def _checked(con: duckdb.DuckDBPyConnection, query: str, given: Collection[str]) -> str:
    """The one reading statement of a query; all else is refused by its syntax tree."""
    if "\0" in query or not _is_unicode(query):
        raise QueryError("the SQL holds a character that is no text")
    statements = con.extract_statements(query)
    kinds = [_kind(statement) for statement in statements]
    if len(statements) != 1 or kinds == ["MULTI"]:
        if "pivot" in query.lower():
            raise QueryForbidden(
                "a PIVOT must list its values and stand in a FROM: "
                "FROM (PIVOT points ON label IN ('a', 'b') USING count(*))"
            )
        raise QueryForbidden(f"give one statement at a time; this is {len(statements)}")
    if kinds[0] not in {"SELECT", "EXPLAIN"}:
        raise QueryForbidden(_not_reading(kinds[0]))
    text = statements[0].query
    explained = _EXPLAIN.fullmatch(text)
    explain, reading = explained.groups() if explained else ("", text)
    _refuse_writing(con, reading)
    _refuse_wrong_parameters(statements[0].named_parameters, given)
    return f"{explain} {reading}"


def _is_unicode(words: str) -> bool:
    try:
        words.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(statement: duckdb.Statement) -> str:
    try:
        return str(statement.type.name)
    except ValueError:
        # DuckDB's Python side does not know all the statements that its parser does.
        return "such statement"


def _refuse_writing(con: duckdb.DuckDBPyConnection, reading: str) -> None:
    rows = con.execute("SELECT json_serialize_sql($query)", {"query": reading}).fetchall()
    try:
        tree = json.loads(rows[0][0])
    except RecursionError as error:
        raise QueryError("the SQL is nested too deeply") from error
    if tree["error"]:
        raise QueryForbidden(_not_reading("other statement"))
    for part in _parts(tree):
        kind = part.get("type")
        if not isinstance(kind, str):
            continue
        if kind.endswith("_NODE") and kind not in _READING_NODES:
            raise QueryForbidden(_not_reading(kind.removesuffix("_NODE").removesuffix("_QUERY")))
        if kind == "TABLE_FUNCTION":
            name = str(part["function"]["function_name"]).lower()
            if name not in _TABLE_FUNCTIONS and not name.startswith("duckdb_"):
                raise QueryForbidden(_not_reading(f"table function {name}()"))
        if kind == "FUNCTION" and (name := str(part["function_name"]).lower()) in _WAITING:
            raise QueryForbidden(_not_reading(f"waiting by {name}()"))


def _refuse_wrong_parameters(named: Collection[str], given: Collection[str]) -> None:
    # Their case does not count, as for other names in SQL.
    missing = sorted(name for name in named if name.lower() not in {one.lower() for one in given})
    if missing:
        raise InvalidInput(
            f"the SQL needs a value for {', '.join(f'${name}' for name in missing)}; "
            f"give it with -p {missing[0]}=..."
        )
    unknown = sorted(name for name in given if name.lower() not in {one.lower() for one in named})
    if unknown:
        raise UnknownName("parameter", unknown[0], known=sorted(named), where="the SQL")


def _not_reading(what: str) -> str:
    return f"SQL here only reads: one SELECT over the store's views, no {what} (SQL never changes the store)"


def _parts(tree: object) -> Iterator[dict[str, Any]]:
    """Every part of a syntax tree; literals that look like one are no parts."""
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            yield part
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)


def _fetch(con: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Value]) -> pa.Table:
    try:
        reader = con.sql(query, params=dict(parameters)).to_arrow_reader(_BATCH_ROWS)
    except (duckdb.Error, pa.ArrowException):
        raise
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise InvalidInput(f"a parameter has a value that DuckDB cannot take: {error}") from error
    batches, size = [], 0
    try:
        for batch in reader:
            size += batch.nbytes
            if size > _MOST_BYTES:
                raise QueryError(
                    f"the result is larger than {_MOST_BYTES / 2**30:g} GiB; aggregate it, or add a LIMIT"
                )
            batches.append(batch)
    finally:
        reader.close()
    return pa.Table.from_batches(batches, reader.schema)
