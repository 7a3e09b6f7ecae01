"""How far directed paths lead in many graphs at once, all of the same possible edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.step_edges import StepEdges

Bool = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

MOST_CELLS: Final = 1000
"""Occupied cells of a layer up to which paths are followed; the work grows with their cube."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reach:
    """Where the directed paths of some graphs lead.

    Attributes:
        at_distance: int64 (n_nodes, n_layers, n_graphs), nodes that a shortest path of so many steps leads to
            from each node; at distance 0 the node itself, where it has an edge in the graph.
        joined_share: float64 (n_graphs,), see ``reachability``; NaN where undefined.
    """

    at_distance: Int64
    joined_share: Float64


def reach_numbers(edges: StepEdges) -> int:
    """How many numbers ``reach_of`` needs for each graph."""
    counts = np.bincount(edges.node_place, minlength=len(edges.layers))
    return int((counts[:-1] * counts[1:]).sum() + counts.sum() * len(edges.layers))


def can_reach(edges: StepEdges) -> bool:
    """True when no layer has more occupied cells than paths are followed through."""
    return int(np.bincount(edges.node_place, minlength=1).max()) <= MOST_CELLS


def reach_of(edges: StepEdges, weights: Int32) -> Reach:
    """Where the directed paths of graphs lead, whatever their weights.

    All edges lead from a layer to the next, so every path from a node to another has as many steps as there
    are layers between them.

    Args:
        edges: the possible edges.
        weights: int32 (n_edges, n_graphs); 0 for an edge that a graph does not have.
    """
    n_layers, n_graphs = len(edges.layers), weights.shape[1]
    is_there = weights > 0
    has_edge = np.zeros((edges.n_nodes, n_graphs), dtype=np.bool_)
    for ends in (edges.source, edges.target):
        np.logical_or.at(has_edge, ends, is_there)
    nodes = [np.flatnonzero(edges.node_place == place) for place in range(n_layers)]
    steps = _steps(edges, nodes, is_there)
    at_distance = np.zeros((edges.n_nodes, n_layers, n_graphs), dtype=np.int64)
    at_distance[:, 0] = has_edge
    joined = np.full(n_graphs, np.nan)
    alive = np.flatnonzero(edges.alive)
    first, last = (int(alive[0]), int(alive[-1])) if alive.size > 1 else (-1, -1)
    for place, start in enumerate(steps):
        led = start
        for end in range(place + 1, n_layers):
            if end > place + 1:
                led = (np.matmul(led, steps[end - 1]) > 0).astype(np.float32)
            at_distance[nodes[place], end - place] = led.sum(axis=2, dtype=np.float64).T
            if (place, end) == (first, last):
                possible = has_edge[nodes[first]].sum(axis=0) * has_edge[nodes[last]].sum(axis=0)
                pairs = led.sum(axis=(1, 2), dtype=np.float64)
                np.divide(pairs, possible, out=joined, where=possible > 0)
    return Reach(at_distance=at_distance, joined_share=joined)


def _steps(edges: StepEdges, nodes: list[Int64], is_there: Bool) -> list[Float32]:
    """Which cell leads to which, of each layer but the last: float32 (n_graphs, n_cells, n_next_cells)."""
    number = np.zeros(edges.n_nodes, dtype=np.int64)
    for here in nodes:
        number[here] = np.arange(here.size)
    steps = []
    for place in range(len(nodes) - 1):
        step = np.zeros((is_there.shape[1], nodes[place].size, nodes[place + 1].size), dtype=np.float32)
        chosen = np.flatnonzero(edges.place == place)
        step[:, number[edges.source[chosen]], number[edges.target[chosen]]] = is_there[chosen].T
        steps.append(step)
    return steps
