"""Reductions of a scan: idempotent, refused where they would mislead, applied to other scans."""

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from llm_mri_store.errors import (
    AlreadyThere,
    InvalidInput,
    LlmMriError,
    ReductionError,
    StoreBusy,
    StoreCorrupt,
    UnknownName,
)
from llm_mri_store.extraction.models import ModelRequest
from llm_mri_store.pipeline import reduce as reduce_module
from llm_mri_store.pipeline.reduce import run_reduction
from llm_mri_store.pipeline.reducer_file import read_reducers
from llm_mri_store.pipeline.request import ScanRequest
from llm_mri_store.pipeline.scan import run_scan
from llm_mri_store.records.reductions import ReductionSpec
from llm_mri_store.schema import layer_column
from llm_mri_store.store.catalogue import find_scan, remove_reduction
from llm_mri_store.store.files import file_digests
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.verify import verify_store
from tests.conftest import make_records

PCA_4 = ReductionSpec(method="pca", grid=4)


@pytest.fixture
def store(tiny_store) -> StorePaths:
    """Scan ``tiny``: 24 samples, 3 chunks, layers 0-3; reduction ``pca-2`` on a grid of 4."""
    return StorePaths(tiny_store)


@pytest.fixture
def scan_more(store, tiny_bert):
    """Scans further records into the same store."""

    def scan(name, records=None, *, model=tiny_bert, dtype="auto", pooling="mean", **choices):
        request = ScanRequest(
            model=ModelRequest(model=model, device="cpu", dtype=dtype),
            corpus=make_records(20, seed=8) if records is None else records,
            name=name,
            poolings=[pooling],
            **{"chunk_samples": 10} | choices,
        )
        (entry,) = run_scan(store.root, request)
        return entry

    return scan


def activations(store, name, layer):
    entry = find_scan(store, name)
    column = layer_column(layer)
    tables = [pq.read_table(entry.paths.chunk(chunk.index) / "activations.parquet") for chunk in entry.chunks]
    return np.array([vector for table in tables for vector in table[column].to_pylist()], np.float32)


def points(entry, layer):
    return pq.read_table(entry.points_file(layer), partitioning=None)


@pytest.mark.parametrize("layer", [0, 1, 2, 3])
def test_points_are_those_of_scikit_learn_over_all_chunks(store, layer):
    entry = run_reduction(store, "tiny", ReductionSpec(method="pca", n_components=3, grid=None))
    table = points(entry, layer)
    assert table["sample_id"].to_pylist() == list(range(24))
    assert set(table["layer"].to_pylist()) == {layer}
    assert table["cell_x"].null_count == table["cell_y"].null_count == 24
    found = np.array(table["coordinates"].to_pylist())
    scaled = StandardScaler().fit_transform(activations(store, "tiny", layer).astype(np.float64))
    expected = PCA(3, svd_solver="full").fit_transform(scaled)
    np.testing.assert_allclose(found * np.sign((found * expected).sum(axis=0)), expected, atol=1e-5)


def test_stored_reducers_and_edges_give_the_stored_points_and_cells(store):
    entry = run_reduction(store, "tiny", PCA_4)
    reducers = read_reducers(entry.folder / "reducer.safetensors")
    for found in entry.record.layers:
        table = points(entry, found.layer)
        placed = reducers[found.layer].transform(activations(store, "tiny", found.layer))
        np.testing.assert_array_equal(np.array(table["coordinates"].to_pylist(), np.float32), placed)
        cells = np.searchsorted(found.edges_x, placed[:, 0], side="left") - 1
        assert table["cell_x"].to_pylist() == cells.tolist()


@pytest.mark.parametrize("method", ["pca", "svd", "umap"])
def test_the_same_reduction_again_is_the_one_that_is_there(store, method, monkeypatch):
    spec = ReductionSpec(method=method, grid=3, seed=7)
    first = run_reduction(store, "tiny", spec, name="mine")
    before = file_digests(first.folder)

    def fail(*_, **__):
        raise AssertionError("it was fitted again")

    monkeypatch.setattr(reduce_module, "fit_layer", fail)
    assert run_reduction(store, "tiny", spec, name="mine") == first
    assert file_digests(first.folder) == before


@pytest.mark.parametrize("method", ["pca", "svd", "umap"])
def test_a_reduction_made_anew_has_the_same_bytes(store, method):
    spec = ReductionSpec(method=method, grid=3, seed=7)
    first = run_reduction(store, "tiny", spec, name="mine")
    remove_reduction(store, "tiny", "mine")
    assert run_reduction(store, "tiny", spec, name="mine").record.files == first.record.files


def test_a_name_taken_by_other_choices_is_refused(store):
    with pytest.raises(AlreadyThere, match=r"'pca-2' exists with other choices \(grid: 4 there, 10 asked\)"):
        run_reduction(store, "tiny", ReductionSpec(method="pca"))


def test_names_are_made_of_the_choices(store, scan_more):
    assert run_reduction(store, "tiny", ReductionSpec(method="svd")).name == "svd-2"
    assert (
        run_reduction(store, "tiny", ReductionSpec(method="pca", n_components=5, grid=None)).name == "pca-5"
    )
    scan_more("other")
    entry = run_reduction(store, "other", ReductionSpec(method="pca", template="tiny/pca-2"))
    assert entry.name == "pca-2-like-tiny-pca-2"


def test_a_partial_scan_is_refused(store):
    entry = find_scan(store, "tiny")
    shutil.rmtree(entry.paths.chunk(2))
    with pytest.raises(
        ReductionError, match=r"is not complete \(20 of 24 samples\); run its scan command again"
    ):
        run_reduction(store, "tiny", PCA_4, name="new")
    assert not (entry.paths.reductions / "new").exists()


def test_a_damaged_chunk_is_corrupt_and_leaves_nothing(store):
    entry = find_scan(store, "tiny")
    path = entry.paths.chunk(1) / "activations.parquet"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(StoreCorrupt, match="its bytes are not those that were committed"):
        run_reduction(store, "tiny", PCA_4, name="new")
    assert not (entry.paths.reductions / "new").exists()
    assert not any(store.scan_staging("tiny").parent.rglob("*.parquet"))


def test_one_flipped_bit_in_an_activation_is_not_fitted(store):
    path = store.scan("tiny").chunk(1) / "activations.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match=r"activations.parquet is damaged.*'llm-mri repair'"):
        run_reduction(store, "tiny", PCA_4, name="new")


def test_rows_that_do_not_match_the_record_are_corrupt(store):
    path = find_scan(store, "tiny").paths.chunk(1) / "activations.parquet"
    pq.write_table(pq.read_table(path).slice(0, 5), path)
    with pytest.raises(StoreCorrupt, match="its bytes are not those that were committed"):
        run_reduction(store, "tiny", PCA_4, name="new")


def test_a_scan_that_is_being_written_is_busy(store):
    with scan_lock(store, "tiny"), pytest.raises(StoreBusy):
        run_reduction(store, "tiny", PCA_4, name="new")


def test_samples_without_an_activation_have_no_point_and_are_counted(store, scan_more):
    records = make_records(20, seed=8)
    records[3]["text"] = None
    records[7]["label"] = None
    records[11]["text"] = " "
    scan_more("odd", records, keep_invalid=True)
    entry = run_reduction(store, "odd", PCA_4)
    sound = run_reduction(
        store, scan_more("even", [r for i, r in enumerate(records) if i not in {3, 7, 11}]).name, PCA_4
    )
    for found in entry.record.layers:
        assert (found.n_fitted, found.n_excluded) == (17, 3)
        table = points(entry, found.layer)
        for column in ("coordinates", "cell_x", "cell_y"):
            absent = [i for i, value in enumerate(table[column].to_pylist()) if value is None]
            assert absent == [3, 7, 11]
        kept = [one for one in table["coordinates"].to_pylist() if one is not None]
        np.testing.assert_allclose(kept, points(sound, found.layer)["coordinates"].to_pylist(), atol=1e-4)
    assert not verify_store(store)


def test_a_scan_with_hardly_a_sample_is_refused(store, scan_more):
    records = [{"text": "river", "label": "a"}, {"text": None, "label": "b"}, {"text": "", "label": "c"}]
    scan_more("few", records, keep_invalid=True)
    with pytest.raises(
        ReductionError, match="has 1 samples with an activation; a reduction needs at least 2"
    ):
        run_reduction(store, "few", PCA_4)


def test_a_constant_layer_is_said_to_be_degenerate(store, scan_more):
    scan_more("cls", pooling="first")
    for method in ("pca", "svd", "umap"):
        entry = run_reduction(store, "cls", ReductionSpec(method=method))
        degenerate = [found.layer for found in entry.record.layers if found.is_degenerate]
        assert degenerate == [0]
        table = points(entry, 0)
        assert len(set(zip(table["cell_x"].to_pylist(), table["cell_y"].to_pylist(), strict=True))) == 1


def test_progress_never_falls_and_ends_at_its_total(store):
    told = []
    run_reduction(store, "tiny", PCA_4, name="new", progress=told.append)
    assert [one.done for one in told] == [0, 1, 2, 3, 4]
    assert {one.total for one in told} == {4}


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"method": "tsne"}, "method 'tsne' is not one of pca, svd, umap"),
        ({"method": "pca", "bins": "log"}, "bins 'log' is not one of width, quantile"),
        ({"method": "pca", "n_components": 0, "grid": None}, "at least 1 component"),
        ({"method": "pca", "grid": 0}, "1 to 1000 cells an axis, got 0"),
        ({"method": "pca", "grid": 1001}, "1 to 1000 cells an axis, got 1001"),
        ({"method": "pca", "n_components": 3}, "a grid needs 2 components"),
        ({"method": "pca", "center": False}, "a PCA is centred by definition"),
        ({"method": "umap", "seed": -1}, "a seed is a whole number"),
        ({"method": "umap", "n_neighbors": 1}, "at least 2 neighbours"),
        ({"method": "pca", "n_components": 17, "grid": None}, "have at most 16"),
        ({"method": "umap", "n_components": 23, "grid": None}, "needs at least 25 samples, got 24"),
        ({"method": "pca", "template": "tiny"}, "a template is named SCAN/REDUCTION, got 'tiny'"),
        ({"method": "pca", "template": "tinny/pca-2"}, "did you mean 'tiny'"),
        ({"method": "pca", "template": "tiny/pca"}, "reduction 'pca' is not in scan 'tiny'"),
    ],
)
def test_choices_that_do_not_fit_are_one_sentence_and_leave_nothing(store, choices, message):
    with pytest.raises(LlmMriError, match=message) as caught:
        run_reduction(store, "tiny", ReductionSpec(**choices), name="new")
    assert "\n" not in str(caught.value)
    assert not store.scan("tiny").reduction("new").exists()


def test_a_scan_that_is_not_there_is_unknown(store):
    with pytest.raises(UnknownName, match="did you mean 'tiny'"):
        run_reduction(store, "tinny", PCA_4)
    with pytest.raises(InvalidInput, match="cannot name a reduction"):
        run_reduction(store, "tiny", PCA_4, name="../up")


# --- templates ---------------------------------------------------------------------------------------


def test_a_template_gives_its_reducers_edges_and_choices(store, scan_more):
    scan_more("other")
    fitted = run_reduction(store, "tiny", PCA_4)
    entry = run_reduction(store, "other", ReductionSpec(method="svd", template="tiny/pca-2"), name="there")
    assert (entry.record.spec.method, entry.record.spec.grid) == ("pca", 4)
    assert entry.record.spec.template == "tiny/pca-2"
    reducers = read_reducers(fitted.folder / "reducer.safetensors")
    n_clipped = 0
    for found, template in zip(entry.record.layers, fitted.record.layers, strict=True):
        table = points(entry, found.layer)
        placed = reducers[found.layer].transform(activations(store, "other", found.layer))
        np.testing.assert_array_equal(np.array(table["coordinates"].to_pylist(), np.float32), placed)
        assert (found.edges_x, found.edges_y) == (template.edges_x, template.edges_y)
        assert found.n_fitted == 0
        low, high = np.array([found.edges_x, found.edges_y])[:, [0, -1]].T
        outside = ((placed <= low) | (placed > high)).any(axis=1)
        assert found.n_clipped == outside.sum()
        n_clipped += found.n_clipped
        x_cells = np.clip(np.searchsorted(found.edges_x, placed[:, 0], side="left") - 1, 0, 3)
        assert table["cell_x"].to_pylist() == x_cells.tolist()
    assert n_clipped > 0
    assert not verify_store(store)


def test_a_scan_in_the_space_of_itself_lies_where_it_was(store):
    fitted = run_reduction(store, "tiny", PCA_4)
    entry = run_reduction(store, "tiny", ReductionSpec(method="pca", template="tiny/pca-2"), name="again")
    for layer in entry.layers:
        assert points(entry, layer).equals(points(fitted, layer))
    assert {found.n_clipped for found in entry.record.layers} == {0}


def test_a_template_may_hold_more_layers_than_the_scan(store, scan_more):
    scan_more("some", layers=(1, 3))
    entry = run_reduction(store, "some", ReductionSpec(method="pca", template="tiny/pca-2"))
    assert entry.layers == (1, 3)
    scan_more("every")
    with pytest.raises(ReductionError, match=r"holds layers 1, 3 of width 16, scan 'every' layers 0-3"):
        run_reduction(store, "every", ReductionSpec(method="pca", template=f"some/{entry.name}"))


def test_a_template_of_another_architecture_is_refused(store, scan_more, tiny_gpt2):
    scan_more("causal", model=tiny_gpt2)
    run_reduction(store, "causal", PCA_4)
    with pytest.raises(ReductionError, match="a template must be of the same architecture"):
        run_reduction(store, "tiny", ReductionSpec(method="pca", template="causal/pca-2"))


def test_a_umap_template_is_refused(store, scan_more):
    run_reduction(store, "tiny", ReductionSpec(method="umap"))
    scan_more("other")
    with pytest.raises(
        ReductionError, match="is a UMAP reduction, which cannot place the samples of another"
    ):
        run_reduction(store, "other", ReductionSpec(method="pca", template="tiny/umap-2"))


def test_a_template_with_one_flipped_bit_is_not_applied(store):
    path = store.scan("tiny").reduction("pca-2") / "reducer.safetensors"
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StoreCorrupt, match="is not as it was committed"):
        run_reduction(store, "tiny", ReductionSpec(method="pca", template="tiny/pca-2"), name="new")


@pytest.mark.model
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_of_the_trained_minilm_only_the_cls_embedding_is_constant(store, scan_more, minilm, dtype):
    records = [{**row, "text": f"The {row['text']}."} for row in make_records(30, seed=3)]
    scan_more("cls", records, model=minilm, pooling="first", dtype=dtype)
    entry = run_reduction(store, "cls", ReductionSpec(method="pca"))
    assert [found.layer for found in entry.record.layers if found.is_degenerate] == [0]


@pytest.mark.model
def test_one_text_among_others_again_and_again_is_one_point(store, scan_more, minilm):
    """Batches of other shapes round otherwise; that must not look like structure."""
    text = "A fox crosses the frozen river at dawn."
    others = [row["text"] for row in make_records(20, seed=3)]
    records = [{"text": one, "label": "b"} for one in others] + [{"text": text, "label": "a"}] * 8
    records = [record for pair in zip(records[:8], records[20:], strict=True) for record in pair] + records[
        8:20
    ]
    spread_out = scan_more("mixed", records, model=minilm, batch_tokens=40, chunk_samples=5)
    same = [i for i, record in enumerate(records) if record["label"] == "a"]
    entry = run_reduction(store, spread_out.name, ReductionSpec(method="pca", grid=10))
    for layer in entry.layers:
        cells = points(entry, layer).select(["cell_x", "cell_y"]).to_pylist()
        assert len({tuple(cells[i].values()) for i in same}) == 1
