"""A layer from activations to cells: degenerate ones, and a template applied."""

import numpy as np
import pytest

from llm_mri_store.errors import ReductionError
from llm_mri_store.records.reductions import ReductionSpec
from llm_mri_store.reduction.layers import LayerActivations, apply_layer, fit_layer
from llm_mri_store.reduction.rounding import ROUNDING

PCA = ReductionSpec(method="pca", grid=10)


def layer(activations, *, dtype="float32", n_parts=3):
    parts = np.array_split(np.asarray(activations, np.float32), n_parts)
    return LayerActivations(layer=4, dtype=dtype, parts=lambda: iter(parts))


def gaussian(n=200, n_features=16, *, seed=0, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, n_features)) + shift


def one_vector(n=200, n_features=16):
    return np.tile(np.random.default_rng(1).normal(size=n_features), (n, 1))


@pytest.mark.parametrize("method", ["pca", "svd", "umap"])
@pytest.mark.parametrize("dtype", ROUNDING)
def test_a_constant_layer_is_one_cell_in_every_precision(method, dtype):
    """LLM-MRI: 1 distinct vector gave 55 occupied cells, 200 equal to 1e-7 gave 83."""
    rng = np.random.default_rng(0)
    constant = one_vector()
    constant = constant * (1 + ROUNDING[dtype] * rng.uniform(-1, 1, size=constant.shape))
    reduced = fit_layer(layer(constant, dtype=dtype), ReductionSpec(method=method), n_excluded=0)
    found = reduced.diagnostics
    assert found.is_degenerate
    assert 0 < found.relative_spread <= found.spread_tolerance == 2 * ROUNDING[dtype]
    assert len(np.unique(reduced.cells, axis=0)) == 1
    assert (reduced.points == 0).all()
    assert found.explained_variance == ()


@pytest.mark.parametrize("dtype", ROUNDING)
def test_a_layer_that_varies_by_little_more_than_rounding_is_not_degenerate(dtype):
    little = one_vector()
    little[:, 0] *= 1 + 4 * ROUNDING[dtype] * np.random.default_rng(0).normal(size=200)
    little[:, 0] *= 10
    assert not fit_layer(layer(little, dtype=dtype), PCA, n_excluded=0).diagnostics.is_degenerate


def test_noise_of_1e_7_is_a_constant_layer():
    noisy = one_vector() + 1e-7 * gaussian()
    assert fit_layer(layer(noisy), PCA, n_excluded=0).diagnostics.is_degenerate


def test_a_layer_that_varies_is_not_degenerate():
    reduced = fit_layer(layer(gaussian()), PCA, n_excluded=3)
    found = reduced.diagnostics
    assert not found.is_degenerate
    assert (found.layer, found.n_fitted, found.n_excluded, found.n_clipped) == (4, 200, 3, 0)
    assert len(np.unique(reduced.cells, axis=0)) > 50
    assert 0 < sum(found.explained_variance_ratio) < 1
    assert found.total_variance == pytest.approx(16 * 200 / 199)
    assert len(found.edges_x) == len(found.edges_y) == 11


def test_a_layer_with_one_direction_is_one_row_of_cells():
    line = np.outer(np.linspace(0, 1, 50), np.random.default_rng(0).normal(size=16)) + 1.0
    reduced = fit_layer(layer(line), PCA, n_excluded=0)
    assert set(reduced.cells[:, 0]) == set(range(10))
    assert len(set(reduced.cells[:, 1])) == 1


def test_without_a_grid_there_are_no_cells():
    reduced = fit_layer(
        layer(gaussian()), ReductionSpec(method="pca", n_components=3, grid=None), n_excluded=0
    )
    assert reduced.points.shape == (200, 3)
    assert reduced.cells is None
    assert reduced.diagnostics.edges_x == ()


def test_a_layer_without_a_sample_is_refused():
    with pytest.raises(ReductionError, match="layer 4 has no sample"):
        fit_layer(layer(np.empty((0, 16))), PCA, n_excluded=9)


def test_parts_without_a_sample_do_no_harm():
    activations = gaussian().astype(np.float32)
    parts = [activations[:0], activations[:50], activations[50:50], activations[50:]]
    with_gaps = LayerActivations(layer=4, dtype="float32", parts=lambda: iter(parts))
    here, there = (fit_layer(one, PCA, n_excluded=0) for one in (with_gaps, layer(activations, n_parts=1)))
    np.testing.assert_allclose(here.points, there.points, atol=1e-5)


# --- a template --------------------------------------------------------------------------------------


def apply(activations, fitted, **options):
    return apply_layer(layer(activations, **options), fitted.reducer, fitted.diagnostics, n_excluded=0)


def test_a_template_places_its_own_samples_where_they_were():
    fitted = fit_layer(layer(gaussian()), PCA, n_excluded=0)
    placed = apply(gaussian(), fitted, n_parts=5)
    np.testing.assert_array_equal(placed.points, fitted.points)
    np.testing.assert_array_equal(placed.cells, fitted.cells)
    assert placed.diagnostics.n_fitted == 0
    assert placed.diagnostics.n_clipped == 0
    assert placed.diagnostics.edges_x == fitted.diagnostics.edges_x


def test_samples_outside_a_template_s_grid_are_clipped_and_counted():
    fitted = fit_layer(layer(gaussian()), PCA, n_excluded=0)
    placed = apply(gaussian(seed=9) * 3, fitted)
    outside = np.zeros(200, bool)
    for axis, edges in enumerate((fitted.diagnostics.edges_x, fitted.diagnostics.edges_y)):
        outside |= (placed.points[:, axis] <= edges[0]) | (placed.points[:, axis] > edges[-1])
    assert 0 < placed.diagnostics.n_clipped == outside.sum() < 200


def test_a_constant_layer_stays_one_cell_in_a_template():
    fitted = fit_layer(layer(gaussian()), PCA, n_excluded=0)
    # The border between two cells runs through the constant vector; rounding must not cross it.
    reducer = fitted.reducer
    edge = fitted.diagnostics.edges_x[5]
    on_border = reducer.mean + edge * reducer.components[0] / reducer.weight
    placed = apply(np.tile(on_border, (50, 1)) * (1 + 1e-7 * gaussian(50)), fitted)
    assert placed.diagnostics.is_degenerate
    assert len(np.unique(placed.cells, axis=0)) == 1


def test_a_layer_is_degenerate_where_its_template_is():
    fitted = fit_layer(layer(one_vector()), PCA, n_excluded=0)
    placed = apply(gaussian(), fitted)
    assert placed.diagnostics.is_degenerate
    assert len(np.unique(placed.cells, axis=0)) == 1
