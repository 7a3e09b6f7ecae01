import pyarrow as pa
import pytest

from llm_mri_store.analysis.agreement import AGREEMENT_SCHEMA
from llm_mri_store.charts import agreement_chart, save_chart
from llm_mri_store.charts.agreement import _COLUMNS
from llm_mri_store.errors import InvalidInput
from tests.charts.drawings import drawn_rows, marks, spoken, subtitle


def pair(a=0, b=0, value=0.5, *, p_fwe=0.01, **known):
    row = {"a_layer": a, "b_layer": b, "n": 60}
    for measure in ("ami", "cka"):
        row |= {
            measure: value, f"{measure}_low": value - 0.1, f"{measure}_high": value + 0.1,
            f"{measure}_by_chance": 0.02, f"{measure}_excess": value - 0.02, f"{measure}_p": 0.005,
            f"{measure}_p_fwe": p_fwe,
        }  # fmt: skip
    return row | known


def bare(a, b):
    return {"a_layer": a, "b_layer": b, "n": 60}


def draw(rows, **options):
    return agreement_chart(
        pa.Table.from_pylist(rows, schema=AGREEMENT_SCHEMA),
        **({"name_a": "x/pca-2", "name_b": "y/pca-2", "title": "t"} | options),
    )


def test_it_needs_the_columns_of_the_table():
    assert [*_COLUMNS] == AGREEMENT_SCHEMA.names
    with pytest.raises(InvalidInput, match="pairs of layers lacks cka_p"):
        agreement_chart(
            pa.Table.from_pylist([pair()], schema=AGREEMENT_SCHEMA).drop_columns("cka_p"),
            name_a="x", name_b="y", title="t",
        )  # fmt: skip


def test_a_map_for_each_measure_that_there_is():
    titles = lambda chart: [one["title"]["text"] for one in chart.to_dict()["hconcat"]]  # noqa: E731
    assert titles(draw([pair()])) == ["cells: adjusted mutual information", "points: linear CKA"]
    no_grid = [pair() | {name: None for name in AGREEMENT_SCHEMA.names if name.startswith("ami")}]
    assert titles(draw(no_grid)) == ["points: linear CKA"]
    chart = draw([pair(activation_cka=0.7, activation_cka_by_chance=0.1, activation_cka_excess=0.6)])
    assert titles(chart)[2] == "activations: linear CKA"
    assert "Activations are not tested" in subtitle(chart)


def test_values_are_printed_but_for_pairs_that_do_not_agree_beyond_chance():
    chart = draw([pair(0, 0, 0.43), pair(0, 1, 0.1, p_fwe=0.2), bare(1, 0), pair(1, 1, 1.0)])
    printed = [row["printed"] for row in drawn_rows(chart)]
    assert printed == [".43", "○", "", "1.00"] * 2
    assert "beyond it are cells 2 of 3 pairs, points 2 of 3 pairs" in subtitle(chart)
    assert "Nearly white: not defined" in subtitle(chart)
    assert [row["printed"] for row in drawn_rows(draw([pair(p_fwe=0.2)], alpha=0.3))] == [".50"] * 2


def test_of_many_layers_rings_alone_are_drawn():
    rows = [pair(a, b, p_fwe=0.01 if a == b else 0.5) for a in range(20) for b in range(20)]
    printed = {(row["a_layer"], row["b_layer"]): row["printed"] for row in drawn_rows(draw(rows))}
    assert {printed[one, one] for one in range(20)} == {""}
    assert printed[0, 1] == "○"


def test_all_maps_are_on_one_scale_and_layers_of_a_grow_upward():
    chart = draw([pair(0, 0), pair(1, 0)])
    for square in marks(chart, "rect"):
        assert square["encoding"]["y"]["scale"]["domain"] == [1, 0]
        assert square["encoding"]["color"]["scale"]["domain"] == [0, 1]


def test_the_tooltip_tells_value_chance_and_p(tmp_path):
    said = spoken(draw([pair(3, 4), bare(3, 5)]), tmp_path / "c.svg")
    expected = (
        "layer of A: 3; layer of B: 4; agreement (95 % interval): 0.500 (0.400 to 0.600); by chance: 0.020; "
        "excess: +0.480; samples: 60; p: 0.005; family-wise p: 0.01"
    )
    assert any(expected in words for words in said)
    assert any("agreement (95 % interval): not defined" in words for words in said)


@pytest.mark.parametrize("ending", ["html", "svg", "png"])
def test_it_is_written_on_either_ground(tmp_path, ending):
    for theme in ("light", "dark"):
        assert (
            save_chart(draw([pair(), bare(1, 0)]), tmp_path / f"{theme}.{ending}", theme=theme).stat().st_size
        )


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InvalidInput, match="no pair of layers has a value"):
        draw([bare(0, 0)])
    with pytest.raises(InvalidInput, match=r"alpha is 1\.5"):
        draw([pair()], alpha=1.5)
