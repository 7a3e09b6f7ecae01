"""Reads a corpus of any form into one Arrow table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from llm_mri_store.errors import CorpusError, UnknownName

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    import polars as pl

    CorpusLike = (
        str
        | Path
        | pa.Table
        | "datasets.Dataset"
        | "datasets.DatasetDict"
        | "datasets.IterableDataset"
        | "pd.DataFrame"
        | "pl.DataFrame"
        | Iterable[Mapping[str, object]]
    )

DELIMITERS: Final = {".csv": ",", ".tsv": "\t"}
JSON_LINES: Final = frozenset({".jsonl", ".ndjson", ".json"})
PARQUET: Final = frozenset({".parquet", ".pq"})
DEMO_CORPUS: Final = Path(__file__).with_name("demo_corpus.jsonl")
"""The corpus that ships with the package: 300 texts, 5 labels, covariates tense and n_words."""


def read_corpus(
    corpus: CorpusLike,
    *,
    text_columns: Sequence[str] = (),
    split: str | None = None,
    subset: str | None = None,
    revision: str | None = None,
) -> tuple[str, pa.Table]:
    """Name and rows of a corpus.

    Args:
        corpus: a file (.csv, .tsv, .jsonl, .parquet, local or any fsspec address), a folder written by
            ``save_to_disk``, a folder of one folder of .txt files per label, the id of a dataset on the
            Hugging Face Hub, or what holds rows already: a datasets.Dataset, a pandas or polars data
            frame, an Arrow table, or mappings.
        text_columns: columns of a CSV or TSV file that are read as text whatever they look like.
        split: which split, where there are several.
        subset: configuration of a Hub dataset.
        revision: revision of a Hub dataset.

    Returns:
        What to call it, and a table; class labels are given by their names.

    Raises:
        CorpusError: it does not exist or cannot be read.
        UnknownName: it has no such split.
    """
    if isinstance(corpus, str | Path):
        return _read_address(
            str(corpus), text_columns=text_columns, split=split, subset=subset, revision=revision
        )
    if isinstance(corpus, pa.Table):
        return "table", corpus
    kind = type(corpus).__module__.partition(".")[0]
    if kind == "datasets":
        return _read_dataset(corpus, "dataset", split)
    if hasattr(corpus, "__arrow_c_stream__"):
        return "data frame", _without_index(pa.table(corpus))
    if kind == "pandas":
        return "data frame", pa.Table.from_pandas(corpus, preserve_index=False)
    return "records", _read_records(corpus)


def _without_index(table: pa.Table) -> pa.Table:
    """Without the index columns that pandas adds."""
    return table.select([name for name in table.schema.names if not name.startswith("__index_level_")])


def _read_records(records: object) -> pa.Table:
    if not isinstance(records, Iterable):
        raise CorpusError(
            f"a corpus cannot be read from {type(records).__name__}; give a path, a Hub id, a "
            "datasets.Dataset, a data frame, an Arrow table or an iterable of mappings"
        )
    rows = list(records)
    if not all(isinstance(row, Mapping) for row in rows):
        raise CorpusError("records of a corpus must be mappings such as {'text': ..., 'label': ...}")
    try:
        return pa.Table.from_pylist([dict(row) for row in rows])
    except (pa.ArrowException, UnicodeEncodeError) as error:
        raise CorpusError(f"the records do not make one table: {error}") from error


def _read_address(
    address: str,
    *,
    text_columns: Sequence[str],
    split: str | None,
    subset: str | None,
    revision: str | None,
) -> tuple[str, pa.Table]:
    path = Path(address)
    ending = path.suffix.lower()
    is_remote = "://" in address
    if ending in DELIMITERS or ending in JSON_LINES or ending in PARQUET:
        if not is_remote and not path.is_file():
            raise CorpusError(f"no corpus at {address}: there is no such file")
        return path.stem, _read_file(address, ending, text_columns)
    if is_remote:
        raise CorpusError(f"{address} must end in .csv, .tsv, .jsonl or .parquet")
    if path.is_dir():
        return _read_folder(path, split)
    if path.is_file():
        raise CorpusError(f"{address} is of no form known here: .csv, .tsv, .jsonl, .parquet, or a folder")
    return _read_hub(address, split=split, subset=subset, revision=revision)


def _read_file(address: str, ending: str, text_columns: Sequence[str]) -> pa.Table:
    try:
        with fsspec.open(address, "rb") as file:
            if ending in PARQUET:
                return pq.read_table(file)
            if ending in JSON_LINES:
                return pa.json.read_json(file)
            return pa.csv.read_csv(
                file,
                parse_options=pa.csv.ParseOptions(delimiter=DELIMITERS[ending], newlines_in_values=True),
                convert_options=pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(text_columns, pa.string()),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=[""],
                ),
            )
    except pa.ArrowInvalid as error:
        words = str(error).splitlines()[0]
        if "Empty" in words:
            raise CorpusError(f"{address} is empty; a corpus needs a header and at least 2 rows") from error
        raise CorpusError(f"{address} cannot be read as {ending[1:]}: {words}") from error
    except (OSError, ImportError, ValueError, pa.ArrowException) as error:
        raise CorpusError(f"{address} cannot be read: {error}") from error


def _read_folder(folder: Path, split: str | None) -> tuple[str, pa.Table]:
    if any((folder / name).is_file() for name in ("dataset_dict.json", "state.json", "dataset_info.json")):
        from datasets import load_from_disk

        try:
            dataset = load_from_disk(str(folder))
        except Exception as error:
            raise CorpusError(f"the dataset in {folder} cannot be read: {error}") from error
        return _read_dataset(dataset, folder.name, split)
    files = sorted(folder.glob("*/*.txt"))
    if not files:
        raise CorpusError(
            f"{folder} holds no corpus: expected a folder written by save_to_disk, or one folder of .txt "
            "files per label"
        )
    rows = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise CorpusError(f"{file} cannot be read as UTF-8 text: {error}") from error
        rows.append({"text": text, "label": file.parent.name, "file": file.name})
    return folder.name, pa.Table.from_pylist(rows)


def _read_hub(
    address: str, *, split: str | None, subset: str | None, revision: str | None
) -> tuple[str, pa.Table]:
    from datasets import load_dataset

    try:
        dataset = load_dataset(address, subset, revision=revision)
    except Exception as error:
        raise CorpusError(
            f"no corpus {address!r}: it is no file or folder here, and the Hugging Face Hub does not give it "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from error
    return _read_dataset(dataset, address, split)


def _read_dataset(dataset: object, name: str, split: str | None) -> tuple[str, pa.Table]:
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

    if isinstance(dataset, DatasetDict | IterableDatasetDict):
        splits = [str(one) for one in dataset]
        if split is None and len(splits) == 1:
            split = splits[0]
        if split is None:
            raise CorpusError(f"{name} has the splits {', '.join(splits)}; choose one with --split")
        if split not in splits:
            raise UnknownName("split", split, known=splits, where=name)
        dataset = dataset[split]
    if isinstance(dataset, IterableDataset):
        dataset = Dataset.from_list(list(dataset), features=dataset.features)
    if not isinstance(dataset, Dataset):
        raise CorpusError(f"a corpus cannot be read from {type(dataset).__name__}")
    return name, _with_label_names(dataset)


def _with_label_names(dataset: datasets.Dataset) -> pa.Table:
    """The dataset's rows in their order, class labels by name (-1, which means none, as NULL)."""
    from datasets import ClassLabel

    if dataset._indices is not None:
        dataset = dataset.flatten_indices()
    table: pa.Table = dataset.with_format("arrow")[:]
    for place, (column, feature) in enumerate(dataset.features.items()):
        if isinstance(feature, ClassLabel):
            names = [
                None if one is None or one < 0 else feature.int2str(one) for one in table[column].to_pylist()
            ]
            table = table.set_column(place, column, pa.array(names, pa.string()))
    with suppress(AttributeError):
        table = table.replace_schema_metadata(None)
    return table
