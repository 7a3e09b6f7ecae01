"""``llm-mri serve``: the page live over the store."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from llm_mri_store.cli.options import (
    open_reduction,
    quiet_option,
    reduction_option,
    scan_argument,
    store_option,
)
from llm_mri_store.cli.output import say


@click.command()
@scan_argument
@store_option
@reduction_option
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen at.  [default: a free one]"
)
@click.option("--host", help="Address to listen at.  [default: 127.0.0.1, which only this machine can reach]")
@click.option("--open/--no-open", "is_opened", default=False, help="Open the page in a browser.")
@click.option(
    "--timeout", "timeout_s", type=float, default=30.0, show_default=True, help="Seconds a query may take."
)
@quiet_option
def serve(
    scan_name: str | None,
    store_path: Path | None,
    reduction: str | None,
    port: int,
    host: str | None,
    is_opened: bool,
    timeout_s: float,
    quiet: bool,
) -> None:
    """The page of 'llm-mri report' live over the store, for scans too large for one file.

    Its address is printed; who knows it can read the texts, others get nothing. Nothing is written. Ctrl-C
    ends it. SCAN may be SCAN/REDUCTION.
    """
    from llm_mri_store.api.serving import LOOPBACK, is_loopback, serve

    chosen = open_reduction(store_path, scan_name, reduction)
    place = host or LOOPBACK
    if not is_loopback(place):
        say(
            f"warning: other machines may reach {place}; whoever has the address can read all texts, and "
            "nothing is encrypted on its way"
        )

    def tell(address: str) -> None:
        click.echo(address)
        if not quiet:
            say(f"serving {chosen.scan_name}/{chosen.name}; Ctrl-C ends it")
        if is_opened:
            webbrowser.open(address)

    serve(chosen, host=place, port=port, timeout_s=timeout_s, ready=tell)
