"""Charts of a reduction, with titles that say what is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import networkx as nx

from llm_mri_store import charts
from llm_mri_store.api import plot_maps, plot_titles
from llm_mri_store.errors import InvalidInput

if TYPE_CHECKING:
    import altair as alt

    from llm_mri_store.api.agreement import AgreementResult
    from llm_mri_store.api.inference_results import ComparisonResult, ContrastResult, InformationResult
    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.api.table import Table

Value = Literal["n", "share"]

_VALUE_WORDS = {"n": "samples per cell", "share": "share of samples per cell"}
_TEXTS_PER_NODE = 2


@dataclass(frozen=True, slots=True)
class Plot:
    """Charts of one reduction; each returns an altair chart (``mri.save_chart`` writes it)."""

    reduction: Reduction

    def heatmap(self, layer: int, label: str | None = None, *, value: Value = "n") -> alt.TopLevelMixin:
        """Heatmap of one layer, of one label or of all samples.

        Args:
            layer: the layer.
            label: the label; all samples by default.
            value: colour by samples (n) or by share of the samples counted (share).

        Raises:
            UnknownName: the layer or label is not there.
            ReductionError: there is no grid.
        """
        cells = self.reduction.heatmap(layer, label)
        n = sum(cells["n"])
        who = f"label {label!r}" if label is not None else "all labels"
        texts = self.reduction.ask("cell_texts", layer=layer, label=label, limit=3)
        notes = [*self.provenance(), *self.layer_notes(layer)]
        return charts.heatmap_chart(
            cells.arrow,
            value=value,
            title=f"Layer {layer}, {who}: {_VALUE_WORDS[value]} (n = {n:,})",
            subtitle=notes,
            examples=texts.arrow.select(["layer", "cell_x", "cell_y", "text"]),
        )

    def heatmaps(
        self, labels: Sequence[str] | str | None = None, *, value: Value = "share"
    ) -> alt.TopLevelMixin:
        """Heatmaps of all layers at once, a row per label, on one colour scale.

        Args:
            labels: its labels; all of the scan by default.
            value: colour by share of the label's samples (share) or by samples (n).

        Raises:
            UnknownName: a label is not there.
            ReductionError: there is no grid.
        """
        wanted = [labels] if isinstance(labels, str) else labels
        cells = self.reduction.heatmaps(wanted)
        shown = sorted(set(cells["label"]))
        n = sum(cells["n"]) // max(len(self.reduction.layers), 1)
        who = plot_titles.who(shown)
        return charts.heatmap_layers_chart(
            cells.arrow,
            value=value,
            title=f"All layers, {who}: {_VALUE_WORDS[value]} (n = {n:,})",
            subtitle=self.provenance(),
            degenerate_layers=self.reduction.degenerate_layers,
        )

    # Charts of regions and layers: methods that stand in api/plot_maps.py.
    points = plot_maps.points
    flow = plot_maps.flow
    regions = plot_maps.regions
    metrics = plot_maps.metrics
    quality = plot_maps.quality
    map_quality = plot_maps.map_quality

    def graph(
        self,
        labels: Sequence[str] | str | None = None,
        *,
        isolated: bool = False,
        threshold: float | str | None = None,
        fdr: float | None = None,
        fixed: bool = False,
        min_weight_percentile: float = 0.0,
    ) -> alt.TopLevelMixin:
        """Drawing of the NRAG, layer 0 on top.

        Args:
            labels: its labels; all of the scan by default.
            isolated: draw nodes without an edge.
            threshold: of a graph of components, as ``Reduction.graph``.
            fdr: likewise.
            fixed: place nodes as in the graph of all labels, so that drawings can be compared.
            min_weight_percentile: leave out lighter edges than this percentile of the weights.

        Raises:
            UnknownName: a label is not there.
            InvalidInput: nothing to draw, or a threshold that cannot be used.
        """
        graph = self.reduction.graph(labels, isolated=isolated, threshold=threshold, fdr=fdr)
        return self.drawing(graph, fixed=fixed, min_weight_percentile=min_weight_percentile)

    def drawing(
        self, graph: nx.DiGraph[str], *, fixed: bool = False, min_weight_percentile: float = 0.0
    ) -> alt.TopLevelMixin:
        """Drawing of a graph that ``Reduction.graph`` gave, as ``graph`` makes it."""
        names = graph.graph["labels"]
        n = sum(graph.graph["label_totals"].values())
        who = plot_titles.who(names)
        notes = self.provenance()
        if selection := graph.graph.get("selection"):
            notes.append(f"edges join components of neighbouring layers with {selection} (Spearman)")
        if flat := self.reduction.degenerate_layers:
            layers = ", ".join(str(layer) for layer in flat)
            notes.append(f"degenerate layer {layers}: its activations do not vary between texts, so no edges")
        return charts.nrag_chart(
            self._with_texts(graph),
            title=f"Neural region activation graph, {who} (n = {n:,})",
            subtitle=notes,
            positions=self._fixed_positions() if fixed else None,
            min_weight_percentile=min_weight_percentile,
        )

    def probe(
        self, scores: Table | None = None, *, metric: str = "balanced_accuracy", target: str = "label"
    ) -> alt.TopLevelMixin:
        """Score of linear probes by layer, with the baselines as bands.

        Args:
            scores: of ``Reduction.probe``; computed with its defaults if not given.
            metric: the one to draw.
            target: the column that was read, for the title.

        Raises:
            UnknownName: the scores have no such metric.
        """
        shown = scores if scores is not None else self.reduction.probe(target=target)
        n = max(shown["n_samples"], default=0)
        return charts.probe_chart(
            shown.arrow,
            metric=metric,
            title=f"Reading the {target} layer by layer: {metric.replace('_', ' ')} (n = {n:,})",
            subtitle=self.provenance(),
        )

    def contrast(self, found: ContrastResult, *, alpha: float = 0.05) -> alt.TopLevelMixin:
        """Map of a contrast, layer by layer: colours of the difference, lines around what passes.

        Args:
            found: of ``Reduction.contrast``; with strata its differences within them are drawn.
            alpha: level of the family-wise p.

        Raises:
            InvalidInput: the level cannot be used.
        """
        facts, layers = found.facts, found.layers.rows()
        flat = [row["layer"] for row in layers if row["is_degenerate"]]
        also = [row["layer"] for row in layers if row["also_in_twin"]]
        notes = [
            *Plot(found.reduction).provenance(),
            *plot_titles.design_notes(facts),
            *plot_titles.degenerate_note(flat),
            *plot_titles.twin_note(facts, also),
        ]
        return charts.contrast_chart(
            found.cells.arrow,
            name_a=found.a,
            name_b=found.b,
            title=plot_titles.contrast_title(facts),
            subtitle=notes,
            value="adjusted_difference" if facts["strata"] else "difference",
            alpha=alpha,
            degenerate_layers=flat,
            also_in_twin=also,
        )

    def information(
        self, found: InformationResult | None = None, *, alpha: float = 0.05
    ) -> alt.TopLevelMixin:
        """Bits that the cell tells of the label, layer by layer and step by step, against chance.

        Args:
            found: of ``Reduction.information``; of all labels if not given. A twin in it is drawn beside.
            alpha: level of the family-wise p.

        Raises:
            InvalidInput: the level cannot be used, or as ``Reduction.information``.
        """
        shown = found if found is not None else self.reduction.information()
        return charts.information_chart(
            shown.layers.arrow,
            shown.steps.arrow,
            label_entropy=shown.layers["label_entropy"][0],
            title=plot_titles.information_title(shown.facts),
            subtitle=[*Plot(shown.reduction).provenance(), *plot_titles.design_notes(shown.facts)],
            alpha=alpha,
        )

    def comparison(self, found: ComparisonResult, *, alpha: float = 0.05) -> alt.TopLevelMixin:
        """Distances between the graphs of two sides against chance, and their metrics side by side.

        Args:
            found: of ``Reduction.compare``.
            alpha: level of the family-wise p.

        Raises:
            InvalidInput: the level cannot be used.
        """
        return charts.comparison_chart(
            found.distances.arrow,
            found.metrics.arrow,
            name_a=found.a,
            name_b=found.b,
            title=plot_titles.comparison_title(found.facts),
            subtitle=[*Plot(found.reduction).provenance(), *plot_titles.design_notes(found.facts)],
            alpha=alpha,
        )

    def agreement(self, found: AgreementResult, *, alpha: float = 0.05) -> alt.TopLevelMixin:
        """How far each layer of one reduction agrees with each of another: cells, points, activations.

        Args:
            found: of ``Reduction.compare_with``.
            alpha: level of the family-wise p.

        Raises:
            InvalidInput: the level cannot be used, or the reductions are of other texts.
        """
        if found.n_samples is None:
            raise InvalidInput(
                f"layers of {found.a} and {found.b} cannot be matched, as their samples differ, so there is "
                "no agreement to draw; take its metrics as rows"
            )
        lines = [
            f"{side}: {line}"
            for side, one in (("A", found.reduction), ("B", found.other))
            for line in Plot(one).provenance()
        ]
        return charts.agreement_chart(
            found.layers.arrow,
            name_a=found.a,
            name_b=found.b,
            title=plot_titles.agreement_title(found),
            subtitle=lines,
            alpha=alpha,
        )

    def save_graph(self, graph: nx.DiGraph[str], path: str | Path) -> None:
        """Writes a graph for Gephi (.gexf, .graphml) or as rows, with the places and colours of its drawing.

        Raises:
            ExportError: the ending is of no graph file.
            WriteFailed: the operating system refused the write.
        """
        from llm_mri_store.analysis.graph_files import write_graph

        positions = charts.layered_positions(graph)
        write_graph(graph, path, positions=positions, colours=charts.node_colours(graph, positions=positions))

    def _fixed_positions(self) -> Mapping[str, tuple[float, float]]:
        return charts.layered_positions(self.reduction.graph(isolated=True))

    def _with_texts(self, graph: nx.DiGraph[str]) -> nx.DiGraph[str]:
        """The graph with a few texts on each node, for its tooltips; a component has none of its own."""
        shown = graph.copy()
        if self.reduction.spec.grid is None:
            return shown
        labels = set(graph.graph["labels"])
        for layer in sorted({attributes["layer"] for _, attributes in graph.nodes(data=True)}):
            for row in self.reduction.ask("cell_texts", layer=layer, limit=20).rows():
                node = f"{layer}_{row['cell_x']}_{row['cell_y']}"
                if node in shown and row["label"] in labels:
                    texts = shown.nodes[node].setdefault("texts", [])
                    if len(texts) < _TEXTS_PER_NODE:
                        texts.append(row["text"])
        return shown

    def provenance(self) -> list[str]:
        """What was scanned and reduced, and how: lines for a subtitle."""
        spec = self.reduction.spec
        scan = self.reduction.scan()
        grid = f", {spec.grid} x {spec.grid} cells of equal {spec.bins}" if spec.grid else ""
        if spec.bins == "quantile" and spec.grid:
            grid = f", {spec.grid} x {spec.grid} cells between quantiles"
        how = f"{scan.spec.site} stream, {scan.spec.pooling} pooling"
        if scan.spec.pooling == "imported":
            how = "imported activations"
        return [
            f"{scan.spec.model} over {scan.spec.corpus}, {how}; "
            f"{spec.method.upper()}, {spec.n_components} components{grid}"
        ]

    def layer_notes(self, layer: int) -> list[str]:
        """What to know of a layer's map: lines for a subtitle."""
        found = next(one for one in self.reduction.diagnostics if one.layer == layer)
        notes = []
        if found.is_degenerate:
            notes.append("degenerate layer: activations do not vary between texts, so all lie in one cell")
        elif found.explained_variance_ratio:
            kept = sum(found.explained_variance_ratio)
            notes.append(f"the components keep {kept:.0%} of this layer's variance")
        if found.n_excluded:
            notes.append(f"{found.n_excluded:,} samples without an activation are left out")
        if found.n_clipped:
            notes.append(f"{found.n_clipped:,} samples outside the fitted range lie in the outermost cells")
        return notes
