"""What is imported when: torch only where a model runs."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "transformers", "datasets", "tokenizers", "umap", "numba", "sklearn", "altair"}


def loaded_by(code: str, *, cwd) -> set[str]:
    """Top-level modules that a fresh process holds after running the code."""
    names = "{name.partition('.')[0] for name in sys.modules}"
    script = f"{code}\nimport sys\nprint('\\n' + ' '.join({names}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=cwd)
    return set(done.stdout.splitlines()[-1].split())


SHELL = "from click.testing import CliRunner\nfrom llm_mri_store.cli import main\nrun = CliRunner().invoke\n"


def test_the_package_loads_nothing_heavy(tmp_path):
    modules = loaded_by("import llm_mri_store", cwd=tmp_path)
    assert not modules & {*HEAVY, "duckdb", "pyarrow", "numpy", "pandas", "networkx"}


def test_help_loads_nothing_heavy(tmp_path):
    code = SHELL + "assert run(main, ['--help']).exit_code == 0"
    assert not loaded_by(code, cwd=tmp_path) & {*HEAVY, "duckdb", "pyarrow", "numpy", "pandas"}


@pytest.mark.parametrize(
    "words",
    [
        ["sql", "heatmap", "-p", "layer=2"],
        ["sql", "SELECT count(*) AS n FROM samples"],
        ["ls"],
        ["show"],
        ["heatmap", "--layer", "2"],
        ["verify"],
        ["contrast", "a", "b", "--permutations", "19"],
        ["information", "--permutations", "19"],
    ],
)
def test_asking_the_store_loads_no_model_library(tiny_store, words):
    asked = [*words, "--store", str(tiny_store)]
    code = SHELL + f"done = run(main, {asked!r})\nassert done.exit_code == 0, done.output"
    assert not loaded_by(code, cwd=tiny_store) & HEAVY


def test_a_named_query_loads_only_what_it_needs(tiny_store):
    words = ["sql", "heatmap", "-p", "layer=2", "--store", str(tiny_store)]
    code = SHELL + f"assert run(main, {words!r}).exit_code == 0"
    assert not loaded_by(code, cwd=tiny_store) & {*HEAVY, "networkx", "scipy", "pandas"}


def test_graphs_and_metrics_load_no_model_library(tiny_store):
    words = ["metrics", "--store", str(tiny_store)]
    code = SHELL + f"done = run(main, {words!r})\nassert done.exit_code == 0, done.output"
    assert not loaded_by(code, cwd=tiny_store) & {"torch", "transformers", "datasets", "umap"}
