"""``llm-mri heatmap``, ``graph`` and ``metrics``: numbers as rows, or as charts and graph files."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

import llm_mri_store
from llm_mri_store.cli.options import (
    format_option,
    open_reduction,
    output_option,
    quiet_option,
    reduction_option,
    scan_argument,
    store_option,
)
from llm_mri_store.cli.output import print_rich, print_rows, say, say_written, showing_progress

CHART_ENDINGS = frozenset({".html", ".svg", ".png", ".json"})
GRAPH_ENDINGS = frozenset({".graphml", ".gexf"})


@click.command()
@scan_argument
@store_option
@reduction_option
@click.option("--layer", type=int, help="Which layer; all by default.")
@click.option("--label", help="Which label; all by default.")
@click.option("--share", is_flag=True, help="Colour by share of the samples instead of their number.")
@format_option
@output_option(".html .svg .png .json (vega-lite) .csv .parquet")
def heatmap(
    scan_name: str | None,
    store_path: Path | None,
    reduction: str | None,
    layer: int | None,
    label: str | None,
    share: bool,
    form: str,
    output: Path | None,
) -> None:
    """How many samples lie in each cell: a table, or a chart."""
    chosen = open_reduction(store_path, scan_name, reduction)
    if output is not None and output.suffix.lower() in CHART_ENDINGS:
        plot = chosen.plot
        value: Literal["n", "share"] = "share" if share else "n"
        chart = (
            plot.heatmaps(label, value=value) if layer is None else plot.heatmap(layer, label, value=value)
        )
        say_written(llm_mri_store.save_chart(chart, output))
        return
    rows = (
        chosen.heatmaps(None if label is None else [label]) if layer is None else chosen.heatmap(layer, label)
    )
    if form == "table" and output is None and layer is not None:
        print_rich(chosen.grid_text(layer, label))
    else:
        print_rows(rows, form, output)
    say_degenerate(chosen.degenerate_layers)


@click.command()
@scan_argument
@store_option
@reduction_option
@click.option(
    "--label", "labels", multiple=True, help="Which label; may be given several times; all by default."
)
@click.option("--isolated", is_flag=True, help="Keep occupied cells without an edge.")
@click.option(
    "--threshold", help="Between components: least |rho|, or a percentile such as 95%.  [default: 0.3]"
)
@click.option("--fdr", type=float, help="Between components: largest q.")
@click.option("--fixed", is_flag=True, help="Place nodes as in the graph of all labels.")
@click.option(
    "--percentile", type=float, default=0.0, show_default=True, help="Draw only edges heavier than this."
)
@format_option
@output_option(".html .svg .png .json (vega-lite) .graphml .gexf .csv .parquet")
def graph(
    scan_name: str | None,
    store_path: Path | None,
    reduction: str | None,
    labels: tuple[str, ...],
    isolated: bool,
    threshold: str | None,
    fdr: float | None,
    fixed: bool,
    percentile: float,
    form: str,
    output: Path | None,
) -> None:
    """Which regions activate together in neighbouring layers: edges, a chart or a graph file."""
    chosen = open_reduction(store_path, scan_name, reduction)
    wanted = list(labels) or None
    ending = "" if output is None else output.suffix.lower()
    if output is None or ending not in CHART_ENDINGS | GRAPH_ENDINGS:
        print_rows(chosen.edge_rows(wanted, threshold=threshold, fdr=fdr), form, output)
    else:
        built = chosen.graph(wanted, isolated=isolated, threshold=threshold, fdr=fdr)
        if ending in CHART_ENDINGS:
            drawing = chosen.plot.drawing(built, fixed=fixed, min_weight_percentile=percentile)
            llm_mri_store.save_chart(drawing, output)
        else:
            chosen.plot.save_graph(built, output)
        say_written(output)
    say_degenerate(chosen.degenerate_layers)


@click.command()
@scan_argument
@store_option
@reduction_option
@click.option(
    "--label", "labels", multiple=True, help="Which label; may be given several times; all by default."
)
@click.option("--nodes", is_flag=True, help="A row per node of the graph of these labels instead.")
@format_option
@output_option(".csv .json .parquet")
@quiet_option
def metrics(
    scan_name: str | None,
    store_path: Path | None,
    reduction: str | None,
    labels: tuple[str, ...],
    nodes: bool,
    form: str,
    output: Path | None,
    quiet: bool,
) -> None:
    """Numbers that describe the graph of each label, and of all of them."""
    chosen = open_reduction(store_path, scan_name, reduction)
    wanted = list(labels) or None
    if nodes:
        print_rows(chosen.node_metrics(wanted), form, output)
    else:
        with showing_progress(quiet=quiet) as progress:
            table = chosen.metrics(wanted, progress=progress)
        print_rows(table.transposed("graph") if form == "table" and output is None else table, form, output)
    if not quiet:
        say_degenerate(chosen.degenerate_layers)


def say_degenerate(layers: tuple[int, ...]) -> None:
    """Says which layers hold no information."""
    if layers:
        words = ", ".join(str(layer) for layer in layers)
        say(
            f"degenerate, so one cell and no edges: layer {words} (its activations do not vary between texts)"
        )
