"""The two sides of a contrast: which labels stand against which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.errors import InvalidInput, UnknownName

REST: Final = "rest"
"""Stands for all labels that are not on side A, unless a label has this name."""

FEWEST: Final = 2
"""Samples a side must have: a single one shows no more than where it lies itself."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sides:
    """Two sets of labels and their samples.

    Attributes:
        a, b: labels of either side.
        name_a, name_b: the sides in words; ``name_b`` is ``rest`` where B was not named.
        samples: int64 (n,), ascending positions of the samples of either side.
        is_a: bool (n,), which of them are of side A.
    """

    a: tuple[str, ...]
    b: tuple[str, ...]
    name_a: str
    name_b: str
    samples: npt.NDArray[np.int64]
    is_a: npt.NDArray[np.bool_]

    @property
    def n_a(self) -> int:
        """Samples of side A."""
        return int(self.is_a.sum())

    @property
    def n_b(self) -> int:
        """Samples of side B."""
        return len(self.is_a) - self.n_a


def choose_sides(cells: LabelledCells, a: str | Sequence[str], b: str | Sequence[str] | None = None) -> Sides:
    """The samples of two labels, or of two sets of labels.

    Args:
        cells: whose samples.
        a: a label or several.
        b: a label or several; None or ``"rest"`` for all that are not in ``a``.

    Raises:
        UnknownName: there is no such label.
        InvalidInput: a label stands on both sides, or a side has fewer than 2 samples.
    """
    side_a = checked_labels(cells, a)
    is_rest = b is None or (b == REST and REST not in cells.labels)
    if is_rest:
        side_b = tuple(label for label in cells.labels if label not in side_a)
        if not side_b:
            raise InvalidInput(f"{_words(side_a)} is all there is in {cells.where}: there is no rest")
    else:
        side_b = checked_labels(cells, b or ())
    if shared := [label for label in side_a if label in side_b]:
        raise InvalidInput(
            f"label {shared[0]!r} stands on both sides; a label does not differ from itself: name two"
        )
    name_a, name_b = _words(side_a), REST if is_rest else _words(side_b)
    number = np.full(len(cells.labels), -1, dtype=np.int8)
    for code, label in enumerate(cells.labels):
        number[code] = 1 if label in side_a else 0 if label in side_b else -1
    of_sample = number[cells.label_codes]
    samples = np.flatnonzero(of_sample >= 0)
    sides = Sides(
        a=side_a, b=side_b, name_a=name_a, name_b=name_b, samples=samples, is_a=of_sample[samples] == 1
    )
    for name, n_samples in ((name_a, sides.n_a), (name_b, sides.n_b)):
        if n_samples < FEWEST:
            raise InvalidInput(
                f"{name} has {n_samples} sample{'s' if n_samples != 1 else ''} with a cell in {cells.where}; "
                f"a contrast needs at least {FEWEST} a side"
            )
    return sides


def checked_labels(cells: LabelledCells, labels: str | Sequence[str]) -> tuple[str, ...]:
    """Labels as a tuple, each there and named once.

    Raises:
        UnknownName: there is no such label.
        InvalidInput: none is named, or one twice.
    """
    names = (labels,) if isinstance(labels, str) else tuple(labels)
    for name in names:
        if name not in cells.labels:
            raise UnknownName("label", name, known=cells.labels, where=cells.where)
    if not names or len(set(names)) < len(names):
        raise InvalidInput("a side needs at least one label, each named once")
    return names


def _words(labels: Sequence[str]) -> str:
    return " + ".join(repr(label) for label in labels)
