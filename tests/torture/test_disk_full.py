"""A disk that is full: one sentence, exit code 1, what was there stays, and work goes on once there is space.

The disk is a tmpfs of a few MiB, which only root can mount; a limit on the size of files does elsewhere.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.verify import verify_store
from tests.cli.shell import refused, sentence_of, shell
from tests.conftest import make_records
from tests.store.stores import tree_digest

DISK_BYTES = 12 * 2**20
PAGE = 4096
QUICK = ("--permutations", "19", "-q")
COMMANDS = {
    "reduce": ("reduce", "news", "-q", "--grid", "3", "--name", "other"),
    "quality": ("show", "news"),
    "contrast": ("contrast", "news", "a", "b", *QUICK),
    "information": ("information", "news", *QUICK),
    "rm": ("rm", "-y", "news/pca-2"),
    "report": ("report", "news", "--no-probe", *QUICK, "-o", "DISK/report.html"),
    "heatmap.html": ("heatmap", "news", "--layer", "1", "-o", "DISK/map.html"),
    "heatmap.png": ("heatmap", "news", "--layer", "1", "-o", "DISK/map.png"),
    "heatmap.csv": ("heatmap", "news", "-o", "DISK/map.csv"),
    "heatmap.parquet": ("heatmap", "news", "-o", "DISK/map.parquet"),
    "graph.graphml": ("graph", "news", "-o", "DISK/graph.graphml"),
    "graph.gexf": ("graph", "news", "-o", "DISK/graph.gexf"),
    "graph.svg": ("graph", "news", "-o", "DISK/graph.svg"),
    "points.html": ("plot", "points", "news", "-o", "DISK/points.html"),
    "sql.parquet": ("sql", "SELECT * FROM points", "-o", "DISK/rows.parquet"),
    "sql.json": ("sql", "SELECT * FROM samples", "-o", "DISK/rows.json"),
}
NEEDS_NO_SPACE = {"rm", "quality"}
"""Removing must work on a full disk; to show a scan nothing need be kept."""
FEW = {"reduce", "contrast", "rm", "heatmap.csv", "graph.graphml", "sql.parquet"}
"""Those of the small form."""
ANSWERS = {"contrast", "information"}
"""What was computed is shown all the same, with a warning that it could not be kept."""

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture
def disk():
    """A small disk of its own, as a folder; not below pytest's, which later runs could not remove."""
    folder = Path(tempfile.mkdtemp(prefix="llm-mri-disk-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        folder.rmdir()
        pytest.skip("only root can mount a small disk")
    yield folder
    # Lazily: memory that maps a file may still be held.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


def fill(folder, *, leaving):
    """Fills a disk but for so many bytes."""
    filler = folder / "filler"
    filler.unlink(missing_ok=True)
    room = os.statvfs(folder)
    size = room.f_bavail * room.f_frsize - leaving
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size - size % PAGE)


@contextmanager
def limited(n_bytes):
    """No file may grow beyond so many bytes, in this process and its children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Else the system kills the process that writes more.
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_records(240, seed=3)))
    return path


def scan(model, corpus, store):
    words = ("--name", "news", "--pooling", "mean", "--chunk-samples", "24", "--batch-tokens", "512", "-q")
    return ("scan", model, corpus, "--store", store, "--device", "cpu", *words)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_bert, corpus):
    """A scan and a reduction that always had space."""
    store = tmp_path_factory.mktemp("whole") / "store"
    for words in (scan(tiny_bert, corpus, store), ("reduce", "news", "-q", "--grid", "4", "--store", store)):
        ran = shell(*words)
        assert ran.exit_code == 0, ran.output
    return store


def visible(folder, *, suffix=""):
    """Digests of all that can be seen of a store and around it."""
    return {
        name: digest
        for name, digest in tree_digest(folder).items()
        if "_staging/" not in name and name != "filler" and name.endswith(suffix)
    }


def assert_no_space(sentence):
    assert "no space left to write" in sentence
    assert "what was there before is intact: free some space and try again" in sentence


def test_a_scan_on_a_full_disk_stops_and_goes_on(disk, tiny_bert, corpus, whole, is_full, figures):
    right = visible(whole / "scans/news/chunks", suffix=".parquet")
    rooms = (0, 20_000, 60_000, 100_000, 150_000, 200_000, 250_000, 300_000) if is_full else (20_000, 150_000)
    n_before, n_refused = [], 0
    for place, room in enumerate(rooms):
        store = disk / f"store-{place}"
        fill(disk, leaving=room)
        ran = shell(*scan(tiny_bert, corpus, store))
        if ran.exit_code != 0:
            assert_no_space(sentence_of(ran))
            n_refused += 1
        committed = visible(store / "scans/news/chunks", suffix=".parquet")
        assert committed.items() <= right.items()
        n_before.append(len(committed) // 2)
        (disk / "filler").unlink()
        if (store / "store.json").exists():
            assert verify_store(open_store(store)) == []
        ran = shell(*scan(tiny_bert, corpus, store))
        assert ran.exit_code == 0, ran.output
        assert visible(store / "scans/news/chunks", suffix=".parquet") == right
        assert verify_store(open_store(store)) == []
        assert {path.name for path in (store / "_staging").iterdir()} <= {"_locks"}
    assert max(n_before) > 0
    assert n_refused > 1
    figures["disk full: scan"] = {
        "disks": len(rooms),
        "refused": n_refused,
        "chunks committed before": sorted(n_before),
    }


def copied(whole, folder):
    """The store, as it was, in another folder, and files of every name that a command writes."""
    subprocess.run(["cp", "-r", str(whole), str(folder / "store")], check=True)
    for words in COMMANDS.values():
        if str(words[-1]).startswith("DISK/"):
            (folder / words[-1].removeprefix("DISK/")).write_text("what was there before")
    return folder / "store"


def words_for(name, folder, store):
    return [*(str(one).replace("DISK", str(folder)) for one in COMMANDS[name]), "--store", str(store)]


def has_space(words, folder, caplog):
    """Runs a command; where it lacks space, that is one sentence and nothing else is changed."""
    before = visible(folder)
    caplog.clear()
    ran = shell(*words)
    if words[0] in ANSWERS:
        assert ran.exit_code == 0, ran.output
        assert "permuted" in ran.stdout + ran.stderr
        warnings = [record.getMessage() for record in caplog.records]
        assert all("could not be kept: no space left" in one for one in warnings)
        done = not warnings
    else:
        done = ran.exit_code == 0
        if not done:
            assert_no_space(sentence_of(ran))
    after = visible(folder)
    # Tests that a report asked for are commits of their own: each is kept where there was space for it.
    assert done or (
        before.items() <= after.items() and all("/results/" in one for one in after.keys() - before)
    )
    hidden = [path for path in folder.iterdir() if path.name.startswith(".")]
    assert hidden == [], "a file half written was left behind"
    return done


def chosen(names, is_full):
    """All of them in the full form, else a few."""
    return [name for name in names if is_full or name in FEW]


def test_a_command_on_a_full_disk_changes_nothing_and_works_afterwards(disk, whole, is_full, figures, caplog):
    for name in chosen(COMMANDS, is_full):
        store = copied(whole, disk)
        words = words_for(name, disk, store)
        n_refused = 0
        for room in (0, PAGE, 2 * PAGE, 4 * PAGE, 8 * PAGE, 32 * PAGE) if is_full else (0,):
            fill(disk, leaving=room)
            if name in NEEDS_NO_SPACE or has_space(words, disk, caplog):
                break
            n_refused += 1
        assert n_refused > 0 or name in NEEDS_NO_SPACE
        if name not in NEEDS_NO_SPACE:
            (disk / "filler").unlink()
        ran = shell(*words)
        assert ran.exit_code == 0, ran.output
        assert verify_store(open_store(store)) == []
        figures[f"disk full: {name}"] = {"refused": n_refused}
        for path in disk.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path, whole, is_full, caplog):
    for name in chosen([name for name in COMMANDS if name not in NEEDS_NO_SPACE], is_full):
        folder = tmp_path / name
        folder.mkdir()
        store = copied(whole, folder)
        words = words_for(name, folder, store)
        with limited(100):
            assert not has_space(words, folder, caplog)
        ran = shell(*words)
        assert ran.exit_code == 0, ran.output
        assert verify_store(open_store(store)) == []


def test_a_scan_whose_files_may_not_grow_is_one_sentence(tmp_path, tiny_bert, corpus):
    store = tmp_path / "store"
    with limited(2000):
        assert_no_space(refused(*scan(tiny_bert, corpus, store)))
    assert Path(store / "scans/news/scan.json").exists()
    assert shell(*scan(tiny_bert, corpus, store)).exit_code == 0
