import json
import os
import re
import zlib
from html.parser import HTMLParser

import altair as alt
import networkx as nx
import pyarrow as pa
import pytest
import vl_convert

from llm_mri_store.charts import (
    apply_theme,
    chart_page,
    heatmap_chart,
    inert_json,
    nrag_chart,
    save_chart,
)
from llm_mri_store.charts.png import packed
from llm_mri_store.errors import ExportError, WriteFailed

HOSTILE = "</script><script>alert('\"1\"')</script>" + "<img src=http://example.org/x onerror=alert(2)>" * 3


class Page(HTMLParser):
    """Counts elements and collects their attributes and the title."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.title = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] == "title" and not self.title:
            self.title = data


@pytest.fixture
def chart():
    cells = pa.table(
        {"layer": [0], "label": [HOSTILE], "cell_x": [0], "cell_y": [0], "n": [3], "share": [1.0]}
    )
    return heatmap_chart(cells, title=f"Layer 0 of {HOSTILE}")


def hostile_graph():
    labels = (HOSTILE, "b", "c")
    graph = nx.DiGraph(labels=labels, layers=(0, 1), label_totals=dict.fromkeys(labels, 3))
    for node in ("0_0_0", "1_0_0"):
        graph.add_node(
            node, layer=int(node[0]), cell=(0, 0), label_weights=dict.fromkeys(labels, 1), texts=[HOSTILE]
        )
    graph.add_edge("0_0_0", "1_0_0", weight=3.0, label_weights=dict.fromkeys(labels, 1.0))
    return graph


@pytest.mark.parametrize(
    ("ending", "starts_with"),
    [
        ("html", b"<!DOCTYPE html>"),
        ("svg", b"<svg"),
        ("png", b"\x89PNG\r\n"),
        ("json", b"{"),
        ("PNG", b"\x89PNG"),
    ],
)
def test_a_chart_is_written_by_its_ending(chart, tmp_path, ending, starts_with):
    path = save_chart(chart, tmp_path / f"chart.{ending}")

    assert path == tmp_path / f"chart.{ending}"
    assert path.read_bytes().startswith(starts_with)
    assert os.listdir(tmp_path) == [path.name]


def test_the_json_is_the_charts_specification(chart, tmp_path):
    path = save_chart(chart, str(tmp_path / "chart.json"))

    assert json.loads(path.read_text(encoding="utf-8")) == chart.to_dict()


def test_scale_multiplies_the_pixels_of_a_png(chart, tmp_path):
    def width(scale):
        content = save_chart(chart, tmp_path / "chart.png", scale=scale).read_bytes()
        return int.from_bytes(content[16:20], "big")

    assert width(3.0) == pytest.approx(3 * width(1.0), abs=3)


@pytest.mark.parametrize("drawn", ["heatmap", "graph"])
def test_a_page_asks_for_nothing_outside_itself(chart, drawn):
    page = Page(chart_page(chart if drawn == "heatmap" else nrag_chart(hostile_graph(), title=HOSTILE)))

    assert not [attributes for _, attributes in page.elements if {"src", "href"} & attributes.keys()]
    assert [tag for tag, _ in page.elements] == [
        "html", "head", "meta", "meta", "meta", "title", "style", "script", "body", "div", "script", "script",
    ]  # fmt: skip
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_a_pages_data_come_back_as_they_were(chart):
    (written,) = re.findall(r'id="chart-specification">(.*?)</script>', chart_page(chart))

    assert json.loads(written) == chart.to_dict()


def test_a_page_is_titled_as_its_chart():
    chart = apply_theme(alt.Chart(alt.InlineData(values=[{"n": 1}])).mark_bar(), title="R&D <b>")

    assert "<title>R&amp;D &lt;b&gt;</title>" in chart_page(chart)


def test_hostile_labels_are_text_in_a_picture(tmp_path):
    picture = save_chart(nrag_chart(hostile_graph(), title=HOSTILE), tmp_path / "graph.svg").read_text(
        "utf-8"
    )

    assert "<script" not in picture
    assert "<img" not in picture
    assert "&lt;/script&gt;" in picture


def test_inert_json_holds_no_markup():
    written = inert_json({"text": HOSTILE + "<!--"})

    assert not set("<>&") & set(written)
    assert json.loads(written) == {"text": HOSTILE + "<!--"}


def test_an_unknown_ending_names_the_known_ones(chart, tmp_path):
    with pytest.raises(ExportError, match=r"its ending must be \.html, \.json, \.png or \.svg"):
        save_chart(chart, tmp_path / "chart.pdf")
    with pytest.raises(ExportError, match="its ending must be"):
        save_chart(chart, tmp_path / "chart")


@pytest.mark.parametrize("scale", [0, -1, float("nan")])
def test_a_scale_that_is_not_positive_is_refused(chart, tmp_path, scale):
    with pytest.raises(ExportError, match="must be above 0"):
        save_chart(chart, tmp_path / "chart.png", scale=scale)


def test_a_missing_folder_is_named(chart, tmp_path):
    with pytest.raises(WriteFailed, match="there is no folder"):
        save_chart(chart, tmp_path / "nowhere" / "chart.json")


def test_a_folder_in_the_way_is_told_and_nothing_is_left(chart, tmp_path):
    (tmp_path / "chart.json").mkdir()

    with pytest.raises(WriteFailed, match="a folder is in the way"):
        save_chart(chart, tmp_path / "chart.json")
    assert os.listdir(tmp_path) == ["chart.json"]


def test_a_failed_write_keeps_the_former_file(chart, tmp_path, monkeypatch):
    (tmp_path / "chart.json").write_text("former")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(PermissionError(13, "denied")))

    with pytest.raises(WriteFailed, match="no permission"):
        save_chart(chart, tmp_path / "chart.json")
    assert (tmp_path / "chart.json").read_text() == "former"
    assert os.listdir(tmp_path) == ["chart.json"]


def test_a_chart_that_is_not_valid_is_told(tmp_path):
    broken = alt.Chart(alt.InlineData(values=[])).mark_bar().encode(x=alt.X("a:Q"))
    broken.width = "wide"

    with pytest.raises(ExportError, match="not valid Vega-Lite"):
        save_chart(broken, tmp_path / "chart.json")


def test_a_packed_picture_has_the_same_pixels_in_fewer_bytes(chart):
    picture = vl_convert.vegalite_to_png(chart.to_dict(), vl_version="6.4")
    smaller = packed(picture)

    def parts(content):
        place, found = 8, {}
        while place < len(content):
            size = int.from_bytes(content[place : place + 4], "big")
            name, data = content[place + 4 : place + 8], content[place + 8 : place + 8 + size]
            check = int.from_bytes(content[place + 8 + size : place + 12 + size], "big")
            assert check == zlib.crc32(name + data)
            found[name] = found.get(name, b"") + data
            place += 12 + size
        return found | {b"IDAT": zlib.decompress(found[b"IDAT"])}

    assert parts(smaller) == parts(picture)
    assert len(smaller) < len(picture) / 2


@pytest.mark.parametrize("ending", [".svg", ".png"])
def test_characters_that_no_xml_may_hold_are_drawn_as_a_sign(tmp_path, ending):
    # The drawing library would end the process at one of them.
    words = "a\x1b]0;b\x07\x00\x0b\ufffe\x7f\u202e end"
    drawn = alt.Chart(alt.InlineData([{"label": words}]), title=words).mark_text().encode(text="label:N")
    path = save_chart(drawn, tmp_path / f"words{ending}")
    assert path.stat().st_size > 0
    if ending == ".svg":
        assert "a\ufffd]0;b\ufffd\ufffd\ufffd\ufffd\x7f\u202e end" in path.read_text()
