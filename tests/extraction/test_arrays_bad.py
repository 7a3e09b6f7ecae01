"""Activations that cannot be read: one sentence each, whatever is wrong with the file."""

import json
import struct
import sys
import zipfile
from contextlib import suppress

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import save_file

from llm_mri_store.errors import InvalidInput, LlmMriError, UnknownName
from llm_mri_store.extraction.arrays import fingerprint_activations, open_activations
from llm_mri_store.extraction.arrays_given import ArrayChoices
from tests.activation_files import (
    FORMS,
    by_layer,
    list_column,
    long_table,
    make_tokens,
    make_vectors,
    wide_table,
    write_neurox,
    write_saelens,
)

VECTORS = make_vectors()


def refusal(source, **choices) -> str:
    """The sentence with which activations are refused, when they are opened or when they are read."""
    with pytest.raises(LlmMriError) as caught, open_activations(source, ArrayChoices(**choices)) as given:
        fingerprint_activations(given, None, rows_at_once=5, on_rows=lambda _: None)
    words = str(caught.value)
    assert "\n" not in words
    assert len(words) < 400
    return words


def header(shape, *, descr="<f4", data=b"", fortran="False"):
    text = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape!r}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


NPY = {
    "no magic": (b"hello, world", "magic string"),
    "empty": (b"", "magic string"),
    "a header cut short": (b"\x93NUMPY\x01\x00\xff\xff{", "header"),
    "code in the header": (header((2, 3), fortran="print(1)"), "header"),
    "numbers cut short": (header((3, 4), data=b"\0" * 8), "greater than file size"),
    "a hostile shape": (header((10**30, 10)), "cannot be read"),
    "a negative shape": (header((-3, 4)), "cannot be read"),
    "objects": (header((3,), descr="|O"), "cannot be read"),
    "integers": (header((2, 3), descr="<i4", data=b"\0" * 24), "holds int32 values"),
    "strings": (header((2, 3), descr="<U1", data=b"\0" * 24), "holds <U1 values"),
    "complex numbers": (header((1, 3), descr="<c8", data=b"\0" * 24), "holds complex64 values"),
    "a single number": (header((), data=b"\0" * 4), "has the shape ()"),
    "a vector": (header((4,), data=b"\0" * 16), "has the shape (4,)"),
    "tokens not pooled": (header((1, 1, 2, 2), data=b"\0" * 16), "with tokens pooled"),
    "no rows": (header((0, 2, 4)), "is empty"),
    "no layers": (header((2, 0, 4)), "is empty"),
    "no width": (header((2, 3, 0)), "is empty"),
}


@pytest.mark.parametrize("case", NPY)
def test_npy(tmp_path, case):
    content, sentence = NPY[case]
    (tmp_path / "acts.npy").write_bytes(content)
    words = refusal(tmp_path / "acts.npy")
    assert sentence in words
    assert "acts.npy" in words


def test_an_object_array_is_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (sys.exit, ("unpickled",))

    np.save(tmp_path / "acts.npy", np.array([Bomb(), Bomb()]), allow_pickle=True)
    np.savez(tmp_path / "acts.npz", layer_0=np.array([Bomb(), Bomb()]))
    for name in ("acts.npy", "acts.npz"):
        assert "acts.np" in refusal(tmp_path / name)
    (tmp_path / "acts.pt").write_bytes(b"\x80")
    assert "may be a pickle" in refusal(tmp_path / "acts.pt")


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_npz(tmp_path):
    path = tmp_path / "acts.npz"
    path.write_bytes(b"hello")
    assert "not a zip file" in refusal(path)
    zipped(path, {})
    assert "holds no array" in refusal(path)
    zipped(path, {"notes.txt": "hello"})
    assert "'notes.txt' in" in refusal(path)
    zipped(path, {"layer_1.npy": header((3, 4), data=b"\0" * 8)})
    assert "is damaged" in refusal(path)
    zipped(path, {"layer_1.npy": header((10**12, 10**12), data=b"\0" * 8)})
    assert "is damaged" in refusal(path)
    zipped(path, {"layer_1.npy": b"\x93NUMPY\x03\x00" + b"\0" * 100})
    assert "no plain array" in refusal(path)
    np.savez(path, layer_1=np.asfortranarray(VECTORS[:, 0]))
    assert "column by column" in refusal(path)
    np.savez(path, layer_1=VECTORS[:, 0], labels=np.arange(24))
    assert "'labels' in" in refusal(path)


def test_a_bit_flipped_in_a_compressed_array(tmp_path):
    path, _ = FORMS["npz_compressed"](tmp_path, VECTORS)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    assert "cannot be read" in refusal(path)


SAFETENSORS = {
    "a header of 4 EiB": struct.pack("<Q", 2**62) + b"{}",
    "cut short": b"abc",
    "empty": b"",
    "no header": struct.pack("<Q", 5) + b"hello",
    "fewer numbers than promised": None,
    "a shape that overflows": None,
    "a shape of other numbers": None,
}


def safetensors(shape, offsets, data):
    text = json.dumps({"layer_1": {"dtype": "F32", "shape": shape, "data_offsets": offsets}}).encode()
    return struct.pack("<Q", len(text)) + text + data


SAFETENSORS["fewer numbers than promised"] = safetensors([10, 10], [0, 400], b"\0" * 8)
SAFETENSORS["a shape that overflows"] = safetensors([2**40, 2**40], [0, 400], b"\0" * 400)
SAFETENSORS["a shape of other numbers"] = safetensors([3, 3], [0, 400], b"\0" * 400)


@pytest.mark.parametrize("case", SAFETENSORS)
def test_safetensors(tmp_path, case):
    (tmp_path / "acts.safetensors").write_bytes(SAFETENSORS[case])
    assert "acts.safetensors cannot be read" in refusal(tmp_path / "acts.safetensors")


def test_safetensors_of_other_tensors(tmp_path):
    path = tmp_path / "acts.safetensors"
    save_file({}, path)
    assert "holds no array" in refusal(path)
    save_file({"layer_1": np.arange(6).reshape(2, 3)}, path)
    assert "holds I64 values" in refusal(path)
    save_file({"layer_0": VECTORS[:, 0], "layer_1": VECTORS[:, 0, :4].copy()}, path)
    assert "layers 0 and 1" in refusal(path)
    save_file({"layer_0": VECTORS[:, 0], "layer_1": VECTORS[:5, 0].copy()}, path)
    assert "differ: (24, 8) float32 and (5, 8) float32" in refusal(path)
    save_file({"layer_0": VECTORS[:, 0], "layer_1": VECTORS[:, 0].astype(np.float16)}, path)
    assert "layers 0 and 1" in refusal(path)
    save_file({"layer_0": VECTORS}, path)
    with open_activations(path, ArrayChoices()) as given:
        assert given.layers == (0, 1, 2), "of one array of three axes the name says nothing"


NAMES = {
    "a name without a layer": ({"embedding": 0, "layer_3": 1}, "does not say of which layer it is"),
    "no name with a layer": ({"early": 0, "late": 1}, "do not say of which layers they are"),
    "one layer twice": ({"mlp.3": 0, "layer_3": 1}, "holds layer 3 twice"),
    "a layer beyond all": ({"layer_40000": 0, "layer_1": 1}, "is of no layer"),
}


@pytest.mark.parametrize("case", NAMES)
def test_names(tmp_path, case):
    places, sentence = NAMES[case]
    np.savez(tmp_path / "acts.npz", **{name: VECTORS[:, place] for name, place in places.items()})
    assert sentence in refusal(tmp_path / "acts.npz")


def test_layers_that_are_not_there(tmp_path):
    path, _ = FORMS["npz"](tmp_path, VECTORS)
    with pytest.raises(UnknownName, match=r"layer 7 is not in .*acts\.npz; there are: 0, 6, 12"):
        open_activations(path, ArrayChoices(layers=(6, 7))).__enter__()
    path, _ = FORMS["layer_files"](tmp_path, VECTORS)
    assert "layer 7 is not in" in refusal(path, layers=(7,))
    assert "one or more layers" in refusal(path, layers=())


def test_layers_that_cannot_be(tmp_path):
    assert "say so with --layer" in refusal(VECTORS[:, 0])
    assert "3 layers, but --layers names 2" in refusal(VECTORS, layers=(0, 1))
    assert "each once" in refusal(VECTORS, layers=(0, 1, 1))
    assert "one or more layers" in refusal(VECTORS, layers=())
    assert "not a number from 0" in refusal(VECTORS, layers=(0, 1, -1))
    assert "not a number from 0" in refusal(VECTORS, layers=(0, 1, 40_000))
    assert "is its --layout another one?" in refusal(np.zeros((2, 40_000, 1), np.float32))


def test_arrays_in_memory():
    assert "give numpy arrays" in refusal({0: [1.0, 2.0]})
    assert "layer 'six'" in refusal({"six": VECTORS[:, 0]})
    assert "holds int64 values" in refusal(np.arange(6).reshape(2, 3))
    assert "holds no array" in refusal({})


PARQUET = {
    "no vectors": (pa.table({"text": ["a"], "n": [1]}), "no column of lists of floats"),
    "no columns": (pa.table({}), "none at all"),
    "no rows": (wide_table(VECTORS).slice(0, 0), "has no rows"),
    "a column of several": (
        wide_table(VECTORS).append_column("logits", list_column(VECTORS[:, 0])),
        "'logits' in",
    ),
    "vectors of several lengths": (
        pa.table({"layer_1": pa.array([[1.0, 2.0]] * 7 + [[1.0]])}),
        "row 7 of column 'layer_1'",
    ),
    "columns of several widths": (
        pa.table({"layer_1": [[1.0, 2.0]], "layer_2": [[1.0]]}),
        "differ in width: 2 and 1",
    ),
    "no vector at all": (
        pa.table({"layer_1": pa.array([None, None], pa.list_(pa.float32()))}),
        "holds no vector",
    ),
    "vectors and tokens": (
        pa.table({"layer_1": [[1.0, 2.0]], "layer_2": [[[1.0, 2.0]]]}),
        "keep the one or the other",
    ),
    "another order": (wide_table(VECTORS).take(np.arange(24)[::-1]), "does not count 0, 1 ... in order"),
    "names of samples": (
        wide_table(VECTORS[:2]).set_column(0, "sample_id", pa.array(["a", "b"])),
        "does not count",
    ),
    "a long table in no order": (
        long_table(VECTORS).take(np.random.default_rng(0).permutation(72)),
        "ORDER BY layer, sample_id",
    ),
    "a long table with a gap": (long_table(VECTORS).slice(0, 71), "every layer must have the same samples"),
    "a long table that begins at 1": (long_table(VECTORS[1:]).slice(1), "every layer must have the same"),
    "a long table of layers below 0": (
        long_table(VECTORS).set_column(0, "layer", pa.array([-1] * 72)),
        "beyond 0 to",
    ),
    "a long table with a null layer": (
        long_table(VECTORS).set_column(0, "layer", pa.array([None] * 71 + [1])),
        "is NULL in some rows",
    ),
    "a long table of two vectors": (
        long_table(VECTORS).append_column("more", list_column(VECTORS.reshape(72, 8))),
        "several columns of vectors",
    ),
}


@pytest.mark.parametrize("case", PARQUET)
def test_parquet(tmp_path, case):
    table, sentence = PARQUET[case]
    pq.write_table(table, tmp_path / "acts.parquet")
    assert sentence in refusal(tmp_path / "acts.parquet")


def test_damaged_parquet(tmp_path):
    path = tmp_path / "acts.parquet"
    for content in (b"", b"PAR1", b"hello, world, this is no Parquet"):
        path.write_bytes(content)
        assert "acts.parquet cannot be read" in refusal(path)
    pq.write_table(wide_table(VECTORS), path, write_page_checksum=True, use_dictionary=False)
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    assert "acts.parquet cannot be read" in refusal(path)
    content[900] ^= 1
    path.write_bytes(content)
    assert "acts.parquet cannot be read" in refusal(path)


def test_hdf5(tmp_path):
    path = tmp_path / "acts.h5"
    for content in (b"", b"hello", b"\x89HDF\r\n\x1a\n" + b"\0" * 100):
        path.write_bytes(content)
        assert "acts.h5 cannot be read" in refusal(path)
    with h5py.File(path, "w") as file:
        file["layer_1"] = np.arange(6).reshape(2, 3)
    assert "holds int64 values" in refusal(path)
    with h5py.File(path, "w") as file:
        file["layer_1"] = h5py.Empty("f4")
    assert "has the shape ()" in refusal(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("layer_1", (2, 2**40), "f4", chunks=(1, 1024))
    assert "is damaged" in refusal(path)


def test_hdf5_without_its_library(tmp_path, monkeypatch):
    path, _ = FORMS["hdf5"](tmp_path, VECTORS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert refusal(path).endswith("needs h5py; install it with pip install 'llm-mri-store[hdf5]'")


def test_neurox_files_that_are_not_whole(tmp_path):
    texts = make_tokens()
    path = write_neurox(tmp_path / "acts.hdf5", texts)
    assert "say with --pooling" in refusal(path)
    with h5py.File(path, "a") as file:
        del file["3"]
    assert "none is called '3'" in refusal(path, pooling="mean")
    write_neurox(path, [*texts, texts[0][:2]])
    assert "sentence '7' of" in refusal(path, pooling="mean")
    write_neurox(path, [*texts, texts[0].astype(int)])
    assert "holds int64 values" in refusal(path, pooling="mean")
    write_neurox(path, [])
    assert "holds no sentence" in refusal(path, pooling="mean")
    write_neurox(path, [np.zeros((3, 0, 8), np.float32)] * 2)
    assert "is empty" in refusal(path, pooling="tokens")


def test_a_pooling_where_there_is_nothing_to_pool(tmp_path):
    for form in ("npy", "parquet_wide", "parquet_long", "safetensors"):
        folder = tmp_path / form
        folder.mkdir()
        path, options = FORMS[form](folder, VECTORS)
        assert "leave --pooling out" in refusal(path, pooling="mean", **options)


def test_saved_datasets(tmp_path):
    folder = write_saelens(tmp_path / "acts", {"blocks.6.hook_resid_post": np.zeros((4, 5, 8), np.float32)})
    assert "say with --pooling" in refusal(folder)
    state = folder / "state.json"
    whole = state.read_text()
    for content in ("", "[]", '{"_data_files": 3}', '{"_data_files": []}', "[" * 100_000):
        state.write_text(content)
        assert "acts" in refusal(folder, pooling="mean")
    state.write_text(whole)
    shard = folder / "data-00001-of-00002.arrow"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 2])
    refusal(folder, pooling="mean")
    shard.unlink()
    refusal(folder, pooling="mean")
    (folder / "dataset_dict.json").write_text('{"splits": ["train"]}')
    assert "holds the splits" in refusal(folder, pooling="mean")


def test_a_dataset_cannot_point_outside_its_folder(tmp_path):
    folder = write_saelens(tmp_path / "acts", {"blocks.6.hook": np.zeros((4, 5, 8), np.float32)})
    (tmp_path / "data.arrow").write_bytes((folder / "data-00000-of-00002.arrow").read_bytes())
    (folder / "state.json").write_text('{"_data_files": [{"filename": "../data.arrow"}]}')
    assert "data.arrow" in refusal(folder, pooling="mean")


def test_folders(tmp_path):
    assert "no such file or folder" in refusal(tmp_path / "nowhere")
    folder = tmp_path / "acts"
    folder.mkdir()
    (folder / "README.md").write_text("nothing yet")
    assert "holds no activations" in refusal(folder)
    np.save(folder / "part0.npy", VECTORS)
    np.save(folder / "part1.npy", VECTORS[:, :2])
    assert "holds the layers [0, 1, 2]" in refusal(folder)
    np.save(folder / "part1.npy", VECTORS[:, :, :4])
    assert "part1.npy 4 in float32" in refusal(folder)
    (folder / "part1.npy").write_bytes(b"hello")
    assert "part1.npy cannot be read" in refusal(folder)
    save_file(by_layer(VECTORS), folder / "part1.safetensors")
    assert "several forms (.npy, .safetensors)" in refusal(folder)


def test_parts_whose_samples_do_not_count_on(tmp_path):
    (tmp_path / "acts").mkdir()
    for place in range(2):
        pq.write_table(wide_table(VECTORS), tmp_path / "acts" / f"{place}.parquet")
    assert "1.parquet does not count 24, 25 ..." in refusal(tmp_path / "acts")


def test_layer_files(tmp_path):
    path, _ = FORMS["layer_files"](tmp_path, VECTORS)
    np.save(path / "other-layer6.npy", VECTORS[:, 0])
    assert "two files of one layer" in refusal(path)
    (path / "other-layer6.npy").unlink()
    np.save(path / "gpt-2-layer6.npy", VECTORS[:5, 0])
    assert "gpt-2-layer6.npy holds 5 samples" in refusal(path)
    np.save(path / "gpt-2-layer6.npy", VECTORS[:, 0, :3])
    assert "gpt-2-layer6.npy 3 in float32" in refusal(path)


def test_a_form_that_is_not_known(tmp_path):
    (tmp_path / "acts.csv").write_text("1,2,3")
    assert "of no form known here: .npy, .npz, .safetensors" in refusal(tmp_path / "acts.csv")


@pytest.mark.parametrize("form", ["npy", "npz", "safetensors", "parquet_wide", "hdf5"])
def test_a_file_cut_anywhere_is_one_sentence_or_whole(form, tmp_path):
    path, options = FORMS[form](tmp_path, VECTORS)
    content = path.read_bytes()
    rng = np.random.default_rng(0)
    for end in [*rng.integers(0, len(content), 40).tolist(), len(content) - 1]:
        path.write_bytes(content[:end])
        with pytest.raises(InvalidInput) as caught, open_activations(path, ArrayChoices(**options)) as given:
            fingerprint_activations(given, None, rows_at_once=5, on_rows=lambda _: None)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", ["npy", "npz_compressed", "safetensors", "parquet_long", "hdf5"])
def test_a_file_with_a_byte_changed_is_one_sentence_or_read(form, tmp_path):
    path, options = FORMS[form](tmp_path, VECTORS)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for place in rng.integers(0, len(content), 150):
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(changed)
        # Whatever else is raised fails the test.
        with suppress(LlmMriError), open_activations(path, ArrayChoices(**options)) as given:
            fingerprint_activations(given, None, rows_at_once=5, on_rows=lambda _: None)
