"""Who computes which chunk: a file per chunk, claimed by renaming it, which only one process can do."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_OPEN: Final = ".open"
_TAKEN: Final = ".taken-"


class Claims:
    """The chunks of a job, shared by processes through a folder.

    Args:
        folder: on a local file system, where a rename has one winner.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def offer(self, count: int) -> None:
        """Offers pieces of work 0 .. count - 1."""
        self._folder.mkdir(parents=True)
        for nth in range(count):
            (self._folder / f"{nth:08d}{_OPEN}").touch()

    def take(self, worker: int) -> int | None:
        """The first piece that nobody else has taken, now this worker's; None when all are taken."""
        for path in sorted(self._folder.glob(f"*{_OPEN}")):
            try:
                os.rename(path, path.with_suffix(f"{_TAKEN}{worker}"))
            except FileNotFoundError:
                continue  # another was quicker
            return int(path.name.partition(".")[0])
        return None

    def done(self, nth: int, worker: int) -> None:
        """Marks a piece as finished."""
        (self._folder / f"{nth:08d}{_TAKEN}{worker}").unlink()

    def hand_on(self, worker: int) -> int:
        """Offers again what a dead worker had taken and not finished; returns how many pieces."""
        left = sorted(self._folder.glob(f"*{_TAKEN}{worker}"))
        for path in left:
            with suppress(FileNotFoundError):
                os.rename(path, path.with_suffix(_OPEN))
        return len(left)

    @property
    def n_left(self) -> int:
        """Pieces that are not finished, taken or not."""
        return sum(1 for _ in self._folder.iterdir())
