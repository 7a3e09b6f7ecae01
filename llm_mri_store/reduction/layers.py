"""One layer: its reducer fitted or applied, its samples' points and cells, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from llm_mri_store.errors import ReductionError
from llm_mri_store.records.choices import DType
from llm_mri_store.records.reductions import LayerDiagnostics, ReductionSpec
from llm_mri_store.reduction.grid import assign_cells, bin_edges
from llm_mri_store.reduction.linear import fit_linear
from llm_mri_store.reduction.moments import Moments, add_samples, begin_moments, relative_spread
from llm_mri_store.reduction.reducers import Float32, LinearReducer, Reducer, UmapReducer
from llm_mri_store.reduction.rounding import ROUNDING, spread_tolerance
from llm_mri_store.reduction.umap import fit_umap

Int16 = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerActivations:
    """The activations of one layer, read part by part as often as asked for.

    Attributes:
        layer: the layer.
        dtype: precision the model ran in.
        parts: gives float32 (samples, features) arrays, all finite, in the order of the samples.
    """

    layer: int
    dtype: DType
    parts: Callable[[], Iterator[Float32]]

    def moments(self) -> Moments:
        """Their count, mean and scatter.

        Raises:
            ReductionError: there is no sample.
        """
        moments: Moments | None = None
        for part in self.parts():
            if len(part):
                moments = add_samples(moments or begin_moments(part), part)
        if moments is None:
            raise ReductionError(f"layer {self.layer} has no sample with an activation")
        return moments

    def placed_by(self, reducer: Reducer) -> Float32:
        """Their points, float32 (samples, components)."""
        return np.concatenate([reducer.transform(part) for part in self.parts()])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReducedLayer:
    """What a layer became.

    Attributes:
        reducer: places samples of this layer.
        points: float32 (samples, components).
        cells: int16 (samples, 2), or None without a grid.
        diagnostics: what was found.
    """

    reducer: Reducer
    points: Float32
    cells: Int16 | None
    diagnostics: LayerDiagnostics


def fit_layer(activations: LayerActivations, spec: ReductionSpec, *, n_excluded: int) -> ReducedLayer:
    """A reducer and a grid fitted on a layer.

    Args:
        activations: of the samples to fit on and to place.
        spec: method and choices.
        n_excluded: samples of the scan that have no activation, for the diagnostics.

    Raises:
        ReductionError: there are too few samples.
    """
    moments = activations.moments()
    found = _first_findings(activations, moments, n_fitted=moments.n, n_excluded=n_excluded)
    reducer: Reducer
    if found.is_degenerate:
        reducer = _blind_reducer(moments, spec)
        points = np.zeros((moments.n, spec.n_components), dtype=np.float32)
    elif spec.method == "umap":
        embedding = fit_umap(np.concatenate(list(activations.parts())), spec)
        reducer, points = embedding.reducer, embedding.points
    else:
        fit = fit_linear(
            moments,
            spec.n_components,
            scale=spec.scale,
            center=spec.center,
            rounding=ROUNDING[activations.dtype],
        )
        reducer, points = fit.reducer, activations.placed_by(fit.reducer)
        variances = tuple(float(one) for one in fit.explained_variance)
        found = replace(
            found,
            total_variance=fit.total_variance,
            explained_variance=variances,
            explained_variance_ratio=tuple(one / fit.total_variance for one in variances),
        )
    if spec.grid is None:
        return ReducedLayer(reducer=reducer, points=points, cells=None, diagnostics=found)
    edges_x, edges_y = (tuple(bin_edges(axis, spec.grid, bins=spec.bins).tolist()) for axis in points.T)
    return _on_grid(reducer, points, replace(found, edges_x=edges_x, edges_y=edges_y))


def apply_layer(
    activations: LayerActivations, reducer: Reducer, template: LayerDiagnostics, *, n_excluded: int
) -> ReducedLayer:
    """Another scan's reducer and bin edges applied to a layer.

    The layer is degenerate if either scan's activations do not vary: there is then nothing to tell
    the samples apart by, or no space to place them in.

    Args:
        activations: of the samples to place.
        reducer: fitted on the other scan.
        template: what was found there; its edges are used.
        n_excluded: samples of the scan that have no activation, for the diagnostics.

    Raises:
        ReductionError: the activations are of another width than those the reducer was fitted on.
    """
    moments = activations.moments()
    own = _first_findings(activations, moments, n_fitted=0, n_excluded=n_excluded)
    points = activations.placed_by(reducer)
    if own.is_degenerate:
        # Equal but for rounding, which must not put samples on two sides of a bin edge.
        points = np.repeat(reducer.transform(moments.mean[None].astype(np.float32)), moments.n, axis=0)
    found = replace(
        own,
        is_degenerate=own.is_degenerate or template.is_degenerate,
        edges_x=template.edges_x,
        edges_y=template.edges_y,
    )
    if not template.edges_x:
        return ReducedLayer(reducer=reducer, points=points, cells=None, diagnostics=found)
    return _on_grid(reducer, points, found)


def _first_findings(
    activations: LayerActivations, moments: Moments, *, n_fitted: int, n_excluded: int
) -> LayerDiagnostics:
    spread = relative_spread(moments.variance, moments.mean)
    tolerance = spread_tolerance(activations.dtype)
    return LayerDiagnostics(
        layer=activations.layer,
        is_degenerate=spread <= tolerance,
        n_fitted=n_fitted,
        n_excluded=n_excluded,
        n_clipped=0,
        relative_spread=spread,
        spread_tolerance=tolerance,
        total_variance=None,
        explained_variance=(),
        explained_variance_ratio=(),
        edges_x=(),
        edges_y=(),
    )


def _blind_reducer(moments: Moments, spec: ReductionSpec) -> Reducer:
    """A reducer that gives no feature any weight: every sample lies at the origin."""
    nothing = np.zeros_like(moments.mean)
    if spec.method == "umap":
        return UmapReducer(minimum=moments.mean, weight=nothing)
    axes = np.zeros((spec.n_components, len(nothing)))
    return LinearReducer(mean=moments.mean, weight=nothing, components=axes)


def _on_grid(reducer: Reducer, points: Float32, found: LayerDiagnostics) -> ReducedLayer:
    """Cells of the points on the grid of these edges, and how many had to be clipped."""
    columns, x_clipped = assign_cells(points[:, 0], np.asarray(found.edges_x))
    rows, y_clipped = assign_cells(points[:, 1], np.asarray(found.edges_y))
    return ReducedLayer(
        reducer=reducer,
        points=points,
        cells=np.stack([columns, rows], axis=1),
        diagnostics=replace(found, n_clipped=int((x_clipped | y_clipped).sum())),
    )
