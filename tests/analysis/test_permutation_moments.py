from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import StratifiedTable

from llm_mri_store.analysis.permutation_design import plan_exchange
from llm_mri_store.analysis.permutation_draws import all_relabelings
from llm_mri_store.analysis.permutation_maps import make_maps
from llm_mri_store.analysis.permutation_moments import Moments, normal_scores


def maps_of(labels, codes, *, grid, strata=None, groups=None, n_labels=2):
    labels = np.asarray(labels)
    strata = np.zeros(len(labels), dtype=np.int64) if strata is None else np.asarray(strata)
    exchange = plan_exchange(labels, strata=strata, n_labels=n_labels, groups=groups)
    return make_maps(exchange, np.atleast_2d(codes), grid=grid)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_z_squared_is_the_cochran_mantel_haenszel_statistic_of_statsmodels(seed, n_strata):
    rng = np.random.default_rng(seed)
    labels, codes = rng.integers(0, 2, size=80), rng.integers(0, 4, size=80)
    strata = rng.integers(0, n_strata, size=80)
    maps = maps_of(labels, codes, grid=2, strata=strata)
    z = maps.standardised(maps.exchange.unit_labels[None])[0]
    for cell in range(4):
        inside = codes == cell
        tables = [
            np.array(
                [
                    [np.sum(row & inside), np.sum(row & ~inside)]
                    for row in (at & (labels == 0), at & (labels == 1))
                ]
            )
            for at in (strata == stratum for stratum in range(n_strata))
        ]
        # A stratum with one label, and a cell that holds none or all of one, have nothing to say.
        told = [table for table in tables if (table.sum(axis=0) > 0).all() and (table.sum(axis=1) > 0).all()]
        if not told:
            assert z[cell] == 0
        else:
            theirs = StratifiedTable(told).test_null_odds(correction=False)
            assert z[cell] ** 2 == pytest.approx(theirs.statistic, abs=1e-9)


@pytest.mark.parametrize("groups", [None, [0, 0, 1, 1, 2, 3, 4, 4, 5], [0, 0, 0, 1, 1, 1, 2, 2, 2]])
@pytest.mark.parametrize("strata", [[0] * 9, [0, 0, 0, 0, 0, 0, 1, 1, 1]])
def test_moments_in_closed_form_are_those_over_all_relabelings(groups, strata):
    labels = [0, 0, 1, 1, 1, 0, 1, 1, 0] if groups is None or groups[2] == 1 else [0, 0, 1, 1, 1, 1, 0, 0, 0]
    codes = [0, 1, 2, 2, 0, 3, 1, 0, 0]
    groups = None if groups is None else np.array(groups)
    if groups is not None and groups[2] == 0 and strata[-1]:
        strata = [0] * 9
    maps = maps_of(labels, codes, grid=2, strata=strata, groups=groups)
    every = np.concatenate(list(all_relabelings(maps.exchange)))
    assert len(every) > 1
    for label in (0, 1):
        deviations = maps.deviations(every, label=label)
        np.testing.assert_allclose(deviations.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose((deviations**2).mean(axis=0), maps.moments.variance[label], atol=1e-12)
        np.testing.assert_allclose((deviations**3).mean(axis=0), maps.moments.third[label], atol=1e-12)


def test_whole_groups_count_with_all_their_samples():
    """Three groups of sizes 1, 2 and 3; A has the last. By hand: cell 0 holds 1, 0 and 3 of them."""
    maps = maps_of([1, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 0], grid=2, groups=np.array([0, 1, 1, 2, 2, 2]))
    # 4 of 6 samples are in cell 0: the groups' deviations are 1 - 2/3, 0 - 4/3 and 3 - 2.
    r = np.array([1 / 3, -4 / 3, 1.0])
    assert maps.deviations(maps.exchange.unit_labels[None], label=0)[0, 0] == pytest.approx(1.0)
    assert maps.moments.variance[0, 0] == pytest.approx((r**2).sum() / 3)


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.integers(2, 30))
def test_scores_of_the_two_labels_mirror_each_other(seed, n_a, n_b):
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [n_a, n_b])
    maps = maps_of(labels, rng.integers(0, 4, size=n_a + n_b), grid=2)
    rows = rng.permuted(np.tile(labels, (5, 1)), axis=1)
    np.testing.assert_allclose(maps.scores(rows, label=0), -maps.scores(rows, label=1), atol=1e-12)


def test_scores_of_labels_of_one_size_are_z():
    maps = maps_of(np.repeat([0, 1], 20), np.arange(40) % 7 % 4, grid=2)
    own = maps.exchange.unit_labels[None]
    np.testing.assert_array_equal(maps.scores(own), maps.standardised(own))


@given(st.floats(-3, 3))
def test_scores_grow_with_the_deviation_and_keep_its_sign(skewness):
    moments = Moments(variance=np.full((1, 41), 1.0), third=np.full((1, 41), skewness))
    z = np.linspace(-10, 10, 41)
    scores = normal_scores(z, moments, label=0)
    assert (np.diff(scores) > 0).all()
    assert (np.sign(scores) == np.sign(z)).all()


def test_scores_of_a_rare_label_are_nearer_to_normal_than_z():
    """Of a skewed count the largest of many z is far too large, and that of scores about as it should be."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [50, 950])
    codes = rng.integers(0, 400, size=1000)
    maps = maps_of(labels, codes, grid=20)
    rows = rng.permuted(np.tile(labels, (300, 1)), axis=1)
    largest_z = np.quantile(np.abs(maps.standardised(rows)).max(axis=1), 0.95)
    largest_score = np.quantile(np.abs(maps.scores(rows)).max(axis=1), 0.95)
    # Of 400 independent normal variables the 95 % point of the largest is 3.83.
    assert largest_z > 5.5
    assert 2.5 < largest_score < 3.83


def test_counting_is_that_of_a_plain_loop_for_every_order():
    labels, codes = np.array([0, 1, 1, 0, 1]), np.array([[0, 0, 1, 3, 3], [2, 2, 2, 1, 0]])
    maps = maps_of(labels, codes, grid=2)
    for order in permutations(range(5)):
        row = labels[list(order)]
        counts = np.array(
            [[np.sum((row == 0) & (layer == cell)) for cell in range(4)] for layer in codes]
        ).ravel()
        expected = np.array([[(layer == cell).sum() * 2 / 5 for cell in range(4)] for layer in codes]).ravel()
        deviations = maps.deviations(row[None], label=0)[0]
        np.testing.assert_allclose(deviations, counts - expected, atol=1e-12)
