"""Arrays of HDF5 files, and the per-token activations that NeuroX and AllenNLP write in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_given import (
    ArrayChoices,
    Floats,
    GivenActivations,
    StoredArray,
    float_dtype,
    given_arrays,
)
from llm_mri_store.extraction.arrays_layers import place_block
from llm_mri_store.extraction.arrays_tokens import TokenVectors, given_tokens

if TYPE_CHECKING:
    import h5py

_SENTENCES: Final = "sentence_to_index"
"""NeuroX's map of sentences to datasets; its sentences are joined tokens, so nothing is looked up by them."""


def open_hdf5(path: Path, choices: ArrayChoices, opened: ExitStack) -> GivenActivations:
    """Activations of an HDF5 file.

    Either datasets of samples, per layer or for all layers, in any groups; or NeuroX's: a dataset per text,
    named "0", "1" ..., of shape (layers, tokens, width), pooled by ``choices.pooling``. NeuroX numbers its
    datasets by the lines of its corpus, and its layers by their place in the file.

    Args:
        path: the file.
        choices: which layers these are, and how tokens are pooled.
        opened: closes it.

    Raises:
        InvalidInput: h5py is not installed, or the datasets are none of these.
        UnknownName: a layer asked for is not there.
        OSError, RuntimeError: it is damaged.
    """
    try:
        import h5py
    except ImportError as error:
        raise InvalidInput(
            f"{path} is an HDF5 file, which needs h5py; install it with pip install 'llm-mri-store[hdf5]'"
        ) from error
    file = opened.enter_context(h5py.File(path, "r"))
    datasets: dict[str, _Dataset] = {}

    def keep(name: str | bytes, item: object) -> None:
        if isinstance(name, bytes):
            raise InvalidInput(f"{path} is damaged: a dataset is called {name!r}")
        if isinstance(item, h5py.Dataset) and name != _SENTENCES:
            datasets[name] = _Dataset(tuple(item.shape or ()), item.dtype)

    # Links to other files are not followed.
    file.visititems(keep)
    if _SENTENCES in file or _are_sentences(datasets):
        return given_tokens(_sentences(file, datasets, choices, path), choices, where=str(path))
    arrays = [_stored_array(file, name, dataset, path) for name, dataset in datasets.items()]
    return given_arrays(arrays, choices, name=path.name, where=str(path))


@dataclass(frozen=True, slots=True)
class _Dataset:
    """Shape and type of a dataset; its values stay in the file."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


def _are_sentences(datasets: dict[str, _Dataset]) -> bool:
    """True for datasets that look like NeuroX's, though the map that it writes last is missing."""
    return "0" in datasets and all(
        name.isdecimal() and len(dataset.shape) == 3 for name, dataset in datasets.items()
    )


def _stored_array(file: h5py.File, name: str, dataset: _Dataset, path: Path) -> StoredArray:
    return StoredArray(
        name=name,
        shape=dataset.shape,
        dtype=float_dtype(dataset.dtype, name=name, where=str(path)),
        read=lambda at, rows: np.asarray(file[name][(*at, slice(rows.start, rows.stop))]),
    )


def _sentences(
    file: h5py.File, datasets: dict[str, _Dataset], choices: ArrayChoices, path: Path
) -> TokenVectors:
    where = str(path)
    if not datasets:
        raise InvalidInput(f"{where} holds no sentence")
    n_tokens = np.zeros(len(datasets), dtype=np.int64)
    first: _Dataset | None = None
    # By number: HDF5 lists names as strings, "10" before "2".
    for number in range(len(datasets)):
        dataset = datasets.get(str(number))
        if dataset is None:
            raise InvalidInput(
                f"{where} holds {len(datasets):,} sentences, but none is called '{number}'; they must be "
                f"called '0' to '{len(datasets) - 1}'"
            )
        first = first or dataset
        if len(dataset.shape) != 3 or dataset.shape[::2] != first.shape[::2]:
            raise InvalidInput(
                f"sentence '{number}' of {where} has the shape {dataset.shape}, sentence '0' {first.shape}; "
                "each must be (layers, tokens, width), of the same layers and width"
            )
        float_dtype(dataset.dtype, name=str(number), where=where)
        n_tokens[number] = dataset.shape[1]
    n_layers, _, width = datasets["0"].shape
    placed = place_block(n_layers, choices.layers, where=where)
    places = list(placed.values())

    def read(texts: range) -> Iterator[Floats]:
        for text in texts:
            yield np.asarray(file[str(text)][:])[places]

    return TokenVectors(
        name=path.name,
        layers=tuple(placed),
        width=width,
        dtype=float_dtype(datasets["0"].dtype, name="0", where=where),
        n_tokens=n_tokens,
        read=read,
    )
