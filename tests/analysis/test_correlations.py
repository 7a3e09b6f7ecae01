import json
from math import factorial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from llm_mri_store.analysis.correlations import CORRELATION_SCHEMA, component_name, correlate_layers
from llm_mri_store.errors import InvalidInput, UnknownName

ORACLE = json.loads((Path(__file__).parents[1] / "data" / "animals_pca10_label.json").read_text())


def by_pair(table: pa.Table, label: str = "a") -> dict[tuple[str, str], dict]:
    return {(row["source"], row["target"]): row for row in table.to_pylist() if row["label"] == label}


def independent(*, n_samples: int, n_components: int, n_layers: int = 3, seed: int = 0) -> list:
    points = np.random.default_rng(seed).normal(size=(n_layers, n_samples, n_components))
    return list(enumerate(points))


def test_rho_is_that_of_scipy_on_llm_mris_own_points():
    layers = [(layer, np.array(ORACLE["points"][str(layer)], dtype=np.float32)) for layer in ORACLE["layers"]]
    found = by_pair(correlate_layers(layers, [ORACLE["label"]] * 35), ORACLE["label"])
    assert len(found) == len(ORACLE["rho"]) == 200
    for layer, start, end, rho in ORACLE["rho"]:
        row = found[component_name(layer, start), component_name(layer + 1, end)]
        assert row["rho"] == pytest.approx(rho, abs=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(4, 40), st.integers(2, 9))
def test_rho_is_that_of_scipy_also_with_ties(seed, n_samples, n_values):
    rng = np.random.default_rng(seed)
    here, there = rng.integers(0, n_values, size=(2, n_samples, 3)).astype(float)
    table = correlate_layers([(0, here), (1, there)], ["a"] * n_samples)
    for row in table.to_pylist():
        x, y = here[:, row["from_component"]], there[:, row["to_component"]]
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            assert (row["rho"], row["p"], row["q"]) == (None, None, None)
        else:
            assert row["rho"] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


@pytest.mark.parametrize("n_samples", [3, 5, 7, 8])
def test_p_of_few_samples_is_that_of_the_exact_permutation_test(n_samples):
    here, there = np.random.default_rng(1).normal(size=(2, n_samples, 2))
    for row in correlate_layers([(0, here), (1, there)], ["a"] * n_samples).to_pylist():
        x, y = here[:, row["from_component"]], there[:, row["to_component"]]
        exact = stats.permutation_test(
            (x,),
            lambda one, y=y: stats.spearmanr(one, y).statistic,
            permutation_type="pairings",
            n_resamples=np.inf,
        )
        assert row["p"] == pytest.approx(exact.pvalue)


def test_p_of_many_samples_nears_that_of_scipy():
    here, there = np.random.default_rng(2).normal(size=(2, 2000, 3))
    there[:, 0] += 0.05 * here[:, 0]
    for row in correlate_layers([(0, here), (1, there)], ["a"] * 2000).to_pylist():
        theirs = stats.spearmanr(here[:, row["from_component"]], there[:, row["to_component"]])
        assert row["p"] == pytest.approx(theirs.pvalue, rel=0.02)


@pytest.mark.parametrize("n_samples", [9, 10, 15, 30])
def test_p_rejects_no_more_often_than_it_says(n_samples):
    """200,000 orders by chance: at no level is p below it much more often than the level."""
    ranks = np.arange(n_samples) * 1.0
    orders = np.random.default_rng(n_samples).random((200_000, n_samples)).argsort(axis=1) * 1.0
    table = correlate_layers([(0, ranks[:, None]), (1, orders.T)], ["a"] * n_samples)
    p = np.asarray(table["p"])
    for level in (0.05, 0.01, 0.001):
        spread = 3 * np.sqrt(level / len(p))
        assert (p <= level).mean() <= 1.06 * level + spread
    assert (p <= 0.05).mean() >= 0.9 * 0.05


def test_q_is_adjusted_over_all_pairs_of_one_label():
    layers = independent(n_samples=40, n_components=3)
    labels = ["a", "b"] * 20
    table = correlate_layers(layers, labels)
    for label in "ab":
        rows = list(by_pair(table, label).values())
        assert len(rows) == 2 * 9
        expected = stats.false_discovery_control([row["p"] for row in rows])
        assert [row["q"] for row in rows] == pytest.approx(expected)


def test_each_label_is_ranked_on_its_own_samples():
    layers = independent(n_samples=30, n_components=2)
    labels = ["a" if index % 3 else "b" for index in range(30)]
    both = correlate_layers(layers, labels)
    for label in "ab":
        chosen = np.array(labels) == label
        alone = correlate_layers([(n, points[chosen]) for n, points in layers], [label] * int(chosen.sum()))
        assert by_pair(both, label) == by_pair(alone, label)


def test_a_planted_link_leads_from_its_source_to_its_target():
    rng = np.random.default_rng(0)
    here, there = rng.normal(size=(2, 50, 3))
    there[:, 2] = here[:, 0]
    found = by_pair(correlate_layers([(0, here), (1, there)], ["a"] * 50))
    assert found["0_0", "1_2"]["rho"] == 1.0
    assert found["0_2", "1_0"]["q"] > 0.05


@given(st.integers(0, 2**32 - 1), st.integers(0, 2), st.integers(0, 2))
def test_flipping_the_sign_of_a_component_flips_rho_alone(seed, layer, component):
    layers = independent(n_samples=20, n_components=3, seed=seed)
    layers = [(n, np.round(points, 1)) for n, points in layers]
    flipped = [(n, points.copy()) for n, points in layers]
    flipped[layer][1][:, component] *= -1
    name = component_name(layer, component)
    before, after = (by_pair(correlate_layers(one, ["a"] * 20)) for one in (layers, flipped))
    for pair, row in before.items():
        sign = -1 if name in pair else 1
        assert after[pair] == row | {"rho": None if row["rho"] is None else sign * row["rho"]}


def test_a_perfect_order_has_rho_of_exactly_one_whatever_the_ties():
    for values in (np.arange(7.0), np.array([1.0, 1, 1, 2, 5, 5, 9]), np.array([0.0, 0, 0, 0, 0, 0, 1])):
        column = values[:, None]
        table = correlate_layers([(0, column), (1, np.hstack([np.exp(column), -column]))], ["a"] * 7)
        assert table["rho"].to_pylist() == [1.0, -1.0]


@pytest.mark.parametrize("n_samples", [3, 5, 8])
def test_p_of_a_perfect_order_is_that_of_the_exact_test(n_samples):
    column = np.arange(n_samples)[:, None] * 1.0
    table = correlate_layers([(0, column), (1, column)], ["a"] * n_samples)
    assert table["p"].to_pylist() == pytest.approx([2 / factorial(n_samples)])


def test_p_is_never_zero():
    column = np.arange(5000.0)[:, None]
    row = correlate_layers([(0, column), (1, column)], ["a"] * 5000).to_pylist()[0]
    assert 0 < row["p"] <= row["q"] < 1e-300


def test_a_constant_component_has_no_correlation():
    here, there = (points for _, points in independent(n_samples=20, n_components=2, n_layers=2))
    here[:, 1] = 3.0
    rows = by_pair(correlate_layers([(0, here), (1, there)], ["a"] * 20))
    assert [rows["0_1", end]["rho"] for end in ("1_0", "1_1")] == [None, None]
    assert [rows["0_1", end]["q"] for end in ("1_0", "1_1")] == [None, None]
    assert rows["0_0", "1_0"]["rho"] is not None
    # What has no p is no test: the others are adjusted for two.
    largest = max(rows["0_0", end]["p"] for end in ("1_0", "1_1"))
    assert rows["0_0", "1_1"]["q"] <= largest


def test_two_constant_layers_are_no_link():
    constant = np.ones((20, 2))
    table = correlate_layers([(0, constant), (1, constant)], ["a"] * 20)
    assert table["rho"].null_count == table["p"].null_count == table["q"].null_count == 4


@pytest.mark.parametrize("n_samples", [0, 1, 2])
def test_fewer_than_three_samples_have_no_correlation(n_samples):
    layers = independent(n_samples=10, n_components=2)
    labels = ["few"] * n_samples + ["a"] * (10 - n_samples)
    table = correlate_layers(layers, labels, only=["few"] if n_samples else None)
    if n_samples:
        assert table["n"].to_pylist() == [n_samples] * 8
        assert table["rho"].null_count == 8
    else:
        assert set(table["label"].to_pylist()) == {"a"}


def test_samples_without_a_point_or_a_label_are_left_out():
    layers = independent(n_samples=12, n_components=2)
    whole = correlate_layers([(n, points[:10]) for n, points in layers], ["a"] * 10)
    for _, points in layers:
        points[11] = np.nan
    assert correlate_layers(layers, ["a"] * 10 + [None, "a"]).equals(whole)


def test_a_label_whose_samples_have_no_points_keeps_its_rows():
    layers = independent(n_samples=6, n_components=1)
    for _, points in layers:
        points[:3] = np.nan
    rows = correlate_layers(layers, ["b"] * 3 + ["a"] * 3, only=["b"]).to_pylist()
    assert [(row["n"], row["rho"]) for row in rows] == [(0, None)] * 2


def test_labels_come_in_the_order_wanted_and_layers_may_have_gaps():
    layers = [(2 * n, points) for n, points in independent(n_samples=9, n_components=1)]
    table = correlate_layers(iter(layers), ["a", "b", "c"] * 3, only=["c", "a"])
    assert table["label"].to_pylist() == ["c", "c", "a", "a"]
    assert table["next_layer"].to_pylist() == [2, 4, 2, 4]
    assert table["target"].to_pylist() == ["2_0", "4_0"] * 2
    assert table.schema == CORRELATION_SCHEMA


@pytest.mark.parametrize("n_layers", [0, 1])
def test_without_a_pair_of_layers_there_are_no_rows(n_layers):
    table = correlate_layers(independent(n_samples=5, n_components=2, n_layers=3)[:n_layers], ["a"] * 5)
    assert table.equals(CORRELATION_SCHEMA.empty_table())


def test_layers_may_have_different_numbers_of_components():
    rng = np.random.default_rng(0)
    sizes = [2, 3, 1]
    layers = [(n, rng.normal(size=(8, size))) for n, size in enumerate(sizes)]
    table = correlate_layers(layers, ["a"] * 8)
    pairs = list(zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True))
    assert pairs[-3:] == [("1_0", "2_0"), ("1_1", "2_0"), ("1_2", "2_0")]
    assert len(set(pairs)) == 2 * 3 + 3 * 1


def test_unusable_points_are_refused():
    points = np.zeros((4, 2))
    with pytest.raises(InvalidInput, match="layer 0 comes after layer 1; give each layer once, ascending"):
        correlate_layers([(1, points), (0, points)], ["a"] * 4)
    with pytest.raises(
        InvalidInput, match=r"layer 0 have the shape \(4, 2\); it must be \(5, n_components\)"
    ):
        correlate_layers([(0, points)], ["a"] * 5)
    other = points.copy()
    other[2, 1] = np.nan
    with pytest.raises(InvalidInput, match="sample 2 has a point at only one of the layers 0 and 1"):
        correlate_layers([(0, points), (1, other)], ["a"] * 4)


def test_an_unknown_label_suggests_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'bird'"):
        correlate_layers([], ["bird"], only=["birds"])
