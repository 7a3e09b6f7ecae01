"""kill -9 at any moment of a scan and of a reduction: the same command then ends in the same bytes."""

import itertools
import json
import random
import shutil
import statistics
import time

import pytest

from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.selection import select
from llm_mri_store.store.verify import verify_store
from tests.conftest import make_records
from tests.store.processes import killed_afterwards, outcome, reduce, scan, start, wait_for_chunks
from tests.store.stores import tree_digest

N_CHUNKS = 40
CHUNK_SAMPLES = 8
LONGEST_S = 60.0
COMMIT_S = 0.01

COUNTS = """
    SELECT
        sample_id // 8 AS chunk,
        count(*) AS n_samples,
        count(DISTINCT sample_id) AS n_ids,
        count(vector) AS n_vectors
    FROM samples
    JOIN activations USING (sample_id)
    WHERE layer = 1
    GROUP BY chunk
    ORDER BY chunk
"""

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def scanning(is_full, request, tmp_path_factory):
    """What is scanned in every store: model, corpus, name and chunk size."""
    model = request.getfixturevalue("minilm" if is_full else "tiny_bert")
    corpus = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    records = make_records(N_CHUNKS * CHUNK_SAMPLES, seed=5)
    corpus.write_text("".join(json.dumps(row) + "\n" for row in records))
    return model, corpus, "news", CHUNK_SAMPLES


@pytest.fixture(scope="module")
def whole(scanning, tmp_path_factory):
    """A store nobody disturbed; the one beside it, ``scanned``, is not reduced."""
    root = tmp_path_factory.mktemp("whole") / "store"
    assert outcome(*start(scan, root, *scanning)) == "done"
    shutil.copytree(root, root.with_name("scanned"))
    assert outcome(*start(reduce, root, "news")) == "done"
    return root


@pytest.fixture(scope="module")
def chunk_s(whole):
    """Seconds from one commit to the next in the undisturbed scan."""
    commits = sorted(path.stat().st_mtime for path in whole.glob("scans/news/chunks/*/chunk.json"))
    return statistics.median(later - earlier for earlier, later in itertools.pairwise(commits))


@pytest.fixture(scope="module")
def reduction_s(whole):
    """Seconds that a reduction takes; the first, which is slower, does not count."""
    store = shutil.copytree(whole.with_name("scanned"), whole.with_name("timed"))
    process, channel = start(reduce, store, "news")
    assert channel.recv() == "ready"
    begun = time.monotonic()
    assert outcome(process, channel) == "done"
    return time.monotonic() - begun


def data_digests(root):
    """Digests of the visible files but for the records, which hold times."""
    return {
        name: digest
        for name, digest in tree_digest(root).items()
        if not name.startswith("_staging") and not name.endswith(".json")
    }


def assert_nothing_is_left_over(root):
    assert {path.name for path in (root / "_staging").iterdir()} <= {"_locks"}
    assert {path.suffix for path in (root / "_staging").glob("_locks/*")} <= {".lock"}
    assert verify_store(open_store(root)) == []
    rows = fetch(select(open_store(root)), COUNTS).to_pylist()
    assert [tuple(row.values()) for row in rows] == [(chunk, 8, 8, 8) for chunk in range(N_CHUNKS)]


def killed_after(pause, work, *args):
    """Runs work in a process that is killed when the pause is over."""
    process, channel = start(work, *args)
    with killed_afterwards(process):
        assert channel.recv() == "ready"
        pause(process)


def test_a_scan_killed_at_any_point_goes_on_to_the_same_bytes(
    tmp_path, scanning, whole, chunk_s, is_full, figures
):
    right = data_digests(whole.with_name("scanned"))
    rng = random.Random(11)
    n_points = 50 if is_full else 3
    n_kept = []
    for point in range(n_points):
        store = tmp_path / f"store-{point}"
        # Behind the last chunk there is still the quality of the layers.
        n_chunks, of_a_chunk = divmod((N_CHUNKS + 1) * (point + rng.random()) / n_points, 1)

        def pause(_, store=store, n_chunks=int(n_chunks), rest_s=of_a_chunk * chunk_s):
            wait_for_chunks(store / "scans/news", n_chunks)
            time.sleep(rest_s)

        killed_after(pause, scan, store, *scanning)
        n_kept.append(len(list(store.glob("scans/news/chunks/*"))))
        assert data_digests(store).items() <= right.items()
        assert outcome(*start(scan, store, *scanning)) == "done"
        assert data_digests(store) == right
        assert_nothing_is_left_over(store)
        shutil.rmtree(store)
    figures["killed: scan"] = {
        "points": n_points,
        "same bytes": len(n_kept),
        "chunks committed before": n_kept,
    }


def wait_for_commit(root, process, rng):
    """Until the last file of a reduction is staged, and about as long as flushing and renaming take more."""
    end = time.monotonic() + LONGEST_S
    staged = "_staging/news/*/reduction.json"
    while not list(root.glob(staged)) and process.is_alive() and time.monotonic() < end:
        time.sleep(0.0002)
    time.sleep(rng.random() * COMMIT_S)


@pytest.mark.parametrize("during", ["fit", "commit"])
def test_a_reduction_killed_at_any_point_is_there_or_not(
    tmp_path, whole, reduction_s, is_full, figures, during
):
    right, without = data_digests(whole), data_digests(whole.with_name("scanned"))
    rng = random.Random(during)
    n_points = 25 if is_full else 1
    n_visible = 0
    for point in range(n_points):
        store = shutil.copytree(whole.with_name("scanned"), tmp_path / f"store-{point}")
        moment_s = reduction_s * (point + rng.random()) / n_points
        killed_after(
            (lambda _, moment_s=moment_s: time.sleep(moment_s))
            if during == "fit"
            else (lambda process, store=store: wait_for_commit(store, process, rng)),
            reduce,
            store,
            "news",
        )
        state = data_digests(store)
        assert state in (without, right)
        n_visible += state == right
        assert outcome(*start(reduce, store, "news")) == "done"
        assert data_digests(store) == right
        assert_nothing_is_left_over(store)
        shutil.rmtree(store)
    figures[f"killed: reduction during its {during}"] = {
        "points": n_points,
        "same bytes": n_points,
        "committed before": n_visible,
    }
