"""Against the numbers of LLM-MRI 0.2.1: 163 texts of 5 kinds of animal, read by MiniLM.

``animals_reductions.npz`` holds what the unmodified package computed: first-token activations at layers
0, 3 and 6, and for each of its 2-D methods the coordinates its grids were cut from, and their cells.
"""

from pathlib import Path

import numpy as np
import pytest

from llm_mri_store.records.reductions import ReductionSpec
from llm_mri_store.reduction.grid import assign_cells, bin_edges
from llm_mri_store.reduction.layers import LayerActivations, fit_layer

ORACLE = np.load(Path(__file__).parents[1] / "data" / "animals_reductions.npz")


def reduce(method, layer, *, n_parts=4):
    parts = np.array_split(ORACLE[f"activations_{layer}"], n_parts)
    activations = LayerActivations(layer=layer, dtype="float32", parts=lambda: iter(parts))
    return fit_layer(activations, ReductionSpec(method=method, grid=10), n_excluded=0)


@pytest.mark.parametrize("method", ["pca", "svd"])
@pytest.mark.parametrize("layer", [3, 6])
def test_points_and_cells_are_those_of_llm_mri_up_to_the_sign_of_an_axis(method, layer):
    reduced = reduce(method, layer)
    points, cells = ORACLE[f"{method}2_points_{layer}"], ORACLE[f"{method}2_cells_{layer}"]
    signs = np.sign((reduced.points * points).sum(axis=0))
    np.testing.assert_allclose(reduced.points * signs, points, atol=1e-4)
    # Bins are closed on the right, so that a value on an edge would not mirror; none here lies on one.
    mirrored = np.where(signs > 0, reduced.cells, 9 - reduced.cells)
    np.testing.assert_array_equal(mirrored, cells)


@pytest.mark.parametrize("method", ["pca", "svd"])
def test_the_constant_embedding_of_cls_is_one_cell_and_said_to_be_degenerate(method):
    reduced = reduce(method, 0)
    assert reduced.diagnostics.is_degenerate
    np.testing.assert_array_equal(reduced.cells, ORACLE[f"{method}2_cells_0"])


def test_where_llm_mri_s_umap_scatters_the_constant_layer_ours_does_not():
    assert len(np.unique(ORACLE["umap2_cells_0"], axis=0)) > 40
    assert len(np.unique(reduce("umap", 0).cells, axis=0)) == 1


@pytest.mark.parametrize("layer", range(7))
def test_our_grid_cuts_llm_mri_s_umap_into_its_cells(layer):
    points, cells = ORACLE[f"umap2_points_{layer}"], ORACLE[f"umap2_cells_{layer}"]
    for axis in (0, 1):
        values = points[:, axis]
        found, clipped = assign_cells(values, bin_edges(values, 10, bins="width"))
        np.testing.assert_array_equal(found, cells[:, axis])
        assert not clipped.any()
