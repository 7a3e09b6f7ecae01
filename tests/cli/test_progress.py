"""Everything long shows how far it is on a terminal, and is quiet elsewhere and on request."""

import shutil

import pytest

from tests.cli.shell import shell
from tests.store.stores import random_store

FEW = ("--permutations", "39")
COMMANDS = {
    "reduce": ("reduce", "big", "--components", "3"),
    "contrast": ("contrast", "a", "b", *FEW),
    "edges": ("edges", "a", "b", *FEW),
    "graphs": ("compare", "a", "b", *FEW),
    "information": ("information", *FEW),
    "probe": ("probe",),
    "metrics": ("metrics",),
    "verify": ("verify",),
    "report": ("report", "--no-probe", *FEW),
}
"""Name of the bar -> the command."""


@pytest.fixture(scope="module")
def _store(tmp_path_factory):
    return random_store(tmp_path_factory.mktemp("progress") / "store", n=200, grid=2).root


@pytest.fixture
def run(_store, tmp_path, monkeypatch):
    """What a command says on stderr, on a terminal or not."""

    def said(words, *, on_terminal):
        # What rich takes for a terminal.
        monkeypatch.setenv("TTY_COMPATIBLE", "1" if on_terminal else "0")
        result = shell(*words, "--store", shutil.copytree(_store, tmp_path / "store"))
        assert result.exit_code == 0, result.output
        assert "100%" not in result.stdout
        return result.stderr

    return said


@pytest.mark.parametrize("bar", COMMANDS)
def test_on_a_terminal_a_bar_runs_to_its_end(run, bar):
    said = run(COMMANDS[bar], on_terminal=True)
    assert any(bar in line and "100%" in line for line in said.splitlines()), said


@pytest.mark.parametrize("bar", COMMANDS)
def test_through_a_pipe_there_is_no_bar(run, bar):
    said = run(COMMANDS[bar], on_terminal=False)
    assert "%" not in said
    assert "\x1b" not in said


@pytest.mark.parametrize("bar", COMMANDS)
def test_quiet_is_quiet_on_a_terminal_too(run, bar):
    assert run((*COMMANDS[bar], "--quiet"), on_terminal=True) == ""


def test_a_scan_shows_how_far_it_is(tiny_bert, tiny_corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    words = ("scan", tiny_bert, tiny_corpus, "--store", tmp_path / "store", "--device", "cpu")
    said = shell(*words).stderr
    assert any("scan" in line and "100%" in line for line in said.splitlines()), said
    assert any("quality" in line and "100%" in line for line in said.splitlines()), said
