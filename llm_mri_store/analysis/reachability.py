"""How far the directed paths of a layered graph lead."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.graph import layers_of
from llm_mri_store.analysis.graph_arrays import GraphArrays, Integers, graph_arrays, layer_ranks, layer_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachability:
    """Shares and counts of nodes joined by directed paths; None where undefined.

    Attributes:
        joined_share: pairs of a node of the first and a node of the last layer that a path joins, over all
            such pairs; in [0, 1].
        mean_reachable: mean over nodes of the number of other nodes that paths from it lead to; >= 0, below
            the number of nodes.
    """

    joined_share: float | None
    mean_reachable: float | None


def reachability(graph: nx.DiGraph[str]) -> Reachability:
    """How many nodes directed paths join, whatever their weights.

    The transitive closure of the graph (Wasserman & Faust, "Social Network Analysis" (1994), section
    4.3.6), counted from the last layer back. First and last layer are those of the graph that are not
    degenerate, as degenerate layers have no edges. An edge of weight 0 is none.

    Returns:
        ``joined_share``, None with fewer than 2 such layers or without nodes in either of the two; and
        ``mean_reachable``, None without nodes.

    Raises:
        InvalidInput: the graph does not say its layers, or an edge does not lead to the next one.

    >>> graph = nx.DiGraph([("0_0", "1_0"), ("1_0", "2_0")], layers=(0, 1, 2))
    >>> graph.add_node("2_1")
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> reachability(graph)
    Reachability(joined_share=0.5, mean_reachable=0.75)
    """
    return reachability_of(
        graph_arrays(graph), layers_of(graph), degenerate=graph.graph.get("degenerate_layers", ())
    )


def reachability_of(
    arrays: GraphArrays, layers: tuple[int, ...], *, degenerate: tuple[int, ...]
) -> Reachability:
    """The same of arrays.

    Raises:
        InvalidInput: as ``reachability``.
    """
    # A row of bits for each node: which nodes it leads to.
    n_nodes = arrays.n_nodes
    reached = np.zeros((n_nodes, n_nodes // 8 + 1), dtype=np.uint8)
    own = np.zeros_like(reached)
    every = np.arange(n_nodes)
    own[every, every // 8] = np.uint8(1) << (every % 8).astype(np.uint8)
    for step in reversed(layer_steps(arrays, layers)):
        by_source = np.argsort(step.source, kind="stable")
        sources, starts = np.unique(step.source[by_source], return_index=True)
        targets = step.target[by_source]
        if sources.size:
            reached[sources] = np.bitwise_or.reduceat(reached[targets] | own[targets], starts, axis=0)
    alive = [layer for layer in layers if layer not in degenerate]
    ranks = layer_ranks(arrays, layers)
    return Reachability(
        joined_share=_joined_share(reached, ranks, (layers.index(alive[0]), layers.index(alive[-1])))
        if len(alive) > 1
        else None,
        mean_reachable=int(np.bitwise_count(reached).sum(dtype=np.int64)) / n_nodes if n_nodes else None,
    )


def _joined_share(reached: npt.NDArray[np.uint8], ranks: Integers, ends: tuple[int, int]) -> float | None:
    first, last = (np.flatnonzero(ranks == end) for end in ends)
    if not (first.size and last.size):
        return None
    bits = reached[first][:, last // 8] >> (last % 8).astype(np.uint8) & np.uint8(1)
    return float(bits.mean())
