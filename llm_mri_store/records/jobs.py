"""What long jobs tell: how far they are, what is damaged, and what that costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a long job is.

    Attributes:
        job: what is going on, such as ``"scan"``.
        done, total: units of work: characters of a scan's texts, layers of a reduction.
        note: a word on what is being done now, with its rate.
    """

    job: str
    done: int
    total: int
    note: str = ""


ProgressCallback = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """Callback that ignores progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something ``verify`` found.

    Attributes:
        where: the file or folder, relative to the store.
        what: one sentence.
        part: the chunk, reduction or result that is lost by it, as a folder relative to the store: removing
            it and asking again mends it. None where that would not: a file that is no part of the store, a
            scan's own record, a chunk that is missing already.
    """

    where: str
    what: str
    part: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LostPart:
    """A part of a store that damage has cost.

    Attributes:
        where: its folder, relative to the store.
        kind: ``chunk``, ``reduction`` or ``result``.
        why: what is wrong with it.
        remedy: how it is made anew once it is removed.
    """

    where: str
    kind: str
    why: str
    remedy: str
