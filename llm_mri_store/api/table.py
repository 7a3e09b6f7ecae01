"""A table as users get it: Arrow inside, and a way to whatever they work with."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from llm_mri_store.errors import ExportError, UnknownName
from llm_mri_store.records.words import visible
from llm_mri_store.store.files import replace_file

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """Rows of an answer.

    Attributes:
        arrow: the rows as an Arrow table. Anything that speaks Arrow's C stream (polars, DuckDB,
            pandas, Altair) takes the Table itself as well.

    >>> table = Table(pa.table({"label": ["true", "fake"], "n": [3, 4]}))
    >>> len(table), table.columns, table["n"]
    (2, ('label', 'n'), [3, 4])
    >>> table.rows()[0]
    {'label': 'true', 'n': 3}
    """

    arrow: pa.Table

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.arrow.schema.names)

    def __len__(self) -> int:
        return int(self.arrow.num_rows)

    def __getitem__(self, column: str) -> list[Any]:
        if column not in self.arrow.schema.names:
            raise UnknownName("column", column, known=self.columns, where="this table")
        values: list[Any] = self.arrow[column].to_pylist()
        return values

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.arrow.__arrow_c_stream__(requested_schema)

    def rows(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        rows: list[dict[str, Any]] = self.arrow.to_pylist()
        return rows

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas data frame (pandas must be installed)."""
        frame: pd.DataFrame = self.arrow.to_pandas()
        return frame

    def to_polars(self) -> pl.DataFrame:
        """The rows as a polars data frame (polars must be installed)."""
        import polars

        return polars.DataFrame(self.arrow)

    def transposed(self, names: str) -> Table:
        """The rows as columns: one row per column but ``names``, whose values name the new columns."""
        heads = [str(value) for value in self[names]]
        others = [column for column in self.columns if column != names]
        columns: dict[str, list[Any]] = {names: others}
        for place, head in enumerate(heads):
            columns[head] = [format_value(self[column][place]) for column in others]
        return Table(pa.table(columns))

    def save(self, path: str | Path) -> Path:
        """Writes the rows to a .csv, .json (one array of objects) or .parquet file, whole or not at all.

        Raises:
            ExportError: the ending is none of these.
            WriteFailed: the operating system refused the write.
        """
        target = Path(path)
        replace_file(target, encode_table(self.arrow, target.suffix.lower().removeprefix(".")))
        return target

    def __repr__(self) -> str:
        return render_text(self.arrow)

    def _repr_html_(self) -> str:
        if len(self) > 200:
            return f"<pre>{self!r}</pre>"
        return self.to_pandas().to_html(index=False, escape=True, na_rep="")


def encode_table(table: pa.Table, form: str) -> bytes:
    """A table's bytes as ``csv``, ``json`` or ``parquet``.

    Raises:
        ExportError: the form is none of these.
    """
    if form == "csv":
        import csv

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table.schema.names)
        writer.writerows([_plain(value) for value in row.values()] for row in table.to_pylist())
        return text.getvalue().encode()
    if form == "json":
        import msgspec

        return msgspec.json.format(msgspec.json.encode(table.to_pylist()), indent=1) + b"\n"
    if form == "parquet":
        import pyarrow.parquet as pq

        file = io.BytesIO()
        pq.write_table(table, file, compression="zstd")
        return file.getvalue()
    raise ExportError(
        f"rows cannot be written as {form or 'a file without an ending'!r}; use .csv, .json or .parquet"
    )


def _plain(value: object) -> object:
    """Lists as JSON, so that a CSV field can be read back."""
    if isinstance(value, list | dict):
        import msgspec

        return msgspec.json.encode(value).decode()
    return value


def render_text(table: pa.Table, *, most_rows: int = 20) -> str:
    """The first rows as a plain text table, at most 160 characters wide."""
    from rich.console import Console

    file = io.StringIO()
    Console(width=160, file=file, color_system=None).print(rich_table(table.slice(0, most_rows)))
    lines = [line.rstrip() for line in file.getvalue().splitlines()]
    return "\n".join([*filter(None, lines), f"({table.num_rows:,} rows)"])


def rich_table(table: pa.Table, *, title: str | None = None) -> Any:
    """The rows as a rich.table.Table: numbers right-aligned, floats to 4 significant digits."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for field in table.schema:
        is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        drawn.add_column(
            Text(visible(field.name)),
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=is_number,
        )
    for row in table.to_pylist():
        drawn.add_row(*(Text(format_value(value)) for value in row.values()))
    return drawn


def format_value(value: object) -> str:
    """A value as a table shows it.

    >>> [format_value(value) for value in (None, 0.123456, 1200.0, 7, True, [1, 2])]
    ['', '0.1235', '1200', '7', 'yes', '1, 2']
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        words = ", ".join(format_value(one) for one in value[:12])
        return f"{words}, ..." if len(value) > 12 else words
    words = visible(str(value))
    return words if len(words) <= 400 else words[:397] + "..."
