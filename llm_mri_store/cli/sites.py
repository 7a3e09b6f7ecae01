"""``llm-mri sites``."""

from __future__ import annotations

import click

from llm_mri_store.cli.options import format_option
from llm_mri_store.cli.output import print_rows


@click.command()
@click.argument("model")
@click.option(
    "--side",
    type=click.Choice(["encoder", "decoder"]),
    help="Which half of an encoder-decoder model.  [default: encoder]",
)
@click.option("--revision", help="Branch, tag or commit of a Hub model.")
@click.option("--trust-remote-code", is_flag=True, help="Run Python code that comes with the model.")
@format_option
def sites(model: str, side: str | None, revision: str | None, trust_remote_code: bool, form: str) -> None:
    """Where MODEL can be read, for --site of a scan.

    Besides these names, --site takes the path of any module of a block, with {layer} where the block's number
    stands: "h.{layer}.mlp" reads what it gives, "input of h.{layer}.mlp" what it is given. The first block is
    number 0 and layer 1. Weights are not needed: the model is built with random ones.
    """
    from llm_mri_store.api.sites import model_sites

    found = model_sites(model, side=side, revision=revision, trust_remote_code=trust_remote_code)
    print_rows(found, form)
