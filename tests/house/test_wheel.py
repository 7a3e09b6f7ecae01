"""The wheel, installed alone, is whole."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    words = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(out),
        str(REPOSITORY),
    ]
    subprocess.run(words, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_carries_every_sql_file_the_demo_corpus_and_the_page(wheel):
    packed = set(zipfile.ZipFile(wheel).namelist())
    for path in (REPOSITORY / "sql").rglob("*.sql"):
        assert f"llm_mri_store/sql/{path.relative_to(REPOSITORY / 'sql').as_posix()}" in packed
    assert "llm_mri_store/extraction/demo_corpus.jsonl" in packed
    for name in ("page.html", "page.css", "page.js", "explorer.html", "explorer.js", "explorer_source.js"):
        assert f"llm_mri_store/report/assets/{name}" in packed
    assert not [name for name in packed if name.startswith(("tests", "docs", "notebooks", "benchmarks"))]


def test_the_wheel_works_in_a_fresh_environment(wheel, tmp_path):
    """Its own code comes from the wheel only; what it depends on, from this environment, by a path."""
    venv.create(tmp_path / "fresh", with_pip=False)
    python = tmp_path / "fresh" / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "fresh")}))
    words = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*words, str(wheel)], check=True, capture_output=True)
    # A plain path runs no .pth of that folder, so the editable install of the checkout stays out.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str) -> str:
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
        )
        return done.stdout

    where = run(str(python), "-c", "import llm_mri_store; print(llm_mri_store.__file__)")
    assert Path(where.strip()).is_relative_to(tmp_path / "fresh")
    listed = run(str(tmp_path / "fresh" / "bin" / "llm-mri"), "sql", "--list")
    for path in (REPOSITORY / "sql" / "queries").glob("*.sql"):
        assert f"\n{path.stem} " in f"\n{listed}"
