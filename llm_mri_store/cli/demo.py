"""``llm-mri demo``."""

from __future__ import annotations

from pathlib import Path

import click

from llm_mri_store.cli.inference_page import Page
from llm_mri_store.cli.options import quiet_option
from llm_mri_store.cli.output import print_rich, say, showing_progress, tell


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("llm-mri-demo"),
    show_default=True,
    help="Folder for the demo's store and pages.",
)
@quiet_option
def demo(out: Path, quiet: bool) -> None:
    """The whole tour on an embedded corpus and an offline model.

    300 texts of five labels through a trained MiniLM: scan, reduce, maps, graphs, metrics, a contrast, and a
    report of all of it. Prints what it found and where the pages are.
    """
    from llm_mri_store.api.demo import run_demo
    from llm_mri_store.api.table import rich_table

    with showing_progress(quiet=quiet) as progress:
        result = run_demo(out, progress=progress, say=(lambda _: None) if quiet else say)
    reduction = result.reduction
    print_rich("\nHow much a text's cell tells of its label, layer by layer (bits; bias-corrected):")
    columns = ["layer", "n", "n_cells", "information_corrected", "label_entropy", "share_of_entropy"]
    print_rich(rich_table(reduction.ask("layer_information").arrow.select(columns)))
    print_rich("Where astronomy and cooking differ, beyond chance:\n")
    Page(rows=None, methods=False, form="table", output=None, quiet=True).show_contrast(result.contrast)
    print_rich("\nThe graph of each label, and of all of them (docs/metrics.md defines the numbers):")
    columns = ["graph", "n_nodes", "n_edges", "mean_degree", "mean_strength", "density", "assortativity"]
    print_rich(rich_table(reduction.metrics().arrow.select(columns)))
    print_rich("Pages to open in a browser:")
    for what, page in result.pages.items():
        tell(f"  {page}  ({what})")
    tell("\nAsk the store yourself:")
    tell(f"  llm-mri sql heatmap -p layer=6 --store {out / 'store'}")
    tell(f"  llm-mri contrast cooking gardening --store {out / 'store'}")
