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
from llm_mri_store.cli.output import print_rows, say, showing_progress, tell


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
@click.option(
    "--site",
    "sites",
    multiple=True,
    default=["residual"],
    show_default=True,
    help="Where in a block activations are read: one that 'llm-mri sites' lists, or a module path pattern "
    "such as 'h.{layer}.mlp'. Repeat it for several scans in one pass.",
)
@click.option(
    "--pooling",
    "poolings",
    multiple=True,
    type=click.Choice(["auto", "first", "last", "mean", "max", "tokens"]),
    default=["auto"],
    show_default=True,
    help="How a text's tokens become one vector; auto: first for encoders, last for causal models; tokens: "
    "each token is a sample. Repeat it for several scans in one pass.",
)
@click.option("--every", "token_step", type=int, default=1, help="With tokens: keep every so-many-th token.")
@click.option(
    "--token-label-column", help="With tokens: column of spans (start, end, label) or of one tag per word."
)
@click.option("--chat-template", is_flag=True, help="Read each text as a message in the chat template.")
@click.option(
    "--side",
    type=click.Choice(["encoder", "decoder"]),
    help="Half of an encoder-decoder model to read.  [default: encoder]",
)
@click.option("--force", is_flag=True, help="Allow pooling 'first' for a causal model.")
@click.option("--strict", is_flag=True, help="Refuse NaN and infinity instead of keeping them with a status.")
@click.option("--layers", callback=parse_layers, help="Layers to keep, such as 0-6 or 0,3,6.  [default: all]")
@click.option("--max-tokens", type=int, help="Cut texts to this many tokens.  [default: the model's limit]")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps ...")
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16", "float16", "bfloat16-autocast"]),
    default="auto",
    show_default=True,
    help="Precision of the forward pass; autocast: float32 weights, products in bfloat16.",
)
@click.option(
    "--batch-tokens",
    type=int,
    help="Most padded tokens in one forward pass.  [default: 2048 on a CPU, 16384 on a GPU; long scans try]",
)
@click.option("--chunk-samples", type=int, help="Texts per commit.")
@click.option("--workers", type=int, default=1, show_default=True, help="Processes that share the work.")
@click.option("--limit", type=int, help="Read only the first rows.")
@click.option("--keep-invalid", is_flag=True, help="Keep rows with a null text or label, with a status.")
@click.option("--revision", help="Branch, tag or commit of a Hub model.")
@click.option("--random-weights", type=int, metavar="SEED", help="Fresh weights drawn with this seed.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the model.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop.")
@quiet_option
def scan(
    model: str, corpus: str, store_path: Path | None, dry_run: bool, quiet: bool, **options: Any
) -> None:
    """Run a labelled CORPUS through MODEL and keep every layer's activations.

    MODEL is a Hugging Face Hub id or a folder. CORPUS is a .csv, .tsv, .jsonl or .parquet file, a folder
    written by save_to_disk, a folder of one folder of .txt files per label, or a Hub dataset. Run the
    same command again to go on after an interruption. Several sites and poolings are read in one
    forward pass and become a scan each.
    """
    store = open_store(store_path)
    if dry_run:
        print_rows(store.plan(model, corpus, **options), "table")
        return
    with showing_progress(quiet=quiet) as progress:
        scans = store.scan_many(model, corpus, progress=progress, **options)
    for done in scans:
        if len(scans) > 1:
            tell(done.name)
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
    """What a scan holds: its inputs, its samples by label, its reductions, how good its layers are."""
    chosen = open_store(store_path).find(scan_name)
    if form == "table":
        for name, value in chosen.facts().items():
            tell(f"{name:>18}  {value}")
    print_rows(chosen.summary(), form)
    if form == "table":
        for reduction in chosen.reductions.values():
            tell(repr(reduction))
            print_rows(reduction.layer_table(), form)
        if chosen.is_complete:
            tell("Quality of the activations (every column: llm-mri sql layer_quality)")
            print_rows(brief_quality(chosen), form)
        for remark in chosen.remarks():
            tell(f"- {remark}")


def brief_quality(scan: Any) -> Any:
    """The columns of a scan's quality that fit on a screen."""
    from llm_mri_store.api.table import Table

    columns = ["layer", "n_distinct", "is_degenerate", "effective_rank", "anisotropy", "mean_norm"]
    return Table(scan.quality().arrow.select([*columns, "n_outlier_dimensions", "top_dimension_share"]))


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


@click.command()
@scan_argument
@store_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def prune(scan_name: str | None, store_path: Path | None, yes: bool) -> None:
    """Remove the activations of SCAN once it is reduced; samples, points and cells stay.

    Activations are most of a scan's bytes. Without them the scan cannot be reduced anew, probed in full or
    asked for neighbours; its maps, graphs and tests can still be made.
    """
    store = open_store(store_path)
    name = store.find(scan_name).name
    size = f"{store.prunable_bytes(name) / 2**20:,.1f} MiB"
    if not yes:
        click.confirm(
            f"Remove {size} of activations of scan {name}? Only its scan command can make them again",
            abort=True,
            err=True,
        )
    store.prune(name)
    say(f"removed the activations of {name}: {size}")
