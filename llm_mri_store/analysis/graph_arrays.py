"""A graph as arrays, from which its numbers are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np
import numpy.typing as npt

from llm_mri_store.errors import InvalidInput

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphArrays:
    """A graph as arrays; nodes are counted in the graph's own order, weights are absolute.

    Attributes:
        nodes: their names.
        layer: int64 (n_nodes,), each node's layer.
        source, target: int64 (n_edges,), positions of nodes.
        weight: float64 (n_edges,), >= 0.
    """

    nodes: tuple[str, ...]
    layer: Integers
    source: Integers
    target: Integers
    weight: Floats

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.layer.size

    def out_degree(self) -> Integers:
        """Edges out of each node, int64 (n_nodes,)."""
        return np.bincount(self.source, minlength=self.n_nodes)

    def in_degree(self) -> Integers:
        """Edges into each node, int64 (n_nodes,)."""
        return np.bincount(self.target, minlength=self.n_nodes)

    def out_strength(self) -> Floats:
        """Weight out of each node, float64 (n_nodes,)."""
        return np.bincount(self.source, self.weight, self.n_nodes).astype(np.float64)

    def in_strength(self) -> Floats:
        """Weight into each node, float64 (n_nodes,)."""
        return np.bincount(self.target, self.weight, self.n_nodes).astype(np.float64)


def graph_arrays(graph: nx.DiGraph[str]) -> GraphArrays:
    """The arrays of a graph whose nodes have the attribute ``layer``; an edge without ``weight`` has 1.

    >>> graph = nx.DiGraph([("0_0", "1_0", {"weight": -0.5})])
    >>> nx.set_node_attributes(graph, {"0_0": 0, "1_0": 1}, "layer")
    >>> graph_arrays(graph).in_strength().tolist()
    [0.0, 0.5]
    """
    position = {node: index for index, node in enumerate(graph)}
    edges = list(graph.edges(data="weight", default=1.0))
    return GraphArrays(
        nodes=tuple(graph),
        layer=np.array([layer for _, layer in graph.nodes(data="layer")], dtype=np.int64),
        source=np.array([position[source] for source, _, _ in edges], dtype=np.int64),
        target=np.array([position[target] for _, target, _ in edges], dtype=np.int64),
        weight=np.abs(np.array([weight for _, _, weight in edges], dtype=np.float64)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The edges from one layer to the next, sorted by target, without those of weight 0.

    Attributes:
        source, target: int64 (n_edges,), positions of nodes.
        weight: float64 (n_edges,), > 0.
    """

    source: Integers
    target: Integers
    weight: Floats


def layer_steps(arrays: GraphArrays, layers: Sequence[int]) -> list[Step]:
    """The edges of each pair of neighbouring layers, first pair first.

    Args:
        arrays: the graph.
        layers: its layers, ascending.

    Raises:
        InvalidInput: a node's layer is not among the layers, or an edge leads elsewhere than to the next
            layer.
    """
    rank = layer_ranks(arrays, layers)
    start, end = rank[arrays.source], rank[arrays.target]
    if (astray := np.flatnonzero(end != start + 1)).size:
        source, target = arrays.nodes[arrays.source[astray[0]]], arrays.nodes[arrays.target[astray[0]]]
        raise InvalidInput(
            f"the edge {source} -> {target} does not lead from a layer to the next of the graph's layers; "
            "paths through layers are defined only where all edges do"
        )
    order = np.lexsort((arrays.source, arrays.target))
    order = order[arrays.weight[order] > 0]
    steps = []
    for index in range(len(layers) - 1):
        chosen = order[start[order] == index]
        steps.append(
            Step(source=arrays.source[chosen], target=arrays.target[chosen], weight=arrays.weight[chosen])
        )
    return steps


def layer_ranks(arrays: GraphArrays, layers: Sequence[int]) -> Integers:
    """Position of each node's layer among the layers, int64 (n_nodes,).

    Raises:
        InvalidInput: a node's layer is not among them.
    """
    ranks = {layer: index for index, layer in enumerate(layers)}
    if unknown := set(arrays.layer.tolist()) - ranks.keys():
        raise InvalidInput(
            f"a node is at layer {min(unknown)}, which is not among the graph's layers {tuple(layers)}; "
            "set its attribute 'layers' to all of them"
        )
    return np.array([ranks[layer] for layer in arrays.layer.tolist()], dtype=np.int64)
