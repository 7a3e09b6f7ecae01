"""What commands print: rows on stdout, talk and progress on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_mri_store.records.jobs import Progress, ProgressCallback
from llm_mri_store.records.words import visible

if TYPE_CHECKING:
    from rich.console import RenderableType

    from llm_mri_store.api.table import Table


def print_rows(table: Table, form: str, output: Path | None = None) -> None:
    """Prints rows in the chosen form, or writes them to a file by its ending."""
    from llm_mri_store.api.table import encode_table, rich_table

    if output is not None:
        say_written(table.save(output))
    elif form == "table":
        print_rich(rich_table(table.arrow))
    else:
        click.echo(encode_table(table.arrow, form), nl=False)


def print_rich(what: RenderableType) -> None:
    """Prints for people: colour and width by the terminal, plain and unfolded through a pipe."""
    from rich.console import Console
    from rich.text import Text

    # Labels and names are words, never rich's markup.
    drawn = Text(visible(what)) if isinstance(what, str) else what
    is_terminal = sys.stdout.isatty()
    Console(
        file=sys.stdout, highlight=False, width=None if is_terminal else 200, soft_wrap=not is_terminal
    ).print(drawn, crop=is_terminal)


def say(message: str) -> None:
    """A line of talk on stderr."""
    tell(message, err=True)


def tell(words: str, *, err: bool = False) -> None:
    """Words that a terminal shows as they are: names and labels may hold its control characters."""
    click.echo(visible(words), err=err)


def say_written(path: Path) -> None:
    """Tells where a file was written."""
    say(f"wrote {path}")


@contextmanager
def showing_progress(*, quiet: bool = False) -> Iterator[ProgressCallback]:
    """A callback that draws a bar with time left on a terminal, and the library's talk beside it."""
    from rich.console import Console
    from rich.logging import RichHandler
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if quiet:
        yield lambda _: None
        return
    bars = Bars(
        TextColumn("{task.description:>7}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=False,
        disable=not console.is_terminal,
    )
    tasks: dict[str, TaskID] = {}

    def draw(progress: Progress) -> None:
        if progress.job not in tasks:
            tasks[progress.job] = bars.add_task(progress.job, total=progress.total, note="")
        bars.update(tasks[progress.job], completed=progress.done, total=progress.total, note=progress.note)

    logger = logging.getLogger("llm_mri_store")
    handler = RichHandler(console=console, show_time=False, show_level=False, show_path=False, markup=False)
    logger.addHandler(handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    try:
        with bars:
            yield draw
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
