"""One forward pass, several scans: sites, poolings and tokens, each an ordinary scan of its own."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from llm_mri_store import Store
from llm_mri_store.errors import AlreadyThere, CorpusError, InvalidInput, LlmMriError, ModelError, UnknownName
from llm_mri_store.pipeline import chunks as chunks_module
from llm_mri_store.store.files import file_digests
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.verify import verify_store
from tests.conftest import make_records

OPTIONS = {"device": "cpu", "chunk_samples": 10}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def passes(monkeypatch):
    """How many readings each pass over a chunk served."""
    served = []
    extract = chunks_module.extract

    def counting(model, texts, readings, **options):
        served.append(len(readings))
        return extract(model, texts, readings, **options)

    monkeypatch.setattr(chunks_module, "extract", counting)
    return served


def data_files(scan):
    return {name: digest for name, digest in file_digests(scan.folder).items() if name.endswith(".parquet")}


def test_a_scan_of_each_site_and_pooling_comes_of_one_pass(store, tiny_bert, passes):
    scans = store.scan_many(
        tiny_bert, make_records(), name="s", sites=["residual", "mlp"], poolings=["mean", "last"], **OPTIONS
    )
    assert [scan.name for scan in scans] == [
        "s-residual-mean",
        "s-residual-last",
        "s-mlp-mean",
        "s-mlp-last",
    ]
    assert passes == [4, 4, 4]
    assert [(scan.spec.site, scan.spec.pooling) for scan in scans] == [
        ("residual", "mean"),
        ("residual", "last"),
        ("mlp", "mean"),
        ("mlp", "last"),
    ]
    assert scans[2].layers == (1, 2, 3)
    assert not verify_store(StorePaths(store.path))
    alone = Store(store.path.parent / "alone")
    for scan in scans:
        same = alone.scan(
            tiny_bert,
            make_records(),
            name=scan.name,
            site=scan.spec.site,
            pooling=scan.spec.pooling,
            **OPTIONS,
        )
        assert data_files(same) == data_files(scan)


def test_only_what_tells_scans_apart_is_in_their_names(store, tiny_bert):
    names = [
        scan.name for scan in store.scan_many(tiny_bert, make_records(), name="p", poolings=["mean", "max"])
    ]
    assert names == ["p-mean", "p-max"]
    names = [scan.name for scan in store.scan_many(tiny_bert, make_records(), name="s", sites=["mlp"])]
    assert names == ["s"]
    again = store.scan_many(tiny_bert, make_records(), name="d", poolings=["first", "auto", "first"])
    assert [scan.name for scan in again] == ["d"]


def test_a_pass_serves_only_the_scans_that_lack_the_chunk(store, tiny_bert, passes):
    import shutil

    def scan_both():
        return store.scan_many(tiny_bert, make_records(), name="s", poolings=["mean", "max"], **OPTIONS)

    one, _ = scan_both()
    before = data_files(one)
    shutil.rmtree(one.folder / "chunks/000001")
    passes.clear()
    scan_both()
    assert passes == [1]
    assert data_files(one) == before
    passes.clear()
    scan_both()
    assert passes == []


def test_scans_cut_up_differently_each_have_passes_of_their_own(store, tiny_bert, passes):
    store.scan(
        tiny_bert, make_records(), name="s-mean", pooling="mean", device="cpu", chunk_samples=10, limit=20
    )
    passes.clear()
    with pytest.raises(AlreadyThere):
        store.scan_many(tiny_bert, make_records(), name="s", poolings=["mean", "max"], **OPTIONS)
    assert passes == []


def test_a_scan_beside_an_earlier_one_is_cut_like_it(store, tiny_bert, passes):
    store.scan(tiny_bert, make_records(), name="s-mean", pooling="mean", **OPTIONS)
    passes.clear()
    scans = store.scan_many(tiny_bert, make_records(), name="s", poolings=["mean", "max"], device="cpu")
    assert passes == [1, 1, 1]
    assert {scan.spec.chunk_samples for scan in scans} == {10}


def test_a_module_path_is_a_site_like_any_other(store, tiny_bert):
    by_path = store.scan(
        tiny_bert, make_records(), name="path", site="encoder.layer.{layer}.output.dense", pooling="mean"
    )
    by_name = store.scan(tiny_bert, make_records(), name="name", site="mlp", pooling="mean")
    assert by_path.layers == by_name.layers == (1, 2, 3)
    for layer in by_path.layers:
        np.testing.assert_array_equal(by_path.activations(layer), by_name.activations(layer))


def test_where_it_was_read_is_recorded(store, tiny_gpt2):
    scan = store.scan(tiny_gpt2, make_records(), name="s", site="final_norm")
    assert scan.layers == (2,)
    assert "output of ln_f" in scan.facts()["read at"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"sites": ["mpl"]}, UnknownName, "did you mean 'mlp'"),
        ({"sites": ["encoder.{layer}.nothing"]}, LlmMriError, "nothing"),
        ({"sites": []}, InvalidInput, "at least one site"),
        (
            {"sites": ["mlp"], "layers": (0,)},
            InvalidInput,
            r"layer 0 is not at site 'mlp'.*its layers are 1-3",
        ),
        ({"poolings": ["mode"]}, InvalidInput, "pooling 'mode' is not one of"),
        ({"side": "decoder"}, InvalidInput, "encoder-decoder"),
        ({"chat_template": True}, InvalidInput, "no chat template"),
        ({"token_step": 2}, InvalidInput, "--pooling tokens"),
        ({"token_label_column": "tags"}, InvalidInput, "--pooling tokens"),
        ({"poolings": ["tokens"], "token_step": 0}, InvalidInput, "--every must be at least 1"),
        ({"workers": 0}, InvalidInput, "--workers must be at least 1"),
        ({"random_weights": True}, InvalidInput, "drawn with a seed"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(store, tiny_bert, options, error, words):
    with pytest.raises(error, match=words):
        store.scan_many(tiny_bert, make_records(), **options)
    assert not store.path.exists()


def test_what_would_be_done_is_said_and_nothing_is_written(store, tiny_bert):
    found = store.plan(
        tiny_bert, make_records(), sites=["residual", "mlp"], poolings=["mean"], name="s", **OPTIONS
    ).arrow.to_pylist()
    assert not store.path.exists()
    n_tokens = sum(len(row["text"].split()) + 2 for row in make_records())
    assert [row["scan"] for row in found] == ["s-residual", "s-mlp"]
    assert {(row["n_samples"], row["n_tokens"], row["tokens_are_counted"]) for row in found} == {
        (24, n_tokens, True)
    }
    assert [row["layers"] for row in found] == ["0-3", "1-3"]
    assert [row["n_chunks"] for row in found] == [3, 3]
    assert found[0]["megabytes"] == pytest.approx(24 * 4 * 16 * 4 / 1e6)
    store.scan_many(
        tiny_bert, make_records(), sites=["residual", "mlp"], poolings=["mean"], name="s", **OPTIONS
    )
    again = store.plan(
        tiny_bert, make_records(), sites=["residual", "mlp"], poolings=["mean"], name="s", **OPTIONS
    ).arrow.to_pylist()
    assert [row["n_chunks_done"] for row in again] == [3, 3]


def test_tokens_of_a_large_corpus_are_estimated_within_a_few_percent(store, tiny_bert):
    records = make_records(4000, seed=5)
    (found,) = store.plan(tiny_bert, records).arrow.to_pylist()
    n_tokens = sum(len(row["text"].split()) + 2 for row in records)
    assert not found["tokens_are_counted"]
    assert found["n_tokens"] == pytest.approx(n_tokens, rel=0.05)


def tokens_of(records):
    return [
        (place, nth, word)
        for place, row in enumerate(records)
        for nth, word in enumerate((row["text"] or "").split(), start=1)
    ]


def test_each_token_is_a_sample_with_its_place_and_its_texts_label(store, tiny_bert):
    records = make_records()
    records[3]["text"] = " "
    scan = store.scan(tiny_bert, records, name="s", pooling="tokens", **OPTIONS)
    rows = scan.samples().arrow.to_pylist()
    assert [(row["text_id"], row["token_position"], row["text"]) for row in rows] == tokens_of(records)
    assert [row["sample_id"] for row in rows] == list(range(len(rows)))
    assert all(
        row["text"] == records[row["text_id"]]["text"][row["char_start"] : row["char_end"]] for row in rows
    )
    assert all(row["label"] == row["text_label"] == records[row["text_id"]]["label"] for row in rows)
    assert all(row["source"] == records[row["text_id"]]["source"] for row in rows)
    assert all(f"«{row['text']}»" in row["context"] for row in rows)
    assert {row["status"] for row in rows} == {"ok"}
    assert scan.spec.n_samples == len(rows)
    assert not verify_store(StorePaths(store.path))
    heatmap = scan.reduce("pca").heatmap(layer=2, label="a").arrow.to_pylist()
    assert sum(row["n"] for row in heatmap) == sum(row["label"] == "a" for row in rows)


def test_tokens_and_texts_come_of_one_pass_and_agree(store, tiny_bert, passes):
    of_texts, of_tokens = store.scan_many(
        tiny_bert, make_records(), name="s", poolings=["max", "tokens"], **OPTIONS
    )
    assert passes == [2, 2, 2]
    rows = of_tokens.samples().arrow.to_pylist()
    own = of_tokens.activations(2)
    for text in (0, 11, 23):
        best = own[[row["text_id"] == text for row in rows]].max(axis=0)
        # The tokenizer's own tokens take part in the maximum of a text, and are no samples.
        assert (of_texts.activations(2)[text] >= best - 1e-6).all()


def test_every_third_token_is_kept(store, tiny_bert):
    records = make_records()
    scan = store.scan(tiny_bert, records, name="s", pooling="tokens", token_step=3, **OPTIONS)
    found = [(row["text_id"], row["token_position"], row["text"]) for row in scan.samples().arrow.to_pylist()]
    assert found == [one for one in tokens_of(records) if one[1] % 3 == 1]


def test_tokens_are_labelled_by_tags_and_texts_need_no_label(store, tiny_bert):
    records = [
        {"text": row["text"], "tags": ["W" if word == "river" else "O" for word in row["text"].split()]}
        for row in make_records()
    ]
    scan = store.scan(tiny_bert, records, name="s", pooling="tokens", token_label_column="tags", **OPTIONS)
    rows = scan.samples().arrow.to_pylist()
    assert scan.labels == ("O", "W")
    assert [row["label"] for row in rows] == ["W" if row["text"] == "river" else "O" for row in rows]
    assert {row["text_label"] for row in rows} == {None}
    assert {row["status"] for row in rows} == {"ok"}
    with pytest.raises(CorpusError, match="has no labels of texts"):
        store.scan_many(
            tiny_bert, records, name="t", poolings=["tokens", "mean"], token_label_column="tags", **OPTIONS
        )


def test_tokens_of_a_text_nobody_labelled_are_kept_with_a_status(store, tiny_bert):
    records = make_records()
    records[0]["label"] = None
    scan = store.scan(tiny_bert, records, name="s", pooling="tokens", keep_invalid=True, **OPTIONS)
    for row in scan.samples().arrow.to_pylist():
        assert row["status"] == ("null_label" if row["text_id"] == 0 else "ok")


def test_chunks_of_tokens_end_with_a_text_and_going_on_gives_the_same_bytes(store, tiny_bert):
    import shutil

    records = make_records(60)
    scan = store.scan(tiny_bert, records, name="s", pooling="tokens", **OPTIONS)
    assert len(scan.spec.chunk_ends) == 6
    for index in range(6):
        texts = pq.read_table(scan.folder / f"chunks/{index:06d}/samples.parquet")["text_id"].to_pylist()
        assert set(texts) == set(range(10 * index, 10 * index + 10))
    before = data_files(scan)
    for index in (0, 4):
        shutil.rmtree(scan.folder / f"chunks/{index:06d}")
    store.scan(tiny_bert, records, name="s", pooling="tokens", device="cpu")
    assert data_files(scan) == before


def test_a_chunk_whose_texts_have_no_token_is_there_and_empty(store, tiny_bert):
    records = make_records(12)
    for place in (3, 4, 5):
        records[place]["text"] = " "
    scan = store.scan(tiny_bert, records, name="s", pooling="tokens", device="cpu", chunk_samples=3)
    assert scan.is_complete
    assert not verify_store(StorePaths(store.path))
    assert {row["text_id"] for row in scan.samples().arrow.to_pylist()} == set(range(12)) - {3, 4, 5}
    assert scan.summary().arrow.to_pylist()[-1]["n"] == scan.spec.n_samples


def test_a_covariate_must_not_hide_a_column_of_token_scans(store, tiny_bert):
    records = [{**row, "context": "x"} for row in make_records()]
    with pytest.raises(CorpusError, match=r"'context' .* has the name of a column of token scans"):
        store.scan(tiny_bert, records, pooling="tokens")
    assert not store.path.exists()


def test_a_model_without_weights_to_spare_is_not_loaded_by_others(store, tiny_bert):
    from llm_mri_store.extraction.models import ModelRequest, load_model

    loaded = load_model(ModelRequest(model=tiny_bert, device="cpu"))
    with pytest.raises(InvalidInput, match="several workers each load the model"):
        store.scan(
            loaded.module, make_records(), tokenizer=loaded.tokenizer, workers=2, **{"chunk_samples": 5}
        )
    assert not isinstance(InvalidInput("x"), ModelError)
