"""What a scan promises when it is killed, read, or begun twice: with a real model in real processes."""

import json
import os
import random
import signal
import time

import pytest

from llm_mri_store.store.catalogue import find_scan, open_store
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.selection import select
from llm_mri_store.store.verify import verify_store
from tests.conftest import make_records
from tests.store.processes import killed_afterwards, outcome, scan, start, wait_for, wait_for_chunks
from tests.store.stores import tree_digest

N_SAMPLES = 240
CHUNK_SAMPLES = 8


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "long.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_records(N_SAMPLES, seed=3)))
    return path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, tiny_bert, corpus):
    """A scan nobody disturbed: its store's folder, and how long it took from ready to done."""
    root = tmp_path_factory.mktemp("whole") / "store"
    process, channel = start(scan, root, tiny_bert, corpus, "tiny", CHUNK_SAMPLES)
    assert channel.recv() == "ready"
    begun = time.monotonic()
    assert outcome(process, channel) == "done"
    return root, time.monotonic() - begun


def parquet_digests(root):
    return {name: digest for name, digest in tree_digest(root).items() if name.endswith(".parquet")}


def test_a_scan_killed_at_any_moment_goes_on_to_the_same_bytes(tmp_path, tiny_bert, corpus, uninterrupted):
    whole, duration_s = uninterrupted
    root = tmp_path / "store"
    rng = random.Random(7)
    n_chunks = []
    in_all = N_SAMPLES // CHUNK_SAMPLES
    for kill in range(6):
        process, channel = start(scan, root, tiny_bert, corpus, "tiny", CHUNK_SAMPLES)
        with killed_afterwards(process):
            assert channel.recv() == "ready"
            # By its chunks: loading the model takes longer than all of them.
            wait_for_chunks(root / "scans/tiny", in_all * kill // 6)
            time.sleep(rng.uniform(0, duration_s / in_all))
        n_chunks.append(len(list((root / "scans/tiny/chunks").glob("*/chunk.json"))))
        assert (
            parquet_digests(root).items()
            <= {
                **parquet_digests(whole),
                **{name: digest for name, digest in tree_digest(root).items() if name.startswith("_staging")},
            }.items()
        )
    assert n_chunks == sorted(n_chunks)
    assert outcome(*start(scan, root, tiny_bert, corpus, "tiny", CHUNK_SAMPLES)) == "done"
    assert parquet_digests(root) == parquet_digests(whole)
    n_of_quality = 1
    assert len(parquet_digests(root)) == 2 * N_SAMPLES / CHUNK_SAMPLES + n_of_quality
    assert {path.name for path in (root / "_staging").iterdir()} == {"_locks"}
    assert [path.suffix for path in (root / "_staging/_locks").iterdir()] == [".lock"]
    assert verify_store(open_store(root)) == []


def test_a_reader_sees_whole_chunks_while_a_scan_is_written(tmp_path, tiny_bert, corpus):
    root = tmp_path / "store"
    process, channel = start(scan, root, tiny_bert, corpus, "tiny", CHUNK_SAMPLES)
    counts = []
    with killed_afterwards(process):
        wait_for(root / "scans/tiny/chunks/000000")
        while process.is_alive():
            row = fetch(
                select(open_store(root)),
                """
                SELECT
                    (SELECT count(*) FROM samples) AS n_samples,
                    (SELECT count(*) FROM activations WHERE vector IS NOT NULL) AS n_vectors,
                    (SELECT count(DISTINCT sample_id) FROM samples) AS n_ids,
                    (SELECT n_stored FROM scans) AS n_stored
                """,
            ).to_pylist()[0]
            assert row["n_vectors"] == 4 * row["n_samples"]
            assert row["n_ids"] == row["n_stored"] == row["n_samples"]
            counts.append(row["n_samples"])
        assert outcome(process, channel) == "done"
    assert counts == sorted(counts)
    assert all(count % CHUNK_SAMPLES == 0 for count in counts)
    assert len(set(counts)) > 1


def test_two_scans_are_written_into_one_store_at_once(tmp_path, tiny_bert, corpus, uninterrupted):
    whole, _ = uninterrupted
    both = [start(scan, tmp_path / "store", tiny_bert, corpus, name, CHUNK_SAMPLES) for name in ("x", "y")]
    assert [outcome(*one) for one in both] == ["done", "done"]
    for name in ("x", "y"):
        assert find_scan(open_store(tmp_path / "store"), name).is_complete
        written = parquet_digests(tmp_path / "store" / "scans" / name)
        assert written == parquet_digests(whole / "scans" / "tiny")


def test_of_two_writers_of_one_scan_one_is_told_of_the_other(tmp_path, tiny_bert, corpus):
    root = tmp_path / "store"
    first = start(scan, root, tiny_bert, corpus, "tiny", CHUNK_SAMPLES)
    wait_for(root / "scans/tiny/chunks/000000")
    os.kill(first[0].pid, signal.SIGSTOP)
    told = outcome(*start(scan, root, tiny_bert, corpus, "tiny", CHUNK_SAMPLES))
    os.kill(first[0].pid, signal.SIGCONT)
    assert told.startswith(f"StoreBusy: scan 'tiny' is being written by process {first[0].pid} on ")
    assert len(told.splitlines()) == 1
    assert outcome(*first) == "done"
    assert find_scan(open_store(root), "tiny").is_complete
