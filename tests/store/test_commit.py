import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from llm_mri_store.errors import AlreadyThere, WriteFailed
from llm_mri_store.store import commit
from llm_mri_store.store.commit import commit_folder, remove_folder, write_file_once
from llm_mri_store.store.files import replace_file
from tests.store.stores import error_of, tree_digest


def fill(folder: Path) -> None:
    (folder / "inner").mkdir()
    (folder / "one.txt").write_text("1")
    (folder / "inner" / "two.txt").write_text("2")


def do_commit(root: Path) -> None:
    with commit_folder(root / "scans" / "news", staging=root / "_staging") as folder:
        fill(folder)


def test_a_commit_appears_whole_and_leaves_nothing_staged(tmp_path):
    do_commit(tmp_path)
    assert (tmp_path / "scans" / "news" / "inner" / "two.txt").read_text() == "2"
    assert list((tmp_path / "_staging").iterdir()) == []


def test_nothing_is_visible_before_the_commit_ends(tmp_path):
    with commit_folder(tmp_path / "scans" / "news", staging=tmp_path / "_staging") as folder:
        fill(folder)
        assert not (tmp_path / "scans").exists()


@pytest.mark.parametrize("content", [None, "x"])
def test_a_commit_onto_what_is_there_is_refused(tmp_path, content):
    target = tmp_path / "scans" / "news"
    target.mkdir(parents=True)
    if content:
        (target / "kept.txt").write_text(content)
    before = tree_digest(tmp_path)
    with pytest.raises(AlreadyThere, match="nothing was written"):
        do_commit(tmp_path)
    assert tree_digest(tmp_path) == before


def test_a_target_that_appears_at_the_last_moment_is_kept(tmp_path, monkeypatch):
    target = tmp_path / "scans" / "news"
    rename = os.rename

    def rename_late(source, destination):
        target.mkdir()
        (target / "theirs.txt").write_text("theirs")
        rename(source, destination)

    monkeypatch.setattr(commit.os, "rename", rename_late)
    with pytest.raises(AlreadyThere):
        do_commit(tmp_path)
    assert tree_digest(tmp_path).keys() == {"scans/news/theirs.txt"}


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_while_filling_leaves_nothing(tmp_path, error):
    def fail() -> None:
        with commit_folder(tmp_path / "scans" / "news", staging=tmp_path / "_staging") as folder:
            fill(folder)
            raise error

    with pytest.raises(type(error)):
        fail()
    assert tree_digest(tmp_path) == {}


class Failing:
    """Lets calls through but for the k-th, which fails with an error of the operating system."""

    def __init__(self, call, k, code):
        self.call, self.left, self.code, self.failed = call, k, code, False

    def __call__(self, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            self.failed = True
            raise OSError(self.code, os.strerror(self.code))
        return self.call(*args, **kwargs)


ACTS = {
    "commit": do_commit,
    "remove": lambda root: remove_folder(root / "scans" / "old", staging=root / "_staging"),
    "file": lambda root: write_file_once(root / "store.json", b"{}", staging=root / "_staging"),
    "replace": lambda root: replace_file(root / "map.html", b"new"),
}


def prepare(root: Path) -> None:
    fill_in = root / "scans" / "old"
    fill_in.mkdir(parents=True)
    (fill_in / "kept.txt").write_text("kept")
    (root / "map.html").write_text("old")


def visible(root: Path) -> dict[str, str]:
    return {name: digest for name, digest in tree_digest(root).items() if not name.startswith("_staging")}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EIO])
@pytest.mark.parametrize(
    ("act", "place", "call"),
    [
        *((act, os, call) for act in ACTS for call in ("rename", "replace", "fsync", "open", "mkdir")),
        *((act, Path, call) for act in ACTS for call in ("write_bytes", "write_text")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_any_call_that_fails_leaves_the_state_before_or_after(tmp_path, monkeypatch, act, place, call, code):
    whole = tmp_path / "whole"
    prepare(whole)
    before = visible(whole)
    ACTS[act](whole)
    after = visible(whole)
    for k in range(1, 30):
        root = tmp_path / f"try-{k}"
        prepare(root)
        failing = Failing(getattr(place, call), k, code)
        with monkeypatch.context() as patch:
            patch.setattr(place, call, lambda *args, failing=failing, **kwargs: failing(*args, **kwargs))
            if place is Path:
                patch.setattr(place, call, lambda self, *args, failing=failing: failing(self, *args))
            error = error_of(lambda root=root: ACTS[act](root))
        assert isinstance(error, WriteFailed) == (error is not None)
        if error is not None:
            assert failing.failed
            assert len(str(error).splitlines()) == 1
            assert str(root) in str(error)
        assert visible(root) in (before, after)
        if not failing.failed:
            break
    assert visible(root) == after


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "no permission"),
        (errno.ENOTDIR, "a file is in the way"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_refused_write_is_one_sentence(tmp_path, monkeypatch, code, words):
    monkeypatch.setattr(commit.os, "rename", Failing(os.rename, 1, code))
    with pytest.raises(WriteFailed, match=words) as caught:
        do_commit(tmp_path)
    assert caught.value.__cause__.errno == code


def test_a_file_system_that_cannot_flush_folders_is_no_obstacle(tmp_path, monkeypatch):
    fsync = os.fsync

    def fsync_files_only(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync_files_only)
    do_commit(tmp_path)
    assert (tmp_path / "scans" / "news" / "one.txt").is_file()


def test_every_file_is_flushed_before_the_rename_and_its_folder_after(tmp_path, monkeypatch):
    calls = []
    flush, rename = commit.flush, os.rename
    monkeypatch.setattr(
        commit, "flush_tree", lambda folder: calls.append(("tree", sorted(p.name for p in folder.rglob("*"))))
    )
    monkeypatch.setattr(commit, "flush", lambda path: (calls.append(("flush", path.name)), flush(path)))
    monkeypatch.setattr(
        commit.os, "rename", lambda a, b: (calls.append(("rename", Path(b).name)), rename(a, b))
    )
    do_commit(tmp_path)
    assert calls == [
        ("tree", ["inner", "one.txt", "two.txt"]),
        ("flush", tmp_path.name),
        ("rename", "news"),
        ("flush", "scans"),
    ]


def test_a_full_disk_is_one_sentence_and_what_was_there_is_intact(tmp_path):
    script = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from llm_mri_store.errors import WriteFailed
from llm_mri_store.store.catalogue import remove_scan
from llm_mri_store.store.paths import StorePaths
from tests.store.stores import write_scan
root = Path(sys.argv[1])
write_scan(root, "first", labels=["a", "b"] * 50)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
try:
    write_scan(root, "second", labels=["a", "b"] * 5000, chunk_samples=5000)
except WriteFailed as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
remove_scan(StorePaths(root), "second")
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "store")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert ran.stderr == ""
    assert len(ran.stdout.splitlines()) == 1
    assert "no space left to write" in ran.stdout
    assert (tmp_path / "store" / "scans" / "first" / "chunks" / "000024").is_dir()
    assert not (tmp_path / "store" / "scans" / "second").exists()
