"""Memory that was freed goes back to the system, where the system can say how much a process holds."""

import sys

import numpy as np
import pytest

from llm_mri_store.extraction import memory
from llm_mri_store.extraction.memory import Heap

MIB = 2**20


@pytest.fixture
def told(monkeypatch):
    """Resident bytes as the system tells them one after the other, and how often pages went back."""
    sizes, given_back = [], []
    monkeypatch.setattr(memory, "_resident_bytes", lambda: sizes.pop(0))
    monkeypatch.setattr(memory, "_trim", lambda: given_back.append)
    monkeypatch.setattr(memory, "give_back_memory", lambda: given_back.append(0))
    return sizes, given_back


def test_pages_go_back_when_the_process_has_grown(told):
    sizes, given_back = told
    sizes += [500 * MIB, 510 * MIB, 540 * MIB, 505 * MIB, 530 * MIB]
    heap = Heap()
    heap.tidy()
    assert not given_back
    heap.tidy()
    assert len(given_back) == 1
    heap.tidy()
    assert len(given_back) == 1


def test_what_is_in_use_is_not_asked_back_again_and_again(told):
    sizes, given_back = told
    sizes += [500 * MIB, 600 * MIB, 600 * MIB, 600 * MIB, 600 * MIB]
    heap = Heap()
    for _ in range(3):
        heap.tidy()
    assert len(given_back) == 1


def test_a_system_that_does_not_say_is_left_alone(told):
    sizes, given_back = told
    sizes += [None]
    Heap().tidy()
    assert not given_back


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says how much a process holds")
def test_a_process_knows_what_it_holds():
    before = memory._resident_bytes()
    block = np.ones(64 * MIB, dtype=np.uint8)
    assert memory._resident_bytes() - before > 32 * MIB
    assert block.all()
