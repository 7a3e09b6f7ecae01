import pyarrow as pa
import pytest

from llm_mri_store import Store
from llm_mri_store.charts import quality_chart
from llm_mri_store.charts.quality import MEASURES
from llm_mri_store.errors import InvalidInput
from tests.charts.drawings import drawn_rows, marks, spoken, subtitle, title

QUALITY = {
    "layer": [0, 3],
    "is_degenerate": [True, False],
    "effective_rank": [None, 12.5],
    "anisotropy": [1.0, 0.25],
    "n_distinct": [1, 24],
}


def values(chart):
    return {(row["measure"], row["layer"]): row.get("value") for row in drawn_rows(chart)}


def test_each_measure_is_a_panel_with_the_tables_numbers():
    chart = quality_chart(pa.table(QUALITY), title="t")
    assert values(chart) == {
        (name, layer): QUALITY[name][place]
        for name in ("effective_rank", "anisotropy", "n_distinct")
        for place, layer in enumerate(QUALITY["layer"])
    }
    assert {row["panel"] for row in drawn_rows(chart)} == {
        "effective rank (dimensions)",
        "anisotropy (mean cosine)",
        "distinct vectors (count)",
    }
    assert chart.to_dict()["resolve"]["scale"] == {"y": "independent"}


def test_degenerate_layers_are_crosses_also_where_they_have_no_value(tmp_path):
    chart = quality_chart(pa.table(QUALITY), title="t")
    assert "× degenerate layer 0: its activations do not vary between texts." in subtitle(chart)
    crosses = [part for part in marks(chart, "point") if part["mark"].get("shape") == "cross"]
    assert len(crosses) == 2
    said = [words for words in spoken(chart, tmp_path / "q.svg") if "none: the layer is degenerate" in words]
    assert len(said) == 1


def test_a_table_without_a_measure_is_refused():
    with pytest.raises(InvalidInput, match="nothing that could be drawn"):
        quality_chart(pa.table({"layer": [0], "is_degenerate": [False]}), title="t")
    with pytest.raises(InvalidInput, match="lacks is_degenerate"):
        quality_chart(pa.table({"layer": [0]}), title="t")


@pytest.mark.parametrize("kind", ["layer_quality", "map_quality"])
def test_numbers_are_those_of_the_named_query(tiny_store, kind):
    reduction = Store(tiny_store).reduction()
    chart = reduction.plot.quality() if kind == "layer_quality" else reduction.plot.map_quality()
    rows = reduction.ask(kind).rows()
    drawn = values(chart)
    assert {name for name, _ in drawn} == {name for name in MEASURES if rows[0].get(name) is not None}
    for row in rows:
        for name in {name for name, _ in drawn}:
            assert drawn[name, row["layer"]] == row[name]
    assert "(n = 24)" in title(chart)


def test_a_scan_without_a_reduction_has_its_quality_drawn(tiny_store):
    assert "mean pooling" in subtitle(Store(tiny_store).scans["tiny"].plot.quality())
