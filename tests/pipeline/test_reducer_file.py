"""reducer.safetensors: written in C order, read back, never trusted, never pickle."""

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import llm_mri_store
from llm_mri_store.errors import StoreCorrupt
from llm_mri_store.pipeline import reducer_file
from llm_mri_store.pipeline.reducer_file import read_reducers, write_reducers
from llm_mri_store.reduction.reducers import LinearReducer, UmapReducer


def reducer(order="C"):
    rng = np.random.default_rng(0)
    components = np.array(rng.normal(size=(2, 5)), order=order)
    return LinearReducer(mean=rng.normal(size=5), weight=rng.normal(size=5), components=components)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_read_back_as_they_were_whatever_their_order_in_memory(tmp_path, order):
    """safetensors writes raw memory: a Fortran-ordered array comes back scrambled if written as it is."""
    write_reducers(tmp_path / "r", {0: reducer(order), 12: reducer("C")})
    again = read_reducers(tmp_path / "r")
    assert set(again) == {0, 12}
    activations = np.ones((3, 5), np.float32)
    np.testing.assert_array_equal(again[0].transform(activations), reducer().transform(activations))
    for name, array in again[0].arrays().items():
        np.testing.assert_array_equal(array, reducer().arrays()[name])
        assert array.flags.c_contiguous


def test_a_umap_reducer_is_kept_too(tmp_path):
    write_reducers(tmp_path / "r", {3: UmapReducer(minimum=np.zeros(4), weight=np.ones(4))})
    assert isinstance(read_reducers(tmp_path / "r")[3], UmapReducer)


def test_what_does_not_read_back_is_not_committed(tmp_path, monkeypatch):
    save = reducer_file.save
    scramble = {"layer_00.mean": np.zeros(5)}
    monkeypatch.setattr(reducer_file, "save", lambda arrays: save(arrays | scramble))
    with pytest.raises(StoreCorrupt, match="does not read back"):
        write_reducers(tmp_path / "r", {0: reducer()})


def test_a_missing_file_is_corrupt(tmp_path):
    with pytest.raises(StoreCorrupt, match="damaged or missing"):
        read_reducers(tmp_path / "none")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    path = tmp_path_factory.mktemp("reducers") / "r"
    write_reducers(path, {0: reducer()})
    return path.read_bytes()


@given(st.data())
def test_garbage_is_corrupt_or_a_reducer_and_never_anything_else(sound, tmp_path_factory, data):
    content = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "garbage.safetensors"
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        reducers = read_reducers(path)
    except StoreCorrupt:
        return
    assert all(isinstance(one, LinearReducer | UmapReducer) for one in reducers.values())


def test_no_module_of_ours_can_load_code_from_a_file():
    forbidden = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "skops"}
    for path in Path(llm_mri_store.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not forbidden & {name.partition(".")[0] for name in names}, path
