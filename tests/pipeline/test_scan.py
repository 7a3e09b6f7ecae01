"""A scan into a store: its rows, its resumption, and what it refuses before it writes."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from llm_mri_store.errors import AlreadyThere, CorpusError, InvalidInput, LlmMriError, ModelError, StoreBusy
from llm_mri_store.extraction.models import ModelRequest, load_model
from llm_mri_store.pipeline import chunks as chunks_module
from llm_mri_store.pipeline.request import ScanRequest
from llm_mri_store.pipeline.scan import run_scan as run_scans
from llm_mri_store.schema import layer_column
from llm_mri_store.store.catalogue import find_scan
from llm_mri_store.store.files import file_digests, sha256_of
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.verify import verify_store
from tests.conftest import make_records


@pytest.fixture
def request_of(tiny_bert):
    """Makes a request for the tiny BERT over 24 records in chunks of 10."""

    def make(corpus=None, *, model=None, **choices):
        whole = {"name": "s", "poolings": ["mean"], "chunk_samples": 10} | choices
        corpus = make_records() if corpus is None else corpus
        return ScanRequest(model=model or ModelRequest(model=tiny_bert, device="cpu"), corpus=corpus, **whole)

    return make


def run_scan(root, request, **options):
    """A request that makes one scan."""
    (entry,) = run_scans(root, request, **options)
    return entry


def samples_of(entry):
    return [
        row
        for chunk in entry.chunks
        for row in pq.read_table(entry.paths.chunk(chunk.index) / "samples.parquet").to_pylist()
    ]


def vectors_of(entry, layer):
    column = layer_column(layer)
    tables = [
        pq.read_table(entry.paths.chunk(chunk.index) / "activations.parquet", columns=[column])
        for chunk in entry.chunks
    ]
    return [vector for table in tables for vector in table[column].to_pylist()]


def data_digests(entry):
    """Chunk files -> sha256; without chunk.json, which tells the time of nothing but names its device."""
    return {
        name: digest for name, digest in file_digests(entry.paths.chunks).items() if name.endswith(".parquet")
    }


def test_rows_are_the_corpus_in_its_order(request_of, tmp_path):
    entry = run_scan(tmp_path / "s", request_of())
    rows = samples_of(entry)
    records = make_records()
    assert [row["sample_id"] for row in rows] == list(range(24))
    for name in ("text", "label", "source"):
        assert [row[name] for row in rows] == [record[name] for record in records]
    assert {row["status"] for row in rows} == {"ok"}
    assert [row["n_tokens"] for row in rows] == [len(record["text"].split()) + 2 for record in records]
    assert [chunk.n_samples for chunk in entry.chunks] == [10, 10, 4]
    assert entry.spec.labels == ("a", "b", "c")
    assert entry.spec.layers == (0, 1, 2, 3)
    assert not verify_store(StorePaths(tmp_path / "s"))


def test_how_a_scan_is_cut_up_does_not_change_its_rows(request_of, tmp_path):
    one = run_scan(tmp_path / "one", request_of(chunk_samples=24, batch_tokens=4096))
    other = run_scan(tmp_path / "other", request_of(chunk_samples=7, batch_tokens=20))
    assert samples_of(one) == samples_of(other)
    for layer in one.spec.layers:
        np.testing.assert_allclose(vectors_of(one, layer), vectors_of(other, layer), atol=1e-5)


def test_the_same_plan_gives_the_same_bytes(request_of, tmp_path):
    one, again = (run_scan(tmp_path / name, request_of()) for name in ("one", "again"))
    assert data_digests(one) == data_digests(again)
    assert one.record.identity == again.record.identity


@pytest.mark.parametrize("n_done", [0, 1, 2])
def test_a_resumed_scan_has_the_bytes_of_an_uninterrupted_one(request_of, tmp_path, monkeypatch, n_done):
    whole = run_scan(tmp_path / "whole", request_of())
    calls = []

    def fail_at(*args, **options):
        calls.append(1)
        if len(calls) > n_done:
            raise ModelError("the machine went away")
        return extract(*args, **options)

    extract = chunks_module.extract
    monkeypatch.setattr(chunks_module, "extract", fail_at)
    with pytest.raises(ModelError, match="went away"):
        run_scan(tmp_path / "cut", request_of())
    part = find_scan(StorePaths(tmp_path / "cut"), "s")
    assert not part.is_complete
    assert len(part.chunks) == n_done
    monkeypatch.setattr(chunks_module, "extract", extract)
    resumed = run_scan(tmp_path / "cut", request_of())
    assert data_digests(resumed) == data_digests(whole)
    assert not list((tmp_path / "cut" / "_staging").rglob("*.parquet"))


def test_a_finished_scan_is_not_computed_again(request_of, tmp_path, monkeypatch):
    first = run_scan(tmp_path / "s", request_of())
    before = {path: path.stat().st_mtime_ns for path in first.paths.folder.rglob("*")}
    told = []

    def fail(*_, **__):
        raise AssertionError("the model was run")

    monkeypatch.setattr(chunks_module, "extract", fail)
    again = run_scan(tmp_path / "s", request_of(), progress=told.append)
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in first.paths.folder.rglob("*")} == before
    assert told == []


def test_going_on_keeps_to_the_plan_it_was_begun_with(request_of, tmp_path, monkeypatch):
    run_scan(tmp_path / "s", request_of(batch_tokens=64))
    assert run_scan(tmp_path / "s", request_of(batch_tokens=None, chunk_samples=None)).spec.batch_tokens == 64


@pytest.mark.parametrize(
    ("choices", "named"),
    [
        ({"poolings": ["last"]}, "pooling: 'mean' there, 'last' asked"),
        ({"layers": (0, 3)}, "layers"),
        ({"limit": 20}, "n_samples: 24 there, 20 asked"),
        ({"max_tokens": 8}, "max_tokens: 64 there, 8 asked"),
        ({"chunk_samples": 5}, "chunk_samples: 10 there, 5 asked"),
        ({"corpus": make_records(seed=5)}, "corpus_fingerprint"),
        ({"random_weights": 3}, "model_fingerprint"),
    ],
)
def test_other_inputs_under_the_same_name_are_refused(request_of, tmp_path, tiny_bert, choices, named):
    first = run_scan(tmp_path / "s", request_of())
    before = file_digests(first.paths.folder)
    seed = choices.pop("random_weights", None) if "random_weights" in choices else None
    model = ModelRequest(model=tiny_bert, device="cpu", random_weights=seed)
    with pytest.raises(AlreadyThere, match="scan 's' exists with other inputs") as caught:
        run_scan(tmp_path / "s", request_of(model=model, **choices))
    assert named in str(caught.value)
    assert file_digests(first.paths.folder) == before


def test_the_same_content_from_another_place_is_the_same_scan(request_of, tmp_path):
    path = tmp_path / "copy.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in make_records()))
    first = run_scan(tmp_path / "s", request_of())
    assert run_scan(tmp_path / "s", request_of(corpus=path)) == first


def test_a_loaded_model_goes_on_where_its_folder_began(request_of, tmp_path, tiny_bert):
    loaded = load_model(ModelRequest(model=tiny_bert, device="cpu"))
    first = run_scan(tmp_path / "s", request_of())
    request = ModelRequest(model=loaded.module, tokenizer=loaded.tokenizer)
    assert run_scan(tmp_path / "s", request_of(model=request)) == first


def test_only_the_layers_asked_for_are_kept(request_of, tmp_path):
    some = run_scan(tmp_path / "some", request_of(layers=(3, 0, 3)))
    every = run_scan(tmp_path / "every", request_of())
    assert some.spec.layers == (0, 3)
    names = pq.read_schema(some.paths.chunk(0) / "activations.parquet").names
    assert names == ["sample_id", "layer_00", "layer_03"]
    assert vectors_of(some, 3) == vectors_of(every, 3)


def test_invalid_rows_keep_their_place_with_a_status(request_of, tmp_path):
    records = make_records(6)
    records[1]["text"] = None
    records[2]["text"] = "  "
    records[3]["label"] = None
    with pytest.raises(CorpusError, match="--keep-invalid"):
        run_scan(tmp_path / "s", request_of(corpus=records))
    entry = run_scan(tmp_path / "s", request_of(corpus=records, keep_invalid=True))
    rows = samples_of(entry)
    assert [row["status"] for row in rows] == ["ok", "null_text", "empty", "null_label", "ok", "ok"]
    assert [vector is None for vector in vectors_of(entry, 2)] == [False, True, True, False, False, False]
    assert [row["n_tokens"] > 0 for row in rows] == [True, False, False, True, True, True]


def test_a_text_the_model_fails_on_keeps_its_row(request_of, tmp_path, tiny_bert):
    broken = load_model(ModelRequest(model=tiny_bert, device="cpu"))
    word = broken.tokenizer.convert_tokens_to_ids("thunder")
    with torch.no_grad():
        broken.module.get_input_embeddings().weight[word] = torch.nan
    request = ModelRequest(model=broken.module, tokenizer=broken.tokenizer)
    entry = run_scan(tmp_path / "s", request_of(model=request))
    hit = ["thunder" in record["text"].split() for record in make_records()]
    assert [row["status"] == "not_finite" for row in samples_of(entry)] == hit
    assert [vector is None for vector in vectors_of(entry, 0)] == hit
    assert not verify_store(StorePaths(tmp_path / "s"))


def test_a_strict_scan_refuses_such_a_text_and_keeps_the_chunks_before(request_of, tmp_path, tiny_bert):
    broken = load_model(ModelRequest(model=tiny_bert, device="cpu"))
    records = [{"text": "river stone", "label": "ab"[place % 2]} for place in range(12)]
    records[7]["text"] = "river thunder"
    word = broken.tokenizer.convert_tokens_to_ids("thunder")
    with torch.no_grad():
        broken.module.get_input_embeddings().weight[word] = torch.nan
    model = ModelRequest(model=broken.module, tokenizer=broken.tokenizer)
    request = request_of(model=model, corpus=records, chunk_samples=4)
    with pytest.raises(ModelError, match=r"1 sample of a chunk of scan 's', first for sample 7 at layer 0"):
        run_scan(tmp_path / "s", replace(request, strict=True))
    entry = find_scan(StorePaths(tmp_path / "s"), "s")
    assert [chunk.index for chunk in entry.chunks] == [0]
    assert run_scan(tmp_path / "s", request).is_complete
    with pytest.raises(ModelError, match="already holds 1 sample"):
        run_scan(tmp_path / "s", replace(request, strict=True))


def test_a_strict_scan_of_a_sound_model_is_as_any(request_of, tmp_path):
    assert run_scan(tmp_path / "s", request_of(strict=True)).is_complete


def test_what_was_left_out_of_a_corpus_is_noted(request_of, tmp_path):
    records = [{**row, "tags": ["a"], "status": "new"} for row in make_records(4)]
    entry = run_scan(tmp_path / "s", request_of(corpus=records))
    assert len(entry.record.notes) == 2
    assert samples_of(entry)[0]["corpus_status"] == "new"


def test_progress_never_falls_and_ends_at_its_total(request_of, tmp_path):
    records = make_records()
    records[-1]["text"] = None
    told = []
    run_scan(tmp_path / "s", request_of(corpus=records, keep_invalid=True), progress=told.append)
    done = [one.done for one in told]
    assert done == sorted(done)
    assert len({one.total for one in told}) == 1
    assert told[-1].done == told[-1].total > 0
    assert told[-1].note == "24 of 24 texts"
    assert all(one.done <= one.total for one in told)


def test_progress_of_a_resumed_scan_counts_what_is_still_to_do(request_of, tmp_path):
    import shutil

    entry = run_scan(tmp_path / "s", request_of())
    shutil.rmtree(entry.paths.chunk(1))
    told = []
    run_scan(tmp_path / "s", request_of(), progress=told.append)
    assert told[-1].note == "10 of 10 texts"
    assert told[-1].done == told[-1].total


def test_a_scan_says_nothing_on_the_terminal(request_of, tmp_path, capfd):
    run_scan(tmp_path / "s", request_of())
    assert capfd.readouterr() == ("", "")


def test_a_scan_without_a_name_is_called_by_its_model_and_corpus(request_of, tmp_path, tiny_corpus):
    assert run_scan(tmp_path / "s", request_of(corpus=tiny_corpus, name=None)).name == "tiny-bert-tiny"


def test_one_writer_at_a_time(request_of, tmp_path):
    run_scan(tmp_path / "s", request_of(name="other"))
    with scan_lock(StorePaths(tmp_path / "s"), "s"), pytest.raises(StoreBusy):
        run_scan(tmp_path / "s", request_of())


BAD = {
    "a corpus that is not there": {"corpus": "nowhere.csv"},
    "a Hub corpus that is not given": {"corpus": "nobody/nothing"},
    "an empty corpus": {"corpus": []},
    "one sample": {"corpus": make_records(1)},
    "a null label": {"corpus": [*make_records(2), {"text": "a", "label": None}]},
    "labels that are floats": {"corpus": [{"text": "a", "label": 0.5}, {"text": "b", "label": 1.5}]},
    "no such text column": {"text_column": "body"},
    "no such label column": {"label_column": "class"},
    "no such split": {"split": "train"},
    "a site that is not read": {"sites": ["mpl"]},
    "no such pooling": {"poolings": ["median"]},
    "a limit of nothing": {"limit": 0},
    "a negative limit": {"limit": -3},
    "no tokens": {"max_tokens": 0},
    "only the tokenizer's own tokens": {"max_tokens": 2},
    "more tokens than the model can take": {"max_tokens": 65},
    "batches of nothing": {"batch_tokens": 0},
    "chunks of nothing": {"chunk_samples": 0},
    "a layer that is not there": {"layers": (0, 4)},
    "a negative layer": {"layers": (-1,)},
    "no layer": {"layers": ()},
    "a name that is a path": {"name": "../up"},
    "an empty name": {"name": ""},
    "a model that is not there": {"model": ModelRequest(model="./nowhere")},
    "a Hub model that is not given": {"model": ModelRequest(model="nobody/nothing")},
}


@pytest.mark.parametrize("case", BAD)
def test_nothing_is_written_when_a_scan_is_refused(request_of, tmp_path, case):
    with pytest.raises(LlmMriError) as caught:
        run_scan(tmp_path / "store", request_of(**BAD[case]))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"device": "cuda:77"}, {"dtype": "int4"}])
def test_nothing_is_written_when_a_model_cannot_run_so(request_of, tmp_path, tiny_bert, options):
    model = replace(ModelRequest(model=tiny_bert), **options)
    with pytest.raises(InvalidInput):
        run_scan(tmp_path / "store", request_of(model=model))
    assert list(tmp_path.iterdir()) == []


def test_the_first_token_of_a_causal_model_must_be_forced(request_of, tmp_path, tiny_gpt2):
    """LLM-MRI reads it: texts with a common first word had 1 vector per layer, drawn as structure."""
    records = [{**row, "text": f"river {row['text']}"} for row in make_records()]
    model = ModelRequest(model=tiny_gpt2, device="cpu")
    with pytest.raises(InvalidInput, match="sees only itself"):
        run_scan(tmp_path / "store", request_of(records, model=model, poolings=["first"]))
    assert list(tmp_path.iterdir()) == []
    forced = run_scan(tmp_path / "store", request_of(records, model=model, poolings=["first"], force=True))
    assert np.ptp(vectors_of(forced, 2), axis=0).max() < 1e-5
    by_default = run_scan(
        tmp_path / "store", request_of(records, model=model, poolings=["auto"], name="auto")
    )
    assert by_default.spec.pooling == "last"
    assert np.ptp(vectors_of(by_default, 2), axis=0).max() > 0.1


def test_digests_in_chunk_records_are_those_of_the_files(request_of, tmp_path):
    entry = run_scan(tmp_path / "s", request_of())
    for chunk in entry.chunks:
        assert chunk.n_tokens == sum(
            row["n_tokens"] for row in samples_of(entry)[chunk.first_sample :][: chunk.n_samples]
        )
        for name, digest in chunk.files.items():
            assert sha256_of(entry.paths.chunk(chunk.index) / name) == digest


def test_a_label_for_every_text_is_read_like_any_other(request_of, tmp_path):
    records = [{"text": "river stone", "label": f"label {place}"} for place in range(2000)]
    entry = run_scan(tmp_path / "s", request_of(records, chunk_samples=500, batch_tokens=2048))
    assert len(entry.spec.labels) == 2000
    assert [row["label"] for row in samples_of(entry)] == [row["label"] for row in records]
