"""Arrays of .safetensors files: the library of that name checks the header, numpy maps the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from safetensors import safe_open

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays_given import Floats, StoredArray, cut
from llm_mri_store.records.choices import DType

_DTYPES: Final[dict[str, DType]] = {
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float32",
}
_NUMPY_TYPES: Final = {"F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8"}
_LENGTH_BYTES: Final = 8


def safetensors_arrays(path: Path) -> list[StoredArray]:
    """The tensors of a .safetensors file, by name, mapped into memory anew for each piece.

    Raises:
        InvalidInput: a tensor holds no floats of 16, 32 or 64 bits.
        SafetensorError, OSError: the file is damaged, such as by a header that promises more than there is.
    """
    with safe_open(path, framework="numpy") as file:
        names = list(file.keys())
    # What follows relies on the checks that opening made: lengths, shapes and places agree with the file.
    with path.open("rb") as content:
        header_size = int.from_bytes(content.read(_LENGTH_BYTES), "little")
        header = json.loads(content.read(header_size))
    return [_stored_array(path, name, header[name], _LENGTH_BYTES + header_size) for name in names]


def _stored_array(path: Path, name: str, entry: dict[str, Any], data_start: int) -> StoredArray:
    written, shape, offsets = str(entry["dtype"]), entry["shape"], entry["data_offsets"]
    if written not in _DTYPES:
        raise InvalidInput(
            f"{name!r} in {path} holds {written} values; activations are F16, BF16, F32 or F64"
        )
    return StoredArray(
        name=name,
        shape=tuple(shape),
        dtype=_DTYPES[written],
        read=lambda at, rows: _read(path, written, tuple(shape), data_start + offsets[0], at, rows),
    )


def _read(
    path: Path, written: str, shape: tuple[int, ...], offset: int, at: tuple[int, ...], rows: range
) -> Floats:
    mapped = np.memmap(path, dtype=_NUMPY_TYPES[written], mode="r", offset=offset, shape=shape)
    part = cut(mapped, at, rows)
    # A bfloat16 is the upper half of a float32; numpy has no type for it.
    return (part.astype(np.uint32) << 16).view(np.float32) if written == "BF16" else np.array(part)
