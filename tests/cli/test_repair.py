"""``llm-mri repair`` on the shell: shows, asks, removes, and says what is left."""

import shutil

import pytest
from click.testing import CliRunner

from llm_mri_store.cli import main
from tests.cli.shell import refused, shell
from tests.store.stores import tree_digest


@pytest.fixture
def store(tiny_store, tmp_path):
    shutil.copytree(tiny_store, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def damaged(store):
    path = next(store.glob("scans/*/chunks/000000/samples.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    return store


def test_a_sound_store_is_said_to_be_so(store):
    before = tree_digest(store)
    result = shell("repair", "--store", store)
    assert result.exit_code == 0
    assert "every file is as it was committed" in result.stderr
    assert tree_digest(store) == before


def test_what_would_go_is_shown_and_asked_for(damaged):
    before = tree_digest(damaged)
    answered = CliRunner().invoke(main, ["repair", "--store", str(damaged)], input="n\n")
    assert "chunks/000000" in answered.stdout
    assert "run the scan command again" in answered.stdout
    assert "Remove 1 part of scan" in answered.stderr
    assert answered.exit_code == 1
    assert tree_digest(damaged) == before


def test_with_yes_it_goes_and_verify_names_what_is_to_be_scanned_again(damaged):
    result = shell("repair", "--yes", "--store", damaged)
    assert result.exit_code == 0, result.output
    assert "removed scans/" in result.stderr
    assert not list(damaged.glob("scans/*/chunks/000000"))
    assert "run the scan command again" in shell("verify", "--store", damaged).stdout


def test_what_removing_does_not_mend_is_named_and_exit_code_1(store):
    next(store.glob("scans/*/scan.json")).with_name("notes.txt").write_text("mine")
    result = shell("repair", "--yes", "--store", store)
    assert result.exit_code == 1
    assert "left: scans/" in result.stderr
    assert list(store.glob("scans/*/notes.txt"))


def test_an_unknown_scan_is_refused(store):
    assert "is not in store" in refused("repair", "other", "--store", store)
