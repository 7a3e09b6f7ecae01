"""Atomic commits: files are staged, flushed, and become visible by one rename of their folder."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
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
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                raise AlreadyThere(f"{target} is there already; nothing was written")
            os.rename(staged, target)
            flush(target.parent)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def remove_folder(target: Path, *, staging: Path) -> None:
    """Removes a folder atomically: one rename takes it out of sight, then its files go."""
    trash = staging / f"removed-{uuid.uuid4().hex}"
    with writing(target):
        staging.mkdir(parents=True, exist_ok=True)
        os.rename(target, trash)
        flush(target.parent)
        shutil.rmtree(trash)


def write_file_once(target: Path, content: bytes) -> None:
    """Writes a small file so that a reader sees it whole or not at all; an existing one stays."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            staged.write_bytes(content)
            flush(staged)
            if not target.exists():
                os.rename(staged, target)
                flush(target.parent)
        finally:
            staged.unlink(missing_ok=True)
