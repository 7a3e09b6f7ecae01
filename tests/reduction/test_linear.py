"""PCA and SVD against scikit-learn, and on data that has fewer directions than components."""

import numpy as np
import pytest
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.preprocessing import StandardScaler

from llm_mri_store.errors import ReductionError
from llm_mri_store.reduction.linear import fit_linear
from llm_mri_store.reduction.moments import add_samples, begin_moments
from llm_mri_store.reduction.rounding import ROUNDING

FLOAT32 = 2.0**-23


def fit(activations, n_components, *, scale=True, center=True, dtype="float32", n_parts=1):
    parts = np.array_split(activations, n_parts)
    moments = begin_moments(parts[0])
    for part in parts:
        moments = add_samples(moments, part)
    return fit_linear(moments, n_components, scale=scale, center=center, rounding=ROUNDING[dtype])


def sample(n=300, n_features=24, *, seed=0):
    """Correlated features of very different sizes, two of them far from zero, as trained models have."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_features, n_features)) * np.linspace(2, 0.1, n_features)[:, None]
    activations = rng.normal(size=(n, n_features)) @ mixing
    activations[:, 0] += 300
    activations[:, 1] -= 1000
    return activations.astype(np.float32)


def up_to_sign(points, reference):
    return points * np.sign((points * reference).sum(axis=0))


@pytest.mark.parametrize("n_components", [1, 3, 10])
@pytest.mark.parametrize("scale", [True, False])
def test_pca_is_that_of_scikit_learn(n_components, scale):
    activations = sample()
    exact = activations.astype(np.float64)
    scaled = StandardScaler().fit_transform(exact) if scale else exact
    reference = PCA(n_components, svd_solver="full").fit(scaled)
    found = fit(activations, n_components, scale=scale)
    points = found.reducer.transform(activations)
    assert points.dtype == np.float32
    expected = reference.transform(scaled)
    np.testing.assert_allclose(up_to_sign(points, expected), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.explained_variance, reference.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(
        found.explained_variance / found.total_variance, reference.explained_variance_ratio_, rtol=1e-9
    )


def test_svd_without_centring_is_that_of_scikit_learn():
    activations = sample()
    exact = activations.astype(np.float64)
    reference = TruncatedSVD(3, algorithm="arpack", random_state=0)
    expected = reference.fit_transform(exact)
    found = fit(activations, 3, scale=False, center=False)
    points = found.reducer.transform(activations)
    np.testing.assert_allclose(up_to_sign(points, expected), expected, rtol=1e-5, atol=1e-4)
    n = len(activations)
    np.testing.assert_allclose(
        found.explained_variance, reference.explained_variance_ * n / (n - 1), rtol=1e-6
    )


def test_svd_without_centring_begins_with_the_mean_direction():
    activations = sample()
    mean = activations.mean(axis=0, dtype=np.float64)
    first = fit(activations, 1, scale=False, center=False).reducer.components[0]
    assert abs(first @ mean) / np.linalg.norm(mean) > 0.999


def test_standardised_and_centred_svd_is_pca():
    activations = sample()
    pca, svd = fit(activations, 3), fit(activations, 3, center=True)
    np.testing.assert_array_equal(pca.reducer.components, svd.reducer.components)


@pytest.mark.parametrize("n_parts", [2, 7, 300])
def test_chunk_sizes_do_not_matter(n_parts):
    activations = sample()
    whole, parts = fit(activations, 5), fit(activations, 5, n_parts=n_parts)
    np.testing.assert_allclose(parts.reducer.components, whole.reducer.components, atol=1e-9)


def test_the_same_chunks_give_the_same_bits():
    one, again = (fit(sample(), 5, n_parts=4) for _ in range(2))
    for name, array in one.reducer.arrays().items():
        np.testing.assert_array_equal(array, again.reducer.arrays()[name])


def test_the_largest_loading_of_each_component_is_positive():
    components = fit(sample(), 10).reducer.components
    largest = np.abs(components).argmax(axis=1)
    assert (components[np.arange(10), largest] > 0).all()


def test_turning_all_signs_of_the_samples_turns_nothing_else():
    activations = sample()
    here, turned = fit(activations, 3), fit(-activations, 3)
    np.testing.assert_allclose(here.reducer.components, turned.reducer.components, atol=1e-9)


def test_components_are_orthonormal_and_points_have_their_variance():
    activations = sample()
    found = fit(activations, 10)
    components = found.reducer.components
    np.testing.assert_allclose(components @ components.T, np.eye(10), atol=1e-12)
    points = found.reducer.transform(activations)
    np.testing.assert_allclose(np.cov(points.T), np.diag(found.explained_variance), atol=1e-4)


def test_a_constant_feature_gets_no_weight():
    activations = sample()
    activations[:, 5] = 7.0
    activations[:, 6] = 7.0 * (1 + FLOAT32 * np.random.default_rng(0).integers(-1, 2, size=len(activations)))
    found = fit(activations, 3)
    assert found.reducer.weight[[5, 6]].tolist() == [0, 0]
    without = fit(np.delete(activations, [5, 6], axis=1), 3)
    np.testing.assert_allclose(found.explained_variance, without.explained_variance, rtol=1e-6)
    assert found.total_variance == pytest.approx(22 * 300 / 299)


def test_more_components_than_the_samples_have_are_refused():
    activations = sample(4)
    assert fit(activations, 3).reducer.components.shape == (3, 24)
    with pytest.raises(ReductionError, match=r"4 components were asked for, but 4 samples .* at most 3"):
        fit(activations, 4)
    assert fit(activations, 4, center=False).reducer.components.shape == (4, 24)
    with pytest.raises(ReductionError, match="at most 24"):
        fit(sample(100), 25)


def test_one_sample_is_refused():
    with pytest.raises(ReductionError):
        fit(sample(1), 1)
    with pytest.raises(ReductionError):
        fit(sample(1), 1, center=False)


@pytest.mark.parametrize("dtype", ROUNDING)
@pytest.mark.parametrize("scale", [True, False])
def test_an_axis_that_is_only_rounding_is_zero(dtype, scale):
    """Two texts repeated over and over span one direction; a second one would be made of noise."""
    rng = np.random.default_rng(0)
    two = rng.normal(size=(2, 384)) + rng.normal(size=384) * 2
    activations = two[rng.integers(0, 2, size=100)]
    rounded = activations * (1 + ROUNDING[dtype] * rng.uniform(-1, 1, size=activations.shape))
    found = fit(rounded.astype(np.float32), 3, scale=scale, dtype=dtype)
    points = found.reducer.transform(rounded.astype(np.float32))
    assert np.ptp(points[:, 0]) > 0.5
    assert (points[:, 1:] == 0).all()
    assert found.explained_variance[1:].tolist() == [0, 0]


def test_small_but_real_axes_are_kept():
    rng = np.random.default_rng(0)
    activations = (rng.normal(size=(500, 384)) @ np.diag(np.logspace(0, -3, 384))).astype(np.float32)
    assert (fit(activations, 100, scale=False).explained_variance > 0).all()


def test_a_reducer_refuses_activations_of_another_width():
    with pytest.raises(ReductionError, match=r"takes activations of shape \(samples, 24\), got \(300, 5\)"):
        fit(sample(), 2).reducer.transform(sample(n_features=5))
    with pytest.raises(ReductionError, match=r"got \(24,\)"):
        fit(sample(), 2).reducer.transform(sample()[0])


def test_one_large_dimension_does_not_decide_the_first_axis():
    """LLM-MRI probes on unstandardised and draws on standardised axes; here one reduction serves both."""
    activations = sample()
    activations[:, 2] *= 1000
    points = fit(activations, 1).reducer.transform(activations)[:, 0]
    assert abs(np.corrcoef(points, activations[:, 2])[0, 1]) < 0.9
