import base64
import hashlib
import json
import re

import pyarrow as pa
import pytest

from llm_mri_store.charts import vega_library
from llm_mri_store.report.content import (
    Chart,
    Copyable,
    Explorer,
    Facts,
    Figure,
    Missing,
    PageContent,
    Paragraphs,
    Remarks,
    Rows,
    Section,
)
from llm_mri_store.report.explorer import ExplorerData
from llm_mri_store.report.page import build_page
from tests.report.pages import HOSTILE, Page


def hostile_data(*, is_live=False):
    place = {"layer": [0], "cell_x": [0], "cell_y": [1]}
    return ExplorerData(
        layers=(0,),
        degenerate_layers=(),
        grid=2,
        labels=(HOSTILE,),
        label_totals=(1,),
        cells=pa.table({**place, "label": [HOSTILE], "n": [1]}),
        terms={(0, 0, 1): (HOSTILE,)},
        texts=pa.table({"sample_id": [0], "label": [HOSTILE], "text": [HOSTILE]}),
        points=pa.table({**place, "sample_id": [0], "x": [0.5], "y": [0.25]}),
        n_texts=1,
        title=HOSTILE,
        subtitle=HOSTILE,
        is_live=is_live,
    )


def hostile_content(**explorer):
    specification = {
        "title": {"text": [HOSTILE], "subtitle": [HOSTILE]},
        "data": {"values": [{"a": HOSTILE}]},
    }
    blocks = (
        Remarks(sentences=(HOSTILE,)),
        Facts(facts={HOSTILE: HOSTILE}),
        Paragraphs(sentences=(HOSTILE,)),
        Missing(why=HOSTILE),
        Copyable(title=HOSTILE, words=HOSTILE, form="shell"),
        Rows(
            table=pa.table({"a": [HOSTILE] * 9, "b": [[HOSTILE]] * 9}),
            caption=HOSTILE,
            headings={"a": HOSTILE},
            most=2,
            links={"a": [HOSTILE] * 9},
        ),
        Chart(specification=specification, alt=HOSTILE, caption=HOSTILE),
        Explorer(data=hostile_data(**explorer)),
    )
    return PageContent(
        title=HOSTILE,
        subtitle=HOSTILE,
        figures=(Figure(number=HOSTILE, words=HOSTILE),),
        sections=(Section(id="all", title=HOSTILE, lead=HOSTILE, short=HOSTILE, blocks=blocks),),
        made_with={HOSTILE: HOSTILE},
    )


@pytest.fixture(scope="module")
def html():
    return build_page(hostile_content())


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_every_element_is_closed_and_every_id_is_unique(page):
    assert page.faults == []
    assert len(page.ids()) == len(set(page.ids()))
    named = {
        name
        for _, attributes in page.elements
        for key in ("aria-labelledby", "aria-describedby", "for", "data-rest", "data-copy")
        for name in (attributes.get(key) or "").split()
    }
    assert named <= set(page.ids())


def test_hostile_words_are_words(page):
    tags = [tag for tag, _ in page.elements]
    assert "img" not in tags
    assert tags.count("script") == 6
    # Nothing of a template is filled in twice.
    assert page.text.count("{{title}}") >= 12
    assert page.json("explorer-data")["texts"]["text"] == [HOSTILE]
    assert page.json("explorer-data")["labels"] == [HOSTILE]


def test_nothing_leads_out_of_the_page(page):
    for _, attributes in page.elements:
        assert not {"src", "action", "formaction", "srcdoc"} & attributes.keys()
        assert attributes.get("href", "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on")]


def test_only_the_pages_own_scripts_may_run(page):
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "connect-src 'none'" in policy
    allowed = re.search(r"script-src ([^;]*)", policy)[1]
    assert "unsafe-inline" not in allowed
    run = [words for attributes, words in page.scripts if "type" not in attributes]
    assert len(run) == 2
    for words in run:
        digest = base64.b64encode(hashlib.sha256(words.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed


def test_a_live_page_may_ask_its_server_and_nobody_else():
    live = Page(build_page(hostile_content(is_live=True)))
    policy = next(a["content"] for _, a in live.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "connect-src 'self'" in policy
    assert live.json("explorer-data")["mode"] == "live"


def test_the_library_is_there_once(html):
    assert html.count(vega_library()[:2000]) == 1


def test_the_rest_of_a_long_table_is_folded_away(page):
    hidden = [attributes for tag, attributes in page.elements if tag == "tbody" and "hidden" in attributes]
    assert len(hidden) == 1
    assert [tag for tag, _ in page.elements].count("tr") == 10


def test_the_same_content_gives_the_same_page(html):
    assert build_page(hostile_content()) == html


def test_both_grounds_are_there(page):
    grounds = page.json("grounds")
    assert set(grounds) == {"light", "dark"}
    assert grounds["light"]["background"] != grounds["dark"]["background"]
    assert json.dumps(grounds)
