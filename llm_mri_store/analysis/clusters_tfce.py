"""Threshold-free cluster enhancement of many maps at once, by exact integration."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

HEIGHT_POWER: Final = 2.0
EXTENT_POWER: Final = 0.5


def enhance(maps: Float64, *, grid: int) -> Float64:
    """Threshold-free cluster enhancement: how strong a cell and what stands with it is.

    Of a cell with absolute score s it is the integral from 0 to s of e(h)**0.5 * h**2 dh, where e(h) is the
    number of cells of the cluster that the cell is in at height h: cells that share a side, the sign and
    absolute scores of at least h (Smith & Nichols, "Threshold-free cluster enhancement", NeuroImage 44
    (2009), with their E and H). Between two heights at which a cell appears no cluster changes, so the
    integral is a sum and needs no steps; MNE and FSL take steps in h, to which this is the limit.

    Cells are taken from the highest down, one of each map at a time, and joined with those of their
    neighbours that are there already (disjoint sets). A joined cluster is charged for what its new
    root gathered before, and gets back what the root has in the end.

    Args:
        maps: float64 (n_maps, grid * grid); 0 for a cell that is in no cluster.
        grid: cells per axis.

    Returns:
        float64 (n_maps, grid * grid), at least 0.

    >>> enhance(np.array([[3.0, 3.0, 0.0, -3.0]]), grid=2).round(3).tolist()
    [[12.728, 12.728, 0.0, 9.0]]
    """
    n_maps, n_cells = maps.shape
    # One place more per map, never occupied, stands for what lies beyond the grid's border.
    width = n_cells + 1
    heights = np.abs(maps)
    signs = np.sign(maps).astype(np.int8)
    # The integral of h**2 from 0 to the height.
    volumes = heights ** (HEIGHT_POWER + 1) / (HEIGHT_POWER + 1)
    order = np.argsort(-heights, axis=1, kind="stable")
    n_occupied = np.count_nonzero(heights, axis=1)
    neighbours = _neighbours(grid)
    first = np.arange(n_maps) * width

    parent = np.zeros(n_maps * width, dtype=np.int64)
    size, gathered, reached = np.zeros((3, n_maps * width))
    present = np.zeros(n_maps * width, dtype=np.int8)
    joined: list[tuple[Int64, Int64]] = []
    for rank in range(int(n_occupied.max(initial=0))):
        rows = np.flatnonzero(n_occupied > rank)
        cell = order[rows, rank]
        level, sign, here = volumes[rows, cell], signs[rows, cell], first[rows] + cell
        parent[here], size[here], reached[here], present[here] = here, 1.0, level, sign
        root_here = here.copy()
        for beside in neighbours:
            there = first[rows] + beside[cell]
            alike = np.flatnonzero(present[there] == sign)
            root_there = _roots(parent, there[alike])
            apart = root_there != root_here[alike]
            alike, root_there = alike[apart], root_there[apart]
            if not alike.size:
                continue
            gathered[root_there] += size[root_there] ** EXTENT_POWER * (reached[root_there] - level[alike])
            reached[root_there] = level[alike]
            other = root_here[alike]
            is_larger = size[root_there] >= size[other]
            root, child = np.where(is_larger, root_there, other), np.where(is_larger, other, root_there)
            parent[child] = root
            size[root] += size[child]
            gathered[child] -= gathered[root]
            root_here[alike] = root
            joined.append((child, root))
    occupied = np.flatnonzero(present)
    roots = occupied[parent[occupied] == occupied]
    gathered[roots] += size[roots] ** EXTENT_POWER * reached[roots]
    for child, root in reversed(joined):
        gathered[child] += gathered[root]
    enhanced: Float64 = gathered.reshape(n_maps, width)[:, :n_cells]
    return enhanced


def _roots(parent: Int64, members: Int64) -> Int64:
    roots = parent[members]
    while not np.array_equal(above := parent[roots], roots):
        roots = above
    return roots


def _neighbours(grid: int) -> Int64:
    """Cells left, right, below and above of each: int64 (4, grid**2), grid**2 beyond the border."""
    n_cells = grid * grid
    framed = np.full((grid + 2, grid + 2), n_cells, dtype=np.int64)
    framed[1:-1, 1:-1] = np.arange(n_cells).reshape(grid, grid)
    shifted = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    return np.stack([one.ravel() for one in shifted])
