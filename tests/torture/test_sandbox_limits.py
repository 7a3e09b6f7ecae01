"""SQL of others in a process that is watched: no socket, no more memory or time than it is allowed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LIMIT_MIB = 400
MOST_BEYOND_MIB = 300
TIMEOUT_S = 2.0

ENDLESS = (
    "SELECT count(*) FROM range(100000000) AS a, range(100000000) AS b",
    "SELECT count(*) FROM points AS a, points AS b, points AS c, points AS d WHERE a.cell_x + d.cell_y < -9",
    "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t) SELECT count(*) FROM t",
    "SELECT sum(length(md5((a.range * b.range)::VARCHAR))) FROM range(10000000) AS a, range(10000000) AS b",
    "EXPLAIN ANALYZE SELECT count(*) FROM range(100000000) AS a, range(100000000) AS b",
)
HUNGRY = (
    "SELECT count(DISTINCT hash(i)) FROM range(1000000000) AS t(i)",
    "SELECT list(i) FROM range(1000000000) AS t(i)",
    "SELECT i, hash(i) AS h FROM range(1000000000) AS t(i) ORDER BY h",
    "SELECT a.text, count(*) FROM samples AS a, range(100000000) AS b GROUP BY a.text, b.range",
    "SELECT string_agg(i::VARCHAR, ',') FROM range(1000000000) AS t(i)",
    "SELECT range FROM range(1000000000000)",
)

DRIVER = """
import ctypes, json, sys, tempfile, time
from pathlib import Path
from llm_mri_store.errors import LlmMriError, QueryTimeout
from llm_mri_store.store import sandbox
from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.selection import select
from tests.store.stores import random_store, tree_digest, write_quality
from tests.store.test_sandbox import ATTACKS, HARMLESS
from tests.torture.test_sandbox_limits import ENDLESS, HUNGRY, LIMIT_MIB, TIMEOUT_S

store = random_store(Path(sys.argv[1]) / "store", n=200, n_layers=2)
write_quality(store, "big")
file, out = store.scan("big").chunk(0) / "samples.parquet", Path(sys.argv[1]) / "out"
before = tree_digest(Path(sys.argv[1]))
sandbox._MEMORY_LIMIT, sandbox._TEMP_LIMIT, sandbox._MOST_BYTES = f"{LIMIT_MIB}MiB", "200MiB", 64 * 2**20

def ask(query, timeout_s):
    begun = time.monotonic()
    try:
        sandbox.run(select(store), query, timeout_s=timeout_s)
        return None, time.monotonic() - begun
    except LlmMriError as error:
        return error, time.monotonic() - begun

def peak_mib():
    # Not getrusage: its peak is also that of the process that started this one.
    words = Path("/proc/self/status").read_text()
    return int(words.partition("VmHWM:")[2].split()[0]) / 1024

attacks = [one.replace("FILE", str(file)).replace("OUT", str(out)) for one in [*ATTACKS, *HARMLESS]]
n = int(sys.argv[2])
attacks = attacks[:: max(1, len(attacks) // n)]
refused = [error for error, _ in (ask(one, 20) for one in attacks) if error is not None]
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
at_rest = peak_mib()
hungry = [type(ask(one, min(20, n))[0]).__name__ for one in HUNGRY[:n]]
growth = peak_mib() - at_rest
endless = [(type(error).__name__, seconds) for error, seconds in (ask(one, TIMEOUT_S) for one in ENDLESS[:n])]
print(json.dumps({
    "attacks": len(attacks), "refused": len(refused), "sockets": ctypes.CDLL(None).faults_sockets(),
    "hungry": hungry, "growth in MiB": growth, "endless": endless,
    "is untouched": tree_digest(Path(sys.argv[1])) == before,
}))
"""

pytestmark = pytest.mark.timeout(3600)


def test_sql_of_others_opens_no_socket_and_keeps_its_limits(tmp_path, shim, is_full, figures):
    ran = subprocess.run(
        [sys.executable, "-c", DRIVER, tmp_path, "1000" if is_full else "2"],
        env={**os.environ, "LD_PRELOAD": str(shim)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert ran.stdout.count("\n") == 1, "something else was printed"
    found = json.loads(ran.stdout)
    assert found["sockets"] == 0
    assert found["is untouched"]
    assert set(found["hungry"]) <= {"QueryError", "QueryTimeout"}
    assert found["growth in MiB"] < LIMIT_MIB + MOST_BEYOND_MIB
    for error, seconds in found["endless"]:
        assert error == "QueryTimeout"
        assert seconds < TIMEOUT_S + (0.5 if is_full else 5)
    figures["sandbox"] = {
        **found,
        "memory limit in MiB": LIMIT_MIB,
        "endless": [round(seconds, 2) for _, seconds in found["endless"]],
    }
