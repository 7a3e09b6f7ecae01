"""The graph of a reduction of more than 2 components: components as nodes, correlations as edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa

from llm_mri_store.analysis.correlations import component_name
from llm_mri_store.analysis.edge_selection import edge_mask, selection_words
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.schema import LABEL, LAYER

_Component = tuple[int, int]
"""Layer and component."""


def build_component_graph(
    correlations: pa.Table,
    *,
    labels: Sequence[str],
    layers: Sequence[int],
    n_components: int,
    degenerate_layers: Sequence[int] = (),
    threshold: float | str | None = None,
    fdr: float | None = None,
    isolated: bool = False,
) -> nx.DiGraph[str]:
    """The graph of some labels' correlations between neighbouring layers.

    An edge is there where ``select_edges`` keeps it for one label at least. Its weight is the largest |rho|
    of the labels that keep it. Counts of samples add up over labels; correlations do not: their sum
    would grow with the number of labels and leave [0, 1], so that graphs of few and of many labels, and
    lengths 1 / weight, could not be compared. LLM-MRI gives a shared edge the weight of the label
    composed last. Rows of other labels and layers are left out, and so are edges from or to a
    degenerate layer. Nodes and edges are inserted in the order (layer, component).

    Args:
        correlations: the table of ``correlate_layers``; q is as it stands there, over all its pairs.
        labels: the labels of the graph, in the order of its dictionaries.
        layers: the layers of the reduction.
        n_components: components of the reduction at each layer.
        degenerate_layers: layers whose activations do not vary.
        threshold: least |rho| or percentile of an edge, as ``select_edges`` has it; 0.3 by default.
        fdr: largest q of an edge, likewise; any by default.
        isolated: True keeps every component, False only those that have an edge.

    Returns:
        A directed graph.

        * Graph attributes: ``labels``, ``layers`` (ascending) and ``degenerate_layers`` as tuples,
          ``label_totals`` (samples of these labels that have points), ``n_components``, and
          ``selection``, which says what was kept.
        * Node attributes: ``layer`` and ``component``, 0 .. n_components - 1.
        * Edge attributes: ``weight``, in (0, 1]; ``label_weights``, label -> |rho|, 0.0 where the label does
          not keep the edge; ``label_rho``, ``label_p`` and ``label_q``, the columns rho (signed), p
          and q, also where the label does not keep the edge; no entry where they are NULL.

    Raises:
        UnknownName: the table has rows, and none of a label.
        InvalidInput: the same label and edge come twice, an edge names a component beyond
            ``n_components``, or the threshold or level is out of range (see ``select_edges``).

    >>> from llm_mri_store.analysis.correlations import correlate_layers
    >>> points = np.array([[1.0, 5.0], [2.0, 3.0], [3.0, 4.0], [4.0, 1.0]])
    >>> table = correlate_layers([(0, points[:, :1]), (1, points[:, 1:])], ["a"] * 4)
    >>> graph = build_component_graph(table, labels=["a"], layers=[0, 1], n_components=1)
    >>> graph.edges["0_0", "1_0"]["weight"], graph.edges["0_0", "1_0"]["label_rho"]
    (0.8, {'a': -0.8})
    """
    selection = selection_words(threshold=threshold, fdr=fdr)
    totals = _label_totals(correlations, labels)
    wanted = _rows_of(correlations, labels=labels, layers=set(layers) - set(degenerate_layers))
    kept = edge_mask(wanted, threshold=threshold, fdr=fdr)
    links = _rows_by_link(wanted.append_column("is_kept", pa.array(kept)))
    linked = {component for link in links for component in link}
    if beyond := [component for component in linked if component[1] >= n_components]:
        raise InvalidInput(
            f"an edge names the component {component_name(*min(beyond))}, but each layer has {n_components}; "
            "give the correlations and the number of components of the same reduction"
        )
    graph: nx.DiGraph[str] = nx.DiGraph(
        labels=tuple(labels),
        layers=tuple(sorted(layers)),
        degenerate_layers=tuple(sorted(set(degenerate_layers) & set(layers))),
        label_totals=totals,
        n_components=n_components,
        selection=selection,
    )
    every = {(layer, component) for layer in layers for component in range(n_components)}
    for layer, component in sorted(every if isolated else linked):
        graph.add_node(component_name(layer, component), layer=layer, component=component)
    for source, target in sorted(links):
        rows = links[source, target]
        weights = {
            label: abs(rows[label]["rho"]) if label in rows and rows[label]["is_kept"] else 0.0
            for label in labels
        }
        graph.add_edge(
            component_name(*source),
            component_name(*target),
            weight=max(weights.values()),
            label_weights=weights,
            **{
                f"label_{name}": {
                    label: rows[label][name]
                    for label in labels
                    if label in rows and rows[label][name] is not None
                }
                for name in ("rho", "p", "q")
            },
        )
    return graph


def _label_totals(correlations: pa.Table, labels: Sequence[str]) -> dict[str, int]:
    """Samples of each label; 0 where there is no pair of layers to read them from."""
    counted = correlations.group_by(LABEL).aggregate([("n", "max")])
    totals = dict(zip(counted[LABEL].to_pylist(), counted["n_max"].to_pylist(), strict=True))
    for label in labels:
        if totals and label not in totals:
            raise UnknownName("label", label, known=totals, where="the table of correlations")
    return {label: totals.get(label, 0) for label in labels}


def _rows_of(correlations: pa.Table, *, labels: Sequence[str], layers: set[int]) -> pa.Table:
    is_wanted = np.isin(correlations[LABEL].to_numpy(), list(labels))
    for end in (LAYER, "next_layer"):
        is_wanted &= np.isin(correlations[end].to_numpy(), list(layers))
    return correlations.filter(pa.array(is_wanted, pa.bool_()))


def _rows_by_link(
    correlations: pa.Table,
) -> dict[tuple[_Component, _Component], dict[str, dict[str, Any]]]:
    """Rows of all labels of the pairs that one label keeps at least."""
    pairs = ["source", "target"]
    kept = correlations.filter(correlations["is_kept"]).select(pairs).group_by(pairs).aggregate([])
    links: dict[tuple[_Component, _Component], dict[str, dict[str, Any]]] = {}
    for row in correlations.join(kept, keys=pairs, join_type="left semi").to_pylist():
        link = ((row[LAYER], row["from_component"]), (row["next_layer"], row["to_component"]))
        rows = links.setdefault(link, {})
        if row[LABEL] in rows:
            raise InvalidInput(
                f"the edge {row['source']} -> {row['target']} has two rows of the label {row[LABEL]!r}; give "
                "the correlations of one reduction, one row per label and edge"
            )
        rows[row[LABEL]] = row
    return links
