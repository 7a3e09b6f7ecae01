"""Four processes that write one scan and scans of their own: every chunk once, a dead owner replaced."""

import json
import random
import time

import pytest

from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.selection import select
from llm_mri_store.store.verify import verify_store
from tests.conftest import make_records
from tests.store.processes import outcome, scan_insisting, start, wait_for
from tests.store.stores import tree_digest

CHUNK_SAMPLES = 8
N_LAYERS = 4
TAKEN_OVER_S = 5.0
MOST_ROUNDS = 100

COUNTS = """
    SELECT
        chunk,
        (SELECT count(*) FROM samples WHERE sample_id // 8 = chunk) AS n_samples,
        (SELECT count(DISTINCT sample_id) FROM samples WHERE sample_id // 8 = chunk) AS n_ids,
        (SELECT count(vector) FROM activations WHERE sample_id // 8 = chunk) AS n_vectors,
        (SELECT n_stored FROM scans WHERE scan = $scan) AS n_stored
    FROM (SELECT DISTINCT sample_id // 8 AS chunk FROM samples)
    ORDER BY chunk
"""

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def n_chunks(is_full):
    return 60 if is_full else 12


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, n_chunks):
    path = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    records = make_records(n_chunks * CHUNK_SAMPLES, seed=9)
    path.write_text("".join(json.dumps(row) + "\n" for row in records))
    return path


@pytest.fixture(scope="module")
def right(tmp_path_factory, tiny_bert, corpus):
    """Digests of the Parquet files of a scan that one process wrote."""
    root = tmp_path_factory.mktemp("alone") / "store"
    assert outcome(*start(scan_insisting, root, tiny_bert, corpus, "one", CHUNK_SAMPLES)) == "done"
    return parquet_digests(root / "scans" / "one")


@pytest.fixture
def writers():
    """Starts writers; those still running are killed in the end."""
    begun = []

    def begin(*args):
        begun.append(start(scan_insisting, *args))
        return begun[-1]

    yield begin
    for process, _ in begun:
        process.kill()
        process.join()


def parquet_digests(folder):
    return {name: digest for name, digest in tree_digest(folder).items() if name.endswith(".parquet")}


def read_counts(root, name):
    """Samples of each chunk by one read, in which all tables must agree."""
    rows = fetch(select(open_store(root), [name]), COUNTS, {"scan": name}).to_pylist()
    for row in rows:
        assert row["n_samples"] == row["n_ids"] == CHUNK_SAMPLES
        assert row["n_vectors"] == N_LAYERS * CHUNK_SAMPLES
        assert row["n_stored"] == CHUNK_SAMPLES * len(rows)
    return {row["chunk"] for row in rows}


def read_while(root, names, processes):
    """Reads of every scan that was begun, until all processes have ended; how many there were."""
    seen = {name: set() for name in names}
    n_reads = 0
    while any(process.is_alive() for process in processes):
        for name in names:
            if (root / "scans" / name / "chunks/000000").is_dir():
                chunks = read_counts(root, name)
                assert chunks >= seen[name]
                seen[name] = chunks
                n_reads += 1
        time.sleep(0.01)
    return n_reads


def test_four_processes_write_one_scan_and_several_while_it_is_read(
    tmp_path, tiny_bert, corpus, right, n_chunks, writers, is_full, figures
):
    n_rounds = n_reads = 0
    least_rounds, least_reads = (20, 500) if is_full else (1, 3)
    while (n_rounds < least_rounds or n_reads < least_reads) and n_rounds < MOST_ROUNDS:
        root = tmp_path / f"store-{n_rounds}"
        names = ["shared", "shared", "shared", "shared"] if n_rounds % 2 else ["shared", "shared", "x", "y"]
        both = [writers(root, tiny_bert, corpus, name, CHUNK_SAMPLES) for name in names]
        n_reads += read_while(root, sorted(set(names)), [process for process, _ in both])
        assert [outcome(*one) for one in both] == ["done"] * 4
        for name in set(names):
            assert len(read_counts(root, name)) == n_chunks
            assert parquet_digests(root / "scans" / name) == right
        assert verify_store(open_store(root)) == []
        assert {path.name for path in (root / "_staging").iterdir()} == {"_locks"}
        n_rounds += 1
    assert n_reads >= least_reads
    figures["writers: four at once"] = {"rounds": n_rounds, "reads": n_reads, "errors": 0}


def owner_of(root):
    """The process that says it holds the lock; None while nobody does."""
    try:
        return json.loads((root / "_staging/_locks/shared.owner.json").read_text())["process_id"]
    except (OSError, ValueError):
        return None


def test_a_dead_owner_s_lock_is_taken_over_by_one_who_waits(
    tmp_path, tiny_bert, corpus, right, writers, is_full, figures
):
    rng = random.Random(13)
    waited_s = []
    for place in range(20 if is_full else 1):
        root = tmp_path / f"store-{place}"
        four = [writers(root, tiny_bert, corpus, "shared", CHUNK_SAMPLES) for _ in range(4)]
        by_id = {process.pid: process for process, _ in four}
        wait_for(root / "scans/shared/chunks" / f"{rng.randrange(4):06d}")
        dead = owner_of(root)
        if dead not in by_id:
            # The last chunk was committed in the meantime: nobody to kill.
            continue
        by_id[dead].kill()
        by_id[dead].join()
        begun = time.monotonic()
        while owner_of(root) in {None, dead} and time.monotonic() - begun < TAKEN_OVER_S:
            time.sleep(0.002)
        waited_s.append(time.monotonic() - begun)
        assert waited_s[-1] < TAKEN_OVER_S
        assert [outcome(*one) for one in four if one[0].pid != dead] == ["done"] * 3
        assert parquet_digests(root / "scans" / "shared") == right
        assert verify_store(open_store(root)) == []
    assert waited_s
    figures["writers: a dead owner replaced"] = {
        "owners": len(waited_s),
        "longest wait in seconds": round(max(waited_s), 3),
    }
