"""What the README says is so."""

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.shell import shell

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def reviews(tmp_path):
    """The ``reviews.csv`` of the README, in the working directory."""
    praise = [
        "lovely food and a warm welcome",
        "the best bread in town",
        "quick, kind and fair",
        "we will return",
    ]
    complaint = ["cold soup and a long wait", "the bill was wrong twice", "rude at the door", "never again"]
    with (tmp_path / "reviews.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows([text, "praise"] for text in praise * 3)
        writer.writerows([text, "complaint"] for text in complaint * 3)
    return tmp_path


def block(language: str, *, after: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)
    assert found
    return found[1]


@pytest.mark.model
def test_the_python_example_runs(reviews, minilm):
    example = block("python", after="## From Python")
    assert HUB_ID in example
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example.replace(HUB_ID, str(minilm))],
        capture_output=True,
        text=True,
        check=False,
        cwd=reviews,
    )
    assert done.returncode == 0, done.stderr
    assert (reviews / "graph.html").stat().st_size > 10_000
    assert len(example.strip().splitlines()) <= 12


@pytest.mark.model
def test_the_shell_example_runs(reviews, minilm):
    for line in block("sh", after="## From the shell").strip().splitlines():
        program, *words = shlex.split(line.replace(HUB_ID, str(minilm)))
        assert program == "llm-mri"
        done = shell(*words)
        assert done.exit_code == 0, f"{line}\n{done.output}"


def test_generated_pages_are_up_to_date():
    words = [sys.executable, str(REPOSITORY / "docs" / "build.py"), "--check"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_link_leads_somewhere():
    pages = [REPOSITORY / "README.md", *(REPOSITORY / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_two_commands_are_make_targets():
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in ("demo", "test", "check", "notebooks", "bench"):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    assert os.access(REPOSITORY / ".ci" / "run", os.X_OK)
