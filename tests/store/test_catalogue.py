import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llm_mri_store.errors import AlreadyThere, StoreCorrupt, StoreError, UnknownName, WriteFailed
from llm_mri_store.records.reductions import ReductionRecord
from llm_mri_store.records.results import ResultRecord
from llm_mri_store.records.scans import ChunkRecord, ScanRecord, StoreRecord
from llm_mri_store.store import sandbox
from llm_mri_store.store.catalogue import (
    begin_scan,
    ensure_store,
    find_reduction,
    find_scan,
    open_store,
    reduction_names,
    remove_reduction,
    remove_scan,
    scan_names,
)
from llm_mri_store.store.files import read_json, sealed_json
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.selection import select
from tests.store.stores import error_of, make_spec, random_store, tree_digest, write_quality, write_scan


@pytest.fixture
def store(tmp_path) -> StorePaths:
    store = random_store(tmp_path / "store", n=20, n_layers=2)
    write_quality(store, "big")
    return store


def test_a_store_is_made_once_and_opened_again(tmp_path):
    ensure_store(tmp_path / "deep" / "store")
    before = tree_digest(tmp_path)
    assert ensure_store(tmp_path / "deep" / "store").root == tmp_path / "deep" / "store"
    assert tree_digest(tmp_path) == before


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "_staging"])
def test_a_folder_that_only_looks_full_can_become_a_store(tmp_path, name):
    (tmp_path / name).mkdir()
    assert scan_names(ensure_store(tmp_path)) == ()


def test_a_folder_of_other_files_does_not_become_a_store(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(AlreadyThere, match="holds files but is no store"):
        ensure_store(tmp_path)
    with pytest.raises(StoreCorrupt, match=r"is no store \(it has no store.json\)"):
        open_store(tmp_path)


def test_what_is_no_folder_does_not_become_a_store(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreCorrupt, match="does not exist"):
        open_store(tmp_path / "nothing")
    for root in (tmp_path / "file", tmp_path / "file" / "store"):
        with pytest.raises(WriteFailed, match="a file is in the way"):
            ensure_store(root)
    with pytest.raises(StoreError, match="cannot read"):
        open_store(tmp_path / ("x" * 300))


def test_a_killed_first_scan_does_not_block_the_next(tmp_path):
    # As left behind by a process that died between writing store.json's bytes and their rename.
    (tmp_path / "_staging").mkdir()
    (tmp_path / "_staging" / "0f0f").write_bytes(b"{")
    assert scan_names(ensure_store(tmp_path)) == ()


def test_a_lost_store_json_is_asked_for_and_may_be_written_by_hand(store):
    store.record.unlink()
    for look in (open_store, ensure_store):
        with pytest.raises(StoreCorrupt, match=r'bring it back as a file that holds \{"format": 1\}'):
            look(store.root)
    store.record.write_text('{"format": 1}')
    assert scan_names(open_store(store.root)) == ("big",)


def test_a_store_of_a_newer_format_is_refused(store):
    store.record.write_text('{"format": 2}')
    with pytest.raises(StoreCorrupt, match=r"newer version.*upgrade llm-mri-store"):
        open_store(store.root)


def test_a_folder_that_may_not_be_read_is_one_sentence(store, monkeypatch):
    def refuse(self):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(StoreError, match=r"cannot read .*: Permission denied"):
        scan_names(store)


def test_copies_and_desktop_files_are_not_taken_for_scans_and_chunks(store):
    scan = find_scan(store, "big")
    (store.scans / "big (2)").mkdir()
    (store.scans / "big (2)" / "scan.json").write_bytes(scan.paths.record.read_bytes())
    (store.scans / ".DS_Store").write_text("x")
    (scan.paths.chunks / ".DS_Store").write_text("x")
    (scan.paths.reductions / ".DS_Store").write_text("x")
    assert scan_names(store) == ("big",)
    assert reduction_names(scan.paths) == ("pca-2",)
    assert find_scan(store, "big") == scan
    assert sandbox.run(select(store), "SELECT count(*) AS n FROM scans")["n"].to_pylist() == [1]


def test_chunks_come_in_the_order_of_their_numbers(store):
    chunks = store.scan("big").chunks
    for index in (999_999, 1_000_000, 10):
        folder = chunks / f"{index:06d}"
        folder.mkdir()
        record = replace(find_scan_chunk(store), index=index)
        (folder / "chunk.json").write_bytes(sealed_json(record))
    assert [chunk.index for chunk in find_scan(store, "big").chunks] == [0, 10, 999_999, 1_000_000]


def find_scan_chunk(store: StorePaths) -> ChunkRecord:
    return read_json(store.scan("big").chunk(0) / "chunk.json", ChunkRecord)


def test_the_same_inputs_go_on_and_others_are_refused_with_the_difference(store, tmp_path):
    spec = find_scan(store, "big").spec
    begin_scan(store, "big", replace(spec, model="elsewhere/model"), staging=tmp_path, notes=())
    with pytest.raises(AlreadyThere, match="pooling: 'mean' there, 'last' asked"):
        begin_scan(store, "big", replace(spec, pooling="last"), staging=tmp_path, notes=())


def test_a_name_that_differs_in_case_alone_is_refused(store, tmp_path):
    with pytest.raises(AlreadyThere, match="scan 'big' exists, and some file systems"):
        begin_scan(store, "Big", make_spec(), staging=tmp_path / "staging", notes=())


def test_removal_takes_one_thing_and_leaves_the_rest(store):
    write_scan(store.root, "other", labels=["a", "b"])
    remove_reduction(store, "big", "pca-2")
    assert reduction_names(store.scan("big")) == ()
    remove_scan(store, "big")
    assert scan_names(store) == ("other",)
    assert not any("big" in name for name in tree_digest(store.root))


@pytest.mark.parametrize(
    "damage", ["scan.json", "chunks/000000/chunk.json", "reductions/pca-2/reduction.json"]
)
def test_what_is_damaged_can_be_removed(store, damage):
    path = store.scan("big").folder / damage
    path.write_bytes(b"garbage")
    if "reduction" in damage:
        remove_reduction(store, "big", "pca-2")
    path.unlink(missing_ok=True)
    remove_scan(store, "big")
    assert not store.scan("big").folder.exists()


def test_removal_is_one_rename(store, monkeypatch):
    seen = []
    rename = os.rename

    def watch(source, target):
        rename(source, target)
        seen.append((scan_names(store), sum(1 for _ in Path(target).rglob("*.parquet"))))

    monkeypatch.setattr(os, "rename", watch)
    remove_scan(store, "big")
    assert seen == [((), 5)]


def test_what_cannot_be_deleted_of_a_removed_scan_is_told(store, monkeypatch):
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)
    left = store.scan_staging("big")
    with pytest.raises(WriteFailed, match=f"'big' is removed, .* what is left lies in {left}: delete that"):
        remove_scan(store, "big")
    assert scan_names(store) == ()
    assert list(left.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda store: find_scan(store, "bigg"), "scan 'bigg' is not in store .*; did you mean 'big'"),
        (lambda store: remove_scan(store, "x"), "scan 'x' is not in store"),
        (lambda store: find_reduction(find_scan(store, "big"), "pca2"), "did you mean 'pca-2'"),
        (lambda store: remove_reduction(store, "big", "x"), "reduction 'x' is not in scan 'big'"),
        (lambda store: remove_reduction(store, "x", "x"), "scan 'x' is not in store"),
    ],
)
def test_what_is_not_there_is_answered_with_the_nearest_name(store, call, words):
    with pytest.raises(UnknownName, match=words):
        call(store)


RECORDS = {
    "store.json": StoreRecord,
    "scans/big/scan.json": ScanRecord,
    "scans/big/chunks/000000/chunk.json": ChunkRecord,
    "scans/big/reductions/pca-2/reduction.json": ReductionRecord,
    "scans/big/results/layer_quality/default/result.json": ResultRecord,
}


def test_a_record_reads_back_as_it_was_written(store):
    for name, kind in RECORDS.items():
        record = read_json(store.root / name, kind)
        assert msgspec.convert(msgspec.to_builtins(record), kind) == record
        assert (store.root / name).read_bytes() == sealed_json(record)


GARBAGE = [
    b"", b"{", b"null", b"[]", b'"x"', b"\x00" * 40, b"\xff\xfe{}", b'{"format": "\xff"}', b"{}" * 3,
    b"[" * 100_000, b'{"a":' * 100_000, b'{"format": 1e400}', b'{"format": NaN}', b'{"format": "\\ud800"}',
]  # fmt: skip


@pytest.mark.parametrize("content", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize("name", [name for name in RECORDS if name != "store.json"])
def test_garbage_for_a_record_is_named(store, name, content):
    path = store.root / name
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=path.name):
        read_json(path, RECORDS[name])


ALL_VIEWS = "SELECT " + ", ".join(
    f"(SELECT count({column}) FROM {view})"
    for view, column in {
        "samples": "text",
        "scans": "created",
        "reductions": "created",
        "layers": "edges_x",
        "points": "coordinates",
        "activations": "vector",
        "results": "parameters",
    }.items()
)


def places_in(value, path=()):
    """Paths to every value in a JSON document."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places_in(inner, (*path, key))


@given(choices=st.data())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_record_with_any_wrong_value_ends_in_one_of_our_errors(store, choices):
    name = choices.draw(st.sampled_from(list(RECORDS)))
    path = store.root / name
    content = path.read_bytes()
    fields = json.loads(content)
    place = choices.draw(st.sampled_from([place for place in places_in(fields) if place]))
    holder = fields
    for key in place[:-1]:
        holder = holder[key]
    wrong = st.sampled_from(
        [None, "x", "", -1, 0, 2**31, 2**63, 2**70, -(2**80), 1e300, True, [], {}, [None], "../../x", "\x00"]
    )
    if choices.draw(st.booleans()):
        holder[place[-1]] = choices.draw(wrong)
    else:
        del holder[place[-1]]
    path.write_text(json.dumps(fields))
    error = error_of(lambda: sandbox.run(select(open_store(store.root)), ALL_VIEWS))
    path.write_bytes(content)
    assert error is None or len(str(error)) < 2000


@pytest.mark.parametrize("name", [name for name in RECORDS if name != "store.json"])
def test_an_edited_record_is_refused_wherever_it_is_read(store, name):
    path = store.root / name
    fields = json.loads(path.read_bytes())
    path.write_text(json.dumps({**fields, "versions": {"torch": "9.9"}}))
    with pytest.raises(StoreCorrupt, match=f"{path.name} was changed after its commit .its digest differs"):
        read_json(path, RECORDS[name])
    path.write_text(json.dumps(fields, indent=8))
    read_json(path, RECORDS[name])


@pytest.mark.parametrize("name", ["scans/big/scan.json", "scans/big/chunks/000000/chunk.json"])
def test_a_missing_field_is_named_with_its_file(store, name):
    path = store.root / name
    fields = json.loads(path.read_bytes())
    for field in fields.keys() - {"format", "digest", "notes", "read_at"}:
        path.write_text(json.dumps({key: value for key, value in fields.items() if key != field}))
        with pytest.raises(StoreCorrupt, match=f"{path.name} is damaged.*{field}"):
            find_scan(store, "big")


@pytest.mark.parametrize(
    ("field", "value"),
    [("chunk_samples", 0), ("n_samples", -1), ("hidden_size", 0), ("layers", []), ("layers", [-1])],
)
def test_numbers_that_no_scan_has_are_damage(store, field, value):
    path = store.root / "scans/big/scan.json"
    fields = json.loads(path.read_bytes())
    del fields["digest"]
    fields["spec"][field] = value
    path.write_bytes(sealed_json(fields))
    with pytest.raises(StoreCorrupt, match=r"scan.json is damaged"):
        find_scan(store, "big")


def test_one_damaged_scan_does_not_stand_in_the_way_of_the_others(store):
    write_scan(store.root, "other", labels=["a", "b"])
    (store.root / "scans/big/reductions/pca-2/reduction.json").write_bytes(b"{")
    rows = sandbox.run(select(store, ["other"]), "SELECT reduction, method, is_current FROM reductions")
    assert rows.to_pylist() == [{"reduction": "pca-2", "method": None, "is_current": None}]
    (store.root / "scans/big/scan.json").write_bytes(b"{")
    rows = sandbox.run(select(store, ["other"]), "SELECT scan, status, n_samples FROM scans")
    assert rows.to_pylist() == [
        {"scan": "big", "status": "damaged", "n_samples": None},
        {"scan": "other", "status": "complete", "n_samples": 2},
    ]
    with pytest.raises(StoreCorrupt, match=r"scan.json"):
        select(store, ["big"])
