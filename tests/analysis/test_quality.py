"""A scan's quality: a row per layer, computed once and kept in the store."""

import json
from dataclasses import replace

import numpy as np
import pytest

from llm_mri_store import Store, schema
from llm_mri_store.analysis import quality
from llm_mri_store.analysis.quality import measure_scan, scan_quality
from llm_mri_store.errors import InvalidInput, StoreCorrupt, UnknownName
from llm_mri_store.records.scans import PrunedRecord
from llm_mri_store.reduction.rounding import spread_tolerance
from llm_mri_store.store.arrays import stored_activations
from llm_mri_store.store.catalogue import find_scan
from llm_mri_store.store.files import write_json
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.results import find_results
from llm_mri_store.store.verify import verify_store
from tests.analysis.clouds import cloud, measured, rank_by_scipy, similarity_by_sklearn
from tests.cli.shell import shell
from tests.store.stores import random_store, tree_digest, write_scan

STATUS = ["ok", "empty", "ok", "null_label", "not_finite", "ok", "null_text", "ok", "ok", "ok"]


@pytest.fixture
def store(tmp_path):
    """Scan ``news``: layer 0 constant, layer 1 varied, layer 2 with a NaN in a sample that is ok."""
    vectors = np.stack([np.full((10, 4), 0.3, np.float32), cloud(10, 4), cloud(10, 4, seed=1)], axis=1)
    vectors[5, 2, 1] = np.nan
    return write_scan(
        tmp_path / "store",
        "news",
        labels=[None if status == "null_label" else "ab"[place % 2] for place, status in enumerate(STATUS)],
        vectors=vectors,
        status=STATUS,
        present=["ok", "null_label"],
    )


def test_a_scan_has_a_row_per_layer_about_its_ok_samples(store):
    rows = scan_quality(store, "news").to_pylist()
    assert [row["layer"] for row in rows] == [0, 1, 2]
    counts = [(row["n_ok"], row["n_not_finite"], row["n_excluded"], row["n_distinct"]) for row in rows]
    assert counts == [(6, 1, 3, 1), (6, 1, 3, 6), (5, 2, 3, 5)]
    ok = np.asarray([cloud(10, 4)[place] for place, status in enumerate(STATUS) if status == "ok"])
    expected = measured(ok)
    assert rows[1]["effective_rank"] == pytest.approx(expected.effective_rank)
    assert rows[1]["anisotropy"] == pytest.approx(expected.anisotropy)


def test_a_layer_of_one_vector_is_degenerate_and_its_covariance_is_not_read(store):
    flat, varied, _ = scan_quality(store, "news").to_pylist()
    assert (flat["is_degenerate"], varied["is_degenerate"]) == (True, False)
    assert flat["relative_spread"] <= spread_tolerance("float32")
    assert flat["effective_rank"] is flat["top_dimension"] is flat["top_dimension_share"] is None
    assert (flat["n_rank_samples"], varied["n_rank_samples"]) == (0, 6)
    assert flat["anisotropy"] == pytest.approx(1)


def test_counts_add_up_to_the_samples(tmp_path):
    store = random_store(tmp_path / "store", n=90)
    for row in scan_quality(store, "big").to_pylist():
        assert row["n_ok"] + row["n_not_finite"] + row["n_excluded"] == 90
        assert 1 <= row["n_distinct"] <= row["n_ok"]
        assert -1 <= row["anisotropy"] <= 1
        assert 0 < row["top_dimension_share"] <= 1


def test_quality_is_computed_once_and_then_kept(store, monkeypatch):
    told = []
    first = scan_quality(store, "news", progress=told.append)
    assert [(one.job, one.done, one.total) for one in told] == [("quality", k, 3) for k in range(4)]
    before = tree_digest(store.root)
    monkeypatch.setattr(quality, "measure_scan", None)
    assert scan_quality(store, "news") == first
    assert tree_digest(store.root) == before
    assert verify_store(store) == []
    (entry,) = find_results(find_scan(store, "news"))
    assert entry.address == "news/layer_quality/default"
    assert entry.record.spec.seed == 0
    assert entry.record.spec.parameters["outlier_deviations"] == 3


def test_what_is_kept_is_what_the_view_and_the_query_show(store):
    kept = scan_quality(store, "news").to_pylist()
    viewed = Store(store.root).sql("SELECT * EXCLUDE (result) FROM layer_quality ORDER BY layer")
    assert viewed.rows() == kept == Store(store.root).sql("layer_quality").rows()
    assert Store(store.root).scans["news"].quality().rows() == kept


def test_quality_by_other_rules_gives_way(store, monkeypatch):
    scan_quality(store, "news")
    spec = quality._SPEC
    monkeypatch.setattr(
        quality, "_SPEC", replace(spec, parameters={**spec.parameters, "outlier_deviations": 4.0})
    )
    scan_quality(store, "news")
    (entry,) = find_results(find_scan(store, "news"))
    assert entry.record.spec.parameters["outlier_deviations"] == 4


def test_quality_is_given_while_another_process_writes(store):
    with scan_lock(store, "news"):
        given = scan_quality(store, "news")
    assert find_results(find_scan(store, "news")) == ()
    assert scan_quality(store, "news") == given


def test_a_scan_without_samples_that_are_ok_has_counts_alone(tmp_path):
    store = write_scan(
        tmp_path / "store", "x", labels=["a", "b", "a"], status=["empty", "not_finite", "empty"]
    )
    for row in scan_quality(store, "x").to_pylist():
        assert (row["n_ok"], row["n_not_finite"], row["n_excluded"], row["n_distinct"]) == (0, 1, 2, 0)
        assert row["is_degenerate"] is row["mean_norm"] is row["anisotropy"] is row["effective_rank"] is None


def test_a_layer_that_is_nowhere_finite_is_told_from_the_others(tmp_path):
    vectors = np.stack([cloud(6, 4), np.full((6, 4), np.nan, np.float32)], axis=1)
    store = write_scan(tmp_path / "store", "x", labels=["a", "b"] * 3, vectors=vectors)
    one, other = scan_quality(store, "x").to_pylist()
    assert (one["n_ok"], one["n_not_finite"], one["is_degenerate"]) == (6, 0, False)
    assert (other["n_ok"], other["n_not_finite"], other["is_degenerate"]) == (0, 6, None)


def test_a_scan_that_is_not_complete_has_no_quality_yet(tmp_path):
    store = write_scan(tmp_path / "store", "x", labels=["a", "b"] * 5, n_chunks=1)
    with pytest.raises(
        InvalidInput, match=r"scan 'x' is not complete \(4 of 10 samples\).*run its scan command"
    ):
        scan_quality(store, "x")
    with pytest.raises(UnknownName, match="did you mean 'x'"):
        scan_quality(store, "xx")


def test_a_scan_whose_activations_were_removed_says_so(store):
    for chunk in find_scan(store, "news").chunks:
        folder = store.scan("news").chunk(chunk.index)
        (folder / schema.ACTIVATIONS_FILE).unlink()
    with pytest.raises(StoreCorrupt, match=r"activations.parquet is damaged or missing"):
        scan_quality(store, "news")
    write_json(store.scan("news").pruned, PrunedRecord(created="now"))
    with pytest.raises(InvalidInput, match="activations of scan 'news' were removed before its quality"):
        scan_quality(store, "news")


def test_kept_quality_does_not_need_the_activations(store):
    kept = scan_quality(store, "news")
    for chunk in find_scan(store, "news").chunks:
        (store.scan("news").chunk(chunk.index) / schema.ACTIVATIONS_FILE).unlink()
    assert scan_quality(store, "news") == kept


def test_measuring_keeps_nothing(store):
    before = tree_digest(store.root)
    assert measure_scan(find_scan(store, "news")).num_rows == 3
    assert tree_digest(store.root) == before


def test_show_prints_the_quality_and_what_is_worth_saying(store):
    shown = shell("show", "--store", store.root)
    assert shown.exit_code == 0, shown.output
    for words in (
        "effective_rank",
        "- layer 0 is degenerate: its activations do not vary beyond rounding",
        "- 4 of 10 samples take no part: 1 empty, 2 without text or label, 1 not finite",
        "- 2 texts were cut at 64 tokens",
    ):
        assert words in shown.stdout
    assert json.loads(shell("show", "--store", store.root, "--format", "json").stdout)[-1]["n"] == 10


def test_show_of_a_partial_scan_shows_what_is_there(tmp_path):
    store = write_scan(tmp_path / "store", "x", labels=["a", "b"] * 5, n_chunks=1)
    shown = shell("show", "--store", store.root)
    assert shown.exit_code == 0, shown.output
    assert "effective_rank" not in shown.stdout
    assert "- 1 text was cut at 64 tokens" in shown.stdout


@pytest.mark.model
def test_the_trained_model_has_a_quality_that_brute_force_confirms(demo):
    entry = find_scan(StorePaths(demo.reduction.scan().folder.parents[1]), "demo")
    for row in measure_scan(entry).to_pylist():
        vectors = stored_activations(entry, row["layer"])
        assert row["n_distinct"] == len(np.unique(vectors, axis=0)) == row["n_ok"]
        assert row["effective_rank"] == pytest.approx(rank_by_scipy(vectors), rel=1e-9)
        assert row["anisotropy"] == pytest.approx(similarity_by_sklearn(vectors), rel=1e-9)
        assert not row["is_degenerate"]
