"""What a corpus must be, and what becomes of its odd rows and columns."""

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.errors import CorpusError, UnknownName
from llm_mri_store.extraction.corpus import prepare_corpus
from llm_mri_store.extraction.fingerprints import fingerprint_rows


def prepare(columns, **options):
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    return prepare_corpus("mine", table, **{"text_column": "text", "label_column": "label", **options})


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (pa.array(["b", "a", "b"]), ("a", "b")),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ("a", "b")),
        (pa.array([10, 2, 10]), ("10", "2")),
        (pa.array([1, 0, 1], pa.uint8()), ("0", "1")),
        (pa.array([True, False, True]), ("false", "true")),
    ],
)
def test_labels_of_every_kind_become_strings(labels, names):
    corpus = prepare({"text": ["x", "y", "z"], "label": labels})
    assert corpus.labels == names
    assert set(corpus.rows["label"].to_pylist()) == set(names)


@pytest.mark.parametrize("labels", [[0.5, 1.5], [["a"], ["b"]], [{"a": 1}, {"a": 2}]])
def test_labels_that_are_no_categories_are_refused(labels):
    with pytest.raises(CorpusError, match="labels must be class labels, strings, integers or booleans"):
        prepare({"text": ["x", "y"], "label": labels})


@pytest.mark.parametrize("texts", [[1, 2], [["a"], ["b"]], [b"a", b"b"]])
def test_texts_of_another_type_are_refused(texts):
    with pytest.raises(CorpusError, match=r"not text; choose another with --text-column"):
        prepare({"text": texts, "label": ["a", "b"]})


def test_a_column_that_is_not_there_is_unknown():
    with pytest.raises(UnknownName, match=r"column 'text' is not in corpus 'mine' \(see --text-column\)"):
        prepare({"texts": ["a"], "label": ["b"]})
    with pytest.raises(UnknownName, match="did you mean 'labels'"):
        prepare({"text": ["a"], "labels": ["b"]})
    with pytest.raises(CorpusError, match="same column"):
        prepare({"text": ["a", "b"]}, label_column="text")


@pytest.mark.parametrize("names", [["text", "label", "text"], ["text", "label", "Label"]])
def test_columns_that_sql_cannot_tell_apart_are_refused(names):
    table = pa.Table.from_arrays([pa.array(["a", "b"])] * 3, names=names)
    with pytest.raises(CorpusError, match="two columns that SQL cannot tell apart"):
        prepare(table)


@pytest.mark.parametrize(("n", "words"), [(0, "is empty"), (1, "has one sample")])
def test_a_corpus_needs_two_samples(n, words):
    columns = {"text": pa.array(["a"] * n, pa.string()), "label": pa.array(["b"] * n, pa.string())}
    with pytest.raises(CorpusError, match=words):
        prepare(columns)
    with pytest.raises(CorpusError, match="is empty"):
        prepare(pa.table({}))
    with pytest.raises(CorpusError, match="has one sample"):
        prepare({"text": ["a", "b"], "label": ["a", "b"]}, limit=1)


def test_nulls_are_refused_with_their_count_and_first_row():
    with pytest.raises(CorpusError, match=r"2 of 4 values in column 'text' .* are null, the first in row 1;"):
        prepare({"text": ["a", None, None, "b"], "label": ["x"] * 4})
    with pytest.raises(CorpusError, match=r"1 of 4 values in column 'label' .* row 3; .* --keep-invalid"):
        prepare({"text": ["a"] * 4, "label": ["x", "x", "x", None]})


def test_invalid_rows_are_kept_with_a_status_when_asked():
    columns = {
        "text": ["a", None, " \t\u3000\n", "b", None, ""],
        "label": ["x", "x", "x", None, None, None],
    }
    corpus = prepare(columns, keep_invalid=True)
    assert corpus.status == ("ok", "null_text", "empty", "null_label", "null_text", "empty")
    assert corpus.labels == ("x",)


def test_a_column_of_nothing_but_nulls_is_kept_too():
    corpus = prepare({"text": pa.nulls(2), "label": pa.nulls(2)}, keep_invalid=True)
    assert corpus.status == ("null_text", "null_text")
    assert corpus.labels == ()


def test_covariates_keep_what_can_be_grouped_by_and_say_what_was_left_out():
    corpus = prepare(
        {
            "text": ["a", "b"],
            "label": ["x", "y"],
            "year": [1999, 2000],
            "score": [0.5, 1.5],
            "is_new": [True, False],
            "day": [datetime.date(2020, 1, 1)] * 2,
            "time": [datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)] * 2,
            "tags": [["a"], ["b"]],
            "meta": [{"a": 1}, {"a": 2}],
        }
    )
    assert corpus.covariates.names == ["year", "score", "is_new", "day", "time"]
    assert [note.split(" (")[0] for note in corpus.notes] == ["column 'tags'", "column 'meta'"]


def test_a_covariate_does_not_hide_a_column_of_the_store():
    columns = {"text": ["a", "b"], "label": ["x", "y"], "Status": ["s", "t"], "layer": [1, 2]}
    corpus = prepare(columns)
    assert corpus.covariates.names == ["corpus_Status", "corpus_layer"]
    assert len(corpus.notes) == 2
    clash = prepare({**columns, "corpus_layer": [3, 4]})
    assert clash.covariates.names == ["corpus_Status", "corpus_layer"]
    assert clash.rows["corpus_layer"].to_pylist() == [3, 4]


def test_the_first_rows_only():
    corpus = prepare({"text": ["a", "b", None], "label": ["x", "y", "z"]}, limit=2)
    assert corpus.rows.num_rows == 2
    assert corpus.labels == ("x", "y")


def test_odd_texts_are_texts():
    texts = ["\0", "\U0001f469\u200d\U0001f680", "x" * 1_000_000, "\u202eabc"]
    corpus = prepare({"text": texts, "label": list("abcd")})
    assert corpus.rows["text"].to_pylist() == texts
    assert set(corpus.status) == {"ok"}


# --- fingerprints ------------------------------------------------------------------------------------

VALUES = {
    "text": st.one_of(st.none(), st.text("ab\0\u00e9\U0001f680", max_size=3)),
    "n": st.one_of(st.none(), st.integers(-2, 2)),
    "x": st.one_of(st.none(), st.sampled_from([0.0, -0.0, 1.0, float("nan"), float("inf")])),
}
TYPES = pa.schema([("text", pa.string()), ("n", pa.int64()), ("x", pa.float64())])


def key(value):
    """A value, told from every other: NaN from NULL, minus zero from zero."""
    return repr(value)


tables = st.lists(st.fixed_dictionaries(VALUES), max_size=5)


@given(rows=tables, cut=st.integers(0, 5))
def test_a_fingerprint_does_not_depend_on_chunks(rows, cut):
    table = pa.Table.from_pylist(rows, schema=TYPES)
    cut_up = pa.concat_tables([table.slice(0, cut), table.slice(cut, 1), table.slice(cut + 1)])
    assert fingerprint_rows(cut_up) == fingerprint_rows(table)


@given(one=tables, other=tables)
def test_a_fingerprint_tells_every_value_and_order(one, other):
    same = [[key(row[name]) for name in VALUES] for row in one] == [
        [key(row[name]) for name in VALUES] for row in other
    ]
    prints = {fingerprint_rows(pa.Table.from_pylist(rows, schema=TYPES)) for rows in (one, other)}
    assert len(prints) == (1 if same else 2)


def test_a_fingerprint_sees_names_and_types():
    column = pa.array([1, 2])
    prints = {
        fingerprint_rows(pa.table({"a": column})),
        fingerprint_rows(pa.table({"b": column})),
        fingerprint_rows(pa.table({"a": column.cast(pa.float64())})),
        fingerprint_rows(pa.table({"a": ["1", "2"]})),
        fingerprint_rows(pa.table({"a": [["1"], ["2"]][0]})),
    }
    assert len(prints) == 5


def test_text_that_moves_between_rows_or_columns_changes_the_fingerprint():
    one = fingerprint_rows(pa.table({"a": ["ab", "c"], "b": ["", ""]}))
    assert one != fingerprint_rows(pa.table({"a": ["a", "bc"], "b": ["", ""]}))
    assert one != fingerprint_rows(pa.table({"a": ["ab", ""], "b": ["c", ""]}))


def test_the_same_rows_in_any_container_are_the_same_corpus():
    days = [datetime.datetime(2020, 1, 1), datetime.datetime(2021, 6, 1, 12, 30)]
    plain = pa.table({"text": ["a", "b"], "label": ["x", "y"], "n": [1, 2], "when": days, "g": ["u", "v"]})
    wide = pa.table(
        {
            "text": pa.array(["a", "b"], pa.large_string()),
            "label": pa.array(["x", "y"], pa.string_view()),
            "n": pa.array([1, 2], pa.int16()),
            "when": pa.array(days, pa.timestamp("ns")),
            "g": pa.array(["u", "v"]).dictionary_encode(),
        }
    )
    frame = pa.table(pd.DataFrame(plain.to_pylist()))
    prints = {prepare(table).fingerprint for table in (plain, wide, frame)}
    assert len(prints) == 1


def test_a_timestamp_keeps_its_nanoseconds():
    times = pa.array(np.array([1, 2], "datetime64[ns]"))
    corpus = prepare({"text": ["a", "b"], "label": ["x", "y"], "when": times})
    assert corpus.rows["when"].type == pa.timestamp("ns")
