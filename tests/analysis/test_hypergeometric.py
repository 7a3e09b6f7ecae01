"""Exact distributions against scipy, against counting, and against the cells' own exact p."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from llm_mri_store.analysis.hypergeometric import can_pass, exact_counts


def one(total, marked, drawn):
    return exact_counts(np.array([[total]]), np.array([[marked]]), np.array([[drawn]]))


margins = st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n)))


@settings(deadline=None)
@given(margins)
def test_moments_and_range_are_those_of_scipy(margin):
    counts, theirs = one(*margin), stats.hypergeom(*margin)
    low, high = theirs.support()
    values = np.arange(low, high + 1)
    mean = (theirs.pmf(values) * values).sum()
    assert counts.mean[0] == pytest.approx(mean)
    assert counts.variance[0] == pytest.approx((theirs.pmf(values) * (values - mean) ** 2).sum(), abs=1e-9)
    assert (counts.lowest[0], counts.highest[0]) == (low, high)
    assert counts.p.size == high - low + 1


@settings(deadline=None)
@given(margins)
def test_p_is_the_chance_of_all_values_as_far_by_score(margin):
    counts, theirs = one(*margin), stats.hypergeom(*margin)
    values = np.arange(counts.lowest[0], counts.highest[0] + 1)
    size = np.abs(counts.score)
    expected = [theirs.pmf(values[size >= own - 1e-9]).sum() for own in size]
    assert counts.p == pytest.approx(expected, rel=1e-9)
    assert (counts.p > 0).all()
    assert counts.p.max() == pytest.approx(1.0)
    # Farther from the mean is never more likely.
    assert (np.diff(counts.score) > 0).all() or values.size == 1


@pytest.mark.parametrize("margin", [(40, 11, 20), (100, 8, 50), (7, 3, 3), (30, 10, 15)])
def test_p_is_that_of_fishers_exact_test_where_both_labels_are_as_many(margin):
    total, marked, drawn = margin
    counts = one(*margin)
    for value, p in zip(range(counts.lowest[0], counts.highest[0] + 1), counts.p, strict=True):
        table = [[value, drawn - value], [marked - value, total - marked - drawn + value]]
        # With halves the distribution is symmetric, so as far and as unlikely are the same.
        if 2 * drawn == total or 2 * marked == total:
            assert p == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-9)
        else:
            assert p >= stats.hypergeom(*margin).pmf(value) - 1e-12


def test_strata_are_counted_out():
    """Every way to hand labels out within two strata, the edge's samples marked."""
    strata = [([1, 1, 0, 0], [1, 0, 0, 0]), ([1, 1, 1, 0, 0], [1, 1, 0, 0, 0])]
    ways = [0]
    for marks, drawn in strata:
        sums = [np.dot(order, marks) for order in permutations(drawn)]
        ways = [before + now for before in ways for now in sums]
    counts = exact_counts(np.array([[4, 5]]), np.array([[2, 3]]), np.array([[1, 2]]))
    values = np.arange(counts.lowest[0], counts.highest[0] + 1)
    assert sorted(set(ways)) == values.tolist()
    assert counts.mean[0] == pytest.approx(np.mean(ways))
    assert counts.variance[0] == pytest.approx(np.var(ways))
    chances = np.array([np.mean(np.equal(ways, value)) for value in values])
    size = np.abs(counts.score)
    assert counts.p == pytest.approx([chances[size >= own - 1e-9].sum() for own in size])


@settings(max_examples=30, deadline=None)
@given(st.lists(margins, min_size=1, max_size=4), st.lists(margins, min_size=1, max_size=4))
def test_many_counts_at_once_are_each_by_itself(first, second):
    width = max(len(first), len(second))
    rows = [[*strata, *[(0, 0, 0)] * (width - len(strata))] for strata in (first, second, first)]
    together = exact_counts(*np.moveaxis(np.array(rows), 2, 0))
    for index, row in enumerate(rows):
        alone = exact_counts(*(np.array([[margin[at] for margin in row]]) for at in range(3)))
        assert together.mean[index] == alone.mean[0]
        values = np.arange(alone.lowest[0], alone.highest[0] + 1)
        assert together.lowest[index] == alone.lowest[0]
        assert together.p[together.start[index] + values].tolist() == alone.p.tolist()


def test_a_count_that_cannot_vary_has_p_one_and_z_zero():
    counts = one(10, 0, 4)
    assert (counts.p.tolist(), counts.z_of(np.array([0])).tolist()) == ([1.0], [0.0])


def test_the_smallest_p_is_never_zero():
    assert one(4000, 2000, 2000).p.min() == 1e-30


def test_tests_that_cannot_pass_are_left_out():
    # At 0.05 / 2 two can pass, so two are the family.
    assert can_pass(np.array([0.02, 0.001, 0.03, 0.04, 0.9])).tolist() == [True, True, False, False, False]
    assert can_pass(np.array([0.2, 0.9])).tolist() == [False, False]
    assert can_pass(np.zeros(5)).all()
    assert can_pass(np.zeros(0)).tolist() == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=60))
def test_the_family_is_tarones(smallest):
    p = np.array(smallest)
    passes = can_pass(p)
    by_definition = next(k for k in range(1, len(p) + 2) if (p <= 0.05 / k).sum() <= k)
    assert passes.tolist() == (p <= 0.05 / by_definition).tolist()
    # So whoever is in it could pass Bonferroni's correction for its size.
    assert (p[passes] <= 0.05 / max(passes.sum(), 1)).all()
