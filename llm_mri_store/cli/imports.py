"""``llm-mri import``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from llm_mri_store.cli.options import open_store, parse_layers, quiet_option, store_option
from llm_mri_store.cli.output import print_rows, say, showing_progress


@click.command("import")
@click.argument("activations", type=click.Path(path_type=Path))
@click.option("--samples", required=True, metavar="CORPUS", help="Texts and labels, a row per sample.")
@store_option
@click.option("--name", help="Name of the scan.  [default: made of model and samples]")
@click.option("--model", help="What to call the model they are of.  [default: the file's name]")
@click.option("--site", default="imported", show_default=True, help="Where in the model they were read.")
@click.option(
    "--pooling",
    type=click.Choice(["first", "last", "mean", "max", "tokens"]),
    help="Of a vector per token: how a text's become one; tokens makes each a sample.",
)
@click.option(
    "--layers",
    "--layer",
    "layers",
    callback=parse_layers,
    help="Numbers of the layers, such as 0,6,12; of layers named in the file, those to keep.",
)
@click.option(
    "--layout",
    type=click.Choice(["samples-first", "layers-first"]),
    default="samples-first",
    show_default=True,
    help="First axis of an array of three.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    help="Precision they were computed in, for what counts as rounding.  [default: as they are kept]",
)
@click.option("--text-column", default="text", show_default=True, help="Column that holds the texts.")
@click.option("--label-column", default="label", show_default=True, help="Column that holds the labels.")
@click.option("--split", help="Split of a dataset of samples.")
@click.option("--keep-invalid", is_flag=True, help="Keep rows with a null text or label, with a status.")
@quiet_option
def import_(activations: Path, samples: str, store_path: Path | None, quiet: bool, **options: Any) -> None:
    """Make a scan of ACTIVATIONS that were computed elsewhere.

    ACTIVATIONS is a .npy, .npz, .safetensors, .parquet, .h5 or .hdf5 file, a folder of such files, or a
    folder written by save_to_disk (of SAELens, say). CORPUS holds one row per sample in the same order;
    it may be whatever a scan's corpus may be. Run the same command again to go on after an interruption.

    \b
    llm-mri import acts.npy --samples texts.csv --layer 6
    llm-mri import bert.hdf5 --samples sentences.jsonl --pooling mean --model bert-base-uncased
    """  # noqa: D301 - click wants the character itself
    with showing_progress(quiet=quiet) as progress:
        done = open_store(store_path).import_activations(activations, samples, progress=progress, **options)
    print_rows(done.summary(), "table")
    if not quiet:
        say(f"scan {done.name!r} is complete; next: llm-mri reduce {done.name}")
