import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.analysis.moments import Moments, moments


def test_moments_by_hand():
    found = moments([1.0, 1.0, 2.0, 4.0])
    # Central moments: m2 = 1.5, m3 = 1.5, m4 = 4.5.
    assert found.mean == 2.0
    assert found.var == 2.0
    assert found.skew == pytest.approx(math.sqrt(4 * 3) / 2 * 1.5 / 1.5**1.5)
    assert found.kurt == pytest.approx(3 / (2 * 1) * (5 * (4.5 / 1.5**2) - 3 * 3))


@given(st.lists(st.integers(-50, 50), min_size=0, max_size=12))
def test_moments_are_those_of_pandas(values):
    series = pd.Series(values, dtype=float)
    theirs = [series.mean(), series.var(), series.skew(), series.kurt()]
    if len(set(values)) < 2:
        theirs[2:] = [math.nan, math.nan]  # pandas 2 gives 0 for a constant
    ours = moments(values)
    expected = [None if math.isnan(number) else number for number in theirs]
    assert [ours.mean, ours.var, ours.skew, ours.kurt] == pytest.approx(expected, abs=1e-9)


def test_moments_of_too_few_numbers_are_none():
    assert moments([]) == Moments(mean=None, var=None, skew=None, kurt=None)
    assert moments([3.0]) == Moments(mean=3.0, var=None, skew=None, kurt=None)
    assert moments([3.0, 5.0]) == Moments(mean=4.0, var=2.0, skew=None, kurt=None)


@pytest.mark.parametrize("constant", [[0.0] * 5, [2.0] * 5, [0.1 + 0.2, 0.3, 0.3, 0.3]])
def test_shape_of_a_constant_is_none(constant):
    found = moments(constant)
    assert found.var == pytest.approx(0.0, abs=1e-30)
    assert (found.skew, found.kurt) == (None, None)
