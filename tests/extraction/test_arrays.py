"""Activations made elsewhere: every form gives the same numbers, in whatever pieces they are read."""

from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file as save_tensors

from llm_mri_store.extraction import arrays_rows
from llm_mri_store.extraction.arrays import fingerprint_activations, open_activations
from llm_mri_store.extraction.arrays_given import ArrayChoices
from llm_mri_store.extraction.arrays_layers import layer_of_name
from tests.activation_files import FORMS, LAYERS, by_layer, list_column, long_table, make_vectors, wide_table


def read_all(source, *, rows_at_once=5, **choices):
    """What activations come to, and all of their vectors."""
    with open_activations(source, ArrayChoices(**choices)) as given:
        pieces = [
            given.read(range(first, min(first + rows_at_once, given.n_samples)))
            for first in range(0, given.n_samples, rows_at_once)
        ]
        return given, np.concatenate(pieces)


def fingerprint(source, *, rows_at_once=5, n_tokens=None, **choices):
    with open_activations(source, ArrayChoices(**choices)) as given:
        return fingerprint_activations(given, n_tokens, rows_at_once=rows_at_once, on_rows=lambda _: None)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows_at_once", [1, 5, 24])
def test_every_form_gives_the_same_numbers(form, rows_at_once, tmp_path):
    vectors = make_vectors()
    path, options = FORMS[form](tmp_path, vectors)
    given, read = read_all(path, rows_at_once=rows_at_once, **options)
    assert (given.layers, given.width, given.n_samples) == (LAYERS, 8, 24)
    assert given.pooling == "imported"
    assert given.n_tokens is None
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, vectors)


@pytest.mark.parametrize("form", FORMS)
def test_a_piece_can_be_read_again_and_out_of_turn(form, tmp_path):
    vectors = make_vectors()
    path, options = FORMS[form](tmp_path, vectors)
    with open_activations(path, ArrayChoices(**options)) as given:
        for ids in (range(20, 24), range(3), range(9, 17), range(8, 9), range(24), range(2, 4)):
            np.testing.assert_array_equal(given.read(ids), vectors[ids.start : ids.stop])


@pytest.mark.parametrize("form", FORMS)
def test_small_batches_of_a_table_leave_no_trace(form, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays_rows, "_BATCH_BYTES", 300)
    vectors = make_vectors()
    path, options = FORMS[form](tmp_path, vectors)
    np.testing.assert_array_equal(read_all(path, rows_at_once=7, **options)[1], vectors)


def test_the_fingerprint_is_of_the_numbers_and_not_of_what_holds_them(tmp_path):
    vectors = make_vectors()
    found = set()
    for place, write in enumerate(FORMS.values()):
        folder = tmp_path / str(place)
        folder.mkdir()
        path, options = write(folder, vectors)
        found.add(fingerprint(path, rows_at_once=place + 1, **options))
    assert found == {fingerprint(vectors, layers=LAYERS)}


def test_the_fingerprint_changes_with_a_number_the_order_and_the_tokens():
    vectors = make_vectors()
    other = vectors.copy()
    other[-1, -1, -1] += 1
    counts = np.arange(24, dtype=np.int32)
    found = [
        fingerprint(vectors),
        fingerprint(other),
        fingerprint(vectors[::-1]),
        fingerprint(vectors, n_tokens=counts),
        fingerprint(vectors, n_tokens=counts[::-1].copy()),
    ]
    assert len(set(found)) == len(found)


def test_arrays_in_memory_need_no_file():
    vectors = make_vectors()
    mapping = {layer: vectors[:, place] for place, layer in enumerate(LAYERS)}
    given, read = read_all(mapping)
    assert given.layers == LAYERS
    assert given.name == "arrays"
    np.testing.assert_array_equal(read, vectors)
    np.testing.assert_array_equal(read_all(vectors)[1], vectors)
    np.testing.assert_array_equal(read_all(vectors[:, 1], layers=(6,))[1], vectors[:, 1:2])


def test_what_is_masked_is_missing():
    vectors = make_vectors()
    read = read_all(np.ma.masked_array(vectors, mask=vectors > 1))[1]
    np.testing.assert_array_equal(read, np.where(vectors > 1, np.nan, vectors))


def test_layers_that_name_themselves_can_be_chosen(tmp_path):
    vectors = make_vectors()
    for form in ("npz", "safetensors", "parquet_wide", "parquet_long", "parquet_long_by_sample", "hdf5"):
        folder = tmp_path / form
        folder.mkdir()
        path, _ = FORMS[form](folder, vectors)
        given, read = read_all(path, layers=(12, 0))
        assert given.layers == (0, 12), form
        np.testing.assert_array_equal(read, vectors[:, [0, 2]])
    path, _ = FORMS["layer_files"](tmp_path, vectors)
    np.testing.assert_array_equal(read_all(path, layers=(6,))[1], vectors[:, [1]])


def test_layers_without_names_are_numbered_in_the_order_given(tmp_path):
    vectors = make_vectors()
    given, read = read_all(vectors, layers=(12, 0, 6))
    assert given.layers == (0, 6, 12)
    np.testing.assert_array_equal(read, vectors[:, [1, 2, 0]])
    assert read_all(vectors)[0].layers == (0, 1, 2)


def test_an_array_of_one_layer_is_told_which(tmp_path):
    vectors = make_vectors()[:, 1]
    np.save(tmp_path / "acts.npy", vectors)
    given, read = read_all(tmp_path / "acts.npy", layers=(6,))
    assert given.layers == (6,)
    np.testing.assert_array_equal(read[:, 0], vectors)
    pq.write_table(pa.table({"text": ["a"] * 24, "vector": list_column(vectors)}), tmp_path / "acts.parquet")
    given, read = read_all(tmp_path / "acts.parquet", layers=(6,))
    np.testing.assert_array_equal(read[:, 0], vectors)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("layer_06", 6),
        ("layer6", 6),
        ("6", 6),
        ("blocks.6.hook_resid_post", 6),
        ("blocks.6.ln1.hook_normalized", 6),
        ("model.layers.6.mlp", 6),
        ("transformer.h.6.ln_2", 6),
        ("gpt2-layer6", 6),
        ("resid_post_6", 6),
        ("hidden_states", None),
    ],
)
def test_a_name_tells_its_layer(name, layer):
    assert layer_of_name(name) == layer


def test_the_names_of_layers_are_kept(tmp_path):
    path, _ = FORMS["safetensors"](tmp_path, make_vectors())
    assert read_all(path)[0].read_at == tuple(f"blocks.{layer}.hook_resid_post" for layer in LAYERS)


@pytest.mark.parametrize(
    ("kept", "dtype"),
    [
        (torch.float64, "float32"),
        (torch.float32, "float32"),
        (torch.float16, "float16"),
        (torch.bfloat16, "bfloat16"),
    ],
)
def test_the_precision_is_the_one_they_are_kept_in(tmp_path, kept, dtype):
    tensor = torch.randn(10, 3, 4).to(kept)
    save_tensors({"x": tensor}, tmp_path / "acts.safetensors")
    given, read = read_all(tmp_path / "acts.safetensors")
    assert given.dtype == dtype
    np.testing.assert_array_equal(read, tensor.float().numpy())


def test_half_precision_in_other_forms(tmp_path):
    vectors = make_vectors().astype(np.float16)
    np.save(tmp_path / "acts.npy", vectors)
    pq.write_table(wide_table(vectors, kind="list"), tmp_path / "acts.parquet")
    with h5py.File(tmp_path / "acts.h5", "w") as file:
        file["x"] = vectors
    for name in ("acts.npy", "acts.parquet", "acts.h5"):
        given, read = read_all(tmp_path / name)
        assert given.dtype == "float16"
        np.testing.assert_array_equal(read, vectors.astype(np.float32))


def test_numbers_beyond_float32_become_infinite():
    vectors = make_vectors().astype(np.float64)
    vectors[3, 0, 0] = 1e300
    read = read_all(vectors)[1]
    assert np.isinf(read[3, 0, 0])
    assert np.isfinite(read).sum() == read.size - 1


def test_a_null_vector_and_a_null_number_are_nan(tmp_path):
    vectors = make_vectors(4)
    for dtype in (np.float32, np.float16):
        rows = vectors[:, 0].astype(dtype).tolist()
        rows[1] = None
        rows[2] = [*rows[2][:-1], None]
        kind = pa.list_(pa.from_numpy_dtype(dtype))
        pq.write_table(pa.table({"layer_3": pa.array(rows, kind)}), tmp_path / "acts.parquet")
        read = read_all(tmp_path / "acts.parquet")[1][:, 0]
        assert np.isnan(read[1]).all()
        assert np.isnan(read[2]).tolist() == [False] * 7 + [True]
        np.testing.assert_array_equal(read[[0, 3]], vectors[[0, 3], 0])


def test_a_first_vector_that_is_null_says_nothing_of_the_width(tmp_path):
    rows = [None, None, [1.0, 2.0], None]
    pq.write_table(pa.table({"6": pa.array(rows, pa.list_(pa.float32()))}), tmp_path / "acts.parquet")
    given, read = read_all(tmp_path / "acts.parquet")
    assert given.width == 2
    assert np.isnan(read[:, 0, 0]).tolist() == [True, True, False, True]


def test_one_layer_in_a_long_table(tmp_path):
    vectors = make_vectors()[:, :1]
    table = long_table(np.repeat(vectors, 3, axis=1)).slice(0, 24)
    pq.write_table(table, tmp_path / "acts.parquet")
    given, read = read_all(tmp_path / "acts.parquet")
    assert given.layers == (0,)
    np.testing.assert_array_equal(read, vectors)


def test_parts_are_taken_in_the_order_of_their_numbers(tmp_path):
    (tmp_path / "acts").mkdir()
    for place in (0, 1, 2, 10, 11):
        np.save(tmp_path / "acts" / f"part{place}.npy", np.full((2, 1, 3), place, np.float32))
    read = read_all(tmp_path / "acts", rows_at_once=3)[1]
    assert read[:, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 10, 10, 11, 11]


def test_the_datasets_library_may_or_may_not_be_loaded(tmp_path):
    """Its extension type is known to Arrow once the library was imported, and plain lists before."""
    import subprocess
    import sys

    path, _ = FORMS["saved_dataset"](tmp_path, make_vectors())
    script = (
        "import sys\n"
        "from llm_mri_store.extraction.arrays import open_activations\n"
        "from llm_mri_store.extraction.arrays_given import ArrayChoices\n"
        f"with open_activations({str(path)!r}, ArrayChoices()) as given:\n"
        "    print(given.read(range(3)).sum(), 'datasets' in sys.modules, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    total, *loaded = done.stdout.split()
    assert loaded == ["False", "False"]
    assert float(total) == pytest.approx(float(make_vectors()[:3].sum()), rel=1e-5)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells what is resident")
def test_reading_keeps_nothing_of_a_file_in_memory(tmp_path):
    """A file of 64 MB, read in pieces of 1 MB: what is mapped and unpacked must go again."""
    vectors = np.zeros((4096, 4, 1024), np.float32)
    np.save(tmp_path / "acts.npy", vectors)
    np.savez_compressed(tmp_path / "acts.npz", **by_layer(vectors[:, :3]))

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096

    del vectors
    for name in ("acts.npy", "acts.npz"):
        with open_activations(tmp_path / name, ArrayChoices()) as given:
            given.read(range(64))
            before = resident()
            most = 0
            for first in range(0, given.n_samples, 64):
                given.read(range(first, first + 64))
                most = max(most, resident())
        assert most - before < 16e6, name
