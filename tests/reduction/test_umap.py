"""UMAP: its seed, its limits, its refusals."""

import numpy as np
import pytest

from llm_mri_store.errors import ReductionError
from llm_mri_store.records.reductions import ReductionSpec
from llm_mri_store.reduction.umap import fit_umap


def activations(n=60):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 12)) * 4
    return (centres[np.arange(n) % 3] + rng.normal(size=(n, 12))).astype(np.float32)


def points(n=60, **choices):
    return fit_umap(activations(n), ReductionSpec(method="umap", **choices)).points


def test_a_seed_repeats_exactly_and_another_differs():
    """LLM-MRI drops random_state on its 2-D path: two calls with 42 differ there."""
    np.random.seed(1)
    one = points(seed=42)
    np.random.seed(2)
    np.testing.assert_array_equal(points(seed=42), one)
    assert not np.allclose(points(seed=43), one)


def test_clusters_stay_together():
    placed = points()
    centres = np.array([placed[i::3].mean(axis=0) for i in range(3)])
    nearest = np.linalg.norm(placed[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == np.arange(60) % 3).mean() > 0.95


@pytest.mark.parametrize("n_components", [1, 2, 10])
def test_any_number_of_components(n_components):
    placed = points(n_components=n_components, grid=None)
    assert placed.shape == (60, n_components)
    assert placed.dtype == np.float32
    assert np.isfinite(placed).all()


@pytest.mark.parametrize(("n_components", "least"), [(1, 4), (2, 4), (10, 12)])
def test_as_few_samples_as_it_takes(n_components, least):
    assert points(least, n_components=n_components, grid=None).shape == (least, n_components)
    with pytest.raises(ReductionError, match=f"needs at least {least} samples, got {least - 1}; use pca"):
        points(least - 1, n_components=n_components, grid=None)


def test_a_constant_feature_gets_no_weight():
    varied = activations()
    varied[:, 3] = 5
    fit = fit_umap(varied, ReductionSpec(method="umap"))
    assert fit.reducer.weight[3] == 0
    assert (fit.reducer.weight[:3] > 0).all()
    assert fit.reducer.minimum[3] == 5


@pytest.mark.parametrize("choices", [{"metric": "no-such-metric"}, {"min_dist": 9.0}])
def test_choices_umap_does_not_know_are_one_sentence(choices):
    with pytest.raises(ReductionError, match="UMAP failed on 60 samples") as caught:
        points(**choices)
    assert "\n" not in str(caught.value)


def test_umap_says_nothing(capfd):
    points(8)
    assert capfd.readouterr() == ("", "")
