"""A graph as a file: GraphML, GEXF, JSON, or a table of its edges."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import networkx as nx
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from llm_mri_store.errors import ExportError
from llm_mri_store.schema import CELL_X, CELL_Y, LABEL, LAYER
from llm_mri_store.store.files import replace_file

_GEPHI_SCALE: Final = 1000.0
"""Gephi's units to one of a drawing; a node of Gephi is 10 units wide."""

_COLOUR: Final = re.compile("#[0-9a-fA-F]{6}")


def to_export_graph(
    graph: nx.DiGraph[str],
    *,
    positions: Mapping[str, tuple[float, float]] | None = None,
    colours: Mapping[str, str] | None = None,
) -> nx.DiGraph[str]:
    """A copy whose attributes are all numbers and text, as graph files need them.

    The entry of a label becomes an attribute of its own: ``label_weights`` becomes
    ``weight_<name>``, ``label_expected`` ``expected_<name>``, ``label_rho`` ``rho_<name>``, where
    ``<name>`` is the label with every run of other characters than letters, digits and underscores
    replaced by one underscore, and a number where two labels would share it (names that differ in case
    alone count as shared, as Gephi ignores case). The graph attribute ``label_names`` maps label to name.
    ``cell`` becomes ``cell_x`` and ``cell_y``. Lists and dictionaries of the graph become JSON text. A
    value that is None, NaN or infinite is left out.

    Args:
        graph: any graph of this package.
        positions: node -> (x, y), which become the attributes ``x`` and ``y``.
        colours: node -> ``"#rrggbb"``, which becomes the attribute ``colour``; of some nodes or all.

    Raises:
        ExportError: a node has no position, or a colour is not spelled so.

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
        exported.add_node(
            node, **_flattened(node_attributes, names), **_drawn(node, positions=positions, colours=colours)
        )
    for source, target, edge_attributes in graph.edges(data=True):
        exported.add_edge(source, target, **_flattened(edge_attributes, names))
    return exported


def _drawn(
    node: str, *, positions: Mapping[str, tuple[float, float]] | None, colours: Mapping[str, str] | None
) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    if positions is not None:
        if node not in positions:
            raise ExportError(f"node {node!r} has no position; give one to every node, or to none")
        drawn["x"], drawn["y"] = (float(place) for place in positions[node])
    if colours is not None and node in colours:
        if not _COLOUR.fullmatch(colours[node]):
            raise ExportError(f"the colour of node {node!r} is {colours[node]!r}; spell it as '#1f77b4'")
        drawn["colour"] = colours[node]
    return drawn


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


def edge_table(graph: nx.DiGraph[str]) -> pa.Table:
    """The edges of a graph as a table, one row per edge and label that has weight on it.

    Returns:
        source, target, label string; layer and next_layer int64; weight float64, the label's; then what
        the graph knows of each label's edge: expected and lift, or rho, p and q, float64, NULL where
        undefined. An edge without weights of labels has one row, whose label is NULL.

    >>> graph = nx.DiGraph()
    >>> graph.add_nodes_from([("0_0", {"layer": 0}), ("1_0", {"layer": 1})])
    >>> graph.add_edge("0_0", "1_0", weight=0.8, label_weights={"a": 0.8, "b": 0.0}, label_rho={"a": -0.8})
    >>> edge_table(graph).select(["label", "weight", "rho"]).to_pylist()
    [{'label': 'a', 'weight': 0.8, 'rho': -0.8}]
    """
    measures = {
        name: name.removeprefix("label_")
        for _, _, attributes in graph.edges(data=True)
        for name in attributes
        if name.startswith("label_") and name != "label_weights"
    }
    rows = []
    for source, target, attributes in graph.edges(data=True):
        weights = attributes.get("label_weights", {None: attributes.get("weight", 1.0)})
        for label, weight in weights.items():
            if weight:
                row = {"source": source, "target": target, LABEL: label, "weight": weight}
                row |= {LAYER: graph.nodes[source][LAYER], "next_layer": graph.nodes[target][LAYER]}
                row |= {column: attributes.get(name, {}).get(label) for name, column in measures.items()}
                rows.append(row)
    names = [("source", pa.string()), ("target", pa.string()), (LABEL, pa.string())]
    layers = [(LAYER, pa.int64()), ("next_layer", pa.int64())]
    numbers = [(name, pa.float64()) for name in ("weight", *measures.values())]
    return pa.Table.from_pylist(rows, schema=pa.schema([*names, *layers, *numbers]))


def write_graph(
    graph: nx.DiGraph[str],
    path: str | Path,
    *,
    positions: Mapping[str, tuple[float, float]] | None = None,
    colours: Mapping[str, str] | None = None,
) -> None:
    """Writes the graph to a file; its ending says how.

    ``.graphml`` and ``.gexf`` open in Gephi, ``.graphml`` in Cytoscape and igraph too; ``.json`` is
    networkx' node-link form. All hold the attributes of ``to_export_graph`` but for GEXF, which has no
    place for those of the graph itself. ``.parquet`` and ``.csv`` hold the rows of ``edge_table``. The file
    appears whole or not at all; an existing one is replaced.

    Args:
        graph: any graph of this package.
        path: the file to write.
        positions: node -> (x, y), y upward, as ``charts.graph_layout.layered_positions`` gives them; Gephi
            opens the graph laid out so, 1 becoming 1000 of its units. Tables do not hold them.
        colours: node -> ``"#rrggbb"``, likewise.

    Raises:
        ExportError: the ending is none of these, a node has no position, or a colour is misspelled.
        WriteFailed: the operating system refused the write.

    >>> write_graph(nx.DiGraph(), "nrag.png")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    llm_mri_store.errors.ExportError: a graph cannot be written to 'nrag.png'; use .csv, .gexf, .graphml, ...
    """
    target = Path(path)
    ending = target.suffix.lower()
    if ending in _GRAPH_ENCODERS:
        exported = to_export_graph(graph, positions=positions, colours=colours)
        content = _GRAPH_ENCODERS[ending](exported)
    elif ending in _TABLE_ENCODERS:
        content = _TABLE_ENCODERS[ending](edge_table(graph))
    else:
        *first, last = sorted({*_GRAPH_ENCODERS, *_TABLE_ENCODERS})
        raise ExportError(f"a graph cannot be written to {str(path)!r}; use {', '.join(first)} or {last}")
    replace_file(target, content)


def _graphml(graph: nx.DiGraph[str]) -> bytes:
    # Gephi reads the place and the three parts of the colour from attributes of these names.
    for _, attributes in graph.nodes(data=True):
        if "x" in attributes:
            attributes["x"], attributes["y"] = _gephi_place(attributes)
        if colour := attributes.pop("colour", None):
            attributes |= _colour_parts(colour)
    file = io.BytesIO()
    nx.write_graphml_xml(graph, file)
    return file.getvalue()


def _gexf(graph: nx.DiGraph[str]) -> bytes:
    for _, attributes in graph.nodes(data=True):
        viz: dict[str, Any] = {}
        if "x" in attributes:
            x, y = _gephi_place(attributes)
            viz["position"] = {"x": x, "y": y, "z": 0.0}
            del attributes["x"], attributes["y"]
        if colour := attributes.pop("colour", None):
            viz["color"] = {**_colour_parts(colour), "a": 1.0}
        if viz:
            attributes["viz"] = viz
    file = io.BytesIO()
    nx.write_gexf(graph, file)
    return file.getvalue()


def _gephi_place(attributes: Mapping[str, Any]) -> tuple[float, float]:
    return attributes["x"] * _GEPHI_SCALE, attributes["y"] * _GEPHI_SCALE


def _colour_parts(colour: str) -> dict[str, int]:
    return {part: int(colour[at : at + 2], 16) for part, at in (("r", 1), ("g", 3), ("b", 5))}


def _node_link(graph: nx.DiGraph[str]) -> bytes:
    links = nx.node_link_data(graph, edges="edges")
    return json.dumps(links, allow_nan=False, ensure_ascii=False).encode() + b"\n"


def _parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()


def _csv(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pa.csv.write_csv(table, file)
    return file.getvalue()


_GRAPH_ENCODERS: Final[dict[str, Callable[[nx.DiGraph[str]], bytes]]] = {
    ".gexf": _gexf,
    ".graphml": _graphml,
    ".json": _node_link,
}

_TABLE_ENCODERS: Final[dict[str, Callable[[pa.Table], bytes]]] = {".csv": _csv, ".parquet": _parquet}
