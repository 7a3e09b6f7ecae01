"""Measures of a cloud of vectors: brute force on small arrays, numbers by hand, and laws."""

import tracemalloc

import numpy as np
import pytest
from scipy.stats import ortho_group

from llm_mri_store.analysis import quality_measures
from llm_mri_store.analysis.quality_measures import (
    count_outliers,
    effective_rank,
    measure_vectors,
    rank_sample,
)
from llm_mri_store.reduction import moments
from tests.analysis.clouds import cloud, measured, rank_by_scipy, similarity_by_sklearn


@pytest.mark.parametrize("shape", [(60, 8), (5, 8), (2, 3), (300, 1), (40, 40)])
def test_the_measures_are_those_of_brute_force(shape):
    vectors = cloud(*shape)
    doubled = vectors.astype(np.float64)
    found = measured(vectors)
    assert found.n == found.n_distinct == found.n_rank_samples == len(vectors)
    assert found.total_variance == pytest.approx(doubled.var(axis=0, ddof=1).sum(), rel=1e-12)
    assert found.effective_rank == pytest.approx(rank_by_scipy(vectors) if shape[1] > 1 else 1, rel=1e-9)
    assert found.anisotropy == pytest.approx(similarity_by_sklearn(vectors), rel=1e-12)
    assert found.mean_norm == pytest.approx(np.linalg.norm(doubled, axis=1).mean(), rel=1e-12)
    variance = doubled.var(axis=0)
    assert found.top_dimension == variance.argmax()
    assert found.top_dimension_share == pytest.approx(variance.max() / variance.sum(), rel=1e-12)
    mean = doubled.mean(axis=0)
    assert found.n_outlier_dimensions == (np.abs(mean - mean.mean()) > 3 * mean.std()).sum()


@pytest.mark.parametrize("split", [2, 7, 60, 90])
def test_how_the_vectors_are_cut_into_parts_does_not_matter(split, monkeypatch):
    whole = measured(cloud())
    monkeypatch.setattr(quality_measures, "_BLOCK_VALUES", 8 * 5)
    found = measured(cloud(), split=split)
    for name in whole.__slots__:
        assert getattr(found, name) == pytest.approx(getattr(whole, name), rel=1e-10), name


@pytest.mark.parametrize("n", [5, 60])
def test_a_wide_layer_is_measured_by_its_smaller_matrix_with_the_same_result(monkeypatch, n):
    exact = measured(cloud(n, 12))
    monkeypatch.setattr(quality_measures, "EXACT_WIDTH", 4)
    found = measured(cloud(n, 12), split=3)
    assert found.effective_rank == pytest.approx(exact.effective_rank, rel=1e-9)
    assert found.n_rank_samples == n


def test_the_rank_of_a_wide_layer_is_that_of_the_vectors_marked_for_it(monkeypatch):
    vectors = cloud(60, 12)
    marked = np.arange(60) % 4 == 1
    vectors[9] = np.nan
    exact = measured(vectors[marked & np.isfinite(vectors).all(axis=1)])
    monkeypatch.setattr(quality_measures, "EXACT_WIDTH", 4)
    found = measured(vectors, split=5, ranked=marked)
    assert found.effective_rank == pytest.approx(exact.effective_rank, rel=1e-9)
    assert (found.n_rank_samples, found.n) == (14, 59)
    assert measured(vectors, ranked=np.zeros(60, dtype=bool)).effective_rank is None


def test_turning_and_scaling_the_space_changes_neither_rank_nor_direction():
    vectors = cloud(80, 6).astype(np.float64)
    turn = ortho_group.rvs(6, random_state=0)
    found, turned, scaled = measured(vectors), measured(vectors @ turn), measured(vectors * 1000)
    for other in (turned, scaled):
        assert other.effective_rank == pytest.approx(found.effective_rank, rel=1e-5)
        assert other.anisotropy == pytest.approx(found.anisotropy, rel=1e-5)
    assert turned.total_variance == pytest.approx(found.total_variance, rel=1e-5)
    assert scaled.total_variance == pytest.approx(found.total_variance * 1e6, rel=1e-5)
    assert scaled.relative_spread == pytest.approx(found.relative_spread, rel=1e-5)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_k_equal_directions_have_effective_rank_k(k):
    axes = np.eye(7)[:k]
    vectors = 3 + np.concatenate([axes, -axes])
    assert measured(vectors).effective_rank == pytest.approx(k, rel=1e-9)
    assert effective_rank(np.diag([2.0] * k + [0.0] * 3)) == pytest.approx(k)


def test_the_effective_rank_lies_between_one_and_the_width():
    for seed in range(20):
        rank = measured(cloud(30, 5, seed=seed)).effective_rank
        assert 1 <= rank <= 5
    assert effective_rank(np.zeros((4, 4))) is None


def test_a_large_mean_costs_no_precision():
    rng = np.random.default_rng(0)
    steps = rng.integers(-8, 9, size=(500, 4)).astype(np.float32)
    found, moved = measured(steps), measured(steps + np.float32(2**20))
    assert moved.total_variance == pytest.approx(found.total_variance, rel=1e-12)
    assert moved.effective_rank == pytest.approx(found.effective_rank, rel=1e-12)


@pytest.mark.parametrize(
    ("vectors", "similarity"),
    [
        ([[1, 0], [0, 1]], 0),
        ([[1, 0], [-1, 0]], -1),
        ([[2, 2], [1, 1]], 1),
        ([[1, 0], [0, 1], [0, -1]], -1 / 3),
    ],
)
def test_anisotropy_by_hand(vectors, similarity):
    assert measured(vectors).anisotropy == pytest.approx(similarity, abs=1e-12)


def test_a_vector_without_direction_has_no_similarity():
    vectors = cloud(10, 4)
    with_zeros = np.concatenate([vectors, np.zeros((3, 4), dtype=np.float32)])
    assert measured(with_zeros).anisotropy == pytest.approx(similarity_by_sklearn(vectors))
    assert measured(with_zeros).n == 13
    assert measured(np.zeros((3, 4))).anisotropy is None
    assert measured(np.concatenate([vectors[:1], np.zeros((3, 4))])).anisotropy is None


def test_distinct_vectors_are_told_apart_by_their_bytes():
    vectors = np.repeat(cloud(7, 5), 3, axis=0)
    assert measured(vectors, split=4).n_distinct == 7
    vectors[20, 4] = np.nextafter(vectors[20, 4], np.float32(np.inf))
    assert measured(vectors).n_distinct == 8
    assert measured([[0.0, 1.0], [-0.0, 1.0]]).n_distinct == 2


def test_an_outlier_dimension_is_one_whose_mean_is_far_off():
    vectors = np.random.default_rng(0).normal(size=(50, 100)).astype(np.float32)
    assert measured(vectors - vectors.mean(axis=0)).n_outlier_dimensions <= 1
    vectors -= vectors.mean(axis=0)
    vectors += np.random.default_rng(1).uniform(-1, 1, size=100).astype(np.float32)
    vectors[:, [3, 40]] += [30, -30]
    assert measured(vectors).n_outlier_dimensions == 2
    assert count_outliers(np.ones(10)) == 0


def test_a_dominant_dimension_is_named_with_its_share():
    vectors = np.random.default_rng(0).normal(size=(400, 10))
    vectors[:, 6] *= 30
    found = measured(vectors)
    assert found.top_dimension == 6
    assert found.top_dimension_share == pytest.approx(900 / 909, abs=0.01)


def test_the_spread_is_that_of_a_reduction():
    for seed in range(5):
        vectors = cloud(40, 6, seed=seed)
        added = moments.add_samples(moments.begin_moments(vectors), vectors)
        expected = moments.relative_spread(added.variance, added.mean)
        assert measured(vectors).relative_spread == pytest.approx(expected, rel=1e-9)
    assert moments.relative_spread(np.zeros(3), np.zeros(3)) == 0


def test_equal_vectors_do_not_vary():
    found = measured([[0.1, 0.2, 0.3]] * 50, split=7)
    assert found.relative_spread <= 1e-12
    assert found.total_variance == pytest.approx(0, abs=1e-25)
    assert found.n_distinct == 1
    assert found.anisotropy == pytest.approx(1)


def test_a_single_vector_has_a_length_and_no_spread():
    found = measured([[3.0, 4.0]])
    assert (found.n, found.n_distinct, found.mean_norm) == (1, 1, 5.0)
    assert found.relative_spread is found.total_variance is found.effective_rank is found.anisotropy is None
    assert found.top_dimension is found.top_dimension_share is None
    assert found.n_rank_samples == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_not_finite_are_left_out(value):
    vectors = cloud(30, 6)
    sound = measured(vectors[5:])
    vectors[:5, 2] = value
    found = measured(vectors, split=4)
    assert (found.n, found.n_distinct, found.n_rank_samples) == (25, 25, 25)
    assert found.effective_rank == pytest.approx(sound.effective_rank)
    assert found.anisotropy == pytest.approx(sound.anisotropy)
    nothing = measured(np.full((4, 3), value))
    assert (nothing.n, nothing.n_distinct, nothing.mean_norm, nothing.effective_rank) == (0, 0, None, None)
    assert measure_vectors([], width=3) == nothing


@pytest.mark.parametrize("n", [0, 1, 7, 2048, 2049, 3000, 6144, 100_000])
def test_the_rank_sample_is_spread_over_all_vectors(n):
    chosen = rank_sample(n, seed=0)
    assert len(chosen) == len(set(chosen.tolist())) == min(n, 2048)
    assert (np.diff(chosen) > 0).all()
    assert np.array_equal(chosen, rank_sample(n, seed=0))
    if n > 2048:
        edges = np.arange(2049) * n // 2048
        assert (chosen >= edges[:-1]).all()
        assert (chosen < edges[1:]).all()
        assert not np.array_equal(chosen, rank_sample(n, seed=1))


def test_the_rank_sample_meets_labels_that_take_turns():
    # An even step of 3 would meet one label of three.
    counted = np.bincount(rank_sample(3 * 2048, seed=0) % 3)
    assert counted.min() > 600


def test_memory_does_not_grow_with_the_number_of_vectors():
    def peak(n_parts):
        rng = np.random.default_rng(0)
        marks = np.ones(256, dtype=bool)
        parts = ((rng.normal(size=(256, 256)).astype(np.float32), marks) for _ in range(n_parts))
        tracemalloc.start()
        measure_vectors(parts, width=256)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    few, many = peak(4), peak(40)
    # A digest of 16 bytes and its place in a set for each further vector.
    assert many - few < 36 * 256 * 200
