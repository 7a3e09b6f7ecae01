"""What the explorer is given, and its form in the page: every number is one that SQL gives."""

import json

import numpy as np
import pyarrow as pa
import pytest

from llm_mri_store import Store
from llm_mri_store.api import explorer
from llm_mri_store.api.explorer import explorer_data, points_of_layer, terms_of_cell, texts_of_cell
from llm_mri_store.api.reduction import Reduction
from llm_mri_store.errors import InvalidInput, ReductionError, UnknownName
from llm_mri_store.report.explorer import explorer_json
from tests.store.stores import random_store, write_planted, write_reduction, write_scan


@pytest.fixture(scope="module")
def reduction(tmp_path_factory):
    return Reduction(random_store(tmp_path_factory.mktemp("explorer") / "store"), "big", "pca-2")


def read(reduction, **options):
    """The page's data as its script reads it."""
    return json.loads(json.dumps(explorer_json(explorer_data(reduction, **options)), allow_nan=False))


def test_cells_are_those_of_the_heatmaps(reduction):
    page = read(reduction)
    columns = zip(*(page["cells"][name] for name in ("layer", "cell", "label", "n")), strict=True)
    counts = {(layer, cell, page["labels"][label]): n for layer, cell, label, n in columns}
    heatmaps = {
        (row["layer"], row["cell_x"] * page["grid"] + row["cell_y"], row["label"]): row["n"]
        for row in reduction.heatmaps().rows()
        if row["n"]
    }
    assert counts == heatmaps
    assert page["n_texts"] == sum(page["totals"])
    for place, total in enumerate(page["totals"]):
        at = [row for row in heatmaps.items() if row[0][0] == 0 and row[0][2] == page["labels"][place]]
        assert total == sum(n for _, n in at)


def test_words_of_a_cell_are_those_of_the_query(reduction):
    page = read(reduction)
    for layer, cells in page["terms"].items():
        for cell, words in cells.items():
            x, y = divmod(int(cell), page["grid"])
            asked = {"layer": int(layer), "cell_x": x, "cell_y": y, "reduce_frequent": True}
            assert words == reduction.ask("cell_terms", **asked)["term"]
            assert words == terms_of_cell(reduction, int(layer), int(cell))
    assert len(page["terms"]) == 3


def test_all_texts_are_there_where_they_fit_with_their_points(reduction):
    page = read(reduction)
    assert not page["is_sample"]
    assert len(page["texts"]["id"]) == page["n_texts"]
    for layer in page["layers"]:
        rows = reduction.ask("layer_points", layer=layer).rows()
        assert page["texts"]["id"] == [row["sample_id"] for row in rows]
        points = page["points"][str(layer)]
        assert points["cell"] == [row["cell_x"] * page["grid"] + row["cell_y"] for row in rows]
        assert points["x"] == pytest.approx([row["x"] for row in rows], rel=1e-3)
        assert page["texts"]["label"] == [page["labels"].index(row["label"]) for row in rows]


def test_a_cell_lists_exactly_the_texts_of_sql(reduction):
    page = read(reduction)
    for layer in page["layers"]:
        for cell in set(page["points"][str(layer)]["cell"]):
            x, y = divmod(cell, page["grid"])
            rows = reduction.ask("cell_texts", layer=layer, cell_x=x, cell_y=y, limit=1000).rows()
            here = [place for place, one in enumerate(page["points"][str(layer)]["cell"]) if one == cell]
            assert [page["texts"]["text"][place] for place in here] == [row["text"] for row in rows]
            n, texts = texts_of_cell(reduction, layer, cell, limit=200)
            assert (n, texts["text"].to_pylist()) == (len(rows), [row["text"] for row in rows])


def test_a_sample_is_said_to_be_one_and_leaves_no_cell_empty(reduction, monkeypatch):
    monkeypatch.setattr(explorer, "POINTS_PER_PAGE", 30)
    page = read(reduction, max_text_bytes=100, max_chars=10)
    assert page["is_sample"]
    assert len(page["texts"]["id"]) < page["n_texts"]
    assert all(len(text) <= 10 for text in page["texts"]["text"])
    assert any(text.endswith("…") for text in page["texts"]["text"])
    cells = {(layer, cell) for layer, points in page["points"].items() for cell in points["cell"]}
    columns = zip(page["cells"]["layer"], page["cells"]["cell"], strict=True)
    assert cells == {(str(layer), cell) for layer, cell in columns}


def test_the_same_store_gives_the_same_words(reduction):
    assert read(reduction) == read(reduction)


def test_a_live_page_holds_no_text(reduction):
    page = read(reduction, live=True)
    assert page["mode"] == "live"
    assert (page["terms"], page["points"], page["is_sample"]) == ({}, {}, False)
    assert page["texts"] == {"id": [], "label": [], "text": []}
    assert page["cells"] == read(reduction)["cells"]


def test_a_degenerate_layer_has_one_cell_and_no_words(tmp_path):
    reduction = Reduction(write_planted(tmp_path / "store"), "sky", "pca-2")
    page = read(reduction)
    assert page["degenerate"] == [0]
    assert set(page["terms"]) == {"1", "2"}
    assert terms_of_cell(reduction, 0, 5) == []


def test_samples_without_a_cell_are_not_counted_and_odd_ones_are_kept(tmp_path):
    labels = ["</script>", None, "b\u2028", "</script>", "b\u2028", "lost"]
    texts = [
        "",
        None,
        "a",
        "\U0001f600" * 500,
        "x\0y",
        "z",
    ]
    status = ["ok", "null_label", "ok", "ok", "ok", "not_finite"]
    store = write_scan(tmp_path / "store", "odd", labels=labels, texts=texts, status=status)
    cells = np.zeros((6, 2, 2), dtype=int)
    cells[[1, 5]] = -1
    write_reduction(store, "odd", cells=cells)
    page = read(Reduction(store, "odd", "pca-2"))
    assert page["labels"] == ["</script>", "b\u2028", "lost"]
    assert page["totals"] == [2, 2, 0]
    assert page["texts"]["id"] == [0, 2, 3, 4]
    assert page["texts"]["label"] == [0, 1, 0, 1]
    assert page["texts"]["text"][1:] == ["a", "\U0001f600" * 399 + "…", "x\0y"]


def test_a_token_is_shown_with_the_words_around_it(tmp_path, tiny_bert, tiny_corpus):
    store = Store(tmp_path / "store")
    scan = store.scan(tiny_bert, tiny_corpus, name="words", pooling="tokens", device="cpu", chunk_samples=40)
    reduction = scan.reduce("pca", grid=3)
    page = read(reduction)
    samples = {row["sample_id"]: row for row in scan.samples().rows()}
    assert len(page["texts"]["id"]) > 100
    for place, text in zip(page["texts"]["id"], page["texts"]["text"], strict=True):
        assert text == samples[place]["context"]
        assert f"«{samples[place]['text']}»" in text
    cell = page["points"]["1"]["cell"][0]
    _, texts = texts_of_cell(reduction, 1, cell, offset=1, limit=7)
    assert texts["text"].to_pylist() == [samples[one]["context"] for one in texts["sample_id"].to_pylist()]


def test_without_a_grid_there_is_nothing_to_explore(tmp_path):
    store = random_store(tmp_path / "store")
    write_reduction(store, "big", cells=np.zeros((200, 3, 3), dtype=int), grid=None, name="pca-3")
    with pytest.raises(ReductionError, match="3 components and no grid, so there are no cells"):
        explorer_data(Reduction(store, "big", "pca-3"))


def test_what_is_not_there_is_refused(reduction):
    with pytest.raises(UnknownName, match="layer 9 is not in scan"):
        points_of_layer(reduction, 9)
    with pytest.raises(InvalidInput, match="cell must be from 0 to 15, got -1"):
        terms_of_cell(reduction, 0, -1)
    with pytest.raises(InvalidInput, match="limit must be from 1 to 200, got 201"):
        texts_of_cell(reduction, 0, 0, limit=201)
    with pytest.raises(InvalidInput, match="must be at least 0, got -1"):
        explorer_data(reduction, max_text_bytes=-1)


def test_a_live_sample_of_points_is_the_same_at_every_layer(reduction):
    tables = [points_of_layer(reduction, layer, limit=20) for layer in reduction.layers]
    assert all(table["sample_id"] == tables[0]["sample_id"] for table in tables)
    assert isinstance(tables[0], pa.Table)
