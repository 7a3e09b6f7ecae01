"""A user's SQL reads the store's views and can do nothing else, however it is put."""

import gc
import re
import time

import pytest

from llm_mri_store.errors import (
    InvalidInput,
    LlmMriError,
    QueryError,
    QueryForbidden,
    QueryTimeout,
    UnknownName,
)
from llm_mri_store.store import sandbox
from llm_mri_store.store.selection import select
from tests.store.stores import error_of, random_store, tree_digest, write_quality

# FILE is a Parquet file of the store, OUT a file beside it in a folder of canaries.
ATTACKS = r"""
COPY samples TO 'OUT'
COPY samples TO 'FILE' (FORMAT parquet)
COPY (SELECT 1) TO 'OUT' (USE_TMP_FILE false)
COPY samples FROM 'FILE'
COPY FROM DATABASE memory TO memory
EXPORT DATABASE 'OUT'
IMPORT DATABASE 'OUT'
WITH a AS (COPY samples TO 'FILE') SELECT 1
WITH a AS (COPY samples TO 'FILE' (USE_TMP_FILE false)) SELECT * FROM a
WITH a AS (WITH b AS (COPY samples TO 'FILE') SELECT 1) SELECT * FROM a
SELECT (WITH a AS (COPY samples TO 'OUT') SELECT 1)
SELECT * FROM (WITH a AS (COPY samples TO 'OUT') SELECT 1)
WITH a AS (INSERT INTO stored_scans(scan) VALUES ('x') RETURNING *) SELECT * FROM a
WITH a AS (DELETE FROM stored_scans RETURNING *) SELECT * FROM a
WITH a AS (UPDATE stored_scans SET scan = 'x' RETURNING *) SELECT * FROM a
INSERT INTO stored_scans(scan) VALUES ('x')
UPDATE stored_scans SET scan = 'x'
DELETE FROM stored_scans
TRUNCATE stored_scans
MERGE INTO stored_scans USING stored_scans ON true WHEN MATCHED THEN DELETE
CREATE TABLE x AS SELECT 1
CREATE OR REPLACE VIEW samples AS SELECT 1
CREATE MACRO f(a) AS a
CREATE SECRET s (TYPE s3)
DROP VIEW samples
DROP TABLE stored_scans
ALTER TABLE stored_scans ADD COLUMN x INTEGER
COMMENT ON VIEW samples IS 'x'
EXPLAIN ANALYZE COPY samples TO 'OUT'
EXPLAIN ANALYZE INSERT INTO stored_scans(scan) VALUES ('x')
EXPLAIN (ANALYZE) COPY samples TO 'OUT'
EXPLAIN (FORMAT ')SELECT 1 /*') INSERT INTO stored_scans(scan) VALUES ('x') --*/
/* /* */ EXPLAIN SELECT 1 -- */ */ EXPLAIN ANALYZE COPY samples TO 'OUT'
--\rEXPLAIN ANALYZE COPY samples TO 'OUT' /*\nEXPLAIN SELECT 1 --*/
SELECT 1; COPY samples TO 'OUT'
SELECT 1; SELECT 2
PREPARE p AS SELECT 1
EXECUTE p
DEALLOCATE p
INSTALL httpfs
FORCE INSTALL httpfs FROM community
LOAD httpfs
LOAD 'OUT'
ATTACH 'OUT' AS x
ATTACH ':memory:' AS x
DETACH memory
USE memory
SET enable_external_access = true
SET GLOBAL lock_configuration = false
SET VARIABLE x = 1
SET temp_directory = 'OUT'
RESET enable_external_access
RESET ALL
PRAGMA enable_profiling
PRAGMA profiling_output = 'OUT'
PRAGMA disable_optimizer
CALL enable_logging()
CALL pragma_version()
SELECT * FROM enable_logging(storage = 'file', storage_config = {'path': 'OUT'})
SELECT * FROM enable_profiling()
CHECKPOINT
FORCE CHECKPOINT
SELECT * FROM checkpoint()
VACUUM
ANALYZE
BEGIN
COMMIT
ROLLBACK
CONNECT 'quack:localhost'
SELECT * FROM read_text('FILE')
SELECT * FROM read_blob('FILE')
SELECT * FROM read_parquet('FILE')
SELECT * FROM parquet_scan('FILE')
SELECT * FROM read_csv('FILE')
SELECT * FROM read_csv_auto('FILE')
SELECT * FROM read_json('FILE')
SELECT * FROM read_json_auto('FILE')
SELECT * FROM read_ndjson_objects('FILE')
SELECT * FROM read_duckdb('FILE')
SELECT * FROM sniff_csv('FILE')
SELECT * FROM glob('/*')
SELECT * FROM parquet_metadata('FILE')
SELECT * FROM parquet_schema('FILE')
SELECT * FROM parquet_bloom_probe('FILE', 'text', 'x')
FROM 'FILE'
SELECT * FROM "FILE"
SELECT * FROM 'https://example.org/a.parquet'
SELECT * FROM read_csv('https://example.org/a.csv')
SELECT * FROM query('SELECT 42')
SELECT * FROM query('COPY samples TO ''OUT''')
SELECT * FROM query_table('FILE')
SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 42'))
SELECT * FROM arrow_scan(1, 1, 1)
SELECT * FROM "Arrow_Scan"(1, 1, 1)
SELECT * FROM system.main.arrow_scan_dumb(1, 1, 1)
SELECT * FROM pandas_scan(1)
SELECT * FROM samples WHERE EXISTS (FROM read_text('FILE'))
SELECT * FROM sqlite_scan('OUT', 'x')
SELECT getenv('HOME')
SELECT nextval('x')
SELECT * FROM caller
PIVOT points ON label USING count(*)
SELEC
FROM ("""
ATTACKS = [line.replace("\\r", "\r").replace("\\n", "\n") for line in ATTACKS.strip().splitlines()]
ATTACKS += [
    "SELECT sleep_ms(60000)", "SELECT (60000).SLEEP_MS()", "SELECT main.pg_sleep(60)",
    "SELECT list_transform([60000], lambda x: system.main.sleep_ms(x))",
    "", ";", "-- nothing", "\0", "SELECT 1\0", "SELECT 'a\0b'", "SELECT '\ud800'",
    "SELECT " + "(" * 5000 + "1" + ")" * 5001,
    "SELECT " + "NOT " * 5000 + "true",
    "SELECT " + "CASE WHEN true THEN " * 400 + "1" + " END" * 400,
    "FROM (" * 600 + "SELECT 1" + ")" * 600,
    "SELECT " + "[" * 300 + "1" + "]" * 300,
]  # fmt: skip

HARMLESS = """
SELECT * FROM duckdb_secrets()
SELECT * FROM duckdb_settings()
SELECT * FROM duckdb_functions()
SELECT * FROM duckdb_views()
SELECT * FROM duckdb_tables()
SELECT * FROM duckdb_temporary_files()
SELECT * FROM pg_catalog.pg_tables
SELECT * FROM information_schema.tables
SELECT * FROM query_table('samples')
SELECT getvariable('store')
SELECT current_setting('memory_limit')
SELECT write_log('x')
SELECT current_query(), current_schema(), version()
""".strip().splitlines()

caller = "a variable that SQL must not see"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("sql") / "store", n=60, n_layers=2)
    write_quality(store, "big")
    return store


@pytest.fixture(scope="module")
def before(store):
    return tree_digest(store.root)


@pytest.fixture
def canary(tmp_path):
    (tmp_path / "canary.txt").write_text("alive")
    return tmp_path


def run(store, query, parameters=None, *, timeout_s=20.0):
    return sandbox.run(select(store), query, parameters, timeout_s=timeout_s)


@pytest.mark.parametrize(
    "attack", ATTACKS, ids=[f"{place} {attack[:30]!r}" for place, attack in enumerate(ATTACKS)]
)
def test_an_attack_ends_in_one_of_our_errors_and_changes_nothing(store, before, canary, attack):
    path = store.scan("big").chunk(0) / "samples.parquet"
    query = attack.replace("FILE", str(path)).replace("OUT", str(canary / "out"))
    with pytest.raises(LlmMriError) as caught:
        run(store, query)
    assert isinstance(caught.value, QueryError)
    assert tree_digest(store.root) == before
    assert [path.name for path in canary.iterdir()] == ["canary.txt"]


@pytest.mark.parametrize("query", HARMLESS)
def test_looking_around_is_harmless(store, before, canary, query):
    shown = str(run(store, query).to_pylist())
    assert "/scans/" not in shown
    assert tree_digest(store.root) == before
    assert [path.name for path in canary.iterdir()] == ["canary.txt"]


@pytest.mark.parametrize(
    "words",
    ["COPY", "INSERT", "SET", "ATTACH", "PRAGMA", "CREATE", "DROP", "LOAD", "DELETE", "UPDATE", "VACUUM"],
)
def test_a_refusal_names_what_is_refused(store, words):
    statements = [
        attack for attack in ATTACKS if attack.startswith(f"{words} ") and not re.search("'|DATABASE", attack)
    ]
    for statement in statements:
        with pytest.raises(
            QueryForbidden, match=r"SQL here only reads: one SELECT over the store's views, no \w+"
        ):
            run(store, statement)


def test_a_file_as_a_table_is_forbidden_not_damaged(store):
    with pytest.raises(QueryForbidden, match="nothing else: no file"):
        run(store, "FROM '/nowhere/x.parquet'")


def test_a_pivot_is_shown_how_it_goes(store):
    with pytest.raises(QueryForbidden, match=r"FROM \(PIVOT points ON label IN"):
        run(store, "PIVOT points ON label USING count(*)")
    rows = run(
        store, "FROM (PIVOT points ON label IN ('a', 'b') USING count(*) GROUP BY layer) ORDER BY layer"
    )
    assert rows.schema.names == ["layer", "a", "b"]


GOOD = {
    "SELECT label, count(*) AS n FROM samples GROUP BY label ORDER BY label": 3,
    "FROM samples LIMIT 4": 4,
    "TABLE samples": 60,
    "VALUES (1, 'a'), (2, 'b')": 2,
    "WITH a AS (SELECT 1 AS x), b AS MATERIALIZED (FROM a) SELECT * FROM a, b": 1,
    "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < 5) SELECT i FROM t": 5,
    "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 2": 3,
    "SELECT 1 INTERSECT SELECT 1": 1,
    "(SELECT 1 EXCEPT SELECT 2) LIMIT 1;": 1,
    "FROM samples UNION ALL BY NAME FROM samples": 120,
    "SELECT row_number() OVER (PARTITION BY label ORDER BY sample_id) AS k FROM samples QUALIFY k = 1": 3,
    "DESCRIBE points": 10,
    "DESCRIBE SELECT 1 AS x": 1,
    "SHOW samples": 7,
    "SUMMARIZE samples": 7,
    "EXPLAIN SELECT * FROM points": 1,
    "EXPLAIN ANALYZE SELECT count(*) FROM points": 1,
    "EXPLAIN (FORMAT json) SELECT 1": 1,
    "  explain\n select 1": 1,
    "/* a comment */ SELECT 1 -- and one more": 1,
    "SELECT 'INSERT_NODE' AS \"COPY_NODE\", 'DELETE FROM x; DROP TABLE y' AS s": 1,
    "SELECT {'type': 'INSERT_NODE', 'error': true} AS trap": 1,
    "SELECT text FROM samples WHERE text LIKE '%COPY%' OR label = 'INSERT'": 0,
    "SELECT i FROM range(3) AS t(i)": 3,
    "SELECT i FROM generate_series(1, 3) AS t(i)": 3,
    "SELECT unnest([1, 2])": 2,
    "SELECT * FROM unnest([1, 2, 3])": 3,
    "SELECT list_transform([1, 2], lambda x: x + 1) AS l": 1,
    "FROM samples SELECT count(*) FILTER (WHERE label = 'a') GROUP BY ALL": 1,
    "SELECT * FROM samples AS a ASOF JOIN samples AS b ON a.sample_id >= b.sample_id": 60,
    "SELECT * FROM samples TABLESAMPLE 100%": 60,
    "SELECT * FROM big.samples": 60,
    "SELECT * FROM layers POSITIONAL JOIN scans": 2,
    "SELECT parameters ->> 'by' AS by FROM results": 1,
    "SELECT layer FROM layer_quality JOIN layers USING (layer)": 2,
    "SELECT * FROM query_table('layer_' || 'quality')": 2,
}


@pytest.mark.parametrize(("query", "n_rows"), GOOD.items())
def test_reading_works_in_all_its_forms(store, query, n_rows):
    assert run(store, query).num_rows == n_rows


def test_the_views_are_listed_first_of_all_by_show_tables(store):
    names = run(store, "SHOW TABLES")["name"].to_pylist()
    views = {"scans", "reductions", "samples", "activations", "points", "layers", "results", "layer_quality"}
    assert views <= set(names)
    assert not [name for name in names if "parquet" in name or "/" in name]


@pytest.mark.parametrize(
    ("value", "back"),
    [
        ("x'; DROP TABLE samples;--", "x'; DROP TABLE samples;--"),
        (7, 7), (0.5, 0.5), (True, True), (None, None), ("", ""), ("ä\n\"🎈", "ä\n\"🎈"), (2**40, 2**40),
        (["a", "b"], ["a", "b"]), ([], []), (["a", None], ["a", None]), ("NULL", "NULL"),
    ],
)  # fmt: skip
def test_a_parameter_comes_through_as_it_is(store, value, back):
    assert run(store, "SELECT $value AS back", {"value": value})["back"].to_pylist() == [back]


def test_parameters_filter(store):
    rows = run(
        store,
        "SELECT count(*) AS n FROM samples WHERE list_contains($labels, label) OR label = $label",
        {"labels": ["a", "b"], "label": "c"},
    )
    assert rows["n"].to_pylist() == [60]
    assert run(store, "SELECT $A AS a", {"a": 1})["a"].to_pylist() == [1]


def test_parameters_that_do_not_fit_the_query_are_named(store):
    with pytest.raises(InvalidInput, match=r"needs a value for \$a, \$b; give it with -p a="):
        run(store, "SELECT $a + $b + $c", {"c": 1})
    with pytest.raises(UnknownName, match="parameter 'laber' is not in the SQL; did you mean 'label'"):
        run(store, "SELECT $label", {"label": 1, "laber": 2})
    for value in (object(), "\ud800", 2**200, {1, 2}.__iter__()):
        with pytest.raises((InvalidInput, QueryError)):
            run(store, "SELECT $a", {"a": value})


@pytest.mark.parametrize(
    "query",
    [
        "SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b",
        "SELECT count(*) FROM points AS a, points AS b, points AS c, points AS d, points AS e "
        "WHERE a.cell_x + b.cell_x + c.cell_x + d.cell_x + e.cell_x < 0",
        "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT i FROM t",
        "WITH RECURSIVE t(i) AS (SELECT 1 UNION SELECT i + 1 FROM t) SELECT count(*) FROM t",
        "SELECT max(md5((a.range * b.range)::VARCHAR)) FROM range(10000000) AS a, range(10000000) AS b",
        "EXPLAIN ANALYZE SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b",
    ],
)
def test_an_endless_query_is_stopped(store, query):
    begun = time.monotonic()
    with pytest.raises(QueryTimeout, match=r"longer than 0.4 s and was stopped; see --timeout"):
        run(store, query, timeout_s=0.4)
    assert time.monotonic() - begun < 2


def test_an_interrupt_that_comes_between_two_statements_is_not_lost(store):
    # So short that the clock has run out before the query begins.
    for timeout_s in (1e-9, 0.001, 0.003):
        with pytest.raises(QueryTimeout):
            run(store, "SELECT count(*) FROM range(10000000) AS a, range(10000000) AS b", timeout_s=timeout_s)


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan")])
def test_a_timeout_that_is_no_time_is_refused(store, timeout_s):
    with pytest.raises(InvalidInput, match="positive number of seconds"):
        run(store, "SELECT 1", timeout_s=timeout_s)


@pytest.mark.parametrize("timeout_s", [1e12, float("inf")])
def test_a_timeout_may_be_as_long_as_one_likes(store, timeout_s):
    assert run(store, "SELECT 1 AS x", timeout_s=timeout_s)["x"].to_pylist() == [1]


def test_a_result_without_end_is_refused_before_it_fills_the_memory(store, monkeypatch):
    monkeypatch.setattr(sandbox, "_MOST_BYTES", 2**24)
    with pytest.raises(QueryError, match=r"the result is larger than .* GiB; aggregate it, or add a LIMIT"):
        run(store, "SELECT range FROM range(1000000000000)")
    assert run(store, "SELECT range FROM range(2000000)").num_rows == 2_000_000


def test_a_query_that_needs_too_much_memory_is_one_sentence(store, monkeypatch):
    monkeypatch.setattr(sandbox, "_MEMORY_LIMIT", "100MB")
    monkeypatch.setattr(sandbox, "_TEMP_LIMIT", "1MB")
    with pytest.raises(QueryError, match="needs more memory than it is allowed"):
        run(store, "SELECT list(range) FROM range(30000000)")


def test_sorting_more_than_the_memory_holds_spills_and_leaves_nothing(store, monkeypatch, tmp_path):
    monkeypatch.setattr(sandbox, "_MEMORY_LIMIT", "100MB")
    monkeypatch.setattr(sandbox.tempfile, "tempdir", str(tmp_path))
    rows = run(store, "SELECT i, hash(i) AS h FROM range(3000000) AS t(i) ORDER BY h LIMIT 3 OFFSET 2000000")
    assert rows.num_rows == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM test_all_types()", "SELECT INTERVAL 1 DAY", "SELECT 1::HUGEINT", "SELECT 1::UHUGEINT",
        "SELECT '101'::BIT", "SELECT union_value(a := 1)", "SELECT MAP {'a': 1}", "SELECT 'a'::ENUM('a')",
        "SELECT '12:00:00+02'::TIMETZ", "SELECT NULL", "SELECT 1 AS a, 2 AS a",
        "SELECT 'infinity'::TIMESTAMP", "SELECT uuid()", "SELECT {'a': {'b': [1, 2]}}",
        "SELECT 'abc'::BLOB", "SELECT 'nan'::DOUBLE",
        "SELECT 1::BIGNUM", "SELECT 1::VARIANT", "SELECT '0001-01-01 (BC)'::DATE", "SELECT []",
    ],
)  # fmt: skip
def test_any_type_comes_back_as_arrow_or_as_our_error(store, query):
    error = error_of(lambda: run(store, query))
    assert error is None or "Arrow" in str(error)


def test_an_error_points_at_the_place_in_the_sql(store):
    with pytest.raises(QueryError, match=r"syntax error at or near \"samples\"[\s\S]*\^"):
        run(store, "SELECT * FRM samples")
    with pytest.raises(QueryError, match=r'Referenced column "lable" not found[\s\S]*"label"'):
        run(store, "SELECT lable FROM samples")


def test_words_about_files_in_a_users_own_error_are_not_taken_for_damage(store):
    with pytest.raises(QueryError, match="parquet") as caught:
        run(store, "SELECT error('my parquet words')")
    assert type(caught.value) is QueryError


def test_many_queries_leave_no_thread_behind(store):
    import threading

    for _ in range(5):
        run(store, "SELECT 1")
    gc.collect()
    assert not [one for one in threading.enumerate() if one.name == "llm-mri-sql-clock"]
