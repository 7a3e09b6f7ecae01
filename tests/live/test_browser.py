"""The live page in a browser: what it asks its server for, and what it shows of the answers."""

from urllib.parse import urlsplit

import pytest

from llm_mri_store import Store
from tests.live.server import serving
from tests.store.stores import write_reduction, write_scan

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
CELL = 9


@pytest.fixture
def store(tmp_path):
    import numpy as np

    rng = np.random.default_rng(3)
    labels = ["plain", "<b>&'\""] * 60
    cells = rng.integers(0, 4, size=(120, 2, 2))
    cells[:70, 1] = divmod(CELL, 4)
    texts = [f"{HOSTILE} text {place}" for place in range(120)]
    store = write_scan(tmp_path / "store", "live", labels=labels, texts=texts)
    write_reduction(store, "live", cells=cells)
    return store


def test_a_cell_lists_exactly_the_texts_of_sql_and_only_the_server_is_asked(store, browser):
    reduction = Store(store.root).reduction()
    rows = reduction.ask("cell_texts", layer=1, cell_x=2, cell_y=1, limit=1000).rows()
    assert len(rows) > 60
    with serving(store.root) as server:
        page = browser.new_page()
        asked, complaints = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: said.type == "error" and complaints.append(said.text))
        page.goto(f"{server.address}#layer=1&cell={CELL}")
        page.wait_for_selector("#explorer-texts p")
        page.evaluate("explorer.ready()")
        while page.locator("#explorer-more").is_visible():
            page.click("#explorer-more")
            page.evaluate("explorer.ready()")
        assert page.locator("#explorer-texts p").all_inner_texts() == [row["text"] for row in rows]
        assert complaints == []
        assert {urlsplit(url).netloc for url in asked if not url.startswith("data:")} == {server.place}
        assert any("/api/texts?" in url for url in asked)
        assert any("/api/points?layer=1" in url for url in asked)

        Store(store.root).remove("live/pca-2")
        page.evaluate("location.hash = '#layer=1&cell=2'")
        page.wait_for_function(
            "document.querySelector('#explorer-count').textContent.includes('is no longer in the store')"
        )
        page.close()
