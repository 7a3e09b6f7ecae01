"""Files and folders of activations made elsewhere: which reader each form has, and how parts are joined."""

from __future__ import annotations

import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from safetensors import SafetensorError

from llm_mri_store.errors import InvalidInput, LlmMriError, UnknownName
from llm_mri_store.extraction.arrays_given import ArrayChoices, Float32, GivenActivations, given_arrays
from llm_mri_store.extraction.arrays_hdf5 import open_hdf5
from llm_mri_store.extraction.arrays_numpy import npy_arrays, npz_arrays
from llm_mri_store.extraction.arrays_rows import ParquetRows, Rows, SavedRows
from llm_mri_store.extraction.arrays_safetensors import safetensors_arrays
from llm_mri_store.extraction.arrays_tables import given_table

ENDINGS: Final = (".npy", ".npz", ".safetensors", ".parquet", ".h5", ".hdf5")

_PICKLES: Final = frozenset({".pt", ".pth", ".pkl", ".pickle", ".bin", ".ckpt"})
_LAYER_FILE: Final = re.compile(r"(?:.*[^a-z])?layer[._-]?([0-9]{1,9})", re.IGNORECASE)
_FOREIGN: Final = (
    OSError,
    ValueError,
    OverflowError,
    EOFError,
    RuntimeError,
    MemoryError,
    KeyError,
    TypeError,
    tokenize.TokenError,
    pa.ArrowException,
    zipfile.BadZipFile,
    zlib.error,
    SafetensorError,
)
"""What the forms' libraries were seen to raise for files with some bytes changed."""


def open_file(
    path: Path, choices: ArrayChoices, opened: ExitStack, *, first_sample: int = 0
) -> GivenActivations:
    """Activations of one file, or of a folder that ``save_to_disk`` wrote.

    Args:
        path: the file.
        choices: how it is read.
        opened: closes it.
        first_sample: the sample_id with which it begins, where it holds such a column.

    Raises:
        InvalidInput: it is of no form known here, damaged, or not as chosen; also when it is read.
        UnknownName: a layer asked for is not there.
    """
    with _reading(path):
        given = _open_form(path, choices, opened, first_sample)

    def read(ids: range) -> Float32:
        with _reading(path):
            return given.read(ids)

    return replace(given, read=read)


def _open_form(path: Path, choices: ArrayChoices, opened: ExitStack, first_sample: int) -> GivenActivations:
    ending = path.suffix.lower()
    if path.is_dir() or ending == ".parquet":
        rows: Rows = SavedRows(path) if path.is_dir() else ParquetRows(path, opened)
        return given_table(rows, choices, first_sample=first_sample, name=path.name, where=str(path))
    if ending in {".h5", ".hdf5"}:
        return open_hdf5(path, choices, opened)
    if ending == ".npy":
        arrays = npy_arrays(path)
    elif ending == ".npz":
        arrays = npz_arrays(path, opened)
    elif ending == ".safetensors":
        arrays = safetensors_arrays(path)
    elif ending in _PICKLES:
        raise InvalidInput(
            f"{path} may be a pickle, which can run any code when it is opened; save its tensors as "
            ".safetensors"
        )
    else:
        raise InvalidInput(f"{path} is of no form known here: {', '.join(ENDINGS)}, or a folder")
    return given_arrays(arrays, choices, name=path.name, where=str(path))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what the libraries of the forms raise into one sentence."""
    try:
        yield
    except LlmMriError:
        raise
    except _FOREIGN as error:
        words = str(error).strip().partition("\n")[0] or type(error).__name__
        raise InvalidInput(f"{path} cannot be read: {words:.200}") from error


def open_folder(folder: Path, choices: ArrayChoices, opened: ExitStack) -> GivenActivations:
    """Activations of a folder of files of one form.

    They hold a layer each where all are named such as ``layer_06``; else one part of the samples after
    another, in the order of their names, numbers in these by size.

    Args:
        folder: the folder; other files and folders in it are not read.
        choices: how each file is read.
        opened: closes them.

    Raises:
        InvalidInput: there are none, or of several forms, or they do not fit each other.
        UnknownName: a layer asked for is not there.
    """
    with _reading(folder):
        files = sorted(
            (path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.name[0] != "."),
            key=_natural,
        )
    endings = sorted({path.suffix.lower() for path in files})
    if not endings:
        raise InvalidInput(f"{folder} holds no activations: expected files of one of {', '.join(ENDINGS)}")
    if len(endings) > 1:
        raise InvalidInput(f"{folder} holds files of several forms ({', '.join(endings)}); keep those of one")
    named = [_LAYER_FILE.fullmatch(path.stem) for path in files]
    if None not in named:
        layers = [int(one[1]) for one in named if one is not None]
        if len(set(layers)) < len(files):
            raise InvalidInput(f"{folder} holds two files of one layer; keep one")
        given = _join_layers(dict(zip(layers, files, strict=True)), choices, opened, where=str(folder))
    else:
        given = _Parts(files, choices, opened).joined
    return replace(given, name=folder.resolve().name)


def _natural(path: Path) -> list[int | str]:
    return [int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", path.name)]


def _join_layers(
    files: dict[int, Path], choices: ArrayChoices, opened: ExitStack, *, where: str
) -> GivenActivations:
    """Activations of a file per layer."""
    layers = tuple(sorted(files if choices.layers is None else set(choices.layers)))
    if not layers:
        raise InvalidInput("--layers must name one or more layers")
    for layer in layers:
        if layer not in files:
            raise UnknownName("layer", layer, known=sorted(files), where=where)
    parts = [open_file(files[layer], replace(choices, layers=(layer,)), opened) for layer in layers]
    first = parts[0]
    for layer, part in zip(layers, parts, strict=True):
        if part.n_samples != first.n_samples:
            raise InvalidInput(
                f"{files[layer]} holds {part.n_samples:,} samples, {files[layers[0]]} {first.n_samples:,}; "
                "every layer must have the same samples"
            )
        _refuse_difference(first, part, files[layers[0]], files[layer])
    return replace(
        first,
        layers=layers,
        read=lambda ids: np.concatenate([part.read(ids) for part in parts], axis=1),
        read_at=tuple(files[layer].name for layer in layers),
    )


def _refuse_difference(one: GivenActivations, other: GivenActivations, path: Path, other_path: Path) -> None:
    if (one.width, one.dtype) != (other.width, other.dtype):
        raise InvalidInput(
            f"{path} is {one.width} wide in {one.dtype}, {other_path} {other.width} in {other.dtype}; a scan "
            "has one width and precision"
        )


class _Parts:
    """Files that hold one part of the samples after another; the one being read stays open.

    Args:
        paths: the files, in the order of their samples.
        choices: how each is read.
        opened: closes them.

    Attributes:
        joined: the activations of all files.
    """

    def __init__(self, paths: Sequence[Path], choices: ArrayChoices, opened: ExitStack) -> None:
        self._paths = paths
        self._choices = choices
        self._open = opened.enter_context(ExitStack())
        self._begins = [0]
        self._place, self._part = 0, self._opened(0)
        first, n_tokens = self._part, []
        for place, path in enumerate(paths):
            part = self._given(place)
            if part.layers != first.layers:
                raise InvalidInput(
                    f"{paths[0]} holds the layers {list(first.layers)}, {path} {list(part.layers)}; parts of "
                    "the samples must have the same layers (a file per layer is named such as layer_06)"
                )
            _refuse_difference(first, part, paths[0], path)
            self._begins.append(self._begins[-1] + part.n_samples)
            n_tokens += [] if part.n_tokens is None else [part.n_tokens]
        self.joined = replace(
            first,
            n_samples=self._begins[-1],
            read=self._read,
            n_tokens=np.concatenate(n_tokens) if n_tokens else None,
        )

    def _given(self, place: int) -> GivenActivations:
        if place != self._place:
            self._open.close()
            self._place, self._part = place, self._opened(place)
        return self._part

    def _opened(self, place: int) -> GivenActivations:
        return open_file(self._paths[place], self._choices, self._open, first_sample=self._begins[place])

    def _read(self, ids: range) -> Float32:
        pieces = []
        for place, begin in enumerate(self._begins[:-1]):
            end = self._begins[place + 1]
            if begin < ids.stop and end > ids.start:
                inside = range(max(ids.start, begin) - begin, min(ids.stop, end) - begin)
                pieces.append(self._given(place).read(inside))
        return np.concatenate(pieces)
