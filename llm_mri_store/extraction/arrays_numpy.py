"""Arrays of numpy: in memory, in .npy files and in .npz files; nothing in them is ever unpickled."""

from __future__ import annotations

import math
import re
import zipfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_given import Floats, StoredArray, cut, float_dtype

Arrays: TypeAlias = npt.NDArray[np.floating] | Mapping[int, npt.NDArray[np.floating]]
"""One array, or one per layer."""

_MEMBER_ENDING: Final = ".npy"
_NUMBERED_BY_NUMPY: Final = re.compile(r"arr_[0-9]+")


def memory_arrays(source: Arrays, *, where: str) -> list[StoredArray]:
    """Arrays that are in memory.

    Args:
        source: an array, or a mapping of layers to arrays.
        where: what to call them in a message.

    Raises:
        InvalidInput: they are no numpy arrays of floats.
    """
    if not isinstance(source, Mapping):
        return [_memory_array(None, source, where)]
    for layer in source:
        if not isinstance(layer, int) or layer < 0:
            raise InvalidInput(f"{where} are of a layer {layer!r}; give a mapping of numbers to arrays")
    return [_memory_array(str(layer), array, where) for layer, array in source.items()]


def _memory_array(name: str | None, array: object, where: str) -> StoredArray:
    if not isinstance(array, np.ndarray):
        raise InvalidInput(
            f"{where} hold a {type(array).__name__}; give numpy arrays (of a tensor: tensor.float().numpy())"
        )
    dtype = float_dtype(array.dtype, name=name, where=where)
    # What is masked is missing.
    values = array.filled(np.nan) if isinstance(array, np.ma.MaskedArray) else array
    return StoredArray(
        name=name, shape=values.shape, dtype=dtype, read=lambda at, rows: cut(values, at, rows)
    )


def npy_arrays(path: Path) -> list[StoredArray]:
    """The array of a .npy file, mapped into memory anew for each piece, so that no more stays there.

    Raises:
        InvalidInput: it holds no floats.
        ValueError, OSError, OverflowError: it is damaged.
    """
    array = np.lib.format.open_memmap(path, mode="r")
    stored = StoredArray(
        name=None,
        shape=array.shape,
        dtype=float_dtype(array.dtype, name=None, where=str(path)),
        read=lambda at, rows: np.array(cut(np.lib.format.open_memmap(path, mode="r"), at, rows)),
    )
    return [stored]


def npz_arrays(path: Path, opened: ExitStack) -> list[StoredArray]:
    """The arrays of a .npz file, by name; a compressed one is unpacked as a stream, never whole.

    Args:
        path: the file.
        opened: closes it.

    Raises:
        InvalidInput: an array holds no floats or cannot be read row by row.
        ValueError, OSError, zipfile.BadZipFile: it is damaged.
    """
    archive = opened.enter_context(zipfile.ZipFile(path))
    return [_npz_array(archive, info, path) for info in archive.infolist()]


def _npz_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> StoredArray:
    name = info.filename.removesuffix(_MEMBER_ENDING)
    where = str(path)
    if name == info.filename:
        raise InvalidInput(f"{name!r} in {where} is no array; a .npz file holds .npy files only")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }.get(version)
        if read_header is None:
            raise InvalidInput(f"{name!r} in {where} is no plain array; save plain arrays of floats")
        shape, is_fortran, dtype = read_header(member)
        header_size = member.tell()
    precision = float_dtype(dtype, name=name, where=where)
    if is_fortran and len(shape) > 1:
        raise InvalidInput(
            f"{name!r} in {where} lies column by column (Fortran order); save np.ascontiguousarray of it"
        )
    if info.file_size != header_size + math.prod(shape) * dtype.itemsize:
        raise InvalidInput(f"{name!r} in {where} is damaged: it is not as long as its shape {shape} says")
    # np.savez calls arrays without a name arr_0, arr_1 ...: that is their place and no layer.
    return StoredArray(
        name=None if _NUMBERED_BY_NUMPY.fullmatch(name) else name,
        shape=shape,
        dtype=precision,
        read=_MemberRows(archive, info, shape=shape, dtype=dtype, header_size=header_size).read,
    )


class _MemberRows:
    """Rows of one array of a .npz file, with a stream of its own for each leading index."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        info: zipfile.ZipInfo,
        *,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        header_size: int,
    ) -> None:
        self._archive = archive
        self._info = info
        self._shape = shape
        self._dtype = dtype
        self._header_size = header_size
        self._streams: dict[tuple[int, ...], IO[bytes]] = {}

    def read(self, at: tuple[int, ...], rows: range) -> Floats:
        """The rows under the leading indices; going on where the last piece ended is quickest."""
        stream = self._streams.get(at)
        if stream is None:
            stream = self._streams[at] = self._archive.open(self._info)
        row_shape = self._shape[len(at) + 1 :]
        row_bytes = math.prod(row_shape) * self._dtype.itemsize
        first_row = rows.start
        for place, index in enumerate(at):
            first_row += index * math.prod(self._shape[place + 1 : len(at) + 1])
        stream.seek(self._header_size + first_row * row_bytes)
        content = stream.read(len(rows) * row_bytes)
        return np.frombuffer(content, self._dtype).reshape(len(rows), *row_shape)
