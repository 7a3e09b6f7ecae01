"""``llm-mri sql``."""

from __future__ import annotations

from pathlib import Path

import click

from llm_mri_store.cli.options import format_option, open_store, output_option, store_option
from llm_mri_store.cli.output import print_rows


@click.command()
@click.argument("query", required=False)
@store_option
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of the query; repeatable.",
)
@click.option(
    "--scan",
    "scans",
    multiple=True,
    metavar="SCAN[/REDUCTION]",
    help="Scan whose views are seen; several stand side by side, each in a schema of its name.",
)
@click.option("-r", "--reduction", help="Reduction of the (first) scan.")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds a SELECT may run.")
@click.option("--list", "show_list", is_flag=True, help="List the named queries.")
@click.option(
    "--show", "show_query", is_flag=True, help="Print the SQL of a named query instead of running it."
)
@format_option
@output_option(".csv .json .parquet")
def sql(
    query: str | None,
    store_path: Path | None,
    params: tuple[str, ...],
    scans: tuple[str, ...],
    reduction: str | None,
    timeout: float,
    show_list: bool,
    show_query: bool,
    form: str,
    output: Path | None,
) -> None:
    """Ask the store in SQL: a SELECT, or the NAME of a named query.

    Views: scans, reductions, samples, activations, points, layers. Read-only; nothing but these can be
    reached.

    \b
    llm-mri sql 'SELECT label, count(*) AS n FROM samples GROUP BY label ORDER BY n'
    llm-mri sql heatmap -p layer=6 -p label=cooking
    """  # noqa: D301 - click wants the character itself
    store = open_store(store_path)
    if show_list:
        for named in store.queries.values():
            click.echo(f"{named.name:<20} {named.answers}")
        return
    if query is None:
        raise click.UsageError("give a SELECT or the name of a query (see --list)")
    if show_query:
        click.echo(store.queries[query].text, nl=False)
        return
    values = parse_parameters(params)
    rows = store.sql(query, values, scan=scans, reduction=reduction, timeout_s=timeout)
    print_rows(rows, form, output)


def parse_parameters(params: tuple[str, ...]) -> dict[str, str]:
    """``name=value`` words as a dictionary.

    >>> parse_parameters(("layer=6", "label=a=b"))
    {'layer': '6', 'label': 'a=b'}
    """
    values = {}
    for words in params:
        name, equals, value = words.partition("=")
        if not equals or not name.isidentifier():
            raise click.UsageError(f"-p takes NAME=VALUE, got {words!r}")
        values[name] = value
    return values
