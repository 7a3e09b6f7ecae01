"""The Neural Region Activation Graph (NRAG): built from rows of cells and edges, and written to files."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Final, Literal

import networkx as nx
import pyarrow as pa

from llm_mri_store.errors import ExportError, InvalidInput, UnknownName
from llm_mri_store.schema import CELL_X, CELL_Y, LABEL, LAYER
from llm_mri_store.store.files import replace_file

Parity = Literal["even", "odd"]
PARITIES: Final[tuple[Parity, ...]] = ("even", "odd")

_Cell = tuple[int, int, int]
"""Layer, x and y."""

_NODE_COLUMNS: Final = [LAYER, CELL_X, CELL_Y, LABEL, "n"]
_EDGE_COLUMNS: Final = [
    LABEL, LAYER, "target", "from_x", "from_y", "to_x", "to_y", "weight", "expected", "lift",
]  # fmt: skip


def node_name(layer: int, x: int, y: int) -> str:
    """Name of a cell's node, spelled as LLM-MRI's.

    >>> node_name(6, 0, 9)
    '6_0_9'
    """
    return f"{layer}_{x}_{y}"


def build_graph(
    edges: pa.Table,
    nodes: pa.Table,
    *,
    labels: Sequence[str],
    layers: Sequence[int],
    degenerate_layers: Sequence[int] = (),
    label_totals: Mapping[str, int],
    grid: int,
    isolated: bool = False,
) -> nx.DiGraph[str]:
    """The NRAG of some labels: cells as nodes, edges between cells of neighbouring layers.

    An edge's weight is LLM-MRI's: samples that lie in the source's cell and in the target's.
    LLM-MRI gives a shared edge the weight of the label composed last; here an edge keeps one
    weight per label and their sum. Rows of other labels and of other layers are left out, and so
    are edges from or to a degenerate layer, which by definition has none. Nodes and edges are
    inserted in the order (layer, x, y), so equal rows in any order give equal graphs.

    Args:
        edges: one row per label and edge, as the query ``edges`` gives them; used are label, layer
            (of the source), target, from_x, from_y, to_x, to_y, weight, expected, lift.
        nodes: one row per label and occupied cell: layer, cell_x, cell_y, label,
            n (samples of the label in the cell).
        labels: the labels of the graph, in the order of its dictionaries.
        layers: the layers of the reduction.
        degenerate_layers: layers whose activations do not vary.
        label_totals: label -> samples of it that have cells.
        grid: cells per axis.
        isolated: True keeps every occupied cell, False only those that have an edge.

    Returns:
        A directed graph.

        * Graph attributes: ``labels``, ``layers`` (ascending) and ``degenerate_layers`` as tuples,
          ``label_totals`` (of these labels) and ``grid``.
        * Node attributes: ``layer``; ``cell`` (x, y), each in 0 .. grid - 1; ``label_weights``,
          label -> samples in the cell, 0 where none; ``n``, their sum, at least 1.
        * Edge attributes: ``weight``, the sum of ``label_weights``, float, > 0; ``label_weights``,
          label -> samples on the edge, 0.0 where none; ``label_expected`` and ``label_lift``, the
          columns expected and lift, without an entry for a label that has no sample on the edge.

    Raises:
        UnknownName: a label has no total.
        InvalidInput: the same label and edge come twice, or an edge names a cell that ``nodes`` lacks.

    >>> both = {"label": ["true"], "layer": [0]}
    >>> edges = pa.table(both | {"source": ["0_1_2"], "target": ["1_3_4"], "from_x": [1], "from_y": [2],
    ...     "to_x": [3], "to_y": [4], "weight": [5], "expected": [5.0], "lift": [1.0]})
    >>> nodes = pa.table({"layer": [0, 1], "cell_x": [1, 3], "cell_y": [2, 4],
    ...     "label": ["true", "true"], "n": [5, 5]})
    >>> graph = build_graph(edges, nodes, labels=["true"], layers=[0, 1], label_totals={"true": 5}, grid=10)
    >>> graph.edges["0_1_2", "1_3_4"]["weight"]
    5.0
    """
    for label in labels:
        if label not in label_totals:
            raise UnknownName("label", label, known=label_totals, where="label_totals")
    cells = _samples_by_cell(nodes, labels=labels, layers=layers)
    links = _rows_by_link(edges, labels=labels, layers=set(layers) - set(degenerate_layers))
    linked = {cell for link in links for cell in link}
    if unknown := linked - cells.keys():
        raise InvalidInput(
            f"an edge names the cell {node_name(*min(unknown))}, in which the table of nodes has no sample; "
            f"ask for nodes and edges of the same reduction and labels"
        )
    graph: nx.DiGraph[str] = nx.DiGraph(
        labels=tuple(labels),
        layers=tuple(sorted(layers)),
        degenerate_layers=tuple(sorted(set(degenerate_layers) & set(layers))),
        label_totals={label: label_totals[label] for label in labels},
        grid=grid,
    )
    for cell in sorted(cells if isolated else linked):
        label_weights = {label: cells[cell].get(label, 0) for label in labels}
        layer, x, y = cell
        graph.add_node(
            node_name(layer, x, y),
            layer=layer,
            cell=(x, y),
            label_weights=label_weights,
            n=sum(label_weights.values()),
        )
    for source, target in sorted(links):
        rows = links[source, target]
        weights = {label: float(rows[label]["weight"]) if label in rows else 0.0 for label in labels}
        graph.add_edge(
            node_name(*source),
            node_name(*target),
            weight=sum(weights.values()),
            label_weights=weights,
            label_expected={label: rows[label]["expected"] for label in labels if label in rows},
            label_lift={label: rows[label]["lift"] for label in labels if label in rows},
        )
    return graph


def _samples_by_cell(
    nodes: pa.Table, *, labels: Sequence[str], layers: Sequence[int]
) -> dict[_Cell, dict[str, int]]:
    cells: dict[_Cell, dict[str, int]] = {}
    for row in nodes.select(_NODE_COLUMNS).to_pylist():
        if row[LABEL] in labels and row[LAYER] in layers and row["n"] > 0:
            samples = cells.setdefault((row[LAYER], row[CELL_X], row[CELL_Y]), {})
            samples[row[LABEL]] = samples.get(row[LABEL], 0) + row["n"]
    return cells


def _rows_by_link(
    edges: pa.Table, *, labels: Sequence[str], layers: set[int]
) -> dict[tuple[_Cell, _Cell], dict[str, dict[str, Any]]]:
    links: dict[tuple[_Cell, _Cell], dict[str, dict[str, Any]]] = {}
    for row in edges.select(_EDGE_COLUMNS).to_pylist():
        target_layer = int(row["target"].partition("_")[0])
        if row[LABEL] not in labels or row["weight"] <= 0 or not {row[LAYER], target_layer} <= layers:
            continue
        source = (row[LAYER], row["from_x"], row["from_y"])
        target = (target_layer, row["to_x"], row["to_y"])
        rows = links.setdefault((source, target), {})
        if row[LABEL] in rows:
            raise InvalidInput(
                f"the edge {node_name(*source)} -> {node_name(*target)} has two rows of the label "
                f"{row[LABEL]!r}; give the edges of one reduction, one row per label and edge"
            )
        rows[row[LABEL]] = row
    return links


def layers_of(graph: nx.DiGraph[str]) -> tuple[int, ...]:
    """The layers of a graph, ascending, also those without nodes.

    Raises:
        InvalidInput: the graph does not say; it was not built by ``build_graph``.

    >>> layers_of(nx.DiGraph(layers=(0, 1, 2)))
    (0, 1, 2)
    """
    layers = graph.graph.get("layers")
    if layers is None:
        raise InvalidInput("the graph has no attribute 'layers'; build it with reduction.graph()")
    return tuple(layers)


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
    if parity not in PARITIES:
        raise InvalidInput(f"parity is {parity!r}; it must be 'even' or 'odd'")
    layers = layers_of(graph)
    chosen = {
        layer for index, layer in enumerate(layers) if (layers[0] + index) % 2 == PARITIES.index(parity)
    }
    projection: nx.Graph[str] = nx.Graph(layers=tuple(sorted(chosen)))
    projection.add_nodes_from((node, data) for node, data in graph.nodes(data=True) if data[LAYER] in chosen)
    shared: dict[str, dict[str, float]] = {}
    for source, target, weight in graph.edges(data="weight", default=1.0):
        kept, between = (source, target) if source in projection else (target, source)
        if weight:
            shared.setdefault(between, {})[kept] = abs(float(weight))
    passed: dict[tuple[str, str], float] = {}
    order = {node: index for index, node in enumerate(projection)}
    for weights in shared.values():
        total = math.fsum(weights.values())
        for u, v in combinations(sorted(weights, key=order.__getitem__), 2):
            a_u, a_v = weights[u], weights[v]
            # The others' sum is at least the partner's weight; the difference can round below it, even to 0.
            handed_on = a_u * a_v * (1 / max(total - a_u, a_v) + 1 / max(total - a_v, a_u)) / 2
            passed[u, v] = passed.get((u, v), 0.0) + handed_on
    projection.add_weighted_edges_from((u, v, weight) for (u, v), weight in passed.items())
    return projection


def to_export_graph(graph: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """A copy whose attributes are all numbers and text, as graph files need them.

    The entry of a label becomes an attribute of its own: ``label_weights`` becomes
    ``weight_<name>``, ``label_expected`` ``expected_<name>``, ``label_lift`` ``lift_<name>``, where
    ``<name>`` is the label with every run of other characters than letters, digits and underscores
    replaced by one underscore, and a number where two labels would share it (names that differ in case
    alone count as shared, as Gephi ignores case). The graph attribute ``label_names`` maps label to name.
    ``cell`` becomes ``cell_x`` and ``cell_y``. Lists and dictionaries of the graph become JSON text. A
    value that is None, NaN or infinite is left out.

    >>> graph = nx.DiGraph(labels=("a b",))
    >>> graph.add_node("0_1_2", layer=0, cell=(1, 2), label_weights={"a b": 3}, n=3)
    >>> to_export_graph(graph).nodes["0_1_2"]
    {'layer': 0, 'cell_x': 1, 'cell_y': 2, 'weight_a_b': 3, 'n': 3}
    """
    names = _safe_names(graph.graph.get("labels", ()))
    attributes = dict(graph.graph) | {"label_names": names}
    exported: nx.DiGraph[str] = nx.DiGraph()
    exported.graph.update({name: _scalar(value) for name, value in attributes.items()})
    for node, node_attributes in graph.nodes(data=True):
        exported.add_node(node, **_flattened(node_attributes, names))
    for source, target, edge_attributes in graph.edges(data=True):
        exported.add_edge(source, target, **_flattened(edge_attributes, names))
    return exported


def _safe_names(labels: Iterable[str]) -> dict[str, str]:
    """Label -> a name of letters, digits and underscores, unlike every other but for case."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for label in labels:
        stem = re.sub(r"\W+", "_", label) or "_"
        name, number = stem, 1
        while name.casefold() in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.casefold())
        names[label] = name
    return names


def _scalar(value: object) -> object:
    return json.dumps(value) if isinstance(value, Mapping | list | tuple) else value


def _flattened(attributes: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in attributes.items():
        if name == "cell":
            flat[CELL_X], flat[CELL_Y] = value
        elif name.startswith("label_") and isinstance(value, Mapping):
            stem = {"weights": "weight"}.get(name.removeprefix("label_"), name.removeprefix("label_"))
            flat.update({f"{stem}_{names[label]}": entry for label, entry in value.items()})
        else:
            flat[name] = _scalar(value)
    return {
        name: value
        for name, value in flat.items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }


def write_graph(graph: nx.DiGraph[str], path: str | Path) -> None:
    """Writes the graph to a file; its ending says how.

    ``.graphml`` and ``.gexf`` open in Gephi, ``.graphml`` in Cytoscape and igraph too; ``.json`` is
    networkx' node-link form. All hold the attributes of ``to_export_graph`` but for GEXF, which has no
    place for those of the graph itself. The file appears whole or not at all; an existing one is replaced.

    Raises:
        ExportError: the ending is none of these.
        WriteFailed: the operating system refused the write.

    >>> write_graph(nx.DiGraph(), "nrag.png")
    Traceback (most recent call last):
    ...
    llm_mri_store.errors.ExportError: a graph cannot be written to 'nrag.png'; use .gexf, .graphml or .json
    """
    target = Path(path)
    encode = _ENCODERS.get(target.suffix.lower())
    if encode is None:
        *first, last = sorted(_ENCODERS)
        raise ExportError(f"a graph cannot be written to {str(path)!r}; use {', '.join(first)} or {last}")
    replace_file(target, encode(to_export_graph(graph)))


def _graphml(graph: nx.DiGraph[str]) -> bytes:
    file = io.BytesIO()
    nx.write_graphml_xml(graph, file)
    return file.getvalue()


def _gexf(graph: nx.DiGraph[str]) -> bytes:
    file = io.BytesIO()
    nx.write_gexf(graph, file)
    return file.getvalue()


def _node_link(graph: nx.DiGraph[str]) -> bytes:
    links = nx.node_link_data(graph, edges="edges")
    return json.dumps(links, allow_nan=False, ensure_ascii=False).encode() + b"\n"


_ENCODERS: Final[dict[str, Callable[[nx.DiGraph[str]], bytes]]] = {
    ".gexf": _gexf,
    ".graphml": _graphml,
    ".json": _node_link,
}
