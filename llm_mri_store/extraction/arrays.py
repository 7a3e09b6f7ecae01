"""Activations made elsewhere, of any form known here: opened, read in pieces, and fingerprinted."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_files import open_file, open_folder
from llm_mri_store.extraction.arrays_given import ArrayChoices, GivenActivations, Int32, given_arrays
from llm_mri_store.extraction.arrays_numpy import Arrays, memory_arrays
from llm_mri_store.extraction.hub import is_saved_dataset

ActivationsLike: TypeAlias = str | Path | Arrays
"""What activations are imported from: a file or folder, an array, or a mapping of layers to arrays."""

_IN_MEMORY = "the arrays"


@contextmanager
def open_activations(source: ActivationsLike, choices: ArrayChoices) -> Iterator[GivenActivations]:
    """Opens activations made elsewhere; they can be read until the context ends.

    Args:
        source: a file (.npy, .npz, .safetensors, .parquet, .h5, .hdf5), a folder of such files, a folder
            that ``save_to_disk`` of the datasets library wrote, a numpy array, or a mapping of layers to
            arrays.
        choices: which layers these are, their layout, and how tokens are pooled.

    Raises:
        InvalidInput: there are none, or they are of no form known here, damaged, or not as chosen.
        UnknownName: a layer asked for is not there.
    """
    with ExitStack() as opened:
        if not isinstance(source, str | Path):
            yield given_arrays(
                memory_arrays(source, where=_IN_MEMORY), choices, name="arrays", where=_IN_MEMORY
            )
            return
        path = Path(os.path.expanduser(source))
        if not os.path.exists(path):
            raise InvalidInput(f"no activations at {str(path)[:200]}: there is no such file or folder")
        if path.is_dir() and not is_saved_dataset(path):
            yield open_folder(path, choices, opened)
        else:
            yield open_file(path, choices, opened)


def fingerprint_activations(
    given: GivenActivations,
    n_tokens: Int32 | None,
    *,
    rows_at_once: int,
    on_rows: Callable[[int], None],
) -> str:
    """Hex sha256 of activations, whatever holds them: of their float32 numbers, sample by sample.

    All of them are read for it, so whatever is damaged shows before anything is written.

    Args:
        given: the activations.
        n_tokens: int32 (samples,), tokens of each sample; None where that is not known.
        rows_at_once: samples per piece; leaves no trace in the digest.
        on_rows: told after each piece how many samples were read.
    """
    digest = hashlib.sha256()
    for first in range(0, given.n_samples, rows_at_once):
        ids = range(first, min(first + rows_at_once, given.n_samples))
        digest.update(np.ascontiguousarray(given.read(ids), dtype="<f4").data)
        on_rows(len(ids))
    if n_tokens is not None:
        digest.update(b"n_tokens" + n_tokens.astype("<i4").tobytes())
    return digest.hexdigest()
