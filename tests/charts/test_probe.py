from itertools import pairwise

import pyarrow as pa
import pytest

from llm_mri_store.charts import save_chart
from llm_mri_store.charts.probe import probe_chart, spread_apart
from llm_mri_store.errors import InvalidInput, UnknownName


def score(layer, features, mean, *, half_width=0.05, metric="balanced_accuracy"):
    return {
        "layer": layer,
        "features": features,
        "metric": metric,
        "mean": mean,
        "ci_low": mean - half_width,
        "ci_high": mean + half_width,
        "n_folds": 25,
        "n_samples": 1300,
        "n_labels": 2,
    }


def every_series(layers=(0, 1, 2)):
    rows = [
        score(layer, features, mean)
        for layer in layers
        for features, mean in [("activations", 0.9), ("points", 0.7), ("cells", 0.65), ("shuffled", 0.5)]
    ]
    rows += [score(None, "n_tokens", 0.55), score(None, "majority", 0.5, half_width=0)]
    return pa.Table.from_pylist(rows)


def subtitle(chart):
    return chart.to_dict()["title"]["subtitle"]


def drawn_data(chart):
    """The rows of every mark, mark type by mark type."""
    specification = chart.to_dict()
    for layer in specification["layer"]:
        data = layer["data"]
        rows = data["values"] if "values" in data else specification["datasets"][data["name"]]
        yield layer["mark"]["type"], rows


def test_each_series_is_named_beside_its_end():
    names = [
        rows[0]["name"] for mark, rows in drawn_data(probe_chart(every_series(), title="t")) if mark == "text"
    ]
    assert set(names) == {
        "activations",
        "points",
        "cells",
        "shuffled labels",
        "number of tokens alone",
        "chance: most frequent label",
    }


def test_feature_sets_are_lines_with_bands_and_baselines_without_layers_span_the_width():
    marks = [mark for mark, _ in drawn_data(probe_chart(every_series(), title="t"))]
    assert marks.count("area") == marks.count("line") == 4
    assert marks.count("rect") == 2


def test_feature_sets_have_a_colour_and_a_shape_each():
    chart = probe_chart(every_series(), title="t").to_dict()
    dots = [layer["mark"] for layer in chart["layer"] if layer["mark"]["type"] == "point"]
    looks = {(mark["color"]["expr"], mark["shape"]) for mark in dots if mark["size"] > 20}
    assert len({colour for colour, _ in looks}) == len({shape for _, shape in looks}) == 3


def test_the_subtitle_says_what_is_drawn_and_what_chance_is():
    lines = " ".join(subtitle(probe_chart(every_series(), title="t", subtitle=["demo"])))
    assert lines.startswith("demo Mean of 25 folds, 1,300 samples, 2 labels; bands are 95 % confidence")
    assert "Chance, always answering the most frequent label, scores 0.50." in lines


def test_the_vertical_axis_is_whole_unless_it_says_otherwise():
    near = pa.Table.from_pylist([score(0, "points", 0.6), score(1, "points", 0.7)])
    far = pa.Table.from_pylist([score(0, "points", 0.2), score(1, "points", 0.9)])
    for table, domain, is_said in ((near, [0.5, 0.8], True), (far, [0.0, 1.0], False)):
        chart = probe_chart(table, title="t")
        assert chart.to_dict()["layer"][0]["encoding"]["y"]["scale"]["domain"] == domain
        assert any("vertical axis" in line for line in subtitle(chart)) == is_said


def test_only_the_asked_metric_is_drawn():
    table = pa.Table.from_pylist(
        [score(0, "points", 0.6), score(1, "points", 0.7), score(0, "points", 0.1, metric="f1_macro")]
    )
    chart = probe_chart(table, metric="f1_macro", title="t")
    assert chart.to_dict()["layer"][0]["encoding"]["y"]["axis"]["title"] == "macro F1"
    means = [row["mean"] for mark, rows in drawn_data(chart) if mark == "line" for row in rows]
    assert means == [0.1]


def test_a_single_layer_shows_its_intervals_side_by_side():
    chart = probe_chart(every_series(layers=[6]), title="t")
    places = [rows[0]["place"] for mark, rows in drawn_data(chart) if mark == "line"]
    assert len(set(places)) == 4
    assert sum(places) / 4 == pytest.approx(6)
    assert "area" not in {mark for mark, _ in drawn_data(chart)}


@pytest.mark.parametrize("layers", [(0, 1, 2), (6,), range(33), ()])
def test_the_chart_can_be_drawn(layers, tmp_path):
    picture = save_chart(probe_chart(every_series(layers), title="t"), tmp_path / "probe.svg")
    assert picture.read_text().startswith("<svg")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'balanced_accuracy'"):
        probe_chart(every_series(), metric="balanced_acuracy", title="t")
    with pytest.raises(InvalidInput, match="lacks ci_low"):
        probe_chart(every_series().drop_columns("ci_low"), title="t")
    with pytest.raises(InvalidInput, match="there is no look for tea leaves"):
        probe_chart(pa.Table.from_pylist([score(0, "tea leaves", 0.6)]), title="t")


@pytest.mark.parametrize(
    "heights", [[0.5], [0.5, 0.5, 0.5], [0.0, 0.0, 0.9], [0.99, 1.0, 1.0], [0.1, 0.4, 0.45, 0.5]]
)
def test_labels_keep_their_order_and_distance_and_stay_inside(heights):
    placed = spread_apart(heights, gap=0.1, low=0.0, high=1.0)
    assert all(above - below >= 0.1 - 1e-12 for below, above in pairwise(placed))
    assert placed[0] >= 0
    assert placed[-1] <= 1 + 1e-12


def test_labels_far_enough_apart_stay_where_they_are():
    assert spread_apart([0.1, 0.3, 0.8], gap=0.1, low=0.0, high=1.0) == pytest.approx([0.1, 0.3, 0.8])
