"""Activations made elsewhere, into a store: an ordinary scan, whatever they came in."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from llm_mri_store import Store
from llm_mri_store.errors import AlreadyThere, CorpusError, LlmMriError, StoreBusy, WriteFailed
from llm_mri_store.pipeline import import_scan
from llm_mri_store.pipeline.import_scan import ImportRequest, run_import
from llm_mri_store.schema import Status
from llm_mri_store.store.catalogue import find_scan
from llm_mri_store.store.files import file_digests
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.verify import verify_store
from tests.activation_files import FORMS, LAYERS, make_tokens, make_vectors, write_neurox, write_saelens
from tests.conftest import make_records


@pytest.fixture
def request_of(tmp_path):
    """Makes a request for vectors of 24 records in chunks of 10."""

    def make(activations=None, samples=None, **choices):
        whole = {"name": "s", "chunk_samples": 10} | choices
        if activations is None:
            activations, whole = make_vectors(), {"layers": LAYERS} | whole
        samples = make_records() if samples is None else samples
        return ImportRequest(activations=activations, samples=samples, **whole)

    return make


def samples_of(entry):
    return [
        row
        for chunk in entry.chunks
        for row in pq.read_table(entry.paths.chunk(chunk.index) / "samples.parquet").to_pylist()
    ]


def statuses_of(entry):
    return [row["status"] for row in samples_of(entry)]


def vectors_of(store, name="s"):
    """All activations of a scan, float32 (samples, layers, width)."""
    scan = Store(store).scans[name]
    return np.stack([scan.activations(layer) for layer in scan.layers], axis=1)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_a_scan_that_can_be_reduced_and_mapped(form, request_of, tmp_path):
    vectors = make_vectors()
    path, options = FORMS[form](tmp_path, vectors)
    entry = run_import(tmp_path / "store", request_of(path, **options))
    assert entry.is_complete
    assert [chunk.n_samples for chunk in entry.chunks] == [10, 10, 4]
    assert (entry.spec.layers, entry.spec.hidden_size, entry.spec.pooling) == (LAYERS, 8, "imported")
    np.testing.assert_array_equal(vectors_of(tmp_path / "store"), vectors)
    reduction = Store(tmp_path / "store").scans["s"].reduce("pca", grid=4)
    for layer in LAYERS:
        assert sum(reduction.heatmap(layer).arrow["n"].to_pylist()) == 24
        assert sum(reduction.heatmap(layer, label="b").arrow["n"].to_pylist()) == 8
    assert set(reduction.graph(["a", "b"]).nodes)
    assert not verify_store(StorePaths(tmp_path / "store"))


def test_rows_are_the_samples_in_their_order(request_of, tmp_path):
    rows = samples_of(run_import(tmp_path / "s", request_of()))
    assert [row["sample_id"] for row in rows] == list(range(24))
    for name in ("text", "label", "source"):
        assert [row[name] for row in rows] == [record[name] for record in make_records()]
    assert {row["status"] for row in rows} == {"ok"}
    assert {row["truncated"] for row in rows} == {False}


def test_the_spec_says_what_was_told_and_nothing_else(request_of, tmp_path):
    spec = run_import(tmp_path / "s", request_of(model="bert", site="mlp output", dtype="bfloat16")).spec
    assert (spec.model, spec.site, spec.dtype) == ("bert", "mlp output", "bfloat16")
    assert (spec.revision, spec.random_weights, spec.max_tokens, spec.batch_tokens) == (None, None, 0, 0)
    untold = run_import(tmp_path / "s", request_of(name="untold")).spec
    assert (untold.model, untold.site, untold.dtype) == ("arrays", "imported", "float32")
    assert untold.model_fingerprint == spec.model_fingerprint


def test_how_an_import_is_cut_up_does_not_change_its_rows(request_of, tmp_path):
    one = run_import(tmp_path / "one", request_of(chunk_samples=24))
    other = run_import(tmp_path / "other", request_of(chunk_samples=7))
    assert samples_of(one) == samples_of(other)
    np.testing.assert_array_equal(vectors_of(tmp_path / "one"), vectors_of(tmp_path / "other"))


def test_a_chunk_is_bounded_in_bytes(request_of, tmp_path, monkeypatch):
    monkeypatch.setattr(import_scan, "_CHUNK_BYTES", 5 * 3 * 8 * 4)
    entry = run_import(tmp_path / "s", request_of(chunk_samples=None))
    assert [chunk.n_samples for chunk in entry.chunks] == [5, 5, 5, 5, 4]


@pytest.mark.parametrize("n_done", [0, 1, 2])
def test_a_resumed_import_has_the_bytes_of_an_uninterrupted_one(request_of, tmp_path, monkeypatch, n_done):
    whole = run_import(tmp_path / "whole", request_of())
    calls = []

    def fail_at(*args, **options):
        calls.append(1)
        if len(calls) > n_done:
            raise WriteFailed("no space left")
        return make_tables(*args, **options)

    make_tables = import_scan.import_tables
    monkeypatch.setattr(import_scan, "import_tables", fail_at)
    with pytest.raises(WriteFailed):
        run_import(tmp_path / "cut", request_of())
    part = find_scan(StorePaths(tmp_path / "cut"), "s")
    assert len(part.chunks) == n_done
    monkeypatch.setattr(import_scan, "import_tables", make_tables)
    # Going on keeps to the chunks it was begun with.
    resumed = run_import(tmp_path / "cut", request_of(chunk_samples=None))
    assert file_digests(resumed.paths.chunks) == file_digests(whole.paths.chunks)
    assert not list((tmp_path / "cut" / "_staging").rglob("*.parquet"))


def test_a_finished_import_is_not_written_again(request_of, tmp_path):
    first = run_import(tmp_path / "s", request_of())
    before = {path: path.stat().st_mtime_ns for path in first.paths.folder.rglob("*")}
    again = run_import(tmp_path / "s", request_of(chunk_samples=None))
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in first.paths.folder.rglob("*")} == before


def test_the_same_content_in_another_form_is_the_same_scan(request_of, tmp_path):
    first = run_import(tmp_path / "s", request_of())
    for form in ("safetensors", "parquet_long", "hdf5"):
        path, options = FORMS[form](tmp_path, make_vectors())
        dtype = {"dtype": "float32"}
        assert run_import(tmp_path / "s", request_of(path, **options, **dtype)).chunks == first.chunks


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"activations": make_vectors(seed=1), "layers": LAYERS}, "model_fingerprint"),
        ({"layers": (0, 6, 13)}, "layers"),
        ({"samples": make_records(seed=5)}, "corpus_fingerprint"),
        ({"samples": [{**row, "n_tokens": 3} for row in make_records()]}, "model_fingerprint"),
        ({"dtype": "float16"}, "dtype: 'float32' there, 'float16' asked"),
        ({"site": "mlp"}, "site: 'imported' there, 'mlp' asked"),
        ({"chunk_samples": 5}, "chunk_samples: 10 there, 5 asked"),
    ],
)
def test_other_inputs_under_the_same_name_are_refused(request_of, tmp_path, choices, named):
    first = run_import(tmp_path / "s", request_of())
    before = file_digests(first.paths.folder)
    with pytest.raises(AlreadyThere, match="scan 's' exists with other inputs") as caught:
        run_import(tmp_path / "s", request_of(**choices))
    assert named in str(caught.value)
    assert file_digests(first.paths.folder) == before


def test_an_import_without_a_name_is_called_by_its_file_and_samples(request_of, tmp_path, tiny_corpus):
    path, options = FORMS["npy"](tmp_path, make_vectors())
    assert run_import(tmp_path / "s", request_of(path, tiny_corpus, name=None, **options)).name == "acts-tiny"
    named = request_of(path, tiny_corpus, name=None, model="org/gpt-3.5", **options)
    assert run_import(tmp_path / "s", named).name == "gpt-3.5-tiny"


def test_nan_and_infinity_are_a_status_and_no_vector(request_of, tmp_path):
    vectors = make_vectors()
    vectors[3, 1, 5] = np.nan
    vectors[4, 0, 0] = np.inf
    vectors[23] = -np.inf
    entry = run_import(tmp_path / "s", request_of(vectors, layers=LAYERS))
    bad = [place in {3, 4, 23} for place in range(24)]
    assert [status == "not_finite" for status in statuses_of(entry)] == bad
    stored = vectors_of(tmp_path / "s")
    assert np.isnan(stored).all(axis=(1, 2)).tolist() == bad
    np.testing.assert_array_equal(stored[~np.array(bad)], vectors[~np.array(bad)])
    reduction = Store(tmp_path / "s").scans["s"].reduce("pca", grid=4)
    assert sum(reduction.heatmap(6).arrow["n"].to_pylist()) == 21


def test_what_becomes_of_texts_and_labels_that_are_missing(request_of, tmp_path):
    records = make_records()
    for place, (name, value) in enumerate([("text", None), ("text", " "), ("label", None), ("text", "")]):
        records[place][name] = value
    records[3]["label"] = None
    with pytest.raises(CorpusError, match="--keep-invalid"):
        run_import(tmp_path / "s", request_of(samples=records))
    vectors = make_vectors()
    entry = run_import(tmp_path / "s", request_of(samples=records, keep_invalid=True))
    assert statuses_of(entry)[:5] == ["null_text", "ok", "null_label", "null_label", "ok"]
    np.testing.assert_array_equal(vectors_of(tmp_path / "s"), vectors)
    vectors[:4] = np.nan
    other = run_import(
        tmp_path / "s", request_of(vectors, records, layers=LAYERS, keep_invalid=True, name="other")
    )
    assert statuses_of(other)[:5] == ["null_text", "empty", "not_finite", "empty", "ok"]


def test_an_empty_text_whose_activation_is_given_needs_no_leave(request_of, tmp_path):
    records = make_records()
    records[7]["text"] = ""
    assert set(statuses_of(run_import(tmp_path / "s", request_of(samples=records)))) == {"ok"}


def test_tokens_are_counted_by_the_samples_or_by_the_activations(request_of, tmp_path):
    counts = list(range(24))
    records = [{**row, "n_tokens": count} for row, count in zip(make_records(), counts, strict=True)]
    entry = run_import(tmp_path / "s", request_of(samples=records))
    assert [row["n_tokens"] for row in samples_of(entry)] == counts
    assert [chunk.n_tokens for chunk in entry.chunks] == [
        sum(counts[:10]),
        sum(counts[10:20]),
        sum(counts[20:]),
    ]
    assert "corpus_n_tokens" not in samples_of(entry)[0]
    assert entry.record.notes == ()
    texts = make_tokens(24)
    path = write_neurox(tmp_path / "acts.hdf5", texts)
    entry = run_import(tmp_path / "s", request_of(path, records, pooling="mean", name="neurox"))
    assert [row["n_tokens"] for row in samples_of(entry)] == [states.shape[1] for states in texts]
    assert [row["corpus_n_tokens"] for row in samples_of(entry)] == counts


@pytest.mark.parametrize("counts", [None, [0.5] * 24, ["3"] * 24, [-1] * 24, [None, *[1] * 23], [2**40] * 24])
def test_tokens_that_nobody_counted_are_0_with_a_note(request_of, tmp_path, counts):
    records = make_records()
    if counts is not None:
        records = [{**row, "n_tokens": count} for row, count in zip(records, counts, strict=True)]
    entry = run_import(tmp_path / "s", request_of(samples=records))
    assert {row["n_tokens"] for row in samples_of(entry)} == {0}
    assert any(note.startswith("n_tokens is 0") for note in entry.record.notes)
    if counts is not None:
        assert [row["corpus_n_tokens"] for row in samples_of(entry)] == counts


def test_a_neurox_text_without_tokens_is_empty(request_of, tmp_path):
    texts = make_tokens(24)
    texts[5] = np.zeros((3, 0, 8), np.float32)
    entry = run_import(tmp_path / "s", request_of(write_neurox(tmp_path / "a.hdf5", texts), pooling="last"))
    assert [status == Status.EMPTY for status in statuses_of(entry)] == [place == 5 for place in range(24)]
    assert entry.spec.pooling == "last"


def test_tokens_as_samples(request_of, tmp_path):
    contexts = np.random.default_rng(0).normal(size=(6, 5, 8)).astype(np.float32)
    path = write_saelens(tmp_path / "acts", {"blocks.6.hook_resid_post": contexts})
    entry = run_import(tmp_path / "s", request_of(path, make_records(30), pooling="tokens"))
    assert (entry.spec.pooling, entry.spec.layers, entry.spec.n_samples) == ("tokens", (6,), 30)
    assert entry.record.read_at == ("blocks.6.hook_resid_post",)
    np.testing.assert_array_equal(vectors_of(tmp_path / "s")[:, 0], contexts.reshape(30, 8))


def test_the_precision_decides_what_is_degenerate(request_of, tmp_path):
    """A spread of a thousandth is structure in float32 and rounding in bfloat16."""
    vectors = 1 + make_vectors() * np.float32(1e-3)
    for dtype, is_degenerate in (("float32", False), ("bfloat16", True)):
        run_import(tmp_path / "s", request_of(vectors, layers=LAYERS, dtype=dtype, name=dtype))
        layers = Store(tmp_path / "s").scans[dtype].reduce("pca").layer_table().arrow
        assert set(layers["is_degenerate"].to_pylist()) == {is_degenerate}


def test_a_scan_exported_and_imported_again_is_the_same(tiny_store, tmp_path):
    own = Store(tiny_store).scans["tiny"]
    samples = Store(tiny_store).sql("SELECT * FROM samples ORDER BY sample_id", scan="tiny").arrow
    activations = (
        Store(tiny_store).sql("SELECT * FROM activations ORDER BY layer, sample_id", scan="tiny").arrow
    )
    pq.write_table(samples, tmp_path / "samples.parquet")
    pq.write_table(activations, tmp_path / "long.parquet")
    (tmp_path / "wide").mkdir()
    for chunk in sorted((own.folder / "chunks").iterdir()):
        (tmp_path / "wide" / f"{chunk.name}.parquet").symlink_to(chunk / "activations.parquet")
    store = Store(tmp_path / "store")
    for form in ("long.parquet", "wide"):
        again = store.import_activations(tmp_path / form, tmp_path / "samples.parquet", name=form)
        assert again.layers == own.layers
        for layer in own.layers:
            np.testing.assert_array_equal(again.activations(layer), own.activations(layer))
        columns = ["sample_id", "text", "label", "n_tokens", "status", "source"]
        assert again.samples().arrow.select(columns).to_pylist() == samples.select(columns).to_pylist()
        template = own.reductions["pca-2"]
        reduction = again.reduce("pca", grid=4)
        assert reduction.heatmap(2).arrow.equals(template.heatmap(2).arrow)


def test_samples_that_are_invalid_keep_their_status_from_export_to_import(tmp_path, tiny_bert):
    records = make_records(8)
    records[1]["text"], records[2]["text"], records[3]["label"] = None, " ", None
    store = Store(tmp_path / "store")
    own = store.scan(tiny_bert, records, name="own", pooling="mean", device="cpu", keep_invalid=True)
    activations = store.sql("SELECT * FROM activations ORDER BY layer, sample_id", scan="own").arrow
    pq.write_table(activations, tmp_path / "acts.parquet")
    again = store.import_activations(tmp_path / "acts.parquet", records, name="again", keep_invalid=True)
    assert again.samples().arrow["status"].equals(own.samples().arrow["status"])
    for layer in own.layers:
        np.testing.assert_array_equal(again.activations(layer), own.activations(layer))


@pytest.mark.parametrize("ids", [[1, 0, *range(2, 24)], list(range(1, 25)), ["a"] * 24, [None] * 24])
def test_samples_that_number_themselves_otherwise_are_refused(request_of, tmp_path, ids):
    records = [{**row, "sample_id": id_} for row, id_ in zip(make_records(), ids, strict=True)]
    with pytest.raises(CorpusError, match="does not count 0, 1, 2"):
        run_import(tmp_path / "s", request_of(samples=records))
    assert list(tmp_path.iterdir()) == []


def test_samples_of_every_form(request_of, tmp_path, tiny_corpus):
    import pandas as pd

    records = make_records()
    pd.DataFrame(records).to_csv(tmp_path / "s.csv", index=False)
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "s.parquet")
    first = run_import(tmp_path / "s", request_of())
    for samples in (tiny_corpus, tmp_path / "s.csv", tmp_path / "s.parquet", pd.DataFrame(records)):
        assert run_import(tmp_path / "s", request_of(samples=samples)) == first


def test_progress_never_falls_and_ends_at_its_total(request_of, tmp_path):
    told = []
    run_import(tmp_path / "s", request_of(), progress=told.append)
    for job, total in (("read", 24), ("import", 3)):
        done = [one.done for one in told if one.job == job]
        assert done == sorted(done)
        assert done[-1] == total
        assert {one.total for one in told if one.job == job} == {total}


def test_an_import_says_nothing_on_the_terminal(request_of, tmp_path, capfd):
    run_import(tmp_path / "s", request_of())
    assert capfd.readouterr() == ("", "")


def test_one_writer_at_a_time(request_of, tmp_path):
    run_import(tmp_path / "s", request_of(name="other"))
    with scan_lock(StorePaths(tmp_path / "s"), "s"), pytest.raises(StoreBusy):
        run_import(tmp_path / "s", request_of())


BAD = {
    "activations that are not there": {"activations": "nowhere.npy"},
    "fewer samples": {"samples": make_records(23)},
    "more samples": {"samples": make_records(25)},
    "no samples": {"samples": []},
    "one sample": {"activations": make_vectors(1), "samples": make_records(1)},
    "samples that are not there": {"samples": "nowhere.csv"},
    "no such text column": {"text_column": "body"},
    "no such label column": {"label_column": "class"},
    "no such layout": {"layout": "tokens-first"},
    "no such pooling": {"pooling": "median"},
    "a pooling of vectors": {"pooling": "mean"},
    "no such dtype": {"dtype": "int8"},
    "a name that is a path": {"name": "../up"},
    "an empty name": {"name": ""},
    "chunks of nothing": {"chunk_samples": 0},
    "no such split": {"split": "train"},
}


@pytest.mark.parametrize("case", BAD)
def test_nothing_is_written_when_an_import_is_refused(request_of, tmp_path, case):
    with pytest.raises(LlmMriError) as caught:
        run_import(tmp_path / "store", request_of(**BAD[case]))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_counts_that_differ_are_both_named(request_of, tmp_path):
    with pytest.raises(LlmMriError, match="activations of 24 samples, but samples 'records' has 23 rows"):
        run_import(tmp_path / "store", request_of(samples=make_records(23)))
    turned = make_vectors().transpose(1, 0, 2)
    with pytest.raises(LlmMriError, match=r"3 samples, but .* 24 rows.*is the --layout the other one?"):
        run_import(tmp_path / "store", request_of(turned))


def test_what_is_read_at_once_is_bounded_whatever_the_chunks(request_of, tmp_path, monkeypatch):
    monkeypatch.setattr(import_scan, "_CHUNK_BYTES", 5 * 3 * 8 * 4)
    told = []
    run_import(tmp_path / "s", request_of(chunk_samples=24), progress=told.append)
    assert [one.done for one in told if one.job == "read"] == [5, 10, 15, 20, 24]


def test_damage_at_the_very_end_shows_before_anything_is_written(request_of, tmp_path):
    table = pa.table({"layer_1": pa.array([[1.0, 2.0]] * 23 + [[1.0]])})
    pq.write_table(table, tmp_path / "acts.parquet")
    with pytest.raises(LlmMriError, match="row 23"):
        run_import(tmp_path / "store", request_of(tmp_path / "acts.parquet"))
    assert [path.name for path in tmp_path.iterdir()] == ["acts.parquet"]
