"""The demo's report in a browser: what it draws, lists and asks for."""

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from llm_mri_store import Store
from tests.report.pages import HOSTILE
from tests.store.stores import write_reduction, write_scan

pytestmark = pytest.mark.model

SHOTS = Path(__file__).resolve().parents[2] / "build" / "report"
"""Where pictures of the page are put, to be looked at; git ignores it."""

DRAWN = (
    "charts.drawings.length > 4 && charts.drawings.every((one) => one.element.classList.contains('drawn'))"
)


class Opened:
    """A page that is open, with all that it asked for and complained of."""

    def __init__(self, browser, path, *, at="", width=1280, **options):
        self.page = browser.new_page(viewport={"width": width, "height": 900}, **options)
        self.requests, self.complaints = [], []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda said: said.type == "error" and self.complaints.append(said.text))
        self.page.goto(f"{path.as_uri()}{at}")
        self.page.wait_for_function(DRAWN)
        self.settle()

    def settle(self):
        self.page.evaluate("explorer.ready()")

    def chosen(self):
        return self.page.evaluate("({...explorer.chosen})")

    def rows(self, view, data):
        """What a view of the explorer draws."""
        return self.page.evaluate(f"explorer.views.{view}.data('{data}')")

    def choose(self, **values):
        """Chooses by the page's own controls."""
        if "label" in values:
            self.page.select_option("#explorer-label", label=values["label"])
        if "layer" in values:
            self.page.locator("#explorer-layer").fill(str(values["layer"]))
        self.settle()

    def click_cell(self, cell_x, cell_y):
        """Clicks the middle of a cell of the map, as its scales place it."""
        self.page.locator("#explorer-map").scroll_into_view_if_needed()
        x, y = self.page.evaluate(
            """([x, y]) => {
              const view = explorer.views.map, box = document.querySelector("#explorer-map svg");
              const middle = (name, value) => view.scale(name)(value) + view.scale(name).bandwidth() / 2;
              const origin = view.origin(), frame = box.getBoundingClientRect();
              const scale = frame.width / Number(box.getAttribute("width"));
              return [frame.left + scale * (origin[0] + middle("x", x)),
                      frame.top + scale * (origin[1] + middle("y", y))];
            }""",
            [cell_x, cell_y],
        )
        self.page.mouse.click(x, y)
        self.settle()

    def listed(self):
        """Texts of the list after all of them were asked for."""
        while self.page.locator("#explorer-more").is_visible():
            self.page.click("#explorer-more")
            self.settle()
        return self.page.locator("#explorer-texts p").all_inner_texts()


@pytest.fixture(scope="module")
def path(demo):
    (found,) = [file for what, file in demo.pages.items() if "report" in what]
    return found


@pytest.fixture
def open_page(browser):
    opened = []

    def open_one(path, **options):
        opened.append(Opened(browser, path, **options))
        return opened[-1]

    yield open_one
    for one in opened:
        one.page.close()


@pytest.fixture
def page(open_page, path):
    return open_page(path)


def test_the_report_is_the_first_page_that_the_demo_names(demo, path):
    assert next(iter(demo.pages.values())) == path
    assert path.stat().st_size < 5_000_000


def test_nothing_is_asked_for_and_nothing_fails(page, path):
    page.choose(layer=2, label="cooking")
    page.page.click("#ground")
    page.page.wait_for_function(DRAWN)
    assert page.requests == [path.as_uri()]
    assert page.complaints == []


def test_a_request_would_be_refused(page):
    """That no request leaves is held by the policy, not by luck."""
    refused = page.page.evaluate("fetch('data:text/plain,x').then(() => 'answered', () => 'refused')")
    assert refused == "refused"


def test_every_chart_is_drawn(page):
    marks = page.page.evaluate(
        "charts.drawings.map((one) => one.element.querySelectorAll('svg path, svg text, canvas').length)"
    )
    assert len(marks) >= 12
    assert min(marks) > 5


def test_layer_and_label_change_what_is_drawn(page, demo):
    for layer, label in ((6, "all labels"), (3, "all labels"), (3, "cooking")):
        page.choose(layer=layer, label=label)
        drawn = {(row["cell_x"], row["cell_y"]): row["n"] for row in page.rows("map", "cells")}
        counted = demo.reduction.heatmap(layer, None if label == "all labels" else label)
        assert drawn == {(row["cell_x"], row["cell_y"]): row["n"] for row in counted.rows()}
        strip = page.rows("strip", "cells")
        assert len(strip) == 7 * 100
        assert [row["n"] for row in strip if row["layer"] == layer] == [
            row["n"] for row in page.rows("map", "cells")
        ]
        points = {row["text"] for row in page.rows("scatter", "points")}
        assert len(points) > 250
        assert f"layer={layer}" in page.page.url
    share = [row["share"] for row in page.rows("map", "cells")]
    assert sum(share) == pytest.approx(1)
    assert all(row["value"] == row["n"] for row in page.rows("map", "cells"))
    page.page.check("#explorer-by-share")
    page.settle()
    assert all(row["value"] == row["share"] for row in page.rows("map", "cells"))


@pytest.mark.parametrize("label", ["all labels", "football"])
def test_clicking_a_cell_lists_the_texts_that_sql_gives(page, demo, label):
    page.choose(layer=5, label=label)
    name = None if label == "all labels" else label
    counted = sorted(demo.reduction.heatmap(5, name).rows(), key=lambda row: -row["n"])
    for cell in (counted[0], counted[3]):
        place = {axis: cell[axis] for axis in ("cell_x", "cell_y")}
        page.click_cell(**place)
        assert page.chosen()["cell"] == cell["cell_x"] * 10 + cell["cell_y"]
        wanted = demo.reduction.ask("cell_texts", layer=5, **place, label=name, limit=1000).rows()
        shown = page.listed()
        assert len(shown) == cell["n"] == len(wanted)
        for text, row in zip(shown, wanted, strict=True):
            assert " ".join(row["text"].split()).startswith(" ".join(text.removesuffix("…").split()))
        assert f"{cell['n']} of {cell['n']}" in page.page.inner_text("#explorer-count")


def test_the_label_bars_are_the_cells_counts(page, demo):
    page.choose(layer=6, label="all labels")
    page.click_cell(7, 6)
    rows = demo.reduction.ask("label_shares", layer=6).rows()
    wanted = {row["label"]: row["n"] for row in rows if (row["cell_x"], row["cell_y"]) == (7, 6)}
    drawn = {row["label"]: row["n"] for row in page.rows("shares", "shares") if row["n"]}
    assert drawn == wanted
    terms = demo.reduction.ask("cell_terms", layer=6, cell_x=7, cell_y=6, reduce_frequent=True)["term"]
    assert page.page.locator("#explorer-terms li").all_inner_texts() == terms


def test_a_cell_of_the_strip_chooses_layer_and_cell(page):
    squares = page.page.locator("#explorer-strip svg path[aria-label*='cell: 3, 5;']")
    for layer in (0, 6):
        squares.nth(layer).click()
        page.settle()
        assert (page.chosen()["layer"], page.chosen()["cell"]) == (layer, 35)
        assert page.page.input_value("#explorer-layer") == str(layer)


def test_the_filter_keeps_the_texts_that_hold_a_word(page):
    page.choose(layer=6, label="astronomy")
    texts = page.listed()
    word = max(texts[0].split(), key=len).strip(".,\"'").lower()
    page.page.fill("#explorer-filter", word)
    page.settle()
    assert page.listed() == [text for text in texts if word in text.lower()]


def test_an_address_shows_what_it_names(open_page, path):
    page = open_page(path, at=f"#{urlencode({'layer': 2, 'label': 'cooking', 'cell': 57, 'by': 'share'})}")
    assert page.chosen() == {"layer": 2, "label": "cooking", "cell": 57, "isShare": True}
    assert page.page.input_value("#explorer-layer") == "2"
    assert "Layer 2, cell 5, 7" in page.page.inner_text("#explorer-cell-title")
    wrong = open_page(path, at="#layer=99&label=nobody&cell=x")
    assert wrong.chosen()["layer"] == 6
    assert wrong.complaints == []


def test_a_cell_of_a_table_leads_to_the_explorer(page):
    link = page.page.locator("#contrast a[href^='#layer=']").first
    href = link.get_attribute("href")
    link.click()
    page.settle()
    assert f"#layer={page.chosen()['layer']}&cell={page.chosen()['cell']}" == href


def test_everything_works_by_keyboard(page):
    page.page.keyboard.press("Tab")
    assert page.page.evaluate("document.activeElement.className") == "skip"
    page.page.focus("#explorer-layer")
    page.page.keyboard.press("ArrowLeft")
    page.settle()
    assert page.chosen()["layer"] == 5
    page.page.focus("#explorer-map")
    page.page.keyboard.press("Home")
    page.settle()
    before = page.chosen()["cell"]
    page.page.keyboard.press("ArrowDown")
    page.settle()
    assert page.chosen()["cell"] == before - 1
    assert "Layer 5, cell" in page.page.inner_text("#explorer-said")
    page.page.focus("#ground")
    page.page.keyboard.press("Enter")
    assert page.page.get_attribute("html", "data-ground") == "dark"


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("ground", ["light", "dark"])
def test_the_page_fits_its_screen(open_page, path, width, ground):
    page = open_page(path, width=width, color_scheme=ground)
    assert page.page.evaluate("document.documentElement.scrollWidth") == width
    paper = page.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if ground == "light" else "rgb(20, 23, 28)")
    assert page.complaints == []
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.page.screenshot(path=SHOTS / f"report-{width}-{ground}.png", full_page=True)
    assert (SHOTS / f"report-{width}-{ground}.png").stat().st_size > 100_000


def contrast(one, other):
    """Contrast ratio of two colours (WCAG 2.2)."""

    def luminance(colour):
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ground", ["light", "dark"])
def test_all_words_are_readable(open_page, path, ground):
    page = open_page(path, color_scheme=ground)
    pairs = page.page.evaluate(
        """() => {
          const found = new Map();
          const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          while (walker.nextNode()) {
            const element = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || element.closest("script, style, svg, noscript")) continue;
            let behind = element;
            const isClear = (one) => /, 0\\)$|transparent/.test(getComputedStyle(one).backgroundColor);
            while (behind.parentElement && isClear(behind)) behind = behind.parentElement;
            found.set(`${getComputedStyle(element).color}|${getComputedStyle(behind).backgroundColor}`,
                      element.outerHTML.slice(0, 80));
          }
          return [...found];
        }"""
    )
    weak = {}
    for colours, where in pairs:
        ink, paper = colours.split("|")
        if contrast(ink, paper) < 4.5:
            weak[where] = colours
    assert len(pairs) > 3
    assert weak == {}


def test_a_print_shows_every_section_on_white(open_page, path):
    page = open_page(path, color_scheme="dark")
    pdf = page.page.pdf()
    assert len(pdf) > 100_000
    page.page.emulate_media(media="print")
    for section in page.page.locator("main > section").all():
        assert section.bounding_box()["height"] > 60
    assert page.page.locator("tbody[hidden]").first.is_visible()
    assert not page.page.locator(".bar").is_visible()
    assert (
        page.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        == "rgb(255, 255, 255)"
    )


def test_charts_have_words_for_those_who_do_not_see_them(page):
    for chart in page.page.locator("[role=img]").all():
        label = chart.get_attribute("aria-label") or page.page.inner_text(
            f"#{chart.get_attribute('aria-labelledby')}"
        )
        assert len(label) > 8


def test_a_copied_paragraph_is_that_which_is_shown(page):
    page.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.page.locator("[data-copy]").first.click()
    page.page.wait_for_function("document.querySelector('[data-copy]').textContent === 'Copied'")
    copied = page.page.evaluate("navigator.clipboard.readText()")
    assert copied == page.page.locator(".copyable .body").first.text_content()


def test_a_table_shows_the_rest_of_its_rows(page):
    button = page.page.locator("button[data-rest]").first
    hidden = page.page.locator(f"#{button.get_attribute('data-rest')}")
    assert not hidden.is_visible()
    button.click()
    assert hidden.is_visible()


def test_a_text_with_a_script_in_it_stays_text(open_page, tmp_path):
    labels = [HOSTILE, "b"] * 12
    store = write_scan(tmp_path / "store", "bad", labels=labels, texts=[f"{HOSTILE} {i}" for i in range(24)])
    import numpy as np

    write_reduction(store, "bad", cells=np.random.default_rng(0).integers(0, 4, size=(24, 2, 2)))
    path = Store(store.root).reduction().report(tmp_path / "r.html", n_permutations=19, probe=False)
    page = open_page(path)
    page.choose(label=HOSTILE.replace("\u2028", " "))
    assert page.listed()[0].startswith("</script><script>alert(1)</script>")
    assert page.page.locator("#explorer-texts script, #explorer-texts img").count() == 0
    assert page.requests == [path.as_uri()]
    assert page.complaints == []
    assert json.dumps(page.rows("shares", "shares")).count("alert(1)") == 1
