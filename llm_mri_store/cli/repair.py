"""``llm-mri repair``: what is damaged goes, so that the same commands make it anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_mri_store.cli.options import open_store, quiet_option, scan_argument, store_option
from llm_mri_store.cli.output import print_rows, say, showing_progress

if TYPE_CHECKING:
    from llm_mri_store.api.store import Store
    from llm_mri_store.api.table import Table
    from llm_mri_store.records.jobs import LostPart


@click.command()
@scan_argument
@store_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@quiet_option
def repair(scan_name: str | None, store_path: Path | None, yes: bool, quiet: bool) -> None:
    """Remove damaged chunks, reductions and results, so that the same commands make them anew.

    Checks every file as verify does, shows what would go, and asks. Sound parts stay: the same scan command
    then makes only the chunks that are gone. Exit code 1 if something is left that removing does not mend.
    """
    store = open_store(store_path)
    left = 0
    for name in [scan_name] if scan_name is not None else list(store.scans):
        left += _repair(store, name, yes=yes, quiet=quiet)
    if left:
        raise SystemExit(1)


def _repair(store: Store, name: str, *, yes: bool, quiet: bool) -> int:
    """Repairs one scan; how many problems are left."""

    def agree(parts: Sequence[LostPart]) -> bool:
        print_rows(_parts_table(parts), "table")
        n = f"{len(parts)} part{'s' if len(parts) > 1 else ''}"
        return yes or click.confirm(
            f"Remove {n} of scan {name}? What is damaged cannot be read anyway", err=True
        )

    # Without a bar: a question may stand below it.
    with showing_progress(quiet=True) as progress:
        removed, left = store.repair(name, agree=agree, progress=progress)
    if not quiet:
        for one in removed:
            say(f"removed {one.where}; {one.remedy}")
        if not removed and not left:
            say(f"scan {name}: every file is as it was committed")
    for problem in left:
        say(f"left: {problem.where}: {problem.what}")
    return len(left)


def _parts_table(parts: Sequence[LostPart]) -> Table:
    """Lost parts as rows."""
    import pyarrow as pa

    from llm_mri_store.api.table import Table

    rows = [{"part": one.where, "kind": one.kind, "why": one.why, "made again": one.remedy} for one in parts]
    return Table(pa.Table.from_pylist(rows))
