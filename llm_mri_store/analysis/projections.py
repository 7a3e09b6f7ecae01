"""Projections of a graph onto its even or odd layers, and numbers that describe them."""

from __future__ import annotations

from typing import Final, Literal

import networkx as nx
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from llm_mri_store.analysis.graph import layers_of
from llm_mri_store.analysis.graph_arrays import Floats, Integers, graph_arrays
from llm_mri_store.analysis.moments import correlation, named_moments
from llm_mri_store.errors import InvalidInput

Parity = Literal["even", "odd"]
PARITIES: Final[tuple[Parity, ...]] = ("even", "odd")

_PATH_ROWS: Final = 256
"""Starting nodes whose distances to all others are held at a time."""

_NEAREST: Final = 12
"""Neighbours of each node over which detours are tried."""


def project_layers(graph: nx.DiGraph[str], *, parity: Parity) -> nx.Graph[str]:
    """Nodes of the even (or odd) layers, linked where they share a neighbour in a layer between.

    Edges join neighbouring layers only, so the two parities are the two sides of a bipartite graph, and
    every node k of the other side links its neighbours u, v to each other, as a paper its authors: two
    cells that lead to k, two that k leads to, or one on each side of k. With a_uk the absolute weight of
    the edge between u and k, whichever way it points, and S_k the sum of a_uk over k's neighbours,

        w_uv = sum over k of  a_uk a_vk (1 / (S_k - a_uk) + 1 / (S_k - a_vk)) / 2

    Each u hands its weight a_uk on to k's other neighbours in proportion to theirs; the mean of both ways
    makes it undirected. Where k's weights are all 1 this is 1 / (n_k - 1), n_k being the number of its
    neighbours: the collaboration weight of Newman, "Scientific collaboration networks. II", Phys. Rev. E
    64, 016132 (2001), eq. 2. Its conservation holds for any weights: the strengths sum to the weight of
    all edges whose end k has another neighbour. LLM-MRI asks networkx for Newman's weights on the directed
    graph, which counts passages u -> k -> v alone, ignores weights, and admits no triangle.

    A layer's parity is its number's where layers are contiguous; layers with gaps alternate from the first.

    Returns:
        An undirected graph: nodes of these layers with their attributes, also those that share nothing;
        edge attribute ``weight``, > 0.

    Raises:
        InvalidInput: the parity is neither "even" nor "odd", or the graph does not say its layers.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0"), ("0_1_1", "1_0_0")], layers=(0, 1))
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> list(project_layers(graph, parity="even").edges(data="weight"))
    [('0_0_0', '0_1_1', 1.0)]
    """
    kept, weights = _projected_weights(graph, parity)
    links = sparse.triu(weights).tocoo()
    projection: nx.Graph[str] = nx.Graph(layers=_layers_of_parity(graph, parity))
    projection.add_nodes_from((node, graph.nodes[node]) for node in kept)
    projection.add_weighted_edges_from(
        (kept[u], kept[v], weight)
        for u, v, weight in zip(links.row.tolist(), links.col.tolist(), links.data.tolist(), strict=True)
    )
    return projection


def _layers_of_parity(graph: nx.DiGraph[str], parity: Parity) -> tuple[int, ...]:
    if parity not in PARITIES:
        raise InvalidInput(f"parity is {parity!r}; it must be 'even' or 'odd'")
    layers = layers_of(graph)
    return tuple(
        layer for index, layer in enumerate(layers) if (layers[0] + index) % 2 == PARITIES.index(parity)
    )


def _projected_weights(
    graph: nx.DiGraph[str], parity: Parity
) -> tuple[list[str], sparse.csr_array[np.float64]]:
    """The projection's nodes, and the weights between them: symmetric, all stored ones > 0."""
    arrays = graph_arrays(graph)
    is_kept = np.isin(arrays.layer, _layers_of_parity(graph, parity))
    kept = [node for node, chosen in zip(arrays.nodes, is_kept.tolist(), strict=True) if chosen]
    row_of = np.cumsum(is_kept) - 1
    leads = is_kept[arrays.source]
    rows = row_of[np.where(leads, arrays.source, arrays.target)]
    between = np.where(leads, arrays.target, arrays.source)
    others = _weight_of_others(arrays.weight, between)
    shared = others > 0
    given = np.divide(arrays.weight, others, out=np.zeros_like(others), where=shared)
    shape = (len(kept), arrays.n_nodes)
    ends = (rows[shared], between[shared])
    all_weights = sparse.csr_array((arrays.weight[shared], ends), shape=shape)
    handed_on = sparse.csr_array((given[shared], ends), shape=shape) @ all_weights.T
    weights = sparse.coo_array((handed_on + handed_on.T) / 2)
    is_link = (weights.row != weights.col) & (weights.data > 0)
    links = (weights.data[is_link], (weights.row[is_link], weights.col[is_link]))
    return kept, sparse.csr_array(links, shape=(len(kept), len(kept)))


def _weight_of_others(weight: Floats, between: Integers) -> Floats:
    """For each edge the weight of the other edges at its node between, float64 (n_edges,)."""
    if not weight.size:
        return weight
    order = np.lexsort((weight, between))
    ends = between[order]
    is_last = np.append(ends[1:] != ends[:-1], True)
    next_lower = np.where(np.append(False, ends[1:] == ends[:-1]), np.roll(weight[order], 1), 0.0)
    largest, second = np.zeros(between.max() + 1), np.zeros(between.max() + 1)
    largest[ends[is_last]] = weight[order][is_last]
    second[ends[is_last]] = next_lower[is_last]
    # The difference can round below the largest of the others, even to 0.
    at_least = largest[between]
    at_least[order[is_last]] = second[ends[is_last]]
    return np.maximum(np.bincount(between, weight)[between] - weight, at_least)


def projection_metrics(graph: nx.DiGraph[str], *, parity: Parity) -> dict[str, float | int | None]:
    """One row of numbers for the even (or odd) layers' nodes, linked by what they share.

    The projection is that of ``project_layers``. LLM-MRI's ``get_projection_metrics_even`` and ``_odd``
    always raise, as connectedness is not defined for its directed graph; by its code strong links would
    be long. Here the length of a link is 1 / weight (Newman 2001, cited there), and paths are measured
    in the largest component, whose share is given.

    Returns:
        * ``n_nodes``, ``n_edges``, ``total_weight``
        * ``mean_degree``, ``var_degree``, ``mean_strength``, ``var_strength``: see ``moments``
        * ``density``: edges / (n (n - 1) / 2), in [0, 1]; None with fewer than 2 nodes
        * ``assortativity``: correlation of the strengths at the two ends of an edge, in [-1, 1]
        * ``average_clustering``: mean over nodes of the geometric mean weight of their triangles, relative
          to the largest weight (Onnela et al., Phys. Rev. E 71, 065103 (2005), eq. 9), in [0, 1];
          0 for a node with fewer than 2 links
        * ``n_components``; ``largest_component_share``, its share of the nodes, in (0, 1]; among equally
          large components the one of the largest total weight counts
        * ``average_shortest_path``: mean length of the shortest paths between its nodes, > 0; None
          where it is one node

    Raises:
        InvalidInput: the parity is neither "even" nor "odd", or the graph does not say its layers.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0"), ("0_1_1", "1_0_0")], layers=(0, 1))
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> projection_metrics(graph, parity="even")["average_shortest_path"]
    1.0
    """
    kept, weights = _projected_weights(graph, parity)
    n_nodes, n_edges = len(kept), weights.nnz // 2
    degree = np.diff(weights.indptr)
    strength = np.asarray(weights.sum(axis=1), dtype=np.float64)
    ends = weights.tocoo()
    n_components, largest = _largest_component(weights, strength)
    return {
        "n_nodes": n_nodes,
        "n_edges": n_edges,
        "total_weight": float(strength.sum() / 2),
        **{
            name: value
            for of, values in (("degree", degree), ("strength", strength))
            for name, value in named_moments(of, values).items()
            if name.startswith(("mean", "var"))
        },
        "density": 2 * n_edges / (n_nodes * (n_nodes - 1)) if n_nodes > 1 else None,
        "assortativity": correlation(strength[ends.row], strength[ends.col]),
        "average_clustering": _average_clustering(weights, degree) if n_nodes else None,
        "n_components": n_components,
        "largest_component_share": largest.size / n_nodes if n_nodes else None,
        "average_shortest_path": _average_shortest_path(weights, largest),
    }


def _largest_component(weights: sparse.csr_array[np.float64], strength: Floats) -> tuple[int, Integers]:
    """Number of components, and the nodes of the largest; of equals the strongest, then the first."""
    if not strength.size:
        return 0, np.empty(0, dtype=np.int64)
    n_components, component = csgraph.connected_components(weights, directed=False)
    total = np.bincount(component, weights=strength)
    largest = np.lexsort((-total, -np.bincount(component)))[0]
    return int(n_components), np.flatnonzero(component == largest)


def _average_clustering(weights: sparse.csr_array[np.float64], degree: Integers) -> float:
    if not weights.nnz:
        return 0.0
    roots = weights.copy()
    roots.data = np.cbrt(roots.data / roots.data.max())
    triangles = np.asarray((roots @ roots).multiply(roots).sum(axis=1), dtype=np.float64)
    return float((triangles / np.maximum(degree * (degree - 1), 1)).mean())


def _average_shortest_path(weights: sparse.csr_array[np.float64], members: Integers) -> float | None:
    if members.size < 2:
        return None
    lengths = weights[members][:, members]
    lengths.data = 1.0 / lengths.data
    lengths = _without_detours(lengths)
    total = sum(
        float(csgraph.dijkstra(lengths, indices=rows).sum()) for rows in _blocks_of_rows(members.size)
    )
    return total / (members.size * (members.size - 1))


def _without_detours(lengths: sparse.csr_array[np.float64]) -> sparse.csr_array[np.float64]:
    """Links no longer than the way over one of the nearest nodes: all that shortest paths need."""
    n_nodes, n_links = lengths.shape[0], np.diff(lengths.indptr)
    row = np.repeat(np.arange(n_nodes), n_links)
    by_length = np.lexsort((lengths.data, row))
    place = np.arange(lengths.nnz) - lengths.indptr[row]
    is_near = place < _NEAREST
    nearest = np.zeros((n_nodes, _NEAREST), dtype=np.int64)
    first_leg = np.full((n_nodes, _NEAREST), np.inf)
    nearest[row[is_near], place[is_near]] = lengths.indices[by_length[is_near]]
    first_leg[row[is_near], place[is_near]] = lengths.data[by_length[is_near]]
    is_direct = np.empty(lengths.nnz, dtype=np.bool_)
    for rows in _blocks_of_rows(n_nodes):
        around = np.full((rows.size, n_nodes), np.inf)
        for leg in range(_NEAREST):
            second_leg = lengths[nearest[rows, leg]].toarray()
            second_leg[second_leg == 0] = np.inf
            np.minimum(around, first_leg[rows, leg, None] + second_leg, out=around)
        links = slice(lengths.indptr[rows[0]], lengths.indptr[rows[-1] + 1])
        is_direct[links] = lengths.data[links] <= around[row[links] - rows[0], lengths.indices[links]]
    direct = (lengths.data[is_direct], (row[is_direct], lengths.indices[is_direct]))
    return sparse.csr_array(direct, shape=lengths.shape)


def _blocks_of_rows(n_rows: int) -> list[Integers]:
    return [np.arange(first, min(first + _PATH_ROWS, n_rows)) for first in range(0, n_rows, _PATH_ROWS)]
