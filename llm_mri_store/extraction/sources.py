"""Reads a corpus of any form into one Arrow table."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import pyarrow as pa

from llm_mri_store.errors import CorpusError
from llm_mri_store.extraction.files import ENDINGS, read_file, read_text_folder
from llm_mri_store.extraction.hub import (
    is_saved_dataset,
    read_dataset,
    read_hub_dataset,
    read_saved_dataset,
)
from llm_mri_store.extraction.rows import table_of_rows


class ArrowStream(Protocol):
    """What gives its rows as Arrow: pandas and polars data frames, Arrow tables and readers."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow C stream of its rows."""
        ...


Rows: TypeAlias = Iterable[Mapping[str, object]]
CorpusLike: TypeAlias = str | Path | ArrowStream | Rows | Mapping[str, Rows]
"""What a corpus is read from: an address, a data frame or table, records, a dataset, a dict of its splits."""

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
        CorpusError: it does not exist or cannot be read, or it has no splits or subsets and one is named.
        UnknownName: it has no such split.
    """
    if isinstance(corpus, str | Path):
        _refuse_impossible(str(corpus))
    if isinstance(corpus, str | Path) and _is_hub_name(str(corpus)):
        name = str(corpus)
        return name, read_hub_dataset(name, split=split, subset=subset, revision=revision)
    for option, value in (("--subset", subset), ("--corpus-revision", revision)):
        if value is not None:
            raise CorpusError(f"only a dataset of the Hugging Face Hub has a {option}; leave it out")
    if isinstance(corpus, str | Path):
        path = Path(corpus).expanduser()
        if path.is_dir() and is_saved_dataset(path):
            return path.name, read_saved_dataset(path, split)
    elif _is_of_datasets(corpus):
        return "dataset", read_dataset(corpus, "dataset", split)
    if split is not None:
        raise CorpusError("this corpus has no splits to choose from; leave --split out")
    if isinstance(corpus, str | Path):
        return _read_address(str(corpus), text_columns)
    if hasattr(corpus, "__arrow_c_stream__"):
        return "table", _read_stream(corpus)
    if isinstance(corpus, Iterable) and not isinstance(corpus, Mapping):
        return "records", table_of_rows(corpus, where="records")
    raise CorpusError(
        f"a corpus cannot be read from {type(corpus).__name__}; give a path, a Hub id, a datasets.Dataset, a "
        "data frame, an Arrow table or an iterable of mappings"
    )


def _refuse_impossible(address: str) -> None:
    """Refuses a path that cannot be looked for: too long a name, or the home of nobody."""
    try:
        Path(address).expanduser().exists()
    except OSError as error:
        raise CorpusError(f"no corpus at {address:.80}: {error.strerror}") from error
    except RuntimeError as error:
        raise CorpusError(f"no corpus at {address:.80}: there is no such home folder") from error


def _is_hub_name(address: str) -> bool:
    path = Path(address).expanduser()
    is_address = "://" in address or path.suffix.lower() in ENDINGS
    looks_local = path.is_absolute() or address.startswith(".") or address.count("/") > 1
    return not (is_address or looks_local or path.exists())


def _is_of_datasets(corpus: object) -> bool:
    # An object of the datasets library exists only where that library was imported.
    datasets = sys.modules.get("datasets")
    kinds = ("Dataset", "IterableDataset", "DatasetDict", "IterableDatasetDict")
    return any(isinstance(corpus, getattr(datasets, kind, ())) for kind in kinds)


def _read_address(address: str, text_columns: Sequence[str]) -> tuple[str, pa.Table]:
    path = Path(address).expanduser()
    if path.suffix.lower() in ENDINGS:
        return path.stem, read_file(address, text_columns=text_columns)
    if "://" in address:
        raise CorpusError(f"{address} must end in .csv, .tsv, .jsonl or .parquet")
    if path.is_dir():
        return path.resolve().name, read_text_folder(path)
    if path.is_file():
        raise CorpusError(f"{address} is of no form known here: .csv, .tsv, .jsonl, .parquet, or a folder")
    raise CorpusError(f"no corpus at {address}: there is no such file or folder")


def _read_stream(corpus: object) -> pa.Table:
    """Rows of a data frame or table, without the index columns that pandas adds."""
    try:
        table = pa.table(corpus)
    except (pa.ArrowException, UnicodeEncodeError, ValueError, TypeError) as error:
        raise CorpusError(f"the data frame cannot be read as Arrow: {str(error).splitlines()[0]}") from error
    names = [name for name in table.schema.names if not name.startswith("__index_level_")]
    kept = table if len(names) == table.num_columns else table.select(names)
    return kept.replace_schema_metadata(None)
