"""Records that name files or numbers to do harm: a sentence at once, whatever they declare."""

from dataclasses import replace

import pytest

from llm_mri_store.errors import StoreCorrupt
from llm_mri_store.records.reductions import ReductionRecord
from llm_mri_store.records.scans import ChunkRecord, ScanRecord, scan_identity
from llm_mri_store.store.catalogue import find_reduction, find_scan
from llm_mri_store.store.files import read_json, write_json
from llm_mri_store.store.verify import verify_store
from tests.store.stores import random_store


@pytest.fixture
def store(tmp_path):
    return random_store(tmp_path / "store", n=100, n_layers=2)


def edit_spec(store, **fields):
    path = store.scan("big").record
    record = read_json(path, ScanRecord)
    spec = replace(record.spec, **fields)
    write_json(path, replace(record, spec=spec, identity=scan_identity(spec)))


@pytest.mark.parametrize("name", ["/dev/zero", "../../../../../../../../dev/zero", "../../scan.json"])
def test_a_record_cannot_make_another_file_be_read(store, name):
    path = store.scan("big").chunk(0) / "chunk.json"
    record = read_json(path, ChunkRecord)
    write_json(path, replace(record, files={**record.files, name: "0" * 64}))
    assert any("which is no file of its own" in one.what for one in verify_store(store))


@pytest.mark.parametrize(
    "fields",
    [
        {"n_samples": 2**62},
        {"n_samples": 2**40, "chunk_samples": 2**39},
        {"n_samples": 2**40, "chunk_samples": 1},
        {"hidden_size": 2**60},
        {"chunk_ends": (100, 50)},
    ],
)
def test_declared_numbers_take_no_memory(store, fields):
    edit_spec(store, **fields)
    assert verify_store(store) != []


def test_a_chunk_far_behind_the_others_is_one_gap(store):
    edit_spec(store, n_samples=2**40, chunk_samples=1)
    (store.scan("big").chunks / "99999999").mkdir()
    gaps = [one.what for one in verify_store(store) if "behind it are missing" in one.what]
    assert len(gaps) == 1


def test_a_grid_without_its_bin_edges_is_refused(store):
    path = store.scan("big").reduction("pca-2") / "reduction.json"
    record = read_json(path, ReductionRecord)
    write_json(path, replace(record, spec=replace(record.spec, grid=10**9)))
    with pytest.raises(StoreCorrupt, match="no such grid"):
        find_reduction(find_scan(store, "big"), "pca-2")
