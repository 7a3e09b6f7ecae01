import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2
from statsmodels.stats.proportion import confint_proportions_2indep

from llm_mri_store.analysis.contrast_effects import (
    StratumTables,
    adjusted_difference,
    adjusted_log_odds_ratio,
    design_effect,
    log_odds_ratio,
    share_difference,
)

COUNTS = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=6)


def tables_of(strata: list[tuple[int, int, int, int]]) -> StratumTables:
    """One cell; per stratum: samples of A in it, of A, of B in it, of B."""
    a, n_a, b, n_b = np.array(strata).T
    return StratumTables(
        cell=np.zeros(len(a), dtype=np.int64), a=a, b=b, n_a=n_a, n_b=n_b, all_a=n_a, all_b=n_b
    )


def of_statsmodels(strata: list[tuple[int, int, int, int]]) -> StratifiedTable:
    return StratifiedTable([np.array([[a, n_a - a], [b, n_b - b]]) for a, n_a, b, n_b in strata])


@pytest.mark.parametrize(
    ("a", "n_a", "b", "n_b"),
    [(56, 70, 48, 80), (9, 10, 3, 10), (0, 10, 0, 20), (10, 10, 0, 10), (1, 900, 7, 300)],
)
def test_the_difference_of_shares_has_newcombes_interval(a, n_a, b, n_b):
    found = share_difference(np.array([a]), n_a, np.array([b]), n_b)
    low, high = confint_proportions_2indep(a, n_a, b, n_b, method="newcomb", compare="diff")
    assert found.value[0] == pytest.approx(a / n_a - b / n_b)
    assert (found.low[0], found.high[0]) == pytest.approx((low, high), abs=1e-12)
    assert -1 <= found.low[0] <= found.value[0] <= found.high[0] <= 1


def test_the_intervals_of_newcombes_own_table_are_met():
    """Newcombe (1998), table II, method 10, cases (a), (c), (e) and (g)."""
    for a, n_a, b, n_b, low, high in (
        (56, 70, 48, 80, 0.0524, 0.3339),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
    ):
        found = share_difference(np.array([a]), n_a, np.array([b]), n_b)
        assert (found.low[0], found.high[0]) == pytest.approx((low, high), abs=6e-5)


def test_the_log_odds_ratio_is_woolfs_on_counts_with_a_half_added():
    a, n_a, b, n_b = 12, 40, 3, 50
    found = log_odds_ratio(np.array([a]), n_a, np.array([b]), n_b)
    theirs = Table2x2(np.array([[a, n_a - a], [b, n_b - b]]) + 0.5)
    assert found.value[0] == pytest.approx(theirs.log_oddsratio)
    assert (found.low[0], found.high[0]) == pytest.approx(theirs.log_oddsratio_confint())


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30), st.integers(1, 30))
def test_effects_change_their_sign_when_sides_are_swapped(a, b, more_a, more_b):
    for effect in (share_difference, log_odds_ratio):
        one = effect(np.array([a]), a + more_a, np.array([b]), b + more_b)
        other = effect(np.array([b]), b + more_b, np.array([a]), a + more_a)
        assert one.value[0] == pytest.approx(-other.value[0], abs=1e-12)
        assert one.low[0] == pytest.approx(-other.high[0], abs=1e-12)
        assert one.low[0] <= one.value[0] <= one.high[0]


@given(st.data(), COUNTS)
def test_the_common_odds_ratio_and_its_interval_are_those_of_statsmodels(data, sizes):
    strata = [
        (data.draw(st.integers(0, n_a)), n_a, data.draw(st.integers(0, n_b)), n_b) for n_a, n_b in sizes
    ]
    found = adjusted_log_odds_ratio(tables_of(strata), n_cells=1)
    agree = sum(a * (n_b - b) / (n_a + n_b) for a, n_a, b, n_b in strata)
    differ = sum((n_a - a) * b / (n_a + n_b) for a, n_a, b, n_b in strata)
    if agree == 0 or differ == 0:
        assert np.isnan([found.value[0], found.low[0], found.high[0]]).all()
        return
    theirs = of_statsmodels(strata)
    assert found.value[0] == pytest.approx(theirs.logodds_pooled, abs=1e-9)
    assert (found.low[0], found.high[0]) == pytest.approx(theirs.logodds_pooled_confint(), abs=1e-9)


def test_the_adjusted_difference_is_that_of_satos_paper():
    """A stratum alone gives the plain difference; the interval nears the plain one for many samples."""
    found = adjusted_difference(tables_of([(3000, 10_000, 2000, 8000)]), n_cells=1)
    assert found.value[0] == pytest.approx(0.05)
    half = 1.959964 * np.sqrt(0.3 * 0.7 / 10_000 + 0.25 * 0.75 / 8000)
    assert found.high[0] - found.value[0] == pytest.approx(half, rel=1e-3)


def test_the_adjusted_differences_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    n_a, n_b = np.array([40, 25, 60]), np.array([20, 50, 60])
    share_b, difference = np.array([0.2, 0.35, 0.1]), 0.15
    covered = 0
    for _ in range(1000):
        a, b = rng.binomial(n_a, share_b + difference), rng.binomial(n_b, share_b)
        found = adjusted_difference(tables_of(list(zip(a, n_a, b, n_b, strict=True))), n_cells=1)
        covered += found.low[0] <= difference <= found.high[0]
    assert 930 <= covered <= 970


def test_strata_without_a_sample_in_the_cell_may_be_left_out_of_the_tables():
    full = tables_of([(3, 10, 1, 12), (0, 20, 0, 9), (5, 8, 2, 8)])
    short = StratumTables(
        cell=full.cell[[0, 2]],
        a=full.a[[0, 2]],
        b=full.b[[0, 2]],
        n_a=full.n_a[[0, 2]],
        n_b=full.n_b[[0, 2]],
        all_a=full.all_a,
        all_b=full.all_b,
    )
    for effect in (adjusted_difference, adjusted_log_odds_ratio):
        one, other = effect(full, n_cells=1), effect(short, n_cells=1)
        for name in ("value", "low", "high"):
            assert getattr(one, name)[0] == pytest.approx(getattr(other, name)[0])


def test_samples_that_come_in_copies_are_worth_one_each():
    """Every sample five times over: the shares are the same, the intervals those of a fifth."""
    rng = np.random.default_rng(1)
    codes, side = rng.integers(0, 3, size=200), rng.integers(0, 2, size=200)
    groups = np.repeat(np.arange(200), 5)
    effect = design_effect(np.repeat(codes, 5), np.repeat(side, 5), groups, n_cells=3)
    assert effect == pytest.approx(5, rel=0.02)
    a, b = (np.bincount(codes[side == one], minlength=3) for one in (0, 1))
    once = share_difference(a, a.sum(), b, b.sum())
    copied = share_difference(5 * a, 5 * a.sum(), 5 * b, 5 * b.sum(), inflation=5.0)
    np.testing.assert_allclose(copied.low, once.low)
    np.testing.assert_allclose(copied.high, once.high)


def test_independent_samples_have_no_design_effect_to_speak_of():
    rng = np.random.default_rng(2)
    codes, side = rng.integers(0, 4, size=20_000), rng.integers(0, 2, size=20_000)
    effect = design_effect(codes, side, rng.integers(0, 4000, size=20_000), n_cells=4)
    assert (effect >= 1).all()
    assert (effect < 1.1).all()
