import pyarrow as pa
import pytest

from llm_mri_store import Store
from llm_mri_store.charts import comparison_chart, save_chart
from llm_mri_store.charts.comparison import _DISTANCE_COLUMNS, _METRIC_COLUMNS
from llm_mri_store.errors import InvalidInput
from tests.charts.drawings import drawn_rows, marks, parts, spoken, subtitle, title


def table(rows, columns):
    kinds = [(name, pa.string() if place == 0 else pa.float64()) for place, name in enumerate(columns)]
    return pa.Table.from_pylist(rows, schema=pa.schema(kinds))


def distance(name="jaccard", value=0.9, *, p_fwe=0.01, **known):
    row = {
        "distance": name, "value": value, "value_low": 0.8, "value_high": 1.0, "by_chance": 0.7,
        "by_chance_low": 0.6, "by_chance_high": 0.75, "excess": 0.2, "rarefied": value, "p": 0.005,
        "p_fwe": p_fwe,
    }  # fmt: skip
    return row | known


def metric(name="n_nodes", a=168.0, b=190.0, *, p_fwe=0.5, **known):
    row = {
        "metric": name, "value_a": a, "value_a_low": a - 20, "value_a_high": a + 20, "value_b": b,
        "value_b_low": b - 20, "value_b_high": b + 20, "difference": a - b, "difference_low": a - b - 30,
        "difference_high": a - b + 30, "by_chance": 1.0, "by_chance_low": -30.0, "by_chance_high": 30.0,
        "rarefied_a": a, "rarefied_b": b, "p": 0.02, "p_fwe": p_fwe,
    }  # fmt: skip
    return row | known


UNDEFINED = dict.fromkeys(_METRIC_COLUMNS[1:])


def draw(distances=(), metrics=(), **options):
    return comparison_chart(
        table(list(distances), _DISTANCE_COLUMNS),
        table(list(metrics), _METRIC_COLUMNS),
        **({"name_a": "true", "name_b": "fake", "title": "t"} | options),
    )


def facets(chart):
    return [part for part in parts(chart.to_dict()) if "facet" in part]


def test_numbers_are_those_of_the_tables():
    distances = [distance(), distance("spectral", 0.02, p_fwe=0.4)]
    metrics = [metric(), metric("density", **UNDEFINED)]

    drawn = drawn_rows(draw(distances, metrics))

    for row in [*distances, *metrics]:
        known = {name: value for name, value in row.items() if value is not None}
        assert sum(known.items() <= one.items() for one in drawn) == 2


def test_each_side_is_drawn_at_its_value_with_its_interval():
    rows = {row["side"]: row for row in drawn_rows(draw(metrics=[metric()]))}

    assert [rows["true"][name] for name in ("at", "low", "high")] == [168, 148, 188]
    assert [rows["fake"][name] for name in ("at", "low", "high")] == [190, 170, 210]


def test_a_distance_stands_above_its_band_of_chance():
    chart = draw([distance()])

    (band,) = [mark for mark in marks(chart, "rule") if mark["mark"]["strokeWidth"] == 12]
    assert band["encoding"]["x"]["field"] == "by_chance_low"
    assert band["encoding"]["x2"]["field"] == "by_chance_high"
    assert band["encoding"]["y"]["scale"]["domain"] == ["between the two", "if relabelled"]


def test_panels_are_named_with_their_unit_and_p_in_the_order_of_the_table():
    chart = draw(
        [distance(), distance("jensen_shannon")],
        [metric("var_strength", p_fwe=0.023), metric("new_one", p_fwe=None)],
    )

    names = dict.fromkeys(row["panel"] for row in drawn_rows(chart))
    assert list(names) == [
        "Jaccard (share not in common) · family-wise p = 0.01",
        "Jensen-Shannon (bits) · family-wise p = 0.01",
        "variance of strength (samples²) · family-wise p = 0.023",
        "new one · not tested",
    ]
    assert all(part["facet"]["sort"] == {"field": "order", "op": "min"} for part in facets(chart))


def test_every_panel_has_a_scale_of_its_own():
    assert all(
        part["resolve"] == {"scale": {"x": "independent"}} for part in facets(draw([distance()], [metric()]))
    )


def test_points_are_filled_where_they_pass_and_counted():
    chart = draw(
        [distance(), distance("spectral", p_fwe=0.06)], [metric(p_fwe=0.05), metric("density", **UNDEFINED)]
    )

    assert "Filled points pass a family-wise p of 0.05: 1 of 2 distances, 1 of 1 metrics." in subtitle(chart)
    conditions = [mark["encoding"]["fill"]["condition"] for mark in marks(chart, "point")]
    assert {one["test"] for (one,) in conditions} == {"isValid(datum.p_fwe) && datum.p_fwe <= 0.05"}


def test_what_is_not_defined_is_said(tmp_path):
    chart = draw(metrics=[metric("skew_degree", **UNDEFINED)])

    words = save_chart(chart, tmp_path / "c.svg").read_text()
    assert words.count(">not defined<") == 2
    assert any("p: not tested; family-wise p: not tested" in one for one in spoken(chart, tmp_path / "d.svg"))


def test_sides_of_different_size_show_metrics_of_equally_many_samples():
    even = draw(metrics=[metric()])
    uneven = draw(metrics=[metric(rarefied_a=120.0, rarefied_b=190.0000001)])

    assert [row.get("fair") for row in drawn_rows(even)] == [None, None]
    assert [row.get("fair") for row in drawn_rows(uneven)] == [120, None]
    assert "Upright strokes" in subtitle(uneven)
    assert "Upright strokes" not in subtitle(even)


def test_without_intervals_it_says_so():
    bare = dict.fromkeys(["value_low", "value_high"])

    assert "There are no intervals: too few samples." in subtitle(draw([distance(**bare)]))
    assert "Bars: 95 % intervals." in subtitle(draw([distance()]))


def test_the_tooltip_tells_both_values_their_difference_and_p(tmp_path):
    said = spoken(draw([distance()], [metric(p_fwe=0.04)]), tmp_path / "c.svg")

    for expected in (
        "value (95 % interval): 0.900 (0.800 to 1.000); of equally many samples: 0.900; "
        "by chance (95 % band): 0.700 (0.600 to 0.750); excess over chance: +0.200; p: 0.005; "
        "family-wise p: 0.01",
        "true (95 % interval): 168 (148 to 188); fake (95 % interval): 190 (170 to 210)",
        "difference (95 % interval): −22 (−52 to +8); by chance (95 % band): +1 (−30 to +30); p: 0.02; "
        "family-wise p: 0.04",
    ):
        assert any(expected in words for words in said)


def test_long_names_are_cut_and_stay_apart():
    long = "a label whose name is a whole sentence about "

    chart = draw(metrics=[metric()], name_a=long + "this", name_b=long + "that")

    sides = {row["side"] for row in drawn_rows(chart)}
    assert sides == {"A: a label whose name …", "B: a label whose name …"}


def test_one_of_the_tables_may_be_empty(tmp_path):
    for chart in (draw([distance()]), draw(metrics=[metric()])):
        assert len(facets(chart)) == 1
        assert save_chart(chart, tmp_path / "c.svg").read_text().startswith("<svg")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InvalidInput, match="no rows"):
        draw()
    with pytest.raises(InvalidInput, match=r"alpha is 1\.5"):
        draw([distance()], alpha=1.5)
    with pytest.raises(InvalidInput, match="metrics of graphs lacks p_fwe"):
        comparison_chart(
            table([], _DISTANCE_COLUMNS),
            table([metric()], _METRIC_COLUMNS).drop_columns("p_fwe"),
            name_a="a",
            name_b="b",
            title="t",
        )


def test_a_reduction_draws_its_comparison_with_a_title_that_says_what_was_tested(tiny_store):
    reduction = Store(tiny_store).scans["tiny"].reductions["pca-2"]
    found = reduction.compare("a", "b", n_permutations=99, seed=1)

    chart = reduction.plot.comparison(found)

    assert title(chart) == "Graphs of 'a' (n = 8) and 'b' (n = 8), against chance: 99 permutations, seed 1"
    drawn = drawn_rows(chart)
    for row in [*found.distances.rows(), *found.metrics.rows()]:
        names = _DISTANCE_COLUMNS if "distance" in row else _METRIC_COLUMNS
        known = {name: row[name] for name in names if row[name] is not None}
        assert sum(known.items() <= one.items() for one in drawn) == 2
