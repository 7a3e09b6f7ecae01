"""Rows of Parquet files and of saved datasets, read in pieces of bounded size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_columns import vector_width

_BATCH_BYTES: Final = 2**21
_MOST_BATCH_ROWS: Final = 1024
_BUFFER_BYTES: Final = 2**20


class Rows(Protocol):
    """Rows of named columns.

    Attributes:
        schema: the columns.
        n_rows: how many rows there are.
    """

    schema: pa.Schema
    n_rows: int

    def read(self, columns: Sequence[str], rows: range, *, lane: int = 0) -> pa.Table:
        """A piece of some columns.

        Args:
            columns: their names.
            rows: which rows; quickest where they ascend from call to call.
            lane: readers of several places of a file at once take one each.
        """
        ...

    def pieces(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All rows of some columns, in pieces of bounded size, in order."""
        ...


def common_width(rows: Rows, columns: Sequence[str], where: str) -> int:
    """Length of the vectors in some columns.

    Raises:
        InvalidInput: a column holds none, or they differ between columns.
    """
    widths: dict[str, int] = {}
    for piece in rows.pieces(columns):
        for column in columns:
            width = None if column in widths else vector_width(piece[column])
            if width is not None:
                widths[column] = width
        if len(widths) == len(columns):
            break
    for column in columns:
        if column not in widths:
            raise InvalidInput(f"column {column!r} of {where} holds no vector")
        if widths[column] != widths[columns[0]]:
            raise InvalidInput(
                f"columns {columns[0]!r} and {column!r} of {where} differ in width: {widths[columns[0]]} and "
                f"{widths[column]}; a scan has one width, import the layers of each with --layers"
            )
    return widths[columns[0]]


class ParquetRows:
    """Rows of a Parquet file, read forward page by page, however large its row groups are.

    Args:
        path: the file.
        opened: closes it.
    """

    def __init__(self, path: Path, opened: ExitStack) -> None:
        self._file = opened.enter_context(
            pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES, page_checksum_verification=True)
        )
        self._cursors: dict[tuple[object, ...], _Cursor] = {}
        self.schema: pa.Schema = self._file.schema_arrow
        self.n_rows: int = self._file.metadata.num_rows

    def read(self, columns: Sequence[str], rows: range, *, lane: int = 0) -> pa.Table:
        """A piece of some columns; see ``Rows.read``."""
        key = (lane, *columns)
        cursor = self._cursors.get(key)
        if cursor is None or not cursor.first_row <= rows.start <= cursor.next_row:
            cursor = self._cursors[key] = _Cursor(self._file, columns, rows.start)
        return cursor.take(rows)

    def pieces(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All rows of some columns; see ``Rows.pieces``."""
        rows_at_once = _rows_at_once(self._file.metadata)
        for batch in self._file.iter_batches(rows_at_once, columns=list(columns), use_threads=False):
            yield pa.Table.from_batches([batch])


class _Cursor:
    """A place in a Parquet file that moves forward; it holds one batch of rows.

    Attributes:
        first_row: number of the first row of the batch held.
        next_row: number of the row behind it.
    """

    def __init__(self, file: pq.ParquetFile, columns: Sequence[str], row: int) -> None:
        group, first_row = 0, 0
        metadata = file.metadata
        while group < metadata.num_row_groups - 1 and first_row + metadata.row_group(group).num_rows <= row:
            first_row += metadata.row_group(group).num_rows
            group += 1
        self.first_row = self.next_row = first_row
        self._batches = file.iter_batches(
            _rows_at_once(metadata),
            row_groups=list(range(group, metadata.num_row_groups)),
            columns=list(columns),
            use_threads=False,
        )
        self._batch: pa.RecordBatch | None = None

    def take(self, rows: range) -> pa.Table:
        """The rows; they begin in the batch held, or behind it."""
        parts = []
        while True:
            if self._batch is not None and self.next_row > rows.start:
                begin = max(rows.start - self.first_row, 0)
                parts.append(self._batch[begin : rows.stop - self.first_row])
            if self.next_row >= rows.stop and self._batch is not None:
                return pa.Table.from_batches(parts)
            self._batch = next(self._batches, None)
            if self._batch is None:
                raise InvalidInput(
                    f"rows {rows.start}-{rows.stop - 1} are not there, though the file counts them"
                )
            self.first_row, self.next_row = self.next_row, self.next_row + len(self._batch)


def _rows_at_once(metadata: pq.FileMetaData) -> int:
    """Rows that take some 2 MiB."""
    row_bytes = 1.0
    for place in range(metadata.num_row_groups):
        group = metadata.row_group(place)
        row_bytes = max(row_bytes, group.total_byte_size / max(group.num_rows, 1))
    return max(1, min(_MOST_BATCH_ROWS, int(_BATCH_BYTES / row_bytes)))


class SavedRows:
    """Rows of a folder that ``save_to_disk`` of the datasets library wrote.

    Its Arrow files are mapped into memory anew for each piece, so that no more stays there.

    Args:
        folder: the folder.

    Raises:
        InvalidInput: it holds several splits, or does not name its files.
    """

    def __init__(self, folder: Path) -> None:
        if (folder / "dataset_dict.json").is_file():
            splits = ", ".join(sorted(path.name for path in folder.iterdir() if path.is_dir()))
            raise InvalidInput(f"{folder} holds the splits {splits}; name the folder of one, {folder}/SPLIT")
        state = json.loads((folder / "state.json").read_text())
        files = state.get("_data_files") if isinstance(state, dict) else None
        if not files or not isinstance(files, list) or not all(isinstance(one, dict) for one in files):
            raise InvalidInput(f"{folder / 'state.json'} does not name the files of the dataset")
        self._files: list[tuple[Path, int]] = []
        for one in files:
            path = folder / Path(str(one.get("filename"))).name
            self._files.append((path, sum(len(batch) for batch in _batches(path))))
        self.n_rows = sum(n_rows for _, n_rows in self._files)
        with pa.memory_map(str(self._files[0][0])) as source:
            self.schema: pa.Schema = pa.ipc.open_stream(source).schema

    def read(self, columns: Sequence[str], rows: range, *, lane: int = 0) -> pa.Table:
        """A piece of some columns; see ``Rows.read``."""
        parts = []
        first = 0
        for path, n_rows in self._files:
            if first < rows.stop and first + n_rows > rows.start:
                begin = first
                for batch in _batches(path):
                    if begin < rows.stop and begin + len(batch) > rows.start:
                        piece = batch.select(list(columns))
                        parts.append(piece[max(rows.start - begin, 0) : rows.stop - begin])
                    begin += len(batch)
            first += n_rows
        return pa.Table.from_batches(parts)

    def pieces(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """All rows of some columns; see ``Rows.pieces``."""
        for path, _ in self._files:
            for batch in _batches(path):
                yield pa.Table.from_batches([batch.select(list(columns))])


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as source:
        yield from pa.ipc.open_stream(source)
