"""Runs acts on copies of a store while one call of the operating system fails, each in a process of its own.

Started with the shim of ``faults.c`` loaded: ``python -m tests.torture.every_call PLAN OUT``. It imports what
is heavy once and forks for each try, with no thread of its own running.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MODES = {"EIO": 1, "ENOSPC": 2, "ENOSPC from there": 3, "exit before": 4, "exit within": 5}
EXITED = 42
LONGEST_S = 60
MANY_CALLS = 60
"""Of an act of more calls, only every third try is followed by the act undisturbed."""
PASSING = ("created", "digest")
"""Fields of a record that differ between two commits of the same."""


# --- what is done to a store ------------------------------------------------------------------------------


def create(room: Path) -> None:
    from llm_mri_store.store.catalogue import ensure_store

    ensure_store(room / "store")


def scan(room: Path) -> None:
    from llm_mri_store import Store

    Store(room / "store").scan(
        room.parent / "model",
        room.parent / "texts.jsonl",
        name="news",
        pooling="mean",
        chunk_samples=8,
        device="cpu",
    )


def reduce(room: Path) -> None:
    from llm_mri_store import Store

    Store(room / "store").find("news").reduce("pca", grid=3, name="other")


def keep(room: Path) -> None:
    from llm_mri_store import Store

    Store(room / "store").find("news").quality()


def prune(room: Path) -> None:
    from llm_mri_store import Store

    Store(room / "store").prune("news")


def remove_scan(room: Path) -> None:
    from llm_mri_store import Store

    Store(room / "store").remove("news")


def remove_reduction(room: Path) -> None:
    from llm_mri_store import Store

    Store(room / "store").remove("news/pca-2")


def repair(room: Path) -> None:
    from llm_mri_store import Store

    Store(room / "store").repair("news")


def export(room: Path) -> None:
    from llm_mri_store import Store, save_chart

    save_chart(Store(room / "store").reduction("news/pca-2").plot.heatmap(layer=1), room / "map.json")


def report(room: Path) -> None:
    from llm_mri_store import Store

    Store(room / "store").reduction("news/pca-2").report(room / "report.html", probe=False, n_permutations=19)


ACTS: dict[str, Callable[[Path], None]] = {
    act.__name__: act
    for act in (create, scan, reduce, keep, prune, remove_scan, remove_reduction, repair, export, report)
}


# --- what can be seen of it afterwards --------------------------------------------------------------------


def unit_of(name: str) -> str:
    """The part of a store that a file was committed with."""
    folders = name.split("/")[:-1]
    for kind, depth in (("results", 3), ("reductions", 2), ("chunks", 2)):
        if kind in folders:
            return "/".join(folders[: folders.index(kind) + depth])
    return name


def visible(room: Path) -> dict[str, dict[str, str]]:
    """Unit -> file -> what it holds, of all that is no work in progress."""
    from llm_mri_store.store.files import sha256_of

    units: dict[str, dict[str, str]] = {}
    for path in sorted(room.rglob("*")):
        name = path.relative_to(room).as_posix()
        if "/_staging/" in f"/{name}" or path.name.startswith(".") or not path.is_file():
            continue
        content = sha256_of(path)
        if path.suffix == ".html":
            # A page tells when it was made.
            content = "whole" if path.read_text().endswith("</html>\n") else content
        if path.suffix == ".json" and name.startswith("store/"):
            fields = json.loads(path.read_bytes() or b"{}")
            content = json.dumps({key: value for key, value in fields.items() if key not in PASSING})
        units.setdefault(unit_of(name), {})[name] = content
    return units


def looked_at(room: Path) -> dict[str, Any]:
    """What is visible, what ``verify`` says of it, and what lies about."""
    from llm_mri_store.store.catalogue import open_store
    from llm_mri_store.store.verify import verify_store

    store = room / "store"
    return {
        "visible": visible(room),
        "problems": [one.where for one in verify_store(open_store(store))]
        if (store / "store.json").exists()
        else [],
        "hidden": sorted(path.name for path in room.glob(".*")),
        "staged": sorted(
            path.relative_to(store).as_posix()
            for path in store.glob("_staging/*")
            if path.name != "_locks" or [one for one in path.iterdir() if one.suffix != ".lock"]
        ),
    }


# --- processes --------------------------------------------------------------------------------------------


def forked(work: Callable[[], Any]) -> tuple[int, Any]:
    """Exit code of a child that did the work, and what it gave; -1 for one that took too long."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        code = 1
        try:
            os.write(writer, json.dumps(work()).encode())
            code = 0
        except BaseException:  # noqa: BLE001 - whatever it was, the parent is told
            os.write(writer, json.dumps(traceback.format_exc()).encode())
        finally:
            os._exit(code)
    os.close(writer)
    signal.alarm(LONGEST_S)
    try:
        with os.fdopen(reader, "rb") as pipe:
            told = pipe.read()
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return -1, "it took too long"
    finally:
        signal.alarm(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), json.loads(told) if told else None


def over(*_: object) -> None:
    raise TimeoutError


def done(shim: Any, act: Callable[[Path], None], room: Path, *, k: int, mode: int, log: str = "") -> Any:
    """Does an act with the k-th call failing; its error, and how many calls there were."""
    from llm_mri_store.errors import LlmMriError

    error = None
    shim.faults_arm(os.fsencode(room), ctypes.c_long(k), mode, os.fsencode(log))
    try:
        act(room)
    except LlmMriError as ours:
        error = str(ours)
    finally:
        shim.faults_disarm()
    return {"error": error, "calls": shim.faults_count()}


def tries(
    shim: Any, folder: Path, name: str, wanted: dict[str, list[int] | None]
) -> Iterator[dict[str, Any]]:
    """An act undisturbed, then once for each mode and call of ``wanted`` (None: all calls)."""
    act, template = ACTS[name], folder / "templates" / name
    room = folder / "room"

    def fresh() -> Path:
        shutil.rmtree(room, ignore_errors=True)
        shutil.copytree(template, room)
        return room

    log = folder / f"{name}.log"
    log.unlink(missing_ok=True)
    _, before = forked(lambda: looked_at(template))
    code, whole = forked(lambda: done(shim, act, fresh(), k=0, mode=0, log=str(log)))
    assert code == 0, whole
    assert whole["error"] is None, whole
    shutil.copytree(room, folder / "after" / name)
    _, after = forked(lambda: looked_at(room))
    n_calls = whole["calls"]
    yield {"act": name, "calls": n_calls, "before": before, "after": after}
    for mode, chosen in wanted.items():
        for k in chosen if chosen is not None else range(1, n_calls + 1):
            place = 1 + (k - 1) % n_calls
            fresh()
            begun = time.monotonic()
            code, told = forked(
                lambda place=place, mode=mode: done(shim, act, room, k=place, mode=MODES[mode])
            )
            looked, seen = forked(lambda: looked_at(room))
            assert looked == 0, seen
            is_repeated = n_calls < MANY_CALLS or place % 3 == 0
            again, error = forked(lambda: done(shim, act, room, k=0, mode=0)) if is_repeated else (0, None)
            looked, end = forked(lambda: looked_at(room)) if is_repeated else (0, None)
            assert looked == 0, end
            yield {
                "act": name, "mode": mode, "k": place, "code": code, "told": told, "seen": seen,
                "again": [again, error], "end": end, "seconds": time.monotonic() - begun,
            }  # fmt: skip


def main(plan: str, out: str) -> None:
    """Does what a plan says: act -> mode -> calls; one line of JSON for each try."""
    shim = ctypes.CDLL(None)
    signal.signal(signal.SIGALRM, over)
    folder = Path(plan).parent
    with open(out, "w") as file:
        for name, wanted in json.loads(Path(plan).read_text()).items():
            for found in tries(shim, folder, name, wanted):
                file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    import tests.store.processes_preload  # noqa: F401 - once for all children

    main(*sys.argv[1:])
