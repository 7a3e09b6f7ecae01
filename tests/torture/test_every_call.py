"""A failure or an end at every call of the operating system, and a loss of power after each: before or after.

The calls of Python, Arrow and safetensors alike pass through ``faults.c``.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llm_mri_store.api.store import Store
from tests.conftest import make_records
from tests.models import save_tiny_bert
from tests.torture.every_call import ACTS, MODES, looked_at
from tests.torture.power_loss import WORLDS, disks, read_log, write_world

REPOSITORY = Path(__file__).parents[2]
OF_SEVERAL_COMMITS = {"scan", "prune"}
MAY_NOT_KEEP = {"keep"}
"""What was computed is given all the same where it cannot be kept."""
FEW = ("create", "scan", "reduce", "remove_reduction")
"""Acts of the small form, each with one call in each mode."""
REFUSED_WHEN_GONE = ("is not in store", "is not in scan")

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Model, corpus, and for each act the room it is done in, as it is before."""
    folder = tmp_path_factory.mktemp("calls")
    save_tiny_bert(folder / "model")
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in make_records(16)))
    (folder / "after").mkdir()
    room = folder / "templates" / "reduce"
    room.mkdir(parents=True)
    for name in ("map.json", "report.html"):
        (room / name).write_text("what was there before")
    scan = Store(room / "store").scan(
        folder / "model", folder / "texts.jsonl", name="news", pooling="mean", chunk_samples=8, device="cpu"
    )
    scan.reduce("pca", grid=4)
    for name in ACTS:
        if name != "reduce":
            shutil.copytree(room, folder / "templates" / name)
    for name in ("create", "scan"):
        shutil.rmtree(folder / "templates" / name / "store")
    shutil.rmtree(folder / "templates/keep/store/scans/news/results")
    path = folder / "templates/repair/store/scans/news/chunks/000001/samples.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    # Its tests are there already, so that the page alone is written.
    Store(folder / "templates/report/store").reduction().report(
        folder / "templates/report/other.html", probe=False, n_permutations=19
    )
    return folder


def tried(folder, shim, plan, name):
    """What became of each try of a plan; the first of each act tells what it does undisturbed."""
    plan_path, out = folder / f"{name}.json", folder / f"{name}.jsonl"
    plan_path.write_text(json.dumps(plan))
    shutil.rmtree(folder / "after")
    (folder / "after").mkdir()
    alone = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.torture.every_call", plan_path, out],
        env={**os.environ, **alone, "LD_PRELOAD": str(shim)},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = [json.loads(line) for line in out.read_text().splitlines()]
    for one in found:
        if one["act"] in OF_SEVERAL_COMMITS:
            for state in ("before", "seen", "after", "end"):
                for unit in [
                    name for name in (one.get(state) or {}).get("visible", {}) if "/results/" in name
                ]:
                    # How good the layers are is kept where it can be, else computed when it is asked.
                    del one[state]["visible"][unit]
    return {
        act: (
            next(one for one in found if one["act"] == act and "calls" in one),
            [one for one in found if one["act"] == act and "calls" not in one],
        )
        for act in plan
    }


def assert_before_or_after(act, seen, whole):
    """The state is that before or after; of an act of several commits, that of each part is."""
    before, after = whole["before"]["visible"], whole["after"]["visible"]
    if act in OF_SEVERAL_COMMITS:
        for unit in {*seen["visible"], *before, *after}:
            assert seen["visible"].get(unit) in (before.get(unit), after.get(unit))
        assert seen["problems"] == []
    else:
        assert seen["visible"] in (before, after)
        state = "before" if seen["visible"] == before else "after"
        assert seen["problems"] == whole[state]["problems"]


def assert_whole(act, one, whole):
    """One try: nothing but before or after, told truly, and the same act then ends as undisturbed."""
    before, after = whole["before"]["visible"], whole["after"]["visible"]
    seen, code, told = one["seen"], one["code"], one["told"]
    assert_before_or_after(act, seen, whole)
    if code == 0:
        error = told["error"]
        assert error is None or len(error.splitlines()) == 1
        assert error is not None or seen["visible"] == after or act in MAY_NOT_KEEP
    else:
        assert code == 42, told
        assert one["mode"].startswith("exit")
    again, error = one["again"]
    assert again == 0, error
    if error is None:
        return
    is_gone = seen["visible"] == after != before and error["error"] is not None
    assert error["error"] is None or (is_gone and any(words in error["error"] for words in REFUSED_WHEN_GONE))
    assert one["end"]["visible"] == after
    assert one["end"]["problems"] == whole["after"]["problems"]
    # What was left over waits for the next holder of the lock; one who finds the act done takes none.
    assert one["end"]["staged"] == [] or is_gone or (seen["visible"] == after and error["calls"] == 0)


def test_a_failure_or_an_end_at_any_call_leaves_the_state_before_or_after(folder, shim, is_full, figures):
    rng = random.Random(17)
    plan = {
        act: {mode: None if is_full else [rng.randrange(1, 1000)] for mode in MODES}
        for act in (ACTS if is_full else FEW)
    }
    for act, (whole, tries) in tried(folder, shim, plan, "failures").items():
        assert whole["before"]["visible"] != whole["after"]["visible"]
        assert len(tries) == (whole["calls"] if is_full else 1) * len(plan[act])
        for one in tries:
            try:
                assert_whole(act, one, whole)
            except AssertionError as error:
                raise AssertionError(f"{act}, {one['mode']} at call {one['k']}: {error}") from error
        figures[f"every call: {act}"] = {
            "calls": whole["calls"],
            "tries": len(tries),
            "state before": sum(one["seen"]["visible"] == whole["before"]["visible"] for one in tries),
            "state after": sum(one["seen"]["visible"] == whole["after"]["visible"] for one in tries),
        }


def test_a_loss_of_power_after_any_call_leaves_the_state_before_or_after(folder, shim, is_full, figures):
    plan = {act: {} for act in (ACTS if is_full else FEW)}
    rng = random.Random(19)
    world = folder / "world"
    for act, (whole, _) in tried(folder, shim, plan, "power").items():
        calls = read_log(folder / f"{act}.log", folder / "room")
        assert len(calls) == whole["calls"]
        moments = range(len(calls) + 1)
        chosen = set(moments if is_full else rng.sample(moments, min(3, len(moments))))
        n_worlds = 0
        for place, disk in enumerate(disks(folder / "templates" / act, calls, folder / "after" / act)):
            for kind in WORLDS if place in chosen else ():
                write_world(disk, kind, world)
                seen = looked_at(world)
                seen["visible"] = {
                    unit: files
                    for unit, files in seen["visible"].items()
                    if act not in OF_SEVERAL_COMMITS or "/results/" not in unit
                }
                last = calls[place - 1] if place else None
                try:
                    assert_before_or_after(act, seen, whole)
                except AssertionError as error:
                    raise AssertionError(f"{act}, {kind}, after call {place}, {last}: {error}") from error
                n_worlds += 1
        if is_full:
            # What was told to be done is done: the last world of all is that after.
            assert seen["visible"] == whole["after"]["visible"]
        figures[f"loss of power: {act}"] = {"calls": len(calls), "disks": n_worlds}
