import numpy as np
import pyarrow as pa
import pytest

from llm_mri_store.analysis.contrast_cells import LabelledCells, read_cells
from llm_mri_store.errors import InvalidInput, ReductionError, StoreCorrupt, UnknownName
from llm_mri_store.store.catalogue import find_reduction, find_scan
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.selection import select
from tests.store.stores import error_of, random_store, write_reduction, write_scan


def read(store, scan="big", reduction="pca-2", **options):
    entry = find_scan(store, scan)
    return read_cells(entry, find_reduction(entry, reduction), **options)


def test_cells_are_those_of_the_view_of_points(tmp_path):
    store = random_store(tmp_path / "store")
    cells = read(store, covariates=["n_tokens", "source", "status"])
    rows = fetch(
        select(store),
        "SELECT layer, sample_id, label, cell_x, cell_y, n_tokens, source FROM points WHERE status = 'ok' "
        "ORDER BY layer, sample_id",
    ).to_pylist()
    assert len(rows) == cells.codes.size
    found = [
        {
            "layer": layer,
            "sample_id": int(cells.sample_ids[i]),
            "label": cells.labels[cells.label_codes[i]],
            "cell_x": int(cells.codes[place, i]) // cells.grid,
            "cell_y": int(cells.codes[place, i]) % cells.grid,
            "n_tokens": cells.covariate("n_tokens")[i].as_py(),
            "source": cells.covariate("source")[i].as_py(),
        }
        for place, layer in enumerate(cells.layers)
        for i in range(cells.n_samples)
    ]
    assert found == rows
    assert set(cells.covariate("status").to_pylist()) == {"ok"}
    assert cells.where == "scan 'big'"


def test_label_counts_leave_out_samples_without_a_cell(tmp_path):
    store = write_scan(
        tmp_path / "store", "s", labels=["a", "b", "b", None], status=["ok"] * 3 + ["null_label"]
    )
    write_reduction(store, "s", cells=np.array([[[0, 1]] * 2, [[1, 1]] * 2, [[2, 3]] * 2, [[-1, -1]] * 2]))
    cells = read(store, "s")
    assert cells.label_counts() == {"a": 1, "b": 2}
    assert cells.codes.tolist() == [[1, 5, 11]] * 2


def test_degenerate_layers_are_named(tmp_path):
    store = write_scan(tmp_path / "store", "s", labels=["a", "b"])
    write_reduction(store, "s", cells=np.zeros((2, 2, 2), dtype=int), degenerate=[0])
    cells = read(store, "s")
    assert cells.degenerate_layers == (0,)
    assert cells.varying_layers == (1,)


def test_a_reduction_without_a_grid_is_refused(tmp_path):
    store = write_scan(tmp_path / "store", "s", labels=["a", "b"])
    write_reduction(
        store,
        "s",
        cells=np.zeros((2, 2, 2), dtype=int),
        coordinates=np.zeros((2, 2, 3)),
        grid=None,
        name="pca-3",
    )
    error = error_of(lambda: read(store, "s", "pca-3"))
    assert isinstance(error, ReductionError)
    assert "no cells to compare; reduce to 2 components" in str(error)


def test_an_unknown_covariate_names_the_nearest(tmp_path):
    store = random_store(tmp_path / "store", n=20)
    with pytest.raises(UnknownName, match="did you mean 'source'"):
        read(store, covariates=["sourc"])
    with pytest.raises(UnknownName, match="covariate 'source' is not in scan 'big'"):
        read(store).covariate("source")


def test_a_sample_without_a_cell_at_one_layer_is_damage(tmp_path):
    store = write_scan(tmp_path / "store", "s", labels=["a", "b"])
    write_reduction(store, "s", cells=np.array([[[0, 0], [-1, -1]], [[1, 1], [1, 1]]]))
    with pytest.raises(StoreCorrupt, match="lacks the cell of a sample whose status is 'ok'"):
        read(store, "s")


def test_samples_scanned_after_the_reduction_are_left_out(tmp_path):
    labels = ["a", "b"] * 5
    store = write_scan(tmp_path / "store", "s", labels=labels, chunk_samples=4)
    write_reduction(store, "s", cells=np.ones((6, 2, 2), dtype=int))
    cells = read(store, "s", covariates=["n_tokens"])
    assert cells.sample_ids.tolist() == [0, 1, 2, 3, 4, 5]
    assert len(cells.covariate("n_tokens")) == 6


def test_arrays_that_do_not_fit_are_refused():
    good = {
        "layers": (0,),
        "grid": 2,
        "codes": np.array([[0, 3]], dtype=np.int32),
        "labels": ("a", "b"),
        "label_codes": np.array([0, 1], dtype=np.int32),
        "sample_ids": np.array([0, 1]),
    }
    LabelledCells(**good)
    for change, words in (
        ({"codes": np.array([[0, 4]], dtype=np.int32)}, "cell codes run from 0 to 4; expected 0 to 3"),
        ({"label_codes": np.array([0, -1], dtype=np.int32)}, "label codes run from -1 to 0"),
        ({"codes": np.array([[0]], dtype=np.int32)}, "codes have shape"),
        ({"covariates": {"x": pa.array([1])}}, "covariate 'x' has 1 values for 2 samples"),
    ):
        with pytest.raises(InvalidInput, match=words):
            LabelledCells(**{**good, **change})
