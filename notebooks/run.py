"""Runs the notebooks from a clean kernel, in an empty folder, and keeps their outputs.

With ``--check`` nothing is written: it fails where a notebook does not run, was committed without
its outputs, or shows other text than it does now.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    return notebook


def shown_text(notebook: nbformat.NotebookNode) -> list[str]:
    """The text a reader sees below each code cell, without pictures and times."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        outputs = [
            one.get("text") or one.get("data", {}).get("text/plain", "")
            for one in cell.get("outputs", [])
            if one.get("name") != "stderr"
        ]
        # Addresses and the last digits of floats differ between machines.
        text = re.sub(r"0x[0-9a-f]+", "0x", "".join(outputs))
        texts.append(re.sub(r"(\d\.\d{2})\d+", r"\1", text))
    return texts


def run() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail where outputs are out of date"
    )
    options = parser.parse_args()
    failed = False
    for path in sorted(HERE.glob("*.ipynb")):
        committed = nbformat.read(path, as_version=4)
        try:
            fresh = execute(path)
        except CellExecutionError as error:
            sys.stderr.write(f"{path.name} does not run: {error}\n")
            failed = True
            continue
        if not options.check:
            nbformat.write(fresh, path)
        elif shown_text(committed) != shown_text(fresh):
            sys.stderr.write(f"{path.name} shows other text now; run python notebooks/run.py\n")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(run())
