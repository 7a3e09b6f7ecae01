"""Clusters of neighbouring cells whose scores pass a threshold, and their mass."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

# Cells that share a side are neighbours; maps that lie behind each other never are.
_NEIGHBOURS: Final = np.zeros((3, 3, 3), dtype=np.bool_)
_NEIGHBOURS[1, 1, :] = _NEIGHBOURS[1, :, 1] = True


def label_clusters(maps: Float64, *, threshold: float) -> tuple[Int64, Float64]:
    """The clusters of some maps: cells that share a side, a sign and an absolute score above the threshold.

    A cluster's mass is the sum of its absolute scores (Bullmore et al. 1999; Maris & Oostenveld,
    "Nonparametric statistical testing of EEG- and MEG-data", J. Neurosci. Methods 164 (2007)).

    Args:
        maps: float64 (n_maps, grid, grid).
        threshold: at least 0.

    Returns:
        The number of each cell's cluster, int64 (n_maps, grid, grid), 0 for none, and the masses, float64
        (n_clusters,), that of cluster 1 first.

    >>> labels, masses = label_clusters(np.array([[[3.0, 3.0], [0.0, -4.0]]]), threshold=2.0)
    >>> labels.tolist(), masses.tolist()
    ([[[1, 1], [0, 2]]], [6.0, 4.0])
    """
    labels = np.zeros(maps.shape, dtype=np.int64)
    n_clusters = 0
    for passing in (maps > threshold, maps < -threshold):
        found, n_found = ndimage.label(passing, structure=_NEIGHBOURS)
        labels[passing] = found[passing] + n_clusters
        n_clusters += n_found
    inside = np.flatnonzero(labels)
    sizes = np.abs(maps.ravel()[inside])
    masses = np.bincount(labels.ravel()[inside], weights=sizes, minlength=n_clusters + 1)[1:]
    return labels, masses.astype(np.float64)


def largest_masses(maps: Float64, *, threshold: float) -> Float64:
    """Mass of the heaviest cluster of each family of maps, 0 where there is none.

    Args:
        maps: float64 (n_families, n_maps, grid, grid).
        threshold: at least 0.

    Returns:
        float64 (n_families,).
    """
    n_families, n_maps, grid, _ = maps.shape
    labels, masses = label_clusters(maps.reshape(-1, grid, grid), threshold=threshold)
    largest = np.zeros(n_families)
    inside = np.flatnonzero(labels)
    family = np.zeros(len(masses) + 1, dtype=np.int64)
    family[labels.ravel()[inside]] = inside // (n_maps * grid * grid)
    np.maximum.at(largest, family[1:], masses)
    return largest
