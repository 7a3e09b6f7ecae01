"""The report of a large scan: seconds a section, size of the page, peak memory."""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

from synthetic import write_scan
from timing import machine

from llm_mri_store import Store
from llm_mri_store.records.jobs import Progress

GRID = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=100_000)
    parser.add_argument("--layers", type=int, default=13)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--words", type=int, default=30, help="words of a text, about")
    parser.add_argument("--out", type=Path, help="keep the page here")
    parser.add_argument("--store", type=Path, help="keep the store here, and use it where it is there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = options.store or Path(folder) / "store"
        if not root.exists():
            write_scan(
                root,
                n_samples=options.samples,
                n_layers=options.layers,
                hidden_size=options.width,
                n_words=options.words,
            )
            scan = Store(root).find()
            # As a scan does when it is complete.
            scan.quality()
            scan.reduce("pca", grid=GRID)
        page = options.out or Path(folder) / "report.html"
        print(
            f"report of {options.samples:,} samples x {options.layers} layers x {options.width}\n{machine()}"
        )
        _measure(root, page)


def _measure(root: Path, page: Path) -> None:
    begun = last = _now()
    before = ""

    def told(one: Progress) -> None:
        nonlocal last, before
        if one.job != "report":
            return
        now = _now()
        if before:
            print(_line(before, last, now))
        last, before = now, one.note

    Store(root).reduction().report(page, progress=told)
    now = _now()
    print(f"{_line('page', last, now)}\n{_line('in all', begun, now)}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  {page.stat().st_size / 1e6:.2f} MB, peak memory {peak:,.0f} MiB")


def _now() -> tuple[float, float]:
    """Seconds by the clock, and of processors."""
    return time.perf_counter(), time.process_time()


def _line(what: str, begun: tuple[float, float], ended: tuple[float, float]) -> str:
    return f"  {what:<12} {ended[0] - begun[0]:7.1f} s, {ended[1] - begun[1]:7.1f} s of processors"


if __name__ == "__main__":
    main()
