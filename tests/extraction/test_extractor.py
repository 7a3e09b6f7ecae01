"""Extraction against one plain call per text, and its promises about batches and blemishes."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from llm_mri_store.errors import ModelError
from llm_mri_store.extraction import extractor
from llm_mri_store.extraction.extractor import ReadingPlan, extract
from llm_mri_store.extraction.models import ModelRequest, load_model
from llm_mri_store.records import POOLINGS
from llm_mri_store.schema import Status
from tests.conftest import make_records
from tests.models import save_tiny_bert, save_tiny_gpt2

TEXTS = [row["text"] for row in make_records(30, seed=4)]
PLAIN = {
    "first": lambda states: states[0],
    "last": lambda states: states[-1],
    "mean": lambda states: states.mean(axis=0),
    "max": lambda states: states.max(axis=0),
}


def load(folder, **options):
    return load_model(ModelRequest(model=folder, device="cpu", **options))


def plan(model, **choices):
    whole = {
        "layers": tuple(range(model.traits.n_layers)),
        "pooling": "mean",
        "max_tokens": model.traits.max_tokens,
        "batch_tokens": 2048,
    }
    return ReadingPlan(**whole | choices)


def read(model, texts=TEXTS, **choices):
    return extract(model, texts, [Status.OK] * len(texts), plan(model, **choices))


def plain_states(folder, text):
    """Hidden states of one text by itself, as transformers gives them: (layers, tokens, hidden)."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    encoded = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        states = model(
            input_ids=encoded["input_ids"],
            attention_mask=encoded["attention_mask"],
            output_hidden_states=True,
        ).hidden_states
    return torch.cat(states).numpy()


@pytest.mark.parametrize("family", ["bert", "roberta", "t5", "gpt2", "llama", "opt"])
def test_activations_are_the_hidden_states_of_each_text_by_itself(tiny_models, family):
    folder = tiny_models[family]
    model = load(folder)
    states = [plain_states(folder, text) for text in TEXTS[:8]]
    for pooling in POOLINGS:
        expected = np.stack([[PLAIN[pooling](layer) for layer in one] for one in states])
        np.testing.assert_allclose(
            read(model, TEXTS[:8], pooling=pooling).vectors, expected, rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("save", [save_tiny_bert, save_tiny_gpt2])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_is_the_same_alone_and_among_others(tmp_path, save, side, pooling):
    model = load(save(tmp_path / "model", padding_side=side))
    together = read(model, pooling=pooling).vectors
    alone = read(model, pooling=pooling, batch_tokens=1).vectors
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_tokenizer_without_a_pad_token_is_read_like_any_other(tiny_gpt2):
    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2)
    tokenizer.pad_token = None
    without = read(load(tiny_gpt2, tokenizer=tokenizer)).vectors
    np.testing.assert_array_equal(without, read(load(tiny_gpt2)).vectors)


def test_only_the_layers_asked_for(tiny_bert):
    model = load(tiny_bert)
    np.testing.assert_array_equal(read(model, layers=(0, 3)).vectors, read(model).vectors[:, [0, 3]])


def test_tokens_are_counted_and_cut_texts_are_marked(tiny_bert, tiny_gpt2):
    texts = ["river " * 4, "river", "river " * 6]
    for folder, ends in ((tiny_bert, 2), (tiny_gpt2, 0)):
        found = read(load(folder), texts, max_tokens=4 + ends)
        assert found.n_tokens.tolist() == [4 + ends, 1 + ends, 4 + ends]
        assert found.truncated.tolist() == [False, False, True]
        cut, whole = found.vectors[2], found.vectors[0]
        np.testing.assert_allclose(cut, whole, atol=1e-5)


def test_a_text_longer_than_the_model_can_take_is_cut_to_it(tiny_models):
    for folder in tiny_models.values():
        model = load(folder)
        found = read(model, ["river " * 10_000, "stone"])
        assert found.n_tokens[0] == model.traits.max_tokens
        assert found.truncated.tolist() == [True, False]
        assert found.status == ("ok", "ok")


def test_odd_texts_are_read(tiny_bert):
    texts = ["\0", "\U0001f469\u200d\U0001f680", "x" * 1_000_000, "\u202e\u0645\u0631\u062d\u0628\u0627"]
    found = read(load(tiny_bert), texts)
    assert set(found.status) == {"ok"}
    assert np.isfinite(found.vectors).all()


def test_texts_that_cannot_be_read_have_no_vector(tiny_bert, tiny_gpt2):
    known = [Status.OK, Status.NULL_TEXT, Status.EMPTY, Status.NULL_LABEL]
    for folder in (tiny_bert, tiny_gpt2):
        model = load(folder)
        found = extract(model, ["river", None, " ", "stone"], known, plan(model))
        assert found.status == ("ok", "null_text", "empty", "null_label")
        assert np.isfinite(found.vectors).all(axis=(1, 2)).tolist() == [True, False, False, True]
        assert found.n_tokens[1:3].tolist() == [0, 0]


def test_a_text_without_a_token_is_empty(tiny_gpt2):
    found = read(load(tiny_gpt2), ["river", " "])
    assert found.status == ("ok", "empty")


def test_a_chunk_without_a_readable_text(tiny_bert):
    model = load(tiny_bert)
    found = extract(model, [None, None], [Status.NULL_TEXT] * 2, plan(model))
    assert found.status == ("null_text", "null_text")
    assert np.isnan(found.vectors).all()


@pytest.mark.parametrize("blemish", [float("nan"), float("inf")])
def test_a_text_the_model_fails_on_is_marked_and_others_are_untouched(tiny_bert, blemish):
    sound = read(load(tiny_bert)).vectors
    model = load(tiny_bert)
    word = model.tokenizer.convert_tokens_to_ids("thunder")
    with torch.no_grad():
        model.module.get_input_embeddings().weight[word] = blemish
    found = read(model)
    hit = np.array(["thunder" in text.split() for text in TEXTS])
    assert 0 < hit.sum() < len(TEXTS)
    assert [one == Status.NOT_FINITE for one in found.status] == hit.tolist()
    np.testing.assert_array_equal(found.vectors[~hit], sound[~hit])
    assert np.isnan(found.vectors[hit]).all()


def test_batches_are_told_as_they_end(tiny_bert):
    model = load(tiny_bert)
    told = []
    found = extract(
        model,
        TEXTS,
        [Status.OK] * len(TEXTS),
        plan(model, batch_tokens=40),
        on_batch=lambda places, n_tokens: told.append((places, n_tokens)),
    )
    assert sorted(place for places, _ in told for place in places) == list(range(len(TEXTS)))
    assert all(n_tokens == found.n_tokens[places].sum() for places, n_tokens in told)


def test_a_model_that_fails_is_one_sentence(tiny_bert, monkeypatch):
    model = load(tiny_bert)

    def fail(*_, **__):
        raise RuntimeError("shapes differ\nlong story")

    monkeypatch.setattr(model.module, "forward", fail)
    with pytest.raises(
        ModelError, match=r"failed on a batch of \d+ texts of up to \d+ tokens: shapes differ$"
    ):
        read(model)


def test_too_little_memory_says_what_to_do(tiny_bert, monkeypatch):
    model = load(tiny_bert)

    def fail(*_, **__):
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(extractor, "pool", fail)
    with pytest.raises(ModelError, match="use a smaller --batch-tokens"):
        read(model)


@pytest.mark.model
def test_the_trained_minilm_by_itself_and_in_batches(minilm):
    texts = ["A fox crosses the frozen river at dawn.", "Rain.", "The engine was rebuilt " * 20]
    model = load(minilm)
    for pooling in POOLINGS:
        found = read(model, texts, pooling=pooling).vectors
        expected = [[PLAIN[pooling](layer) for layer in plain_states(minilm, text)] for text in texts]
        np.testing.assert_allclose(found, np.array(expected), atol=1e-5)
