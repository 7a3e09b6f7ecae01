"""``llm-mri plot``: charts that stand in no other command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import llm_mri_store
from llm_mri_store.cli.options import (
    CommandT,
    open_reduction,
    open_store,
    parse_layers,
    quiet_option,
    reduction_option,
    scan_argument,
    store_option,
)
from llm_mri_store.cli.output import say_written, showing_progress
from llm_mri_store.cli.questions import CHART_ENDINGS
from llm_mri_store.errors import ExportError

if TYPE_CHECKING:
    import altair as alt

    from llm_mri_store.api.plot import Plot


def _chart_options(command: CommandT) -> CommandT:
    """Where the chart is written, and on which ground."""
    output = click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        required=True,
        help="File to write: .html .svg .png .json (vega-lite).",
    )
    theme = click.option(
        "--theme",
        type=click.Choice(["light", "dark"]),
        default="light",
        show_default=True,
        help="Ground of the chart.",
    )
    return output(theme(command))


def _place_options(command: CommandT) -> CommandT:
    return scan_argument(store_option(reduction_option(command)))


_LABELS = click.option(
    "--label", "labels", multiple=True, help="Which label; may be given several times; all by default."
)


def _plot(options: dict[str, Any]) -> Plot:
    """Charts of the reduction that a command's options name; they are taken out of the others."""
    _refuse_bad_ending(options["output"])
    names = ("store_path", "scan_name", "reduction")
    return open_reduction(*(options.pop(name) for name in names)).plot


def _refuse_bad_ending(path: Path) -> None:
    if path.suffix.lower() not in CHART_ENDINGS:
        raise ExportError(f"a chart cannot be written to {path.name}; use {', '.join(sorted(CHART_ENDINGS))}")


def _save(chart: alt.TopLevelMixin, options: dict[str, Any]) -> None:
    say_written(llm_mri_store.save_chart(chart, options["output"], theme=options["theme"]))


@click.group()
def plot() -> None:
    """Charts as files: points, flow, regions, quality, metrics, and maps of all layers.

    Other commands write charts of their own with -o: heatmap, graph, contrast, compare, information, probe.
    """


@plot.command()
@_place_options
@click.option(
    "--layers", callback=parse_layers, help="Which layers, such as 3, 0-6 or 0,3,6; all by default."
)
@click.option(
    "--points",
    "n_points",
    type=click.IntRange(min=1),
    default=3000,
    show_default=True,
    help="Points drawn in all panels together, at most; the same samples at every layer.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of which samples.")
@_chart_options
def points(layers: tuple[int, ...] | None, n_points: int, seed: int, **options: Any) -> None:
    """Where samples lie in the projection, over the density of all of them."""
    _save(_plot(options).points(layers, n_points=n_points, seed=seed), options)


@plot.command()
@_place_options
@_LABELS
@click.option(
    "--regions",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Regions of each layer that have a block of their own.",
)
@_chart_options
def flow(labels: tuple[str, ...], regions: int, **options: Any) -> None:
    """How labels travel through the layers, from region to region."""
    _save(_plot(options).flow(list(labels) or None, n_regions=regions), options)


@plot.command()
@_place_options
@click.option("--layer", type=int, required=True, help="Which layer.")
@_LABELS
@click.option(
    "--regions",
    "most_regions",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="Regions that have a bar of their own.",
)
@_chart_options
def regions(layer: int, labels: tuple[str, ...], most_regions: int, **options: Any) -> None:
    """Shares of labels in the largest regions of a layer."""
    _save(_plot(options).regions(layer, list(labels) or None, most_regions=most_regions), options)


@plot.command()
@_place_options
@_LABELS
@click.option(
    "--metric", "chosen", multiple=True, help="Which metric; may be given several times; a dozen by default."
)
@_chart_options
def metrics(labels: tuple[str, ...], chosen: tuple[str, ...], **options: Any) -> None:
    """Metrics of each label's graph side by side, with intervals."""
    _save(_plot(options).metrics(list(labels) or None, metrics=list(chosen) or None), options)


@plot.command()
@_place_options
@_LABELS
@click.option("--counts", is_flag=True, help="Colour by number of samples instead of their share.")
@_chart_options
def heatmaps(labels: tuple[str, ...], counts: bool, **options: Any) -> None:
    """Maps of all layers at once on one scale of colours, a row for each label."""
    _save(_plot(options).heatmaps(list(labels) or None, value="n" if counts else "share"), options)


@plot.command()
@scan_argument
@store_option
@_chart_options
@quiet_option
def quality(scan_name: str | None, store_path: Path | None, quiet: bool, **options: Any) -> None:
    """Quality of each layer's activations: effective rank, anisotropy, spread and more."""
    _refuse_bad_ending(options["output"])
    scan = open_store(store_path).find(scan_name)
    with showing_progress(quiet=quiet) as progress:
        chart = scan.plot.quality(progress=progress)
    _save(chart, options)


@plot.command("map-quality")
@_place_options
@_chart_options
def map_quality(**options: Any) -> None:
    """What to know of each layer before its map is read: variance kept, occupied cells, evenness."""
    _save(_plot(options).map_quality(), options)
