"""``llm-mri report``: one page that tells the whole scan."""

from __future__ import annotations

from pathlib import Path

import click

from llm_mri_store.cli.options import (
    open_reduction,
    quiet_option,
    reduction_option,
    scan_argument,
    store_option,
)
from llm_mri_store.cli.output import say_written, showing_progress


@click.command()
@scan_argument
@store_option
@reduction_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report.html"),
    show_default=True,
    help="The page: one .html file that opens from disk.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="Which labels are compared and drawn as a graph; give two to hold them against each other.",
)
@click.option("--title", help="Heading of the page.  [default: the scan's name]")
@click.option(
    "--permutations",
    "n_permutations",
    type=int,
    default=1000,
    show_default=True,
    help="How often labels are handed out again, for tests that are not kept yet.",
)
@click.option("--probe/--no-probe", default=True, show_default=True, help="Train linear probes.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of relabelings, probes and texts.")
@quiet_option
def report(
    scan_name: str | None,
    store_path: Path | None,
    reduction: str | None,
    output: Path,
    labels: tuple[str, ...],
    title: str | None,
    n_permutations: int,
    probe: bool,
    seed: int,
    quiet: bool,
) -> None:
    """One page that tells the whole scan: maps, tests, graph, texts, methods.

    It is one HTML file that opens from disk and needs no network: choose layers, labels and cells, and read
    the texts behind them. Tests are kept in the store, and those that were kept are shown. SCAN may be
    SCAN/REDUCTION.
    """
    chosen = open_reduction(store_path, scan_name, reduction)
    with showing_progress(quiet=quiet) as progress:
        written = chosen.report(
            output,
            labels=labels or None,
            title=title,
            n_permutations=n_permutations,
            probe=probe,
            seed=seed,
            progress=progress,
        )
    if not quiet:
        say_written(written)
