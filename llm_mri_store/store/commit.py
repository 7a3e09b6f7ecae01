"""Atomic commits: files are staged, flushed, and become visible by one rename of their folder."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from llm_mri_store.errors import AlreadyThere
from llm_mri_store.store.files import flush, flush_tree, writing


@contextmanager
def commit_folder(target: Path, *, staging: Path) -> Iterator[Path]:
    """A folder to fill; on leaving without an error it appears at ``target``, whole.

    Args:
        target: where the folder will be; must not exist.
        staging: where it is filled, on the same file system; owned by the caller.

    Raises:
        AlreadyThere: the target exists when the rename is tried.
        WriteFailed: the operating system refused a write; nothing of it stays visible.
    """
    staged = staging / uuid.uuid4().hex
    with writing(target):
        staged.mkdir(parents=True)
        try:
            yield staged
            flush_tree(staged)
            make_folder(target.parent)
            _rename_to_new(staged, target)
            flush(target.parent)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _rename_to_new(staged: Path, target: Path) -> None:
    taken = f"{target} is there already; nothing was written"
    # A rename would replace an empty folder without a word.
    if os.path.lexists(target):
        raise AlreadyThere(taken)
    try:
        os.rename(staged, target)
    except OSError as error:
        if error.errno in {errno.EEXIST, errno.ENOTEMPTY}:
            raise AlreadyThere(taken) from error
        raise


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it that are missing, so that they outlive a loss of power."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        flush(folder.parent)


def remove_folder(target: Path, *, staging: Path) -> None:
    """Removes a folder atomically: one rename takes it out of sight, then its files go."""
    trash = staging / f"removed-{uuid.uuid4().hex}"
    with writing(target):
        staging.mkdir(parents=True, exist_ok=True)
        os.rename(target, trash)
        flush(target.parent)
    # What cannot be deleted now is swept by the next one who holds the lock.
    shutil.rmtree(trash, ignore_errors=True)


def write_file_once(target: Path, content: bytes, *, staging: Path) -> None:
    """Writes a small file so that a reader sees it whole or not at all; an existing one stays."""
    staged = staging / uuid.uuid4().hex
    with writing(target):
        make_folder(target.parent)
        staging.mkdir(exist_ok=True)
        try:
            staged.write_bytes(content)
            flush(staged)
            if not target.exists():
                os.rename(staged, target)
                flush(target.parent)
        except FileNotFoundError:
            # Another process was first, and has swept ours.
            if not target.exists():
                raise
        finally:
            staged.unlink(missing_ok=True)


def sweep_files(staging: Path) -> None:
    """Removes what killed processes left of ``write_file_once``, whose target is there by now."""
    with suppress(OSError):
        for path in staging.iterdir():
            if path.is_file():
                path.unlink(missing_ok=True)
