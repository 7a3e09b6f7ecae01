"""Other processes for tests: forked from one server that has the heavy imports, so each starts at once."""

import multiprocessing
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.store.processes_preload"])


def _run(channel: Connection, function: Callable, args: tuple) -> None:
    try:
        function(channel.send, *args)
        channel.send("done")
    except BaseException as error:  # noqa: BLE001 - whatever it was, the test is told
        channel.send(f"{type(error).__name__}: {error}")
        if type(error).__module__ != "llm_mri_store.errors":
            traceback.print_exc()


def start(function: Callable, *args: object) -> tuple[BaseProcess, Connection]:
    """A process that runs ``function(say, *args)``; what it says comes out of the connection.

    The last thing said is ``"done"``, or the error's type and words.
    """
    here, there = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_run, args=(there, function, args), daemon=True)
    process.start()
    there.close()
    return process, here


def outcome(process: BaseProcess, channel: Connection) -> str:
    """The last word of a process."""
    last = "died"
    try:
        while True:
            last = channel.recv()
    except EOFError:
        process.join()
        return last


def wait_for(path: Path, *, timeout_s: float = 20.0) -> None:
    """Waits until a path is there."""
    end = time.monotonic() + timeout_s
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.002)


def wait_for_chunks(scan: Path, n: int) -> None:
    """Waits until the first ``n`` chunks of a scan's folder are committed."""
    if n:
        wait_for(scan / f"chunks/{n - 1:06}", timeout_s=60)


@contextmanager
def killed_afterwards(process: BaseProcess):
    try:
        yield process
    finally:
        process.kill()
        process.join()


def scan(say, root: Path, model: Path, corpus: Path, name: str, chunk_samples: int) -> None:
    """Scans in this process."""
    from llm_mri_store import Store

    say("ready")
    Store(root).scan(
        model, corpus, name=name, pooling="mean", chunk_samples=chunk_samples, batch_tokens=128, device="cpu"
    )


def scan_insisting(say, root: Path, model: Path, corpus: Path, name: str, chunk_samples: int) -> None:
    """Scans in this process, again and again while another process writes the scan; a minute at most."""
    from llm_mri_store.errors import StoreBusy

    end = time.monotonic() + 60
    while True:
        try:
            return scan(lambda _: None, root, model, corpus, name, chunk_samples)
        except StoreBusy:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def reduce(say, root: Path, name: str) -> None:
    """Reduces a scan in this process."""
    from llm_mri_store import Store

    say("ready")
    Store(root).scans[name].reduce("pca", grid=4)


def hold_lock(say, root: Path, name: str) -> None:
    """Holds a scan's lock until killed, with a file in its staging."""
    from llm_mri_store.store.lock import scan_lock
    from llm_mri_store.store.paths import StorePaths

    with scan_lock(StorePaths(root), name) as staging:
        staging.mkdir(parents=True)
        (staging / "half-written").write_text("x")
        say("held")
        time.sleep(60)


def create_stores(say, root: Path, n: int, start_at: float) -> None:
    """Makes ``n`` stores, each at an agreed moment, so that two processes do it at once."""
    from llm_mri_store.store.catalogue import ensure_store

    for place in range(n):
        time.sleep(max(0, start_at + 0.01 * place - time.time()))
        ensure_store(root / f"store-{place}")


def commit_in_turn(say, root: Path, name: str, n: int) -> None:
    """Commits ``n`` folders of one name after the other; says how many of them were its own."""
    from llm_mri_store.errors import AlreadyThere
    from llm_mri_store.store.commit import commit_folder

    won = 0
    for place in range(n):
        try:
            with commit_folder(root / f"{place:03d}", staging=root / "_staging" / name) as folder:
                (folder / "owner").write_text(name)
            won += 1
        except AlreadyThere:
            pass
    say(won)
