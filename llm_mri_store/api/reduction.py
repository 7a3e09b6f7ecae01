"""A reduction as users hold it: maps, graphs, numbers and charts of one scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.analysis import questions
from llm_mri_store.api import agreement, inference, probing, report
from llm_mri_store.api.table import Table
from llm_mri_store.errors import InvalidInput, ReductionError, UnknownName
from llm_mri_store.records.jobs import Progress, ProgressCallback, no_progress
from llm_mri_store.records.reductions import LayerDiagnostics, ReductionSpec
from llm_mri_store.store import catalogue
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.selection import Selection, select

if TYPE_CHECKING:
    import networkx as nx

    from llm_mri_store.analysis.kept_results import Place
    from llm_mri_store.api.plot import Plot
    from llm_mri_store.api.scan import Scan


ALL_LABELS = "all"
"""Name of the row over all labels in a table of metrics."""


def _as_list(labels: Sequence[str] | str | None) -> list[str] | None:
    if labels is None:
        return None
    return [labels] if isinstance(labels, str) else list(labels)


class Reduction:
    """Points and cells of one scan's samples, layer by layer."""

    def __init__(self, store: StorePaths, scan: str, name: str) -> None:
        self._store = store
        self.scan_name = scan
        self.name = name
        self._entry()

    def __repr__(self) -> str:
        spec = self.spec
        grid = f", {spec.grid} x {spec.grid} cells" if spec.grid else ""
        return f"Reduction({self.scan_name}/{self.name}: {spec.method}, {spec.n_components} components{grid})"

    def _entry(self) -> catalogue.ReductionEntry:
        return catalogue.find_reduction(catalogue.find_scan(self._store, self.scan_name), self.name)

    def _place(self) -> Place:
        from llm_mri_store.analysis.kept_results import Place

        scan = catalogue.find_scan(self._store, self.scan_name)
        reduction = catalogue.find_reduction(scan, self.name)
        return Place(store=self._store, scan=scan, reduction=reduction)

    def _selection(self) -> Selection:
        return select(self._store, [self.scan_name], self.name)

    @property
    def spec(self) -> ReductionSpec:
        """Every choice that decides the points and cells."""
        return self._entry().record.spec

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers reduced."""
        return self._entry().layers

    @property
    def diagnostics(self) -> tuple[LayerDiagnostics, ...]:
        """What was found in each layer: degenerate or not, explained variance, clipped points."""
        return self._entry().record.layers

    @property
    def degenerate_layers(self) -> tuple[int, ...]:
        """Layers whose activations do not vary beyond rounding: one cell, no edges."""
        return tuple(one.layer for one in self.diagnostics if one.is_degenerate)

    def ask(self, query: str, **parameters: object) -> Table:
        """Rows of a named query over this reduction, such as ``ask("paths", label="true")``.

        Raises:
            UnknownName: there is no such query, parameter, layer or label.
            InvalidInput: a parameter is missing or of a wrong type.
        """
        return Table(questions.ask(self._selection(), query, parameters))

    def heatmap(self, layer: int, label: str | None = None) -> Table:
        """Samples per cell of one layer: layer, label, cell_x, cell_y, n, share; every cell a row.

        Raises:
            UnknownName: the layer or label is not there.
            ReductionError: there is no grid.
        """
        return self.ask("heatmap", layer=layer, label=label)

    def heatmaps(self, labels: Sequence[str] | None = None) -> Table:
        """The heatmaps of every layer and label, in the columns of ``heatmap``."""
        return self.ask("heatmap_all_layers", labels=None if labels is None else list(labels))

    def edges(self, label: str | None = None, *, layer: int | None = None, degenerate: bool = False) -> Table:
        """Co-activation edges of one label (all samples pooled by default), with weight and lift.

        Args:
            label: the label.
            layer: only edges that leave this layer.
            degenerate: keep edges at degenerate layers.
        """
        return self.ask("edges", label=label, layer=layer, degenerate=degenerate)

    def edge_rows(
        self,
        labels: Sequence[str] | str | None = None,
        *,
        threshold: float | str | None = None,
        fdr: float | None = None,
    ) -> Table:
        """The edges of ``graph`` as rows, one per label and edge.

        With a grid those of the query ``edges_all_labels``, without one the rows of ``correlations`` that
        pass the threshold or FDR level.
        """
        wanted = _as_list(labels)
        if self.spec.grid is not None:
            self._refuse_threshold(threshold, fdr)
            return self.ask("edges_all_labels", labels=wanted)
        from llm_mri_store.analysis.edge_selection import select_edges

        return Table(select_edges(self.correlations(wanted).arrow, threshold=threshold, fdr=fdr))

    def correlations(self, labels: Sequence[str] | str | None = None) -> Table:
        """Spearman's rho between components of neighbouring layers, with p and q, a row per label and pair.

        Args:
            labels: which labels; each of the scan by default.

        Returns:
            label, layer, next_layer, source, target, from_component, to_component, n, rho, p, q; what they
            mean stands in ``analysis.correlations.correlate_layers``.
        """
        return Table(questions.correlations(self._selection(), _as_list(labels)))

    def graph(
        self,
        labels: Sequence[str] | str | None = None,
        *,
        isolated: bool = False,
        degenerate: bool = False,
        threshold: float | str | None = None,
        fdr: float | None = None,
    ) -> nx.DiGraph[str]:
        """The NRAG.

        With a grid, occupied cells are nodes and edges count the samples that go from one to the next.
        Without one, components are nodes and edges join those whose points correlate.

        Args:
            labels: its labels; all of the scan by default.
            isolated: keep nodes without an edge.
            degenerate: keep edges at degenerate layers, as LLM-MRI does (with a grid).
            threshold: without a grid, least |rho| (0.3 by default), or a percentile such as ``"95%"``.
            fdr: without a grid, largest q.

        Returns:
            A networkx.DiGraph; its attributes stand in ``analysis.graph.build_graph`` and
            ``analysis.component_graph.build_component_graph``.

        Raises:
            UnknownName: a label is not there.
            InvalidInput: a threshold for a graph that counts, or one that cannot be used.
        """
        wanted = _as_list(labels)
        if self.spec.grid is None:
            return questions.component_nrag(
                self._selection(), wanted, threshold=threshold, fdr=fdr, isolated=isolated
            )
        self._refuse_threshold(threshold, fdr)
        return questions.nrag(self._selection(), wanted, isolated=isolated, degenerate=degenerate)

    def _refuse_threshold(self, threshold: object, fdr: object) -> None:
        if threshold is not None or fdr is not None:
            raise InvalidInput(
                f"reduction {self.name!r} has a grid, so its edges count samples and have no rho; leave "
                "threshold and fdr out, or reduce to more than 2 components"
            )

    def metrics(
        self, labels: Sequence[str] | str | None = None, *, progress: ProgressCallback = no_progress
    ) -> Table:
        """Graph metrics, a row for the graph of each label and one for the graph of them all.

        Args:
            labels: which labels; all of the scan by default.
            progress: told before each graph, and at the end.

        Returns:
            Column ``graph`` (the label, or ``all``), then the numbers of ``analysis.graph_metrics``.
        """
        from llm_mri_store.analysis.graph_metrics import graph_metrics

        wanted = _as_list(labels) or list(self.scan().labels)
        named = [(label, [label]) for label in wanted]
        if len(wanted) > 1:
            named.append((ALL_LABELS, wanted))
        rows = []
        for done, (name, of_labels) in enumerate(named):
            progress(Progress(job="metrics", done=done, total=len(named), note=name))
            rows.append({"graph": name, **graph_metrics(self.graph(of_labels))})
        progress(Progress(job="metrics", done=len(named), total=len(named)))
        return Table(pa.Table.from_pylist(rows))

    def node_metrics(self, labels: Sequence[str] | str | None = None, *, seed: int = 0) -> Table:
        """Numbers of each node of the graph of some labels: degrees, strengths, centralities, community.

        Args:
            labels: its labels; all of the scan by default.
            seed: of the communities.
        """
        from llm_mri_store.analysis.node_metrics import node_metrics

        return Table(node_metrics(self.graph(labels), seed=seed))

    # A page: a method that stands in api/report.py.
    report = report.report

    # Probes: methods that stand in api/probing.py.
    probe = probing.probe
    probe_folds = probing.probe_folds

    # Tests: methods that stand in api/inference.py and api/agreement.py.
    contrast = inference.contrast
    contrast_labels = inference.contrast_labels
    edge_tests = inference.edge_tests
    compare = inference.compare
    information = inference.information
    compare_with = agreement.compare_with
    find_twin = inference.find_twin
    twin_names = inference.twin_names
    twin_commands = inference.twin_commands

    def scan(self) -> Scan:
        """The scan it reduces."""
        from llm_mri_store.api.scan import Scan

        return Scan(self._store, self.scan_name)

    def grid_text(self, layer: int, label: str | None = None) -> str:
        """One layer's counts as text, laid out as the map: component 1 to the right, component 2 upward."""
        cells = self.heatmap(layer, label).rows()
        counts = {(row["cell_x"], row["cell_y"]): row["n"] for row in cells}
        n_cells = 1 + max(x for x, _ in counts)
        width = max(3, 1 + max(len(str(n)) for n in counts.values()))
        who = "all labels" if label is None else f"label {label!r}"
        lines = [f"layer {layer}, {who}, n = {sum(counts.values()):,}"]
        for y in reversed(range(n_cells)):
            row = "".join(f"{counts[x, y] or '.':>{width}}" for x in range(n_cells))
            lines.append(f"{y:>4} |{row}")
        lines.append("     +" + "-" * (width * n_cells))
        lines.append("      " + "".join(f"{x:>{width}}" for x in range(n_cells)))
        return "\n".join(lines)

    def layer_table(self) -> Table:
        """The diagnostics as rows: what each layer's reduction found."""
        rows = [
            {
                "layer": one.layer,
                "is_degenerate": one.is_degenerate,
                "n_fitted": one.n_fitted,
                "n_excluded": one.n_excluded,
                "n_clipped": one.n_clipped,
                "relative_spread": one.relative_spread,
                "explained": sum(one.explained_variance_ratio) if one.explained_variance_ratio else None,
            }
            for one in self.diagnostics
        ]
        return Table(pa.Table.from_pylist(rows))

    def map_quality(self) -> Table:
        """What to know of each layer before its map is read: the named query ``map_quality``."""
        return self.ask("map_quality")

    def points(self, layer: int) -> npt.NDArray[np.float32]:
        """The points of a layer, float32 (samples, components); NaN where a sample has none.

        Raises:
            UnknownName: the layer is not there.
        """
        from llm_mri_store.store.arrays import stored_points

        return stored_points(self._entry(), layer)

    def transform(self, activations: npt.NDArray[np.float32], *, layer: int) -> npt.NDArray[np.float32]:
        """Points of new samples, float32 (samples, components), from their activations at a layer.

        Args:
            activations: (samples, hidden), pooled as the scan's.
            layer: the layer they were read at.

        Raises:
            ReductionError: it is a UMAP reduction, or the activations are of another width.
            UnknownName: the layer is not there.
        """
        from llm_mri_store.pipeline.reducer_file import read_reducers

        self._refuse_unknown_layer(layer)
        reducers = read_reducers(self._entry().folder / schema.REDUCER_FILE)
        return reducers[layer].transform(np.asarray(activations, dtype=np.float32))

    def cells(self, points: npt.NDArray[np.float32], *, layer: int) -> npt.NDArray[np.int16]:
        """Cells of points at a layer, int16 (samples, 2); those outside go to the outermost cells.

        Raises:
            ReductionError: there is no grid.
            UnknownName: the layer is not there.
        """
        from llm_mri_store.reduction.grid import assign_cells

        self._refuse_unknown_layer(layer)
        found = next(one for one in self.diagnostics if one.layer == layer)
        if not found.edges_x:
            raise ReductionError(f"reduction {self.name!r} has no grid; reduce to 2 components")
        columns = [
            assign_cells(points[:, axis], np.asarray(edges))[0]
            for axis, edges in enumerate((found.edges_x, found.edges_y))
        ]
        return np.stack(columns, axis=1)

    def _refuse_unknown_layer(self, layer: int) -> None:
        if layer not in self.layers:
            where = f"reduction {self.scan_name}/{self.name}"
            raise UnknownName("layer", layer, known=self.layers, where=where)

    @property
    def plot(self) -> Plot:
        """Charts of this reduction: ``plot.heatmap``, ``plot.heatmaps``, ``plot.graph``."""
        from llm_mri_store.api.plot import Plot

        return Plot(self)
