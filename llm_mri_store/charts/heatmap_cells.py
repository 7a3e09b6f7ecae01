"""The cells of a heatmap as rows to draw: complete grids, printed numbers, example texts."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, Final, Literal

import pyarrow as pa

from llm_mri_store.charts.theme import shortened
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import CELL_X, CELL_Y, LABEL, LAYER, TEXT

CellValue = Literal["n", "share"]

ALL_LABELS: Final = "all labels"
"""What a NULL label is called: the samples of every label together."""

_CELL_COLUMNS: Final = (LAYER, LABEL, CELL_X, CELL_Y, "n", "share")
_EXAMPLE_COLUMNS: Final = (LAYER, CELL_X, CELL_Y, TEXT)
_EXAMPLES_A_CELL: Final = 3

Row = dict[str, Any]


def cell_rows(cells: pa.Table, *, value: CellValue, examples: pa.Table | None) -> tuple[list[Row], int]:
    """The table's rows, with ``examples`` where there are such texts, and the cells per axis.

    Raises:
        InvalidInput: a column is missing, there is no row, a grid is not complete, or the value is unknown.
    """
    if value not in ("n", "share"):
        raise InvalidInput(
            f"value is {value!r}; expected 'n' (samples) or 'share' (share of the label's samples)"
        )
    _require_columns(cells, _CELL_COLUMNS, "table of cells")
    if cells.num_rows == 0:
        raise InvalidInput(
            "the table of cells has no rows, so there is nothing to draw; check layer and label"
        )
    rows: list[Row] = cells.select(_CELL_COLUMNS).to_pylist()
    for row in rows:
        row[LABEL] = ALL_LABELS if row[LABEL] is None else row[LABEL]
        share = row["share"]
        row["share"] = share if isinstance(share, float) and math.isfinite(share) else None
    grid = 1 + max(row[axis] for row in rows for axis in (CELL_X, CELL_Y))
    for (layer, label), n_cells in Counter((row[LAYER], row[LABEL]) for row in rows).items():
        if n_cells != grid * grid:
            raise InvalidInput(
                f"layer {layer} of {shortened(label)!r} has {n_cells} cells, expected all {grid * grid} of a "
                f"{grid} x {grid} grid; give the dense table, with n = 0 for cells without samples"
            )
    if examples is not None:
        _add_examples(rows, examples)
    return rows, grid


def printed_number(row: Row, value: CellValue) -> str:
    """The number printed in a cell, at most five characters; nothing in an empty one."""
    n, share = row["n"], row["share"]
    if n == 0:
        return ""
    if value == "share":
        percent = 100 * share if share is not None else 0.0
        if percent < 0.05:
            return "<0.1%"
        return f"{percent:.1f}%" if percent < 9.95 else f"{percent:.0f}%"
    if n < 10_000:
        return str(n)
    return f"{n / 1000:.0f}k" if n < 1_000_000 else f"{n / 1_000_000:.0f}M"


def _require_columns(table: pa.Table, expected: Sequence[str], what: str) -> None:
    missing = [column for column in expected if column not in table.column_names]
    if missing:
        raise InvalidInput(
            f"the {what} lacks {', '.join(missing)}; it has {', '.join(table.column_names)}, and needs "
            f"{', '.join(expected)}"
        )


def _add_examples(rows: Sequence[Row], examples: pa.Table) -> None:
    """Put the texts of each row's cell into its column ``examples``, a line each."""
    _require_columns(examples, _EXAMPLE_COLUMNS, "table of examples")
    by_label = LABEL in examples.column_names
    texts: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for example in examples.to_pylist():
        place = (example[LAYER], example[CELL_X], example[CELL_Y], example[LABEL] if by_label else None)
        if example[TEXT] is not None and len(texts[place]) < _EXAMPLES_A_CELL:
            texts[place].append(f"“{shortened(example[TEXT], 100)}”")
    for row in rows:
        place = (row[LAYER], row[CELL_X], row[CELL_Y], row[LABEL] if by_label else None)
        row["examples"] = "\n".join(texts.get(place, ()))
