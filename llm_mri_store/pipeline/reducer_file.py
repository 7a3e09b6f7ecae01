"""``reducer.safetensors``: the fitted arrays of a reduction, read back before they are trusted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from llm_mri_store.errors import StoreCorrupt
from llm_mri_store.reduction.reducers import Reducer, reducer_from_arrays
from llm_mri_store.schema import layer_column


def write_reducers(path: Path, reducers: Mapping[int, Reducer]) -> None:
    """Writes the arrays of each layer's reducer, named ``layer_06.mean`` and so on.

    Raises:
        StoreCorrupt: what was read back is not what was written.
    """
    arrays: dict[str, npt.NDArray[np.generic]] = {
        f"{layer_column(layer)}.{name}": np.ascontiguousarray(array)
        for layer, reducer in reducers.items()
        for name, array in reducer.arrays().items()
    }
    # Written by us, because a full disk is then an OSError like any other.
    path.write_bytes(save(arrays))
    written = load_file(path)
    if set(written) != set(arrays) or any(
        not np.array_equal(written[name], arrays[name], equal_nan=True) for name in arrays
    ):
        raise StoreCorrupt(f"{path} does not read back as it was written; nothing was committed")


def read_reducers(path: Path) -> dict[int, Reducer]:
    """Each layer's reducer.

    Raises:
        StoreCorrupt: the file is missing or damaged.
    """
    try:
        arrays = load_file(path)
    except (SafetensorError, OSError) as error:
        raise StoreCorrupt(f"{path} is damaged or missing ({error!s:.200}); run 'llm-mri verify'") from error
    by_layer: dict[int, dict[str, npt.NDArray[np.float64]]] = defaultdict(dict)
    for name, array in arrays.items():
        column, _, part = name.partition(".")
        if not column.startswith("layer_") or not column[6:].isdigit():
            raise StoreCorrupt(f"{path} holds an unknown array {name!r}; run 'llm-mri verify'")
        by_layer[int(column[6:])][part] = array
    return {layer: reducer_from_arrays(parts, where=str(path)) for layer, parts in by_layer.items()}
