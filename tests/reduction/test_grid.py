"""Bins and cells against pandas.cut and by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from llm_mri_store.reduction.grid import assign_cells, bin_edges

values = arrays.arrays(
    np.float32,
    st.integers(1, 30),
    elements=st.floats(-1e6, 1e6, width=32, allow_subnormal=False) | st.sampled_from([0.0, 1.0, 1.0, 2.0]),
)


def cells(numbers, n_bins, bins="width"):
    edges = bin_edges(np.asarray(numbers, np.float32), n_bins, bins=bins)
    return assign_cells(np.asarray(numbers, np.float32), edges)[0].tolist()


@given(values, st.integers(1, 20))
def test_bins_of_equal_width_are_those_of_pandas(numbers, n_bins):
    assert cells(numbers, n_bins) == pd.cut(numbers, n_bins, labels=False).tolist()


@given(values, st.integers(1, 20), st.sampled_from(["width", "quantile"]))
def test_fitted_values_are_never_clipped_and_edges_ascend(numbers, n_bins, bins):
    edges = bin_edges(numbers, n_bins, bins=bins)
    found, clipped = assign_cells(numbers, edges)
    assert len(edges) == n_bins + 1
    assert (np.diff(edges) >= 0).all()
    assert not clipped.any()
    assert found.dtype == np.int16
    assert ((found >= 0) & (found < n_bins)).all()


@given(values, st.sampled_from(["width", "quantile"]))
def test_cells_keep_the_order_of_values(numbers, bins):
    in_order = np.sort(numbers)
    found = assign_cells(in_order, bin_edges(numbers, 7, bins=bins))[0]
    assert (np.diff(found) >= 0).all()


def test_bins_are_closed_on_the_right_and_hold_the_lowest_value():
    assert cells([0, 1, 2, 3, 4], 4) == [0, 0, 1, 2, 3]


def test_an_outlier_takes_the_equal_bins_but_not_the_quantiles():
    # PEER: values 0, .1, .2, .3, 50 fall into cells 0, 0, 0, 0, 9.
    assert cells([0, 0.1, 0.2, 0.3, 50], 10) == [0, 0, 0, 0, 9]
    assert len(set(cells([0, 0.1, 0.2, 0.3, 50], 10, "quantile"))) == 5


def test_quantile_bins_hold_as_many_samples_each():
    numbers = np.random.default_rng(0).lognormal(size=1000)
    assert np.bincount(cells(numbers, 10, "quantile")).tolist() == [100] * 10


def test_quantile_bins_with_many_ties_stay_bins():
    assert cells([0] * 90 + [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 10, "quantile") == [0] * 90 + [9] * 10


@pytest.mark.parametrize("value", [0.0, -3.5, 1e30, 1e-30])
@pytest.mark.parametrize("bins", ["width", "quantile"])
def test_a_constant_lies_in_the_middle_as_in_pandas(value, bins):
    numbers = np.full(5, value, np.float32)
    assert cells(numbers, 10, bins) == pd.cut(numbers, 10, labels=False).tolist()
    assert cells(numbers, 5, bins) == [2] * 5


def test_values_outside_go_to_the_outermost_cells_and_are_counted():
    edges = bin_edges(np.array([0, 10], np.float32), 5, bins="width")
    found, clipped = assign_cells(np.array([-1, 0, 5, 10, 11, 1e30], np.float32), edges)
    assert found.tolist() == [0, 0, 2, 4, 4, 4]
    assert clipped.tolist() == [True, False, False, False, True, True]
