"""The command group, and the one place where our errors become a sentence and an exit code."""

from __future__ import annotations

import sys
from typing import Any, Final, NoReturn

import click

from llm_mri_store.cli.demo import demo
from llm_mri_store.cli.imports import import_
from llm_mri_store.cli.inference import compare, contrast, edges, information
from llm_mri_store.cli.plots import plot
from llm_mri_store.cli.probe import probe
from llm_mri_store.cli.questions import graph, heatmap, metrics
from llm_mri_store.cli.reductions import reduce
from llm_mri_store.cli.repair import repair
from llm_mri_store.cli.report import report
from llm_mri_store.cli.scans import ls, prune, rm, scan, show, verify
from llm_mri_store.cli.serve import serve
from llm_mri_store.cli.sites import sites
from llm_mri_store.cli.sql import sql
from llm_mri_store.errors import LlmMriError, QueryError
from llm_mri_store.records.words import visible

_MOST_CHARACTERS: Final = 4000


class _Shell(click.Group):
    """Commands in the order of a day's work; a user's mistake is a sentence and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except QueryError as error:
            # DuckDB's words show the place in the SQL, over several lines.
            fail(str(error))
        except LlmMriError as error:
            fail(str(error).replace("\n", "\\n"))
        except BrokenPipeError:
            # The reader of our output has gone (head, less): not an error.
            sys.stderr.close()
            sys.exit(0)
        except KeyboardInterrupt:
            fail("interrupted; what was committed is kept, and the same command goes on from there", code=130)


def fail(message: str, *, code: int = 1) -> NoReturn:
    """Says what went wrong on stderr and ends."""
    words = visible(message)
    shown = words if len(words) <= _MOST_CHARACTERS else f"{words[:_MOST_CHARACTERS]} ..."
    click.echo(f"llm-mri: {shown}", err=True)
    sys.exit(code)


@click.group(
    cls=_Shell,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="llm-mri-store", prog_name="llm-mri")
def main() -> None:
    """A brain scanner for transformers that remembers.

    Scan a labelled corpus once; ask where its categories live, layer by layer, as often as you like:
    in SQL, as maps and graphs, or from Python.
    """


for command in (
    demo,
    sites,
    scan,
    import_,
    reduce,
    ls,
    show,
    verify,
    repair,
    prune,
    rm,
    heatmap,
    graph,
    metrics,
    contrast,
    edges,
    compare,
    information,
    probe,
    plot,
    report,
    serve,
    sql,
):
    main.add_command(command)
