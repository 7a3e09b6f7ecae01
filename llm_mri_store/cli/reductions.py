"""``llm-mri reduce``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from llm_mri_store.cli.options import open_store, quiet_option, scan_argument, store_option
from llm_mri_store.cli.output import print_rows, say, showing_progress


@click.command()
@scan_argument
@store_option
@click.option(
    "--method", type=click.Choice(["pca", "svd", "umap"]), default="pca", show_default=True, help="Reducer."
)
@click.option(
    "--components", "n_components", type=int, default=2, show_default=True, help="Coordinates per sample."
)
@click.option("--grid", type=int, help="Cells per axis.  [default: 10 with 2 components]")
@click.option(
    "--bins",
    type=click.Choice(["width", "quantile"]),
    default="width",
    show_default=True,
    help="Bins of equal width, or between quantiles of the points.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of UMAP.")
@click.option("--scale/--no-scale", default=True, show_default=True, help="Standardise features (pca, svd).")
@click.option("--center/--no-center", default=True, show_default=True, help="Centre features (svd).")
@click.option("--n-neighbors", type=int, default=15, show_default=True, help="Neighbours of UMAP.")
@click.option("--min-dist", type=float, default=0.1, show_default=True, help="Least distance of UMAP.")
@click.option("--name", help="Name of the reduction.  [default: such as pca-2]")
@click.option("--like", metavar="SCAN/REDUCTION", help="Apply another reduction's reducers and bin edges.")
@quiet_option
def reduce(scan_name: str | None, store_path: Path | None, quiet: bool, **options: Any) -> None:
    """Fit a reduction on every layer of SCAN: a point and a grid cell per sample.

    Run again with the same choices, it returns what is there.
    """
    chosen = open_store(store_path).find(scan_name)
    with showing_progress(quiet=quiet) as progress:
        reduction = chosen.reduce(progress=progress, **options)
    print_rows(reduction.layer_table(), "table")
    if not quiet:
        say(f"reduction {chosen.name}/{reduction.name} is there; next: llm-mri heatmap {chosen.name}")
