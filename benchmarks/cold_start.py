"""What a named query costs from a cold shell, beside the imports it cannot do without."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from timing import in_turn, report

from llm_mri_store.api.demo import run_demo


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        run_demo(Path(folder))
        shell = [str(Path(sys.executable).with_name("llm-mri")), "sql"]
        store = ["--store", f"{folder}/store", "--format", "csv"]
        ways = {
            "import click, duckdb, pyarrow": [sys.executable, "-c", "import click, duckdb, pyarrow"],
            "llm-mri sql heatmap -p layer=6": [*shell, "heatmap", "-p", "layer=6", *store],
            "llm-mri sql 'SELECT ... FROM samples'": [*shell, "SELECT count(*) AS n FROM samples", *store],
            "llm-mri --help": [shell[0], "--help"],
        }
        runs = {
            name: lambda words=words: subprocess.run(words, check=True, capture_output=True)
            for name, words in ways.items()
        }
        report("Cold start", in_turn(runs, rounds=11), reference="import click, duckdb, pyarrow")


if __name__ == "__main__":
    main()
