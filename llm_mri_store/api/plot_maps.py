"""Charts of regions and of layers: methods of ``Plot``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_mri_store import charts
from llm_mri_store.api import plot_tables, plot_titles
from llm_mri_store.records.jobs import ProgressCallback, no_progress
from llm_mri_store.records.words import span_words

if TYPE_CHECKING:
    import altair as alt

    from llm_mri_store.api.plot import Plot


def points(
    self: Plot,
    layers: int | Sequence[int] | None = None,
    *,
    n_points: int = 3000,
    seed: int = 0,
    columns: int = 3,
) -> alt.TopLevelMixin:
    """Where samples lie in the projection of a layer or of several, over the density of all of them.

    Args:
        self: charts of the reduction.
        layers: the layer, or several; all by default.
        n_points: points drawn in all panels together, at most; the same samples in each.
        seed: of which samples.
        columns: panels to a line.

    Raises:
        UnknownName: a layer is not there.
        ReductionError: there is no grid.
        InvalidInput: ``n_points`` or ``columns`` is below 1.
    """
    wanted = [layers] if isinstance(layers, int) else list(layers or self.reduction.layers)
    points = plot_tables.drawn_points(
        self.reduction,
        wanted,
        n_points=max(1, n_points // len(wanted)) if n_points > 0 else n_points,
        seed=seed,
    )
    density = plot_tables.cell_areas(self.reduction, wanted)
    n = sum(density["n"].to_pylist()) // len(wanted)
    n_drawn = points.num_rows // len(wanted)
    drawn = f"{n_drawn:,} of {n:,} samples drawn as points, a sample with seed {seed}"
    notes = [
        *self.provenance(),
        *(self.layer_notes(wanted[0]) if len(wanted) == 1 else []),
        f"{drawn if n_drawn < n else f'All {n:,} samples drawn as points'}; grey: all samples, per cell.",
    ]
    where = f"Layer {wanted[0]}" if len(wanted) == 1 else f"Layers {span_words(tuple(wanted))}"
    return charts.points_chart(
        points,
        density,
        title=f"{where}: where samples lie (n = {n:,})",
        subtitle=notes,
        columns=columns,
        degenerate_layers=self.reduction.degenerate_layers,
    )


def flow(self: Plot, labels: Sequence[str] | str | None = None, *, n_regions: int = 8) -> alt.TopLevelMixin:
    """How labels travel through the layers: regions as blocks, samples between them as ribbons.

    Args:
        self: charts of the reduction.
        labels: its labels; all of the scan by default.
        n_regions: regions of each layer that have a block of their own.

    Raises:
        UnknownName: a label is not there.
        ReductionError: there is no grid.
        InvalidInput: ``n_regions`` is below 1.
    """
    wanted = [labels] if isinstance(labels, str) else labels
    counts = self.reduction.ask("label_shares", labels=wanted)
    steps = self.reduction.ask("edges_all_labels", labels=wanted, degenerate=True)
    n = sum(counts["n"]) // len(self.reduction.layers)
    shown = sorted(set(counts["label"]))
    travel = "travels" if len(shown) == 1 else "travel"
    return charts.flow_chart(
        counts.arrow,
        steps.arrow,
        title=f"How {plot_titles.who(shown)} {travel} through the layers (n = {n:,})",
        subtitle=self.provenance(),
        n_regions=n_regions,
        degenerate_layers=self.reduction.degenerate_layers,
    )


def regions(
    self: Plot, layer: int, labels: Sequence[str] | str | None = None, *, most_regions: int = 15
) -> alt.TopLevelMixin:
    """Shares of labels in the largest regions of a layer, beside those of all samples.

    Args:
        self: charts of the reduction.
        layer: the layer.
        labels: its labels; all of the scan by default.
        most_regions: regions that have a bar of their own.

    Raises:
        UnknownName: the layer or a label is not there.
        ReductionError: there is no grid.
        InvalidInput: ``most_regions`` is below 1.
    """
    wanted = [labels] if isinstance(labels, str) else labels
    shares = self.reduction.ask("label_shares", layer=layer, labels=wanted)
    n = sum(shares["n"])
    who = plot_titles.who(sorted(set(shares["label"])))
    return charts.regions_chart(
        shares.arrow,
        title=f"Layer {layer}: what its regions hold of {who} (n = {n:,})",
        subtitle=[*self.provenance(), *self.layer_notes(layer)],
        most_regions=most_regions,
    )


def metrics(
    self: Plot, labels: Sequence[str] | str | None = None, *, metrics: Sequence[str] | None = None
) -> alt.TopLevelMixin:
    """Metrics of the graph of each label side by side, with 95 % intervals where there are any.

    Args:
        self: charts of the reduction.
        labels: which labels; all of the scan by default.
        metrics: which columns of ``Reduction.metrics``; a dozen by default.

    Raises:
        UnknownName: a label or metric is not there.
    """
    wanted = [labels] if isinstance(labels, str) else labels
    rows = plot_tables.metric_rows(self.reduction, wanted, metrics=metrics)
    names = list(dict.fromkeys(rows["graph"].to_pylist()))
    sizes = dict(zip(rows["graph"].to_pylist(), rows["n"].to_pylist(), strict=True))
    n = sum(sizes[name] or 0 for name in names)
    notes = [*self.provenance()]
    if n:
        notes.append("Intervals (jackknife): what as many other samples of the same source would give.")
    return charts.metrics_chart(
        rows,
        title=f"Graph metrics of {plot_titles.who(names)}" + (f" (n = {n:,})" if n else ""),
        subtitle=notes,
    )


def quality(self: Plot, *, progress: ProgressCallback = no_progress) -> alt.TopLevelMixin:
    """Quality of the scan's activations, as ``Scan.plot.quality``."""
    return self.reduction.scan().plot.quality(progress=progress)


def map_quality(self: Plot) -> alt.TopLevelMixin:
    """What to know of each layer before its map is read: variance kept, occupied cells, evenness."""
    quality = self.reduction.map_quality()
    n = max(quality["n_points"], default=0)
    return charts.quality_chart(
        quality.arrow, title=f"What each layer's map shows (n = {n:,})", subtitle=self.provenance()
    )
