"""How central each node of a layered graph is: PageRank, betweenness, hubs and authorities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import networkx as nx
import numpy as np
from scipy import sparse

from llm_mri_store.analysis.graph import layers_of
from llm_mri_store.analysis.graph_arrays import (
    Floats,
    GraphArrays,
    Integers,
    Step,
    graph_arrays,
    layer_ranks,
    layer_steps,
)

_DAMPING: Final = 0.85

_TIED: Final = 1e-9
"""Lengths, and leading eigenvalues, that differ by less relative to their size count as equal."""

_PATH_CELLS: Final = 4_000_000
"""Most numbers held at a time for the paths from some starting nodes."""


def pagerank(graph: nx.DiGraph[str]) -> dict[str, float]:
    """PageRank by absolute weights: where a walk along the edges is found.

    Brin & Page, "The anatomy of a large-scale hypertextual web search engine", Computer Networks 30
    (1998). The walk follows an edge with probability 0.85, in proportion to the weights, and else, or where
    no edge leads on, begins anew at any node. Edges lead to later layers, so these rank higher. Computed
    exactly, layer by layer, where networkx iterates.

    Returns:
        node -> share of the time, in (0, 1]; they sum to 1.

    Raises:
        InvalidInput: the graph does not say its layers, or an edge does not lead to the next one.

    >>> graph = nx.DiGraph([("0_0", "1_0"), ("0_1", "1_0")], layers=(0, 1))
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> {node: round(rank, 3) for node, rank in pagerank(graph).items()}
    {'0_0': 0.213, '1_0': 0.574, '0_1': 0.213}
    """
    arrays = graph_arrays(graph)
    ranks = pagerank_of(arrays, layer_steps(arrays, layers_of(graph)))
    return dict(zip(arrays.nodes, ranks.tolist(), strict=True))


def pagerank_of(arrays: GraphArrays, steps: Sequence[Step]) -> Floats:
    """PageRank of each node, float64 (n_nodes,)."""
    # A new beginning is as likely at any node, so it only scales the result.
    visits = np.ones(arrays.n_nodes)
    strength = arrays.out_strength()
    for step in steps:
        passed = _DAMPING * visits[step.source] * step.weight / strength[step.source]
        visits += np.bincount(step.target, passed, arrays.n_nodes)
    return visits / visits.sum() if visits.size else visits


def betweenness(graph: nx.DiGraph[str]) -> dict[str, float | None]:
    """Betweenness: the share of shortest directed paths that pass through each node.

    Freeman, "A set of measures of centrality based on betweenness", Sociometry 40 (1977), by the
    algorithm of Brandes, J. Math. Sociology 25 (2001), over many starting nodes at once. The length of an
    edge is 1 / its absolute weight (Newman, Phys. Rev. E 64, 016132 (2001)): strong edges are short. Where
    several paths are shortest (within 1e-9 of their length), each counts in part. Normalised as in networkx:
    the sum over ordered pairs of other nodes, over their number (n - 1) (n - 2).

    Returns:
        node -> in [0, 1]; 0 in the first and the last layer. None for all in a graph of fewer than 3 nodes.

    Raises:
        InvalidInput: as ``pagerank``.

    >>> graph = nx.DiGraph([("0_0", "1_0"), ("1_0", "2_0")], layers=(0, 1, 2))
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> betweenness(graph)
    {'0_0': 0.0, '1_0': 0.5, '2_0': 0.0}
    """
    arrays = graph_arrays(graph)
    passing = betweenness_of(arrays, layer_steps(arrays, layers_of(graph)))
    return dict(zip(arrays.nodes, none_for_nan(passing), strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hop:
    """The edges into a layer, as the search for shortest paths needs them.

    Attributes:
        step: the edges, sorted by target.
        length: float64 (n_edges, 1).
        reached: int64 (n_reached,), the nodes they lead to.
        starts: int64 (n_reached,), the first edge to each.
        edge_of: int64 (n_edges,), the position of an edge's target in ``reached``.
        inward: (n_reached, n_edges), 1 where the edge leads to the node.
        left, outward: the nodes they leave, and the same of them.
    """

    step: Step
    length: Floats
    reached: Integers
    starts: Integers
    edge_of: Integers
    inward: sparse.csr_array[np.float64]
    left: Integers
    outward: sparse.csr_array[np.float64]


def _hop(step: Step) -> _Hop:
    reached, starts, edge_of = np.unique(step.target, return_index=True, return_inverse=True)
    left, leaves = np.unique(step.source, return_inverse=True)
    n_edges = step.source.size
    ones, every = np.ones(n_edges), np.arange(n_edges)
    return _Hop(
        step=step,
        length=1 / step.weight[:, None],
        reached=reached,
        starts=starts,
        edge_of=edge_of,
        inward=sparse.csr_array((ones, (edge_of, every)), shape=(reached.size, n_edges)),
        left=left,
        outward=sparse.csr_array((ones, (leaves, every)), shape=(left.size, n_edges)),
    )


def betweenness_of(arrays: GraphArrays, steps: Sequence[Step]) -> Floats:
    """Betweenness of each node, float64 (n_nodes,); NaN with fewer than 3 nodes."""
    n_nodes = arrays.n_nodes
    if n_nodes < 3:
        return np.full(n_nodes, np.nan)
    hops = [_hop(step) for step in steps]
    passing = np.zeros(n_nodes)
    n_held = n_nodes + sum(step.source.size for step in steps)
    for first, hop in enumerate(hops):
        for block in np.array_split(hop.left, max(1, -(-hop.left.size * n_held // _PATH_CELLS))):
            if block.size:
                passing += _passing(hops[first:], block, n_nodes)
    return passing / ((n_nodes - 1) * (n_nodes - 2))


def _passing(hops: Sequence[_Hop], starts: Integers, n_nodes: int) -> Floats:
    """Shortest paths from nodes of one layer that pass each node, float64 (n_nodes,)."""
    every = np.arange(starts.size)
    distance = np.full((n_nodes, starts.size), np.inf)
    distance[starts, every] = 0.0
    n_paths = np.zeros_like(distance)
    n_paths[starts, every] = 1.0
    shares: list[Floats] = []
    for hop in hops:
        if not hop.starts.size:
            break
        ways = distance[hop.step.source] + hop.length
        distance[hop.reached] = np.minimum.reduceat(ways, hop.starts, axis=0)
        nearest = distance[hop.reached] * (1 + _TIED)
        along = np.where(np.isfinite(ways) & (ways <= nearest[hop.edge_of]), n_paths[hop.step.source], 0.0)
        n_paths[hop.reached] = hop.inward @ along
        total = n_paths[hop.step.target]
        shares.append(np.divide(along, total, out=along, where=total > 0))
    dependent = np.zeros_like(distance)
    for hop, share in zip(hops[: len(shares)][::-1], shares[::-1], strict=True):
        dependent[hop.left] = hop.outward @ (share * (1 + dependent[hop.step.target]))
    dependent[starts, every] = 0.0
    passed: Floats = dependent.sum(axis=1)
    return passed


def hubs_and_authorities(
    graph: nx.DiGraph[str],
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Hubs lead to good authorities in the next layer; authorities are led to by good hubs.

    Kleinberg, "Authoritative sources in a hyperlinked environment", J. ACM 46 (1999), by absolute weights,
    for each pair of neighbouring layers on its own. Over a whole layered graph the scores would be 0 in all
    but one pair of layers, the one with the largest singular value; ``networkx.hits`` gives that.
    The scores are the limit of Kleinberg's iteration from equal scores, taken from the eigenvectors, as the
    iteration itself converges slowly where two groups of nodes are almost equally strong. Of groups without
    an edge between them only the strongest score; groups equally strong (within 1e-9) do so together.

    Returns:
        Two dictionaries, node -> score in [0, 1]: hubs of a layer sum to 1, authorities of a layer sum to 1.
        None for hubs in the last and authorities in the first layer, and where the pair of layers has no
        edge.

    Raises:
        InvalidInput: as ``pagerank``.

    >>> graph = nx.DiGraph([("0_0", "1_0"), ("0_1", "1_0")], layers=(0, 1))
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> hubs_and_authorities(graph)
    ({'0_0': 0.5, '1_0': None, '0_1': 0.5}, {'0_0': None, '1_0': 1.0, '0_1': None})
    """
    arrays = graph_arrays(graph)
    layers = layers_of(graph)
    hubs, authorities = hubs_and_authorities_of(layer_steps(arrays, layers), layer_ranks(arrays, layers))
    return (
        dict(zip(arrays.nodes, none_for_nan(hubs), strict=True)),
        dict(zip(arrays.nodes, none_for_nan(authorities), strict=True)),
    )


def none_for_nan(values: Floats) -> list[float | None]:
    """Numbers as a list, None for NaN.

    >>> none_for_nan(np.array([1.0, np.nan]))
    [1.0, None]
    """
    return [None if np.isnan(value) else value for value in values.tolist()]


def hubs_and_authorities_of(steps: Sequence[Step], rank: Integers) -> tuple[Floats, Floats]:
    """Hub and authority scores, each float64 (n_nodes,), NaN where undefined."""
    hubs, authorities = np.full(rank.size, np.nan), np.full(rank.size, np.nan)
    for index, step in enumerate(steps):
        if not step.source.size:
            continue
        left, row = np.unique(step.source, return_inverse=True)
        reached, column = np.unique(step.target, return_inverse=True)
        weights = np.zeros((left.size, reached.size))
        weights[row, column] = step.weight / step.weight.max()
        hub = _leading(weights @ weights.T)
        authority = weights.T @ hub
        hubs[rank == index], authorities[rank == index + 1] = 0.0, 0.0
        hubs[left], authorities[reached] = hub / hub.sum(), authority / authority.sum()
    return hubs, authorities


def _leading(gram: Floats) -> Floats:
    """Where powers of a matrix take equal scores: the part of these in its leading eigenvectors."""
    values, vectors = np.linalg.eigh(gram)
    leading = vectors[:, values >= values[-1] * (1 - _TIED)]
    scores: Floats = leading @ leading.sum(axis=0)
    # What rounding leaves of a 0.
    scores[scores < scores.max() * 1e-12] = 0.0
    return scores
