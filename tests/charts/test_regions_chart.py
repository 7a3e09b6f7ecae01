import pyarrow as pa
import pytest

from llm_mri_store import Store
from llm_mri_store.charts import regions_chart
from llm_mri_store.errors import InvalidInput, UnknownName
from tests.charts.drawings import inline_data, marks, title

CELLS = [(0, 0, "a", 6), (0, 0, "b", 2), (1, 0, "b", 4), (2, 5, "a", 1), (3, 5, "a", 1), (4, 5, "b", 1)]


def table(cells=CELLS, layer=3):
    rows = [{"layer": layer, "cell_x": x, "cell_y": y, "label": label, "n": n} for x, y, label, n in cells]
    return pa.Table.from_pylist(rows)


def rows_with(chart, column):
    for rows in inline_data(chart.to_dict()):
        if rows and column in rows[0]:
            return rows
    raise AssertionError(column)


def shares(chart):
    return {(row["region"], row["label"]): (row["n"], row["share"]) for row in rows_with(chart, "share")}


def test_bars_are_the_largest_cells_with_all_samples_on_top_and_the_rest_at_the_bottom():
    chart = regions_chart(table(), title="t", most_regions=2)
    bars = {row["region"]: row["n"] for row in rows_with(chart, "is_all")}
    assert list(bars.items()) == [("all samples", 15), ("0, 0", 8), ("1, 0", 4), ("3 other cells", 3)]
    assert shares(chart) == {
        ("all samples", "a"): (8, 8 / 15),
        ("all samples", "b"): (7, 7 / 15),
        ("0, 0", "a"): (6, 0.75),
        ("0, 0", "b"): (2, 0.25),
        ("1, 0", "b"): (4, 1.0),
        ("3 other cells", "a"): (2, 2 / 3),
        ("3 other cells", "b"): (1, 1 / 3),
    }


def test_parts_of_a_bar_lie_side_by_side_and_fill_it():
    ends = {}
    for row in rows_with(regions_chart(table(), title="t"), "share"):
        assert row["from"] == pytest.approx(ends.get(row["region"], 0.0))
        ends[row["region"]] = row["to"]
    assert all(end == pytest.approx(1.0) for end in ends.values())


def test_a_single_cell_left_over_has_its_own_bar():
    regions = [
        row["region"] for row in rows_with(regions_chart(table(), title="t", most_regions=4), "is_all")
    ]
    assert regions[-1] == "4, 5"


def test_each_bar_says_its_samples():
    (numbers,) = [
        part
        for part in marks(regions_chart(table(), title="t"), "text")
        if "calculate" in str(part["transform"])
    ]
    assert "'n = ' + format(datum.n, ',d')" in str(numbers["transform"])


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InvalidInput, match="most_regions is 0"):
        regions_chart(table(), title="t", most_regions=0)
    with pytest.raises(InvalidInput, match="several layers"):
        regions_chart(pa.concat_tables([table(), table(layer=4)]), title="t")
    with pytest.raises(InvalidInput, match="nothing to draw"):
        regions_chart(table().slice(0, 0), title="t")


def test_shares_are_those_of_sql(tiny_store):
    reduction = Store(tiny_store).reduction()
    chart = reduction.plot.regions(2, most_regions=16)
    expected = {
        (f"{row['cell_x']}, {row['cell_y']}", row["label"]): (row["n"], row["share_of_cell"])
        for row in reduction.ask("label_shares", layer=2).rows()
    }
    drawn = shares(chart)
    assert {key: value for key, value in drawn.items() if key[0] != "all samples"} == expected
    assert {drawn["all samples", label] for label in "abc"} == {(8, 1 / 3)}
    assert title(chart) == "Layer 2: what its regions hold of 3 labels (n = 24)"
    with pytest.raises(UnknownName, match="layer 9"):
        reduction.plot.regions(9)
