"""What the named queries count: hand-sized numbers, laws, and second implementations."""

import collections
import math
from functools import cache

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from llm_mri_store.reduction.grid import assign_cells, bin_edges
from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.connection import connect
from llm_mri_store.store.queries import fill_parameters, named_query
from llm_mri_store.store.selection import select
from tests.store.stores import random_store, write_reduction, write_scan


@pytest.fixture(scope="module", params=["synthetic", "tiny"])
def store(request, tmp_path_factory):
    """A store of random cells, and one that a real scan and reduction wrote."""
    if request.param == "synthetic":
        return random_store(tmp_path_factory.mktemp("laws") / "store")
    return open_store(request.getfixturevalue("_tiny_store"))


@pytest.fixture
def by_hand(tmp_path):
    """Six samples of two layers on a 4 x 4 grid; the last has no point, layer 1 is degenerate on demand."""

    def make(**options):
        store = write_scan(
            tmp_path / "store",
            "hand",
            labels=["a", "a", "a", "b", "b", "b"],
            texts=["red apple", "red Apple pie", "green apple", "blue sky", "blue blue sea", ""],
            status=["ok"] * 5 + ["empty"],
        )
        cells = np.asarray(
            [
                [[0, 0], [1, 1]],
                [[0, 0], [1, 1]],
                [[0, 0], [2, 2]],
                [[3, 1], [1, 1]],
                [[3, 1], [3, 3]],
                [[-1, -1], [-1, -1]],
            ]
        )
        write_reduction(store, "hand", cells=cells, **options)
        return store

    return make


OPENED = {}


@pytest.fixture(autouse=True, scope="module")
def _closed():
    yield
    for con in OPENED.values():
        con.close()
    OPENED.clear()


def rows_of(store, sql, **values):
    """Rows of a query, over one connection for each store."""
    con = OPENED.setdefault(store.root, None) or connect(select(store))
    OPENED[store.root] = con
    return con.sql(sql, params=values).to_arrow_table().to_pylist()


def ask(store, name, **parameters):
    query = named_query(name)
    return rows_of(store, query.sql, **fill_parameters(query, parameters))


@cache
def points(store):
    """(layer, sample_id) -> (label, cell) of every sample that has a cell."""
    rows = rows_of(store, "SELECT * FROM points WHERE cell_x IS NOT NULL")
    return {(row["layer"], row["sample_id"]): (row["label"], (row["cell_x"], row["cell_y"])) for row in rows}


def layers_of(store):
    return sorted({layer for layer, _ in points(store)})


def labels_of(store):
    return sorted({label for label, _ in points(store).values()})


def test_a_heatmap_is_dense_and_sums_to_the_layers_samples(store):
    for layer in layers_of(store):
        counted = collections.Counter(cell for (at, _), (_, cell) in points(store).items() if at == layer)
        rows = ask(store, "heatmap", layer=layer)
        assert len(rows) == 16
        assert {(row["cell_x"], row["cell_y"]): row["n"] for row in rows if row["n"]} == counted
        assert sum(row["share"] for row in rows) == pytest.approx(1)


def test_heatmaps_of_all_labels_add_up_to_the_heatmap(store):
    for layer in layers_of(store):
        parts = [ask(store, "heatmap", layer=layer, label=label) for label in labels_of(store)]
        total = [row["n"] for row in ask(store, "heatmap", layer=layer)]
        assert [sum(ns) for ns in zip(*([row["n"] for row in part] for part in parts), strict=True)] == total


def test_all_heatmaps_at_once_are_the_heatmaps_one_by_one(store):
    together = ask(store, "heatmap_all_layers")
    apart = [
        row
        for layer in layers_of(store)
        for label in labels_of(store)
        for row in ask(store, "heatmap", layer=layer, label=label)
    ]
    assert together == apart
    some = ask(store, "heatmap_all_layers", labels=["b"])
    assert some == [row for row in together if row["label"] == "b"]
    assert ask(store, "heatmap_all_layers", labels=[]) == []


def test_a_map_of_no_sample_has_no_share(store):
    rows = ask(store, "heatmap", layer=1, label="nobody")
    assert {(row["n"], row["share"]) for row in rows} == {(0, None)}


def test_edge_weights_of_a_label_sum_to_its_samples(store):
    for label in [*labels_of(store), None]:
        n = len({sample for (_, sample), (of, _) in points(store).items() if label in (None, of)})
        rows = ask(store, "edges", label=label, degenerate=True)
        for layer in layers_of(store)[:-1]:
            assert sum(row["weight"] for row in rows if row["layer"] == layer) == n
        assert {row["n"] for row in rows} == {n}
        assert {row["label"] for row in rows} == {label}


def test_edges_are_what_counting_in_python_gives(store):
    at = points(store)
    counted = collections.Counter(
        (label, layer, f"{layer}_{x}_{y}", f"{layer + 1}_{after[0]}_{after[1]}")
        for (layer, sample), (label, (x, y)) in at.items()
        for _, after in [at.get((layer + 1, sample), (None, None))]
        if after is not None
    )
    rows = ask(store, "edges_all_labels", degenerate=True)
    assert {
        (row["label"], row["layer"], row["source"], row["target"]): row["weight"] for row in rows
    } == counted
    for label in labels_of(store):
        alone = ask(store, "edges", label=label, degenerate=True)
        assert alone == [row for row in rows if row["label"] == label]


def test_edges_of_all_labels_summed_are_the_pooled_edges(store):
    summed = collections.Counter()
    for row in ask(store, "edges_all_labels"):
        summed[row["layer"], row["source"], row["target"]] += row["weight"]
    pooled = ask(store, "edges")
    assert {(row["layer"], row["source"], row["target"]): row["weight"] for row in pooled} == summed


def test_expected_weights_and_margins_fit_each_other(store):
    for label in [*labels_of(store), None]:
        for row in ask(store, "edges", label=label):
            assert row["weight"] <= min(row["n_from"], row["n_to"]) <= row["n"]
            assert row["expected"] == pytest.approx(row["n_from"] * row["n_to"] / row["n"])
            assert row["lift"] == pytest.approx(row["weight"] / row["expected"])


def test_edges_may_be_of_one_layer_or_of_some_labels(store):
    layer = layers_of(store)[1]
    assert ask(store, "edges", layer=layer) == [row for row in ask(store, "edges") if row["layer"] == layer]
    kept = ask(store, "edges_all_labels", labels=["a", "c"])
    assert kept == [row for row in ask(store, "edges_all_labels") if row["label"] in {"a", "c"}]


def test_edges_by_hand(by_hand):
    store = by_hand()
    rows = ask(store, "edges", label="a")
    assert [
        (row["source"], row["target"], row["weight"], row["n_from"], row["n_to"], row["n"]) for row in rows
    ] == [
        ("0_0_0", "1_1_1", 2, 3, 2, 3),
        ("0_0_0", "1_2_2", 1, 3, 1, 3),
    ]
    assert [row["lift"] for row in rows] == [1.0, 1.0]
    pooled = {row["target"]: row for row in ask(store, "edges") if row["source"] == "0_0_0"}
    assert pooled["1_1_1"]["n_to"] == 3
    assert pooled["1_1_1"]["lift"] == pytest.approx(2 * 5 / (3 * 3))


def test_degenerate_layers_have_edges_only_on_demand(by_hand):
    store = by_hand(degenerate=[1])
    assert ask(store, "edges") == []
    assert ask(store, "edges_all_labels") == []
    assert sum(row["weight"] for row in ask(store, "edges", degenerate=True)) == 5
    assert {row["path"] for row in ask(store, "paths")} == {"0_0_0", "0_3_1"}


def test_label_shares_are_the_heatmaps_occupied_cells(store):
    heat = {
        (row["layer"], row["label"], row["cell_x"], row["cell_y"]): (row["n"], row["share"])
        for row in ask(store, "heatmap_all_layers")
        if row["n"]
    }
    rows = ask(store, "label_shares")
    assert heat == {
        (row["layer"], row["label"], row["cell_x"], row["cell_y"]): (row["n"], row["share_of_label"])
        for row in rows
    }
    cells = collections.defaultdict(float)
    for row in rows:
        cells[row["layer"], row["cell_x"], row["cell_y"]] += row["share_of_cell"]
        assert row["share_of_cell"] == row["n"] / row["n_cell"]
    assert set(map(round, cells.values())) == {1}
    assert ask(store, "label_shares", layer=1) == [row for row in rows if row["layer"] == 1]


def test_information_is_mutual_information_in_bits(store):
    for row in ask(store, "layer_information"):
        found = [value for (layer, _), value in sorted(points(store).items()) if layer == row["layer"]]
        labels, cells = [label for label, _ in found], [str(cell) for _, cell in found]
        bits = mutual_info_score(labels, cells) / math.log(2)
        assert row["information"] == pytest.approx(bits, abs=1e-12)
        counts = list(collections.Counter(labels).values())
        assert row["label_entropy"] == pytest.approx(entropy(counts, base=2))
        pairs = len(set(zip(labels, cells, strict=True)))
        bias = (pairs - len(set(cells)) - len(set(labels)) + 1) / (2 * len(labels) * math.log(2))
        assert row["bias"] == pytest.approx(bias)
        assert row["information_corrected"] == pytest.approx(bits - bias)
        assert row["share_of_entropy"] == pytest.approx((bits - bias) / entropy(counts, base=2))
        assert (row["n"], row["n_labels"], row["n_cells"]) == (len(labels), len(set(labels)), len(set(cells)))


def test_information_by_hand(by_hand):
    told, half = ask(by_hand(), "layer_information")
    # Layer 0: the cell tells the label, 3 of a and 2 of b.
    h = -(0.6 * math.log2(0.6) + 0.4 * math.log2(0.4))
    assert told["information"] == pytest.approx(h)
    assert told["bias"] == pytest.approx((2 - 2 - 2 + 1) / (2 * 5 * math.log(2)))
    # Layer 1: cell (1, 1) holds 2 of a and 1 of b, the other two one label each.
    inside = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert half["information"] == pytest.approx(h - 0.6 * inside)


def test_corrected_information_is_about_nothing_where_there_is_nothing(tmp_path):
    # 24 layers of cells that know nothing of the labels.
    found = ask(random_store(tmp_path / "store", n=400, n_layers=24), "layer_information")
    plain = np.mean([row["information"] for row in found])
    corrected = np.mean([row["information_corrected"] for row in found])
    assert plain > 0.04
    assert abs(corrected) < 0.01


def test_one_label_has_no_information(tmp_path):
    store = write_scan(tmp_path / "store", "one", labels=["a"] * 4)
    write_reduction(store, "one", cells=np.zeros((4, 2, 2), dtype=int))
    row = ask(store, "layer_information")[0]
    assert (row["label_entropy"], row["information"], row["bias"], row["share_of_entropy"]) == (0, 0, 0, None)


def test_cell_terms_by_hand(by_hand):
    # Layer 0 has two cells: 7 words (red red apple apple apple green pie) and 5 (blue blue blue sky sea).
    rows = ask(by_hand(), "cell_terms", layer=0, cell_x=0, cell_y=0)
    mean_words = (7 + 5) / 2
    assert [(row["term"], row["n"], row["n_samples"], row["n_layer"]) for row in rows] == [
        ("apple", 3, 3, 3),
        ("red", 2, 2, 2),
        ("green", 1, 1, 1),
        ("pie", 1, 1, 1),
    ]
    for row in rows:
        assert row["score"] == pytest.approx(row["n"] / 7 * math.log(1 + mean_words / row["n_layer"]))


def test_cell_terms_are_limited_and_empty_cells_have_none(by_hand):
    store = by_hand()
    assert [row["term"] for row in ask(store, "cell_terms", layer=0, cell_x=3, cell_y=1, limit=1)] == ["blue"]
    assert ask(store, "cell_terms", layer=0, cell_x=2, cell_y=2) == []


def test_the_terms_of_every_cell_are_those_of_each(store):
    for layer in layers_of(store):
        for chosen in (False, True):
            asked = {"layer": layer, "limit": 4, "reduce_frequent": chosen}
            rows = ask(store, "cell_terms", **asked)
            cells = list(dict.fromkeys((row["cell_x"], row["cell_y"]) for row in rows))
            assert cells == sorted(cells)
            each = [ask(store, "cell_terms", **asked, cell_x=x, cell_y=y) for x, y in cells]
            assert rows == [row for one in each for row in one]
            assert {len(one) for one in each} <= {1, 2, 3, 4}
            assert all([row["rank"] for row in one] == list(range(1, len(one) + 1)) for one in each)


def test_the_occurrences_of_a_term_sum_to_those_of_the_layer(store):
    for layer in layers_of(store):
        rows = ask(store, "cell_terms", layer=layer, limit=100_000)
        found = collections.Counter()
        for row in rows:
            found[row["term"]] += row["n"]
        assert all(row["n_layer"] == found[row["term"]] for row in rows)
        assert all(row["score"] >= 0 for row in rows)


def test_common_words_of_a_few_samples_do_not_come_first_where_that_is_asked(tmp_path):
    texts = ["the the the moon", "the the the moon and star"] + ["the bread and butter"] * 4
    store = write_scan(tmp_path / "store", "words", labels=["a"] * 6, texts=texts)
    cells = np.zeros((6, 2, 2), dtype=int)
    cells[2:] = 1
    write_reduction(store, "words", cells=cells)
    asked = {"layer": 0, "cell_x": 0, "cell_y": 0, "limit": 2}
    assert [row["term"] for row in ask(store, "cell_terms", **asked)] == ["the", "moon"]
    assert [row["term"] for row in ask(store, "cell_terms", **asked, reduce_frequent=True)] == [
        "moon",
        "star",
    ]


def test_texts_are_passed_over_and_counted(store):
    for layer in layers_of(store):
        for label in (None, "a"):
            every = ask(store, "cell_texts", layer=layer, label=label, limit=1000)
            n = collections.Counter((row["cell_x"], row["cell_y"]) for row in every)
            assert all(row["n_cell"] == n[row["cell_x"], row["cell_y"]] for row in every)
            parts = [
                ask(store, "cell_texts", layer=layer, label=label, limit=2, offset=two) for two in (0, 2)
            ]
            few = ask(store, "cell_texts", layer=layer, label=label, limit=4)
            assert sorted(map(str, parts[0] + parts[1])) == sorted(map(str, few))


def test_all_texts_are_in_a_page_where_they_fit(store):
    rows = ask(store, "page_texts")
    assert [row["sample_id"] for row in rows] == sorted({sample for _, sample in points(store)})


def test_a_pages_texts_keep_to_their_limits_and_leave_no_cell_empty(store):
    at = points(store)
    bounds = {"max_texts": (0, 60), "max_bytes": (0, 2500), "max_chars": (9,)}
    for limits in [{name: value} for name, values in bounds.items() for value in values]:
        rows = ask(store, "page_texts", **limits)
        shown = {row["sample_id"] for row in rows}
        filled = {(layer, cell) for (layer, sample), (_, cell) in at.items() if sample in shown}
        assert filled == {(layer, cell) for (layer, _), (_, cell) in at.items()}
        others = [row for row in rows if not row["is_first"]]
        assert len(others) <= limits.get("max_texts", 5000)
        if others:
            assert sum(len(row["text"].encode()) for row in rows) <= limits.get("max_bytes", 1_500_000)
        assert all(len(row["text"]) <= limits.get("max_chars", 400) for row in rows)
    first = {row["sample_id"] for row in ask(store, "page_texts", max_texts=0)}
    assert first == {row["sample_id"] for row in ask(store, "page_texts") if row["is_first"]}


def test_a_text_that_is_cut_ends_in_an_ellipsis(by_hand):
    rows = ask(by_hand(), "page_texts", max_chars=8)
    assert [row["text"] for row in rows] == ["red app…", "red App…", "green a…", "blue sky", "blue bl…"]


def test_a_seed_draws_other_texts_and_the_same_one_the_same(tmp_path):
    store = random_store(tmp_path / "store", n=400, grid=2)
    draws = [
        {row["sample_id"] for row in ask(store, "page_texts", max_texts=40, seed=seed)} for seed in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]
    assert 40 <= len(draws[0]) <= 40 + 3 * 4


def test_points_of_a_layer_are_all_of_them_or_a_sample_that_is_the_same_at_every_layer(store):
    layers = list(layers_of(store))
    drawn = [{row["sample_id"] for row in ask(store, "layer_points", layer=one, limit=10)} for one in layers]
    assert all(one == drawn[0] for one in drawn)
    assert len(drawn[0]) == 10
    for layer in layers:
        rows = ask(store, "layer_points", layer=layer)
        assert {row["sample_id"]: (row["label"], (row["cell_x"], row["cell_y"])) for row in rows} == {
            sample: value for (of, sample), value in points(store).items() if of == layer
        }
    assert drawn[0] <= {row["sample_id"] for row in ask(store, "layer_points", layer=0, limit=20)}


def test_cell_texts_are_those_of_the_cell(store):
    at = points(store)
    for layer in layers_of(store):
        rows = ask(store, "cell_texts", layer=layer, limit=1000)
        assert {row["sample_id"]: (row["label"], (row["cell_x"], row["cell_y"])) for row in rows} == {
            sample: value for (of, sample), value in at.items() if of == layer
        }
        few = ask(store, "cell_texts", layer=layer, limit=2)
        cells = collections.Counter((row["cell_x"], row["cell_y"]) for row in few)
        assert set(cells.values()) <= {1, 2}
        one = next(iter(cells))
        here = ask(store, "cell_texts", layer=layer, cell_x=one[0], cell_y=one[1], label="a", limit=1000)
        assert {row["sample_id"] for row in here} == {
            sample for (of, sample), value in at.items() if of == layer and value == ("a", one)
        }


def test_paths_sum_to_the_samples(store):
    for label in [None, *labels_of(store)]:
        rows = ask(store, "paths", label=label, limit=100_000)
        n = len({sample for (_, sample), (of, _) in points(store).items() if label in (None, of)})
        assert sum(row["n"] for row in rows) == n
        assert sum(row["share"] for row in rows) == pytest.approx(1)
        assert [row["n"] for row in rows] == sorted((row["n"] for row in rows), reverse=True)
    assert len(ask(store, "paths", limit=2)) == 2


def test_paths_by_hand(by_hand):
    rows = ask(by_hand(), "paths")
    assert [(row["path"], row["n"], row["share"]) for row in rows] == [
        ("0_0_0 > 1_1_1", 2, 0.4),
        ("0_0_0 > 1_2_2", 1, 0.2),
        ("0_3_1 > 1_1_1", 1, 0.2),
        ("0_3_1 > 1_3_3", 1, 0.2),
    ]


def test_regrid_with_the_stored_size_gives_the_stored_cells(tiny_store):
    store = open_store(tiny_store)
    for layer in layers_of(store):
        for label in [None, "a", "b"]:
            rows = ask(store, "regrid", layer=layer, grid=4, label=label)
            assert rows == ask(store, "heatmap", layer=layer, label=label)


@pytest.mark.parametrize("grid", [1, 2, 3, 6, 7, 10, 31, 64])
def test_regrid_cuts_as_the_grid_does(tmp_path, grid):
    rng = np.random.default_rng(grid)
    n = 500
    coordinates = rng.normal(size=(n, 3, 2)).astype(np.float32)
    coordinates[:, 1] = np.round(coordinates[:, 1], 1)
    coordinates[:, 2, 0] = 3.7
    store = write_scan(tmp_path / "store", "x", labels=["a", "b"] * (n // 2), n_layers=3, chunk_samples=200)
    write_reduction(store, "x", cells=np.zeros((n, 3, 2), dtype=int), coordinates=coordinates)
    for layer in range(3):
        cells = np.stack(
            [
                assign_cells(values, bin_edges(values, grid, bins="width"))[0]
                for values in (coordinates[:, layer, 0], coordinates[:, layer, 1])
            ],
            axis=1,
        )
        counted = collections.Counter(map(tuple, cells.tolist()))
        rows = ask(store, "regrid", layer=layer, grid=grid)
        assert len(rows) == grid**2
        assert {(row["cell_x"], row["cell_y"]): row["n"] for row in rows if row["n"]} == counted


def test_neighbours_are_those_numpy_finds(tmp_path):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 2, 6)).astype(np.float32)
    vectors[7, 1] = 0
    vectors[8, 1] = vectors[3, 1] * 5
    store = write_scan(
        tmp_path / "store", "x", labels=["a", "b"] * 20, vectors=vectors, status=["ok"] * 39 + ["empty"]
    )
    for layer in (0, 1):
        there = vectors[:39, layer].astype(np.float64)
        unit = there / np.maximum(np.linalg.norm(there, axis=1, keepdims=True), 1e-30)
        similarity = unit @ unit[3]
        rows = ask(store, "neighbours", layer=layer, sample_id=3, limit=5)
        expected = [one for one in np.argsort(-similarity).tolist() if one != 3][:5]
        assert [row["sample_id"] for row in rows] == expected
        assert [row["rank"] for row in rows] == [1, 2, 3, 4, 5]
        assert [row["similarity"] for row in rows] == pytest.approx(similarity[expected].tolist(), abs=1e-6)
    assert ask(store, "neighbours", layer=1, sample_id=3, limit=1)[0]["sample_id"] == 8
    everyone = ask(store, "neighbours", layer=1, sample_id=3, limit=100)
    assert (everyone[-1]["sample_id"], everyone[-1]["similarity"]) == (7, None)
    assert all(-1 <= row["similarity"] <= 1 for row in everyone[:-1])
    assert ask(store, "neighbours", layer=0, sample_id=39) == []
    assert {row["similarity"] for row in ask(store, "neighbours", layer=1, sample_id=7)} == {None}


def test_map_quality_by_hand(by_hand):
    first, second = ask(by_hand(degenerate=[1], n_clipped=2), "map_quality")
    assert (first["n_points"], first["n_excluded"], first["n_clipped"]) == (5, 1, 2)
    assert (first["is_degenerate"], second["is_degenerate"]) == (False, True)
    assert first["explained"] == 0.75
    assert (first["n_cells_used"], first["n_cells"], first["largest_share"]) == (2, 16, 0.6)
    assert first["evenness"] == pytest.approx(entropy([3, 2], base=2) / math.log2(5))
    assert second["evenness"] == pytest.approx(entropy([3, 1, 1], base=2) / math.log2(5))


def test_map_quality_of_a_reduction_without_grid_has_no_cells(tmp_path):
    store = write_scan(tmp_path / "store", "x", labels=["a", "b", "a"])
    coordinates = np.zeros((3, 2, 5))
    write_reduction(
        store, "x", cells=np.zeros((3, 2, 2), dtype=int), coordinates=coordinates, grid=None, explained=()
    )
    row = ask(store, "map_quality")[0]
    assert (row["n_points"], row["n_cells"], row["n_cells_used"]) == (0, None, 0)
    assert (row["largest_share"], row["evenness"], row["explained"]) == (None, None, None)


def test_map_quality_fits_the_heatmap(store):
    for row in ask(store, "map_quality"):
        heat = [cell["n"] for cell in ask(store, "heatmap", layer=row["layer"])]
        assert row["n_points"] == sum(heat)
        assert row["n_cells_used"] == sum(n > 0 for n in heat)
        assert row["largest_share"] == max(heat) / sum(heat)
        assert 0 <= row["evenness"] <= 1


def test_the_summary_counts_every_sample_once(tmp_path):
    status = ["ok", "empty", "null_text", "null_label", "not_finite", "ok"]
    store = write_scan(
        tmp_path / "store",
        "x",
        labels=["a", "a", "a", None, "b", "b"],
        texts=["one", " ", None, "two", "three", "four"],
        status=status,
    )
    rows = ask(store, "scan_summary")
    assert [(row["label"], row["is_total"], row["n"], row["n_ok"]) for row in rows] == [
        ("a", False, 3, 1),
        ("b", False, 2, 1),
        (None, False, 1, 0),
        (None, True, 6, 2),
    ]
    total = rows[-1]
    assert (total["n_empty"], total["n_null"], total["n_not_finite"], total["n_truncated"]) == (1, 2, 1, 2)
    assert (total["min_tokens"], total["mean_tokens"], total["max_tokens"]) == (1, 3.5, 6)


def test_a_text_is_a_duplicate_where_it_occurs_again_character_by_character(tmp_path):
    texts = ["one", "two", "one", "One", "one ", None, None, "", "", "two", "one"]
    status = ["null_text" if text is None else "ok" if text else "empty" for text in texts]
    labels = ["a", "a", "b", "b", "b", "a", "a", "a", "b", "a", "a"]
    store = write_scan(tmp_path / "store", "x", labels=labels, texts=texts, status=status)
    rows = ask(store, "scan_summary")
    assert [(row["label"], row["n_duplicate_texts"]) for row in rows] == [("a", 2), ("b", 2), (None, 4)]


def test_duplicate_texts_of_all_labels_are_samples_less_distinct_texts(store):
    rows = ask(store, "scan_summary")
    texts = [row["text"] for row in rows_of(store, "SELECT text FROM samples")]
    assert rows[-1]["n_duplicate_texts"] == len(texts) - len(set(texts))
    assert sum(row["n_duplicate_texts"] for row in rows[:-1]) == rows[-1]["n_duplicate_texts"]
