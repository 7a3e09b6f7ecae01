"""A store against a plain dict: whatever is done in whatever order, both say the same."""

import shutil
import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from llm_mri_store import Store
from llm_mri_store.errors import AlreadyThere, InvalidInput, StoreTooNew, UnknownName
from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.selection import select
from tests.store.stores import error_of, write_scan

N_SAMPLES, N_CHUNKS, N_LAYERS = 18, 5, 2
LABELS = [("a", "b", "c")[place % 3] for place in range(N_SAMPLES)]
STATUS = ["empty" if place % 7 == 3 else "ok" for place in range(N_SAMPLES)]
OK = [place for place, status in enumerate(STATUS) if status == "ok"]
NAMES = st.sampled_from(["one", "two"])

pytestmark = pytest.mark.timeout(3600)


@dataclass
class ModelScan:
    """What a scan should hold."""

    chunks: set[int] = field(default_factory=set)
    grids: set[int] = field(default_factory=set)
    damaged: set[int] = field(default_factory=set)


class StoreModel(RuleBasedStateMachine):
    """Scans of one store, and the same in a dict."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp()) / "store"
        self.model: dict[str, ModelScan] = {}
        self.store = Store(self.root)

    def teardown(self):
        shutil.rmtree(self.root.parent)

    def is_sound(self, name):
        return name in self.model and not self.model[name].damaged

    def is_whole(self, name):
        return self.is_sound(name) and len(self.model[name].chunks) == N_CHUNKS

    def write(self, name, n_chunks):
        vectors = np.random.default_rng(len(name) + ord(name[0])).normal(size=(N_SAMPLES, N_LAYERS, 3))
        write_scan(
            self.root,
            name,
            labels=LABELS,
            status=STATUS,
            vectors=vectors.astype(np.float32),
            n_chunks=n_chunks,
        )

    # --- what can be done ---------------------------------------------------------------------------------

    @rule(name=NAMES, n_chunks=st.integers(0, N_CHUNKS))
    def scan_or_resume(self, name, n_chunks):
        """A scan that ends early goes on from where it was."""
        self.write(name, n_chunks)
        self.model.setdefault(name, ModelScan()).chunks |= set(range(n_chunks))

    @precondition(lambda self: self.model)
    @rule(name=NAMES)
    def crash_in_a_chunk(self, name):
        """What was staged when its owner died is seen nowhere and swept by the next."""
        staged = self.root / "_staging" / name / "0123"
        staged.mkdir(parents=True)
        (staged / "samples.parquet").write_bytes(b"PAR1")
        with scan_lock(open_store(self.root), name):
            assert not staged.exists()

    @rule(name=NAMES, grid=st.integers(2, 4))
    def reduce(self, name, grid):
        if name not in self.model:
            if self.model:
                with pytest.raises(UnknownName):
                    self.store.scans[name]
        elif self.is_whole(name):
            self.store.scans[name].reduce("pca", grid=grid, name=f"grid-{grid}")
            self.model[name].grids.add(grid)
        elif self.is_sound(name):
            with pytest.raises(InvalidInput):
                self.store.scans[name].reduce("pca", grid=grid, name=f"grid-{grid}")

    @precondition(lambda self: any(one.grids for one in self.model.values()))
    @rule(name=NAMES)
    def reduce_otherwise_under_a_taken_name(self, name):
        if self.is_whole(name) and self.model[name].grids:
            grid = min(self.model[name].grids)
            with pytest.raises(AlreadyThere):
                self.store.scans[name].reduce("pca", grid=grid + 1, name=f"grid-{grid}")

    @precondition(lambda self: self.model)
    @rule(name=NAMES)
    def remove(self, name):
        if name in self.model:
            self.store.remove(name)
            del self.model[name]
        else:
            with pytest.raises(UnknownName):
                self.store.remove(name)

    @rule(name=NAMES, grid=st.integers(2, 4))
    def remove_reduction(self, name, grid):
        if name in self.model and grid in self.model[name].grids:
            self.store.remove(f"{name}/grid-{grid}")
            self.model[name].grids.remove(grid)

    @rule(name=NAMES, index=st.integers(0, N_CHUNKS - 1), at=st.floats(0, 0.99))
    def damage(self, name, index, at):
        if name in self.model and index in self.model[name].chunks - self.model[name].damaged:
            path = self.root / f"scans/{name}/chunks/{index:06d}/activations.parquet"
            content = bytearray(path.read_bytes())
            content[int(at * len(content))] ^= 1
            path.write_bytes(content)
            self.model[name].damaged.add(index)

    @rule(name=NAMES)
    def repair_and_scan_again(self, name):
        if name not in self.model:
            return
        one = self.model[name]
        removed, left = self.store.repair(name)
        chunks = {f"scans/{name}/chunks/{index:06d}" for index in one.damaged}
        assert {part.where for part in removed if part.kind == "chunk"} == chunks
        # A chunk that is gone is named while later ones are there.
        assert {problem.where for problem in left} <= chunks
        self.write(name, max(one.chunks, default=-1) + 1)
        one.damaged.clear()

    @rule()
    def reopen(self):
        self.store = Store(self.root)

    # --- what must hold -----------------------------------------------------------------------------------

    @precondition(lambda self: self.model)
    @invariant()
    def the_same_scans_are_there(self):
        assert set(self.store.scans) == set(self.model)
        for name, one in self.model.items():
            assert self.store.scans[name].is_complete == (len(one.chunks) == N_CHUNKS)
            assert set(self.store.scans[name].reductions) == {f"grid-{grid}" for grid in one.grids}

    @precondition(lambda self: self.model)
    @invariant()
    def verify_names_what_is_damaged_and_nothing_else(self):
        found = {problem.where for problem in self.store.verify()}
        assert found == {
            f"scans/{name}/chunks/{index:06d}/activations.parquet"
            for name, one in self.model.items()
            for index in one.damaged
        }

    @invariant()
    def totals_are_those_of_the_samples(self):
        for name in filter(self.is_whole, self.model):
            for grid in self.model[name].grids:
                reduction = self.store.reduction(name, f"grid-{grid}")
                for label in (None, "a"):
                    n = len([place for place in OK if label in {None, LABELS[place]}])
                    assert sum(reduction.heatmap(1, label)["n"]) == n
                    assert sum(reduction.edges(label)["weight"]) == n * (N_LAYERS - 1)

    @precondition(lambda _: find_spec("polars") is not None)
    @invariant()
    def duckdb_and_polars_read_the_same_rows(self):
        import polars as pl

        for name in filter(self.is_sound, self.model):
            one = self.model[name]
            if not one.chunks:
                continue
            rows = fetch(
                select(open_store(self.root), [name]),
                "SELECT sample_id, label FROM samples ORDER BY sample_id",
            )
            files = pl.read_parquet(self.root / f"scans/{name}/chunks/*/samples.parquet")
            expected = files.select("sample_id", "label").sort("sample_id")
            assert rows.to_pylist() == expected.to_dicts()
            assert rows["sample_id"].to_pylist() == [
                place for place in range(N_SAMPLES) if place // 4 in one.chunks
            ]


def test_a_store_and_a_dict_agree_whatever_is_done(is_full, figures):
    form = settings(
        max_examples=200 if is_full else 4,
        stateful_step_count=30 if is_full else 10,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(StoreModel, settings=form)
    figures["store model"] = {"runs": form.max_examples, "steps of each at most": form.stateful_step_count}


def test_a_store_of_a_later_format_is_refused_with_the_way_out(tmp_path):
    write_scan(tmp_path / "store", "one", labels=LABELS)
    (tmp_path / "store" / "store.json").write_text('{"format": 99}')
    error = error_of(lambda: open_store(tmp_path / "store"))
    assert isinstance(error, StoreTooNew)
    assert "upgrade llm-mri-store" in str(error)
