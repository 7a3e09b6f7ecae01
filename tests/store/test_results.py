"""Results of analyses: committed whole, given again for the same choices, gone with what they are of."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from llm_mri_store import Store, schema
from llm_mri_store.errors import (
    AlreadyThere,
    InvalidInput,
    StoreBusy,
    UnknownName,
    WriteFailed,
)
from llm_mri_store.store import result_commit
from llm_mri_store.store.catalogue import (
    find_reduction,
    find_scan,
    remove_reduction,
    remove_scan,
)
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.result_commit import kept_tables, save_result
from llm_mri_store.store.results import find_result, find_results, read_result, remove_result
from llm_mri_store.store.verify import verify_store
from tests.store.stores import (
    TRIAL,
    TRIAL_KIND,
    made_from,
    random_store,
    tree_digest,
    trials,
    write_quality,
    write_reduction,
    write_trial,
)


@pytest.fixture(autouse=True)
def _trials(monkeypatch):
    monkeypatch.setitem(schema.RESULT_KINDS, "trial", TRIAL_KIND)


@pytest.fixture
def store(tmp_path):
    """Scan ``big`` with reduction ``pca-2`` and a result of each."""
    store = random_store(tmp_path / "store", n=100, n_layers=2)
    write_quality(store, "big")
    write_trial(store)
    return store


def addresses(store):
    entries = made_from(store, "pca-2")
    return [one.address for one in (*find_results(entries["scan"]), *find_results(**entries))]


def test_a_result_is_committed_by_one_rename(tmp_path, monkeypatch):
    store = random_store(tmp_path / "store", n=20, n_layers=2)
    seen = []
    rename = os.rename

    def watch(source, target):
        before = addresses(store)
        rename(source, target)
        seen.append((before, addresses(store), sorted(path.name for path in Path(target).iterdir())))

    monkeypatch.setattr(os, "rename", watch)
    write_trial(store)
    whole = ["draws.parquet", "result.json", "trials.parquet"]
    assert seen == [([], ["big/pca-2/trial/first"], whole)]
    assert verify_store(store) == []


@pytest.mark.parametrize("call", ["write_parquet", "write_json", "file_digests"])
def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch, call):
    store = random_store(tmp_path / "store", n=20, n_layers=2)
    before = tree_digest(store.root)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(result_commit, call, fail)
    with pytest.raises(WriteFailed, match="no space left"):
        write_trial(store)
    assert tree_digest(store.root) == before


def test_the_same_choices_again_return_what_is_there(store):
    before = tree_digest(store.root)
    kept = save_result(
        store,
        find_scan(store, "big"),
        TRIAL,
        trials(9),
        reduction=find_reduction(find_scan(store, "big"), "pca-2"),
    )
    assert read_result(kept, "trials").num_rows == 3
    assert tree_digest(store.root) == before

    def never():
        raise AssertionError("what is kept is not computed again")

    tables = kept_tables(store, spec=TRIAL, make=never, **made_from(store, "pca-2"))
    assert {name: rows.num_rows for name, rows in tables.items()} == {"trials": 3, "draws": 2}


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"parameters": {"n_draws": 3, "side": "both"}}, "n_draws: 2 there, 3 asked"),
        ({"parameters": {"n_draws": 2}}, "side: 'both' there, None asked"),
        ({"parameters": {"n_draws": 2, "side": "both", "more": ("x",)}}, r"more: None there, \('x',\) asked"),
        ({"seed": 8}, "seed: 7 there, 8 asked"),
        ({"seed": None}, "seed: 7 there, None asked"),
    ],
)
def test_other_choices_under_the_same_name_are_refused_before_anything_is_computed(store, choices, words):
    other = replace(TRIAL, **choices)
    before = tree_digest(store.root)
    for act in (
        lambda: find_result(spec=other, **made_from(store, "pca-2")),
        lambda: kept_tables(store, spec=other, make=trials, **made_from(store, "pca-2")),
        lambda: save_result(store, spec=other, tables=trials(), **made_from(store, "pca-2")),
    ):
        with pytest.raises(AlreadyThere, match=f"{words}.*remove it with 'llm-mri rm big/pca-2/trial/first'"):
            act()
    assert tree_digest(store.root) == before
    replaced = kept_tables(
        store, spec=other, make=lambda: trials(9), replace=True, **made_from(store, "pca-2")
    )
    assert replaced["trials"].num_rows == 9
    assert find_result(spec=other, **made_from(store, "pca-2")).record.spec == other
    assert verify_store(store) == []


def test_what_was_changed_while_a_result_was_computed_is_not_mixed_with_it(store):
    read = made_from(store, "pca-2")
    remove_reduction(store, "big", "pca-2")
    with pytest.raises(UnknownName, match="reduction 'pca-2' is not in scan 'big'"):
        save_result(store, spec=TRIAL, tables=trials(), **read)
    write_reduction(store, "big", cells=np.ones((100, 2, 2), dtype=int))
    with pytest.raises(StoreBusy, match="result 'first' was made from was changed by another process"):
        save_result(store, spec=TRIAL, tables=trials(), **read)
    remove_scan(store, "big")
    with pytest.raises(UnknownName, match="scan 'big' is not in"):
        save_result(store, spec=TRIAL, tables=trials(), **read)
    assert not store.scan("big").folder.exists()


def test_a_result_that_cannot_be_kept_is_given_all_the_same(store, caplog):
    spec = replace(TRIAL, name="second")
    with scan_lock(store, "big"), caplog.at_level(logging.WARNING, logger="llm_mri_store"):
        tables = kept_tables(store, spec=spec, make=trials, **made_from(store, "pca-2"))
    assert "the result 'second' could not be kept: scan 'big' is being written by process" in caplog.text
    assert find_result(spec=spec, **made_from(store, "pca-2")) is None
    assert tables == kept_tables(store, spec=spec, make=trials, **made_from(store, "pca-2"))
    assert find_result(spec=spec, **made_from(store, "pca-2")) is not None


def test_what_is_removed_takes_its_results_with_it(store, monkeypatch):
    remove_result(store, "big/layer_quality/default")
    assert addresses(store) == ["big/pca-2/trial/first"]
    write_quality(store, "big")
    renames = []
    rename = os.rename
    monkeypatch.setattr(os, "rename", lambda a, b: (renames.append(Path(a).name), rename(a, b)))
    remove_reduction(store, "big", "pca-2")
    assert renames == ["pca-2"]
    assert [one.address for one in find_results(find_scan(store, "big"))] == ["big/layer_quality/default"]
    remove_scan(store, "big")
    assert renames == ["pca-2", "big"]
    assert not any("result" in name for name in tree_digest(store.root))


def test_a_result_is_removed_by_its_address_even_if_it_is_damaged(store):
    user = Store(store.root)
    (find_result(spec=TRIAL, **made_from(store, "pca-2")).folder / "result.json").unlink()
    for address in ("big/pca-2/trial/first", "big/layer_quality/default"):
        user.check(address)
        user.remove(address)
    assert addresses(store) == []
    assert verify_store(store) == []


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("big/layer_quality/defualt", "did you mean 'layer_quality/default'"),
        (
            "big/pca-2/trial/frist",
            "result 'trial/frist' is not in reduction big/pca-2; did you mean 'trial/first'",
        ),
        ("big/pca2/trial/first", "reduction 'pca2' is not in scan 'big'; did you mean 'pca-2'"),
        ("bog/layer_quality/default", "did you mean 'big'"),
        ("big/pca-2/trial/first/", "result 'first/' is not in reduction big/pca-2"),
        ("big/pca-2/../results/layer_quality/default", "is not in"),
        ("big/../x", "is not in"),
        ("big//", "is not in"),
    ],
)
def test_an_address_that_leads_nowhere_is_answered_with_the_nearest(store, address, words):
    before = tree_digest(store.root)
    for act in (Store(store.root).check, Store(store.root).remove):
        with pytest.raises(UnknownName, match=words):
            act(address)
    assert tree_digest(store.root) == before


HOSTILE = ["", ".", "..", "../x", "a/b", "a\\b", "con", "x'; DROP TABLE y", "x\0", "ü", "a" * 65, "x.", "*"]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_no_folder_anywhere_is_refused(store, name):
    before = tree_digest(store.root)
    with pytest.raises(InvalidInput, match="cannot name a result"):
        save_result(store, spec=replace(TRIAL, name=name), tables=trials(), **made_from(store, "pca-2"))
    assert tree_digest(store.root) == before


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), {1, 2}, object(), b"x", {"a": 1}, ["a"], "\ud800"]
)
def test_a_parameter_that_json_does_not_bring_back_is_refused(store, value):
    spec = replace(TRIAL, name="odd", parameters={"p": value})
    with pytest.raises(InvalidInput, match="the parameters of result 'odd' must be words, finite numbers"):
        save_result(store, spec=spec, tables=trials(), **made_from(store, "pca-2"))


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 0.5, "x"])
def test_a_seed_that_is_no_whole_number_of_64_bits_is_refused(store, seed):
    with pytest.raises(InvalidInput, match="its seed a whole number, got"):
        save_result(store, spec=replace(TRIAL, seed=seed), tables=trials(), **made_from(store, "pca-2"))


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"trials": trials()["trials"]}, "has the tables trials, draws, got trials"),
        ({**trials(), "more": trials()["draws"]}, "has the tables trials, draws, got"),
        (
            {**trials(), "draws": pa.table({"draw": [1]})},
            "table 'draws' has the columns draw, label, got draw",
        ),
        ({**trials(), "draws": pa.table({"draw": ["x"], "label": ["a"]})}, "another type than declared"),
        ({**trials(), "trials": pa.table({"layer": [2**40], "p": [1.0]})}, "another type than declared"),
    ],
)
def test_tables_other_than_declared_are_refused(store, tables, words):
    before = tree_digest(store.root)
    with pytest.raises(InvalidInput, match=words):
        save_result(store, spec=replace(TRIAL, name="x"), tables=tables, **made_from(store, "pca-2"))
    assert tree_digest(store.root) == before


def test_a_kind_is_made_from_what_it_declares(store):
    with pytest.raises(
        UnknownName, match="kind 'trail' is not in the kinds of results; did you mean 'trial'"
    ):
        find_result(spec=replace(TRIAL, kind="trail"), **made_from(store, "pca-2"))
    with pytest.raises(InvalidInput, match="kind 'trial' is made from a reduction"):
        find_result(find_scan(store, "big"), TRIAL)
    with pytest.raises(InvalidInput, match="kind 'layer_quality' is made from the scan alone"):
        find_result(spec=replace(TRIAL, kind="layer_quality"), **made_from(store, "pca-2"))
    with pytest.raises(UnknownName, match="table 'trails' is not in results of kind 'trial'"):
        read_result(find_result(spec=TRIAL, **made_from(store, "pca-2")), "trails")
