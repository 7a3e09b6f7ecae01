"""A scan's activations, read back from its chunks for a reduction."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from llm_mri_store import schema
from llm_mri_store.errors import ReductionError
from llm_mri_store.reduction.layers import LayerActivations
from llm_mri_store.reduction.reducers import Float32
from llm_mri_store.store.arrays import activation_parts, is_ok
from llm_mri_store.store.catalogue import ScanEntry
from llm_mri_store.store.digests import refuse_changed


def refuse_unreducible(scan: ScanEntry) -> None:
    """Refuses a scan that does not hold all of its activations as they were committed.

    Raises:
        ReductionError: it is not complete, or its activations were removed.
        StoreCorrupt: some are damaged: what is fitted on them would be kept.
    """
    if not scan.is_complete:
        raise ReductionError(
            f"scan {scan.name!r} is not complete ({scan.n_stored:,} of {scan.spec.n_samples:,} samples); run "
            "its scan command again to finish it"
        )
    if scan.is_pruned:
        raise ReductionError(
            f"the activations of scan {scan.name!r} were removed to save space, so it cannot be reduced "
            "anew; scan again under another --name"
        )
    refuse_changed(
        {
            scan.paths.chunk(chunk.index) / schema.ACTIVATIONS_FILE: chunk.files[schema.ACTIVATIONS_FILE]
            for chunk in scan.chunks
        }
    )


def read_is_ok(scan: ScanEntry) -> npt.NDArray[np.bool_]:
    """Which samples of the scan take part in a reduction, bool (samples,).

    Raises:
        ReductionError: fewer than 2 do.
        StoreCorrupt: a chunk is damaged.
    """
    chosen = is_ok(scan)
    if chosen.sum() < 2:
        raise ReductionError(
            f"scan {scan.name!r} has {int(chosen.sum())} samples with an activation; a reduction needs at "
            "least 2"
        )
    return chosen


def layer_activations(scan: ScanEntry, layer: int, chosen: npt.NDArray[np.bool_]) -> LayerActivations:
    """The activations of the samples that are ok; a part is a chunk, read when it is asked for."""
    return LayerActivations(
        layer=layer, dtype=scan.spec.dtype, parts=lambda: _read_parts(scan, layer, chosen)
    )


def _read_parts(scan: ScanEntry, layer: int, chosen: npt.NDArray[np.bool_]) -> Iterator[Float32]:
    for chunk, vectors in zip(scan.chunks, activation_parts(scan, layer), strict=True):
        yield vectors[chosen[chunk.first_sample : chunk.first_sample + chunk.n_samples]]
