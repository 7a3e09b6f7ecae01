"""Writes the generated parts of the documentation, or with ``--check`` fails where they are out of date.

Generated: the help in README.md, docs/commands.md, docs/queries.md. The picture in the README is
redrawn by ``--images`` from the demo's store.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import click

from llm_mri_store.cli import main
from llm_mri_store.store.queries import Parameter, named_query, query_names

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 100


def help_of(command: click.Command, path: str) -> str:
    """What ``path --help`` prints."""
    context = click.Context(command, info_name=path, terminal_width=WIDTH, **main.context_settings)
    return command.get_help(context)


def readme() -> str:
    """README.md with the shell's help as it is now."""
    text = (ROOT / "README.md").read_text()
    block = f"<!-- help -->\n```text\n{help_of(main, 'llm-mri')}\n```\n<!-- /help -->"
    return re.sub(r"<!-- help -->.*<!-- /help -->", lambda _: block, text, flags=re.DOTALL)


def commands() -> str:
    """docs/commands.md: the help of every command."""
    parts = ["# Commands\n\nGenerated from the commands' own help by `docs/build.py`.\n"]
    for name, command in main.commands.items():
        parts.append(f"## llm-mri {name}\n\n```text\n{help_of(command, f'llm-mri {name}')}\n```\n")
    return "\n".join(parts)


def queries() -> str:
    """docs/queries.md: what the header of every named query says."""
    parts = [
        "# Named queries\n\n"
        "Generated from the headers of the files in `sql/queries` by `docs/build.py`. Run one with\n"
        "`llm-mri sql NAME -p parameter=value`, `store.sql(NAME, {...})` or `reduction.ask(NAME, ...)`.\n"
    ]
    for name in query_names():
        query = named_query(name)
        parts.append(f"## {name}\n\n{query.answers}\n\nSource: {query.source}.\n")
        if query.parameters:
            rows = [
                f"| `{one.name}` | {one.type} | {_default(one)} | {one.meaning} |" for one in query.parameters
            ]
            parts.append(
                "| parameter | type | default | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
            )
        rows = [f"| `{one.name}` | {one.type} | {one.meaning} |" for one in query.columns]
        parts.append("| column | type | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def _default(parameter: Parameter) -> str:
    value = parameter.default
    if parameter.is_required:
        return "none: it must be given"
    if value is None:
        return "NULL"
    return str(value).lower() if isinstance(value, bool) else str(value)


PAGES = {"README.md": readme, "docs/commands.md": commands, "docs/queries.md": queries}


def draw_images() -> None:
    """Redraws the README's picture from the demo's store, which ``make demo`` has made."""
    from llm_mri_store import Store, save_chart

    reduction = Store(ROOT / "llm-mri-demo" / "store").reduction()
    save_chart(reduction.plot.heatmaps(), ROOT / "docs" / "images" / "demo-layers.png", scale=1)


def build() -> int:
    """Writes or checks the pages; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where a page is out of date"
    )
    parser.add_argument("--images", action="store_true", help="redraw the picture as well")
    options = parser.parse_args()
    stale = []
    for name, make in PAGES.items():
        path, text = ROOT / name, make()
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not options.check:
                path.write_text(text)
    if options.images:
        draw_images()
    if options.check and stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run python docs/build.py\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(build())
