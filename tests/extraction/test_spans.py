"""Labels of parts of texts: spans as given, tags as spans, and clear words where they do not fit."""

import pyarrow as pa
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from llm_mri_store.errors import CorpusError, InvalidInput, UnknownName
from llm_mri_store.extraction.corpus import prepare_corpus
from llm_mri_store.extraction.sources import read_corpus
from llm_mri_store.extraction.spans import join_words, spans_of

TEXTS = ["Ada met Bob in Rome", "no one"]


def corpus_of(rows, **columns):
    name, table = read_corpus(rows)
    return prepare_corpus(
        name, table, text_column="text", label_column="label", token_label_column="tags", **columns
    )


def spans(values, texts=TEXTS, words=None):
    column = spans_of(
        pa.chunked_array([pa.array(values)]),
        pa.chunked_array([pa.array(texts)]),
        words,
        column="tags",
        where="x",
    )
    return column.to_pylist()


def test_spans_are_kept_in_the_order_of_the_text():
    given = [[{"start": 15, "end": 19, "label": "LOC"}, {"start": 0, "end": 3, "label": "PER"}], []]
    assert spans(given) == [
        [{"start": 0, "end": 3, "label": "PER"}, {"start": 15, "end": 19, "label": "LOC"}],
        [],
    ]


@pytest.mark.parametrize("key", ["label", "tag", "type", "entity", "entity_group", "ner"])
def test_a_spans_label_may_be_called_as_tools_call_it(key):
    assert spans([[{"start": 0, "end": 3, key: "PER"}], []])[0][0]["label"] == "PER"


def test_one_tag_per_word_becomes_the_words_span():
    found = spans([["B-PER", "O", "B-PER", "O", "B-LOC"], ["O", "O"]])
    assert [(TEXTS[0][one["start"] : one["end"]], one["label"]) for one in found[0]] == [
        ("Ada", "B-PER"),
        ("Bob", "B-PER"),
        ("Rome", "B-LOC"),
    ]
    assert found[1] == []


def test_words_given_as_lists_are_joined_and_their_tags_follow_them():
    words = pa.chunked_array([pa.array([["New", "York", ",", ""], None])])
    texts = join_words(words)
    assert texts.to_pylist() == ["New York , ", None]
    found = spans([["B", "I", "O", "X"], ["O"]], texts.to_pylist(), words)
    assert found == [
        [{"start": 0, "end": 3, "label": "B"}, {"start": 4, "end": 8, "label": "I"}],
        None,
    ]


def test_repeated_words_each_have_their_own_place():
    found = spans([["a", "b", "c"]], ["to be to"])
    assert [(one["start"], one["label"]) for one in found[0]] == [(0, "a"), (3, "b"), (6, "c")]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([["A"], ["O", "O"]], "row 0 of column 'tags' of corpus 'x' has 1 tags for 5 words"),
        ([[], [{"start": 0, "end": 9, "label": "A"}]], "row 1 .*characters 0-9, but its text has 6"),
        ([[{"start": 3, "end": 3, "label": "A"}], []], "row 0 .*characters 3-3"),
        ([[{"start": 0, "label": "A"}], []], "row 0 .*a span without start, end and label"),
        ([[{"start": 0, "end": 2}], []], "row 0 .*a span without start, end and label"),
        (["PER", "LOC"], "holds string; labels of tokens are lists of spans"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_their_row(values, words):
    with pytest.raises(CorpusError, match=words):
        spans(values)


def test_a_tagged_corpus_needs_no_labels_of_texts():
    corpus = corpus_of([{"text": one, "tags": ["X"] * len(one.split())} for one in TEXTS])
    assert corpus.labels == ()
    assert [str(one) for one in corpus.status] == ["ok", "ok"]
    assert corpus.spans is not None
    assert corpus.covariates.names == []
    assert corpus.notes == ()


def test_the_spans_are_part_of_what_a_corpus_is():
    def fingerprint(tag):
        return corpus_of([{"text": one, "tags": [tag] * len(one.split())} for one in TEXTS]).fingerprint

    assert fingerprint("X") == fingerprint("X") != fingerprint("Y")


def test_tags_of_a_dataset_are_called_by_their_names():
    features = Features({"text": List(Value("string")), "tags": List(ClassLabel(names=["O", "PER"]))})
    rows = {"text": [["Ada", "ran"], ["she", "Eve"]], "tags": [[1, 0], [0, 1]]}
    corpus = corpus_of(Dataset.from_dict(rows, features=features))
    assert corpus.rows["text"].to_pylist() == ["Ada ran", "she Eve"]
    assert corpus.spans.to_pylist() == [
        [{"start": 0, "end": 3, "label": "PER"}],
        [{"start": 4, "end": 7, "label": "PER"}],
    ]


def test_a_column_that_is_not_there_and_texts_that_are_lists_without_need():
    with pytest.raises(UnknownName, match="--token-label-column"):
        corpus_of([{"text": "a", "label": "x"}, {"text": "b", "label": "y"}])
    name, table = read_corpus([{"text": ["a"], "label": "x"}] * 2)
    with pytest.raises(CorpusError, match="lists of words are read with --token-label-column"):
        prepare_corpus(name, table, text_column="text", label_column="label")
    assert issubclass(CorpusError, InvalidInput)
