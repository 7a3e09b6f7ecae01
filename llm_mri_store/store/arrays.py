"""Columns of a store as numpy arrays and lists: activations, points, and who the samples are."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput, StoreCorrupt, UnknownName
from llm_mri_store.schema import Status
from llm_mri_store.store.catalogue import ReductionEntry, ScanEntry
from llm_mri_store.store.selection import why_no_activations
from llm_mri_store.store.tables import activations_column, points_table, samples_table

Float32 = npt.NDArray[np.float32]


def sample_column(scan: ScanEntry, column: str) -> list[object]:
    """A column of the samples, in corpus order.

    Raises:
        UnknownName: the scan has no such column.
    """
    known = [*schema.SAMPLE_COLUMNS, *(one.name for one in scan.spec.covariates)]
    if column not in known:
        raise UnknownName("column", column, known=known, where=f"scan {scan.name!r}")
    values: list[object] = []
    for chunk in scan.chunks:
        values += samples_table(scan, chunk, [column])[column].to_pylist()
    return values


def sample_values(scan: ScanEntry, column: str, sample_ids: Sequence[int]) -> list[object]:
    """A column's values of some samples; only the chunks they lie in are read.

    Args:
        scan: the scan.
        column: a column of its samples.
        sample_ids: ascending.

    Raises:
        StoreCorrupt: a file lacks the column.
    """
    values: list[object] = []
    for chunk in scan.chunks:
        ids = range(chunk.first_sample, chunk.first_sample + chunk.n_samples)
        first, end = bisect_left(sample_ids, ids.start), bisect_left(sample_ids, ids.stop)
        if first < end:
            table = samples_table(scan, chunk, [column])
            values += table[column].take([one - ids.start for one in sample_ids[first:end]]).to_pylist()
    return values


def is_ok(scan: ScanEntry) -> npt.NDArray[np.bool_]:
    """Which samples can be read and labelled, bool (samples,)."""
    return np.asarray([status == Status.OK for status in sample_column(scan, schema.STATUS)])


def stored_activations(scan: ScanEntry, layer: int) -> Float32:
    """The pooled activations of a layer, float32 (samples, hidden); NaN where a sample has none.

    Raises:
        UnknownName: the scan does not hold the layer.
    """
    return np.concatenate(list(activation_parts(scan, layer)))


def activation_parts(scan: ScanEntry, layer: int) -> Iterator[Float32]:
    """The same chunk by chunk, float32 (samples of the chunk, hidden), each read when it is asked for.

    Raises:
        UnknownName: the scan does not hold the layer.
        InvalidInput: its activations were removed.
        StoreCorrupt: a chunk is damaged.
    """
    if layer not in scan.spec.layers:
        raise UnknownName("layer", layer, known=scan.spec.layers, where=f"scan {scan.name!r}")
    if scan.is_pruned:
        raise InvalidInput(why_no_activations(scan))
    for chunk in scan.chunks:
        path = scan.paths.chunk(chunk.index) / schema.ACTIVATIONS_FILE
        yield _vectors(activations_column(scan, chunk, layer), path, width=scan.spec.hidden_size)


def stored_points(reduction: ReductionEntry, layer: int) -> Float32:
    """The points of a layer, float32 (samples, components); NaN where a sample has none.

    Raises:
        UnknownName: the reduction does not hold the layer.
    """
    if layer not in reduction.layers:
        raise UnknownName("layer", layer, known=reduction.layers, where=f"reduction {reduction.name!r}")
    width = reduction.record.spec.n_components
    coordinates = points_table(reduction, layer, [schema.COORDINATES])[schema.COORDINATES]
    return _vectors(coordinates, reduction.points_file(layer), width=width)


def points_by_layer(reduction: ReductionEntry) -> Iterator[tuple[int, Float32]]:
    """Layers ascending with their points, one at a time."""
    for layer in reduction.layers:
        yield layer, stored_points(reduction, layer)


def _vectors(column: pa.ChunkedArray, path: Path, *, width: int) -> Float32:
    """A column of vectors that was read from a file, float32 (rows, width); NaN where it is null."""
    vectors = column.combine_chunks()
    kind = vectors.type
    is_list = pa.types.is_fixed_size_list(kind) and pa.types.is_float32(kind.value_type)
    if not (is_list and kind.list_size == width):
        raise StoreCorrupt(f"{path} holds {kind}, not vectors of {width} numbers; run 'llm-mri verify'")
    flat = vectors.values.to_numpy(zero_copy_only=False).reshape(len(vectors), width)
    absent = vectors.is_null().to_numpy(zero_copy_only=False)
    return np.where(absent[:, None], np.float32(np.nan), flat)
