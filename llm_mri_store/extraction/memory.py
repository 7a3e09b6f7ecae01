"""Gives memory back to the operating system that libraries keep after it was freed."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import cache

import pyarrow as pa


@cache
def _trim() -> Callable[[int], int] | None:
    """Glibc's ``malloc_trim``; None on a system whose C library has none."""
    if not sys.platform.startswith("linux"):
        return None
    trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim


def give_back_memory() -> None:
    """Returns freed pages to the operating system: those of Arrow, and of the C library where it can.

    Batches differ in shape, and each leaves holes in the heap that the next does not quite fit: without
    this a scan of MiniLM grows by some 5 MB a batch for its first hundred batches.
    """
    pa.default_memory_pool().release_unused()
    trim = _trim()
    if trim is not None:
        trim(0)
