"""Several ways to do one thing, timed in turn, so that a noisy machine is noisy for all of them."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping


def in_turn(ways: Mapping[str, Callable[[], object]], *, rounds: int = 5) -> dict[str, list[float]]:
    """Wall seconds of each way per round, after one round that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for counted in range(rounds + 1):
        for name, run in ways.items():
            begun = time.perf_counter()
            run()
            if counted:
                seconds[name].append(time.perf_counter() - begun)
    return seconds


def report(title: str, seconds: Mapping[str, list[float]], *, reference: str) -> None:
    """Prints medians, and the median of the ratios to the reference, round by round."""
    print(f"\n{title}\n{machine()}")
    for name, own in seconds.items():
        ratios = [one / other for one, other in zip(own, seconds[reference], strict=True)]
        spread = f"{min(own):.3f}-{max(own):.3f}"
        ratio = f"{statistics.median(ratios):6.2f} x {reference}"
        print(f"  {name:<44} {statistics.median(own):8.3f} s  ({spread})  {ratio}")


def machine() -> str:
    """The machine in words."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
