import numpy as np
import pytest

from llm_mri_store.analysis.probe_features import (
    FoldFeatures,
    mark_cells,
    place_points,
    scale_columns,
    standardise,
)
from llm_mri_store.reduction.linear import fit_linear
from llm_mri_store.reduction.moments import add_samples, begin_moments
from llm_mri_store.reduction.rounding import ROUNDING


def sample_rows(n_rows, n_activations, *, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_activations, n_activations)) / np.sqrt(1 + np.arange(n_activations))
    return (rng.normal(size=(n_rows, n_activations)) @ mixing.T + 3).astype(np.float32)


@pytest.mark.parametrize("n_activations", [6, 80])
@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (True, False)])
def test_points_are_those_of_a_reduction_of_the_training_rows(n_activations, scale, center):
    train, test = np.split(sample_rows(40, n_activations), [30])
    found = place_points(standardise(train, test, dtype="float32", scale=scale, center=center), 3)
    fitted = fit_linear(
        add_samples(begin_moments(train), train), 3, scale=scale, center=center, rounding=ROUNDING["float32"]
    )
    for rows, points in ((train, found.train), (test, found.test)):
        expected = fitted.reducer.transform(rows)
        signs = np.sign((points * expected).sum(axis=0))
        np.testing.assert_allclose(points * signs, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_activations", [6, 80])
def test_an_axis_that_the_rows_do_not_have_gives_zero(n_activations):
    rng = np.random.default_rng(0)
    line = np.outer(rng.normal(size=40), rng.normal(size=n_activations)).astype(np.float32)
    points = place_points(standardise(line[:30], line[30:], dtype="float32"), 2)
    assert points.train[:, 0].std() > 1
    assert not points.train[:, 1].any()
    assert not points.test[:, 1].any()


@pytest.mark.parametrize("n_activations", [6, 80])
def test_inner_products_are_those_of_the_standardised_rows(n_activations):
    train, test = np.split(sample_rows(40, n_activations), [30])
    found = standardise(train, test, dtype="float32")
    scaled = [
        (rows - train.mean(axis=0, dtype=float)) / train.std(axis=0, dtype=float) for rows in (train, test)
    ]
    assert found.train.shape[1] == min(30, n_activations)
    np.testing.assert_allclose(found.train @ found.train.T, scaled[0] @ scaled[0].T, atol=1e-9)
    np.testing.assert_allclose(found.test @ found.train.T, scaled[1] @ scaled[0].T, atol=1e-9)


def test_nothing_is_learnt_from_the_test_rows():
    train, test = np.split(sample_rows(40, 80), [30])

    def features(test_rows):
        full = standardise(train, test_rows, dtype="float32")
        points = place_points(full, 2)
        return [full, points, scale_columns(points), mark_cells(points, grid=4, bins="quantile")]

    for seen, other in zip(features(test), features(1000 * test[:1]), strict=True):
        assert (seen.train == other.train).all()


def test_a_feature_of_rounding_has_no_weight():
    train = sample_rows(30, 3)
    train[:, 1] = np.where(np.arange(30) % 2, 1.0, np.nextafter(np.float32(1), np.float32(2)))
    found = standardise(train, train, dtype="float32")
    assert not found.train[:, 1].any()


@pytest.mark.parametrize(("dtype", "noise"), [("float32", 1e-7), ("bfloat16", 1e-2)])
def test_a_layer_of_rounding_has_no_features(dtype, noise):
    rng = np.random.default_rng(0)
    rows = (np.ones((30, 8)) * (1 + noise * rng.normal(size=(30, 8)))).astype(np.float32)
    assert standardise(rows, rows[:4], dtype=dtype).test.shape == (4, 0)
    assert not place_points(standardise(rows, rows, dtype=dtype), 2).train.any()


def test_cells_are_one_hot_and_an_unseen_cell_is_all_zeros():
    corners = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0], [4.0, 4.0]])
    test = np.array([[2.0, 2.5], [99.0, 99.0]])
    cells = mark_cells(FoldFeatures(train=corners, test=test), grid=4, bins="width")
    assert cells.train.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert cells.test.tolist() == [[0, 0, 0, 0], [0, 0, 0, 1]]


def test_scaled_columns_have_mean_0_and_deviation_1_and_a_constant_is_0():
    columns = np.array([[1.0, 5.0], [2.0, 5.0], [6.0, 5.0]])
    scaled = scale_columns(FoldFeatures(train=columns, test=columns + 1)).train
    assert scaled.mean(axis=0) == pytest.approx([0, 0])
    assert scaled.std(axis=0) == pytest.approx([1, 0])
