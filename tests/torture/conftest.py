"""Torture: what the store promises, tried in a small form by ``make test`` and in full by ``make torture``.

Figures of a full run are gathered in ``torture.json``; docs/reliability.md shows them.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def pytest_addoption(parser):
    parser.addoption("--torture", action="store_true", help="the full form, which takes its time")


@pytest.fixture(scope="session")
def is_full(request):
    """True in the full form."""
    return bool(request.config.getoption("--torture", default=False))


@pytest.fixture(scope="session")
def figures(is_full, request):
    """What a full run came to, by name; written when it ends."""
    found = {}
    yield found
    if is_full and found:
        path = Path(request.config.rootpath) / "torture.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**known, **found}, indent=1) + "\n")


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The shim of ``faults.c``, compiled: a library to be loaded before libc (LD_PRELOAD)."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("no C compiler, or not Linux")
    library = tmp_path_factory.mktemp("shim") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library
