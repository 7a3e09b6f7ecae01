"""Moments merge, and tell a constant layer from one that varies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.reduction.moments import add_samples, begin_moments, relative_spread
from llm_mri_store.reduction.rounding import ROUNDING


def moments_of(*parts):
    moments = begin_moments(parts[0])
    for part in parts:
        moments = add_samples(moments, part)
    return moments


def spread_of(moments):
    return relative_spread(moments.variance, moments.mean)


def noise(rng, *shape):
    return rng.normal(size=shape)


@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(1, 59), max_size=4, unique=True))
def test_chunk_sizes_do_not_matter(seed, cuts):
    rng = np.random.default_rng(seed)
    whole = (noise(rng, 60, 5) * [1, 1, 1, 1e-3, 5] + [0, 300, -1000, 1, 0]).astype(np.float32)
    cut_up = moments_of(*np.split(whole, sorted(cuts)))
    assert cut_up.n == 60
    exact = whole.astype(np.float64)
    np.testing.assert_allclose(cut_up.mean, exact.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(cut_up.covariance, np.cov(exact.T, ddof=0), rtol=1e-9, atol=1e-10)


def test_by_hand():
    moments = moments_of(np.array([[1, 10], [3, 10]], np.float32), np.array([[5, 40]], np.float32))
    assert moments.mean.tolist() == [3, 20]
    np.testing.assert_allclose(moments.covariance, [[8 / 3, 20], [20, 200]], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_equal_vectors_have_no_spread(scale):
    rng = np.random.default_rng(0)
    vector = (noise(rng, 16) * scale).astype(np.float32)
    assert spread_of(moments_of(np.tile(vector, (50, 1)))) < 1e-15


@pytest.mark.parametrize("dtype", ROUNDING)
def test_rounding_is_no_spread_in_any_precision(dtype):
    rng = np.random.default_rng(0)
    vector = noise(rng, 16) * np.array([1] * 14 + [300, 1e-6])
    rounded = vector * (1 + ROUNDING[dtype] * rng.uniform(-2, 2, size=(200, 16)))
    assert spread_of(moments_of(rounded.astype(np.float32))) < 2 * ROUNDING[dtype]


def test_one_feature_that_varies_is_a_spread():
    rng = np.random.default_rng(0)
    activations = np.tile(noise(rng, 16), (200, 1))
    activations[:, 3] += noise(rng, 200) * 0.5
    assert spread_of(moments_of(activations.astype(np.float32))) > 0.1


def test_a_tiny_feature_that_varies_within_itself_is_no_spread():
    activations = np.ones((200, 16))
    activations[:, 3] = 1e-8 * np.random.default_rng(0).normal(size=200)
    assert spread_of(moments_of(activations.astype(np.float32))) < 1e-7


def test_zeros_have_no_spread():
    assert spread_of(moments_of(np.zeros((3, 4), np.float32))) == 0.0
