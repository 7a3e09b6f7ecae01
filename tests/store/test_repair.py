"""Repair takes what is damaged and nothing else; the same commands then make it anew, bit for bit."""

import random
import shutil

import pytest

from llm_mri_store import Store
from llm_mri_store.errors import StoreBusy, UnknownName
from llm_mri_store.store import verify
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.repair import repair_scan
from llm_mri_store.store.verify import verify_store
from tests.conftest import make_records
from tests.store.stores import random_store, tree_digest, write_quality

CHUNK = "scans/big/chunks/000001"
REDUCTION = "scans/big/reductions/pca-2"
RESULT = "scans/big/results/layer_quality/default"
PART_OF = {
    f"{CHUNK}/samples.parquet": CHUNK,
    f"{CHUNK}/activations.parquet": CHUNK,
    f"{CHUNK}/chunk.json": CHUNK,
    f"{REDUCTION}/reduction.json": REDUCTION,
    f"{REDUCTION}/reducer.safetensors": REDUCTION,
    f"{REDUCTION}/points/layer=01.parquet": REDUCTION,
    f"{RESULT}/result.json": RESULT,
    f"{RESULT}/layer_quality.parquet": RESULT,
}


def flip(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def truncate(path, rng):
    path.write_bytes(path.read_bytes()[: -rng.randint(1, 40)])


def zero(path, rng):
    content = path.read_bytes()
    at = rng.randrange(max(1, len(content) - 64))
    path.write_bytes(content[:at] + bytes(64) + content[at + 64 :])


def lose(path, rng):
    path.unlink()


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("sound") / "store", n=100, n_layers=2)
    write_quality(store, "big")
    return store


@pytest.fixture
def store(sound, tmp_path):
    shutil.copytree(sound.root, tmp_path / "store")
    return type(sound)(tmp_path / "store")


def repaired(store, *, agree=lambda _: True):
    return repair_scan(store, "big", agree=agree)


@pytest.mark.parametrize("damage", [truncate, zero, lose], ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", PART_OF)
def test_the_part_a_damaged_file_belongs_to_goes_and_nothing_else(store, name, damage):
    before = tree_digest(store.root)
    damage(store.root / name, random.Random(name))
    removed, left = repaired(store)
    assert [one.where for one in removed] == [PART_OF[name]]
    assert left == ()
    assert tree_digest(store.root) == {
        path: digest for path, digest in before.items() if not path.startswith(f"{PART_OF[name]}/")
    }


def test_a_sound_scan_loses_nothing_and_no_one_is_asked(store):
    before = tree_digest(store.root)
    assert repaired(store, agree=None) == ((), ())
    assert tree_digest(store.root) == before


def test_without_leave_nothing_goes(store):
    lose(store.root / f"{CHUNK}/samples.parquet", None)
    before, asked = tree_digest(store.root), []
    removed, left = repaired(store, agree=asked.append)
    assert removed == ()
    assert {one.where for one in left} == {f"{CHUNK}/samples.parquet"}
    assert [one.where for one in asked[0]] == [CHUNK]
    assert tree_digest(store.root) == before


def test_a_result_goes_with_its_damaged_reduction_as_one_part(sound, store):
    lose(store.root / f"{REDUCTION}/reducer.safetensors", None)
    folder = store.root / REDUCTION / "results" / "odd" / "one"
    folder.mkdir(parents=True)
    (folder / "result.json").write_text("{")
    removed, _ = repaired(store)
    assert [(one.where, one.kind) for one in removed] == [(REDUCTION, "reduction")]


def test_what_is_no_part_of_the_store_is_left_and_named(store):
    (store.root / CHUNK / "notes.txt").write_text("mine")
    removed, left = repaired(store)
    assert removed == ()
    assert [one.where for one in left] == [f"{CHUNK}/notes.txt"]


def test_a_file_that_may_not_be_read_is_not_lost(store, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied")

    before = tree_digest(store.root)
    monkeypatch.setattr(verify, "sha256_of", refused)
    removed, left = repaired(store)
    assert removed == ()
    assert all("Permission denied" in one.what for one in left)
    assert tree_digest(store.root) == before


def test_what_a_newer_version_wrote_is_not_lost(store):
    path = store.root / CHUNK / "chunk.json"
    path.write_bytes(
        path.read_bytes().replace(b'"format":1', b'"format":99').replace(b'"format": 1', b'"format": 99')
    )
    before = tree_digest(store.root)
    removed, left = repaired(store)
    assert removed == ()
    assert any("newer version" in one.what for one in left)
    assert tree_digest(store.root) == before


def test_a_scan_s_own_record_is_not_dropped(store):
    (store.root / "scans/big/scan.json").write_text("{}")
    removed, left = repaired(store)
    assert removed == ()
    assert [one.where for one in left] == ["scans/big/scan.json"]


def test_a_scan_that_is_being_written_is_left_alone(store):
    with scan_lock(store, "big"), pytest.raises(StoreBusy):
        repaired(store)


def test_an_unknown_scan_is_refused(store):
    with pytest.raises(UnknownName):
        repair_scan(store, "other", agree=lambda _: True)


def test_the_same_commands_make_it_anew_bit_for_bit(tmp_path, tiny_bert):
    opened = Store(tmp_path / "store")

    def scanned():
        return opened.scan(tiny_bert, make_records(40), name="s", chunk_samples=8)

    scanned().reduce("pca", n_components=2, grid=4)
    points = {name: one for name, one in tree_digest(opened.path).items() if name.endswith(".parquet")}
    rng = random.Random(0)
    flip(opened.path / "scans/s/chunks/000002/activations.parquet", rng)
    lose(opened.path / "scans/s/chunks/000004/samples.parquet", rng)
    removed, left = opened.repair("s")
    assert [one.where for one in removed] == ["scans/s/chunks/000002", "scans/s/chunks/000004"]
    assert left == ()
    assert not opened.scans["s"].is_complete
    again = scanned()
    assert again.is_complete
    assert points.items() <= tree_digest(opened.path).items()
    assert verify_store(opened._paths()) == []
    assert len(again.reductions["pca-2"].heatmap(1)) == 16
