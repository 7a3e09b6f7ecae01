"""A clock that stops a query when its time is over, or when it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import duckdb
import pyarrow as pa

from llm_mri_store.errors import QueryTimeout

_TICK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Clock:
    """When a query is stopped.

    Attributes:
        timeout_s: seconds after which it is.
        stopped: once this is set, every query that has this clock is.
    """

    timeout_s: float
    stopped: threading.Event = field(default_factory=threading.Event)


@contextmanager
def stopped_by(clock: Clock, con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Interrupts what runs on the connection when its time is over.

    Raises:
        QueryTimeout: the time was over, or the clock was told to stop.
    """
    done, over = threading.Event(), threading.Event()
    end = time.monotonic() + min(clock.timeout_s, threading.TIMEOUT_MAX)

    def watch() -> None:
        while not clock.stopped.is_set() and (left := end - time.monotonic()) > 0:
            if done.wait(min(left, _TICK_S)):
                return
        over.set()
        # An interrupt between two statements is lost, so it is repeated.
        while True:
            con.interrupt()
            if done.wait(0.05):
                return

    watcher = threading.Thread(target=watch, name="llm-mri-sql-clock", daemon=True)
    watcher.start()
    try:
        yield
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if not over.is_set():
            raise
        if clock.stopped.is_set():
            raise QueryTimeout("the query was stopped, as all of them were") from error
        raise QueryTimeout(
            f"the query ran longer than {clock.timeout_s:g} s and was stopped; see --timeout"
        ) from error
    finally:
        done.set()
        watcher.join()
