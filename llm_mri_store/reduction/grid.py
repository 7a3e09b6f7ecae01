"""The grid over a layer's two components: bin edges, and the cell of each point."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from llm_mri_store.records.choices import Bins

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


def bin_edges(values: Float32, n_bins: int, *, bins: Bins) -> Float64:
    """Edges of the bins along one axis.

    Equal widths over the values' range, as ``pandas.cut`` makes them (which LLM-MRI uses): the first
    edge lies 0.1 % of the range below the smallest value, so that it is included. Or quantiles of the
    values, so that each bin holds as many (ties allowing).

    Args:
        values: float32 (samples,), at least one, all finite.
        n_bins: bins.
        bins: ``width`` or ``quantile``.

    Returns:
        float64 (n_bins + 1,), ascending. Values without extent lie in the middle bin.
    """
    low, high = float(values.min()), float(values.max())
    if low == high:
        margin = 0.001 * abs(low) or 0.001
        return np.linspace(low - margin, high + margin, n_bins + 1)
    if bins == "quantile":
        edges = np.quantile(values.astype(np.float64), np.linspace(0, 1, n_bins + 1))
    else:
        edges = np.linspace(low, high, n_bins + 1)
    edges[0] -= 0.001 * (high - low)
    return edges


def assign_cells(values: Float32, edges: Float64) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """Bin of each value along one axis: right-closed, 0-based.

    Args:
        values: float32 (samples,).
        edges: ascending, from ``bin_edges``.

    Returns:
        The bins, int16 in [0, len(edges) - 2], and which values lay outside and were clipped.
    """
    raw = np.searchsorted(edges, values, side="left") - 1
    last = len(edges) - 2
    clipped = (raw < 0) | (raw > last)
    return np.clip(raw, 0, last).astype(np.int16), clipped
