"""Texts to token ids: cuts, chat templates, segments."""

import numpy as np
import pytest

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.encoding import count_template_tokens, encode_texts
from llm_mri_store.extraction.models import ModelRequest, load_model

TEMPLATE = (
    "{% for m in messages %}one {{ m['content'] | trim }} two {% endfor %}"
    "{% if add_generation_prompt %}three{% endif %}"
)


@pytest.fixture
def chat(tiny_gpt2):
    """A causal model whose template puts words around a text."""
    model = load_model(ModelRequest(model=tiny_gpt2, device="cpu"))
    model.tokenizer.chat_template = TEMPLATE
    return model


def words(model, ids):
    return model.tokenizer.convert_ids_to_tokens(ids)


def test_a_text_is_read_as_a_message_up_to_where_the_model_would_answer(chat):
    (text,) = encode_texts(chat, ["river stone"], max_tokens=64, chat_template=True)
    assert words(chat, text.ids) == ["one", "river", "stone", "two", "three"]
    assert not text.is_truncated
    assert count_template_tokens(chat.tokenizer) == 3


def test_a_text_too_long_is_cut_and_the_template_stays_whole(chat):
    (text,) = encode_texts(chat, ["river stone cloud engine"], max_tokens=5, chat_template=True)
    assert words(chat, text.ids) == ["one", "river", "stone", "two", "three"]
    assert text.is_truncated


def test_the_templates_tokens_have_no_place_in_the_text(chat):
    given = "  river stone"
    (text,) = encode_texts(chat, [given], max_tokens=64, chat_template=True, with_spans=True)
    inside = text.spans[text.spans[:, 0] >= 0]
    assert [given[start:end] for start, end in inside] == ["river", "stone"]
    assert text.spans[[0, 3, 4]].tolist() == [[-1, -1]] * 3


def test_a_text_without_a_word_in_a_template_is_the_template_alone(chat):
    (text,) = encode_texts(chat, [" "], max_tokens=64, chat_template=True)
    assert words(chat, text.ids) == ["one", "two", "three"]


def test_a_template_that_leaves_no_room_is_refused(chat):
    with pytest.raises(InvalidInput, match="does not fit into --max-tokens beside the chat template"):
        encode_texts(chat, ["river"], max_tokens=2, chat_template=True)


def test_a_tokenizer_without_a_template_and_templates_that_fail(chat):
    chat.tokenizer.chat_template = "{{ raise_exception('only the system speaks') }}"
    with pytest.raises(InvalidInput, match=r"template .* fails on a text: only the system speaks"):
        encode_texts(chat, ["river"], max_tokens=8, chat_template=True)
    chat.tokenizer.chat_template = "always the same"
    with pytest.raises(InvalidInput, match="does not hold the text"):
        encode_texts(chat, ["river"], max_tokens=8, chat_template=True)
    chat.tokenizer.chat_template = None
    with pytest.raises(InvalidInput, match="has no chat template"):
        encode_texts(chat, ["river"], max_tokens=8, chat_template=True)


def test_many_texts_are_each_as_if_they_came_alone(tiny_bert):
    model = load_model(ModelRequest(model=tiny_bert, device="cpu"))
    texts = [("river " * (place % 7)).strip() for place in range(600)]
    together = encode_texts(model, texts, max_tokens=6)
    for text, one in zip(texts[:40], together, strict=False):
        (alone,) = encode_texts(model, [text], max_tokens=6)
        np.testing.assert_array_equal(one.ids, alone.ids)
        np.testing.assert_array_equal(one.token_types, alone.token_types)
        assert one.is_truncated == alone.is_truncated == (len(text.split()) > 4)
    assert encode_texts(model, [], max_tokens=6) == []
