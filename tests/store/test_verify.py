import json
import shutil

import pytest

from llm_mri_store import schema
from llm_mri_store.errors import UnknownName
from llm_mri_store.store.verify import verify_store
from tests.store.stores import TRIAL_KIND, random_store, tree_digest, write_quality, write_scan, write_trial

FILES = [
    "scans/big/scan.json",
    "scans/big/chunks/000000/chunk.json",
    "scans/big/chunks/000000/samples.parquet",
    "scans/big/chunks/000001/activations.parquet",
    "scans/big/reductions/pca-2/reduction.json",
    "scans/big/reductions/pca-2/reducer.safetensors",
    "scans/big/reductions/pca-2/points/layer=01.parquet",
    "scans/big/results/layer_quality/default/result.json",
    "scans/big/results/layer_quality/default/layer_quality.parquet",
    "scans/big/reductions/pca-2/results/trial/first/result.json",
    "scans/big/reductions/pca-2/results/trial/first/draws.parquet",
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("sound") / "store", n=100, n_layers=2)
    write_scan(store.root, "other", labels=["a", "b"])
    write_quality(store, "big")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(schema.RESULT_KINDS, "trial", TRIAL_KIND)
        write_trial(store)
    return store


@pytest.fixture
def store(sound, tmp_path):
    shutil.copytree(sound.root, tmp_path / "store")
    return type(sound)(tmp_path / "store")


def places(store, scan=None):
    return {problem.where for problem in verify_store(store, scan)}


def test_a_sound_store_has_no_problem_and_is_not_changed(store, tiny_store):
    before = tree_digest(store.root)
    assert verify_store(store) == []
    assert verify_store(type(store)(tiny_store)) == []
    assert tree_digest(store.root) == before


def test_desktop_files_are_no_problem(store):
    for folder in (
        "",
        "scans",
        "scans/big",
        "scans/big/chunks",
        "scans/big/chunks/000000",
        "scans/big/reductions",
        "scans/big/results",
        "scans/big/results/layer_quality",
        "scans/big/results/layer_quality/default",
        "scans/big/reductions/pca-2/results/trial/first",
    ):
        (store.root / folder / ".DS_Store").write_text("x")
    assert verify_store(store) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("at", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_flipped_bit_is_found_and_its_file_named(store, name, at):
    path = store.root / name
    content = bytearray(path.read_bytes())
    place = int(at * (len(content) - 1))
    for bit in (0, 5):
        damaged = bytearray(content)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        if name.endswith(".json") and same_json(damaged, content):
            continue
        assert places(store) == {name}


def same_json(one, two):
    """Spaces and line ends may change in a JSON file without harm."""
    try:
        return json.loads(one) == json.loads(two)
    except ValueError:
        return False


def truncate(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


def zero(path):
    content = path.read_bytes()
    path.write_bytes(content[:40] + bytes(200) + content[240:])


@pytest.mark.parametrize("damage", [truncate, empty, zero], ids=lambda one: one.__name__)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_named(store, name, damage):
    path = store.root / name
    if path.stat().st_size < 8:
        path.write_bytes(b"x")
    else:
        damage(path)
    assert places(store) == {name}


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith("scan.json")])
def test_a_missing_file_is_named(store, name):
    (store.root / name).unlink()
    assert places(store) == {name}


def test_a_scan_without_its_record_is_named(store):
    (store.root / "scans/big/scan.json").unlink()
    assert places(store) == {"scans/big/scan.json"}


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "scans/notes.txt",
        "scans/big (2)/scan.json",
        "scans/big/notes.txt",
        "scans/big/chunks/notes.txt",
        "scans/big/chunks/000009/samples.parquet",
        "scans/big/chunks/000000/notes.txt",
        "scans/big/chunks/000000/deep/notes.txt",
        "scans/big/reductions/notes.txt",
        "scans/big/reductions/pca-2/points/layer=09.parquet",
        "scans/big/results/notes.txt",
        "scans/big/results/layer_quality/notes.txt",
        "scans/big/results/layer_quality/default (2)/result.json",
        "scans/big/results/layer_quality/default/notes.txt",
        "scans/big/reductions/pca-2/results/trial/first/deep/notes.txt",
    ],
)
def test_an_extra_file_is_named(store, name):
    path = store.root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("x")
    (place,) = places(store)
    assert name == place or name.startswith(f"{place}/")


def test_swapped_files_are_both_named(store):
    one, two = (store.root / f"scans/big/chunks/00000{i}/samples.parquet" for i in (0, 1))
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    assert places(store) == {f"scans/big/chunks/00000{i}/samples.parquet" for i in (0, 1)}


def test_swapped_chunks_are_both_named(store):
    chunks = store.root / "scans/big/chunks"
    (chunks / "000000").rename(chunks / "x")
    (chunks / "000001").rename(chunks / "000000")
    (chunks / "x").rename(chunks / "000001")
    named = {f"scans/big/chunks/00000{i}/chunk.json" for i in (0, 1)}
    assert named <= places(store)


def test_a_missing_chunk_is_a_gap_unless_it_is_the_last(store):
    shutil.rmtree(store.root / "scans/big/chunks/000001")
    assert verify_store(store, "big") == []
    store = type(store)(store.root)
    shutil.rmtree(store.root / "scans/big/reductions")
    shutil.rmtree(store.root / "scans/big/results")
    shutil.copytree(store.root / "scans/big/chunks/000000", store.root / "scans/big/chunks/000001")
    shutil.rmtree(store.root / "scans/big/chunks/000000")
    assert "scans/big/chunks/000000" in places(store)


def values_in(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from values_in(inner, (*path, key))
    elif isinstance(value, list):
        for key, inner in enumerate(value):
            yield from values_in(inner, (*path, key))
    else:
        yield path


@pytest.mark.parametrize("name", [name for name in FILES if name.endswith(".json")])
def test_any_edited_value_of_a_record_is_found(store, name):
    path = store.root / name
    content = path.read_bytes()
    shutil.rmtree(store.root / "scans" / "other")
    for place in values_in(json.loads(content)):
        fields = json.loads(content)
        holder = fields
        for key in place[:-1]:
            holder = holder[key]
        old = holder[place[-1]]
        holder[place[-1]] = (
            old + 1 if type(old) in (int, float) else not old if type(old) is bool else f"{old}x"
        )
        path.write_text(json.dumps(fields))
        assert name in places(store, "big"), place


def test_a_reduction_of_other_activations_is_named(store):
    shutil.rmtree(store.root / "scans/big/reductions/pca-2/results")
    before = store.root / "scans/big/reductions"
    kept = shutil.move(before, store.root.parent / "reductions")
    shutil.rmtree(store.root / "scans/big")
    random_store(store.root, n=100, n_layers=2, seed=1)
    shutil.rmtree(before)
    shutil.move(kept, before)
    (problem,) = verify_store(store)
    assert problem.where == "scans/big/reductions/pca-2/reduction.json"
    assert "other activations" in problem.what


def test_a_result_of_other_activations_or_another_reduction_is_named(store):
    big = store.scan("big")
    of_scan, of_reduction = big.results() / "layer_quality", big.results("pca-2") / "trial"
    kept = [shutil.move(folder, store.root.parent / folder.name) for folder in (of_scan, of_reduction)]
    shutil.rmtree(big.folder)
    random_store(store.root, n=100, n_layers=2, seed=1)
    for folder, before in zip((of_scan, of_reduction), kept, strict=True):
        folder.parent.mkdir()
        shutil.move(before, folder)
    problems = verify_store(store)
    assert {one.where for one in problems} == {FILES[7], FILES[9]}
    assert all("other activations, or from another reduction" in one.what for one in problems)


def test_a_result_that_was_moved_to_another_name_is_named(store):
    folder = store.scan("big").results() / "layer_quality"
    (folder / "default").rename(folder / "other")
    (problem,) = verify_store(store)
    assert problem.where == "scans/big/results/layer_quality/other/result.json"
    assert "it says it is result 'default'" in problem.what


def test_results_of_a_kind_that_only_a_later_version_knows_are_checked_all_the_same(store):
    assert "trial" not in schema.RESULT_KINDS
    folder = store.scan("big").results("pca-2")
    (folder / "trial").rename(folder / "trail")
    assert places(store) == {"scans/big/reductions/pca-2/results/trail/first/result.json"}


def test_one_scan_is_verified_alone(store):
    (store.root / "scans/big/scan.json").write_bytes(b"{")
    assert verify_store(store, "other") == []
    assert places(store, "big") == {"scans/big/scan.json"}
    with pytest.raises(UnknownName, match="did you mean 'big'"):
        verify_store(store, "bigg")


def test_progress_is_told_for_each_scan(store):
    told = []
    verify_store(store, progress=told.append)
    assert [(one.job, one.done, one.total) for one in told] == [
        ("verify", 0, 2),
        ("verify", 1, 2),
        ("verify", 2, 2),
    ]
