"""Corpora that lie in files: CSV, TSV, JSON lines, Parquet, and folders of .txt files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Final

import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from llm_mri_store.errors import CorpusError
from llm_mri_store.extraction.rows import table_of_rows

DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
JSON_LINES: Final = frozenset({".jsonl", ".ndjson", ".json"})
PARQUET: Final = frozenset({".parquet", ".pq"})
ENDINGS: Final = frozenset({*DELIMITERS, *JSON_LINES, *PARQUET})

# Arrow guesses a column's type from its first block, and no value may be longer than one.
_CSV_BLOCK_BYTES: Final = 2**28
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")


def read_file(address: str, *, text_columns: Sequence[str] = ()) -> pa.Table:
    """Rows of one file.

    Args:
        address: a path or any fsspec address, of one of ``ENDINGS``.
        text_columns: columns of a CSV or TSV file that are read as text whatever they look like.

    Raises:
        CorpusError: it is not there or cannot be read.
    """
    is_remote = "://" in address
    path = Path(address) if is_remote else Path(address).expanduser()
    if not is_remote and not path.is_file():
        raise CorpusError(f"no corpus at {address}: there is no such file")
    ending = path.suffix.lower()
    try:
        with fsspec.open(address, "rb") if is_remote else path.open("rb") as file:
            if ending in PARQUET:
                return _checked(pq.read_table(file))
            _refuse_utf_16(file, address)
            if ending in JSON_LINES:
                return table_of_rows(_json_rows(file, address), where=address)
            return _checked(_read_csv(file, delimiter=DELIMITERS[ending], text_columns=text_columns))
    except pa.ArrowInvalid as error:
        words = str(error).splitlines()[0]
        if "Empty" in words:
            raise CorpusError(f"{address} is empty; a corpus needs a header and at least 2 rows") from error
        raise CorpusError(f"{address} cannot be read as {ending[1:]}: {words}") from error
    except CorpusError:
        raise
    except (OSError, ImportError, ValueError, pa.ArrowException) as error:
        raise CorpusError(f"{address} cannot be read: {error}") from error


def _checked(table: pa.Table) -> pa.Table:
    """The table itself: Arrow reads names and texts that are no UTF-8 without a word, and fails later."""
    table.validate(full=True)
    return table.rename_columns(list(table.schema.names))


def _refuse_utf_16(file: IO[bytes], address: str) -> None:
    if file.read(2) in _UTF_16_MARKS:
        raise CorpusError(f"{address} is encoded as UTF-16; save it as UTF-8")
    file.seek(0)


def _read_csv(file: IO[bytes], *, delimiter: str, text_columns: Sequence[str]) -> pa.Table:
    return pa.csv.read_csv(
        file,
        # One thread: an error then names its row.
        read_options=pa.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES, use_threads=False),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(text_columns, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )


def _json_rows(file: IO[bytes], address: str) -> Iterator[Mapping[str, object]]:
    """Objects of a file of one a line, or of one array of them; Arrow would take texts for dates."""
    content = file.read().decode("utf-8-sig")
    if content.lstrip()[:1] == "[":
        try:
            yield from json.loads(content, object_pairs_hook=_row_of)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{address} is no array of JSON objects: {error}") from error
        return
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_row_of)
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"line {number} of {address} is no JSON object: {error}") from error
        if not isinstance(row, dict):
            raise CorpusError(f"line {number} of {address} is no JSON object, but {type(row).__name__}")
        yield row


def _row_of(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object; of a name that it has twice, Python would silently keep the last value."""
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the name {twice!r} twice")
    return row


def read_text_folder(folder: Path) -> pa.Table:
    """Texts of a folder that holds one folder of .txt files per label.

    Returns:
        text, label and file, sorted by label and file.

    Raises:
        CorpusError: there are none, or one is not UTF-8.
    """
    files = sorted(path for path in folder.glob("*/*.txt") if not path.parent.name.startswith("."))
    if not files:
        raise CorpusError(
            f"{folder} holds no corpus: expected a folder written by save_to_disk, or one folder of .txt "
            "files per label"
        )
    return table_of_rows(
        ({"text": _read_text(file), "label": file.parent.name, "file": file.name} for file in files),
        where=str(folder),
    )


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{file} cannot be read as UTF-8 text: {error}") from error
