"""Hashes of the pinned set, for an install that takes no other file: ``make lock``.

Writes ``requirements.txt`` beside this script from ``constraints.txt``: each version with the sha256 of every
file that the package index offers of it. Where pip takes another build here (torch without CUDA), only that one
is allowed, or pip would prefer what it knows the digest of beforehand.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
CONSTRAINTS = FOLDER.parent / "constraints.txt"
LOCKED = FOLDER / "requirements.txt"
HEAD = "# Made by 'make lock' from constraints.txt: the versions that are tested, and their files' sha256.\n"


def main() -> None:
    """Writes the file."""
    hashes = offered()
    for name, digest in taken_here().items():
        if digest not in hashes[name]:
            hashes[name] = {digest}
    lines = [HEAD]
    for name, pin in pins(CONSTRAINTS.read_text()).items():
        digests = "".join(f" \\\n    --hash=sha256:{digest}" for digest in sorted(hashes[name]))
        lines.append(f"{pin}{digests}\n")
    LOCKED.write_text("".join(lines))
    print(f"{len(lines) - 1} versions, {sum(map(len, hashes.values()))} files")


def canonical(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(text: str) -> dict[str, str]:
    """Package -> ``name==version``, of a requirements file's lines."""
    found = re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", text, re.MULTILINE)
    return {canonical(name): f"{name}=={version}" for name, version in found}


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


def taken_here() -> dict[str, str]:
    """Package -> sha256 of the file that pip would install on this machine."""
    command = "-m pip install --quiet --dry-run --ignore-installed --no-deps --report -".split()
    report = subprocess.run(
        [sys.executable, *command, "--requirement", str(CONSTRAINTS)],
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
