"""One writer per scan: a lock that dies with its owner, and the sweep of what dead owners left."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from llm_mri_store.errors import StoreBusy, StoreCorrupt
from llm_mri_store.store.files import read_json, write_json, writing
from llm_mri_store.store.paths import StorePaths


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOwner:
    """Who holds a lock: for the sentence the next one gets."""

    process_id: int
    host: str
    since: str


@contextmanager
def scan_lock(store: StorePaths, scan: str) -> Iterator[Path]:
    """Holds a scan's lock; gives the folder for its work in progress, emptied.

    The operating system releases the lock when its owner ends, however it ends, so a dead
    owner's lock is taken over at once and what it left in staging is swept.

    Raises:
        StoreBusy: another process holds it.
        WriteFailed: the store cannot be written to.
    """
    # Imported here because readers, who take no lock, should not wait for it.
    from filelock import FileLock, Timeout

    lock_path = store.lock(scan)
    owner_path = lock_path.with_suffix(".owner.json")
    with writing(lock_path):
        lock_path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_path, timeout=0, thread_local=False)
        try:
            lock.acquire()
        except Timeout:
            raise StoreBusy(
                f"scan {scan!r} is being written by {_owner_words(owner_path)}; wait until it ends, "
                "or choose another name with --name"
            ) from None
    try:
        staging = store.scan_staging(scan)
        # A full disk must not keep a scan from being removed; the name of the owner is a courtesy.
        with suppress(OSError):
            write_json(owner_path, _this_process())
        shutil.rmtree(staging, ignore_errors=True)
        yield staging
    finally:
        shutil.rmtree(store.scan_staging(scan), ignore_errors=True)
        with suppress(OSError):
            owner_path.unlink()
        lock.release()


def _this_process() -> LockOwner:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return LockOwner(process_id=os.getpid(), host=socket.gethostname(), since=now)


def _owner_words(owner_path: Path) -> str:
    try:
        owner = read_json(owner_path, LockOwner)
    except StoreCorrupt:
        return "another process"
    return f"process {owner.process_id} on {owner.host} since {owner.since}"
