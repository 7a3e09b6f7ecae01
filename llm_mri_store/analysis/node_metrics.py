"""Numbers that describe each node of a graph."""

from __future__ import annotations

from typing import Final

import networkx as nx
import numpy as np
import pyarrow as pa

from llm_mri_store.analysis.centrality import betweenness_of, hubs_and_authorities_of, pagerank_of
from llm_mri_store.analysis.communities import community_numbers
from llm_mri_store.analysis.graph import layers_of
from llm_mri_store.analysis.graph_arrays import graph_arrays, layer_ranks, layer_steps
from llm_mri_store.schema import CELL_X, CELL_Y, LAYER

_NUMBERS: Final = [
    ("degree", pa.int64()),
    ("in_degree", pa.int64()),
    ("out_degree", pa.int64()),
    ("strength", pa.float64()),
    ("in_strength", pa.float64()),
    ("out_strength", pa.float64()),
    ("pagerank", pa.float64()),
    ("betweenness", pa.float64()),
    ("hub", pa.float64()),
    ("authority", pa.float64()),
    ("community", pa.int64()),
]


def node_metrics(graph: nx.DiGraph[str], *, seed: int = 0) -> pa.Table:
    """One row of numbers for each node, in the graph's order.

    Args:
        graph: of cells or of components; its edges lead from each layer to the next.
        seed: of the search for communities; no other number depends on it.

    Returns:
        node, its name; layer; cell_x, cell_y and n (samples) of a cell, or component of a
        component; then

        * degree, in_degree, out_degree: edges, >= 0
        * strength, in_strength, out_strength: their absolute weights, >= 0
        * pagerank, betweenness: see ``centrality``; betweenness NULL with fewer than 3 nodes
        * hub, authority: see ``hubs_and_authorities``; NULL where undefined
        * community: see ``communities``, numbered from 0; NULL for a node without an edge

    Raises:
        InvalidInput: the graph does not say its layers, or an edge does not lead to the next one.

    >>> graph = nx.DiGraph([("0_0", "1_0", {"weight": 0.5})], layers=(0, 1), n_components=1)
    >>> graph.add_nodes_from([("0_0", {"layer": 0, "component": 0}), ("1_0", {"layer": 1, "component": 0})])
    >>> node_metrics(graph)["in_strength"].to_pylist()
    [0.0, 0.5]
    """
    arrays, layers = graph_arrays(graph), layers_of(graph)
    steps = layer_steps(arrays, layers)
    hubs, authorities = hubs_and_authorities_of(steps, layer_ranks(arrays, layers))
    degrees = {"in": arrays.in_degree(), "out": arrays.out_degree()}
    strengths = {"in": arrays.in_strength(), "out": arrays.out_strength()}
    number = community_numbers(arrays, seed=seed)
    values = {
        "degree": degrees["in"] + degrees["out"],
        "in_degree": degrees["in"],
        "out_degree": degrees["out"],
        "strength": strengths["in"] + strengths["out"],
        "in_strength": strengths["in"],
        "out_strength": strengths["out"],
        "pagerank": pagerank_of(arrays, steps),
        "betweenness": betweenness_of(arrays, steps),
        "hub": hubs,
        "authority": authorities,
    }
    places = _places(graph)
    return pa.table(
        {
            "node": list(arrays.nodes),
            LAYER: arrays.layer,
            **places,
            **{name: pa.array(column, mask=np.isnan(column)) for name, column in values.items()},
            "community": pa.array(number, mask=number < 0),
        },
        schema=pa.schema(
            [("node", pa.string()), (LAYER, pa.int64()), *((name, pa.int64()) for name in places), *_NUMBERS]
        ),
    )


def _places(graph: nx.DiGraph[str]) -> dict[str, list[int | None]]:
    """Columns that say what each node is; NULL where its attributes do not."""
    attributes = [data for _, data in graph.nodes(data=True)]
    if "n_components" in graph.graph:
        return {"component": [data.get("component") for data in attributes]}
    cells = [data.get("cell", (None, None)) for data in attributes]
    return {
        CELL_X: [x for x, _ in cells],
        CELL_Y: [y for _, y in cells],
        "n": [data.get("n") for data in attributes],
    }
