"""The network-based statistic: connected sets of edges that differ, larger than chance makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from llm_mri_store.errors import UnknownName

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

ComponentSize = Literal["intensity", "extent"]
COMPONENT_SIZES: Final[tuple[ComponentSize, ...]] = ("intensity", "extent")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Components:
    """Connected sets of edges beyond a threshold, in some maps of evidence over the same edges.

    Attributes:
        edge, column: int64 (n_beyond,), edge and map of each value beyond the threshold.
        component: int64 (n_beyond,), its component, numbered over all maps.
        size: float64 (n_components,), > 0.
    """

    edge: Int64
    column: Int64
    component: Int64
    size: Float64

    def largest(self, n_maps: int) -> Float64:
        """Size of the largest component of each map, float64 (n_maps,); 0 for a map without one."""
        largest = np.zeros(n_maps)
        np.maximum.at(largest, self.column, self.size[self.component])
        return largest


def find_components(
    evidence: Float64, ends: tuple[Int64, Int64], *, threshold: float, by: ComponentSize
) -> Components:
    """Edges beyond the threshold, joined where they share a node and point the same way.

    The network-based statistic of Zalesky, Fornito & Bullmore, "Network-based statistic: identifying
    differences in brain networks", NeuroImage 53 (2010), section 2.2. As with clusters of cells, edges in
    which the first label has more and edges in which it has less make components of their own. ``extent``
    is the number of a component's edges, as in the paper; ``intensity`` is the sum of their absolute evidence
    less the threshold, which tells a strong edge from one that hardly passes.

    Args:
        evidence: float64 (n_edges, n_maps), signed.
        ends: positions of the edges' sources and targets, int64 (n_edges,) each.
        threshold: absolute evidence that an edge must exceed, > 0.
        by: what is a component's size.

    Raises:
        UnknownName: there is no such size.

    >>> ends = (np.array([0, 0, 1]), np.array([2, 3, 3]))
    >>> found = find_components(np.array([[3.0], [4.0], [-3.0]]), ends, threshold=2.5, by="extent")
    >>> found.component.tolist(), found.size.tolist()
    ([0, 0, 1], [2.0, 1.0])
    """
    if by not in COMPONENT_SIZES:
        raise UnknownName("size of a component", by, known=COMPONENT_SIZES, where="what there is")
    edge, column = np.nonzero(np.abs(evidence) > threshold)
    beyond = evidence[edge, column]
    n_nodes = 1 + max((int(end.max(initial=0)) for end in ends), default=0)
    # Every map and sign has nodes of its own, so that one search finds the components of all.
    copy = (2 * column + (beyond < 0)) * n_nodes
    nodes = np.unique(np.concatenate([copy + end[edge] for end in ends]), return_inverse=True)[1]
    source, target = nodes[: edge.size], nodes[edge.size :]
    n_used = int(nodes.max(initial=-1)) + 1
    of_node = np.zeros(0, dtype=np.int64)
    if edge.size:
        links = sparse.coo_array((np.ones(edge.size), (source, target)), shape=(n_used, n_used))
        of_node = csgraph.connected_components(links, directed=False)[1].astype(np.int64)
    component = np.unique(of_node[source], return_inverse=True)[1].astype(np.int64)
    size = np.bincount(component, None if by == "extent" else np.abs(beyond) - threshold)
    return Components(edge=edge, column=column, component=component, size=size.astype(np.float64))
