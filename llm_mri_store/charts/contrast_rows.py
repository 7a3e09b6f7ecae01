"""The cells of a contrast as rows to draw: those that hold samples, and lines around those that differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import pyarrow as pa

from llm_mri_store.charts.tables import Row, drawn_rows
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import CELL_X, CELL_Y, LAYER

ContrastValue = Literal["difference", "adjusted_difference"]

Place = tuple[int, int]

_EFFECTS: Final = ("difference", "log_odds", "adjusted_difference", "adjusted_log_odds")
CONTRAST_COLUMNS: Final = (
    LAYER, CELL_X, CELL_Y, "n_a", "n_b", "share_a", "share_b",
    *(name + end for name in _EFFECTS for end in ("", "_low", "_high")),
    "is_tested", "z", "p", "q", "p_fwe", "p_tfce", "cluster", "p_cluster",
)  # fmt: skip
"""Columns of a contrast's cells that are drawn, or shown where the pointer rests."""


MOST_DETAILED: Final = 5000
"""Cells up to which every number of a cell is in the chart."""

_BRIEF: Final = (
    LAYER, CELL_X, CELL_Y, "n_a", "n_b", "difference", "adjusted_difference",
    "is_tested", "p_fwe", "p_tfce", "p_cluster",
)  # fmt: skip


class Findings(NamedTuple):
    """What passes in one layer.

    Attributes:
        cells: by themselves (``p_fwe``) -> 1 where A has more than chance gives, -1 where B has.
        clusters: those of a cluster that passes (``p_cluster``) -> its number.
        enhanced: with their neighbours (``p_tfce``).
    """

    cells: dict[Place, int]
    clusters: dict[Place, int]
    enhanced: set[Place]

    def holds(self, place: Place) -> bool:
        """True for a cell that passes in some way."""
        return place in self.cells or place in self.clusters or place in self.enhanced


def contrast_rows(cells: pa.Table) -> tuple[list[Row], int]:
    """The cells that hold samples of either side, as in the table but without what is NULL; cells per axis.

    Raises:
        InvalidInput: a column is missing, there is no row, or a layer lacks cells.
    """
    every = drawn_rows(cells, CONTRAST_COLUMNS, what="cells of a contrast")
    if not every:
        raise InvalidInput("the table of cells has no rows, so there is nothing to draw; choose a layer")
    grid = 1 + max(row[axis] for row in every for axis in (CELL_X, CELL_Y))
    n_layers = len({row[LAYER] for row in every})
    n_places = len({(row[LAYER], row[CELL_X], row[CELL_Y]) for row in every})
    if not len(every) == n_places == n_layers * grid**2:
        raise InvalidInput(
            f"there are {len(every):,} cells, expected {n_layers * grid**2:,}, {grid} x {grid} for each of "
            f"{n_layers} layers; give every cell once, also those without samples"
        )
    return [row for row in every if row["n_a"] or row["n_b"]], grid


def kept_numbers(rows: Sequence[Row]) -> list[Row]:
    """The rows as a chart holds them: of very many each has few numbers, so that a page stays small."""
    if len(rows) <= MOST_DETAILED:
        return list(rows)
    return [{name: row[name] for name in _BRIEF if name in row} for row in rows]


def layer_findings(rows: Iterable[Row], *, alpha: float) -> dict[int, Findings]:
    """Layer -> the cells whose p, by one test or another, is at most alpha."""
    found: defaultdict[int, Findings] = defaultdict(lambda: Findings({}, {}, set()))
    for row in rows:
        place = (row[CELL_X], row[CELL_Y])
        one = found[row[LAYER]]
        if row.get("p_fwe", 1.0) <= alpha:
            one.cells[place] = 1 if row["z"] > 0 else -1
        if row.get("p_cluster", 1.0) <= alpha:
            one.clusters[place] = row["cluster"]
        if row.get("p_tfce", 1.0) <= alpha:
            one.enhanced.add(place)
    return dict(found)


def borders(members: Mapping[Place, int]) -> list[tuple[int, int, int, int]]:
    """Lines around sets of cells: x, y, x2, y2 in cells, each as long as it goes straight on.

    Args:
        members: cell -> its set; a line runs wherever a cell meets one of another set, or of none.

    >>> borders({(0, 0): 1, (1, 0): 1})
    [(0, 0, 2, 0), (0, 1, 2, 1), (0, 0, 0, 1), (2, 0, 2, 1)]
    """
    level, upright = set(), set()
    for (x, y), number in members.items():
        for step in (0, 1):
            if members.get((x, y - 1 + 2 * step)) != number:
                level.add((y + step, x))
            if members.get((x - 1 + 2 * step, y)) != number:
                upright.add((x + step, y))
    return [
        *((start, across, end, across) for across, start, end in _runs(sorted(level))),
        *((across, start, across, end) for across, start, end in _runs(sorted(upright))),
    ]


def _runs(steps: Sequence[Place]) -> list[tuple[int, int, int]]:
    """Unit steps on parallel lines, joined: line, start, end."""
    runs: list[tuple[int, int, int]] = []
    for line, start in steps:
        if runs and runs[-1][0] == line and runs[-1][2] == start:
            runs[-1] = (line, runs[-1][1], start + 1)
        else:
            runs.append((line, start, start + 1))
    return runs
