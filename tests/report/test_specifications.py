import json

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import given

from llm_mri_store.report.content import Rows
from llm_mri_store.report.specifications import chart_heading, folded, page_specification
from llm_mri_store.report.tables import table_html
from tests.report.pages import Page, unfolded

VALUES = (
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=4) | st.lists(st.integers())
)
ROWS = st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, min_size=1), max_size=12)


@given(ROWS)
def test_folded_rows_unfold_to_what_they_were(rows):
    written = json.loads(json.dumps(folded({"data": {"values": rows}})))
    assert unfolded(written) == {"data": {"values": rows}}


def test_only_data_are_folded():
    part = {"layer": [{"mark": "bar"}] * 6, "encoding": {"tooltip": [{"field": "a"}] * 6}}
    assert folded(part) == part


def test_numbers_keep_six_digits():
    assert folded({"datasets": {"d": [{"p": 1 / 3}]}}) == {"datasets": {"d": [{"p": 0.333333}]}}


def test_a_page_has_heading_and_colours_of_its_own():
    specification = {"title": "t", "config": {"background": "#fff"}, "$schema": "https://x", "mark": "bar"}
    assert page_specification(specification) == {"mark": "bar"}


def test_wrapped_lines_become_sentences_and_known_ones_are_left_out():
    lines = [
        "model over corpus, residual stream, mean pooling; PCA,",
        "2 components",
        "369 of 1,116 edges kept",
    ]
    known = {"model over corpus, residual stream, mean pooling; PCA, 2 components"}
    heading = {"title": {"text": "Graph", "subtitle": lines}}
    assert chart_heading(heading, known) == ("Graph", ("369 of 1,116 edges kept",))


@pytest.mark.parametrize("title", [None, "One", ["One"], {"text": "One"}])
def test_every_form_of_a_title_is_read(title):
    assert chart_heading({"title": title}) == ("One" if title else "", ())


def test_numbers_of_a_column_have_as_many_decimals():
    table = pa.table(
        {"mean": [50.44, 49.0], "p_fwe": [0.0004, 0.25], "share": [0.1234, None], "n": [1200, 3]}
    )
    page = Page(table_html(Rows(table=table, caption="c", percent=frozenset({"share"})), id="t"))
    assert page.text.endswith("50.4< 0.00112.3 %1,200" + "49.00.2503")
    assert page.faults == []


def test_texts_stand_below_one_another_and_a_narrow_screen_names_each_value():
    table = pa.table({"layer": [3], "texts": [["one " * 20, "two"]]})
    page = Page(table_html(Rows(table=table, caption="c"), id="t"))
    assert [tag for tag, _ in page.elements].count("span") == 2
    assert {"class": "number", "data-head": "layer"} in [attributes for _, attributes in page.elements]
