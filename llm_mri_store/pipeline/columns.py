"""Arrays as the columns of a store's tables."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Float32 = npt.NDArray[np.float32]


def has_vector(vectors: Float32) -> npt.NDArray[np.bool_]:
    """Which samples have a vector of finite numbers at every layer, bool (samples,).

    Args:
        vectors: float32 (samples, layers, width).

    >>> has_vector(np.array([[[1.0, np.inf]], [[1.0, 2.0]]], np.float32)).tolist()
    [False, True]
    """
    # Sample by sample: of the array as a whole this would take a quarter of its size once more.
    return np.fromiter((np.isfinite(sample).all() for sample in vectors), np.bool_, count=len(vectors))


def vector_column(vectors: Float32, absent: npt.NDArray[np.bool_]) -> pa.FixedSizeListArray:
    """Vectors as a list column, NULL for a sample that has none.

    Args:
        vectors: float32 (samples, width), in any memory order.
        absent: bool (samples,); what stands in such a row of ``vectors`` is not kept.

    Returns:
        fixed_size_list<float32>[width], one entry per sample.

    >>> vector_column(np.ones((2, 3), np.float32), np.array([False, True])).to_pylist()
    [[1.0, 1.0, 1.0], None]
    """
    filled = np.where(absent[:, None], np.float32(0), vectors)
    return pa.FixedSizeListArray.from_arrays(
        pa.array(filled.reshape(-1)), vectors.shape[1], mask=pa.array(absent)
    )
