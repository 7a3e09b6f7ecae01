"""How many tokens a batch has: tried out where that pays, recorded, and kept when a scan goes on."""

import logging
from pathlib import Path

import pytest

from llm_mri_store import Store
from llm_mri_store.pipeline import tuning
from tests.conftest import make_records


@pytest.fixture
def long_scans(monkeypatch):
    """Every scan counts as long."""
    monkeypatch.setattr(tuning, "PAYS_FROM_TOKENS", 1)


@pytest.fixture
def speeds(monkeypatch):
    """Tokens per second by size of batch, in place of a clock; what was tried is listed."""
    rates = {1024: 100.0, 2048: 100.0, 4096: 100.0}
    tried = []

    def rate(plan, texts, batch_tokens):
        tried.append(batch_tokens)
        assert sum(text.n_tokens for text in texts) > 0
        return rates[batch_tokens]

    monkeypatch.setattr(tuning, "_rate", rate)
    return rates, tried


def scanned(model, **options):
    return Store("store").scan(model, make_records(), name="s", **options).spec.batch_tokens


def test_a_short_scan_tries_nothing(tiny_bert, speeds):
    assert scanned(tiny_bert) == 2048
    assert speeds[1] == []


def test_the_texts_of_a_short_scan_are_not_even_tokenised(tiny_bert, monkeypatch):
    monkeypatch.setattr(tuning, "estimated_tokens", None)
    assert scanned(tiny_bert) == 2048


def test_a_scan_that_may_be_long_by_its_bytes_is_counted(tiny_bert, monkeypatch, speeds):
    monkeypatch.setattr(tuning, "PAYS_FROM_TOKENS", 1000)
    assert scanned(tiny_bert) == 2048
    assert speeds[1] == []


@pytest.mark.usefixtures("long_scans")
def test_a_clearly_faster_size_is_taken_and_recorded(tiny_bert, speeds):
    speeds[0][4096] = 106.0
    assert scanned(tiny_bert) == 4096
    assert speeds[1] == [2048, 1024, 2048, 4096]


@pytest.mark.usefixtures("long_scans")
def test_a_size_faster_by_chance_is_not(tiny_bert, speeds):
    speeds[0][4096] = 104.0
    assert scanned(tiny_bert) == 2048


@pytest.mark.usefixtures("long_scans")
def test_a_given_size_is_not_questioned(tiny_bert, speeds):
    assert scanned(tiny_bert, batch_tokens=96) == 96
    assert speeds[1] == []


@pytest.mark.usefixtures("long_scans")
def test_a_scan_that_goes_on_keeps_its_size(tiny_bert, speeds):
    speeds[0][1024] = 200.0

    def stop(_):
        if list(Path("store").glob("scans/s/chunks/*")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scanned(tiny_bert, chunk_samples=6, progress=stop)
    speeds[0].update({1024: 1.0, 4096: 500.0})
    speeds[1].clear()
    assert scanned(tiny_bert, chunk_samples=6) == 1024
    assert speeds[1] == []


@pytest.mark.usefixtures("long_scans")
def test_sizes_are_tried_with_the_model_itself(tiny_bert, caplog):
    with caplog.at_level(logging.INFO, logger="llm_mri_store"):
        assert scanned(tiny_bert) in {1024, 2048, 4096}
    assert "tokens/s tried: 1,024: " in caplog.text
