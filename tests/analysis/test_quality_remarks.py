"""What is said of a scan's quality, and when nothing is."""

import pytest

from llm_mri_store.analysis.quality_remarks import quality_remarks
from tests.store.stores import make_spec

SUMMARY = {
    "n": 10, "n_ok": 10, "n_empty": 0, "n_null": 0, "n_not_finite": 0, "n_truncated": 0,
    "n_duplicate_texts": 0,
}  # fmt: skip
ROW = {
    "is_degenerate": False,
    "n_distinct": 10,
    "anisotropy": 0.2,
    "top_dimension": 3,
    "top_dimension_share": 0.1,
}


def remarks(summary=None, *rows):
    layers = [{**ROW, "layer": place, **row} for place, row in enumerate(rows)]
    return quality_remarks(make_spec(), {**SUMMARY, **(summary or {})}, layers)


def test_where_there_is_nothing_to_say_nothing_is_said():
    assert remarks() == []
    assert remarks({}, {}, {}) == []


@pytest.mark.parametrize(
    ("summary", "sentence"),
    [
        ({"n_ok": 9, "n_empty": 1}, "1 of 10 samples takes no part: 1 empty"),
        (
            {"n_ok": 5, "n_empty": 2, "n_null": 1, "n_not_finite": 2},
            "5 of 10 samples take no part: 2 empty, 1 without text or label, 2 not finite",
        ),
        ({"n_duplicate_texts": 1}, "1 text repeats an earlier one"),
        ({"n_duplicate_texts": 1200}, "1,200 texts repeat earlier ones"),
        ({"n_truncated": 1}, "1 text was cut at 64 tokens"),
        ({"n_truncated": 3}, "3 texts were cut at 64 tokens"),
    ],
)
def test_a_remark_on_the_samples(summary, sentence):
    assert remarks(summary) == [sentence]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([{"is_degenerate": True}], "layer 0 is degenerate: its activations do not vary beyond rounding"),
        (
            [{"is_degenerate": True}, {"is_degenerate": True}, {}],
            "layers 0-1 are degenerate: their activations do not vary beyond rounding",
        ),
        (
            [{"n_distinct": 4}, {}, {"n_distinct": 7}],
            "layers 0, 2 give different texts the same vector: 10 texts, as few as 4 vectors",
        ),
        (
            [{}, {"anisotropy": 0.97}],
            "at layer 1 vectors point nearly one way: mean cosine similarity above 0.95",
        ),
        ([{"top_dimension_share": 0.625}], "at layer 0 dimension 3 alone holds 62% of the variance"),
        ([{"is_degenerate": None, "n_distinct": 1, "anisotropy": None, "top_dimension_share": None}], None),
        ([{"anisotropy": None}], None),
    ],
)
def test_a_remark_on_the_layers(rows, sentence):
    assert remarks({}, *rows) == ([sentence] if sentence else [])


def test_vectors_of_repeated_texts_may_be_shared():
    assert remarks({"n_duplicate_texts": 6}, {"n_distinct": 4}) == ["6 texts repeat earlier ones"]
