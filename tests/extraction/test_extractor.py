"""Extraction against one plain call per text, and its promises about batches and blemishes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from llm_mri_store.errors import ModelError
from llm_mri_store.extraction import capture
from llm_mri_store.extraction.capture import Reading
from llm_mri_store.extraction.encoding import encode_texts
from llm_mri_store.extraction.extractor import extract
from llm_mri_store.extraction.models import ModelRequest, load_model
from llm_mri_store.extraction.points import CapturePoint, Site
from llm_mri_store.extraction.tokens import kept_tokens
from llm_mri_store.records.choices import POOLINGS
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


def encoded(model, texts=TEXTS, **options):
    return encode_texts(model, texts, **{"max_tokens": model.traits.max_tokens} | options)


def reading(model, *, site="residual", pooling="mean", layers=None):
    found = model.site(site)
    return Reading(site=found, layers=layers or found.layers, pooling=pooling)


def read(model, texts=TEXTS, *, batch_tokens=2048, max_tokens=None, **choices):
    """Vectors of one reading: (texts, layers, width)."""
    given = encoded(model, texts, max_tokens=max_tokens or model.traits.max_tokens)
    (vectors,) = extract(model, given, [reading(model, **choices)], batch_tokens=batch_tokens)
    return vectors


def plain_states(folder, text):
    """Hidden states of one text by itself, as transformers gives them: (layers, tokens, hidden)."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder).eval()
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    given = tokenizer(text, return_tensors="pt")
    with torch.no_grad():
        states = model(
            input_ids=given["input_ids"], attention_mask=given["attention_mask"], output_hidden_states=True
        ).hidden_states
    return torch.cat(states).numpy()


def plain_vectors(folder, pooling, texts):
    return np.stack([[PLAIN[pooling](layer) for layer in plain_states(folder, text)] for text in texts])


@pytest.mark.parametrize("family", ["bert", "roberta", "t5", "gpt2", "llama", "opt"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_activations_are_the_hidden_states_of_each_text_by_itself(tiny_models, family, pooling):
    model = load(tiny_models[family])
    expected = plain_vectors(tiny_models[family], pooling, TEXTS[:8])
    found = read(model, TEXTS[:8], pooling=pooling)
    # Behind a final norm transformers' last hidden state is the norm's, and so is our site of that name.
    last = found[:, -1:]
    if "final_norm" in model.sites:
        last = read(model, TEXTS[:8], pooling=pooling, site="final_norm")
        assert not np.allclose(found[:, -1], last[:, 0], atol=1e-3)
    np.testing.assert_allclose(found[:, :-1], expected[:, :-1], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(last, expected[:, -1:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("save", [save_tiny_bert, save_tiny_gpt2])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_text_is_the_same_alone_and_among_others(tmp_path, save, side, pooling):
    model = load(save(tmp_path / "model", padding_side=side))
    together = read(model, pooling=pooling)
    alone = read(model, pooling=pooling, batch_tokens=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_tokenizer_without_a_pad_token_is_read_like_any_other(tiny_gpt2):
    tokenizer = AutoTokenizer.from_pretrained(tiny_gpt2)
    tokenizer.pad_token = None
    without = read(load(tiny_gpt2, tokenizer=tokenizer))
    np.testing.assert_array_equal(without, read(load(tiny_gpt2)))


def test_several_readings_of_one_pass_are_each_what_they_are_alone(tiny_bert):
    model = load(tiny_bert)
    readings = [
        reading(model, pooling="mean"),
        reading(model, pooling="last", layers=(0, 3)),
        reading(model, site="mlp", pooling="max"),
        reading(model, site="neurons", pooling="mean", layers=(2,)),
        reading(model, site="attention", pooling="first"),
    ]
    texts = encoded(model)
    together = extract(model, texts, readings, batch_tokens=64)
    for one, found in zip(readings, together, strict=True):
        (alone,) = extract(model, texts, [one], batch_tokens=64)
        np.testing.assert_array_equal(found, alone)


def test_a_reading_of_tokens_has_every_tokens_own_state(tiny_bert):
    model = load(tiny_bert)
    texts = encoded(model, TEXTS[:6], with_spans=True)
    kept = kept_tokens(texts, step=1)
    of_tokens, of_texts = extract(
        model,
        texts,
        [reading(model, pooling="tokens"), reading(model, pooling="first")],
        batch_tokens=40,
        kept_tokens=kept,
    )
    states = [plain_states(tiny_bert, text) for text in TEXTS[:6]]
    expected = [state[:, position] for state, own in zip(states, kept, strict=True) for position in own]
    np.testing.assert_allclose(of_tokens, np.stack(expected), atol=1e-5)
    np.testing.assert_allclose(of_texts, np.stack([state[:, 0] for state in states]), atol=1e-5)


def test_layers_behind_the_last_one_wanted_are_not_run(tiny_bert):
    model = load(tiny_bert)
    ran = []
    for place, block in enumerate(model.module.encoder.layer):
        block.register_forward_pre_hook(lambda *_, place=place: ran.append(place))
    read(model, ["river"], layers=(0, 2))
    assert ran == [0, 1]
    ran.clear()
    read(model, ["river"], layers=(0,))
    assert ran == [0] or ran == []
    ran.clear()
    read(model, ["river"])
    assert ran == [0, 1, 2]


def test_no_hook_stays_in_a_model_whatever_happens(tiny_bert, monkeypatch):
    model = load(tiny_bert)

    def hooks():
        return sum(len(one._forward_hooks) + len(one._forward_pre_hooks) for one in model.module.modules())

    before = hooks()
    read(model)
    assert hooks() == before
    monkeypatch.setattr(capture, "pool", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        read(model)
    assert hooks() == before


def test_a_model_that_takes_no_mask_is_never_shown_padding(tiny_bert):
    model = load(tiny_bert)
    expected = read(model, batch_tokens=1)
    traits = replace(model.traits, inputs=frozenset({"input_ids", "token_type_ids"}), ignores_padding=False)
    blind = replace(model, traits=traits)
    assert "attention_mask" not in blind.forward_inputs(torch.ones(1, 2), torch.ones(1, 2), None)
    np.testing.assert_allclose(read(blind, batch_tokens=200), expected, atol=1e-5)


def test_only_the_layers_asked_for(tiny_bert):
    model = load(tiny_bert)
    np.testing.assert_array_equal(read(model, layers=(0, 3)), read(model)[:, [0, 3]])


def test_tokens_are_counted_and_cut_texts_are_marked(tiny_bert, tiny_gpt2):
    texts = ["river " * 4, "river", "river " * 6]
    for folder, ends in ((tiny_bert, 2), (tiny_gpt2, 0)):
        model = load(folder)
        found = encoded(model, texts, max_tokens=4 + ends)
        assert [one.n_tokens for one in found] == [4 + ends, 1 + ends, 4 + ends]
        assert [one.is_truncated for one in found] == [False, False, True]
        vectors = read(model, texts, max_tokens=4 + ends)
        np.testing.assert_allclose(vectors[2], vectors[0], atol=1e-5)


def test_a_text_longer_than_the_model_can_take_is_cut_to_it(tiny_models):
    for family in ("bert", "roberta", "t5", "gpt2", "llama", "opt"):
        model = load(tiny_models[family])
        found = encoded(model, ["river " * 10_000, "stone"])
        assert found[0].n_tokens == model.traits.max_tokens
        assert [one.is_truncated for one in found] == [True, False]
        assert np.isfinite(read(model, ["river " * 10_000, "stone"])).all()


def test_odd_texts_are_read(tiny_bert):
    texts = ["\0", "\U0001f469\u200d\U0001f680", "x" * 1_000_000, "\u202e\u0645\u0631\u062d\u0628\u0627"]
    assert np.isfinite(read(load(tiny_bert), texts)).all()


def test_a_text_without_a_token_has_no_vector(tiny_gpt2):
    found = read(load(tiny_gpt2), ["river", " ", "stone"])
    assert np.isfinite(found).all(axis=(1, 2)).tolist() == [True, False, True]
    assert np.isnan(found[1]).all()


def test_nothing_to_read(tiny_bert):
    model = load(tiny_bert)
    assert read(model, []).shape == (0, 4, 16)


@pytest.mark.parametrize("blemish", [float("nan"), float("inf")])
def test_a_text_the_model_fails_on_leaves_the_others_untouched(tiny_bert, blemish):
    sound = read(load(tiny_bert))
    model = load(tiny_bert)
    word = model.tokenizer.convert_tokens_to_ids("thunder")
    with torch.no_grad():
        model.module.get_input_embeddings().weight[word] = blemish
    found = read(model)
    hit = np.array(["thunder" in text.split() for text in TEXTS])
    assert 0 < hit.sum() < len(TEXTS)
    assert (~np.isfinite(found).all(axis=(1, 2))).tolist() == hit.tolist()
    np.testing.assert_array_equal(found[~hit], sound[~hit])


def test_batches_are_told_as_they_end(tiny_bert):
    model = load(tiny_bert)
    told = []
    texts = encoded(model)
    extract(
        model,
        texts,
        [reading(model)],
        batch_tokens=40,
        on_batch=lambda places, n_tokens: told.append((places, n_tokens)),
    )
    assert sorted(place for places, _ in told for place in places) == list(range(len(TEXTS)))
    assert all(n_tokens == sum(texts[place].n_tokens for place in places) for places, n_tokens in told)


def test_a_model_that_fails_is_one_sentence(tiny_bert, monkeypatch):
    model = load(tiny_bert)

    def fail(*_, **__):
        raise RuntimeError("shapes differ\nlong story")

    monkeypatch.setattr(model.module, "forward", fail)
    with pytest.raises(
        ModelError, match=r"failed on a batch of \d+ texts of up to \d+ tokens: shapes differ$"
    ):
        read(model)


def test_a_site_the_model_does_not_run_is_one_sentence(tiny_bert):
    model = load(tiny_bert)
    model.module.aside = torch.nn.Identity()
    site = Site(
        name="aside",
        points={1: CapturePoint(module="aside", end="output")},
        width=16,
        what="what nobody runs",
    )
    with pytest.raises(ModelError, match="nothing came by at output of aside"):
        extract(model, encoded(model), [Reading(site=site, layers=(1,), pooling="mean")], batch_tokens=64)


def test_too_little_memory_says_what_to_do(tiny_bert, monkeypatch):
    model = load(tiny_bert)

    def fail(*_, **__):
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(capture, "pool", fail)
    with pytest.raises(ModelError, match="use a smaller --batch-tokens"):
        read(model)


def test_autocast_keeps_float32_weights_and_comes_near_float32(tiny_bert):
    exact, near = load(tiny_bert), load(tiny_bert, dtype="bfloat16-autocast")
    assert near.module.dtype == torch.float32
    found, expected = read(near), read(exact)
    assert found.dtype == np.float32
    # The embedding output holds no product, so it stays as it is; behind it products are rounded.
    np.testing.assert_array_equal(found[:, 0], expected[:, 0])
    assert 1e-5 < np.abs(found[:, -1] - expected[:, -1]).max() < 0.2


@pytest.mark.model
def test_the_trained_minilm_by_itself_and_in_batches(minilm):
    texts = ["A fox crosses the frozen river at dawn.", "Rain.", "The engine was rebuilt " * 20]
    model = load(minilm)
    for pooling in POOLINGS:
        np.testing.assert_allclose(
            read(model, texts, pooling=pooling), plain_vectors(minilm, pooling, texts), atol=1e-5
        )
