"""Activations that are removed on purpose: all else stays, is verified, and says what is missing."""

import shutil

import numpy as np
import pytest

from llm_mri_store.api.store import Store
from llm_mri_store.errors import (
    InvalidInput,
    QueryError,
    ReductionError,
    StoreBusy,
    StoreCorrupt,
    UnknownName,
    WriteFailed,
)
from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.verify import verify_store
from tests.cli.shell import refused, shell
from tests.store.stores import tree_digest, write_scan


@pytest.fixture
def pruned(tiny_store):
    """A store whose activations were removed, and what it answered before."""
    store = Store(tiny_store)
    reduction = store.reduction()
    reduction.information(n_permutations=19)
    before = {
        "heatmap": reduction.heatmap(2).rows(),
        "edges": reduction.edges().rows(),
        "quality": store.find().quality().rows(),
        "tests": store.sql("FROM information").rows(),
        "summary": store.find().summary().rows(),
        "points": reduction.points(1).tolist(),
    }
    n_bytes = sum(path.stat().st_size for path in tiny_store.rglob("activations.parquet"))
    assert store.prune("tiny") == n_bytes > 0
    return store, before


def test_all_but_the_activations_answers_as_before_and_is_verified(pruned):
    store, before = pruned
    assert list(store.path.rglob("activations.parquet")) == []
    assert verify_store(open_store(store.path)) == []
    reduction = store.reduction()
    assert reduction.heatmap(2).rows() == before["heatmap"]
    assert reduction.edges().rows() == before["edges"]
    assert store.find().quality().rows() == before["quality"]
    assert store.sql("FROM information").rows() == before["tests"]
    assert store.find().summary().rows() == before["summary"]
    assert reduction.points(1).tolist() == before["points"]
    assert store.sql("SELECT is_current FROM reductions")["is_current"] == [True]
    assert store.find().is_complete
    assert store.find().facts()["activations"] == "removed ('llm-mri prune')"


GONE = r"the activations of scan 'tiny' were removed"


def test_what_needs_activations_says_that_they_were_removed(pruned):
    store, _ = pruned
    with pytest.raises(InvalidInput, match=GONE):
        store.find().activations(1)
    with pytest.raises(ReductionError, match=GONE):
        store.find().reduce("pca", grid=5, name="other")
    for ask in (lambda: store.sql("FROM activations"), lambda: store.find().neighbours(1, layer=1)):
        with pytest.raises(QueryError, match=f"view 'activations' is not there: {GONE}"):
            ask()
    assert store.find().reduce("pca", grid=4).name == "pca-2", "the one that is there needs none"


def test_pruning_again_changes_nothing_and_finishes_what_was_interrupted(pruned):
    store, _ = pruned
    before = tree_digest(store.path)
    assert store.prune("tiny") == 0
    assert tree_digest(store.path) == before
    left = store.path / "scans/tiny/chunks/000001/activations.parquet"
    left.write_bytes(b"left by an interruption")
    assert verify_store(open_store(store.path)) == []
    assert store.prune("tiny") == 23
    assert tree_digest(store.path) == before


def test_a_file_that_cannot_be_deleted_is_told_and_goes_with_the_next_prune(pruned):
    store, _ = pruned
    before = tree_digest(store.path)
    left = [store.path / f"scans/tiny/chunks/{chunk:06}/activations.parquet" for chunk in (0, 1, 2)]
    left[0].mkdir()
    left[1].write_bytes(b"left by an interruption")
    with pytest.raises(WriteFailed, match=rf"1 of their files cannot be deleted \({left[0]}: .*prune tiny'"):
        store.prune("tiny")
    assert [path.exists() for path in left] == [True, False, False], "the others are deleted all the same"
    left[0].rmdir()
    left[2].write_bytes(b"left")
    assert store.prune("tiny") == 4
    assert tree_digest(store.path) == before


def test_activations_that_are_missing_without_the_record_are_damage(pruned):
    store, _ = pruned
    (store.path / "scans/tiny/pruned.json").unlink()
    assert len([one for one in verify_store(open_store(store.path)) if "missing" in one.what]) == 3
    with pytest.raises(StoreCorrupt):
        store.find().activations(1)


def test_a_lost_chunk_of_a_pruned_scan_is_made_anew_by_the_scan_command(pruned, tiny_bert, tiny_corpus):
    store, before = pruned
    shutil.rmtree(store.path / "scans/tiny/chunks/000001")
    scan = store.scan(tiny_bert, tiny_corpus, name="tiny", pooling="mean", chunk_samples=10, device="cpu")
    assert scan.is_complete
    assert verify_store(open_store(store.path)) == []
    assert store.reduction().heatmap(2).rows() == before["heatmap"]


def test_what_would_leave_nothing_is_refused(tmp_path):
    paths = write_scan(
        tmp_path / "store", "one", labels=["a", "b"] * 4, vectors=np.ones((8, 2, 3), np.float32)
    )
    write_scan(tmp_path / "store", "part", labels=["a", "b"] * 4, n_chunks=1)
    store = Store(paths.root)
    before = tree_digest(paths.root)
    with pytest.raises(InvalidInput, match=r"has no reduction.*'llm-mri reduce one' first"):
        store.prune("one")
    with pytest.raises(InvalidInput, match=r"'part' is not complete \(4 of 8 samples\)"):
        store.prune("part")
    with pytest.raises(UnknownName):
        store.prune("three")
    assert tree_digest(paths.root) == before


def test_a_scan_that_is_being_written_is_busy(tiny_store):
    store = Store(tiny_store)
    store.find().quality()
    with scan_lock(open_store(tiny_store), "tiny"), pytest.raises(StoreBusy):
        store.prune("tiny")


def test_the_shell_asks_and_tells_the_size(tiny_store):
    ran = shell("prune", "--store", tiny_store)
    assert ran.exit_code == 1
    assert "Only its scan command can make them again" in ran.stderr
    assert list(tiny_store.rglob("activations.parquet"))
    ran = shell("prune", "tiny", "-y", "--store", tiny_store)
    assert ran.exit_code == 0, ran.output
    assert "removed the activations of tiny: 0.0 MiB" in ran.stderr
    assert "removed ('llm-mri prune')" in shell("show", "--store", tiny_store).stdout
    assert "were removed ('llm-mri prune')" in refused("sql", "FROM activations", "--store", tiny_store)
    assert "no scan" not in refused("probe", "tiny", "--store", tiny_store, "-q")
