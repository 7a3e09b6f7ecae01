"""Hashes of the pinned set, for an install that takes no other file: ``make lock``.

Writes ``requirements.txt`` beside this script from ``constraints.txt``: each version with the sha256 of every
file that the package index offers of it, and of the file that pip takes here, which may be another build.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
CONSTRAINTS = FOLDER.parent / "constraints.txt"
LOCKED = FOLDER / "requirements.txt"
HEAD = "# Made by 'make lock' from constraints.txt: the versions that are tested, and their files' sha256.\n"


def main() -> None:
    """Writes the file."""
    versions = pins(CONSTRAINTS.read_text())
    hashes = offered()
    own = {
        name: digest
        for name, digest in taken_here(list(versions.values())).items()
        if digest not in hashes[name]
    }
    # Where pip takes a build of another source, the index's file for this platform must go: in hash mode pip
    # prefers a file whose digest its index states, and would leave the other.
    both = [requirement(versions[name], {*hashes[name], digest}) for name, digest in own.items()]
    for name, digest in taken_here(both).items() if both else ():
        hashes[name].discard(digest)
    for name, digest in own.items():
        hashes[name].add(digest)
    lines = [HEAD, *(requirement(pin, hashes[name]) for name, pin in versions.items())]
    LOCKED.write_text("".join(lines))
    print(f"{len(lines) - 1} versions, {sum(map(len, hashes.values()))} files")


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Package -> ``name==version``, of a requirements file's lines."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", text, re.MULTILINE)
    return {canonical(name): f"{name}=={version}" for name, version in found}


def requirement(pin: str, digests: set[str]) -> str:
    """The lines of one pinned version: its sha256 digests in order."""
    return pin + "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(digests)) + "\n"


def offered() -> dict[str, set[str]]:
    """Package -> sha256 of each file that the index offers of the pinned version."""
    # The certificates that pip trusts, where the machine names some.
    trusted = {"SSL_CERT_FILE": os.environ["PIP_CERT"]} if "PIP_CERT" in os.environ else {}
    command = "-m uv pip compile --quiet --no-deps --generate-hashes --no-header --no-annotate".split()
    compiled = subprocess.run(
        [sys.executable, *command, str(CONSTRAINTS)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **trusted},
    ).stdout
    hashes: dict[str, set[str]] = {}
    for block in re.split(r"\n(?=\S)", compiled):
        for name in pins(block):
            hashes[name] = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
    return hashes


def taken_here(requirements: list[str]) -> dict[str, str]:
    """Package -> sha256 of the file that pip would install on this machine for these lines."""
    command = "-m pip install --quiet --dry-run --ignore-installed --no-deps --report -".split()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(requirements))
        file.flush()
        report = subprocess.run(
            [sys.executable, *command, "--requirement", file.name],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    return {
        canonical(one["metadata"]["name"]): one["download_info"]["archive_info"]["hashes"]["sha256"]
        for one in json.loads(report)["install"]
    }


if __name__ == "__main__":
    main()
