import numpy as np
import pytest

from llm_mri_store.analysis.null_statistics import band, distances_from_chance, family_p, joint_p, own_p


def test_p_counts_what_is_as_large_and_is_never_zero():
    chance = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    assert own_p(np.array([3.0, 9.0]), chance, is_exact=False).tolist() == [3 / 5, 1 / 5]
    assert own_p(np.array([3.0, 1.0]), chance, is_exact=True).tolist() == [2 / 4, 1.0]
    assert family_p(np.array([3.5, 4.0, 5.0]), chance[0], is_exact=False).tolist() == [2 / 5, 2 / 5, 1 / 5]


def test_sums_in_another_order_are_as_large():
    assert own_p(np.array([0.1 + 0.2]), np.array([[0.3]]), is_exact=False).tolist() == [1.0]
    assert family_p(np.array([0.1 + 0.2]), np.array([0.3]), is_exact=False).tolist() == [1.0]


def test_what_is_undefined_has_no_p_and_counts_as_reaching():
    chance = np.array([[np.nan, 1.0, 1.0], [np.nan, np.nan, np.nan]])
    p = own_p(np.array([2.0, np.nan]), chance, is_exact=False)
    assert p[0] == 2 / 4
    assert np.isnan(p[1])


def test_a_statistic_that_some_relabeling_leaves_undefined_is_not_in_the_family():
    chance = np.array([[0.0, 1.0, 2.0], [np.nan, 0.0, 0.0]])
    found = distances_from_chance(np.array([5.0, 5.0]), chance, is_exact=False)
    p = joint_p(found, is_exact=False, two_sided=False)
    assert p[0] == 1 / 4
    assert np.isnan(p[1])


def test_a_statistic_that_never_varies_is_at_distance_zero_with_p_one():
    found = distances_from_chance(np.array([0.1]), np.full((1, 9), 0.1), is_exact=False)
    assert found.observed.tolist() == [0.0]
    assert joint_p(found, is_exact=False, two_sided=True).tolist() == [1.0]


def test_p_is_uniform_under_the_null_whichever_of_all_was_observed():
    """Each of ten values takes its turn as the observed one: every rank comes up once."""
    values = np.random.default_rng(0).normal(size=10)
    ps = []
    for turn in range(10):
        others = np.delete(values, turn)[None]
        found = distances_from_chance(values[[turn]], others, is_exact=False)
        ps.append(float(joint_p(found, is_exact=False, two_sided=True)[0]))
    assert sorted(ps) == pytest.approx(np.arange(1, 11) / 10)


def test_the_band_by_hand():
    mean, low, high = band(np.arange(101.0)[None])
    assert (mean[0], low[0], high[0]) == (50.0, 2.5, 97.5)
