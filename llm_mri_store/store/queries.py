"""Named queries: the files of ``sql/queries``, their headers and their parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from llm_mri_store.errors import InvalidInput, LlmMriError, UnknownName

_FIELD: Final = re.compile(r"^(source|param|column):\s*(.*)$")
_PARAM: Final = re.compile(r"^(\w+)\s+([A-Z]+(?:\[\])?)(?:\s*=\s*(\S+))?\s+-\s+(.*)$")
_COLUMN: Final = re.compile(r"^(\w+)\s+([A-Z][A-Z0-9_\[\]]*)\s+-\s+(.*)$")

Scalar = str | int | float | bool | None
ParameterValue = Scalar | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A ``$name`` of a query: its DuckDB type, its meaning, and its default where it has one."""

    name: str
    type: str
    meaning: str
    is_required: bool
    default: ParameterValue = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a query's result."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedQuery:
    """A query file: one SELECT and what its header says of it."""

    name: str
    answers: str
    source: str
    parameters: tuple[Parameter, ...]
    columns: tuple[Column, ...]
    sql: str
    text: str


@cache
def sql_folder() -> Path:
    """Folder of the SQL files: inside the installed package, or beside it in a checkout.

    Raises:
        LlmMriError: neither is there; the installation is broken.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "sql", package.parent / "sql"):
        if (folder / "views.sql").is_file():
            return folder
    raise LlmMriError("the SQL files of llm-mri-store are missing; install the package again")


@cache
def query_names() -> tuple[str, ...]:
    """Names of the queries, sorted."""
    return tuple(sorted(path.stem for path in (sql_folder() / "queries").glob("*.sql")))


@cache
def named_query(name: str) -> NamedQuery:
    """A query by its name.

    Raises:
        UnknownName: there is no such query.
    """
    if name not in query_names():
        raise UnknownName("query", name, known=query_names(), where="the named queries")
    return parse_query(name, (sql_folder() / "queries" / f"{name}.sql").read_text(encoding="utf-8"))


def parse_query(name: str, text: str) -> NamedQuery:
    """A query file's text, taken apart.

    Raises:
        InvalidInput: a header line does not have the form it must have; the message names the line.
    """
    answers: list[str] = []
    source: list[str] = []
    parameters: list[Parameter] = []
    columns: list[Column] = []
    lines = text.splitlines()
    header = 0
    for number, line in enumerate(lines, start=1):
        if not line.startswith("--"):
            break
        header = number
        words = line.removeprefix("--").strip()
        field = _FIELD.match(words)
        if field is None:
            (source if source else answers).append(words)
        elif field[1] == "source":
            source.append(field[2])
        elif field[1] == "param":
            parameters.append(_parameter(field[2], f"{name}.sql line {number}"))
        else:
            columns.append(_column(field[2], f"{name}.sql line {number}"))
    return NamedQuery(
        name=name,
        answers=" ".join(answers),
        source=" ".join(source),
        parameters=tuple(parameters),
        columns=tuple(columns),
        sql="\n".join(lines[header:]).strip().removesuffix(";"),
        text=text,
    )


def _parameter(words: str, where: str) -> Parameter:
    found = _PARAM.match(words)
    if found is None:
        raise InvalidInput(f"{where}: expected 'param: name TYPE [= default] - meaning', got {words!r}")
    name, kind, default, meaning = found.groups()
    value = None if default in (None, "NULL") else cast_value(name, kind, default)
    return Parameter(name=name, type=kind, meaning=meaning, is_required=default is None, default=value)


def _column(words: str, where: str) -> Column:
    found = _COLUMN.match(words)
    if found is None:
        raise InvalidInput(f"{where}: expected 'column: name TYPE - meaning', got {words!r}")
    return Column(name=found[1], type=found[2], meaning=found[3])


def fill_parameters(query: NamedQuery, given: Mapping[str, object]) -> dict[str, ParameterValue]:
    """A value for every parameter of a query: what is given, cast to its type, or its default.

    Raises:
        UnknownName: a name is given that the query does not have.
        InvalidInput: a required one is missing, or a value does not fit its type.
    """
    known = {parameter.name: parameter for parameter in query.parameters}
    for name in given:
        if name not in known:
            raise UnknownName("parameter", name, known=known, where=f"query {query.name!r}")
    values: dict[str, ParameterValue] = {}
    for name, parameter in known.items():
        if name in given:
            values[name] = cast_value(name, parameter.type, given[name])
        elif parameter.is_required:
            raise InvalidInput(
                f"query {query.name!r} needs {name} ({parameter.type}: {parameter.meaning}); "
                f"give it with -p {name}=..."
            )
        else:
            values[name] = parameter.default
    return values


def cast_value(name: str, kind: str, value: object) -> ParameterValue:
    """A parameter's value as its type; words from a shell are read.

    Raises:
        InvalidInput: the value does not fit.
    """
    if value is None or value == "NULL":
        return None
    try:
        if kind == "VARCHAR[]":
            return _string_list(value)
        if kind == "INTEGER":
            return msgspec.convert(value, int, strict=False)
        if kind == "DOUBLE":
            return msgspec.convert(value, float, strict=False)
        if kind == "BOOLEAN":
            return msgspec.convert(value, bool, strict=False)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"parameter {name} must be of type {kind}, got {value!r}") from error
    return str(value)


def _string_list(value: object) -> list[str]:
    if isinstance(value, str):
        return (
            msgspec.json.decode(value.encode(), type=list[str])
            if value.startswith("[")
            else [part.strip() for part in value.split(",")]
        )
    return msgspec.convert(value, list[str])


@cache
def table_statements() -> dict[str, str]:
    """Name -> CREATE TABLE statement of ``sql/tables.sql``."""
    return _statements("tables.sql", "TABLE")


@cache
def view_statements() -> dict[str, str]:
    """Name -> CREATE VIEW statement of ``sql/views.sql``."""
    return _statements("views.sql", "VIEW")


def _statements(file: str, kind: str) -> dict[str, str]:
    text = (sql_folder() / file).read_text(encoding="utf-8")
    found = re.findall(rf"^(CREATE {kind} (\w+).*?);$", text, re.MULTILINE | re.DOTALL)
    return {name: statement for statement, name in found}
