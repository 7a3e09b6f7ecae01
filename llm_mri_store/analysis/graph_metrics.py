"""Numbers that describe a graph: one row for the whole, one for each layer.

Names are those of LLM-MRI's ``Metrics``; where it errs, the definition here is the mended one. A
strength is the sum of the *absolute* weights of a node's edges, so that a graph whose weights have
signs has strengths too; for a graph of counts it is the plain sum. A number that is not defined is None,
never NaN.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import networkx as nx
import numpy as np
import pyarrow as pa

from llm_mri_store.analysis.communities import community_numbers, modularity_of
from llm_mri_store.analysis.graph import layers_of
from llm_mri_store.analysis.graph_arrays import Floats, GraphArrays, graph_arrays
from llm_mri_store.analysis.moments import correlation, moments, named_moments
from llm_mri_store.analysis.reachability import reachability_of
from llm_mri_store.schema import LAYER


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
    arrays = graph_arrays(graph)
    return correlation(arrays.out_strength()[arrays.source], arrays.in_strength()[arrays.target])


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
    arrays = graph_arrays(graph)
    degenerate = graph.graph.get("degenerate_layers", ())
    n_nodes = {
        layer: 0 if layer in degenerate else np.count_nonzero(arrays.layer == layer) for layer in layers
    }
    possible = sum(n_nodes[layer] * n_nodes[following] for layer, following in pairwise(layers))
    return float(arrays.source.size / possible) if possible else None


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
    arrays = graph_arrays(graph)
    depth = _depth(arrays, layers_of(graph))
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
    arrays = graph_arrays(graph)
    depth = _depth(arrays, layers_of(graph))
    strength = arrays.out_strength() + arrays.in_strength()
    total = float(strength.sum())
    return None if depth is None or not total else float(strength @ depth / total)


def _depth(arrays: GraphArrays, layers: tuple[int, ...]) -> Floats | None:
    if len(layers) < 2:
        return None
    depths = {layer: index / (len(layers) - 1) for index, layer in enumerate(layers)}
    return np.array([depths[layer] for layer in arrays.layer.tolist()], dtype=np.float64)


def graph_metrics(graph: nx.DiGraph[str], *, seed: int = 0) -> dict[str, float | int | None]:
    """One row of numbers for a graph; None where a number is not defined.

    Args:
        graph: its edges lead from each layer to the next.
        seed: of the search for communities; no other number depends on it.

    Returns:
        * ``n_nodes``, ``n_edges``, and ``total_weight``, the sum of absolute weights
        * ``mean_degree``, ``var_degree``, ``skew_degree``, ``kurt_degree``: see ``moments``; a node's
          degree counts the edges in and out of it, whatever their weight
        * ``mean_strength``, ``var_strength``, ``skew_strength``, ``kurt_strength``: the same of its
          absolute weights in and out
        * ``assortativity``, ``density``, ``center_of_mass``, ``center_of_strength``: see the functions
        * ``joined_share``, ``mean_reachable``: see ``reachability``
        * ``n_communities``, ``modularity``: see ``communities``

    Degrees, strengths and assortativity are equal to LLM-MRI's ``get_basic_metrics``; density and both
    centres are mended; what follows them is added. Each is described in ``metric_definitions.METRICS``.

    Raises:
        InvalidInput: the graph does not say its layers, or an edge does not lead to the next one.

    >>> graph = nx.DiGraph([("0_0_0", "1_0_0", {"weight": 3.0})], layers=(0, 1))
    >>> nx.set_node_attributes(graph, {"0_0_0": 0, "1_0_0": 1}, "layer")
    >>> graph_metrics(graph)["mean_strength"]
    3.0
    """
    arrays = graph_arrays(graph)
    reached = reachability_of(arrays, layers_of(graph), degenerate=graph.graph.get("degenerate_layers", ()))
    number = community_numbers(arrays, seed=seed)
    return {
        "n_nodes": arrays.n_nodes,
        "n_edges": arrays.source.size,
        "total_weight": float(arrays.weight.sum()),
        **named_moments("degree", arrays.out_degree() + arrays.in_degree()),
        **named_moments("strength", arrays.out_strength() + arrays.in_strength()),
        "assortativity": assortativity(graph),
        "density": density(graph),
        "center_of_mass": center_of_mass(graph),
        "center_of_strength": center_of_strength(graph),
        "joined_share": reached.joined_share,
        "mean_reachable": reached.mean_reachable,
        "n_communities": int(number.max(initial=-1)) + 1,
        "modularity": modularity_of(arrays, number),
    }


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
    arrays = graph_arrays(graph)
    inward, outward = arrays.in_degree(), arrays.out_degree()
    degrees = {"degree": inward + outward, "in_degree": inward, "out_degree": outward}
    rows = []
    for layer in layers_of(graph):
        here = arrays.layer == layer
        row: dict[str, float | None] = {LAYER: layer, "n_nodes": int(np.count_nonzero(here))}
        for of, degree in degrees.items():
            row[f"mean_{of}"], row[f"var_{of}"] = moments(degree[here]).mean, moments(degree[here]).var
        row["mean_in_strength"] = moments(arrays.in_strength()[here]).mean
        row["mean_out_strength"] = moments(arrays.out_strength()[here]).mean
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
