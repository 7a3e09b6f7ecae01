import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from llm_mri_store.analysis.clusters_tfce import enhance
from tests.analysis.test_clusters import of_mne


def by_definition(scores: np.ndarray) -> np.ndarray:
    """The integral of extent**0.5 * height**2, one height at which something changes after the other."""
    enhanced = np.zeros_like(scores)
    for sign in (1, -1):
        heights = np.maximum(sign * scores, 0.0)
        below = 0.0
        for height in np.unique(heights[heights > 0]):
            clusters, _ = ndimage.label(heights >= height)
            extent = np.bincount(clusters.ravel())
            extent[0] = 0
            enhanced += np.sqrt(extent[clusters]) * (height**3 - below**3) / 3
            below = height
    return enhanced


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 7), st.booleans(), st.booleans())
def test_enhanced_maps_are_those_of_the_definition(seed, n_maps, grid, with_ties, with_holes):
    rng = np.random.default_rng(seed)
    maps = rng.normal(scale=2, size=(n_maps, grid, grid))
    maps = np.round(maps) if with_ties else maps
    maps[rng.random(maps.shape) < 0.3 * with_holes] = 0.0
    found = enhance(maps.reshape(n_maps, -1), grid=grid)
    for one, expected in zip(found, maps, strict=True):
        np.testing.assert_allclose(one.reshape(grid, grid), by_definition(expected), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_steps_of_mne_come_nearer_as_they_become_finer(seed):
    scores = np.random.default_rng(seed).normal(scale=2, size=(10, 10))
    ours = enhance(scores.reshape(1, -1), grid=10).reshape(10, 10)
    apart = []
    for step in (0.1, 0.01, 0.001):
        theirs, _, _ = of_mne(scores, threshold={"start": 0.0, "step": step})
        apart.append(np.abs(np.abs(theirs) - ours).max())
    # A step cuts off or adds at most the integrand's height times its width.
    assert apart[0] < 0.1 * np.abs(scores).max() ** 2 * 10
    assert apart[1] < 0.2 * apart[0]
    assert apart[2] < 0.2 * apart[1]
    assert apart[2] < 1e-3 * ours.max()


def test_a_cell_alone_is_worth_a_third_of_its_cube():
    assert enhance(np.array([[0.0, 0.0, 0.0, -3.0]]), grid=2).tolist() == [[0.0, 0.0, 0.0, 9.0]]


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_turning_or_mirroring_a_map_turns_what_is_enhanced(seed, grid):
    scores = np.random.default_rng(seed).normal(size=(grid, grid))
    ours = enhance(scores.reshape(1, -1), grid=grid).reshape(grid, grid)
    for turn in (np.rot90, np.transpose, np.flipud):
        turned = enhance(turn(scores).reshape(1, -1).copy(), grid=grid).reshape(grid, grid)
        np.testing.assert_allclose(turned, turn(ours), atol=1e-12)
    np.testing.assert_allclose(enhance(-scores.reshape(1, -1), grid=grid).reshape(grid, grid), ours)


@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_a_higher_cell_lowers_none_of_its_own_sign(seed, grid):
    rng = np.random.default_rng(seed)
    scores = np.abs(rng.normal(size=(1, grid * grid)))
    raised = scores.copy()
    raised[0, rng.integers(grid * grid)] += 1.0
    assert (enhance(raised, grid=grid) >= enhance(scores, grid=grid) - 1e-9).all()


def test_a_map_of_nothing_stays_nothing():
    assert not enhance(np.zeros((3, 9)), grid=3).any()
