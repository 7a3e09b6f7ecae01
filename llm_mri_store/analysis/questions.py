"""Questions asked of an opened scan: named queries, their parameters checked against what is there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from llm_mri_store.errors import QueryError, ReductionError, UnknownName
from llm_mri_store.schema import LABEL, LAYER, REDUCTION_VIEWS
from llm_mri_store.store.catalogue import ReductionEntry
from llm_mri_store.store.clock import Clock
from llm_mri_store.store.connection import fetch, fetch_each
from llm_mri_store.store.queries import NamedQuery, ParameterValue, fill_parameters, named_query
from llm_mri_store.store.selection import Opened, Selection

if TYPE_CHECKING:
    import networkx as nx

_GRID_QUERIES: Final = frozenset(
    {
        "cell_terms",
        "cell_texts",
        "edges",
        "edges_all_labels",
        "heatmap",
        "heatmap_all_layers",
        "label_shares",
        "layer_information",
        "layer_points",
        "page_texts",
        "paths",
        "step_information",
    }
)
"""Queries about cells: they need a reduction that has a grid."""

_SCAN_QUERIES: Final = frozenset({"layer_quality", "neighbours", "scan_summary"})
"""Queries that need no reduction."""


def ask(
    selection: Selection,
    name: str,
    parameters: Mapping[str, object] | None = None,
    *,
    clock: Clock | None = None,
) -> pa.Table:
    """Rows of a named query.

    Args:
        selection: what is opened.
        name: name of the query.
        parameters: its parameters; those left out have their defaults.
        clock: stops it; by default it takes as long as it takes.

    Returns:
        The columns that the query's header declares.

    Raises:
        UnknownName: there is no such query, parameter, layer, label, cell or sample.
        InvalidInput: a required parameter is missing or of a wrong type.
        QueryError: no scan or reduction is chosen.
        QueryTimeout: the clock stopped it.
        ReductionError: the reduction has no grid, and the query is about cells.
    """
    query = named_query(name)
    values = _checked_values(selection, query, parameters or {})
    return fetch(selection, query.sql, values, clock=clock)


def ask_each(
    selection: Selection, name: str, parameters: Iterable[Mapping[str, object]]
) -> Iterator[pa.Table]:
    """Rows of a named query for each set of parameters: as ``ask``, but the store is opened once.

    Raises:
        LlmMriError: as ``ask``.
    """
    query = named_query(name)
    return fetch_each(selection, query.sql, [_checked_values(selection, query, one) for one in parameters])


def _checked_values(
    selection: Selection, query: NamedQuery, parameters: Mapping[str, object]
) -> dict[str, ParameterValue]:
    values = fill_parameters(query, parameters)
    if not selection.opened:
        raise QueryError(f"query {query.name!r} needs a scan: {next(iter(selection.absent.values()))}")
    if query.name not in _SCAN_QUERIES and (why := selection.absent.get(REDUCTION_VIEWS[0])):
        raise QueryError(f"query {query.name!r} needs a reduction: {why}")
    _check_values(query, values, selection.opened[0])
    return values


def _check_values(query: NamedQuery, values: Mapping[str, ParameterValue], opened: Opened) -> None:
    """Refuses names that are not there: SQL would answer them with rows of zeros."""
    scan, reduction = opened.scan, opened.reduction
    where = f"scan {scan.name!r}"
    if query.name in _GRID_QUERIES and reduction is not None and reduction.record.spec.grid is None:
        raise ReductionError(
            f"reduction {reduction.name!r} has {reduction.record.spec.n_components} components and no grid, "
            "so there are no cells to ask about; reduce to 2 components"
        )
    asked = values.get("labels")
    labels = [values.get("label"), *(asked if isinstance(asked, list) else [])]
    for label in labels:
        if label is not None and label not in scan.spec.labels:
            raise UnknownName("label", label, known=scan.spec.labels, where=where)
    layer = values.get("layer")
    layers = scan.spec.layers if query.name in _SCAN_QUERIES or reduction is None else reduction.layers
    if layer is not None and layer not in layers:
        raise UnknownName("layer", layer, known=layers, where=where)
    sample = values.get("sample_id")
    if isinstance(sample, int) and not 0 <= sample < scan.spec.n_samples:
        last = scan.spec.n_samples - 1
        raise UnknownName("sample", sample, known=(), where=f"{where}, whose samples are 0-{last}")
    grid = reduction.record.spec.grid if reduction is not None else None
    for axis in ("cell_x", "cell_y"):
        cell = values.get(axis)
        if isinstance(cell, int) and grid is not None and not 0 <= cell < grid:
            raise UnknownName(axis, cell, known=(), where=f"the grid, whose cells are 0-{grid - 1}")


def nrag(
    selection: Selection,
    labels: Sequence[str] | None = None,
    *,
    isolated: bool = False,
    degenerate: bool = False,
) -> nx.DiGraph[str]:
    """The NRAG of some labels of the chosen reduction (see ``analysis.graph.build_graph``).

    Args:
        selection: what is opened.
        labels: its labels; all of the scan by default.
        isolated: keep occupied cells without an edge.
        degenerate: keep edges at degenerate layers, as LLM-MRI does.

    Raises:
        UnknownName: a label is not there.
        QueryError, ReductionError: as ``ask``.
    """
    # A query needs no graph library, which takes longer to load than the query takes to run.
    from llm_mri_store.analysis.graph import build_graph

    names = list(labels) if labels is not None else None
    edges = ask(selection, "edges_all_labels", {"labels": names, "degenerate": degenerate})
    nodes = ask(selection, "label_shares", {"labels": names})
    opened = selection.opened[0]
    reduction = chosen_reduction(opened)
    kept = names if names is not None else list(opened.scan.spec.labels)
    flat = [one.layer for one in reduction.record.layers if one.is_degenerate]
    return build_graph(
        edges,
        nodes,
        labels=kept,
        layers=reduction.layers,
        degenerate_layers=() if degenerate else flat,
        label_totals=_label_totals(nodes, kept),
        grid=reduction.record.spec.grid or 0,
        isolated=isolated,
    )


def correlations(selection: Selection, labels: Sequence[str] | None = None) -> pa.Table:
    """Spearman's rho between the components of neighbouring layers (see ``analysis.correlations``).

    Raises:
        UnknownName: a label is not there.
        QueryError, ReductionError: no scan or reduction is chosen.
    """
    from llm_mri_store.analysis.correlations import correlate_layers
    from llm_mri_store.store.arrays import points_by_layer, sample_column

    opened = _opened(selection)
    reduction = chosen_reduction(opened)
    known = opened.scan.spec.labels
    for label in labels or ():
        if label not in known:
            raise UnknownName("label", label, known=known, where=f"scan {opened.scan.name!r}")
    of_samples = [None if one is None else str(one) for one in sample_column(opened.scan, LABEL)]
    return correlate_layers(points_by_layer(reduction), of_samples, only=labels)


def component_nrag(
    selection: Selection,
    labels: Sequence[str] | None = None,
    *,
    threshold: float | str | None = None,
    fdr: float | None = None,
    isolated: bool = False,
) -> nx.DiGraph[str]:
    """The graph of correlated components (see ``analysis.component_graph.build_component_graph``).

    Raises:
        InvalidInput: the threshold or level cannot be used.
        UnknownName, QueryError, ReductionError: as ``correlations``.
    """
    from llm_mri_store.analysis.component_graph import build_component_graph

    opened = _opened(selection)
    record = chosen_reduction(opened).record
    return build_component_graph(
        correlations(selection, labels),
        labels=list(labels) if labels is not None else list(opened.scan.spec.labels),
        layers=[one.layer for one in record.layers],
        n_components=record.spec.n_components,
        degenerate_layers=[one.layer for one in record.layers if one.is_degenerate],
        threshold=threshold,
        fdr=fdr,
        isolated=isolated,
    )


def _opened(selection: Selection) -> Opened:
    if not selection.opened:
        raise QueryError(f"this needs a scan: {next(iter(selection.absent.values()))}")
    return selection.opened[0]


def chosen_reduction(opened: Opened) -> ReductionEntry:
    """The reduction that is opened.

    Raises:
        ReductionError: none is.
    """
    if opened.reduction is None:
        raise ReductionError(f"no reduction of scan {opened.scan.name!r} is chosen")
    return opened.reduction


def _label_totals(nodes: pa.Table, labels: Sequence[str]) -> dict[str, int]:
    """Samples of each label that have cells, read off its first layer; 0 where it has none."""
    import pyarrow.compute as pc

    first = pc.min(nodes[LAYER])
    rows = nodes.filter(pc.equal(nodes[LAYER], first)) if nodes.num_rows else nodes
    counted = dict(zip(rows[LABEL].to_pylist(), rows["n_label"].to_pylist(), strict=True))
    return {label: counted.get(label, 0) for label in labels}
