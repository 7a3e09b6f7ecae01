"""Graphs that the tests of this folder share."""

import json
from collections.abc import Iterable
from itertools import pairwise, product
from pathlib import Path

import networkx as nx
import pyarrow as pa
from hypothesis import strategies as st

from llm_mri_store.analysis.graph import build_graph

ORACLE = json.loads((Path(__file__).parents[1] / "data" / "animals_pca2_graphs.json").read_text())
ORACLE_LABELS = ORACLE["labels"]


def layered(
    edges: list[tuple], *, n_layers: int = 3, layers: tuple[int, ...] | None = None, **attributes: object
) -> nx.DiGraph:
    """A graph of weighted edges between nodes whose names begin with their layer."""
    graph = nx.DiGraph(layers=layers or tuple(range(n_layers)), **attributes)
    graph.add_weighted_edges_from(edges)
    nx.set_node_attributes(graph, {node: int(node.split("_")[0]) for node in graph}, "layer")
    return graph


def fully_connected(sizes: list[int]) -> nx.DiGraph:
    layers = [[f"{layer}_{index}" for index in range(size)] for layer, size in enumerate(sizes)]
    edges = [(u, v, 1.0) for here, there in pairwise(layers) for u, v in product(here, there)]
    return layered(edges, n_layers=len(sizes))


def empty(n_layers: int = 3) -> nx.DiGraph:
    return layered([], n_layers=n_layers)


@st.composite
def graphs(draw) -> nx.DiGraph:
    sizes = draw(st.lists(st.integers(1, 4), min_size=2, max_size=4))
    possible = list(fully_connected(sizes).edges)
    chosen = draw(st.lists(st.sampled_from(possible), unique=True, max_size=len(possible)))
    weights = draw(st.lists(st.integers(1, 50), min_size=len(chosen), max_size=len(chosen)))
    return layered([(*edge, float(w)) for edge, w in zip(chosen, weights, strict=True)], n_layers=len(sizes))


def oracle_graph(name: str) -> nx.DiGraph:
    """The graph of one label (or all), built from rows as the queries would give them."""
    labels = ORACLE_LABELS if name == "all" else [name]
    samples = {(layer, x, y, label): n for layer, x, y, label, n in ORACLE["nodes"]}
    totals = {
        label: sum(n for *cell, one, n in ORACLE["nodes"] if one == label and cell[0] == 0)
        for label in labels
    }
    rows = []
    for label in labels:
        for source, target, weight in ORACLE["graphs"][label]["edges"]:
            (layer, from_x, from_y), (following, to_x, to_y) = (
                map(int, node.split("_")) for node in (source, target)
            )
            n_from, n_to = samples[layer, from_x, from_y, label], samples[following, to_x, to_y, label]
            expected = n_from * n_to / totals[label]
            rows.append(
                {
                    "label": label,
                    "layer": layer,
                    "source": source,
                    "target": target,
                    "from_x": from_x,
                    "from_y": from_y,
                    "to_x": to_x,
                    "to_y": to_y,
                    "weight": weight,
                    "n_from": n_from,
                    "n_to": n_to,
                    "n": totals[label],
                    "expected": expected,
                    "lift": weight / expected,
                }
            )
    nodes = [
        dict(zip(("layer", "cell_x", "cell_y", "label", "n"), row, strict=True)) for row in ORACLE["nodes"]
    ]
    return build_graph(
        pa.Table.from_pylist(rows),
        pa.Table.from_pylist(nodes),
        labels=labels,
        layers=ORACLE["layers"],
        label_totals=totals,
        grid=ORACLE["grid"],
    )


LABELS = ("bird", "fish")
LAYERS = (0, 1, 2)
TOTALS = {"bird": 3, "fish": 2}

# Of three layers, the cells of each sample.
SAMPLES = [
    ("bird", [(0, 0), (1, 0), (2, 0)]),
    ("bird", [(0, 0), (1, 0), (2, 2)]),
    ("bird", [(0, 1), (1, 0), (2, 2)]),
    ("fish", [(0, 0), (1, 0), (2, 2)]),
    ("fish", [(0, 0), (1, 1), (2, 2)]),
]

EDGE_TYPES = {
    "label": pa.string(), "layer": pa.int64(), "source": pa.string(), "target": pa.string(),
    "from_x": pa.int64(), "from_y": pa.int64(), "to_x": pa.int64(), "to_y": pa.int64(),
    "weight": pa.int64(), "n_from": pa.int64(), "n_to": pa.int64(), "n": pa.int64(),
    "expected": pa.float64(), "lift": pa.float64(),
}  # fmt: skip
NODE_TYPES = {
    "layer": pa.int64(), "cell_x": pa.int64(), "cell_y": pa.int64(), "label": pa.string(), "n": pa.int64(),
}  # fmt: skip


def tables(samples: Iterable[tuple[str, list[tuple[int, int]]]]) -> tuple[pa.Table, pa.Table]:
    """What the queries give for these samples, counted one by one."""
    cells: dict[tuple, int] = {}
    links: dict[tuple, int] = {}
    totals: dict[str, int] = {}
    for label, path in samples:
        totals[label] = totals.get(label, 0) + 1
        for layer, cell in enumerate(path):
            cells[label, layer, cell] = cells.get((label, layer, cell), 0) + 1
            if layer + 1 < len(path):
                link = (label, layer, cell, path[layer + 1])
                links[link] = links.get(link, 0) + 1
    edges = []
    for (label, layer, start, end), weight in links.items():
        n_from, n_to = cells[label, layer, start], cells[label, layer + 1, end]
        expected = n_from * n_to / totals[label]
        edges.append(
            {
                "label": label,
                "layer": layer,
                "source": f"{layer}_{start[0]}_{start[1]}",
                "target": f"{layer + 1}_{end[0]}_{end[1]}",
                "from_x": start[0],
                "from_y": start[1],
                "to_x": end[0],
                "to_y": end[1],
                "weight": weight,
                "n_from": n_from,
                "n_to": n_to,
                "n": totals[label],
                "expected": expected,
                "lift": weight / expected,
            }
        )
    nodes = [
        {"layer": layer, "cell_x": x, "cell_y": y, "label": label, "n": n}
        for (label, layer, (x, y)), n in cells.items()
    ]
    return (
        pa.Table.from_pylist(edges, schema=pa.schema(EDGE_TYPES.items())),
        pa.Table.from_pylist(nodes, schema=pa.schema(NODE_TYPES.items())),
    )


def graph_of(samples: Iterable = SAMPLES, **options: object) -> nx.DiGraph:
    edges, nodes = tables(samples)
    defaults = {"labels": LABELS, "layers": LAYERS, "label_totals": TOTALS, "grid": 3}
    return build_graph(edges, nodes, **(defaults | options))


samples_strategy = st.lists(
    st.tuples(
        st.sampled_from(LABELS),
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=3, max_size=3),
    ),
    max_size=20,
)
