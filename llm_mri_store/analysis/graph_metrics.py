"""Numbers that describe an NRAG: degrees, strengths, assortativity, density, centres, projections.

Names are those of LLM-MRI's ``Metrics``; where it errs, the definition here is the mended one. A
strength is the sum of the *absolute* weights of a node's edges, so that a graph of correlations, whose
weights have signs, has strengths too; for a graph of counts it is the plain sum. A number that is not defined
is None, never NaN.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Final, NamedTuple

import networkx as nx
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse, stats
from scipy.sparse import csgraph

from llm_mri_store.analysis.graph import Parity, layers_of, project_layers
from llm_mri_store.schema import LAYER

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]

_ROUNDING: Final = 1e-13
"""Spread of a constant, relative to its size: some hundred float64 roundings."""

_PATH_ROWS: Final = 256
"""Starting nodes whose distances to all others are held at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Mean, variance, skewness and excess kurtosis of some numbers; None where undefined."""

    mean: float | None
    var: float | None
    skew: float | None
    kurt: float | None


def moments(values: npt.ArrayLike) -> Moments:
    """Unbiased mean, variance, skewness and excess kurtosis, as pandas computes them.

    Variance has the divisor n - 1 and needs 2 values; skewness is G1 (3 values) and excess kurtosis
    G2 (4 values) of Joanes & Gill, "Comparing measures of sample skewness and kurtosis", The
    Statistician 47 (1998); 0 for a normal distribution. Of a constant both are 0 / 0, so None:
    pandas 3 gives NaN there, pandas 2 gave 0. A constant is what varies by rounding alone.

    Args:
        values: float64 (n_values,), finite.

    Returns:
        mean, in the range of the values; var, >= 0; skew and kurt, any sign.

    >>> moments([1, 2, 3])
    Moments(mean=2.0, var=1.0, skew=0.0, kurt=None)
    """
    numbers = np.asarray(values, dtype=np.float64)
    n_values = numbers.size
    varies = _varies(numbers)
    return Moments(
        mean=float(numbers.mean()) if n_values else None,
        var=float(numbers.var(ddof=1)) if n_values > 1 else None,
        skew=float(stats.skew(numbers, bias=False)) if n_values > 2 and varies else None,
        kurt=float(stats.kurtosis(numbers, bias=False)) if n_values > 3 and varies else None,
    )


def _varies(numbers: _Floats) -> bool:
    return numbers.size > 1 and bool(np.ptp(numbers) > _ROUNDING * np.abs(numbers).max())


class _Links(NamedTuple):
    """A graph as arrays; nodes are counted in the graph's own order, weights are absolute.

    Attributes:
        layer: int64 (n_nodes,), each node's layer.
        source, target: int64 (n_edges,), positions of nodes.
        weight: float64 (n_edges,), >= 0.
    """

    layer: _Integers
    source: _Integers
    target: _Integers
    weight: _Floats

    @property
    def n_nodes(self) -> int:
        return self.layer.size

    def out_degree(self) -> _Integers:
        return np.bincount(self.source, minlength=self.n_nodes)

    def in_degree(self) -> _Integers:
        return np.bincount(self.target, minlength=self.n_nodes)

    def out_strength(self) -> _Floats:
        return np.bincount(self.source, self.weight, self.n_nodes).astype(np.float64)

    def in_strength(self) -> _Floats:
        return np.bincount(self.target, self.weight, self.n_nodes).astype(np.float64)


def _links(graph: nx.DiGraph[str]) -> _Links:
    position = {node: index for index, node in enumerate(graph)}
    edges = list(graph.edges(data="weight", default=1.0))
    return _Links(
        layer=np.array([layer for _, layer in graph.nodes(data="layer")], dtype=np.int64),
        source=np.array([position[source] for source, _, _ in edges], dtype=np.int64),
        target=np.array([position[target] for _, target, _ in edges], dtype=np.int64),
        weight=np.abs(np.array([weight for _, _, weight in edges], dtype=np.float64)),
    )


def assortativity(graph: nx.DiGraph[str]) -> float | None:
    """Weighted degree assortativity: how much strong nodes lead to strong nodes.

    Pearson's correlation, over the edges, of the source's out-strength with the target's in-strength;
    every edge counts once. This is what LLM-MRI reports and what networkx calls
    ``degree_assortativity_coefficient(graph, weight="weight")``: its directed default is out -> in
    (Newman, "Mixing patterns in networks", Phys. Rev. E 67, 026126 (2003), eq. 21).

    Returns:
        In [-1, 1]; None where either side is the same for every edge.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0"), ("0_0_0", "1_1_1"), ("0_1_1", "1_1_1")])
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> round(assortativity(graph), 6)
    -0.5
    """
    links = _links(graph)
    return _correlation(links.out_strength()[links.source], links.in_strength()[links.target])


def _correlation(x: _Floats, y: _Floats) -> float | None:
    if not (_varies(x) and _varies(y)):
        return None
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def density(graph: nx.DiGraph[str]) -> float | None:
    """Share of the possible edges that are there.

    Edges / sum over pairs of neighbouring layers of |V_l| |V_l+1|, degenerate layers left out as they
    have no edges. LLM-MRI divides by n (n - 1), as if every node could lead to every other, so its
    density falls with the number of layers.

    Returns:
        In [0, 1]; 1 = every node leads to every node of the next layer. None without a pair of
        neighbouring layers that both have nodes.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0"), ("0_0_0", "1_1_1")], layers=(0, 1))
    >>> nx.set_node_attributes(graph, {node: int(node[0]) for node in graph}, "layer")
    >>> density(graph)
    1.0
    """
    layers = layers_of(graph)
    links = _links(graph)
    degenerate = graph.graph.get("degenerate_layers", ())
    n_nodes = {
        layer: 0 if layer in degenerate else np.count_nonzero(links.layer == layer) for layer in layers
    }
    possible = sum(n_nodes[layer] * n_nodes[following] for layer, following in pairwise(layers))
    return float(links.source.size / possible) if possible else None


def center_of_mass(graph: nx.DiGraph[str]) -> float | None:
    """Mean relative depth of the nodes.

    The relative depth of a layer is its position among the graph's layers / (number of layers - 1).
    LLM-MRI takes the mean of layer - layers / 2, which is half a layer too low for layers that count from 0
    and grows with the number of layers; its value is (number of layers - 1) times ours - layers / 2.

    Returns:
        In [0, 1]; 0 = all in the first layer, 0.5 = the middle, 1 = all in the last layer. None
        without nodes or with one layer.

    >>> graph = nx.DiGraph(layers=(0, 1, 2))
    >>> graph.add_nodes_from([("0_0_0", {"layer": 0}), ("1_0_0", {"layer": 1})])
    >>> center_of_mass(graph)
    0.25
    """
    links = _links(graph)
    depth = _depth(links, layers_of(graph))
    return None if depth is None or not depth.size else float(depth.mean())


def center_of_strength(graph: nx.DiGraph[str]) -> float | None:
    """Mean relative depth of the nodes, each weighed by its strength.

    sum of strength * depth / sum of strength, depth as in ``center_of_mass``. LLM-MRI multiplies the
    standard deviation of each layer's strengths with its depth and runs into a layer that does
    not exist: it is always NaN. Where every sample has a cell in every layer, as in a graph of counts, all
    pairs of neighbouring layers have the same total weight, and the value is the middle of the layers that
    have edges, whatever the model does; it tells graphs apart whose edges were chosen.

    Returns:
        In [0, 1], read as ``center_of_mass``; None without edges.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0", {"weight": 3.0})], layers=(0, 1))
    >>> nx.set_node_attributes(graph, {"0_0_0": 0, "1_0_0": 1}, "layer")
    >>> center_of_strength(graph)
    0.5
    """
    links = _links(graph)
    depth = _depth(links, layers_of(graph))
    strength = links.out_strength() + links.in_strength()
    total = float(strength.sum())
    return None if depth is None or not total else float(strength @ depth / total)


def _depth(links: _Links, layers: tuple[int, ...]) -> _Floats | None:
    if len(layers) < 2:
        return None
    depths = {layer: index / (len(layers) - 1) for index, layer in enumerate(layers)}
    return np.array([depths[layer] for layer in links.layer.tolist()], dtype=np.float64)


def graph_metrics(graph: nx.DiGraph[str]) -> dict[str, float | int | None]:
    """One row of numbers for a graph; None where a number is not defined.

    Returns:
        * ``n_nodes``, ``n_edges``, and ``total_weight``, the sum of absolute weights
        * ``mean_degree``, ``var_degree``, ``skew_degree``, ``kurt_degree``: see ``moments``; a node's
          degree counts the edges in and out of it, whatever their weight
        * ``mean_strength``, ``var_strength``, ``skew_strength``, ``kurt_strength``: the same of its
          absolute weights in and out
        * ``assortativity``, ``density``, ``center_of_mass``, ``center_of_strength``: see the functions

    Degrees, strengths and assortativity are equal to LLM-MRI's ``get_basic_metrics``; density and both
    centres are mended.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0", {"weight": 3.0})], layers=(0, 1))
    >>> nx.set_node_attributes(graph, {"0_0_0": 0, "1_0_0": 1}, "layer")
    >>> graph_metrics(graph)["mean_strength"]
    3.0
    """
    links = _links(graph)
    return {
        "n_nodes": links.n_nodes,
        "n_edges": links.source.size,
        "total_weight": float(links.weight.sum()),
        **_named_moments("degree", links.out_degree() + links.in_degree()),
        **_named_moments("strength", links.out_strength() + links.in_strength()),
        "assortativity": assortativity(graph),
        "density": density(graph),
        "center_of_mass": center_of_mass(graph),
        "center_of_strength": center_of_strength(graph),
    }


def _named_moments(of: str, values: npt.ArrayLike) -> dict[str, float | int | None]:
    return {f"{moment}_{of}": value for moment, value in asdict(moments(values)).items()}


def degree_by_layer(graph: nx.DiGraph[str]) -> pa.Table:
    """Degrees and strengths of each layer's nodes.

    LLM-MRI's ``get_degree_by_layer`` gives mean and variance of the degree, also for a layer that does
    not exist. In and out are given apart because nodes of the first layer have no edges in and nodes of the
    last layer none out, which makes their degree smaller than that of nodes between.

    Returns:
        One row per layer of the graph: layer int64; n_nodes int64; mean and variance (unbiased) of the
        nodes' degrees mean_degree, var_degree, mean_in_degree, var_in_degree, mean_out_degree,
        var_out_degree; means of their strengths mean_in_strength, mean_out_strength; all float64, >= 0,
        NULL for too few nodes.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0", {"weight": 3.0})], layers=(0, 1))
    >>> nx.set_node_attributes(graph, {"0_0_0": 0, "1_0_0": 1}, "layer")
    >>> degree_by_layer(graph)["mean_out_strength"].to_pylist()
    [3.0, 0.0]
    """
    links = _links(graph)
    inward, outward = links.in_degree(), links.out_degree()
    degrees = {"degree": inward + outward, "in_degree": inward, "out_degree": outward}
    rows = []
    for layer in layers_of(graph):
        here = links.layer == layer
        row: dict[str, float | None] = {LAYER: layer, "n_nodes": int(np.count_nonzero(here))}
        for of, degree in degrees.items():
            row[f"mean_{of}"], row[f"var_{of}"] = moments(degree[here]).mean, moments(degree[here]).var
        row["mean_in_strength"] = moments(links.in_strength()[here]).mean
        row["mean_out_strength"] = moments(links.out_strength()[here]).mean
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=_DEGREE_SCHEMA)


_DEGREE_SCHEMA: Final = pa.schema(
    [(LAYER, pa.int64()), ("n_nodes", pa.int64())]
    + [
        (f"{one}_{of}", pa.float64())
        for of in ("degree", "in_degree", "out_degree")
        for one in ("mean", "var")
    ]
    + [("mean_in_strength", pa.float64()), ("mean_out_strength", pa.float64())]
)


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
    projection = project_layers(graph, parity=parity)
    n_nodes, n_edges = projection.number_of_nodes(), projection.number_of_edges()
    weights = _weight_matrix(projection)
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
            for name, value in _named_moments(of, values).items()
            if name.startswith(("mean", "var"))
        },
        "density": 2 * n_edges / (n_nodes * (n_nodes - 1)) if n_nodes > 1 else None,
        "assortativity": _correlation(strength[ends.row], strength[ends.col]),
        "average_clustering": _average_clustering(weights, degree) if n_nodes else None,
        "n_components": n_components,
        "largest_component_share": largest.size / n_nodes if n_nodes else None,
        "average_shortest_path": _average_shortest_path(weights, largest),
    }


def _weight_matrix(projection: nx.Graph[str]) -> sparse.csr_array[np.float64]:
    if not projection:
        return sparse.csr_array((0, 0), dtype=np.float64)
    weights: sparse.csr_array[np.float64] = nx.to_scipy_sparse_array(projection, dtype=np.dtype(np.float64))
    return weights


def _largest_component(weights: sparse.csr_array[np.float64], strength: _Floats) -> tuple[int, _Integers]:
    """Number of components, and the nodes of the largest; of equals the strongest, then the first."""
    if not strength.size:
        return 0, np.empty(0, dtype=np.int64)
    n_components, component = csgraph.connected_components(weights, directed=False)
    total = np.bincount(component, weights=strength)
    largest = np.lexsort((-total, -np.bincount(component)))[0]
    return int(n_components), np.flatnonzero(component == largest)


def _average_clustering(weights: sparse.csr_array[np.float64], degree: _Integers) -> float:
    if not weights.nnz:
        return 0.0
    roots = weights.copy()
    roots.data = np.cbrt(roots.data / roots.data.max())
    triangles = np.asarray((roots @ roots).multiply(roots).sum(axis=1), dtype=np.float64)
    return float((triangles / np.maximum(degree * (degree - 1), 1)).mean())


def _average_shortest_path(weights: sparse.csr_array[np.float64], members: _Integers) -> float | None:
    if members.size < 2:
        return None
    lengths = weights[members][:, members]
    lengths.data = 1.0 / lengths.data
    total = 0.0
    for first in range(0, members.size, _PATH_ROWS):
        starts = np.arange(first, min(first + _PATH_ROWS, members.size))
        total += float(csgraph.dijkstra(lengths, indices=starts).sum())
    return total / (members.size * (members.size - 1))
