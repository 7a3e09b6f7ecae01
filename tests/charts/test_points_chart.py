import pyarrow as pa
import pytest

from llm_mri_store import Store
from llm_mri_store.charts import points_chart
from llm_mri_store.errors import InvalidInput, UnknownName
from tests.charts.drawings import drawn_rows, marks, subtitle, title

POINTS = {
    "layer": [0, 0, 3, 3],
    "label": ["a", "b", "a", None],
    "x": [1.0, 2.0, -1.0, None],
    "y": [0.5, 0.25, 4.0, None],
    "text": ["one", "two\nlines", "one", "three"],
}
DENSITY = {
    "layer": [0, 3],
    "left": [0.0, -2.0],
    "right": [3.0, 2.0],
    "bottom": [0.0, 0.0],
    "top": [1.0, 5.0],
    "n": [40, 0],
}


def draw(points=None, density=DENSITY, **more):
    table = pa.table(POINTS if points is None else points)
    return points_chart(table, None if density is None else pa.table(density), title="t", **more)


def dots(chart):
    return [row for row in drawn_rows(chart) if "x" in row]


def test_points_are_those_of_the_table_and_a_sample_without_one_is_left_out():
    found = {(row["layer"], row["label"]): (row["x"], row["y"], row["text"]) for row in dots(draw())}
    assert found == {
        (0, "a"): (1.0, 0.5, "one"),
        (0, "b"): (2.0, 0.25, "two lines"),
        (3, "a"): (-1.0, 4.0, "one"),
    }


def test_the_ground_holds_the_occupied_cells():
    (cell,) = [row for row in drawn_rows(draw()) if "left" in row]
    assert (cell["layer"], cell["n"], cell["right"]) == (0, 40, 3.0)
    ground, dotted = marks(draw())
    assert (ground["mark"]["type"], dotted["mark"]["type"]) == ("rect", "circle")
    assert ground["encoding"]["opacity"]["scale"]["domain"] == [0, 40]
    assert not marks(draw(density=None), "rect")


def test_each_layer_has_a_panel_with_scales_of_its_own():
    spec = draw(degenerate_layers=[3], columns=1).to_dict()
    assert spec["resolve"]["scale"] == {"x": "independent", "y": "independent"}
    assert spec["columns"] == 1
    assert {row["panel"] for row in drawn_rows(draw(degenerate_layers=[3]))} == {
        "layer 0",
        "layer 3 · degenerate",
    }


def test_small_labels_are_drawn_over_large_ones():
    many = {name: [*values[:1] * 5, values[1]] for name, values in POINTS.items()}
    assert [row["label"] for row in dots(draw(many))][-1] == "b"


def test_more_points_are_drawn_smaller():
    def size(n):
        points = {name: values[:1] * n for name, values in POINTS.items()}
        return marks(draw(points), "circle")[0]["mark"]["size"]

    assert size(1) > size(1000) >= size(20_000) > 0


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InvalidInput, match="no sample of these layers has a point"):
        draw({name: values[3:] for name, values in POINTS.items()})
    with pytest.raises(InvalidInput, match="columns is 0"):
        draw(columns=0)
    with pytest.raises(InvalidInput, match="the table of points lacks x"):
        draw({"layer": [0], "label": ["a"], "y": [1.0]})


# --- of a reduction --------------------------------------------------------------------------------------


@pytest.fixture
def tiny(tiny_store):
    return Store(tiny_store).reduction()


def test_points_and_ground_are_those_of_sql(tiny):
    chart = tiny.plot.points(2)
    query = (
        "SELECT p.label, coordinates, text FROM points AS p JOIN samples USING (sample_id) WHERE layer = 2"
    )
    rows = Store(tiny._store.root).sql(query).rows()
    expected = {(row["label"], row["text"], *map(float, row["coordinates"])) for row in rows}
    assert {(row["label"], row["text"], row["x"], row["y"]) for row in dots(chart)} == expected
    counts = sorted(row["n"] for row in tiny.heatmap(2).rows() if row["n"])
    cells = [row for row in drawn_rows(chart) if "left" in row]
    assert sorted(row["n"] for row in cells) == counts
    assert title(chart) == "Layer 2: where samples lie (n = 24)"
    assert "All 24 samples drawn as points" in subtitle(chart)


def test_each_cell_of_the_ground_holds_its_points(tiny):
    chart = tiny.plot.points([1, 3])
    for cell in (row for row in drawn_rows(chart) if "left" in row):
        inside = [
            row
            for row in dots(chart)
            if row["layer"] == cell["layer"]
            and cell["left"] < row["x"] <= cell["right"]
            and cell["bottom"] < row["y"] <= cell["top"]
        ]
        assert len(inside) == cell["n"]


def test_a_sample_is_the_same_at_every_layer_and_said_to_be_one(tiny):
    chart = tiny.plot.points([1, 2], n_points=10)
    ids = [{row["sample_id"] for row in dots(chart) if row["layer"] == layer} for layer in (1, 2)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 5
    assert "5 of 24 samples drawn as points, a sample with seed 0" in subtitle(chart)
    assert sum(row["n"] for row in drawn_rows(chart) if "left" in row) == 48
    other = tiny.plot.points([1, 2], n_points=10, seed=1)
    assert {row["sample_id"] for row in dots(other)} != ids[0]


def test_layers_and_numbers_that_are_not_there_are_refused(tiny):
    with pytest.raises(UnknownName, match="layer 9"):
        tiny.plot.points(9)
    with pytest.raises(InvalidInput, match="n_points is 0"):
        tiny.plot.points(1, n_points=0)
