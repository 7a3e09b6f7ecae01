"""Metrics of many graphs at once, all of the same possible edges: a column for each graph.

Relabelled and left-out samples make thousands of graphs that differ in their weights alone. The definitions
are those of ``graph_metrics``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from llm_mri_store.analysis.graph_reach import Reach
from llm_mri_store.analysis.step_edges import StepEdges, weigh

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

BLOCK_METRICS: Final = (
    "n_nodes", "n_edges", "mean_degree", "var_degree", "skew_degree", "kurt_degree",
    "mean_strength", "var_strength", "skew_strength", "kurt_strength", "assortativity", "density",
    "center_of_mass", "joined_share", "mean_reachable",
)  # fmt: skip
"""The metrics of ``graph_metrics`` in which the graphs of two labels can be told apart.

``total_weight`` and ``center_of_strength`` follow from the numbers of samples and layers; ``n_communities``
and ``modularity`` are those of a search whose result depends on its seed, and too slow to repeat.
"""

_ROUNDING: Final = 1e-13


def block_metrics(edges: StepEdges, weights: Int32, reach: Reach | None) -> Float64:
    """Metrics of graphs, float64 (n_metrics, n_graphs), in the order of ``BLOCK_METRICS``; NaN if undefined.

    Args:
        edges: the possible edges.
        weights: int32 (n_edges, n_graphs); 0 for an edge that a graph does not have.
        reach: of these graphs; None leaves the metrics of paths undefined.
    """
    is_there = weights > 0
    out, into = _incidence(edges.source, edges.n_nodes), _incidence(edges.target, edges.n_nodes)
    degree = weigh(out, is_there) + weigh(into, is_there)
    out_strength, in_strength = weigh(out, weights), weigh(into, weights)
    is_node = degree > 0
    n_nodes, n_edges = is_node.sum(axis=0), is_there.sum(axis=0)
    nothing = np.full(weights.shape[1], np.nan)
    # What is not defined is divided by 0 and becomes NaN.
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = {
            "n_nodes": n_nodes,
            "n_edges": n_edges,
            **_moments("degree", degree, is_node),
            **_moments("strength", out_strength + in_strength, is_node),
            "assortativity": _correlation(out_strength[edges.source], in_strength[edges.target], is_there),
            "density": _density(edges, is_node, n_edges),
            "center_of_mass": edges.node_place @ is_node / n_nodes / (len(edges.layers) - 1),
            "joined_share": nothing if reach is None else reach.joined_share,
            "mean_reachable": nothing
            if reach is None
            else reach.at_distance[:, 1:].sum(axis=(0, 1)) / n_nodes,
        }
    return np.stack([np.asarray(numbers[name], dtype=np.float64) for name in BLOCK_METRICS])


def _incidence(node: Int64, n_nodes: int) -> sparse.csr_array[Any]:
    """Which edges end in which node, sparse (n_nodes, n_edges)."""
    ones = np.ones(node.size, dtype=np.int32)
    return sparse.csr_array((ones, (node, np.arange(node.size))), shape=(n_nodes, node.size))


def _moments(of: str, values: Int32, kept: Bool) -> dict[str, Float64]:
    """Moments of the kept values of each column, those of ``moments.moments``."""
    n = kept.sum(axis=0).astype(np.float64)
    mean = np.where(kept, values, 0).sum(axis=0) / n
    apart = np.where(kept, values - mean, 0.0)
    square = apart * apart
    second, third, fourth = (one.sum(axis=0) / n for one in (square, square * apart, square * square))
    varies = np.abs(apart).max(axis=0, initial=0.0) > _ROUNDING * np.abs(mean)
    skew = np.sqrt(n * (n - 1)) / (n - 2) * third / second**1.5
    kurt = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * fourth / second**2 - 3 * (n - 1))
    return {
        f"mean_{of}": mean,
        f"var_{of}": np.where(n > 1, second * n / (n - 1), np.nan),
        f"skew_{of}": np.where(varies & (n > 2), skew, np.nan),
        f"kurt_{of}": np.where(varies & (n > 3), kurt, np.nan),
    }


def _correlation(x: Int32, y: Int32, kept: Bool) -> Float64:
    """Pearson's correlation of the kept values of each column, that of ``moments.correlation``."""
    n = kept.sum(axis=0)
    apart = [np.where(kept, one - np.where(kept, one, 0).sum(axis=0) / n, 0.0) for one in (x, y)]
    spread = [(one * one).sum(axis=0) for one in apart]
    # Of whole numbers: a spread below this is rounding.
    varies = (spread[0] > 1e-6) & (spread[1] > 1e-6)
    rho = (apart[0] * apart[1]).sum(axis=0) / np.sqrt(spread[0] * spread[1])
    return np.where(varies, np.clip(rho, -1.0, 1.0), np.nan)


def _density(edges: StepEdges, is_node: Bool, n_edges: Int64) -> Float64:
    n_nodes = [is_node[edges.node_place == place].sum(axis=0) for place in range(len(edges.layers))]
    possible = np.zeros(is_node.shape[1])
    for here, there in pairwise(n_nodes):
        possible += here * there
    return np.where(possible > 0, n_edges / possible, np.nan)
