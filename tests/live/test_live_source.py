"""What the live page does when the store changes under it."""

import json
import sys

import numpy as np
import pytest

from llm_mri_store import Store
from llm_mri_store.api import serving
from llm_mri_store.api.live_source import LiveSource
from llm_mri_store.api.reduction import Reduction
from llm_mri_store.errors import InvalidInput, ReductionError, StoreCorrupt, StoreError
from llm_mri_store.store.clock import Clock
from llm_mri_store.store.lock import scan_lock
from tests.cli.shell import refused
from tests.live.server import serving as serving_process
from tests.store.stores import random_store, write_reduction, write_scan


@pytest.fixture
def store(tmp_path):
    return random_store(tmp_path / "store")


@pytest.fixture
def source(store):
    source = LiveSource(Reduction(store, "big", "pca-2"), Clock(30))
    source.page()
    return source


def data_of(page: str) -> dict:
    return json.loads(page.split('id="explorer-data">')[1].split("</script>")[0])


def questions(source):
    return (lambda: source.texts(1, 6, None, 0, 5), lambda: source.terms(1, 6), lambda: source.points(1))


def test_what_is_written_meanwhile_is_in_nobodys_way(store, source):
    with scan_lock(store, "big"):
        for ask in questions(source):
            assert ask()
        assert data_of(source.page())["mode"] == "live"


def test_a_reduction_that_was_removed_is_missed_in_a_sentence(store, source):
    Store(store.root).remove("big/pca-2")
    for ask in (*questions(source), source.page):
        with pytest.raises(StoreError, match=r"^reduction big/pca-2 is no longer in the store$"):
            ask()


def test_a_scan_that_was_removed_is_missed_in_a_sentence(store, source):
    Store(store.root).remove("big")
    for ask in (*questions(source), source.page):
        with pytest.raises(StoreError, match="no longer in the store"):
            ask()


def test_a_reduction_made_anew_asks_for_the_page_to_be_loaded_again(store, source):
    Store(store.root).remove("big/pca-2")
    write_reduction(store, "big", cells=np.ones((200, 3, 2), dtype=int))
    for ask in questions(source):
        with pytest.raises(StoreError, match="made anew since this page was loaded; reload the page"):
            ask()
    assert data_of(source.page())["cells"]["cell"] == [5] * 9
    assert source.texts(1, 5, None, 0, 5)["n"] == 200


def test_a_damaged_file_is_named_as_such(store, source):
    (store.scan("big").reduction("pca-2") / "points" / "layer=01.parquet").write_bytes(b"no parquet")
    with pytest.raises(StoreCorrupt, match="llm-mri verify"):
        source.points(1)


def test_a_test_that_is_kept_meanwhile_is_on_the_next_page(store, source):
    before = source.page()
    assert source.page() is before
    found = Reduction(store, "big", "pca-2").contrast("a", "b", n_permutations=39)
    after = source.page()
    assert "No test of this reduction was kept yet." in before
    assert "No test of this reduction was kept yet." not in after
    assert found.name in after


def test_a_reduction_without_cells_is_refused(tmp_path, capsys):
    store = random_store(tmp_path / "store")
    cells = np.zeros((200, 3, 3), dtype=int)
    write_reduction(store, "big", cells=cells, grid=None, name="pca-3")
    with pytest.raises(ReductionError, match="no cells to explore; reduce to 2 components"):
        LiveSource(Reduction(store, "big", "pca-3"), Clock(30))
    assert "no cells to explore" in refused("serve", "big", "-r", "pca-3", "--store", store.root)


def test_without_its_extra_the_way_to_install_it_is_told(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    words = refused("serve", "--store", store.root)
    assert words == (
        "serving needs starlette and uvicorn; install them with pip install 'llm-mri-store[serve]'"
    )


def test_a_port_that_is_taken_is_refused(store):
    with serving_process(store.root) as server:
        port = server.place.rpartition(":")[2]
        assert f"port {port} of 127.0.0.1 cannot be listened at" in refused(
            "serve", "--store", store.root, "--port", port
        )


@pytest.mark.parametrize("host", ["256.0.0.1", "192.0.2.77"])
def test_an_address_that_is_not_the_machines_is_refused(store, host):
    with pytest.raises(InvalidInput, match="cannot be listened at"):
        serving.serve(Reduction(store, "big", "pca-2"), host=host, ready=print)


@pytest.mark.parametrize("timeout_s", [0.0, -1.0, float("nan")])
def test_a_timeout_is_positive(store, timeout_s):
    with pytest.raises(InvalidInput, match="positive number of seconds"):
        serving.serve(Reduction(store, "big", "pca-2"), timeout_s=timeout_s, ready=print)


def test_labels_with_odd_characters_are_asked_for_as_they_are(tmp_path):
    labels = ["<script>alert(1)</script>", "a&b=c", "日本", "it's", "NULL"] * 4
    store = write_scan(tmp_path / "store", "odd", labels=labels, texts=[f"</script> {i}" for i in range(20)])
    write_reduction(store, "odd", cells=np.zeros((20, 2, 2), dtype=int), degenerate=[0, 1])
    source = LiveSource(Reduction(store, "odd", "pca-2"), Clock(30))
    assert data_of(source.page())["labels"] == sorted(set(labels))
    for place, label in enumerate(labels[:5]):
        assert [row["id"] for row in source.texts(0, 0, label, 0, 50)["rows"]] == list(range(place, 20, 5))
    assert source.terms(0, 0) == []
