"""What a probe sees in one fold: standardised activations, points or cells, fitted on its training rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import linalg

from llm_mri_store.records.choices import Bins, DType
from llm_mri_store.reduction.grid import assign_cells, bin_edges
from llm_mri_store.reduction.rounding import ROUNDING, axis_rounding, feature_weights, spread_tolerance

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldFeatures:
    """Features of a fold's samples.

    Attributes:
        train: float64 (n_train, n_features).
        test: float64 (n_test, n_features).
        noise: variance that rounding gives each activation, float64 (n_activations,); empty where the
            features are no activations.
        basis: float64 (n_activations, n_features), whose columns the features are coordinates along;
            None where a feature is an activation.
    """

    train: Float64
    test: Float64
    noise: Float64 = field(default_factory=lambda: np.zeros(0))
    basis: Float64 | None = None


def standardise(
    train: Float32, test: Float32, *, dtype: DType, scale: bool = True, center: bool = True
) -> FoldFeatures:
    """Activations shifted and scaled by the mean and population deviation of the training rows.

    The rules are those of a reduction (``reduction.rounding``): a feature that varies no further than
    rounding does gets no weight, and where all texts share one vector but for rounding there are no
    features at all. With more features than training rows they are turned into
    coordinates of an orthonormal basis of the training rows (QR). Whatever depends on inner products
    alone is unchanged by that: principal axes, and a regression with an L2 penalty, whose weights lie
    in the span of its samples (the representer theorem; Hastie & Tibshirani, "Efficient quadratic
    regularization for expression arrays", Biostatistics 5 (2004), section 3).

    Args:
        train: float32 (n_train, n_activations), all finite.
        test: float32 (n_test, n_activations); nothing is learnt from them.
        dtype: precision the model ran in.
        scale: divide by the deviation.
        center: subtract the mean.

    Returns:
        At most n_train features; none for a degenerate layer.
    """
    rounding = ROUNDING[dtype]
    mean, variance = train.mean(axis=0, dtype=np.float64), train.var(axis=0, dtype=np.float64)
    deviation, size = np.sqrt(variance), np.sqrt(variance + mean**2)
    if not (deviation > spread_tolerance(dtype) * np.maximum(size, np.median(size))).any():
        return FoldFeatures(train=np.zeros((len(train), 0)), test=np.zeros((len(test), 0)))
    weight = feature_weights(variance, mean, rounding=rounding) if scale else np.ones_like(mean)
    shift = mean if center else np.zeros_like(mean)
    placed_train, placed_test = (train - shift) * weight, (test - shift) * weight
    noise, basis = (rounding * weight * size) ** 2, None
    if len(mean) > len(train):
        basis, coordinates = linalg.qr(placed_train.T, mode="economic", check_finite=False)
        placed_train, placed_test = np.ascontiguousarray(coordinates.T), placed_test @ basis
    return FoldFeatures(train=placed_train, test=placed_test, noise=noise, basis=basis)


def place_points(standardised: FoldFeatures, n_components: int) -> FoldFeatures:
    """Points of a fold's samples on the leading principal axes of its training rows.

    The axes of the reduction's ``fit_linear``, but for their signs, which no linear probe sees; an axis
    along which the training rows do not vary beyond rounding gives the coordinate 0.

    Args:
        standardised: of ``standardise``, with the reduction's ``scale`` and ``center``.
        n_components: axes.

    Returns:
        n_components features, rounded to float32 as points are stored.
    """
    train, size = standardised.train, standardised.train.shape[1]
    axes = np.zeros((size, n_components))
    if size:
        n_axes = min(n_components, size)
        moment, vectors = linalg.eigh(
            train.T @ train / len(train), subset_by_index=[size - n_axes, size - 1], check_finite=False
        )
        components = (vectors if standardised.basis is None else standardised.basis @ vectors).T
        is_real = moment > axis_rounding(components, standardised.noise, n=len(train))
        axes[:, :n_axes] = np.where(is_real, vectors, 0.0)[:, ::-1]
    placed = [(rows @ axes).astype(np.float32).astype(np.float64) for rows in (train, standardised.test)]
    return FoldFeatures(train=placed[0], test=placed[1])


def scale_columns(features: FoldFeatures) -> FoldFeatures:
    """Features with mean 0 and population deviation 1 over the training rows; a constant becomes 0."""
    mean, deviation = features.train.mean(axis=0), features.train.std(axis=0)
    weight = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=np.ptp(features.train, axis=0) > 0)
    return FoldFeatures(train=(features.train - mean) * weight, test=(features.test - mean) * weight)


def mark_cells(points: FoldFeatures, *, grid: int, bins: Bins) -> FoldFeatures:
    """Cells of the first two components, one-hot, on a grid over the training points.

    A test sample beyond the grid is put into its outermost cell, as in a stored reduction; one in a
    cell without training samples has zeros only. The columns are not standardised, which would give
    a cell seen once the largest step of all.

    Args:
        points: at least 2 features.
        grid: cells per axis.
        bins: ``width`` or ``quantile``.

    Returns:
        A feature for each cell with training samples, 0 or 1.
    """
    train, test = points.train.astype(np.float32), points.test.astype(np.float32)
    edges = [bin_edges(train[:, axis], grid, bins=bins) for axis in (0, 1)]
    cell_train, cell_test = (_cell_numbers(rows, edges, grid) for rows in (train, test))
    seen = np.unique(cell_train)
    return FoldFeatures(
        train=np.equal.outer(cell_train, seen).astype(np.float64),
        test=np.equal.outer(cell_test, seen).astype(np.float64),
    )


def _cell_numbers(points: Float32, edges: Sequence[Float64], grid: int) -> npt.NDArray[np.int64]:
    """One number for each point's cell, int64 (n_samples,)."""
    cell_x, cell_y = (assign_cells(points[:, axis], edges[axis])[0].astype(np.int64) for axis in (0, 1))
    return cell_x * grid + cell_y
