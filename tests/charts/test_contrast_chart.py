import json
from itertools import product

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_mri_store import Store
from llm_mri_store.charts import chart_page, contrast_chart, save_chart
from llm_mri_store.charts.contrast_rows import CONTRAST_COLUMNS, borders
from llm_mri_store.charts.palettes import DARK, LIGHT
from llm_mri_store.charts.theme import DIFFERENCE, EMPTY, UNKNOWN
from llm_mri_store.errors import InvalidInput
from tests.charts.drawings import drawn_rows, marks, spoken, subtitle, title

PLACE = ("layer", "cell_x", "cell_y")
WHOLE = ("layer", "cell_x", "cell_y", "n_a", "n_b", "cluster")
SCHEMA = pa.schema(
    [
        (name, pa.bool_() if name == "is_tested" else pa.int32() if name in WHOLE else pa.float64())
        for name in CONTRAST_COLUMNS
    ]
)


def cell_of(difference, **known):
    """The row of a tested cell of 10 samples."""
    half = difference / 2
    return {
        "n_a": 6, "n_b": 4, "share_a": 0.1 + half, "share_b": 0.1 - half, "is_tested": True,
        "difference": difference, "difference_low": difference - 0.1, "difference_high": difference + 0.1,
        "log_odds": 0.0, "log_odds_low": -1.0, "log_odds_high": 1.0,
        "z": 10 * difference, "p": 0.5, "q": 0.9, "p_fwe": 1.0, "p_tfce": 1.0,
    } | known  # fmt: skip


def table(cells, *, grid=3, layers=(0,)):
    """Every cell of a grid, those of no sample but for the given ones: (layer, x, y) -> columns."""
    nothing = {"n_a": 0, "n_b": 0, "share_a": 0.0, "share_b": 0.0, "is_tested": False}
    rows = [
        dict(zip(PLACE, place, strict=True)) | cells.get(place, nothing)
        for place in product(layers, range(grid), range(grid))
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def draw(cells, **options):
    return contrast_chart(cells, **({"name_a": "true", "name_b": "fake", "title": "t"} | options))


def drawn_cells(chart):
    return {tuple(row[name] for name in PLACE): row for row in drawn_rows(chart) if "cell_x" in row}


def lines(chart, words):
    """Lines of one kind: layer, x, y, x2, y2."""
    return {
        tuple(row[name] for name in ("layer", "x", "y", "x2", "y2"))
        for row in drawn_rows(chart)
        if "outline" in row and words in row["outline"]
    }


def enclosed(segments, grid):
    """Cells that lines run around: an odd number of upright ones is crossed on the way in from the left."""
    return {
        (x, y)
        for x, y in product(range(grid), repeat=2)
        if sum(x1 == x2 and x1 <= x and y1 <= y < y2 for x1, y1, x2, y2 in segments) % 2
    }


def test_numbers_are_those_of_the_table_and_cells_without_samples_are_not_drawn():
    cells = table({(0, 1, 2): cell_of(0.2, p_fwe=0.01), (1, 0, 0): cell_of(-0.1)}, layers=(0, 1))

    shown = drawn_cells(draw(cells))

    expected = {
        tuple(row[name] for name in PLACE): {name: value for name, value in row.items() if value is not None}
        for row in cells.to_pylist()
        if row["n_a"] + row["n_b"]
    }
    assert set(shown) == set(expected) == {(0, 1, 2), (1, 0, 0)}
    for place, row in expected.items():
        assert {name: shown[place].get(name) for name in row} == row
    assert draw(cells).to_dict()["spec"]["view"]["fill"] == EMPTY


def test_the_scale_is_symmetric_and_shared_and_a_is_blue():
    cells = table({(0, 0, 0): cell_of(0.05), (1, 0, 0): cell_of(-0.25)}, layers=(0, 1))

    (colour,) = [
        part["encoding"]["color"]
        for part in marks(draw(cells), "rect")
        if "scale" in part["encoding"]["color"]
    ]

    assert colour["field"] == "difference"
    assert colour["scale"]["domain"] == [-0.25, 0.25]
    assert colour["scale"]["range"] == DIFFERENCE
    for palette in (LIGHT, DARK):
        assert int(palette.difference[-1][5:], 16) > int(palette.difference[-1][1:3], 16)
    assert colour["legend"]["title"][1:] == ["blue: more of A, true", "orange: more of B, fake"]


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.2])
def test_solid_lines_run_around_exactly_the_cells_that_pass(alpha):
    p = {(0, 0): 0.05, (0, 1): 0.004, (1, 1): 0.051, (2, 0): 0.2, (2, 2): 0.01}
    cells = table({(4, x, y): cell_of(0.1, p_fwe=one) for (x, y), one in p.items()}, layers=(4,))

    chart = draw(cells, alpha=alpha)

    passing = {place for place, one in p.items() if one <= alpha}
    assert enclosed({line[1:] for line in lines(chart, "cells")}, 3) == passing
    assert {place[1:] for place, row in drawn_cells(chart).items() if row["passes"]} == passing


@settings(max_examples=60, deadline=None)
@given(st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5))))
def test_lines_enclose_any_set_of_cells_and_are_as_long_as_they_can_be(members):
    segments = borders(dict.fromkeys(members, 1))

    assert enclosed(segments, 6) == members
    for x1, _, x2, y2 in segments:
        others = [one for one in segments if (one[0] == one[2]) == (x1 == x2)]
        assert (x2, y2) not in {one[:2] for one in others}


def test_a_line_parts_neighbours_of_opposite_sign():
    cells = table({(0, 0, 0): cell_of(0.3, p_fwe=0.01), (0, 1, 0): cell_of(-0.3, p_fwe=0.01)})

    assert (0, 1, 0, 1, 1) in lines(draw(cells), "cells")


def test_dashed_lines_run_around_the_clusters_that_pass():
    cells = table(
        {
            (0, 0, 0): cell_of(0.1, cluster=2, p_cluster=0.04),
            (0, 0, 1): cell_of(0.1, cluster=2, p_cluster=0.04, p_fwe=0.03),
            (0, 2, 2): cell_of(0.1, cluster=3, p_cluster=0.06),
        }
    )

    chart = draw(cells)

    assert enclosed({line[1:] for line in lines(chart, "clusters")}, 3) == {(0, 0), (0, 1)}
    (outline,) = marks(chart, "rule")
    names = outline["encoding"]["strokeDash"]["scale"]["domain"]
    assert names == [
        "cells that differ, family-wise p ≤ 0.05",
        "clusters that differ, family-wise p ≤ 0.05",
    ]
    solid, dashed = outline["encoding"]["strokeDash"]["scale"]["range"]
    assert (solid, dashed) == ([1, 0], [3, 2])


def test_a_cell_that_only_its_neighbours_make_pass_is_not_pale():
    chart = draw(table({(0, 0, 0): cell_of(0.1, p_tfce=0.02), (0, 1, 1): cell_of(0.1)}))

    assert {place[1:]: row["passes"] for place, row in drawn_cells(chart).items()} == {
        (0, 0): True,
        (1, 1): False,
    }
    assert "Of 2 cells tested, 0 pass a family-wise p of 0.05 by themselves and 1 with" in subtitle(chart)


def test_where_nothing_passes_there_is_no_line_and_the_legend_stays():
    chart = draw(table({(0, 0, 0): cell_of(0.1), (0, 1, 1): cell_of(-0.1)}), alpha=0.01)

    assert not lines(chart, "")
    assert "Nothing passes a family-wise p of 0.01 (2 cells tested): all is drawn pale." in subtitle(chart)
    assert marks(chart, "rule")[0]["encoding"]["strokeDash"]["legend"]["title"] == "lines around"


def test_a_degenerate_layer_says_so_and_its_cell_has_no_colour_of_a_difference(tmp_path):
    flat = {"n_a": 60, "n_b": 60, "share_a": 1.0, "share_b": 1.0, "is_tested": False}
    chart = draw(table({(0, 1, 1): flat, (1, 0, 0): cell_of(0.1)}, layers=(0, 1)), degenerate_layers=[0])

    assert {row["layer"]: row["panel"] for row in drawn_rows(chart)} == {
        0: "layer 0 · degenerate",
        1: "layer 1",
    }
    assert marks(chart, "rect")[0]["encoding"]["color"] == {"value": UNKNOWN}
    said = [words for words in spoken(chart, tmp_path / "c.svg") if "cell: 1, 1" in words]
    assert len(said) == 1
    assert "difference (95 % interval): –" in said[0]
    assert "family-wise p: not tested" in said[0]
    assert "Small squares" not in subtitle(chart)


def test_cells_that_were_not_tested_are_counted():
    rare = cell_of(0.1) | {"is_tested": False, "z": None, "p": None, "q": None, "p_fwe": None, "p_tfce": None}

    chart = draw(table({(0, 0, 0): rare, (0, 1, 0): cell_of(0.2)}))

    assert "Small squares: 1 cells that were not tested." in subtitle(chart)


def test_a_layer_that_the_twin_shares_says_so():
    cells = {(layer, 0, 0): cell_of(0.3, p_fwe=0.01) for layer in (0, 1)}

    chart = draw(table(cells, layers=(0, 1)), also_in_twin=[1])

    assert {row["panel"] for row in drawn_rows(chart)} == {"layer 0", "layer 1 · also in the twin"}


@pytest.mark.parametrize(("n_layers", "columns"), [(1, 1), (7, 7), (9, 9), (10, 5), (13, 7), (33, 9)])
def test_more_than_nine_layers_go_on_to_further_lines(n_layers, columns):
    cells = {(layer, 0, 0): cell_of(0.1) for layer in range(n_layers)}

    spec = draw(table(cells, grid=2, layers=range(n_layers))).to_dict()

    assert spec["columns"] == columns
    assert columns * (spec["spec"]["width"] + 10) <= 1070


def test_within_strata_colours_and_their_scale_are_those_of_the_adjusted_difference(tmp_path):
    within = {"adjusted_difference_low": -0.1, "adjusted_difference_high": 0.3, "adjusted_log_odds": 0.0}
    within |= {"adjusted_log_odds_low": -1.0, "adjusted_log_odds_high": 1.0}
    cells = table({(0, 0, 0): cell_of(0.4, adjusted_difference=0.1, **within)})

    chart = draw(cells, value="adjusted_difference")

    colour = marks(chart, "rect")[1]["encoding"]["color"]
    assert (colour["field"], colour["scale"]["domain"]) == ("adjusted_difference", [-0.1, 0.1])
    assert "within strata" in colour["legend"]["title"][0]
    assert any(
        "difference within strata: +10.0 points" in words for words in spoken(chart, tmp_path / "c.svg")
    )


def test_the_tooltip_tells_the_effect_with_its_interval_and_each_p(tmp_path):
    one = cell_of(
        0.2, p=0.0004, q=0.01, p_fwe=0.03, cluster=1, p_cluster=0.02, p_tfce=0.025, log_odds=0.6931472
    )

    (words,) = [
        said
        for said in spoken(draw(table({(3, 2, 1): one}, layers=(3,))), tmp_path / "c.svg")
        if "cell:" in said
    ]

    for expected in (
        "layer: 3; cell: 2, 1; samples of A, true: 6 (20.0%); samples of B, fake: 4 (0.0%)",
        "difference (95 % interval): +20.0 points (+10.0 to +30.0)",
        "odds ratio (95 % interval): 2 (0.37 to 2.72)",
        "p of this cell by itself: 0.0004; q (false discovery rate): 0.01; family-wise p: 0.03",
        "family-wise p of its cluster: 0.02; family-wise p by TFCE: 0.025",
    ):
        assert expected in words


def test_long_and_hostile_labels_are_cut_and_stay_text():
    long = "a label whose name is a whole sentence about nothing at all"

    chart = draw(table({(0, 0, 0): cell_of(0.1)}), name_a="</script><b>", name_b=long)

    legend = marks(chart, "rect")[1]["encoding"]["color"]["legend"]["title"]
    assert legend[1:] == [
        "blue: more of A, </script><b>",
        "orange: more of B, a label whose name is a whole…",
    ]
    assert "</script><b>" not in chart_page(chart)
    json.dumps(chart.to_dict(), allow_nan=False)


@pytest.mark.parametrize(("grid", "n_layers"), [(2, 1), (3, 13), (40, 2)])
def test_the_chart_can_be_drawn(grid, n_layers, tmp_path):
    cells = {(layer, 0, 1): cell_of(0.1, p_fwe=0.01) for layer in range(n_layers)}

    picture = save_chart(draw(table(cells, grid=grid, layers=range(n_layers))), tmp_path / "c.svg")

    assert picture.read_text().startswith("<svg")


def test_a_chart_of_very_many_cells_keeps_what_is_drawn_and_stays_small():
    cells = table(
        {place: cell_of(0.1, p_fwe=0.01) for place in product([0, 1, 2, 3], range(40), range(40))},
        grid=40,
        layers=range(4),
    )

    chart = draw(cells)

    row = drawn_cells(chart)[0, 3, 4]
    assert (row["n_a"], row["difference"], row["p_fwe"], row["passes"]) == (6, 0.1, 0.01, True)
    assert "log_odds" not in row
    assert len(json.dumps(chart.to_dict())) < 6400 * 250


def test_what_cannot_be_drawn_is_refused():
    cells = table({(0, 0, 0): cell_of(0.1)})
    for broken, message in (
        (cells.drop_columns("p_fwe"), "cells of a contrast lacks p_fwe"),
        (cells.slice(0, 0), "no rows"),
        (cells.slice(0, 5), "5 cells, expected"),
    ):
        with pytest.raises(InvalidInput, match=message):
            draw(broken)
    for options, message in (({"alpha": 5}, "alpha is 5"), ({"value": "z"}, "value is 'z'")):
        with pytest.raises(InvalidInput, match=message):
            draw(cells, **options)


def test_a_reduction_draws_its_contrast_with_a_title_that_says_what_was_tested(tiny_store):
    reduction = Store(tiny_store).scans["tiny"].reductions["pca-2"]
    found = reduction.contrast("a", strata="source", n_permutations=99, seed=3)

    chart = reduction.plot.contrast(found)

    assert title(chart) == "'a' (n = 8) minus rest (n = 16): max-statistic test, 99 permutations, seed 3"
    assert "labels permuted among samples alike in source" in subtitle(chart)
    shown = drawn_cells(chart)
    rows = [row for row in found.cells.rows() if row["n_a"] or row["n_b"]]
    assert len(shown) == len(rows) > 0
    for row in rows:
        drawn = shown[tuple(row[name] for name in PLACE)]
        assert [drawn.get(name) for name in CONTRAST_COLUMNS] == [row[name] for name in CONTRAST_COLUMNS]
    assert marks(chart, "rect")[1]["encoding"]["color"]["field"] == "adjusted_difference"
