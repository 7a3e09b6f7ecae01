"""Adjusted mutual information against scikit-learn's, and what it is by chance."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix, expected_mutual_information

from llm_mri_store.analysis.partition_agreement import CellPairs, Partition, expected_information

CASES = {
    "few": (12, 3, 4, 1.0),
    "many cells": (300, 90, 100, 1.0),
    "some large, some small": (2000, 40, 60, 4.0),
    "two parts": (500, 2, 2, 1.0),
}


def drawn(rng, n, n_parts, skew):
    share = rng.random(n_parts) ** skew
    return rng.choice(n_parts, size=n, p=share / share.sum())


@pytest.mark.parametrize(("n", "n_a", "n_b", "skew"), CASES.values(), ids=CASES)
def test_it_is_that_of_scikit_learn(n, n_a, n_b, skew):
    rng = np.random.default_rng(0)
    a = np.stack([drawn(rng, n, n_a, skew) for _ in range(2)])
    b = np.stack([drawn(rng, n, n_b, skew), np.where(rng.random(n) < 0.5, a[0] % n_b, 0), a[1]])
    found = CellPairs(a, b).values()
    for place in np.ndindex(found.shape):
        expected = adjusted_mutual_info_score(a[place[0]], b[place[1]])
        assert found[place] == pytest.approx(expected, abs=1e-9)
    assert found[1, 2] == pytest.approx(1)


def test_what_is_expected_by_chance_is_exact_however_it_is_cut(monkeypatch):
    rng = np.random.default_rng(1)
    codes = [drawn(rng, 400, 30, 3.0) for _ in range(2)]
    sizes = [Partition.of(one).sizes for one in codes]
    expected = expected_mutual_information(contingency_matrix(*codes, sparse=True), 400)
    assert expected_information(*sizes) == pytest.approx(expected, rel=1e-10)
    monkeypatch.setattr("llm_mri_store.analysis.partition_agreement._ENTRIES_AT_ONCE", 50)
    assert expected_information(*sizes) == pytest.approx(expected, rel=1e-10)


def test_over_all_orders_it_is_0_on_average():
    a, b = np.array([[0, 0, 1, 1, 1, 2]]), np.array([[0, 1, 1, 1, 2, 2]])
    pairs = CellPairs(a, b)
    every = [pairs.values(np.array(order))[0, 0] for order in permutations(range(6))]
    assert np.mean(every) == pytest.approx(0, abs=1e-12)


def test_an_order_says_which_sample_stands_where():
    a, b = np.array([[0, 0, 1, 1, 2]]), np.array([[5, 9, 9, 5, 7]])
    order = np.array([3, 0, 1, 2, 4])
    assert CellPairs(a, b).values(order)[0, 0] == pytest.approx(CellPairs(a, b[:, order]).values()[0, 0])
    assert CellPairs(a, b).values(order)[0, 0] == pytest.approx(1)


def test_one_part_and_a_part_for_each_sample_say_nothing():
    one, each, halves = np.zeros(6, dtype=int), np.arange(6), np.arange(6) % 2
    found = CellPairs(np.stack([one, each, halves]), np.stack([one, each, halves])).values()
    assert np.isnan(found[0]).all()
    assert np.isnan(found[:, 0]).all()
    assert np.isnan(found[1, 1])
    assert found[2, 2] == 1
