"""Communities: groups of nodes with more weight between them than chance would give."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np

from llm_mri_store.analysis.graph_arrays import GraphArrays, Integers, graph_arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Communities:
    """Groups of nodes.

    Attributes:
        of_node: node -> number of its community, 0 for the largest; None for a node without an edge.
        n_communities: how many there are, each of 2 nodes at least.
        modularity: Q of these groups, in [-0.5, 1]; None without edges.
    """

    of_node: dict[str, int | None]
    n_communities: int
    modularity: float | None


def communities(graph: nx.DiGraph[str], *, seed: int = 0) -> Communities:
    """Communities found by the Louvain method on absolute weights, directions left out.

    Blondel et al., "Fast unfolding of communities in large networks", J. Stat. Mech. P10008 (2008), as in
    networkx, with resolution 1. It looks for a large modularity (Newman, "Analysis of weighted
    networks", Phys. Rev. E 70, 056131 (2004), eq. 6),

        Q = sum over communities c of  W_c / W - (S_c / 2 W)^2

    with W the total weight, W_c that within c and S_c the strengths of its nodes. Q = 0 is what chance gives;
    layered graphs that fall into bands of depth have a large one as well as those that fall into
    streams. The largest Q is not promised, and another seed may find other groups. One seed gives the same
    groups for a graph in whatever order its nodes and edges were added, and in any process.

    Args:
        graph: nodes with the attribute ``layer``.
        seed: of the order in which nodes are visited.

    Returns:
        The communities, numbered by falling number of nodes, then by their first node.

    >>> graph = nx.DiGraph([("0_0", "1_0"), ("0_1", "1_1")])
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> communities(graph).of_node
    {'0_0': 0, '1_0': 0, '0_1': 1, '1_1': 1}
    """
    arrays = graph_arrays(graph)
    number = community_numbers(arrays, seed=seed)
    return Communities(
        of_node={
            node: found if found >= 0 else None
            for node, found in zip(arrays.nodes, number.tolist(), strict=True)
        },
        n_communities=int(number.max(initial=-1)) + 1,
        modularity=modularity_of(arrays, number),
    )


def community_numbers(arrays: GraphArrays, *, seed: int) -> Integers:
    """Number of each node's community, int64 (n_nodes,); -1 for a node without an edge."""
    # Louvain visits nodes in an order that the seed shuffles: it starts from one that names alone decide.
    place = np.empty(arrays.n_nodes, dtype=np.int64)
    order = sorted(range(arrays.n_nodes), key=lambda index: (arrays.layer[index], arrays.nodes[index]))
    place[order] = np.arange(arrays.n_nodes)
    links = sorted(
        zip(place[arrays.source].tolist(), place[arrays.target].tolist(), arrays.weight.tolist(), strict=True)
    )
    undirected: nx.Graph[int] = nx.Graph()
    undirected.add_nodes_from(
        sorted({end for source, target, weight in links if weight for end in (source, target)})
    )
    undirected.add_weighted_edges_from(link for link in links if link[2])
    found = nx.community.louvain_communities(undirected, seed=seed) if undirected else []
    number = np.full(arrays.n_nodes, -1, dtype=np.int64)
    for index, members in enumerate(sorted(found, key=lambda group: (-len(group), min(group)))):
        number[np.asarray(order)[sorted(members)]] = index
    return number


def modularity_of(arrays: GraphArrays, number: Integers) -> float | None:
    """Modularity Q of numbered communities, in [-0.5, 1]; None without edges."""
    total = float(arrays.weight.sum())
    if not total:
        return None
    strength = arrays.out_strength() + arrays.in_strength()
    n_communities = int(number.max()) + 1
    ends = np.bincount(number[number >= 0], strength[number >= 0], n_communities)
    is_within = number[arrays.source] == number[arrays.target]
    within = float(arrays.weight[is_within].sum())
    return within / total - float(((ends / (2 * total)) ** 2).sum())
