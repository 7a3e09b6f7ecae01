import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from llm_mri_store.errors import InvalidInput, QueryError, StoreCorrupt, UnknownName
from llm_mri_store.store import sandbox
from llm_mri_store.store.catalogue import ensure_store, find_scan, open_store
from llm_mri_store.store.connection import connect, fetch
from llm_mri_store.store.selection import select
from tests.store.stores import random_store, write_quality, write_reduction, write_scan

COLUMNS = {
    "scans": "scan status n_samples n_stored model revision random_weights corpus split labels site "
    "pooling layers hidden_size max_tokens dtype created identity",
    "reductions": "scan reduction method n_components grid bins seed template layers degenerate_layers "
    "is_current created",
    "samples": "sample_id text label n_tokens truncated status source",
    "activations": "layer sample_id vector",
    "points": "layer sample_id label coordinates cell_x cell_y n_tokens truncated status source",
    "layers": "layer next_layer grid is_degenerate n_fitted n_excluded n_clipped relative_spread "
    "total_variance explained_variance explained_variance_ratio edges_x edges_y",
    "results": "result kind reduction parameters seed created",
    "layer_quality": "result layer n_ok n_not_finite n_excluded n_distinct is_degenerate relative_spread "
    "total_variance effective_rank n_rank_samples anisotropy mean_norm n_outlier_dimensions top_dimension "
    "top_dimension_share",
}  # fmt: skip

BOTH = pytest.mark.parametrize("ask", [fetch, sandbox.run], ids=["own", "sandbox"])


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Scan ``big`` of 200 samples with reduction ``pca-2``; ``small`` of 3 samples without any."""
    store = random_store(tmp_path_factory.mktemp("views") / "store")
    write_quality(store, "big")
    write_scan(store.root, "small", labels=["x", "y", None], width=5)
    return store


@BOTH
@pytest.mark.parametrize("view", COLUMNS)
def test_a_view_has_exactly_its_columns(store, ask, view):
    assert ask(select(store, ["big"]), f"FROM {view} LIMIT 0").schema.names == COLUMNS[view].split()


@BOTH
def test_types_are_those_of_the_contract(store, ask):
    described = ask(
        select(store, ["big"]),
        """
        SELECT typeof(vector) AS vector, typeof(activations.layer) AS layer,
            typeof(coordinates) AS coordinates, typeof(cell_x) AS cell, typeof(sample_id) AS sample
        FROM activations JOIN points USING (sample_id)
        LIMIT 1
        """,
    )
    assert described.to_pylist() == [
        {
            "vector": "FLOAT[3]",
            "layer": "INTEGER",
            "coordinates": "FLOAT[2]",
            "cell": "INTEGER",
            "sample": "BIGINT",
        }
    ]


def test_own_and_users_connection_see_the_same(store):
    for view in COLUMNS:
        sql = f"FROM {view} ORDER BY ALL"
        assert fetch(select(store, ["big"]), sql) == sandbox.run(select(store, ["big"]), sql)


@BOTH
def test_scans_stand_side_by_side_in_schemas_of_their_names(store, ask):
    rows = ask(
        select(store, ["big", "small"]),
        """
        SELECT
            (SELECT count(*) FROM samples) AS chosen,
            (SELECT count(*) FROM big.samples) AS big,
            (SELECT count(*) FROM small.samples) AS small,
            (SELECT count(*) FROM small.activations) AS vectors,
            (SELECT count(*) FROM big.points) AS points
        """,
    )
    assert rows.to_pylist() == [{"chosen": 200, "big": 200, "small": 3, "vectors": 6, "points": 600}]
    with pytest.raises(QueryError, match="points"):
        ask(select(store, ["big", "small"]), "FROM small.points")


@BOTH
def test_each_scans_points_are_those_of_its_own_reduction(tmp_path, ask):
    store = None
    for place, name in enumerate(["one", "two"]):
        store = write_scan(tmp_path / "store", name, labels=["a"] * 5)
        write_reduction(store, name, cells=np.full((5, 2, 2), place))
        write_reduction(store, name, cells=np.full((5, 1, 2), 3), name="other")
    rows = ask(
        select(store, ["one/pca-2", "two/pca-2"]),
        """
        SELECT
            (SELECT max(cell_x) FROM points) AS chosen,
            (SELECT min(cell_x) FROM two.points) AS two,
            (SELECT count(*) FROM one.layers) AS one_layers,
            (SELECT count(*) FROM two.layers) AS two_layers
        """,
    )
    assert rows.to_pylist() == [{"chosen": 0, "two": 1, "one_layers": 2, "two_layers": 2}]
    assert ask(select(store, ["one"], "other"), "FROM layers").num_rows == 1


@BOTH
@pytest.mark.parametrize(
    "name",
    [
        "main",
        "temp",
        "system",
        "memory",
        "information_schema",
        "pg_catalog",
        "select",
        "123",
        "a-b.c",
        "Points",
    ],
)
def test_a_valid_name_that_sql_uses_itself_is_no_obstacle(tmp_path, ask, name):
    store = write_scan(tmp_path / "store", name, labels=["a", "b", "a"])
    write_reduction(store, name, cells=np.zeros((3, 2, 2), dtype=int))
    assert ask(select(store), "SELECT count(*) AS n FROM points")["n"].to_pylist() == [6]
    assert ask(select(store), "SELECT scan FROM scans")["scan"].to_pylist() == [name]
    if name not in {"temp", "system", "information_schema", "pg_catalog"}:
        rows = ask(select(store), f'SELECT count(*) AS n FROM "{name}".points')
        assert rows["n"].to_pylist() == [6]


@pytest.mark.parametrize("name", ["main", "Temp", "memory", "pg_catalog"])
def test_a_scan_that_would_be_hidden_behind_duckdbs_own_is_only_opened_first(tmp_path, name):
    store = write_scan(tmp_path / "store", name, labels=["a", "b", "a"])
    write_scan(store.root, "news", labels=["a"])
    assert fetch(select(store, [name, "news"]), "SELECT count(*) AS n FROM news.samples")[
        "n"
    ].to_pylist() == [1]
    with pytest.raises(InvalidInput, match=f"scan '{name}' has a name that DuckDB uses itself"):
        connect(select(store, ["news", name]))


def test_a_scan_is_opened_once(store):
    with pytest.raises(InvalidInput, match="scan 'big' is opened twice"):
        fetch(select(store, ["big", "big/pca-2"]), "SELECT 1")


@BOTH
@pytest.mark.parametrize("view", ["points", "layers", "samples", "activations", "results"])
def test_a_view_that_is_absent_says_how_to_get_it(tmp_path, store, ask, view):
    empty = ensure_store(tmp_path / "empty")
    begun = write_scan(tmp_path / "begun", "news", labels=["a", "b"], n_chunks=0)
    unreduced = write_scan(tmp_path / "unreduced", "news", labels=["a", "b"])
    two = random_store(tmp_path / "two", n=20)
    write_reduction(two, "big", cells=np.zeros((20, 3, 2), dtype=int), name="other")
    cases = {
        "the store holds no scan yet; make one with 'llm-mri scan'": select(empty),
        r"the store holds several scans \(big, small\); choose one with --scan": select(store),
        "scan 'news' has no committed chunk yet; run its scan command again": select(begun),
    }
    if view in {"points", "layers"}:
        cases |= {
            "scan 'news' has no reduction yet; make one with 'llm-mri reduce news'": select(unreduced),
            r"scan 'big' has several reductions \(other, pca-2\); choose one with -r": select(two),
        }
    for words, selection in cases.items():
        with pytest.raises(QueryError, match=f"view '{view}' is not there: {words}"):
            ask(selection, f"FROM {view}")


@BOTH
def test_the_stores_own_views_are_there_without_any_scan(tmp_path, ask):
    store = ensure_store(tmp_path / "empty")
    assert ask(select(store), "FROM scans").num_rows == 0
    assert ask(select(store), "FROM reductions").num_rows == 0


def test_names_that_are_not_there_are_answered_with_the_nearest(store):
    with pytest.raises(UnknownName, match="did you mean 'small'"):
        select(store, ["smal"])
    with pytest.raises(UnknownName, match="did you mean 'pca-2'"):
        select(store, ["big"], "pca-3")
    with pytest.raises(UnknownName, match="did you mean 'pca-2'"):
        select(store, ["big/pca2"])


@BOTH
def test_vectors_come_back_bit_by_bit_whatever_the_filter(tmp_path, ask):
    n, n_layers, width = 5500, 3, 8
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(n, n_layers, width)).astype(np.float32)
    vectors[0, 0, :4] = [0.0, -0.0, np.finfo(np.float32).tiny / 2, np.finfo(np.float32).max]
    status = ["not_finite" if i % 97 == 0 else "ok" for i in range(n)]
    store = write_scan(
        tmp_path / "store",
        "wide",
        labels=[f"l{i % 3}" for i in range(n)],
        vectors=vectors,
        status=status,
        chunk_samples=2048,
    )
    selection = select(store)
    present = np.asarray([one == "ok" for one in status])
    for layer in range(n_layers):
        rows = ask(
            selection,
            "FROM activations WHERE layer = $layer AND vector IS NOT NULL ORDER BY sample_id",
            {"layer": layer},
        )
        assert np.array_equal(rows["sample_id"].to_numpy(), np.flatnonzero(present))
        found = rows["vector"].combine_chunks()
        found = found.flatten().to_numpy().reshape(-1, width)
        assert found.tobytes() == vectors[present, layer].tobytes()
    counted = ask(
        selection,
        """
        SELECT activations.layer, samples.label, count(*) AS n, count(vector) AS n_vectors,
            sum(CAST(vector[1] AS DOUBLE)) AS total
        FROM activations JOIN samples USING (sample_id)
        WHERE samples.sample_id >= 2000 AND samples.status = 'ok'
        GROUP BY ALL ORDER BY ALL
        """,
    ).to_pylist()
    ids = np.arange(n)
    for row in counted:
        chosen = (ids >= 2000) & present & (ids % 3 == int(row["label"][1]))
        assert row["n"] == row["n_vectors"] == chosen.sum()
        assert row["total"] == pytest.approx(vectors[chosen, row["layer"], 0].astype(np.float64).sum())


@BOTH
def test_samples_without_a_point_are_rows_with_nulls(tmp_path, ask):
    store = write_scan(tmp_path / "store", "news", labels=["a", "b", "a"], status=["ok", "empty", "ok"])
    cells = np.ones((3, 2, 2), dtype=int)
    cells[1] = -1
    write_reduction(store, "news", cells=cells)
    rows = ask(
        select(store), "SELECT cell_x, coordinates, status FROM points WHERE layer = 0 ORDER BY sample_id"
    )
    assert rows["cell_x"].to_pylist() == [1, None, 1]
    assert rows["coordinates"].to_pylist() == [[1.0, 1.0], None, [1.0, 1.0]]
    assert rows["status"].to_pylist() == ["ok", "empty", "ok"]


@BOTH
def test_a_reduction_without_a_grid_has_points_of_its_width(tmp_path, ask):
    store = write_scan(tmp_path / "store", "news", labels=["a", "b", "a"])
    coordinates = np.arange(30).reshape(3, 2, 5)
    write_reduction(store, "news", cells=np.zeros((3, 2, 2), dtype=int), coordinates=coordinates, grid=None)
    rows = ask(select(store), "SELECT coordinates, cell_x, typeof(coordinates) AS t FROM points ORDER BY ALL")
    assert rows["coordinates"].to_pylist()[0] == [0, 1, 2, 3, 4]
    assert set(rows["cell_x"].to_pylist()) == {None}
    assert set(rows["t"].to_pylist()) == {"FLOAT[5]"}


def test_a_partial_scan_says_so_and_shows_what_is_there(tmp_path):
    store = write_scan(tmp_path / "store", "news", labels=["a", "b"] * 5, n_chunks=2)
    rows = fetch(
        select(store), "SELECT status, n_samples, n_stored, (SELECT count(*) FROM samples) AS n FROM scans"
    )
    assert rows.to_pylist() == [{"status": "partial", "n_samples": 10, "n_stored": 8, "n": 8}]


def test_a_reduction_of_chunks_that_are_gone_is_not_current(tmp_path):
    store = random_store(tmp_path / "store", n=100)
    current = "SELECT is_current FROM reductions"
    assert fetch(select(store), current)["is_current"].to_pylist() == [True]
    chunk = store.scan("big").chunk(1)
    chunk.rename(store.root / "elsewhere")
    assert fetch(select(store), current)["is_current"].to_pylist() == [False]


def test_what_is_read_is_what_was_there_when_it_was_opened(tmp_path):
    store = write_scan(tmp_path / "store", "news", labels=["a", "b"] * 5, n_chunks=1)
    selection = select(store)
    write_scan(store.root, "news", labels=["a", "b"] * 5, n_chunks=0)
    extra = write_scan(tmp_path / "whole", "news", labels=["a", "b"] * 5)
    extra.scan("news").chunk(1).rename(store.scan("news").chunk(1))
    assert find_scan(store, "news").n_stored == 8
    rows = fetch(selection, "SELECT n_stored, (SELECT count(*) FROM samples) AS n FROM scans")
    assert rows.to_pylist() == [{"n_stored": 4, "n": 4}]


def test_a_callers_variable_is_never_taken_for_a_table(store):
    mine = pa.table({"a": [1]})
    assert mine.num_rows == 1
    for ask in (fetch, sandbox.run):
        with pytest.raises(QueryError, match="mine"):
            ask(select(store, ["big"]), "FROM mine")


def test_a_connection_that_cannot_be_made_is_closed_again(store, monkeypatch):
    path = store.scan("big").chunk(0) / "samples.parquet"
    kept = path.read_bytes()
    path.write_bytes(b"PAR1")
    with pytest.raises(StoreCorrupt):
        connect(select(store, ["big"]))
    path.write_bytes(kept)
    connect(select(store, ["big"])).close()


def test_the_tiny_scan_opens(tiny_store):
    rows = fetch(select(open_store(tiny_store)), "SELECT layer, count(*) AS n FROM points GROUP BY layer")
    assert sorted(rows["layer"].to_pylist()) == [0, 1, 2, 3]
    assert set(rows["n"].to_pylist()) == {24}


def test_a_named_query_loads_nothing_it_does_not_need(store):
    script = """
import sys
from pathlib import Path
from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.selection import select
from llm_mri_store.store.queries import named_query
rows = fetch(select(open_store(Path(sys.argv[1])), ["big"]), named_query("scan_summary").sql)
assert rows.num_rows == 4
ours = {"torch", "scipy", "sklearn", "networkx", "filelock", "pyarrow.dataset", "pyarrow.parquet"}
print(*sorted(ours & set(sys.modules)))
"""
    ran = subprocess.run(
        [sys.executable, "-c", script, str(store.root)], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == []
