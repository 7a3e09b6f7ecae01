"""Files from others, changed at random or made to harm: rows, or a sentence of ours; no code, no blow-up.

Each kind is tried in a process of its own, which may die or grow without harm to the others.
"""

import io
import json
import pickle
import random
import resource
import shutil
import struct
import zipfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.store.processes import killed_afterwards, outcome, start
from tests.store.stores import error_of, random_store, write_quality

MOST_GROWTH_BYTES = 768 * 2**20
EIGHT_BYTES = (2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1, 10**18)
HUGE = (*EIGHT_BYTES, 10**400, -1, -(2**63))
STRANGE = (
    *(None, True, False, 0, 1, 3, 0.5, 1e308, -1e-308, "", "0", "a", "../../../up", "/dev/zero", "\0"),
    *([], {}, [[]], [None], {"a": {}}, [0] * 300, "1" * 5000, "NaN", "9999-99-99", "con", "é" * 300),
    *HUGE,
)

pytestmark = pytest.mark.timeout(3600)


# --- changing content -------------------------------------------------------------------------------------


def changed_bytes(content, rng):
    """The content with one to three changes a hostile hand or a bad disk may make."""
    content = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(content) + 1)
        match rng.randrange(7):
            case 0 if content:
                content[at % len(content)] ^= 1 << rng.randrange(8)
            case 1:
                del content[at:]
            case 2:
                content[at : at + 64] = bytes(len(content[at : at + 64]))
            case 3:
                content[at:at] = rng.randbytes(rng.randint(1, 40))
            case 4:
                content[at : at + 8] = struct.pack("<Q", rng.choice(EIGHT_BYTES))
            case 5:
                end = rng.randrange(at, len(content) + 1)
                content[at:at] = content[at : min(end, at + 200)]
            case _:
                content[at : at + 4] = struct.pack("<i", -1)
    return bytes(content)


def changed_tree(tree, rng):
    """A JSON value with one part replaced, dropped, doubled or added."""
    places = list(_places(tree))
    holder, key = rng.choice(places)
    match rng.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder[str(rng.choice(STRANGE))[:50]] = holder[key]
        case 2 if isinstance(holder, list):
            holder.append(rng.choice(STRANGE))
        case 3:
            nested = "x"
            for _ in range(rng.choice([3, 200, 5000])):
                nested = [nested]
            holder[key] = nested
        case _:
            holder[key] = rng.choice(STRANGE)
    return tree


def _places(tree):
    keys = tree if isinstance(tree, dict) else range(len(tree))
    for key in list(keys):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


def changed_json(content, rng):
    """A JSON file as other bytes, or with another tree; numbers may be longer than any machine's."""
    if rng.random() < 0.2:
        return changed_bytes(content, rng)
    try:
        return json.dumps(changed_tree(json.loads(content), rng)).encode()
    except RecursionError:
        return b"[" * 100_000


# --- what is done with them -------------------------------------------------------------------------------


def try_all(say, folder, n, seed, *, prepare, change, act):
    """Changes what ``prepare`` made ``n`` times and acts on it; says how often it was refused.

    Args:
        say: how the result is told.
        folder: where files may be made.
        n, seed: how many changes, and which.
        prepare: folder -> files that can be changed.
        change: content, generator, path -> other content.
        act: path -> the errors of ours that there were; anything else comes through.
    """
    files = prepare(folder)
    for path in files:
        assert act(path) == [], f"{path} is sound: {act(path)}"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n_refused = 0
    for place in range(n):
        rng = random.Random(f"{seed} {place}")
        path = rng.choice(files)
        kept = path.read_bytes()
        path.write_bytes(change(kept, rng, path))
        try:
            errors = act(path)
        except BaseException as error:
            shutil.copy(path, folder / f"failed-{path.name}")
            raise AssertionError(f"change {place} of {path.name}: {type(error).__name__}: {error}") from error
        for error in errors:
            assert len(str(error)) < 4000, f"change {place} of {path.name}: {len(str(error))} characters"
        n_refused += bool(errors)
        path.write_bytes(kept)
    growth = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    say({"files": n, "refused": n_refused, "growth in MiB": growth // 2**20})


def ours(*acts):
    """The errors of ours that some calls end in."""
    return [error for error in map(error_of, acts) if error is not None]


def a_store(folder):
    store = random_store(folder / "store", n=100, n_layers=2)
    write_quality(store, "big")
    return store


def ask_store(_):
    """Every way in which a store is read."""
    from llm_mri_store import Store
    from llm_mri_store.store import sandbox
    from llm_mri_store.store.catalogue import open_store
    from llm_mri_store.store.connection import fetch
    from llm_mri_store.store.repair import lost_parts
    from llm_mri_store.store.selection import select
    from llm_mri_store.store.verify import verify_store

    root = Path("store")
    store = Store(root)

    def one_by_one():
        problems = verify_store(open_store(root))
        lost_parts(problems)
        if problems:
            from llm_mri_store.errors import StoreCorrupt

            raise StoreCorrupt(problems[0].what)

    return ours(
        one_by_one,
        store.listing,
        lambda: store.find("big").summary(),
        lambda: store.find("big").facts(),
        lambda: store.find("big").activations(1),
        lambda: store.reduction("big").heatmap(1),
        lambda: store.reduction("big").edges(),
        lambda: store.reduction("big").layer_table(),
        lambda: store.reduction("big").points(1),
        lambda: fetch(select(open_store(root)), "SELECT count(columns(*)) FROM points"),
        lambda: sandbox.run(select(open_store(root)), "SELECT count(columns(*)) FROM activations"),
        lambda: sandbox.run(select(open_store(root)), "SELECT * FROM layers, scans, reductions, results"),
    )


def sealed(content, rng, path):
    """A record changed by someone who knows how its digests are made."""
    from llm_mri_store.errors import LlmMriError
    from llm_mri_store.records.json_files import from_json
    from llm_mri_store.records.scans import ScanRecord, scan_identity
    from llm_mri_store.store.files import sealed_json

    changed = changed_json(content, rng)
    try:
        tree = json.loads(changed)
        tree.pop("digest", None)
        if path.name == "scan.json":
            tree["identity"] = scan_identity(from_json(json.dumps(tree).encode(), ScanRecord, where="x").spec)
        return sealed_json(tree)
    except (LlmMriError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return changed


def try_records(say, folder, n, seed):
    import os

    os.chdir(folder)
    try_all(
        say,
        folder,
        n,
        seed,
        prepare=lambda place: sorted(a_store(place).root.rglob("*.json")),
        change=lambda content, rng, path: (
            sealed(content, rng, path) if rng.random() < 0.7 else changed_json(content, rng)
        ),
        act=ask_store,
    )


def other_table(table, rng):
    """A Parquet file that is whole, but of other columns, types or rows than it should be."""
    names = table.schema.names
    name = rng.choice(names)
    n = table.num_rows
    others = (
        pa.array(["x"] * n),
        pa.array([None] * n, pa.null()),
        pa.array([float("nan")] * n),
        pa.array([-1] * n, pa.int64()),
        pa.array([2**31 - 1] * n, pa.int32()),
        pa.array([[1.0, float("inf")]] * n, pa.list_(pa.float32())),
        pa.array([[0.5] * 9] * n, pa.list_(pa.float32(), 9)),
        pa.array([{"a": 1}] * n),
        pa.array([b"\xff"] * n),
    )
    match rng.randrange(5):
        case 0:
            return table.drop_columns([name])
        case 1:
            return table.slice(0, rng.randrange(n))
        case 2:
            return pa.concat_tables([table] * 3)
        case 3:
            return table.rename_columns([f"{one} " if one == name else one for one in names])
        case _:
            return table.set_column(names.index(name), name, rng.choice(others))


def changed_parquet(content, rng, _):
    if rng.random() < 0.5:
        return changed_bytes(content, rng)
    written = io.BytesIO()
    pq.write_table(other_table(pq.read_table(io.BytesIO(content)), rng), written)
    return written.getvalue()


def try_parquet(say, folder, n, seed):
    import os

    os.chdir(folder)
    try_all(
        say,
        folder,
        n,
        seed,
        prepare=lambda place: sorted(a_store(place).root.rglob("*.parquet")),
        change=changed_parquet,
        act=ask_store,
    )


def safetensors_files(folder):
    from safetensors.numpy import save_file

    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    save_file({"layer_00": vectors, "layer_01": vectors}, folder / "acts.safetensors")
    reducer = {"mean": np.zeros(4), "weight": np.ones(4), "components": np.eye(4)[:2]}
    save_file({f"layer_00.{name}": array for name, array in reducer.items()}, folder / "reducer.safetensors")
    return [folder / "acts.safetensors", folder / "reducer.safetensors"]


def changed_safetensors(content, rng, _):
    """Other bytes, another header, or a header of another declared length."""
    if rng.random() < 0.3:
        return changed_bytes(content, rng)
    (size,) = struct.unpack("<Q", content[:8])
    header, rest = content[8 : 8 + size], content[8 + size :]
    if rng.random() < 0.2:
        return struct.pack("<Q", rng.choice([0, 2**20, 2**40, 2**63, 2**64 - 1])) + header + rest
    if rng.random() < 0.1:
        header = b"[" * 50_000
    else:
        tree = json.loads(header)
        for entry in tree.values():
            if rng.random() < 0.5:
                entry["dtype"] = rng.choice(["F64", "I8", "BOOL", "F8_E4M3", "BF16", "F128", 4])
            if rng.random() < 0.3:
                entry["shape"] = rng.choice([[2**62, 4], [2**32, 2**32], [0], [], [-1, 4], [1e9], [20, 4, 1]])
        header = changed_json(json.dumps(tree).encode(), rng)
    return struct.pack("<Q", len(header)) + header + rest


def open_arrays(path):
    """Opens a file of activations and reads all of it; a reducer's file also as such."""
    from llm_mri_store.extraction.arrays_files import open_file
    from llm_mri_store.extraction.arrays_given import ArrayChoices
    from llm_mri_store.pipeline.reducer_file import read_reducers

    def read(choices):
        with ExitStack() as opened:
            given = open_file(path, choices, opened)
            for first in range(0, min(given.n_samples, 100), 10):
                given.read(range(first, min(first + 10, given.n_samples)))

    if path.name.startswith("reducer"):
        return ours(lambda: read_reducers(path))
    layers = None if "layer_" in path.read_bytes()[:4000].decode("latin-1") else (1,)
    if path.suffix in {".h5", ".safetensors", ".parquet", ".npz"}:
        layers = None
    return ours(lambda: read(ArrayChoices(layers=layers)))


def try_safetensors(say, folder, n, seed):
    try_all(say, folder, n, seed, prepare=safetensors_files, change=changed_safetensors, act=open_arrays)


def import_files(folder):
    import h5py

    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    np.save(folder / "a.npy", vectors)
    np.savez(folder / "b.npz", layer_00=vectors, layer_01=vectors)
    np.savez_compressed(folder / "c.npz", layer_00=vectors)
    with h5py.File(folder / "d.h5", "w") as file:
        file["layer_00"] = vectors
        file.create_dataset("layer_01", data=vectors, compression="gzip")
    column = pa.array(list(vectors), pa.list_(pa.float32()))
    pq.write_table(pa.table({"layer_00": column}), folder / "e.parquet")
    return [folder / name for name in ("a.npy", "b.npz", "c.npz", "d.h5", "e.parquet")]


def npy(shape, *, descr="<f4", data=b""):
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


class Bomb:
    """Would leave a file behind if it were ever unpickled."""

    def __reduce__(self):
        return Path.write_text, (Path("pwned"), "x")


def changed_import(content, rng, path):
    """Other bytes, a pickle where numbers should be, or a shape that is not there."""
    if rng.random() < 0.6:
        return changed_bytes(content, rng)
    shape = rng.choice([(2**40, 4), (2**62, 2**62), (10**30, 1), (-1, 4), (2**20, 2**20), (20, 2**50)])
    if path.suffix == ".npy":
        objects = io.BytesIO()
        np.save(objects, np.array([Bomb()], dtype=object), allow_pickle=True)
        descr = rng.choice(["<f4", "|O", "<f8", "|V9999999999", [["a", "<f4"]]])
        return rng.choice([objects.getvalue(), pickle.dumps(Bomb()), npy(shape, descr=descr)])
    if path.suffix == ".npz":
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
            bomb = npy(shape, data=bytes(16 * 2**20))
            inner = rng.choice([bomb, npy((2**22, 1), data=bytes(2**24)), pickle.dumps(Bomb())])
            archive.writestr(rng.choice(["layer_00.npy", "../../up.npy", "/etc/up.npy", "a.pkl"]), inner)
        return written.getvalue()
    return changed_bytes(content, rng)


def try_imports(say, folder, n, seed):
    import os

    os.chdir(folder)
    try_all(say, folder, n, seed, prepare=import_files, change=changed_import, act=open_arrays)
    assert not Path("pwned").exists(), "a pickle was run"


def corpora(folder):
    from tests.conftest import make_records

    rows = make_records(20)
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "b.json").write_text(json.dumps(rows))
    for name, between in (("c.csv", ","), ("d.tsv", "\t")):
        lines = [between.join(row.values()) for row in rows]
        (folder / name).write_text("\n".join([between.join(rows[0]), *lines]) + "\n")
    pq.write_table(pa.Table.from_pylist(rows), folder / "e.parquet")
    return [folder / name for name in ("a.jsonl", "b.json", "c.csv", "d.tsv", "e.parquet")]


def changed_corpus(content, rng, path):
    if path.suffix == ".parquet":
        return changed_parquet(content, rng, path)
    if path.suffix == ".json" and rng.random() < 0.7:
        return changed_json(content, rng)
    if path.suffix == ".jsonl" and rng.random() < 0.7:
        lines = content.splitlines()
        place = rng.randrange(len(lines))
        lines[place] = changed_json(lines[place], rng)
        return b"\n".join(lines)
    return changed_bytes(content, rng)


def read_texts(path):
    from llm_mri_store.extraction.corpus import prepare_corpus
    from llm_mri_store.extraction.sources import read_corpus

    def read():
        name, table = read_corpus(str(path), text_columns=("text", "label"))
        prepare_corpus(name, table, text_column="text", label_column="label", keep_invalid=True)

    return ours(read)


def try_corpora(say, folder, n, seed):
    try_all(say, folder, n, seed, prepare=corpora, change=changed_corpus, act=read_texts)


KINDS = {
    "records": try_records,
    "Parquet": try_parquet,
    "safetensors": try_safetensors,
    "imports": try_imports,
    "corpora": try_corpora,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_file_gives_rows_or_our_sentence(tmp_path, is_full, figures, kind):
    n_small = 5 if kind in {"records", "Parquet"} else 15
    process, channel = start(KINDS[kind], tmp_path, 1000 if is_full else n_small, 7)
    with killed_afterwards(process):
        told = channel.recv()
        assert isinstance(told, dict), told
        assert outcome(process, channel) == "done"
    assert told["growth in MiB"] < MOST_GROWTH_BYTES // 2**20
    figures[f"foreign files: {kind}"] = told
