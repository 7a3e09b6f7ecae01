"""Gives memory back to the operating system that libraries keep after it was freed."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import pyarrow as pa

_STATM: Final = Path("/proc/self/statm")
_GROWTH_BYTES: Final = 32 * 2**20
"""Growth of the process from which on pages are given back; doing so costs some milliseconds."""


class Heap:
    """Keeps the process from growing by freed memory that the C library holds on to.

    Batches differ in shape, and each leaves holes in the heap that the next does not quite fit: without
    this a scan of MiniLM grows by some 5 MB a batch for its first hundred batches.
    """

    def __init__(self) -> None:
        self._floor = _resident_bytes()

    def tidy(self) -> None:
        """Gives freed pages back when the process has grown since that was last done."""
        if self._floor is None or _trim() is None:
            return
        now = _resident_bytes()
        if now is not None and now > self._floor + _GROWTH_BYTES:
            give_back_memory()
            self._floor = _resident_bytes()


def give_back_memory() -> None:
    """Returns freed pages to the operating system: those of Arrow, and of the C library where it can."""
    pa.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    """Glibc's ``malloc_trim``; None on a system whose C library has none."""
    if not sys.platform.startswith("linux"):
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def _resident_bytes() -> int | None:
    """Memory of the process; None where the system does not say so."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None
