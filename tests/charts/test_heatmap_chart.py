import json

import pyarrow as pa
import pytest

from llm_mri_store.charts import heatmap_chart, heatmap_layers_chart
from llm_mri_store.charts.palettes import PALETTES
from llm_mri_store.charts.theme import EMPTY
from llm_mri_store.errors import InvalidInput

COLUMNS = ["layer", "label", "cell_x", "cell_y", "n", "share"]


def dense_cells(counts, *, layer=0, label="true"):
    """Cells of one layer and label; counts[x][y]."""
    total = sum(map(sum, counts))
    return pa.Table.from_pylist(
        [
            dict(zip(COLUMNS, (layer, label, x, y, n, n / total if total else 0.0), strict=True))
            for x, column in enumerate(counts)
            for y, n in enumerate(column)
        ],
        schema=pa.schema(
            [
                ("layer", pa.int16()),
                ("label", pa.string()),
                ("cell_x", pa.int16()),
                ("cell_y", pa.int16()),
                ("n", pa.int64()),
                ("share", pa.float64()),
            ]
        ),
    )


def drawn_rows(chart):
    (rows,) = chart.to_dict()["datasets"].values()
    return rows


def encodings(spec):
    """Every encoding of a chart, however it is layered or facetted."""
    if isinstance(spec, dict):
        for name, part in spec.items():
            if name == "encoding":
                yield part
            elif name != "datasets":
                yield from encodings(part)
    elif isinstance(spec, list):
        for part in spec:
            yield from encodings(part)


def colour_scales(chart):
    return [
        encoding["color"]["scale"] for encoding in encodings(chart.to_dict()) if "scale" in encoding["color"]
    ]


def test_the_drawn_rows_are_the_table():
    cells = dense_cells([[0, 3], [1, 0]])

    rows = drawn_rows(heatmap_chart(cells, title="t"))

    assert [{column: row[column] for column in COLUMNS} for row in rows] == cells.to_pylist()


def test_component_2_grows_upward():
    encoding = next(encodings(heatmap_chart(dense_cells([[1, 2], [3, 4]]), title="t").to_dict()))

    assert encoding["x"]["scale"]["domain"] == [0, 1]
    assert encoding["y"]["scale"]["domain"] == [1, 0]
    assert encoding["x"]["axis"]["title"] == "component 1 (cell)"
    assert encoding["y"]["axis"]["title"] == "component 2 (cell)"


def test_cells_without_samples_are_drawn_empty_whatever_the_scale():
    encoding = next(encodings(heatmap_chart(dense_cells([[0, 2], [3, 4]]), title="t").to_dict()))

    assert encoding["color"]["condition"] == {"test": "datum.n === 0", "value": EMPTY}
    for palette in PALETTES.values():
        assert palette.empty not in palette.sequential


@pytest.mark.parametrize(
    ("counts", "value", "domain"),
    [
        ([[0, 2], [3, 5]], "n", [1, 5]),
        ([[0, 1], [1, 0]], "n", [0, 1]),
        ([[0, 0], [0, 0]], "n", [0, 1]),
        ([[0, 2], [3, 5]], "share", [0, 0.5]),
    ],
)
def test_colours_end_at_the_largest_value(counts, value, domain):
    scales = colour_scales(heatmap_chart(dense_cells(counts), value=value, title="t"))

    assert [scale["domain"] for scale in scales] == [domain]


def test_the_legend_says_what_colours_count():
    cells = dense_cells([[0, 2], [3, 5]])

    samples = next(encodings(heatmap_chart(cells, title="t").to_dict()))["color"]["legend"]
    shares = next(encodings(heatmap_chart(cells, value="share", title="t").to_dict()))["color"]["legend"]

    assert samples["title"] == "samples"
    assert (shares["title"], shares["format"]) == ("share of samples", ".0%")


def test_small_grids_print_their_numbers_and_large_ones_do_not():
    small = heatmap_chart(dense_cells([[0, 2], [3, 12345]]), title="t")
    large = heatmap_chart(dense_cells([[1] * 13] * 13), title="t")

    assert [row["printed"] for row in drawn_rows(small)] == ["", "2", "3", "12k"]
    assert "layer" in small.to_dict()
    assert "layer" not in large.to_dict()


def test_a_small_share_is_not_printed_as_zero():
    rows = drawn_rows(heatmap_chart(dense_cells([[1, 0], [40, 9_959]]), value="share", title="t"))

    assert [row["printed"] for row in rows] == ["<0.1%", "", "0.4%", "100%"]


def test_no_label_means_all_labels():
    rows = drawn_rows(heatmap_chart(dense_cells([[2]], label=None), title="t"))

    assert rows[0]["label"] == "all labels"


def test_a_share_that_is_not_finite_is_drawn_as_missing():
    cells = dense_cells([[0]]).set_column(5, "share", [[float("nan")]])

    spec = heatmap_chart(cells, value="share", title="t").to_dict()

    assert "NaN" not in json.dumps(spec, allow_nan=False)


def test_examples_stand_with_their_cell_three_at_most():
    examples = pa.table(
        {"layer": [0] * 5, "cell_x": [1] * 5, "cell_y": [0] * 5, "text": ["a", "b", "c", "d", None]}
    )

    rows = drawn_rows(heatmap_chart(dense_cells([[0, 2], [3, 5]]), title="t", examples=examples))

    assert [row["examples"] for row in rows] == ["", "", "“a”\n“b”\n“c”", ""]


def test_several_layers_in_one_heatmap_are_refused():
    cells = pa.concat_tables([dense_cells([[1]], layer=0), dense_cells([[1]], layer=1)])

    with pytest.raises(InvalidInput, match=r"2 pairs of layer and label.*heatmap_layers_chart"):
        heatmap_chart(cells, title="t")


def test_a_sparse_table_is_refused():
    with pytest.raises(InvalidInput, match="has 3 cells, expected all 4 of a 2 x 2 grid"):
        heatmap_chart(dense_cells([[1, 2], [3, 4]]).slice(1), title="t")


def test_an_empty_table_is_refused():
    with pytest.raises(InvalidInput, match="no rows"):
        heatmap_chart(dense_cells([[1]]).slice(1), title="t")


def test_a_missing_column_is_named():
    with pytest.raises(InvalidInput, match="lacks share; it has"):
        heatmap_chart(dense_cells([[1]]).drop_columns(["share"]), title="t")
    with pytest.raises(InvalidInput, match="table of examples lacks text"):
        heatmap_chart(
            dense_cells([[1]]), title="t", examples=pa.table({"layer": [0], "cell_x": [0], "cell_y": [0]})
        )


def test_an_unknown_value_is_refused():
    with pytest.raises(InvalidInput, match="expected 'n'"):
        heatmap_chart(dense_cells([[1]]), value="count", title="t")


def test_all_panels_share_one_colour_scale():
    cells = pa.concat_tables([dense_cells([[0, 2], [3, 5]], layer=4), dense_cells([[9, 1], [0, 0]], layer=2)])

    chart = heatmap_layers_chart(cells, title="t")

    assert [scale["domain"] for scale in colour_scales(chart)] == [[1, 9]]
    assert "resolve" not in chart.to_dict()
    assert [{column: row[column] for column in COLUMNS} for row in drawn_rows(chart)] == cells.to_pylist()


def test_a_degenerate_layer_is_named_and_does_not_stretch_the_scale():
    cells = pa.concat_tables(
        [dense_cells([[0, 2], [3, 5]], layer=4), dense_cells([[10, 0], [0, 0]], layer=2)]
    )

    chart = heatmap_layers_chart(cells, title="t", degenerate_layers=[2])

    (scale,) = colour_scales(chart)
    assert (scale["domain"], scale["clamp"]) == ([1, 5], True)
    assert {row["layer"]: row["panel"] for row in drawn_rows(chart)} == {
        4: "layer 4",
        2: "layer 2 · degenerate",
    }
    assert "lies beyond the scale" in " ".join(chart.to_dict()["title"]["subtitle"])


def test_panels_of_one_label_fill_lines_in_order_of_layers():
    cells = pa.concat_tables([dense_cells([[1]], layer=layer) for layer in range(6)])

    spec = heatmap_layers_chart(cells, title="t", columns=4).to_dict()

    assert spec["columns"] == 4
    assert spec["facet"]["sort"] == {"field": "layer", "op": "min"}


def test_several_labels_make_rows_in_the_tables_order():
    cells = pa.concat_tables(
        [dense_cells([[1]], layer=layer, label=label) for label in ("b", "a") for layer in (0, 1)]
    )

    chart = heatmap_layers_chart(cells, title="t")

    assert set(chart.to_dict()["facet"]) == {"row", "column"}
    assert {row["label"]: row["label_rank"] for row in drawn_rows(chart)} == {"b": 0, "a": 1}


def test_no_columns_are_refused():
    with pytest.raises(InvalidInput, match="columns is 0"):
        heatmap_layers_chart(dense_cells([[1]]), title="t", columns=0)


def test_more_than_five_thousand_cells_are_drawn():
    cells = pa.concat_tables([dense_cells([[1] * 50] * 50, layer=layer) for layer in range(3)])

    assert len(drawn_rows(heatmap_layers_chart(cells, title="t"))) == 7_500
