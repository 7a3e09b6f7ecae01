"""Labelled cells for tests, drawn or given by hand."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from llm_mri_store.analysis.contrast_cells import LabelledCells


def labelled(
    codes: np.ndarray,
    labels: Sequence[int] | np.ndarray,
    *,
    grid: int,
    names: Sequence[str] = ("a", "b"),
    degenerate: Sequence[int] = (),
    **covariates: object,
) -> LabelledCells:
    """Cells (n_layers, n_samples) and label codes; layers are 0, 1, ..."""
    return LabelledCells(
        layers=tuple(range(len(codes))),
        grid=grid,
        codes=np.asarray(codes, dtype=np.int32),
        labels=tuple(names),
        label_codes=np.asarray(labels, dtype=np.int32),
        sample_ids=np.arange(np.shape(codes)[1]),
        degenerate_layers=tuple(degenerate),
        covariates={name: pa.array(values) for name, values in covariates.items()},
    )


def random_codes(
    rng: np.random.Generator, *, n: int, n_layers: int = 3, grid: int = 4, persistence: float = 0.9
) -> np.ndarray:
    """Cells of a cloud that moves a little from layer to layer: full in the middle, rare at the border."""
    points = rng.normal(size=(n, 2))
    codes = np.empty((n_layers, n), dtype=np.int32)
    for layer in range(n_layers):
        points = persistence * points + np.sqrt(1 - persistence**2) * rng.normal(size=(n, 2))
        codes[layer] = gridded(points, grid=grid)
    return codes


def gridded(points: np.ndarray, *, grid: int) -> np.ndarray:
    """Cell codes of points (n, 2) on a grid of equal widths over their range."""
    low, high = points.min(axis=0), points.max(axis=0)
    cells = np.minimum((points - low) / (high - low) * grid, grid - 1).astype(np.int32)
    return cells[:, 0] * grid + cells[:, 1]


def halves(n: int) -> np.ndarray:
    """Labels 0 and 1, n // 2 and the rest."""
    return (np.arange(n) >= n // 2).astype(np.int32)


def smallest(table: pa.Table, column: str) -> float:
    """The smallest value of a column, 1.0 where it has none."""
    return min((value for value in table[column].to_pylist() if value is not None), default=1.0)
