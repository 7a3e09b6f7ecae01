"""Options that several commands share, and how a scan is named on the shell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.api.store import Store

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

FORMATS = ("table", "csv", "json")


def store_option(command: CommandT) -> CommandT:
    """``--store DIR``."""
    return click.option(
        "--store",
        "store_path",
        type=click.Path(path_type=Path),
        envvar="LLM_MRI_STORE",
        show_envvar=True,
        help="Folder of the store.  [default: ./llm-mri-store]",
    )(command)


def format_option(command: CommandT) -> CommandT:
    """``--format table|csv|json``."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(FORMATS),
        default="table",
        show_default=True,
        help="How rows are printed on stdout.",
    )(command)


def output_option(endings: str) -> Callable[[CommandT], CommandT]:
    """``-o FILE``, whose ending says what is written."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        help=f"Write to a file instead: {endings}.",
    )


def reduction_option(command: CommandT) -> CommandT:
    """``-r REDUCTION``."""
    return click.option("-r", "--reduction", help="Which reduction; a scan's only one needs no naming.")(
        command
    )


def scan_argument(command: CommandT) -> CommandT:
    """``SCAN``, which may be left out where a store has one."""
    return click.argument("scan_name", metavar="[SCAN]", required=False)(command)


def twin_option(command: CommandT) -> CommandT:
    """``--twin``."""
    return click.option(
        "--twin",
        metavar="SCAN[/REDUCTION]",
        help="A scan of the same texts with --random-weights: tell what it shows as well.",
    )(command)


def quiet_option(command: CommandT) -> CommandT:
    """``--quiet``."""
    return click.option("-q", "--quiet", is_flag=True, help="No progress and no talk on stderr.")(command)


def open_store(path: Path | None) -> Store:
    """The store a command works on."""
    from llm_mri_store.api.store import Store

    return Store(path)


def open_reduction(path: Path | None, scan: str | None, reduction: str | None) -> Reduction:
    """The reduction a command works on: named, or the only one.

    ``scan`` may be ``SCAN/REDUCTION``.

    Raises:
        LlmMriError: it is not there, or there are several to choose from.
    """
    return open_store(path).reduction(scan, reduction)


def parse_layers(_: click.Context, __: click.Parameter, words: str | None) -> tuple[int, ...] | None:
    """Layers such as ``0-6`` or ``0,3,6`` as numbers.

    >>> parse_layers(None, None, "0-2,6")
    (0, 1, 2, 6)
    """
    if words is None:
        return None
    layers: list[int] = []
    for part in words.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise click.BadParameter(f"{words!r} is not layers such as 0-6 or 0,3,6")
        layers += range(int(first), int(last if dash else first) + 1)
    return tuple(layers)
