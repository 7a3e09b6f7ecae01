"""What is installed for a check: pinned, hashed, and asked about where that can be."""

import importlib.util
import json
import re
import tomllib
from itertools import chain, pairwise
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CI = REPOSITORY / ".ci"


def script(name):
    """A script of the folder ``.ci`` as a module."""
    spec = importlib.util.spec_from_file_location(name, CI / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lock():
    return script("lock")


@pytest.fixture(scope="module")
def audit():
    return script("audit")


def test_the_hashed_versions_are_those_that_are_pinned(lock):
    pinned = lock.pins((REPOSITORY / "constraints.txt").read_text())
    assert lock.pins((CI / "requirements.txt").read_text()) == pinned
    assert len(pinned) > 100


def test_every_version_has_a_digest_and_nothing_else_is_named():
    lines = (CI / "requirements.txt").read_text().splitlines()[1:]
    line_forms = re.compile(r"[A-Za-z0-9._-]+==[^\s\\;]+ \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lines if not line_forms.fullmatch(line)] == []
    for line, following in pairwise(lines):
        assert not line.endswith("\\") or following.startswith(" ")


def test_every_dependency_is_pinned(lock):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {lock.canonical(re.match(r"[A-Za-z0-9._-]+", one)[0]) for one in wanted}
    assert names - set(lock.pins((REPOSITORY / "constraints.txt").read_text())) == set()


def report(*packages):
    return json.dumps({"dependencies": list(packages), "fixes": []})


SOUND = {"name": "click", "version": "8.5.1", "vulns": []}
FLAWED = {"name": "torch", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1", "2.0"]}]}
UNKNOWN = {"name": "rich", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("told", "talk", "code", "words"),
    [
        (report(SOUND), "", 0, "1 of 1 packages audited, 0 known vulnerabilities"),
        (report(SOUND, UNKNOWN), "", 0, "1 of 2 packages audited"),
        (report(SOUND, FLAWED), "", 1, "torch 1.0: CVE-1, mended in 1.1, 2.0\n2 of 2 packages audited"),
        (report(UNKNOWN), "", 0, "not audited: no data on any of 1 packages can be reached"),
        ("", "Traceback\nrequests.exceptions.ProxyError: no route", 0, "not audited: .*no route"),
        ("", "Traceback\npip_audit._service.interface.ServiceError", 0, "not audited: .*cannot be reached"),
        ("", "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed\nTip", 0, "not audited"),
        ("", "pip-audit: error: unrecognized arguments: --nonsense", 1, "pip-audit failed:\n.*nonsense"),
        ("", "ERROR:pip_audit._cli:requirement click is not pinned", 1, "pip-audit failed"),
        ("", "", 1, "pip-audit failed"),
        ("[]", "", 1, "pip-audit failed"),
    ],
)  # fmt: skip
def test_a_known_flaw_fails_and_no_answer_is_said_to_be_none(audit, told, talk, code, words):
    found_code, found_words = audit.verdict(told, talk)
    assert found_code == code
    assert re.match(words, found_words)
