"""The Neural Region Activation Graph (NRAG), built from rows of cells and edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import networkx as nx
import pyarrow as pa

from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.schema import CELL_X, CELL_Y, LABEL, LAYER

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
        InvalidInput: the graph does not say; it was not built by this package.

    >>> layers_of(nx.DiGraph(layers=(0, 1, 2)))
    (0, 1, 2)
    """
    layers = graph.graph.get("layers")
    if layers is None:
        raise InvalidInput("the graph has no attribute 'layers'; build it with reduction.graph()")
    return tuple(layers)
