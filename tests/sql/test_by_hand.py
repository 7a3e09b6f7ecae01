"""A store opened in a plain DuckDB shell, as the header of ``sql/by_hand.sql`` says."""

import re

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from llm_mri_store import schema
from llm_mri_store.analysis.quality import scan_quality
from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.queries import fill_parameters, named_query, query_names, sql_folder
from llm_mri_store.store.selection import select
from tests.store.stores import (
    TRIAL_KIND,
    random_store,
    write_quality,
    write_reduction,
    write_scan,
    write_tests,
    write_trial,
)


@pytest.fixture(scope="module")
def store(_trials, tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("hand") / "store", n=80)
    write_scan(store.root, "other", labels=["x", "y"] * 3, n_chunks=1)
    write_reduction(store, "big", cells=np.zeros((80, 3, 2), dtype=int), name="flat", degenerate=[0, 2])
    scan_quality(store, "big")
    write_quality(store, "other")
    for name in ("pca-2", "flat"):
        write_trial(store, name.upper(), reduction=name)
    write_tests(store)
    return store


@pytest.fixture(scope="module")
def _trials():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(schema.RESULT_KINDS, "trial", TRIAL_KIND)
        yield


@pytest.fixture
def shell(store, monkeypatch):
    monkeypatch.chdir(store.root.parent)
    by_hand = (sql_folder() / "by_hand.sql").read_text()
    con = duckdb.connect()
    for name, value in {"store": store.root.name, "scan": "big", "reduction": "pca-2"}.items():
        con.execute(f"SET VARIABLE {name} = '{value}'")
    for file in ("by_hand.sql", "views.sql"):
        con.execute((sql_folder() / file).read_text())
    statement = re.search(r"-- +(CREATE VIEW layer_quality AS)\n-- +(FROM .*;)", by_hand)
    con.execute(" ".join(statement.groups()).replace("llm-mri-store/", "store/").replace("/news/", "/big/"))
    for table in {
        table for kind in schema.RESULT_KINDS.values() if kind.of_reduction for table in kind.tables
    }:
        files = f"store/scans/big/reductions/pca-2/results/*/*/{table}.parquet"
        con.execute(f"CREATE VIEW {table} AS FROM read_parquet('{files}')")
    yield con
    con.close()


def literal(value):
    if value is None or isinstance(value, int):
        return "NULL" if value is None else str(value)
    return f"'{value}'"


@pytest.mark.parametrize("name", [name for name in query_names() if name != "neighbours"])
def test_a_query_by_hand_gives_what_the_package_gives(store, shell, name):
    query = named_query(name)
    required = {"layer": 1, "cell_x": 1, "cell_y": 2, "grid": 4}
    values = fill_parameters(
        query, {one.name: required[one.name] for one in query.parameters if one.is_required}
    )
    shell.execute(f"PREPARE q AS {query.text}")
    arguments = ", ".join(f'"{key}" := {literal(value)}' for key, value in values.items())
    rows = shell.execute(f"EXECUTE q({arguments})" if values else "EXECUTE q").fetchall()
    assert rows == [
        tuple(row.values()) for row in fetch(select(store, ["big/pca-2"]), query.sql, values).to_pylist()
    ]


@pytest.mark.parametrize(
    "view", ["scans", "reductions", "samples", "layers", "points", "results", "layer_quality"]
)
def test_a_view_by_hand_holds_what_the_packages_holds(store, shell, view):
    by_hand = shell.sql(f"SELECT * FROM {view} ORDER BY ALL").to_arrow_table()
    own = fetch(select(store, ["big/pca-2"]), f"SELECT * FROM {view} ORDER BY ALL")
    if view == "reductions":
        own = own.drop_columns(["is_current"])
    assert by_hand.schema.names == own.schema.names
    assert by_hand.to_pylist() == own.to_pylist()


def test_activations_by_hand_are_lists_of_the_same_numbers(store, shell):
    sql = "SELECT layer, sample_id, vector FROM activations ORDER BY layer, sample_id"
    by_hand = shell.sql(sql).to_arrow_table()
    own = fetch(select(store, ["big/pca-2"]), sql)
    assert by_hand.num_rows == own.num_rows == 240
    assert pa.types.is_list(by_hand.schema.field("vector").type)
    assert by_hand.to_pylist() == own.to_pylist()


def test_neighbours_by_hand_need_the_width_of_a_vector(store, shell):
    query = named_query("neighbours")
    shell.execute(
        "CREATE OR REPLACE VIEW activations AS "
        "SELECT layer, sample_id, CAST(vector AS FLOAT[3]) AS vector FROM stored_activations"
    )
    shell.execute(f"PREPARE q AS {query.text}")
    rows = shell.execute('EXECUTE q(layer := 1, sample_id := 0, "limit" := 4)').fetchall()
    values = fill_parameters(query, {"layer": 1, "sample_id": 0, "limit": 4})
    assert rows == [
        tuple(row.values()) for row in fetch(select(store, ["big/pca-2"]), query.sql, values).to_pylist()
    ]


def test_the_tiny_store_opens_by_hand(tiny_store):
    con = duckdb.connect()
    for name, value in {"store": tiny_store, "scan": "tiny", "reduction": "pca-2"}.items():
        con.execute(f"SET VARIABLE {name} = '{value}'")
    for file in ("by_hand.sql", "views.sql"):
        con.execute((sql_folder() / file).read_text())
    found = con.execute("SELECT layer, count(*) FROM points GROUP BY layer ORDER BY layer").fetchall()
    con.close()
    assert found == [(0, 24), (1, 24), (2, 24), (3, 24)]
    assert open_store(tiny_store).root == tiny_store
