"""Files held against the digests of their commit before they are read.

DuckDB does not look at the checksums of Parquet's pages, so that a flipped bit would be a number like any
other. Each file is hashed once in a process, and again only when it looks changed; several at once.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from llm_mri_store.errors import StoreCorrupt
from llm_mri_store.store.files import sha256_of

Signature = tuple[int, int, int, int]
"""Inode, bytes, and the times of the last change of content and of anything, in nanoseconds."""

_MOST_THREADS: Final = 8
_seen: dict[Path, tuple[Signature, str]] = {}
"""What each file's digest was, and how the file looked then."""


def refuse_changed(files: Mapping[Path, str | None]) -> None:
    """Refuses files whose bytes are not those that were committed.

    Args:
        files: file -> sha256 that its record names; None where the record names none.

    Raises:
        StoreCorrupt: one is damaged or missing, or no plain file; the first by path is named.
    """
    looks = {path: signature_of(path) for path in files}
    unknown = [path for path, look in looks.items() if _seen.get(path, (None,))[0] != look]
    if len(unknown) > 1:
        # hashlib lets other threads run while it works.
        with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
            digests = list(pool.map(_digest, unknown))
    else:
        digests = [_digest(path) for path in unknown]
    for path, digest in zip(unknown, digests, strict=True):
        _seen[path] = looks[path], digest
    for path in sorted(files):
        if _seen[path][1] != files[path]:
            raise StoreCorrupt(
                f"{path} is damaged: its bytes are not those that were committed; run 'llm-mri verify' to "
                "see what else is, and 'llm-mri repair' to drop it"
            )


def signature_of(path: Path) -> Signature:
    """How a file looks; a file that looks as before is taken to be as before.

    Raises:
        StoreCorrupt: it is missing, or no plain file.
    """
    try:
        look = path.stat()
    except OSError as error:
        raise StoreCorrupt(_unreadable(path, error)) from error
    # A hostile store may hold a link to a device, which never ends.
    if not stat.S_ISREG(look.st_mode):
        raise StoreCorrupt(f"{path} is no plain file; run 'llm-mri verify' to see what else is damaged")
    return look.st_ino, look.st_size, look.st_mtime_ns, look.st_ctime_ns


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise StoreCorrupt(_unreadable(path, error)) from error


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} is damaged or missing ({error.strerror}); run 'llm-mri verify' to see which files are"
