"""Stores that earlier versions wrote: they open, are whole, and give the answers they gave then.

``data/stores`` holds one of each, with what its version answered. A change that cannot read them needs a new
``schema.FORMAT_VERSION`` and a sentence with the way out.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from llm_mri_store.api.store import Store
from llm_mri_store.errors import AlreadyThere, StoreTooNew
from llm_mri_store.records.scans import ScanRecord
from llm_mri_store.store.catalogue import begin_scan, find_scan, open_store
from llm_mri_store.store.files import read_json, sealed_json
from llm_mri_store.store.verify import verify_store

FIXTURES = sorted((Path(__file__).parents[1] / "data" / "stores").iterdir())


@pytest.fixture(params=FIXTURES, ids=lambda path: path.name)
def earlier(request, tmp_path):
    """A copy of an earlier store, and what it answered."""
    store = Store(shutil.copytree(request.param / "store", tmp_path / "store"))
    return store, json.loads((request.param / "answers.json").read_text())


def test_there_is_one_of_each():
    assert [path.name for path in FIXTURES] == ["format-1", "format-1-first"]


def test_an_earlier_store_is_whole(earlier):
    store, _ = earlier
    assert verify_store(open_store(store.path)) == []
    assert store.scans["old"].is_complete


def test_an_earlier_store_gives_the_answers_it_gave(earlier):
    store, answers = earlier
    reduction, scan = store.reduction("old"), store.scans["old"]
    for found, expected in (
        (reduction.heatmap(2), answers["heatmap"]),
        (reduction.edges(), answers["edges"]),
    ):
        assert len(found) == len(expected) > 0
        for row, before in zip(found.rows(), expected, strict=True):
            assert {name: row[name] for name in before} == pytest.approx(before)
    assert scan.samples()["label"] == answers["labels"]
    assert scan.samples()["status"] == answers["status"]
    for layer, total in enumerate(answers["activations"]):
        assert np.nansum(np.abs(scan.activations(layer)), dtype=np.float64) == pytest.approx(total, rel=1e-6)


def test_the_scan_of_an_earlier_version_is_gone_on_with(earlier, tmp_path):
    store, _ = earlier
    spec = find_scan(open_store(store.path), "old").spec
    begin_scan(open_store(store.path), "old", spec, staging=tmp_path / "staging", notes=())


def test_an_earlier_store_can_be_reduced_and_tested(earlier):
    store, _ = earlier
    scan = store.scans["old"]
    again = scan.reduce("pca", grid=4)
    assert again.name == "pca-2", "the reduction that was there is that of these choices"
    assert len(scan.reduce("pca", grid=3, name="other").contrast("a", "b", n_permutations=19).cells) > 0
    assert verify_store(open_store(store.path)) == []


def test_a_scan_of_a_later_version_is_refused_with_the_way_out(earlier):
    store, _ = earlier
    path = open_store(store.path).scan("old").record
    record = json.loads(path.read_bytes())
    del record["digest"]
    path.write_bytes(sealed_json({**record, "format": 2, "something": "new"}))
    with pytest.raises(StoreTooNew, match=r"newer version \(format 2.*upgrade llm-mri-store"):
        read_json(path, ScanRecord)
    with pytest.raises(StoreTooNew):
        store.scans["old"].summary()
    assert [one.part for one in verify_store(open_store(store.path))] == [None], "what is newer is not lost"


def test_other_inputs_under_an_earlier_scan_s_name_are_refused(earlier, tmp_path):
    store, _ = earlier
    spec = replace(find_scan(open_store(store.path), "old").spec, pooling="max")
    with pytest.raises(AlreadyThere, match="pooling: 'mean' there, 'max' asked"):
        begin_scan(open_store(store.path), "old", spec, staging=tmp_path / "staging", notes=())
