"""Where the nodes of a layered graph stand, so that few of its edges cross."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import LAYER

_MOST_SWEEPS: Final = 24
_SWEEPS_WITHOUT_GAIN: Final = 6
_MOST_TRANSPOSITIONS: Final = 12
_ROUNDING: Final = 1e-9

Positions = Mapping[str, tuple[float, float]]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gap:
    """Edges between two neighbouring layers.

    Attributes:
        upper, lower: int64 (n_edges,), the index of either end within its layer.
        weight: float64 (n_edges,), >= 0.
    """

    upper: IntArray
    lower: IntArray
    weight: FloatArray


def layered_positions(graph: nx.DiGraph[str]) -> dict[str, tuple[float, float]]:
    """Position of each node, layer by layer from the top, ordered so that few edges cross.

    The order within layers is found by sweeps down and up that sort each layer by the weighted mean
    position (barycentre) of its neighbours (Sugiyama, Tagawa & Toda 1981, IEEE Trans. SMC 11(2)); the
    best order met is then improved by exchanging neighbours as long as that lowers the crossings. The
    same graph gives the same positions, in whatever order its nodes and edges were added.

    Args:
        graph: nodes with the attribute ``layer``; edges with ``weight`` (1 where missing). Edges that
            do not join neighbouring layers have no part in the order.

    Returns:
        node -> (x, y), each in [0, 1]; y is 1 for the first layer and 0 for the last, x is spread
        evenly within each layer and centred on 0.5. Layers named in ``graph.graph["layers"]`` keep
        their place when they hold no node.

    Raises:
        InvalidInput: a node has no layer.

    >>> graph = nx.DiGraph()
    >>> graph.add_nodes_from([("0_0_0", {"layer": 0}), ("1_0_0", {"layer": 1}), ("1_1_0", {"layer": 1})])
    >>> layered_positions(graph)
    {'0_0_0': (0.5, 1.0), '1_0_0': (0.25, 0.0), '1_1_0': (0.75, 0.0)}
    """
    heights = layer_heights(graph)
    layers: list[list[str]] = [[] for _ in heights]
    rank_of_layer = {layer: rank for rank, layer in enumerate(heights)}
    for node in sorted(graph.nodes, key=_natural_key):
        layers[rank_of_layer[graph.nodes[node][LAYER]]].append(node)
    gaps = _gaps(graph, layers)
    places = _fewest_crossings(gaps, [len(nodes) for nodes in layers])
    return {
        node: ((int(places[rank][index]) + 0.5) / len(nodes), height)
        for (rank, nodes), height in zip(enumerate(layers), heights.values(), strict=True)
        for index, node in enumerate(nodes)
    }


def layer_heights(graph: nx.DiGraph[str]) -> dict[int, float]:
    """Height of each layer: 1 for the first, 0 for the last, 0.5 for an only one.

    Raises:
        InvalidInput: a node has no layer.

    >>> layer_heights(nx.DiGraph(layers=[0, 1, 2]))
    {0: 1.0, 1: 0.5, 2: 0.0}
    """
    layers = set(graph.graph.get("layers", ()))
    for node, attributes in graph.nodes(data=True):
        if LAYER not in attributes:
            raise InvalidInput(
                f"node {node!r} has no attribute 'layer', which places it in the drawing; add it"
            )
        layers.add(attributes[LAYER])
    n_gaps = len(layers) - 1
    return {layer: 1 - rank / n_gaps if n_gaps else 0.5 for rank, layer in enumerate(sorted(layers))}


def count_crossings(graph: nx.DiGraph[str], positions: Positions, *, weight: str | None = None) -> float:
    """Pairs of edges between the same two neighbouring layers that cross.

    Counted in O(n_edges x log n_nodes) for two layers: the accumulator tree of Barth, Juenger & Mutzel
    (2002, Graph Drawing, LNCS 2528), taken level by level. Edges that share an end do not cross.

    Args:
        graph: nodes with the attribute ``layer``.
        positions: node -> (x, y) for every node; only x counts, and nodes of one layer at the same x
            are taken as one.
        weight: edge attribute; a crossing of weights v and w then counts v x w. None: it counts 1.

    Returns:
        the count, >= 0; whole without ``weight``.

    Raises:
        InvalidInput: a node has no layer or no position.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0"), ("0_1_0", "1_1_0")])
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> count_crossings(graph, {"0_0_0": (0, 1), "0_1_0": (1, 1), "1_0_0": (1, 0), "1_1_0": (0, 0)})
    1.0
    """
    heights = layer_heights(graph)
    require_positions(graph, positions)
    layers: list[list[str]] = [[] for _ in heights]
    rank_of_layer = {layer: rank for rank, layer in enumerate(heights)}
    for node in graph.nodes:
        layers[rank_of_layer[graph.nodes[node][LAYER]]].append(node)
    places = [
        np.unique([positions[node][0] for node in nodes], return_inverse=True)[1].astype(np.int64)
        for nodes in layers
    ]
    return _all_crossings(_gaps(graph, layers, weight=weight), places)


def require_positions(graph: nx.DiGraph[str], positions: Positions) -> None:
    """Refuse positions that leave out a node.

    Raises:
        InvalidInput: a node of the graph has no position.
    """
    missing = [node for node in graph.nodes if node not in positions]
    if missing:
        raise InvalidInput(
            f"{len(missing)} of {len(graph)} nodes have no position, such as {missing[0]!r}; give positions "
            "made from a graph that holds every node, or leave them out"
        )


def _natural_key(node: str) -> tuple[tuple[int, ...], str]:
    """Sorts ``"1_10_2"`` after ``"1_9_2"``."""
    return tuple(int(part) if part.isdecimal() else 0 for part in node.split("_")), node


def _gaps(
    graph: nx.DiGraph[str], layers: Sequence[Sequence[str]], weight: str | None = "weight"
) -> list[_Gap]:
    """Edges between each two neighbouring layers, sorted by their ends."""
    place = {node: (rank, index) for rank, nodes in enumerate(layers) for index, node in enumerate(nodes)}
    joined: defaultdict[int, list[tuple[int, int, float]]] = defaultdict(list)
    for source, target, attributes in graph.edges(data=True):
        (upper_rank, upper), (lower_rank, lower) = sorted((place[source], place[target]))
        if lower_rank == upper_rank + 1:
            joined[upper_rank].append((upper, lower, abs(attributes.get(weight, 1.0)) if weight else 1.0))
    gaps = []
    for rank in range(len(layers) - 1):
        edges = np.array(sorted(joined[rank]), dtype=np.float64).reshape(-1, 3)
        ends = edges[:, :2].astype(np.int64)
        gaps.append(_Gap(upper=ends[:, 0], lower=ends[:, 1], weight=edges[:, 2]))
    return gaps


def _all_crossings(gaps: Sequence[_Gap], places: Sequence[IntArray]) -> float:
    return sum(
        (
            _crossings(places[rank][gap.upper], places[rank + 1][gap.lower], gap.weight)
            for rank, gap in enumerate(gaps)
        ),
        0.0,
    )


def _crossings(upper: IntArray, lower: IntArray, weight: FloatArray) -> float:
    """Weighted pairs of edges with ``upper`` ascending and ``lower`` descending.

    Two lower ends compare by the highest bit in which they differ, so each pair is counted at one bit:
    among edges that agree above it, those with the bit set that come before those without.
    """
    if len(weight) < 2:
        return 0.0
    by_ends = np.lexsort((lower, upper))
    lower, weight = lower[by_ends], weight[by_ends]
    total = 0.0
    for bit in range(int(lower.max()).bit_length()):
        above = lower >> (bit + 1)
        grouped = np.argsort(above, kind="stable")
        above, is_set = above[grouped], ((lower[grouped] >> bit) & 1).astype(bool)
        set_weight = np.where(is_set, weight[grouped], 0.0)
        before = np.cumsum(set_weight) - set_weight
        starts = np.flatnonzero(np.diff(above, prepend=-1))
        before -= np.repeat(before[starts], np.diff(starts, append=len(above)))
        total += float(np.sum(np.where(is_set, 0.0, weight[grouped]) * before))
    return total


def _fewest_crossings(gaps: Sequence[_Gap], sizes: Sequence[int]) -> list[IntArray]:
    """Place of each node in its layer, per layer int64 (n_nodes,), of the best order found."""
    best = [np.arange(size, dtype=np.int64) for size in sizes]
    fewest = _all_crossings(gaps, best)
    places, without_gain = list(best), 0
    for sweep in range(_MOST_SWEEPS):
        if fewest == 0 or without_gain == _SWEEPS_WITHOUT_GAIN:
            break
        _sweep(gaps, places, downward=sweep % 2 == 0)
        crossings = _all_crossings(gaps, places)
        without_gain += 1
        if crossings < fewest * (1 - _ROUNDING):
            best, fewest, without_gain = list(places), crossings, 0
    for _ in range(_MOST_TRANSPOSITIONS):
        n_changed = sum(_transpose(gaps, best, rank) for rank in range(len(sizes)))
        if n_changed == 0:
            break
    return best


def _sweep(gaps: Sequence[_Gap], places: list[IntArray], *, downward: bool) -> None:
    """Sort each layer by the barycentres of the one before it in the sweep's direction."""
    for step in range(len(gaps)):
        rank = step if downward else len(gaps) - 1 - step
        gap = gaps[rank]
        moved, fixed = (rank + 1, rank) if downward else (rank, rank + 1)
        moved_ends, fixed_ends = (gap.lower, gap.upper) if downward else (gap.upper, gap.lower)
        own = (places[moved] + 0.5) / max(1, len(places[moved]))
        pull = (places[fixed][fixed_ends] + 0.5) / max(1, len(places[fixed]))
        weight = np.bincount(moved_ends, weights=gap.weight, minlength=len(own))
        weighted = np.bincount(moved_ends, weights=gap.weight * pull, minlength=len(own))
        barycentre = np.where(weight > 0, weighted / np.where(weight > 0, weight, 1.0), own)
        order = np.lexsort((own, barycentre.round(12)))
        places[moved] = np.empty_like(places[moved])
        places[moved][order] = np.arange(len(order))


def _transpose(gaps: Sequence[_Gap], places: list[IntArray], rank: int) -> bool:
    """Exchange neighbours of one layer where that lowers the crossings; whether any were exchanged."""
    order = np.argsort(places[rank])
    sides: list[list[tuple[IntArray, FloatArray]]] = []
    if rank > 0:
        gap = gaps[rank - 1]
        sides.append(_neighbours(gap.lower, places[rank - 1][gap.upper], gap.weight, len(order)))
    if rank < len(gaps):
        gap = gaps[rank]
        sides.append(_neighbours(gap.upper, places[rank + 1][gap.lower], gap.weight, len(order)))
    is_changed = False
    for left in range(len(order) - 1):
        first, second = order[left], order[left + 1]
        as_is = sum(_pair_crossings(side[first], side[second]) for side in sides)
        if as_is > 0:
            exchanged = sum(_pair_crossings(side[second], side[first]) for side in sides)
            if exchanged < as_is * (1 - _ROUNDING):
                order[left], order[left + 1] = second, first
                is_changed = True
    if is_changed:
        places[rank] = np.empty_like(places[rank])
        places[rank][order] = np.arange(len(order))
    return is_changed


def _neighbours(
    own: IntArray, other_places: IntArray, weight: FloatArray, n_nodes: int
) -> list[tuple[IntArray, FloatArray]]:
    """Per node: its neighbours' places, ascending, and the weights of those edges."""
    order = np.lexsort((other_places, own))
    bounds = np.searchsorted(own[order], np.arange(n_nodes + 1))
    return [(other_places[order[start:end]], weight[order[start:end]]) for start, end in pairwise(bounds)]


def _pair_crossings(left: tuple[IntArray, FloatArray], right: tuple[IntArray, FloatArray]) -> float:
    """Weighted crossings of the edges of two nodes, the first left of the second."""
    (left_places, left_weight), (right_places, right_weight) = left, right
    before = np.concatenate(([0.0], np.cumsum(right_weight)))
    return float(left_weight @ before[np.searchsorted(right_places, left_places)])
