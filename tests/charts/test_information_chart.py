import pyarrow as pa
import pytest

from llm_mri_store import Store
from llm_mri_store.charts import information_chart, save_chart
from llm_mri_store.charts.theme import PAPER
from llm_mri_store.errors import InvalidInput
from tests.charts.drawings import drawn_rows, marks, parts, spoken, subtitle, title

NUMBERS = (
    "information by_chance by_chance_low by_chance_high band_fwe "
    "excess excess_low excess_high excess_share p p_fwe"
).split()
FLAT = "degenerate: one cell, which tells nothing"


def measured(information, *, p_fwe=0.001):
    """Numbers of a tested layer or step; chance gives 0.1 to 0.3 bits."""
    excess = information - 0.2
    values = [
        information,
        0.2,
        0.1,
        0.3,
        0.35,
        excess,
        excess - 0.15,
        excess + 0.15,
        excess / 2,
        p_fwe,
        p_fwe,
    ]
    return dict(zip(NUMBERS, values, strict=True))


def layer(number, information=1.0, *, p_fwe=0.001, **known):
    row = {"layer": number, "n": 300, "is_peak": False, "may_be_peak": False, "note": None}
    return row | measured(information, p_fwe=p_fwe) | known


def flat(number):
    nothing = dict.fromkeys(NUMBERS) | {"information": 0.0, "excess": 0.0, "excess_share": 0.0}
    return layer(number, note=FLAT) | nothing


def step(number, information=0.5, **known):
    return {"layer": number, "next_layer": number + 1, "n": 300, "note": None} | measured(information) | known


SCHEMA = pa.schema(
    [
        ("layer", pa.int64()),
        ("next_layer", pa.int64()),
        ("n", pa.int64()),
        *((name, pa.float64()) for name in NUMBERS),
        ("is_peak", pa.bool_()),
        ("may_be_peak", pa.bool_()),
        ("note", pa.string()),
    ]
)
TWIN = ("twin_excess", "twin_excess_low", "twin_excess_high", "twin_p_fwe")


def table(rows):
    has_twin = any(name in row for row in rows for name in TWIN)
    further = [(name, pa.float64()) for name in TWIN] if has_twin else []
    return pa.Table.from_pylist(rows, schema=pa.schema([*SCHEMA, *further]))


def draw(layers, steps=(), *, label_entropy=2.0, **options):
    return information_chart(
        table(layers), table(list(steps)), label_entropy=label_entropy, title="t", **options
    )


def panels(chart):
    return [part for part in parts(chart.to_dict()) if "height" in part]


def scale_top(panel):
    return panel["layer"][0]["encoding"]["y"]["scale"]["domain"][1]


def series(chart, column):
    """Marks that draw a column upward."""
    return [mark for mark in marks(chart) if mark["encoding"].get("y", {}).get("field") == column]


def rows_of(chart, mark):
    name = mark["data"].get("name")
    return chart.to_dict()["datasets"][name] if name else mark["data"]["values"]


def test_numbers_are_those_of_the_tables():
    layers, steps = [layer(0, 0.5), layer(1, 1.2, p_fwe=0.2), flat(2)], [step(0, 0.7)]

    drawn = drawn_rows(draw(layers, steps))

    for row in [*layers, *steps]:
        known = {name: value for name, value in row.items() if value is not None}
        assert any(known.items() <= one.items() for one in drawn)


def test_bits_are_drawn_by_layer_and_steps_between_their_layers():
    chart = draw([layer(0), layer(3), layer(6)], [step(0, next_layer=3), step(3, next_layer=6)])

    upper, lower = panels(chart)
    (above,) = [
        rows_of(chart, mark)
        for mark in series(chart, "information")
        if mark in upper["layer"] and mark["mark"]["type"] == "point"
    ]
    (below,) = [
        rows_of(chart, mark)
        for mark in series(chart, "information")
        if mark in lower["layer"] and mark["mark"]["type"] == "point"
    ]
    assert [row["place"] for row in above] == [0, 3, 6]
    assert [row["place"] for row in below] == [1.5, 4.5]
    axes = [panel["layer"][0]["encoding"]["y"]["axis"]["title"] for panel in (upper, lower)]
    assert axes == ["I(label; cell), bits", "I(label; next cell | cell), bits"]


def test_the_band_of_chance_and_the_family_wise_line_are_drawn():
    chart = draw([layer(0), layer(1)])

    (band,) = marks(chart, "area")
    assert band["encoding"]["y"]["field"] == "by_chance_low"
    assert band["encoding"]["y2"]["field"] == "by_chance_high"
    (line,) = series(chart, "band_fwe")
    assert line["mark"]["strokeDash"] == [5, 3]


def test_points_are_filled_where_they_pass():
    for alpha in (0.05, 0.01):
        (points,) = marks(draw([layer(0), layer(1)], alpha=alpha), "point")[:1]
        (condition,) = points["encoding"]["fill"]["condition"]
        assert condition["test"] == f"isValid(datum.p_fwe) && datum.p_fwe <= {alpha}"
        assert points["encoding"]["fill"]["value"] == PAPER


def test_both_panels_have_as_many_pixels_to_a_bit():
    for steps in ([step(0, 0.2), step(1, 0.3)], [step(0, 3.0), step(1, 0.3)]):
        upper, lower = panels(draw([layer(0), layer(1), layer(2)], steps))
        assert upper["height"] / scale_top(upper) == pytest.approx(lower["height"] / scale_top(lower))
        assert 130 <= min(upper["height"], lower["height"]) <= max(upper["height"], lower["height"]) <= 281


def test_the_entropy_is_drawn_where_the_curve_comes_near_it_and_told_where_not():
    near, far = draw([layer(0, 1.0), layer(1)], label_entropy=2.0), draw([layer(0, 1.0)], label_entropy=20.0)

    assert len(series(near, "label_entropy")) == 1
    assert "lies above" not in subtitle(near)
    assert series(far, "label_entropy") == []
    assert "The label's entropy, 20.00 bits, lies above the axis." in subtitle(far)


def test_a_degenerate_layer_is_crossed_out_and_parts_the_lines(tmp_path):
    chart = draw([flat(0), layer(1), layer(2), flat(3), layer(4)])

    assert "× not tested: degenerate layers 0, 3." in subtitle(chart)
    (crosses,) = [mark for mark in marks(chart, "text") if mark["mark"].get("text") == "×"]
    assert [row["layer"] for row in rows_of(chart, crosses)] == [0, 3]
    runs = {row["layer"]: row["run"] for row in drawn_rows(chart) if "run" in row}
    assert runs[1] == runs[2] != runs[4]
    assert all(mark["encoding"]["detail"]["field"] == "run" for mark in marks(chart, "line"))
    said = [words for words in spoken(chart, tmp_path / "c.svg") if FLAT in words]
    assert len(said) == 2
    assert all("chance (95 % band): not tested" in words for words in said)


def test_a_layer_alone_has_its_band_as_a_bar():
    chart = draw([layer(6)])

    assert marks(chart, "area") == []
    assert any(mark["mark"]["type"] == "rule" for mark in series(chart, "by_chance_low"))
    assert len(panels(chart)) == 1


def test_the_peak_is_named_where_it_passes_and_asked_where_others_may_be_it():
    sure = draw([layer(0), layer(1, 1.5, is_peak=True, may_be_peak=True)])
    unsure = draw([layer(0, may_be_peak=True), layer(1, 1.5, is_peak=True, may_be_peak=True)])
    nothing = draw([layer(0), layer(1, 0.3, is_peak=True, may_be_peak=True, p_fwe=0.4)])

    words = [
        [mark["mark"]["text"] for mark in marks(chart, "text") if "text" in mark["mark"]]
        for chart in (sure, unsure, nothing)
    ]
    assert words == [["peak"], ["peak?"], []]
    assert "The peak may as well be at layer 0 (95 % confidence set)." in subtitle(unsure)
    assert "peak" not in subtitle(sure) + subtitle(nothing)


def test_a_twin_is_drawn_as_its_excess_on_top_of_chance_here(tmp_path):
    of_twin = dict(zip(TWIN, (0.05, -0.1, 0.2, 0.6), strict=True))
    chart = draw([layer(0, **of_twin), layer(1, **of_twin)], [step(0)])

    twins = series(chart, "twin")
    assert {mark["mark"]["type"] for mark in twins} == {"line", "point"}
    calculated = {one["as"]: one["calculate"] for one in twins[0]["transform"]}
    assert calculated["twin"] == "max(0, datum.by_chance + datum.twin_excess)"
    assert "Random twin" in subtitle(chart)
    assert "Random twin" not in subtitle(draw([layer(0)]))
    assert any(
        "random twin's excess: 0.050 bits (−0.100 to 0.200)" in words
        for words in spoken(chart, tmp_path / "c.svg")
    )


def test_the_tooltip_tells_the_excess_its_interval_and_its_share(tmp_path):
    said = spoken(draw([layer(0), layer(1)]), tmp_path / "c.svg")

    assert any(
        "I(label; cell): 1.000 bits; chance (95 % band): 0.200 bits (0.100 to 0.300); "
        "excess (95 % interval): 0.800 bits (0.650 to 0.950); excess / label's entropy: 40.0%; p: 0.001; "
        "family-wise p: 0.001" in words
        for words in said
    )


def test_without_intervals_no_bar_is_drawn_or_told():
    bare = {"excess_low": None, "excess_high": None, "may_be_peak": None}

    chart = draw([layer(0, **bare), layer(1, is_peak=True, **bare)])

    assert series(chart, "low") == []
    assert "Bars" not in subtitle(chart)


@pytest.mark.parametrize(
    "layers",
    [
        [layer(0)],
        [flat(0)],
        [flat(0), flat(1)],
        [layer(number) for number in range(13)],
        [layer(number) for number in range(33)],
    ],
)
def test_the_chart_can_be_drawn(layers, tmp_path):
    steps = [step(one["layer"]) for one in layers[:-1]]

    picture = save_chart(draw(layers, steps), tmp_path / "c.svg")

    assert picture.read_text().startswith("<svg")


def test_where_no_layer_varies_it_says_so():
    assert "No layer varies, so nothing was tested." in subtitle(draw([flat(0), flat(1)]))


def test_what_cannot_be_drawn_is_refused():
    rows = table([layer(0)])
    for layers, options, message in (
        (rows.drop_columns("band_fwe"), {}, "information of layers lacks band_fwe"),
        (rows.slice(0, 0), {}, "no rows"),
        (rows, {"alpha": 0}, "alpha is 0"),
    ):
        with pytest.raises(InvalidInput, match=message):
            information_chart(layers, rows.slice(0, 0), label_entropy=1.0, title="t", **options)


def test_a_reduction_draws_its_information_with_a_title_that_says_what_was_tested(tiny_store):
    reduction = Store(tiny_store).scans["tiny"].reductions["pca-2"]
    found = reduction.information(n_permutations=99, seed=5)

    chart = reduction.plot.information(found)

    assert title(chart) == "What the cell tells of 3 labels (n = 24), against chance: 99 permutations, seed 5"
    drawn = [row["information"] for row in drawn_rows(chart) if "information" in row]
    assert set(found.layers["information"]) | set(found.steps["information"]) == set(drawn)
