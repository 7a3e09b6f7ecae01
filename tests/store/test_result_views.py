"""Tables of results in SQL: seen while what they were made from is there, and in nobody's way."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from llm_mri_store import schema
from llm_mri_store.errors import (
    QueryError,
    StoreCorrupt,
)
from llm_mri_store.store import sandbox
from llm_mri_store.store.catalogue import (
    remove_reduction,
)
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.result_commit import save_result
from llm_mri_store.store.results import find_result, read_result, remove_result
from llm_mri_store.store.selection import select
from llm_mri_store.store.verify import verify_store
from tests.store.stores import (
    TRIAL,
    TRIAL_KIND,
    error_of,
    made_from,
    random_store,
    trials,
    write_quality,
    write_reduction,
    write_scan,
    write_trial,
)

BOTH = pytest.mark.parametrize("ask", [fetch, sandbox.run], ids=["own", "sandbox"])


@pytest.fixture(autouse=True)
def _trials(monkeypatch):
    monkeypatch.setitem(schema.RESULT_KINDS, "trial", TRIAL_KIND)


@pytest.fixture
def store(tmp_path):
    """Scan ``big`` with reduction ``pca-2`` and a result of each."""
    store = random_store(tmp_path / "store", n=100, n_layers=2)
    write_quality(store, "big")
    write_trial(store)
    return store


@BOTH
def test_a_result_is_rows_of_its_tables_under_its_name(store, ask):
    kept = find_result(spec=TRIAL, **made_from(store, "pca-2"))
    assert read_result(kept, "trials").equals(trials()["trials"].cast(read_result(kept, "trials").schema))
    rows = ask(select(store), "SELECT * FROM draws ORDER BY draw").to_pylist()
    assert rows == [
        {"result": "first", "draw": 0, "label": "a"},
        {"result": "first", "draw": 1, "label": None},
    ]
    described = ask(
        select(store), "SELECT typeof(result) AS r, typeof(layer) AS l, typeof(p) AS p FROM trials"
    )
    assert described.to_pylist()[0] == {"r": "VARCHAR", "l": "INTEGER", "p": "DOUBLE"}


@BOTH
def test_the_listing_shows_each_result_with_its_choices(store, ask):
    rows = ask(
        select(store), "SELECT * EXCLUDE (created), created IS NULL AS is_lost FROM results"
    ).to_pylist()
    assert [(row["result"], row["kind"], row["reduction"], row["seed"]) for row in rows] == [
        ("default", "layer_quality", None, None),
        ("first", "trial", "pca-2", 7),
    ]
    assert json.loads(rows[1]["parameters"]) == {"n_draws": 2, "side": "both"}
    assert not rows[1]["is_lost"]
    n = ask(select(store), "SELECT parameters ->> 'n_draws' AS n FROM results WHERE kind = 'trial'")
    assert n["n"].to_pylist() == ["2"]


@BOTH
def test_results_of_one_kind_stand_in_one_view(store, ask):
    write_trial(store, "second")
    rows = ask(select(store), "SELECT result, count(*) AS n FROM trials GROUP BY result ORDER BY result")
    assert rows.to_pylist() == [{"result": "first", "n": 3}, {"result": "second", "n": 3}]


@BOTH
def test_results_of_a_reduction_are_seen_where_it_is_chosen(store, ask):
    write_reduction(store, "big", cells=np.zeros((100, 2, 2), dtype=int), name="flat")
    write_trial(store, "of-flat", reduction="flat")
    for reduction, name in {"pca-2": "first", "flat": "of-flat"}.items():
        opened = select(store, ["big"], reduction)
        assert set(ask(opened, "FROM trials")["result"].to_pylist()) == {name}
        assert ask(opened, "FROM results")["result"].to_pylist() == ["default", name]
    with pytest.raises(
        QueryError, match=r"'trials' is not there: scan 'big' has several.*choose one with -r"
    ):
        ask(select(store, ["big"]), "FROM trials")
    assert ask(select(store, ["big"]), "FROM layer_quality").num_rows == 2


@BOTH
def test_scans_side_by_side_have_their_own_results(store, ask):
    write_scan(store.root, "small", labels=["a", "b"])
    write_quality(store, "small", name="other")
    rows = ask(
        select(store, ["big", "small"]),
        """
        SELECT
            (SELECT max(result) FROM layer_quality) AS chosen,
            (SELECT max(result) FROM big.layer_quality) AS big,
            (SELECT max(result) FROM small.layer_quality) AS small,
            (SELECT count(*) FROM small.results) AS n
        """,
    )
    assert rows.to_pylist() == [{"chosen": "default", "big": "default", "small": "other", "n": 1}]


@BOTH
@pytest.mark.parametrize("name", ["main", "temp", "select", "layer_quality", "results", "123"])
def test_a_scan_may_be_called_like_a_view(tmp_path, ask, name):
    store = write_scan(tmp_path / "store", name, labels=["a", "b"])
    write_quality(store, name)
    assert ask(select(store), "SELECT count(*) AS n FROM layer_quality")["n"].to_pylist() == [2]
    assert ask(select(store), "SELECT count(*) AS n FROM results")["n"].to_pylist() == [1]


@BOTH
def test_a_view_without_a_result_names_the_way_to_one(tmp_path, ask):
    store = random_store(tmp_path / "store", n=20, n_layers=2)
    for view, words in {
        "layer_quality": "scan 'big' has no such result; make one with 'llm-mri show big'",
        "trials": "reduction big/pca-2 has no such result; make one with 'llm-mri trial big/pca-2'",
    }.items():
        with pytest.raises(QueryError, match=f"view '{view}' is not there: {words}"):
            ask(select(store), f"FROM {view}")
    assert ask(select(store), "FROM results").num_rows == 0
    remove_reduction(store, "big", "pca-2")
    with pytest.raises(QueryError, match="'trials' is not there: scan 'big' has no reduction yet"):
        ask(select(store), "FROM trials")


def test_views_are_listed_only_where_there_are_results(store):
    assert {"layer_quality", "trials", "draws"} <= set(
        sandbox.run(select(store), "SHOW TABLES")["name"].to_pylist()
    )
    remove_result(store, "big/pca-2/trial/first")
    assert "trials" not in sandbox.run(select(store), "SHOW TABLES")["name"].to_pylist()


@BOTH
def test_a_result_of_another_reduction_of_the_same_name_is_seen_nowhere(store, tmp_path, ask):
    folder = store.scan("big").results("pca-2")
    kept = shutil.move(folder, tmp_path / "kept")
    remove_reduction(store, "big", "pca-2")
    write_reduction(store, "big", cells=np.ones((100, 2, 2), dtype=int))
    shutil.move(kept, folder)
    assert find_result(spec=TRIAL, **made_from(store, "pca-2")) is None
    assert ask(select(store), "FROM results")["kind"].to_pylist() == ["layer_quality"]
    with pytest.raises(
        QueryError, match="reduction big/pca-2 has no such result; make one with 'llm-mri trial"
    ):
        ask(select(store), "FROM trials")
    other = replace(TRIAL, seed=1)
    save_result(store, spec=other, tables=trials(5), **made_from(store, "pca-2"))
    assert ask(select(store), "FROM trials").num_rows == 5
    assert verify_store(store) == []


@BOTH
def test_a_result_of_chunks_that_are_gone_is_seen_nowhere(store, ask):
    chunk = store.scan("big").chunk(1)
    chunk.rename(store.root / "elsewhere")
    assert ask(select(store), "FROM results").num_rows == 0
    for view in ("layer_quality", "trials"):
        with pytest.raises(QueryError, match=f"view '{view}' is not there"):
            ask(select(store), f"FROM {view}")
    (store.root / "elsewhere").rename(chunk)
    assert ask(select(store), "FROM results").num_rows == 2


def test_a_result_with_the_columns_of_another_version_is_seen_nowhere(store, monkeypatch):
    tables = {**TRIAL_KIND.tables, "trials": {"layer": "int32", "q": "double"}}
    monkeypatch.setitem(schema.RESULT_KINDS, "trial", replace(TRIAL_KIND, tables=tables))
    assert find_result(spec=TRIAL, **made_from(store, "pca-2")) is None
    assert sandbox.run(select(store), "FROM results")["kind"].to_pylist() == ["layer_quality"]
    made = {**trials(), "trials": trials()["trials"].rename_columns(["layer", "q"])}
    save_result(store, spec=TRIAL, tables=made, **made_from(store, "pca-2"))
    assert sandbox.run(select(store), "SELECT q FROM trials").num_rows == 3


@BOTH
def test_a_folder_with_a_name_that_no_result_has_is_not_read(store, ask):
    folder = store.scan("big").results() / "layer_quality"
    for name in ("x' UNION SELECT 1 --", "default (2)"):
        shutil.copytree(folder / "default", folder / name)
    (folder / ".DS_Store").write_text("x")
    assert ask(select(store), "SELECT DISTINCT result FROM layer_quality")["result"].to_pylist() == [
        "default"
    ]
    assert len(verify_store(store)) == 2


@BOTH
def test_parameters_come_back_as_they_were_given(store, ask):
    parameters = {
        "quote": 'it\'s "here" {} $1 %s 🎈',
        "words": ("a", "b"),
        "none": None,
        "flag": True,
        "share": 0.1,
        "empty": (),
        "like a number": "1",
        "seed": 3,
    }
    spec = replace(TRIAL, name="odd", parameters=parameters)
    save_result(store, spec=spec, tables=trials(), **made_from(store, "pca-2"))
    assert find_result(spec=spec, **made_from(store, "pca-2")).record.spec == spec
    (words,) = ask(select(store), "SELECT parameters FROM results WHERE result = 'odd'")[
        "parameters"
    ].to_pylist()
    assert json.loads(words) == {**parameters, "words": ["a", "b"], "empty": []}


def test_a_result_without_rows_is_a_result(store):
    empty = {name: rows.slice(0, 0) for name, rows in trials().items()}
    save_result(store, spec=replace(TRIAL, name="empty"), tables=empty, **made_from(store, "pca-2"))
    for ask in (fetch, sandbox.run):
        assert set(ask(select(store), "FROM trials")["result"].to_pylist()) == {"first"}
    remove_result(store, "big/pca-2/trial/first")
    for ask in (fetch, sandbox.run):
        assert ask(select(store), "FROM trials").schema.names == ["result", "layer", "p"]


def test_a_record_with_a_number_that_no_column_holds_is_damaged(store):
    path = store.scan("big").results("pca-2") / "trial" / "first" / "result.json"
    fields = json.loads(path.read_bytes())
    fields["spec"]["seed"] = 2**70
    path.write_text(json.dumps(fields))
    for ask in (fetch, sandbox.run):
        assert ask(select(store), "SELECT count(*) AS n FROM results")["n"].to_pylist() == [2]
        with pytest.raises(StoreCorrupt, match="'big/pca-2/trial/first' is damaged"):
            ask(select(store), "FROM trials")


GARBAGE = [b"", b"{", b"[]", b"\0" * 40, b'{"format": 99}', b'{"spec": {"kind": "trial"}}']
OTHERS = "SELECT (SELECT count(*) FROM points) AS n, (SELECT count(*) FROM layer_quality) AS m FROM scans"


@BOTH
@pytest.mark.parametrize("content", GARBAGE, ids=range(len(GARBAGE)))
def test_a_damaged_record_stands_in_the_way_of_nothing_else(store, ask, content):
    path = find_result(spec=TRIAL, **made_from(store, "pca-2")).folder / "result.json"
    path.write_bytes(content)
    assert ask(select(store), OTHERS).to_pylist() == [{"n": 200, "m": 2}]
    rows = ask(select(store), "FROM results WHERE kind = 'trial'").to_pylist()
    nothing = {"parameters": None, "seed": None, "created": None}
    assert rows == [{"result": "first", "kind": "trial", "reduction": "pca-2", **nothing}]
    with pytest.raises(StoreCorrupt, match=r"is damaged; remove it with 'llm-mri rm big/pca-2/trial/first'"):
        ask(select(store), "FROM trials")
    assert [one.where for one in verify_store(store)] == [path.relative_to(store.root).as_posix()]
    save_result(store, spec=TRIAL, tables=trials(), **made_from(store, "pca-2"))
    assert ask(select(store), "FROM trials").num_rows == 3
    assert verify_store(store) == []


@BOTH
@pytest.mark.parametrize("damage", ["missing", "garbage", "truncated"])
def test_a_damaged_table_is_an_error_only_where_it_is_asked_for(store, ask, damage):
    path = find_result(spec=TRIAL, **made_from(store, "pca-2")).file("draws")
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"PAR1" + bytes(50) if damage == "garbage" else content[:-9])
    assert ask(select(store), OTHERS).to_pylist() == [{"n": 200, "m": 2}]
    error = error_of(lambda: ask(select(store), "FROM draws"))
    assert isinstance(error, StoreCorrupt)
    assert re.search("llm-mri (rm big/pca-2/trial/first|verify)", str(error))
    assert verify_store(store) != []


def test_every_kind_declares_tables_that_views_can_be_made_of():
    views = [*schema.STORE_VIEWS, *schema.SCAN_VIEWS, *schema.REDUCTION_VIEWS]
    views += [f"chosen_{name}" for name in ("layers", "results")]
    shared = {}
    for kind, declared in schema.RESULT_KINDS.items():
        assert kind.isidentifier()
        assert declared.way.format(scan="s", reduction="r").startswith("llm-mri ")
        for table, columns in declared.tables.items():
            assert table.isidentifier()
            assert table == table.lower()
            assert not table.startswith(schema.STORED_PREFIX)
            assert schema.result_schema(kind, table).names == ["result", *columns]
            assert shared.setdefault(table, columns) == columns, "a table of several kinds is one view"
    assert not set(views) & set(shared)
