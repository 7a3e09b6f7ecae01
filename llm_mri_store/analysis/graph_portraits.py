"""Network portraits, and how far those of two graphs diverge."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


def portraits(at_distance: Int64) -> Int64:
    """Portraits of graphs: how many nodes have k nodes at distance l.

    Bagrow, Bollt, Skufca & ben-Avraham, "Portraits of complex networks", EPL 81 (2008). Distances are those
    of directed paths, whatever the weights of their edges.

    Args:
        at_distance: int64 (n_nodes, n_distances, n_graphs), as in ``graph_reach.Reach``.

    Returns:
        int64 (n_distances, most + 1, n_graphs): B[l, k] of each graph, k from 0 to the most there are.

    >>> portraits(np.array([[1, 2], [1, 0], [1, 0]])[:, :, None])[:, :, 0].tolist()
    [[0, 3, 0], [2, 0, 1]]
    """
    _, n_distances, n_graphs = at_distance.shape
    most = int(at_distance.max(initial=0)) + 1
    row = (np.arange(n_distances)[:, None] * most * n_graphs) + np.arange(n_graphs)
    counted = np.bincount(
        (at_distance * n_graphs + row).ravel(), minlength=n_distances * most * n_graphs
    ).reshape(n_distances, most, n_graphs)
    # A node that a graph does not have is at no distance from itself.
    counted[:, 0] -= counted[0, 0]
    return counted.astype(np.int64)


def portrait_divergences(at_distance_a: Int64, at_distance_b: Int64) -> Float64:
    """Divergence of the portraits of two graphs, in [0, 1] bits; 0 = equal portraits.

    Bagrow & Bollt, "An information-theoretic, all-scales approach to comparing networks", Applied Network
    Science 4:45 (2019): the Jensen-Shannon divergence of P(k, l) = P(k | l) P(l), with P(k | l) = B[l, k] /
    N, the chance that a random node has k nodes at distance l, and P(l), the chance that two nodes joined by
    a path (a node is joined to itself) are at distance l, sum over k of k B[l, k] over that of all l. Weights
    do not count: the paper's weighted portraits need bins of path lengths, whose choice would be a
    parameter. Graphs with equal portraits need not be equal, so it is a divergence of shapes, not of places:
    cells may be renamed.

    Args:
        at_distance_a: int64 (n_nodes, n_distances, n_graphs), as in ``graph_reach.Reach``.
        at_distance_b: the same of as many other graphs.

    Returns:
        float64 (n_graphs,); NaN where a graph has no node.
    """
    found = [portraits(one) for one in (at_distance_a, at_distance_b)]
    most = max(one.shape[1] for one in found)
    chances = []
    for counted in found:
        padded = np.pad(counted, ((0, 0), (0, most - counted.shape[1]), (0, 0)))
        pairs = np.arange(most) @ padded
        with np.errstate(divide="ignore", invalid="ignore"):
            of_distance = pairs / pairs.sum(axis=0)
            joint = padded / padded[0].sum(axis=0) * of_distance[:, None]
        chances.append(joint.reshape(-1, joint.shape[2]))
    return divergences(*chances)


def divergences(p: Float64, q: Float64) -> Float64:
    """Jensen-Shannon divergence of distributions, in [0, 1] bits.

    Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37 (1991), with equal
    weights and logarithms of base 2: the mean of the divergences of p and q from their mean.

    Args:
        p: float64 (n_outcomes, n_pairs), each column sums to 1.
        q: the same.

    Returns:
        float64 (n_pairs,); 0 = equal, 1 = no outcome in common.

    >>> divergences(np.array([[1.0, 1.0], [0.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """
    middle = (p + q) / 2
    bits = np.zeros(p.shape[1])
    for one in (p, q):
        ratio = np.divide(one, middle, out=np.ones_like(one), where=one > 0)
        bits += (one * np.log2(ratio)).sum(axis=0) / 2
    return np.clip(bits, 0.0, 1.0)
