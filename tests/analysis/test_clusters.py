import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mne.stats import permutation_cluster_1samp_test

from llm_mri_store.analysis.clusters import label_clusters, largest_masses


def of_mne(scores: np.ndarray, **options: object) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """MNE's own statistics, clusters and null distribution of a map that is given to it as it is."""
    statistics, clusters, _, null = permutation_cluster_1samp_test(
        np.stack([scores, scores]),
        stat_fun=lambda _: scores.ravel(),
        n_permutations=1,
        tail=0,
        out_type="mask",
        verbose="error",
        **options,
    )
    return statistics, clusters, null


@pytest.mark.parametrize(("grid", "seed"), [(3, 0), (10, 1), (10, 2), (17, 3)])
def test_clusters_and_masses_are_those_of_mne(grid, seed):
    scores = np.random.default_rng(seed).normal(scale=2, size=(grid, grid))
    _, clusters, null = of_mne(scores, threshold=1.5)
    labels, masses = label_clusters(scores[None], threshold=1.5)
    theirs = {frozenset(np.flatnonzero(mask).tolist()) for mask in clusters}
    ours = {frozenset(np.flatnonzero(labels[0] == number).tolist()) for number in range(1, len(masses) + 1)}
    assert ours == theirs
    assert ours
    for number, mass in enumerate(masses, start=1):
        assert mass == pytest.approx(np.abs(scores[labels[0] == number]).sum())
    # Its null distribution of one draw, the map itself, holds the largest mass.
    assert np.abs(null).max() == pytest.approx(masses.max())


def test_cells_that_touch_at_a_corner_or_have_another_sign_are_no_cluster():
    labels, masses = label_clusters(np.array([[[3.0, -3.0], [-3.0, 3.0]]]), threshold=2)
    assert sorted(labels.ravel().tolist()) == [1, 2, 3, 4]
    assert masses.tolist() == [3.0] * 4


def test_maps_behind_each_other_share_no_cluster():
    _, masses = label_clusters(np.full((5, 2, 2), 3.0), threshold=2)
    assert masses.tolist() == [12.0] * 5


def test_a_score_at_the_threshold_is_in_no_cluster():
    labels, masses = label_clusters(np.array([[[2.0, -2.0]]]), threshold=2)
    assert not labels.any()
    assert masses.size == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 3), st.integers(1, 5))
def test_the_largest_mass_of_a_family_is_that_over_its_maps(seed, n_families, n_maps, grid):
    maps = np.random.default_rng(seed).normal(scale=2, size=(n_families, n_maps, grid, grid))
    found = largest_masses(maps, threshold=1.0)
    for family, largest in zip(maps, found, strict=True):
        assert largest == pytest.approx(label_clusters(family, threshold=1.0)[1].max(initial=0.0))
