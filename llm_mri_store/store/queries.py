"""Named queries: the files of ``sql/queries``, their headers and their parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from operator import index
from pathlib import Path
from typing import Final

import msgspec

from llm_mri_store.errors import InvalidInput, LlmMriError, UnknownName

_FIELD: Final = re.compile(r"^(\w+):\s*(.*)$")
_PARAM: Final = re.compile(
    r"^(\w+) +([A-Z]+(?:\[\])?)(?: +(\d+)\.\.(\d*))?(?: += +(\S+))? +- +(\S.*)$", re.ASCII
)
_COLUMN: Final = re.compile(r"^(\w+) +([A-Z][A-Z0-9_\[\]]*) +- +(\S.*)$", re.ASCII)
_LARGEST: Final = {"INTEGER": 2**31 - 1}
_KINDS: Final = ("INTEGER", "DOUBLE", "BOOLEAN", "VARCHAR", "VARCHAR[]")

Scalar = str | int | float | bool | None
ParameterValue = Scalar | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A ``$name`` of a query: its DuckDB type, its meaning, and its default where it has one.

    Attributes:
        least, most: bounds of a whole number, both included; None where there is none.
    """

    name: str
    type: str
    meaning: str
    is_required: bool
    default: ParameterValue = None
    least: int | None = None
    most: int | None = None


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

    The header is a run of ``--`` lines: what the query answers, ``source:``, a ``param:`` line for each
    parameter and a ``column:`` line for each column. The first two may go on over further lines.

    Raises:
        InvalidInput: the header lacks a part, or a line of it does not have the form it must have; the
            message names file and line.
    """
    answers: list[str] = []
    source: list[str] = []
    parameters: list[Parameter] = []
    columns: list[Column] = []
    lines = text.splitlines()
    header = next((place for place, line in enumerate(lines) if not line.startswith("--")), len(lines))
    for number, line in enumerate(lines[:header], start=1):
        where = f"{name}.sql line {number}"
        words = line.removeprefix("--").strip()
        field = _FIELD.match(words)
        if field is not None and field[1] in {"source", "param", "column"}:
            if field[1] == "source":
                source.append(field[2])
            elif field[1] == "param":
                parameters.append(_parameter(field[2], where))
            else:
                columns.append(_column(field[2], where))
        elif field is not None or parameters or columns:
            raise InvalidInput(f"{where}: expected 'source:', 'param:' or 'column:', got {words!r}")
        else:
            (source if source else answers).append(words)
    _refuse_gaps(f"{name}.sql", answers, source, parameters, columns)
    return NamedQuery(
        name=name,
        answers=" ".join(answers),
        source=" ".join(source),
        parameters=tuple(parameters),
        columns=tuple(columns),
        sql="\n".join(lines[header:]).strip().removesuffix(";"),
        text=text,
    )


def _refuse_gaps(
    file: str, answers: list[str], source: list[str], parameters: list[Parameter], columns: list[Column]
) -> None:
    for what, found in (
        ("a first line on what it answers", answers),
        ("source:", source),
        ("column:", columns),
    ):
        if not found:
            raise InvalidInput(f"{file} line 1: the header lacks {what}")
    for kind, names in (
        ("param", [parameter.name for parameter in parameters]),
        ("column", [column.name for column in columns]),
    ):
        for name in names:
            if names.count(name) > 1:
                raise InvalidInput(f"{file} line 1: {kind} {name!r} is declared twice")


def _parameter(words: str, where: str) -> Parameter:
    found = _PARAM.match(words)
    if found is None or found[2] not in _KINDS:
        raise InvalidInput(
            f"{where}: expected 'param: name TYPE [least..most] [= default] - meaning' with a type of "
            f"{', '.join(_KINDS)}, got {words!r}"
        )
    name, kind, least, most, default, meaning = found.groups()
    if least is not None and kind != "INTEGER":
        raise InvalidInput(f"{where}: only an INTEGER has bounds, got {words!r}")
    parameter = Parameter(
        name=name,
        type=kind,
        meaning=meaning,
        is_required=default is None,
        least=int(least) if least else None,
        most=int(most) if most else _LARGEST.get(kind),
    )
    if default in {None, "NULL"}:
        return parameter
    try:
        return replace(parameter, default=cast_value(parameter, default))
    except InvalidInput as error:
        raise InvalidInput(f"{where}: {error}") from error


def _column(words: str, where: str) -> Column:
    found = _COLUMN.match(words)
    if found is None:
        raise InvalidInput(f"{where}: expected 'column: name TYPE - meaning', got {words!r}")
    return Column(name=found[1], type=found[2], meaning=found[3])


def fill_parameters(query: NamedQuery, given: Mapping[str, object]) -> dict[str, ParameterValue]:
    """A value for every parameter of a query: what is given, cast to its type, or its default.

    Raises:
        UnknownName: a name is given that the query does not have.
        InvalidInput: a required one is missing, or a value does not fit its type or its bounds.
    """
    known = {parameter.name: parameter for parameter in query.parameters}
    for name in given:
        if name not in known:
            raise UnknownName("parameter", name, known=known, where=f"query {query.name!r}")
    values: dict[str, ParameterValue] = {}
    for name, parameter in known.items():
        value = cast_value(parameter, given[name]) if name in given else parameter.default
        if value is None and parameter.is_required:
            raise InvalidInput(
                f"query {query.name!r} needs {name} ({parameter.type}: {parameter.meaning}); "
                f"give it with -p {name}=..."
            )
        # None stands for the default; only where that is NULL does it reach the query.
        values[name] = parameter.default if value is None else value
    return values


def cast_value(parameter: Parameter, value: object) -> ParameterValue:
    """A parameter's value as its type; words from a shell are read, None stays None.

    Raises:
        InvalidInput: the value does not fit the type or the bounds.
    """
    # In words, NULL can only be meant where it could not be a value: a label may be called NULL.
    if value is None or (value == "NULL" and not parameter.type.startswith("VARCHAR")):
        return None
    try:
        if parameter.type == "VARCHAR":
            return _string(value)
        if parameter.type == "VARCHAR[]":
            return _string_list(value)
        if parameter.type == "INTEGER":
            return _whole_number(parameter, value)
        if parameter.type == "DOUBLE":
            return msgspec.convert(value, float, strict=False)
        return msgspec.convert(value, bool, strict=False)
    except (msgspec.MsgspecError, TypeError, UnicodeEncodeError) as error:
        raise InvalidInput(
            f"parameter {parameter.name} must be of type {parameter.type}, got {value!r}"
        ) from error


def _whole_number(parameter: Parameter, value: object) -> int:
    if isinstance(value, bool):
        raise TypeError("a claim is no number")
    number: int = msgspec.convert(value, int, strict=False) if isinstance(value, str) else index(value)  # type: ignore[arg-type]
    least, most = parameter.least, parameter.most
    if (least is not None and number < least) or (most is not None and number > most):
        bounds = f"at least {least}" if most in {None, _LARGEST["INTEGER"]} else f"from {least} to {most}"
        raise InvalidInput(
            f"parameter {parameter.name} must be {bounds}, got {number}"
            if least is not None
            else f"parameter {parameter.name} must be at most {most}, got {number}"
        )
    return number


def _string(value: object) -> str:
    words = value if isinstance(value, str) else str(value)
    # A lone surrogate, as from a broken shell word, is no text to DuckDB.
    words.encode()
    return words


def _string_list(value: object) -> list[str]:
    if isinstance(value, str):
        return (
            msgspec.json.decode(value.encode(), type=list[str])
            if value.startswith("[")
            else [_string(part.strip()) for part in value.split(",")]
        )
    return [_string(one) for one in msgspec.convert(value, list[str])]


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
