from collections import Counter
from itertools import pairwise

import pyarrow as pa
import pytest

from llm_mri_store import Store
from llm_mri_store.charts import flow_chart
from llm_mri_store.charts.flow_layout import OTHERS_CELL, lay_out_flow
from llm_mri_store.errors import InvalidInput, UnknownName
from tests.charts.drawings import inline_data, subtitle, title

COUNTS = {
    (0, (0, 0), "a"): 4,
    (0, (0, 0), "b"): 2,
    (0, (1, 0), "b"): 3,
    (0, (2, 2), "a"): 1,
    (0, (3, 3), "b"): 1,
}
STEPS = {
    (0, (0, 0), (5, 5), "a"): 4,
    (0, (0, 0), (5, 5), "b"): 1,
    (0, (0, 0), (4, 4), "b"): 1,
    (0, (1, 0), (4, 4), "b"): 3,
    (0, (2, 2), (5, 5), "a"): 1,
    (0, (3, 3), (4, 4), "b"): 1,
}
COUNTS |= {(1, (5, 5), "a"): 5, (1, (5, 5), "b"): 1, (1, (4, 4), "b"): 5}


def laid_out(n_regions=2):
    return lay_out_flow(COUNTS, STEPS, ["a", "b"], n_regions=n_regions)


# --- the layout ------------------------------------------------------------------------------------------


def test_blocks_hold_every_sample_and_those_beyond_the_largest_are_one():
    flow = laid_out()
    sizes = Counter()
    for one in flow.segments:
        sizes[one.layer, one.cell] += one.n
    assert sizes == {(0, (0, 0)): 6, (0, (1, 0)): 3, (0, OTHERS_CELL): 2, (1, (5, 5)): 6, (1, (4, 4)): 5}
    assert flow.n_others == {0: 2, 1: 0}
    assert [one.cell for one in flow.segments if one.layer == 0][-1] == OTHERS_CELL


def test_a_single_cell_left_over_keeps_its_own_block():
    assert laid_out(n_regions=3).n_others == {0: 0, 1: 0}


def test_segments_are_as_high_as_their_samples_and_do_not_overlap():
    for layer in (0, 1):
        segments = [one for one in laid_out().segments if one.layer == layer]
        assert all(one.bottom - one.top == pytest.approx(one.n) for one in segments)
        for above, below in pairwise(segments):
            assert below.top >= above.bottom - 1e-9
        assert segments[0].top >= 0
        assert segments[-1].bottom <= laid_out().height + 1e-9


def test_ribbons_fill_the_segments_they_leave_and_end_in():
    flow = laid_out()
    segments = {(one.layer, one.cell, one.label): one for one in flow.segments}
    for end, place in (
        ("from_top", lambda one: (one.layer, one.source)),
        ("to_top", lambda one: (1, one.target)),
    ):
        pieces = {}
        for one in flow.ribbons:
            top = getattr(one, end)
            pieces.setdefault((*place(one), one.label), []).append((top, top + one.n))
        for key, parts in pieces.items():
            parts.sort()
            assert parts[0][0] == pytest.approx(segments[key].top)
            assert parts[-1][1] == pytest.approx(segments[key].bottom)
            assert all(b[0] == pytest.approx(a[1]) for a, b in pairwise(parts))


def test_the_layout_does_not_depend_on_the_order_of_rows():
    backward = lay_out_flow(
        dict(reversed(COUNTS.items())), dict(reversed(STEPS.items())), ["a", "b"], n_regions=2
    )
    assert set(backward.segments) == set(laid_out().segments)
    assert backward.ribbons == laid_out().ribbons


# --- the chart -------------------------------------------------------------------------------------------


def counts_table(counts=COUNTS):
    rows = [
        {"layer": layer, "cell_x": x, "cell_y": y, "label": label, "n": n}
        for (layer, (x, y), label), n in counts.items()
    ]
    return pa.Table.from_pylist(rows)


def steps_table(steps=STEPS):
    rows = [
        {"layer": layer, "from_x": a, "from_y": b, "to_x": c, "to_y": d, "label": label, "weight": n}
        for (layer, (a, b), (c, d), label), n in steps.items()
    ]
    return pa.Table.from_pylist(rows)


def draw(counts=COUNTS, steps=STEPS, **more):
    return flow_chart(counts_table(counts), steps_table(steps), title="t", **more)


def rows_with(chart, column):
    return [row for rows in inline_data(chart.to_dict()) for row in rows if column in row]


def test_ribbons_and_blocks_are_those_of_the_tables():
    chart = draw(n_regions=2)
    ribbons = {(row["from"], row["to"], row["drawn_as"]): row["n"] for row in rows_with(chart, "ribbon")}
    assert ribbons == {
        ("layer 0, cell 0, 0", "layer 1, cell 5, 5", "a"): 4,
        ("layer 0, cell 0, 0", "layer 1, cell 5, 5", "b"): 1,
        ("layer 0, cell 0, 0", "layer 1, cell 4, 4", "b"): 1,
        ("layer 0, cell 1, 0", "layer 1, cell 4, 4", "b"): 3,
        ("layer 0, 2 other cells", "layer 1, cell 5, 5", "a"): 1,
        ("layer 0, 2 other cells", "layer 1, cell 4, 4", "b"): 1,
    }
    assert sum(row["n"] for row in rows_with(chart, "block")) == 22
    assert "The 2 regions with the most samples of each layer have a block" in subtitle(chart)


def test_thickness_is_the_same_scale_as_blocks():
    for row in rows_with(draw(), "ribbon"):
        assert [low - high for high, low in zip(row["y"], row["y2"], strict=True)] == pytest.approx(
            [row["n"]] * 4
        )


def test_ribbons_too_thin_to_be_seen_are_left_out_and_told():
    steps = {key: 10_000 * n for key, n in STEPS.items()} | {(0, (1, 0), (5, 5), "a"): 1}
    counts = {key: 10_000 * n for key, n in COUNTS.items()} | {(0, (1, 0), "a"): 1}
    chart = draw(counts, steps)
    assert min(row["n"] for row in rows_with(chart, "ribbon")) == 10_000
    assert "Left out: ribbons of fewer than" in subtitle(chart)


def test_a_degenerate_layer_is_one_named_block():
    counts = {**COUNTS, (2, (5, 5), "a"): 5, (2, (5, 5), "b"): 6}
    steps = {**STEPS, (1, (5, 5), (5, 5), "a"): 5, (1, (5, 5), (5, 5), "b"): 1, (1, (4, 4), (5, 5), "b"): 5}
    chart = draw(counts, steps, degenerate_layers=[2])
    assert {row["block"] for row in rows_with(chart, "block") if row["block"].startswith("layer 2")} == {
        "layer 2, cell 5, 5"
    }
    assert "['2', 'degenerate']" in str(chart.to_dict()["layer"][0]["encoding"]["x"]["axis"]["labelExpr"])


def test_labels_beyond_ten_share_grey():
    counts = {(0, (0, 0), f"l{place:02}"): 1 + place for place in range(12)}
    chart = draw(counts, {(0, (0, 0), (0, 0), "l03"): 1})
    assert len({row["drawn_as"] for row in rows_with(chart, "block")}) == 10
    assert sum(row["n"] for row in rows_with(chart, "block") if row["drawn_as"] == "3 other labels") == 6


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(InvalidInput, match="n_regions is 0"):
        draw(n_regions=0)
    with pytest.raises(InvalidInput, match="no sample of these labels has a cell"):
        flow_chart(counts_table().slice(0, 0), steps_table(), title="t")


# --- of a reduction --------------------------------------------------------------------------------------


def test_ribbons_of_a_label_add_up_to_its_samples_as_sql_has_them(tiny_store):
    reduction = Store(tiny_store).reduction()
    chart = reduction.plot.flow(n_regions=3)
    drawn = Counter()
    for row in rows_with(chart, "ribbon"):
        drawn[int(row["from"].split()[1].strip(",")), row["drawn_as"]] += row["n"]
    edges = Counter()
    for row in reduction.ask("edges_all_labels", degenerate=True).rows():
        edges[row["layer"], row["label"]] += row["weight"]
    assert drawn == edges
    blocks = Counter()
    for row in rows_with(chart, "block"):
        blocks[row["block"], row["drawn_as"]] += row["n"]
    cells = {
        (f"layer {row['layer']}, cell {row['cell_x']}, {row['cell_y']}", row["label"]): row["n"]
        for row in reduction.ask("label_shares").rows()
    }
    assert all(cells[key] == n for key, n in blocks.items() if "other" not in key[0])
    assert blocks.total() == sum(cells.values())
    assert title(chart) == "How 3 labels travel through the layers (n = 24)"


def test_one_label_can_be_followed(tiny_store):
    chart = Store(tiny_store).reduction().plot.flow("a")
    assert {row["drawn_as"] for row in rows_with(chart, "ribbon")} == {"a"}
    assert title(chart) == "How 'a' travels through the layers (n = 8)"
    with pytest.raises(UnknownName, match="label"):
        Store(tiny_store).reduction().plot.flow("z")
