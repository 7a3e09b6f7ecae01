"""Known vulnerabilities of the pinned versions, where their data can be reached: ``make audit``.

Exit code 1 if a pinned version has one, and if pip-audit fails by itself. Where nothing could be asked (a
machine without network), that is said in one sentence and is no failure.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

CONSTRAINTS = Path(__file__).resolve().parent.parent / "constraints.txt"
LONGEST_S = 300
# How pip-audit ends when the service does not answer, or answers with something else than its data: of these
# exceptions it translates only some.
UNREACHABLE = re.compile(
    r"^requests\.exceptions\.\w+|^pip_audit\._service\.interface\.(ServiceError$|ConnectionError)"
    r"|Could not connect to PyPI's vulnerability feed|PyPI is not redirecting properly",
    re.MULTILINE,
)


def main() -> int:
    """Asks, tells, and gives the exit code."""
    # Versions are pinned, so that nothing need be resolved.
    asking = "-m pip_audit --format json --progress-spinner off --timeout 10 --no-deps --disable-pip".split()
    command = [sys.executable, *asking, "--requirement", str(CONSTRAINTS)]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        print(f"not audited: no answer within {LONGEST_S} seconds")
        return 0
    code, words = verdict(ran.stdout, ran.stderr)
    print(words)
    return code


def verdict(report: str, talk: str) -> tuple[int, str]:
    """Exit code and words for what pip-audit reported.

    Args:
        report: its JSON; anything else where it could not ask, or failed.
        talk: what it said on stderr.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        reached_none = UNREACHABLE.search(talk)
        if reached_none is None:
            return 1, f"pip-audit failed:\n{talk.strip()[-2000:]}"
        line = talk[reached_none.start() :].splitlines()[0]
        return 0, f"not audited: the data on vulnerabilities cannot be reached ({line[:200]})"
    asked = [one for one in packages if "vulns" in one]
    if not asked:
        return 0, f"not audited: no data on any of {len(packages)} packages can be reached"
    found = [
        f"{one['name']} {one['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for one in asked
        for flaw in one["vulns"]
    ]
    words = f"{len(asked)} of {len(packages)} packages audited, {len(found)} known vulnerabilities"
    return int(bool(found)), "\n".join([*found, words])


if __name__ == "__main__":
    sys.exit(main())
