"""Records of a reduction: its choices, and what it found in each layer."""

from __future__ import annotations

from dataclasses import dataclass

from llm_mri_store.records.choices import Bins, Method
from llm_mri_store.schema import FORMAT_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionSpec:
    """Every choice that decides what a reduction's points and cells are.

    Attributes:
        method: pca, svd or umap.
        n_components: coordinates per sample and layer, at least 1.
        grid: cells per axis; None for a reduction without a grid (n_components is not 2).
        bins: equal widths over the fitted range, or quantiles of the fitted points.
        seed: seed of UMAP; PCA and SVD are exact and do not use it.
        scale: divide each feature by its population standard deviation (pca, svd).
        center: subtract each feature's mean (pca always; svd by choice).
        n_neighbors, min_dist, metric: UMAP's own.
        template: ``scan/reduction`` whose fitted reducers and bin edges were applied; None if fitted here.
    """

    method: Method
    n_components: int = 2
    grid: int | None = 10
    bins: Bins = "width"
    seed: int = 0
    scale: bool = True
    center: bool = True
    n_neighbors: int = 15
    min_dist: float = 0.1
    metric: str = "cosine"
    template: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDiagnostics:
    """What a reduction found in one layer.

    Attributes:
        layer: the layer.
        is_degenerate: the activations do not vary beyond rounding: one cell, no edges.
        n_fitted: samples the reducer was fitted on (0 when a template was applied).
        n_excluded: samples without a point (status not ``ok``).
        n_clipped: points outside the grid's fitted range, put into its outermost cells.
        relative_spread: largest standard deviation of a feature, relative to the size of the
            activations, >= 0; at most ``spread_tolerance`` means degenerate.
        spread_tolerance: what rounding alone may do in the scan's dtype, doubled.
        total_variance: sum of the variances of the features as they entered the reducer
            (after scaling), divisor n - 1; None for UMAP.
        explained_variance: variance of each component, divisor n - 1; empty for UMAP.
        explained_variance_ratio: its share of the total, each in [0, 1]; empty for UMAP.
        edges_x, edges_y: the grid's bin edges, ascending, grid + 1 of them; empty without a grid.
    """

    layer: int
    is_degenerate: bool
    n_fitted: int
    n_excluded: int
    n_clipped: int
    relative_spread: float
    spread_tolerance: float
    total_variance: float | None
    explained_variance: tuple[float, ...]
    explained_variance_ratio: tuple[float, ...]
    edges_x: tuple[float, ...]
    edges_y: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionRecord:
    """What ``reduction.json`` holds.

    Attributes:
        source: the digest of the scan's chunks that were reduced (see ``chunks_digest``).
        files: path below the reduction's folder -> sha256.
    """

    format: int = FORMAT_VERSION
    created: str
    versions: dict[str, str]
    source: str
    n_samples: int
    spec: ReductionSpec
    layers: tuple[LayerDiagnostics, ...]
    files: dict[str, str]
