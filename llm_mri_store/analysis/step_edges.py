"""The edges that samples take from layer to layer, as arrays, and their weights for any choice of samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.graph import node_name
from llm_mri_store.schema import LAYER

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

_LARGEST_INT16: Final = 2**15 - 1

EDGE_NAME_FIELDS: Final = (
    (LAYER, pa.int64()),
    ("next_layer", pa.int64()),
    ("source", pa.string()),
    ("target", pa.string()),
    ("from_x", pa.int64()),
    ("from_y", pa.int64()),
    ("to_x", pa.int64()),
    ("to_y", pa.int64()),
)
"""Columns that say which edge a row is of, named as in the query ``edges``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepEdges:
    """Every edge that some sample takes, by layer, then source cell, then target cell.

    Attributes:
        layers: the layers, ascending.
        alive: of each layer whether it varies; edges join only two such layers.
        grid: cells per axis.
        n_samples: samples.
        place: int64 (n_edges,), position among the layers of each edge's source.
        from_cell, to_cell: int64 (n_edges,), ``cell_x * grid + cell_y``.
        node_place, node_cell: int64 (n_nodes,), layer's position and cell of every node that has an edge.
        source, target: int64 (n_edges,), positions of nodes.
        incidence: which sample takes which edge, sparse int32 (n_edges, n_samples).
    """

    layers: tuple[int, ...]
    alive: tuple[bool, ...]
    grid: int
    n_samples: int
    place: Int64
    from_cell: Int64
    to_cell: Int64
    node_place: Int64
    node_cell: Int64
    source: Int64
    target: Int64
    incidence: sparse.csr_array[Any]

    @property
    def n_edges(self) -> int:
        """Number of edges."""
        return self.place.size

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.node_place.size

    def weights(self, counted: npt.NDArray[Any]) -> Int32:
        """Samples on each edge, int32 (n_edges, n_columns).

        Args:
            counted: how often each sample counts, whole numbers >= 0 (n_samples, n_columns).
        """
        return weigh(self.incidence, counted)

    def taken(self, place: int) -> tuple[Int64, Int64]:
        """The edges that leave a layer, int64 (n,), and which of them each sample takes, int64 (n_samples,).

        Args:
            place: position of the layer; one that edges leave.
        """
        rows = np.flatnonzero(self.place == place)
        steps = self.incidence[rows]
        edge = np.zeros(self.n_samples, dtype=np.int64)
        edge[steps.indices] = np.repeat(np.arange(rows.size), np.diff(steps.indptr))
        return rows, edge

    def names(self) -> dict[str, pa.Array]:
        """The columns of ``EDGE_NAME_FIELDS``."""
        return edge_names(self.layers, self.grid, place=self.place, ends=(self.from_cell, self.to_cell))


def weigh(incidence: sparse.csr_array[Any], counted: npt.NDArray[Any]) -> Int32:
    """Sums over the samples of each row, int32 (n_rows, n_columns).

    Args:
        incidence: sparse (n_rows, n_samples), of 0 and 1.
        counted: whole numbers >= 0 (n_samples, n_columns); a column sums to less than 2**31.
    """
    # Sixteen bits are four times as fast as thirty-two; no row holds more than the whole column.
    fits = int(counted.sum(axis=0, dtype=np.int64).max(initial=0)) <= _LARGEST_INT16
    width = np.int16 if fits else np.int32
    sums = incidence.astype(width) @ np.ascontiguousarray(counted, dtype=width)
    return np.asarray(sums).astype(np.int32)


def live_places(cells: LabelledCells) -> list[int]:
    """Positions of the layers from which edges lead to the next: both vary."""
    alive = [layer not in cells.degenerate_layers for layer in cells.layers]
    return [place for place, both in enumerate(pairwise(alive)) if all(both)]


def step_edges(cells: LabelledCells, samples: Int64 | None = None) -> StepEdges:
    """The edges that samples take between neighbouring layers that vary.

    Args:
        cells: the cells of the samples.
        samples: int64 (n,), positions of those that count; all by default.

    >>> cells = LabelledCells(layers=(0, 1), grid=2, codes=np.array([[0, 0, 1], [3, 2, 2]], dtype=np.int32),
    ...     labels=("a",), label_codes=np.zeros(3, dtype=np.int32), sample_ids=np.arange(3))
    >>> step_edges(cells).weights(np.ones((3, 1))).ravel().tolist()
    [1, 1, 1]
    """
    codes = cells.codes.astype(np.int64) if samples is None else cells.codes[:, samples].astype(np.int64)
    n_cells, n_samples = cells.grid**2, codes.shape[1]
    found, rows, n_found = [np.zeros((3, 0), dtype=np.int64)], [np.zeros(0, dtype=np.int64)], 0
    places = live_places(cells)
    for place in places:
        steps, edge = np.unique(codes[place] * n_cells + codes[place + 1], return_inverse=True)
        found.append(np.stack([np.full(steps.size, place), steps // n_cells, steps % n_cells]))
        rows.append(edge.astype(np.int64) + n_found)
        n_found += steps.size
    of_edge, from_cell, to_cell = np.concatenate(found, axis=1)
    nodes, ends = np.unique(
        np.concatenate([of_edge * n_cells + from_cell, (of_edge + 1) * n_cells + to_cell]),
        return_inverse=True,
    )
    edge = np.concatenate(rows)
    sample = np.tile(np.arange(n_samples), len(places))
    return StepEdges(
        layers=cells.layers,
        alive=tuple(layer not in cells.degenerate_layers for layer in cells.layers),
        grid=cells.grid,
        n_samples=n_samples,
        place=of_edge,
        from_cell=from_cell,
        to_cell=to_cell,
        node_place=nodes // n_cells,
        node_cell=nodes % n_cells,
        source=ends[: of_edge.size].astype(np.int64),
        target=ends[of_edge.size :].astype(np.int64),
        incidence=sparse.csr_array(
            (np.ones(edge.size, dtype=np.int32), (edge, sample)), shape=(n_found, n_samples)
        ),
    )


def edge_names(
    layers: tuple[int, ...], grid: int, *, place: Int64, ends: tuple[Int64, Int64]
) -> dict[str, pa.Array]:
    """The columns of ``EDGE_NAME_FIELDS`` for edges.

    Args:
        layers: the layers, ascending.
        grid: cells per axis.
        place: int64 (n_edges,), positions among the layers of the edges' sources.
        ends: int64 (n_edges,) each, cells of their sources and targets.
    """
    numbers = np.asarray([*layers, 0], dtype=np.int64)
    columns = {LAYER: numbers[place], "next_layer": numbers[place + 1]}
    nodes = [
        [
            node_name(layer, *divmod(cell, grid))
            for layer, cell in zip(at.tolist(), cell_of.tolist(), strict=True)
        ]
        for at, cell_of in zip(columns.values(), ends, strict=True)
    ]
    return {
        **{name: pa.array(values) for name, values in columns.items()},
        "source": pa.array(nodes[0], pa.string()),
        "target": pa.array(nodes[1], pa.string()),
        "from_x": pa.array(ends[0] // grid),
        "from_y": pa.array(ends[0] % grid),
        "to_x": pa.array(ends[1] // grid),
        "to_y": pa.array(ends[1] % grid),
    }
