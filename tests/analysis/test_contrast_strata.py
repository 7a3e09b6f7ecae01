import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.analysis.contrast_strata import covariate_balance, cut_strata
from llm_mri_store.errors import InvalidInput


def cut(n_bins=5, whole=None, **columns):
    arrays = {name: pa.array(values) for name, values in columns.items()}
    n = len(next(iter(arrays.values())))
    whole = np.full(n, -1) if whole is None else np.array(whole)
    return cut_strata(arrays, n_samples=n, n_bins=n_bins, whole=whole)


def same(codes):
    """Which samples share a stratum, whatever the strata are called."""
    codes = np.asarray(codes)
    return (codes[:, None] == codes[None, :]).tolist()


def test_strings_and_booleans_are_taken_as_they_are():
    assert same(cut(topic=["x", "y", "x", None, None]).codes) == same([0, 1, 0, 2, 2])
    assert same(cut(flag=[True, False, True, None]).codes) == same([0, 1, 0, 2])


def test_categories_may_come_as_a_dictionary():
    column = pa.array(["x", None, "y", "x"]).dictionary_encode()
    found = cut_strata({"topic": column}, n_samples=4, n_bins=5, whole=np.full(4, -1))
    assert same(found.codes) == same([0, 1, 2, 0])


def test_a_column_of_nothing_is_one_stratum():
    found = cut_strata({"topic": pa.nulls(3)}, n_samples=3, n_bins=5, whole=np.full(3, -1))
    assert found.codes.tolist() == [0, 0, 0]


def test_numbers_are_cut_at_their_quantiles():
    found = cut(n_tokens=list(range(100)))
    assert np.bincount(found.codes).tolist() == [20] * 5
    assert found.words == ("n_tokens in 5 bins",)
    assert found.numeric["n_tokens"].tolist() == list(range(100))


def test_numbers_of_few_values_are_not_cut():
    assert same(cut(year=[2001, 2003, 2001, 2002]).codes) == same([0, 1, 0, 2])


def test_samples_of_one_value_share_a_bin():
    found = cut(n_tokens=[1] * 50 + list(range(2, 52)), n_bins=4)
    assert len(set(found.codes[:50].tolist())) == 1


def test_a_missing_number_is_a_stratum_of_its_own():
    found = cut(score=[1.0, None, float("nan"), 2.0, float("inf")], n_bins=2)
    assert same(found.codes) == same([0, 1, 1, 2, 1])


def test_dates_are_numbers():
    days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=day) for day in range(40)]
    assert np.bincount(cut(day=days, n_bins=4).codes).tolist() == [10] * 4


def test_strata_of_two_covariates_are_their_combinations():
    found = cut(topic=["x", "x", "y", "y"], flag=[True, False, True, True])
    assert same(found.codes) == same([0, 1, 2, 2])
    assert found.n_strata == 3


def test_without_a_covariate_there_is_one_stratum():
    found = cut_strata({}, n_samples=3, n_bins=5, whole=np.full(3, -1))
    assert found.codes.tolist() == [0, 0, 0]
    assert found.n_strata == 1


def test_a_whole_group_lies_in_the_stratum_of_its_mean():
    found = cut(n_tokens=[1, 9, 5, 2, 3, 8, 7, 6], n_bins=2, whole=[0, 0, -1, -1, -1, -1, -1, -1])
    assert found.codes[0] == found.codes[1] == found.codes[2]


def test_a_category_that_differs_within_a_whole_group_is_refused():
    with pytest.raises(InvalidInput, match="'topic' differs within groups that have one label"):
        cut(topic=["x", "y", "x"], whole=[0, 0, -1])
    cut(topic=["x", "x", "y"], whole=[0, 0, -1])


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(2, 6))
def test_bins_are_in_the_order_of_the_values(values, n_bins):
    codes = cut(value=values, n_bins=n_bins).codes
    order = np.argsort(values, kind="stable")
    assert (np.diff(codes[order]) >= 0).all()
    assert codes.max() < n_bins


def test_balance_is_the_difference_in_standard_deviations_before_and_within_strata():
    values = np.array([1.0, 2.0, 3.0, 4.0, 3.0, 4.0, 5.0, 6.0])
    is_a = np.repeat([True, False], 4)
    strata = np.array([0, 0, 1, 1, 1, 1, 2, 2])
    kept = strata == 1
    row = covariate_balance({"n": values}, is_a, strata, kept).to_pylist()[0]
    spread = np.std([1, 2, 3, 4], ddof=1)
    assert (row["mean_a"], row["mean_b"]) == (2.5, 4.5)
    assert row["smd_before"] == pytest.approx(-2 / spread)
    assert row["smd_after"] == pytest.approx(0.0)


def test_balance_of_what_does_not_vary_is_not_made_up():
    row = covariate_balance(
        {"n": np.ones(4)},
        np.array([True, True, False, False]),
        np.zeros(4, dtype=int),
        np.ones(4, dtype=bool),
    ).to_pylist()[0]
    assert row == {"covariate": "n", "mean_a": None, "mean_b": None, "smd_before": None, "smd_after": None}
