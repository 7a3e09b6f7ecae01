"""Corpora that the datasets library holds: its objects, its folders on disk, and the Hub's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.errors import CorpusError, UnknownName
from llm_mri_store.extraction.rows import table_of_rows

if TYPE_CHECKING:
    import datasets

_SAVED_FILES = ("dataset_dict.json", "state.json", "dataset_info.json")


def is_saved_dataset(folder: Path) -> bool:
    """True for a folder that ``save_to_disk`` wrote."""
    return any((folder / name).is_file() for name in _SAVED_FILES)


def read_saved_dataset(folder: Path, split: str | None) -> pa.Table:
    """Rows of a folder that ``save_to_disk`` wrote.

    Raises:
        CorpusError: it is damaged, or holds several splits and none is named.
        UnknownName: it has no such split.
    """
    from datasets import load_from_disk

    with _quietly():
        try:
            dataset = load_from_disk(str(folder))
        except Exception as error:
            raise CorpusError(f"the dataset in {folder} cannot be read: {_first_line(error)}") from error
    return read_dataset(dataset, folder.name, split)


def read_hub_dataset(name: str, *, split: str | None, subset: str | None, revision: str | None) -> pa.Table:
    """Rows of a dataset of the Hugging Face Hub.

    Raises:
        CorpusError: the Hub does not give it, or it holds several splits and none is named.
        UnknownName: it has no such split.
    """
    from datasets import load_dataset

    with _quietly():
        try:
            dataset = load_dataset(name, subset, revision=revision)
        except Exception as error:
            raise CorpusError(
                f"no corpus {name!r}: it is no file or folder here, and the Hugging Face Hub does not give "
                f"it ({_first_line(error)})"
            ) from error
    return read_dataset(dataset, name, split)


def read_dataset(dataset: object, name: str, split: str | None) -> pa.Table:
    """Rows of an object of the datasets library, class labels by their names.

    Raises:
        CorpusError: it holds several splits and none is named, or cannot be read.
        UnknownName: it has no such split.
    """
    from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict

    if isinstance(dataset, DatasetDict | IterableDatasetDict):
        dataset = dataset[_chosen_split([str(one) for one in dataset], name, split)]
    elif split is not None and str(getattr(dataset, "split", None)) != split:
        raise CorpusError(f"{name} has no splits to choose from; leave --split out")
    if isinstance(dataset, IterableDataset):
        if dataset.features is None:
            return table_of_rows(dataset, where=name)
        dataset = Dataset.from_list(list(dataset), features=dataset.features)
    if not isinstance(dataset, Dataset):
        raise CorpusError(f"a corpus cannot be read from {type(dataset).__name__}")
    return _with_label_names(dataset, name)


def _chosen_split(splits: list[str], name: str, split: str | None) -> str:
    if split is None and len(splits) == 1:
        return splits[0]
    if split is None:
        raise CorpusError(f"{name} has the splits {', '.join(splits)}; choose one with --split")
    if split not in splits:
        raise UnknownName("split", split, known=splits, where=name)
    return split


def _with_label_names(dataset: datasets.Dataset, name: str) -> pa.Table:
    """The rows in order, class labels and lists of them by their names (-1, which means none, as NULL)."""
    from datasets import ClassLabel

    table: pa.Table = dataset.with_format("arrow")[:]
    for place, (column, feature) in enumerate(dataset.features.items()):
        of_items = getattr(feature, "feature", None)
        if isinstance(feature, ClassLabel):
            values = _names(table[column].combine_chunks(), feature.names, column, name)
        elif isinstance(of_items, ClassLabel):
            lists = table[column].combine_chunks()
            values = pa.array(
                [
                    None if row is None else _names(row, of_items.names, column, name).to_pylist()
                    for row in (one.values for one in lists)
                ],
                pa.list_(pa.string()),
            )
        else:
            continue
        table = table.set_column(place, column, values)
    return table.replace_schema_metadata(None)


def _names(numbers: pa.Array, names: list[str], column: str, where: str) -> pa.Array:
    present = pc.if_else(pc.less(numbers, 0), None, numbers)
    try:
        return pa.array(names, pa.string()).take(present)
    except pa.ArrowIndexError as error:
        raise CorpusError(f"column {column!r} of {where} holds a label number without a name") from error


@contextmanager
def _quietly() -> Iterator[None]:
    """The datasets library without its progress bars and warnings; errors are raised anyway."""
    import datasets

    had_bars = not datasets.are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    try:
        yield
    finally:
        datasets.logging.set_verbosity(verbosity)
        if had_bars:
            datasets.enable_progress_bars()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
