import math

import pyarrow as pa
import pytest

from llm_mri_store import Store
from llm_mri_store.api.plot_tables import DRAWN_METRICS
from llm_mri_store.charts import metrics_chart
from llm_mri_store.errors import InvalidInput, UnknownName
from tests.charts.drawings import drawn_rows, marks, spoken, subtitle, title

ROWS = {
    "graph": ["true", "fake", "new"] * 2,
    "metric": ["density"] * 3 + ["assortativity"] * 3,
    "value": [0.1, 0.2, 0.15, -0.5, None, 0.0],
    "value_low": [0.05, None, 0.1, None, None, None],
    "value_high": [0.15, None, 0.2, None, None, None],
    "n": [30, 5, 35] * 2,
}


def test_values_and_intervals_are_those_of_the_table():
    drawn = {
        (row["graph"], row["metric"]): row for row in drawn_rows(metrics_chart(pa.table(ROWS), title="t"))
    }
    for row in pa.table(ROWS).to_pylist():
        for name in ("value", "value_low", "value_high"):
            assert drawn[row["graph"], row["metric"]].get(name) == row[name]


def test_each_graph_is_named_with_its_samples():
    chart = metrics_chart(pa.table(ROWS), title="t")
    lines = {row["line"] for row in drawn_rows(chart)}
    assert lines == {"true (n = 30)", "fake (n = 5)", "new (n = 35)"}
    assert "Bars: 95 % intervals." in subtitle(chart)


def test_names_that_are_cut_alike_keep_lines_of_their_own():
    long = ["a very long label that goes on one", "a very long label that goes on two"]
    table = pa.table({"graph": long, "metric": ["density"] * 2, "value": [0.1, 0.2]})
    assert len({row["line"] for row in drawn_rows(metrics_chart(table, title="t"))}) == 2


def test_what_is_not_defined_is_a_word(tmp_path):
    chart = metrics_chart(pa.table(ROWS), title="t")
    assert any("not defined" in words for words in spoken(chart, tmp_path / "m.svg"))
    assert [part["mark"]["text"] for part in marks(chart, "text")] == ["not defined"]


def test_an_empty_table_is_refused():
    with pytest.raises(InvalidInput, match="no rows"):
        metrics_chart(pa.table(ROWS).slice(0, 0), title="t")


def test_numbers_are_those_of_metrics_and_intervals_hold_them(tiny_store):
    reduction = Store(tiny_store).reduction()
    chart = reduction.plot.metrics()
    expected = {row["graph"]: row for row in reduction.metrics().rows()}
    rows = drawn_rows(chart)
    assert {row["metric"] for row in rows} == set(DRAWN_METRICS)
    for row in rows:
        value = expected[row["graph"]][row["metric"]]
        assert row.get("value") == (None if value is None else pytest.approx(value))
        if "value_low" in row:
            assert row["value_low"] <= row["value"] <= row["value_high"]
    assert {row["graph"] for row in rows if "value_low" in row} == {"a", "b", "c"}
    assert title(chart) == "Graph metrics of 3 labels (n = 24)"


def test_the_intervals_own_values_are_those_of_the_graphs(tiny_store):
    from llm_mri_store.analysis.contrast_cells import read_cells
    from llm_mri_store.analysis.graph_intervals import metric_intervals

    reduction = Store(tiny_store).reduction()
    place = reduction._place()
    found = metric_intervals(read_cells(place.scan, place.reduction), ["a", "b", "c"])
    expected = {row["graph"]: row for row in reduction.metrics().rows()}
    for row in found.to_pylist():
        value = expected[row["graph"]][row["metric"]]
        if value is None:
            assert row["value"] is None
        else:
            assert math.isclose(row["value"], value, rel_tol=1e-9, abs_tol=1e-12), row


def test_metrics_can_be_chosen_and_unknown_ones_are_named(tiny_store):
    plot = Store(tiny_store).reduction().plot
    assert {row["metric"] for row in drawn_rows(plot.metrics("a", metrics=["density"]))} == {"density"}
    with pytest.raises(UnknownName, match="metric 'densty'"):
        plot.metrics(metrics=["densty"])
