import os
import socket
import time

import pytest

from llm_mri_store.errors import StoreBusy
from llm_mri_store.store.catalogue import find_scan, open_store, remove_scan, scan_names
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths
from tests.store.processes import commit_in_turn, create_stores, hold_lock, killed_afterwards, outcome, start
from tests.store.stores import write_scan


def test_the_lock_gives_an_empty_staging_folder_and_takes_it_away(tmp_path):
    store = StorePaths(tmp_path)
    store.scan_staging("news").mkdir(parents=True)
    (store.scan_staging("news") / "left").write_text("x")
    with scan_lock(store, "news") as staging:
        assert not staging.exists()
        staging.mkdir()
    assert not staging.exists()
    assert not list(tmp_path.rglob("*.owner.json"))


def test_a_second_writer_in_this_process_is_told_who_writes(tmp_path):
    store = StorePaths(tmp_path)
    with scan_lock(store, "news"):
        with pytest.raises(StoreBusy, match=f"by process {os.getpid()} on {socket.gethostname()} since"):
            scan_lock(store, "news").__enter__()
        with scan_lock(store, "sport"):
            pass
    with scan_lock(store, "news"):
        pass


def test_a_scan_being_written_is_not_removed(tmp_path):
    store = write_scan(tmp_path / "store", "news", labels=["a", "b"])
    with scan_lock(store, "news"), pytest.raises(StoreBusy):
        remove_scan(store, "news")
    remove_scan(store, "news")
    assert scan_names(store) == ()


def test_a_killed_owner_is_named_while_it_lives_and_replaced_at_once_when_dead(tmp_path):
    store = write_scan(tmp_path / "store", "news", labels=["a", "b"])
    process, channel = start(hold_lock, store.root, "news")
    with killed_afterwards(process):
        assert channel.recv() == "held"
        with pytest.raises(StoreBusy, match=f"process {process.pid} on {socket.gethostname()}") as caught:
            scan_lock(store, "news").__enter__()
        assert len(str(caught.value).splitlines()) == 1
        assert (store.scan_staging("news") / "half-written").is_file()
    begun = time.monotonic()
    with scan_lock(store, "news") as staging:
        assert not staging.exists()
    assert time.monotonic() - begun < 1
    assert find_scan(store, "news").is_complete


def test_two_processes_can_create_one_store_at_once(tmp_path):
    at = time.time() + 1
    both = [start(create_stores, tmp_path, 40, at) for _ in range(2)]
    assert [outcome(*one) for one in both] == ["done", "done"]
    for place in range(40):
        store = open_store(tmp_path / f"store-{place}")
        assert list(store.staging.iterdir()) == []


def test_of_racing_commits_exactly_one_wins(tmp_path):
    racing = [start(commit_in_turn, tmp_path, name, 60) for name in ("x", "y", "z")]
    won = [channel.recv() for _, channel in racing]
    assert sum(won) == 60
    assert [outcome(*one) for one in racing] == ["done"] * 3
    assert len(list(tmp_path.glob("[0-9]*/owner"))) == 60
