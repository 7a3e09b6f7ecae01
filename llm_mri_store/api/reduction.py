"""A reduction as users hold it: maps, graphs, numbers and charts of one scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.analysis import questions
from llm_mri_store.api.table import Table
from llm_mri_store.errors import ReductionError, UnknownName
from llm_mri_store.records import LayerDiagnostics, ReductionSpec
from llm_mri_store.store import catalogue
from llm_mri_store.store.connection import Selection, select
from llm_mri_store.store.files import read_parquet
from llm_mri_store.store.paths import StorePaths

if TYPE_CHECKING:
    import networkx as nx

    from llm_mri_store.api.plot import Plot
    from llm_mri_store.api.scan import Scan

ALL_LABELS = "all"
"""Name of the row over all labels in a table of metrics."""


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

    def graph(
        self, labels: Sequence[str] | str | None = None, *, isolated: bool = False, degenerate: bool = False
    ) -> nx.DiGraph[str]:
        """The NRAG: occupied cells as nodes, samples that go from one to the next as edges.

        Args:
            labels: its labels; all of the scan by default.
            isolated: keep occupied cells without an edge.
            degenerate: keep edges at degenerate layers, as LLM-MRI does.

        Returns:
            A networkx.DiGraph; its attributes stand in ``analysis.graph.build_graph``.
        """
        wanted = [labels] if isinstance(labels, str) else labels
        return questions.nrag(self._selection(), wanted, isolated=isolated, degenerate=degenerate)

    def metrics(self, labels: Sequence[str] | str | None = None) -> Table:
        """Graph metrics, a row for the graph of each label and one for the graph of them all.

        Args:
            labels: which labels; all of the scan by default.

        Returns:
            Column ``graph`` (the label, or ``all``), then the numbers of ``analysis.graph_metrics``.
        """
        from llm_mri_store.analysis.graph_metrics import graph_metrics

        wanted = [labels] if isinstance(labels, str) else list(labels or self.scan().labels)
        rows = [{"graph": label, **graph_metrics(self.graph([label]))} for label in wanted]
        if len(wanted) > 1:
            rows.append({"graph": ALL_LABELS, **graph_metrics(self.graph(wanted))})
        return Table(pa.Table.from_pylist(rows))

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

    def quality(self) -> Table:
        """What to know of each layer before its map is read: the named query ``layer_quality``."""
        return self.ask("layer_quality")

    def information(self) -> Table:
        """How much the cell tells of the label, in bits, per layer: the query ``layer_information``."""
        return self.ask("layer_information")

    def points(self, layer: int) -> npt.NDArray[np.float32]:
        """The points of a layer, float32 (samples, components); NaN where a sample has none.

        Raises:
            UnknownName: the layer is not there.
        """
        entry = self._entry()
        self._refuse_unknown_layer(layer)
        table = read_parquet(entry.points_file(layer), [schema.COORDINATES])
        vectors = table[schema.COORDINATES].combine_chunks()
        flat = vectors.values.to_numpy(zero_copy_only=False).reshape(len(vectors), -1)
        absent = vectors.is_null().to_numpy(zero_copy_only=False)
        return np.where(absent[:, None], np.float32(np.nan), flat)

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
