"""Queries that are stopped: by time, and on request."""

import threading
import time

import pytest

from llm_mri_store.errors import QueryTimeout
from llm_mri_store.store.clock import Clock
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.selection import select
from tests.store.stores import random_store

ENDLESS = "SELECT sum(a.range * b.range) AS n FROM range(9000000) AS a, range(9000000) AS b"


@pytest.fixture
def selection(tmp_path):
    return select(random_store(tmp_path / "store", n=20))


def test_a_query_that_runs_too_long_is_stopped(selection):
    begun = time.monotonic()
    with pytest.raises(QueryTimeout, match=r"ran longer than 0\.2 s and was stopped; see --timeout"):
        fetch(selection, ENDLESS, clock=Clock(0.2))
    assert time.monotonic() - begun < 30


def test_a_clock_stops_whatever_runs_by_it(selection):
    clock = Clock(300)
    threading.Timer(0.3, clock.stopped.set).start()
    with pytest.raises(QueryTimeout, match="the query was stopped, as all of them were"):
        fetch(selection, ENDLESS, clock=clock)


def test_a_query_that_ends_in_time_is_answered(selection):
    assert fetch(selection, "SELECT 7 AS n", clock=Clock(300)).to_pylist() == [{"n": 7}]
