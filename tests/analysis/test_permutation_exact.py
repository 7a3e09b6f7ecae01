import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llm_mri_store.analysis.permutation_design import plan_exchange
from llm_mri_store.analysis.permutation_draws import all_relabelings, draw_relabelings
from llm_mri_store.analysis.permutation_exact import exact_cell_p
from llm_mri_store.analysis.permutation_maps import make_maps
from llm_mri_store.analysis.permutation_null import directed


def exact(maps, *, alternative="two-sided", least=False):
    p = exact_cell_p(
        maps.exchange,
        maps.layers[0],
        maps.moments,
        tested=np.flatnonzero(maps.is_tested),
        alternative=alternative,
    )
    return p[1] if least else p[0]


def maps_of(labels, codes, *, grid=2, strata=None):
    strata = np.zeros(len(labels), dtype=np.int64) if strata is None else strata
    exchange = plan_exchange(np.asarray(labels), strata=strata, n_labels=2)
    return make_maps(exchange, np.atleast_2d(codes), grid=grid)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_p_is_that_of_counting_every_relabeling(seed, alternative):
    rng = np.random.default_rng(seed)
    labels = np.array([0] * 4 + [1] * 5)
    strata = rng.integers(0, 2, size=9)
    maps = maps_of(labels, rng.integers(0, 4, size=9), strata=strata)
    if not maps.is_tested.any():
        return
    every = directed(maps.scores(np.concatenate(list(all_relabelings(maps.exchange)))), alternative)
    own = directed(maps.scores(maps.exchange.unit_labels[None]), alternative)
    counted = (every >= own - 1e-9).mean(axis=0)[maps.is_tested]
    np.testing.assert_allclose(exact(maps, alternative=alternative), counted, atol=1e-12)
    least = (every >= every.max(axis=0) - 1e-9).mean(axis=0)[maps.is_tested]
    np.testing.assert_allclose(exact(maps, alternative=alternative, least=True), least, atol=1e-12)


def test_p_of_one_side_is_fishers():
    a, n_a, b, n_b = 9, 20, 4, 30
    labels = np.repeat([0, 1], [n_a, n_b])
    codes = np.concatenate([np.arange(n_a) < a, np.arange(n_b) < b]).astype(int)
    maps = maps_of(labels, codes)
    # Cell 1 holds the 13 samples counted, cell 0 all others.
    for alternative in ("greater", "less"):
        theirs = stats.fisher_exact([[a, n_a - a], [b, n_b - b]], alternative=alternative)
        assert exact(maps, alternative=alternative)[1] == pytest.approx(theirs.pvalue)


def test_p_of_pairs_is_mcnemars():
    """Of 40 pairs 14 have only A in the cell and 5 only B: a sign test of 19."""
    in_cell_a = np.array([1] * 14 + [0] * 5 + [1] * 8 + [0] * 13)
    in_cell_b = np.array([0] * 14 + [1] * 5 + [1] * 8 + [0] * 13)
    labels = np.repeat([0, 1], 40)
    maps = maps_of(labels, np.concatenate([in_cell_a, in_cell_b]), strata=np.tile(np.arange(40), 2))
    expected = stats.binomtest(14, 19).pvalue
    assert exact(maps)[1] == pytest.approx(expected)


def test_p_is_what_drawing_relabelings_comes_near():
    rng = np.random.default_rng(3)
    labels, codes = rng.permutation(np.repeat([0, 1], [60, 240])), rng.integers(0, 9, size=300)
    maps = maps_of(labels, codes, grid=3, strata=rng.integers(0, 3, size=300))
    drawn = np.concatenate(list(draw_relabelings(maps.exchange, n=20_000, seed=0)))
    own = np.abs(maps.scores(maps.exchange.unit_labels[None]))
    counted = (np.abs(maps.scores(drawn)) >= own - 1e-9).mean(axis=0)
    assert np.abs(exact(maps) - counted).max() < 5 * np.sqrt(0.25 / 20_000)


def test_p_of_large_counts_nears_that_of_the_normal_distribution():
    rng = np.random.default_rng(4)
    labels, codes = rng.permutation(np.repeat([0, 1], 50_000)), rng.integers(0, 4, size=100_000)
    maps = maps_of(labels, codes)
    z = maps.standardised(maps.exchange.unit_labels[None])[0]
    np.testing.assert_allclose(exact(maps), 2 * stats.norm.sf(np.abs(z)), atol=0.01)


def test_p_is_never_zero():
    labels = np.repeat([0, 1], 2000)
    assert exact(maps_of(labels, labels)).tolist() == [1e-30, 1e-30]


def test_many_small_strata_give_what_few_large_ones_do_not():
    """1,000 strata of 4 samples: the convolution of 1,000 distributions sums to one and is symmetric."""
    rng = np.random.default_rng(5)
    labels = np.tile([0, 0, 1, 1], 1000)
    maps = maps_of(labels, rng.integers(0, 2, size=4000), strata=np.repeat(np.arange(1000), 4))
    p = exact(maps)
    z = maps.standardised(maps.exchange.unit_labels[None])[0][maps.is_tested]
    # Cell 0 and cell 1 are each other's rest.
    assert p[0] == pytest.approx(p[1])
    # The count is discrete: its p lies between those of the neighbouring half steps.
    step = 1 / np.sqrt(maps.moments.variance[0, 0])
    low, high = (2 * stats.norm.sf(np.abs(z[0]) + half) for half in (step / 2, -step / 2))
    assert low * 0.99 <= p[0] <= high * 1.01
