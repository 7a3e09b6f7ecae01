"""``llm-mri scan``, and the commands that look after a store: ls, show, verify, rm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from llm_mri_store.cli.options import (
    format_option,
    open_store,
    parse_layers,
    quiet_option,
    scan_argument,
    store_option,
)
from llm_mri_store.cli.output import print_rows, say, showing_progress


@click.command()
@click.argument("model")
@click.argument("corpus")
@store_option
@click.option("--name", help="Name of the scan.  [default: made of model and corpus]")
@click.option("--model-name", help="What to call the model in titles and tables.")
@click.option("--text-column", default="text", show_default=True, help="Column that holds the texts.")
@click.option("--label-column", default="label", show_default=True, help="Column that holds the labels.")
@click.option("--split", help="Split of a dataset; its only one needs no naming.")
@click.option("--subset", help="Configuration of a Hub dataset.")
@click.option("--site", default="residual", show_default=True, help="Where in a block activations are read.")
@click.option(
    "--pooling",
    type=click.Choice(["auto", "first", "last", "mean", "max"]),
    default="auto",
    show_default=True,
    help="How a text's tokens become one vector; auto: first for encoders, last for causal models.",
)
@click.option("--force", is_flag=True, help="Allow pooling 'first' for a causal model.")
@click.option("--layers", callback=parse_layers, help="Layers to keep, such as 0-6 or 0,3,6.  [default: all]")
@click.option("--max-tokens", type=int, help="Cut texts to this many tokens.  [default: the model's limit]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps ...")
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
    default="auto",
    show_default=True,
    help="Precision of the forward pass.",
)
@click.option("--batch-tokens", type=int, help="Most padded tokens in one forward pass.")
@click.option("--chunk-samples", type=int, help="Samples per commit.")
@click.option("--limit", type=int, help="Read only the first rows.")
@click.option("--keep-invalid", is_flag=True, help="Keep rows with a null text or label, with a status.")
@click.option("--revision", help="Branch, tag or commit of a Hub model.")
@click.option("--random-weights", type=int, metavar="SEED", help="Fresh weights drawn with this seed.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the model.")
@quiet_option
def scan(model: str, corpus: str, store_path: Path | None, quiet: bool, **options: Any) -> None:
    """Run a labelled CORPUS through MODEL and keep every layer's activations.

    MODEL is a Hugging Face Hub id or a folder. CORPUS is a .csv, .tsv, .jsonl or .parquet file, a folder
    written by save_to_disk, a folder of one folder of .txt files per label, or a Hub dataset. Run the
    same command again to go on after an interruption.
    """
    with showing_progress(quiet=quiet) as progress:
        done = open_store(store_path).scan(model, corpus, progress=progress, **options)
    print_rows(done.summary(), "table")
    if not quiet:
        say(f"scan {done.name!r} is complete; next: llm-mri reduce {done.name}")


@click.command()
@store_option
@format_option
def ls(store_path: Path | None, form: str) -> None:
    """List the scans and their reductions."""
    print_rows(open_store(store_path).listing(), form)


@click.command()
@scan_argument
@store_option
@format_option
def show(scan_name: str | None, store_path: Path | None, form: str) -> None:
    """What a scan holds: its inputs, its samples by label, its reductions layer by layer."""
    chosen = open_store(store_path).find(scan_name)
    if form == "table":
        for name, value in chosen.facts().items():
            click.echo(f"{name:>18}  {value}")
    print_rows(chosen.summary(), form)
    if form == "table":
        for reduction in chosen.reductions.values():
            click.echo(repr(reduction))
            print_rows(reduction.layer_table(), form)


@click.command()
@scan_argument
@store_option
@format_option
@quiet_option
def verify(scan_name: str | None, store_path: Path | None, form: str, quiet: bool) -> None:
    """Check every file against its digest; exit code 1 if something is damaged."""
    store = open_store(store_path)
    with showing_progress(quiet=quiet) as progress:
        problems = store.verify(scan_name, progress=progress)
    if not problems:
        if not quiet:
            say("every file is as it was committed")
        return
    print_rows(problems_table(problems), form)
    say(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
    raise SystemExit(1)


def problems_table(problems: list[Any]) -> Any:
    """Problems as rows: where, what."""
    import pyarrow as pa

    from llm_mri_store.api.table import Table

    return Table(pa.table({"where": [one.where for one in problems], "what": [one.what for one in problems]}))


@click.command()
@click.argument("name", metavar="SCAN[/REDUCTION]")
@store_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def rm(name: str, store_path: Path | None, yes: bool) -> None:
    """Remove a scan with its reductions, or one reduction."""
    store = open_store(store_path)
    store.check(name)
    if not yes:
        click.confirm(f"Remove {name} from {store.path}? It cannot be brought back", abort=True, err=True)
    store.remove(name)
    say(f"removed {name}")
