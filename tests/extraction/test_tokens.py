"""Token scans: which tokens are kept, what they say, and how they are labelled."""

import numpy as np
import pytest

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.encoding import encode_texts
from llm_mri_store.extraction.models import ModelRequest, load_model
from llm_mri_store.extraction.tokens import kept_tokens, token_labels, token_rows, token_words

TEXTS = ["river stone  cloud", "", "engine"]


@pytest.fixture(scope="module")
def model(tiny_bert):
    return load_model(ModelRequest(model=tiny_bert, device="cpu"))


def encoded(model, texts=TEXTS, **options):
    return encode_texts(model, texts, **{"max_tokens": 64, "with_spans": True} | options)


def test_every_token_of_a_text_is_kept_and_none_of_the_tokenizers_own(model):
    texts = encoded(model)
    kept = kept_tokens(texts, step=1)
    assert [one.tolist() for one in kept] == [[1, 2, 3], [], [1]]
    rows = token_rows(texts, kept)
    assert rows.text.tolist() == [0, 0, 0, 2]
    assert rows.position.tolist() == [1, 2, 3, 1]
    assert token_words(rows, TEXTS)[0] == ["river", "stone", "cloud", "engine"]


def test_every_second_token_counts_within_each_text(model):
    assert [one.tolist() for one in kept_tokens(encoded(model), step=2)] == [[1, 3], [], [1]]


def test_a_cut_text_has_no_tokens_behind_the_cut(model):
    texts = encoded(model, max_tokens=4)
    assert [one.tolist() for one in kept_tokens(texts, step=1)] == [[1, 2], [], [1]]
    assert texts[0].is_truncated


def test_the_context_of_a_token_is_bounded_and_marks_it(model):
    long = "river " * 50 + "stone " + "cloud " * 50
    texts = encoded(model, [long], max_tokens=64)
    rows = token_rows(texts, kept_tokens(texts, step=1))
    words, contexts = token_words(rows, [long])
    where = words.index("stone")
    assert "«stone»" in contexts[where]
    assert contexts[where].startswith("…")
    assert contexts[where].endswith("…")
    assert max(map(len, contexts)) <= 40 + 2 + 5 + 40 + 2


def test_a_token_has_the_label_of_the_span_that_covers_most_of_it(model):
    texts = encoded(model)
    rows = token_rows(texts, kept_tokens(texts, step=1))
    spans = [
        [
            {"start": 0, "end": 2, "label": "little"},
            {"start": 1, "end": 5, "label": "most"},
            {"start": 6, "end": 8, "label": "part"},
        ],
        [],
        None,
    ]
    assert token_labels(rows, spans).to_pylist() == ["most", "part", "O", None]


def test_of_two_spans_that_cover_a_token_alike_the_earlier_one_counts(model):
    texts = encoded(model, ["river"])
    rows = token_rows(texts, kept_tokens(texts, step=1))
    spans = [[{"start": 0, "end": 5, "label": "first"}, {"start": 0, "end": 5, "label": "second"}]]
    assert token_labels(rows, spans).to_pylist() == ["first"]


def test_a_corpus_without_any_token_has_no_rows(model):
    texts = encoded(model, [""])
    rows = token_rows(texts, kept_tokens(texts, step=1))
    assert rows.text.shape == rows.position.shape == (0,)
    assert rows.span.shape == (0, 2)
    assert token_rows([], []).span.shape == (0, 2)


def test_a_tokenizer_that_does_not_say_where_its_tokens_lie_is_refused(model, monkeypatch):
    monkeypatch.setattr(type(model.tokenizer), "is_fast", property(lambda _: False))
    with pytest.raises(InvalidInput, match="cannot say where its tokens lie"):
        encoded(model)


def test_spans_are_characters_and_not_bytes(model):
    texts = encoded(model, ["\U0001f680 river"])
    spans = texts[0].spans[np.flatnonzero(texts[0].spans[:, 1] > 0)]
    assert spans.tolist() == [[0, 1], [2, 7]]
