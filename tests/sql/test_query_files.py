"""Every query file against what DuckDB says of it, and the parser of their headers."""

import re

import duckdb
import numpy as np
import pytest

from llm_mri_store.analysis.quality import scan_quality
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.store import sandbox
from llm_mri_store.store.connection import connect, fetch
from llm_mri_store.store.queries import (
    NamedQuery,
    Parameter,
    cast_value,
    fill_parameters,
    named_query,
    parse_query,
    query_names,
    sql_folder,
    table_statements,
    view_statements,
)
from llm_mri_store.store.selection import select
from tests.store.stores import random_store, write_tests

NAMES = query_names()
REQUIRED = {"layer": 1, "cell_x": 1, "cell_y": 2, "grid": 4, "sample_id": 0}
KEYWORDS = """
select from where group by order limit with as and or not null is in on inner left join cross over partition
case when then else end distinct filter exclude lateral union all desc asc nulls first last count sum
""".split()
FUNCTIONS = {"count", "sum", "first", "last"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("queries") / "store", n=120)
    scan_quality(store, "big")
    write_tests(store)
    return store


def example(name: str) -> dict:
    """A value for every parameter of a query."""
    query = named_query(name)
    return fill_parameters(
        query, {one.name: REQUIRED[one.name] for one in query.parameters if one.is_required}
    )


def code_of(sql: str) -> str:
    """A query without its comments and literals."""
    return re.sub(r"'(?:[^']|'')*'", "''", re.sub(r"--[^\n]*", "", sql))


def test_the_queries_of_the_contract_are_there():
    assert set(NAMES) >= set(
        "heatmap heatmap_all_layers edges edges_all_labels paths cell_texts cell_terms label_shares "
        "layer_information layer_quality map_quality scan_summary neighbours regrid".split()
    )


@pytest.mark.parametrize("name", NAMES)
def test_declared_parameters_are_those_duckdb_finds(name):
    query = named_query(name)
    (statement,) = duckdb.extract_statements(query.sql)
    assert statement.named_parameters == {one.name for one in query.parameters}


@pytest.mark.parametrize("name", NAMES)
def test_declared_columns_are_those_duckdb_describes(store, name):
    query = named_query(name)
    con = connect(select(store))
    described = con.sql(f"DESCRIBE {query.sql}", params=example(name)).fetchall()
    con.close()
    assert [(row[0], row[1]) for row in described] == [(one.name, one.type) for one in query.columns]


@pytest.mark.parametrize("name", NAMES)
def test_a_query_is_one_select_in_house_style(name):
    query = named_query(name)
    (statement,) = duckdb.extract_statements(query.sql)
    assert statement.type == duckdb.StatementType.SELECT
    assert query.text.endswith(";\n")
    assert code_of(query.text).count(";") == 1
    assert query.answers.endswith((".", "?"))
    words = set(re.findall(r"(?<!\$)\b[a-z_]+\b(?!\s*\()", code_of(query.sql)))
    assert not words & (set(KEYWORDS) - FUNCTIONS - {name})
    assert all(len(line) <= 120 for line in query.text.splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_the_order_is_total(store, name):
    """No two rows may be equal in what they are ordered by: the order would be chance."""
    query = named_query(name)
    ordered = code_of(query.sql).rsplit("ORDER BY", 1)[1].split("LIMIT")[0]
    keys = [re.sub(r"\w+\.|\s+(DESC|ASC|NULLS \w+)", "", key).strip() for key in ordered.split(",")]
    rows = fetch(select(store), query.sql, example(name))
    assert rows.num_rows > 1
    assert rows.group_by(keys).aggregate([]).num_rows == rows.num_rows


@pytest.mark.parametrize("name", NAMES)
def test_a_query_gives_the_same_as_a_users_sql(store, name):
    query = named_query(name)
    own = fetch(select(store), query.sql, example(name))
    assert own == sandbox.run(select(store), query.sql, example(name))
    assert own == fetch(select(store), query.sql, example(name))
    assert own.schema.names == [column.name for column in query.columns]


@pytest.mark.parametrize("name", NAMES)
def test_a_meaning_stands_beside_every_parameter_and_column(name):
    query = named_query(name)
    assert query.source
    for one in (*query.parameters, *query.columns):
        assert len(one.meaning) > 5
    for column in query.columns:
        if "share" in column.name or column.name in {"evenness", "explained"}:
            assert re.search(r"in [\[(]0, 1\]|share|NULL", column.meaning)


def test_tables_and_views_are_found_by_their_names():
    scan_views = {"samples", "terms", "activations", "layers", "points", "results"}
    assert set(view_statements()) == {"scans", "reductions", *scan_views}
    stored = {"stored_scans", "stored_reductions", "stored_layers", "stored_results"}
    assert set(table_statements()) == stored
    text = "".join((sql_folder() / file).read_text() for file in ("views.sql", "tables.sql"))
    assert text.count("CREATE ") == 12


GOOD = """-- What it answers,
-- over two lines.
-- source: somebody 1999
--   and more of it
-- param: layer INTEGER - the layer
-- param: limit INTEGER 1..50 = 10 - rows to show
-- param: label VARCHAR = NULL - the label - or none
-- column: n BIGINT - samples
SELECT count(*) AS n
FROM points
ORDER BY n;
"""


def test_a_header_is_taken_apart():
    assert parse_query("q", GOOD) == NamedQuery(
        name="q",
        answers="What it answers, over two lines.",
        source="somebody 1999 and more of it",
        parameters=(
            Parameter(name="layer", type="INTEGER", meaning="the layer", is_required=True, most=2**31 - 1),
            Parameter(
                name="limit",
                type="INTEGER",
                meaning="rows to show",
                is_required=False,
                default=10,
                least=1,
                most=50,
            ),
            Parameter(name="label", type="VARCHAR", meaning="the label - or none", is_required=False),
        ),
        columns=(parse_query("q", GOOD).columns[0],),
        sql="SELECT count(*) AS n\nFROM points\nORDER BY n",
        text=GOOD,
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("layer INTEGER - the", "layer INTEGER the", "q.sql line 5: expected 'param: name TYPE"),
        ("layer INTEGER", "layer integer", "q.sql line 5: expected 'param:"),
        ("layer INTEGER", "layer BLOB", "q.sql line 5: .*with a type of INTEGER"),
        ("= 10", "= ten", "q.sql line 6: parameter limit must be of type INTEGER, got 'ten'"),
        ("= 10", "= 60", "q.sql line 6: parameter limit must be from 1 to 50, got 60"),
        ("VARCHAR =", "VARCHAR 1..2 =", "q.sql line 7: only an INTEGER has bounds"),
        ("n BIGINT - samples", "n BIGINT", "q.sql line 8: expected 'column: name TYPE - meaning'"),
        ("-- column:", "-- colunm:", "q.sql line 8: expected 'source:', 'param:' or 'column:', got 'colunm:"),
        ("-- column: n", "-- more\n-- column: n", "q.sql line 8: expected 'source:'"),
        ("param: limit", "param: layer", "param 'layer' is declared twice"),
        ("-- source: somebody 1999\n", "", "q.sql line 1: the header lacks source"),
        ("-- column: n BIGINT - samples\n", "", "q.sql line 1: the header lacks column"),
        ("-- What it answers,\n-- over two lines.\n", "", "the header lacks a first line"),
    ],
)
def test_a_wrong_header_is_named_by_file_and_line(old, new, words):
    assert old in GOOD
    with pytest.raises(InvalidInput, match=words):
        parse_query("q", GOOD.replace(old, new))


def test_a_query_that_is_not_there_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'heatmap'"):
        named_query("heatmpa")


def test_parameters_are_filled_with_what_is_given_and_defaults():
    query = parse_query("q", GOOD)
    assert fill_parameters(query, {"layer": "6"}) == {"layer": 6, "limit": 10, "label": None}
    assert fill_parameters(query, {"layer": np.int64(6), "limit": None, "label": "x"}) == {
        "layer": 6,
        "limit": 10,
        "label": "x",
    }
    for given in ({}, {"layer": None}, {"layer": "NULL"}):
        with pytest.raises(
            InvalidInput, match=r"query 'q' needs layer \(INTEGER: the layer\); give it with -p layer="
        ):
            fill_parameters(query, given)
    with pytest.raises(UnknownName, match="parameter 'lable' is not in query 'q'; did you mean 'label'"):
        fill_parameters(query, {"layer": 1, "lable": "x"})
    with pytest.raises(InvalidInput, match="limit must be from 1 to 50, got 0"):
        fill_parameters(query, {"layer": 1, "limit": 0})


def test_a_label_called_null_is_a_label():
    query = parse_query("q", GOOD)
    assert fill_parameters(query, {"layer": 1, "label": "NULL"})["label"] == "NULL"


def parameter(kind: str, **bounds: int) -> Parameter:
    return Parameter(name="p", type=kind, meaning="m", is_required=True, **bounds)


@pytest.mark.parametrize(
    ("kind", "value", "cast"),
    [
        ("INTEGER", "7", 7), ("INTEGER", "-7", -7), ("INTEGER", np.int16(7), 7), ("INTEGER", "NULL", None),
        ("DOUBLE", "0.5", 0.5), ("DOUBLE", 1, 1.0), ("DOUBLE", "1e3", 1000.0),
        ("BOOLEAN", "true", True), ("BOOLEAN", "0", False), ("BOOLEAN", False, False),
        ("VARCHAR", "a b", "a b"), ("VARCHAR", 3, "3"), ("VARCHAR", "", ""),
        ("VARCHAR[]", "a, b", ["a", "b"]), ("VARCHAR[]", '["a,b", "c"]', ["a,b", "c"]),
        ("VARCHAR[]", ("a", "b"), ["a", "b"]), ("VARCHAR[]", [], []), ("VARCHAR[]", None, None),
    ],
)  # fmt: skip
def test_words_and_values_become_the_type(kind, value, cast):
    found = cast_value(parameter(kind), value)
    assert found == cast
    assert type(found) is type(cast)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("INTEGER", "x"), ("INTEGER", "1.5"), ("INTEGER", 1.5), ("INTEGER", True), ("INTEGER", ""),
        ("INTEGER", [1]), ("DOUBLE", "x"), ("BOOLEAN", "maybe"), ("VARCHAR[]", '["a", 1]'),
        ("VARCHAR[]", "[a]"), ("VARCHAR[]", [1]), ("VARCHAR[]", 1), ("VARCHAR", "\ud800"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(kind, value):
    with pytest.raises(InvalidInput, match=f"parameter p must be of type {re.escape(kind)}, got "):
        cast_value(parameter(kind), value)


@pytest.mark.parametrize(
    ("bounds", "value", "words"),
    [
        ({"least": 1}, 0, "at least 1, got 0"),
        ({"least": 1, "most": 9}, 10, "from 1 to 9, got 10"),
        ({"most": 2**31 - 1}, 2**31, "at most 2147483647, got 2147483648"),
    ],
)
def test_a_number_out_of_bounds_is_refused(bounds, value, words):
    with pytest.raises(InvalidInput, match=f"parameter p must be {words}"):
        cast_value(parameter("INTEGER", **bounds), value)
