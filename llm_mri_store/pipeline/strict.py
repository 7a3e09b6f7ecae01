"""Strict scans: activations that are not finite end the scan, instead of staying with a status."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.errors import ModelError
from llm_mri_store.pipeline.columns import Float32
from llm_mri_store.schema import Status
from llm_mri_store.store.arrays import sample_column
from llm_mri_store.store.catalogue import ScanEntry


def refuse_not_finite(name: str, samples: pa.Table, vectors: Float32, layers: tuple[int, ...]) -> None:
    """Refuses a chunk, before it is written, that holds a sample which is not finite.

    Args:
        name: the scan.
        samples: the chunk's ``samples.parquet``.
        vectors: float32 (samples, layers, width).
        layers: which layers these are.

    Raises:
        ModelError: there is one.
    """
    is_bad = pc.equal(samples[schema.STATUS], str(Status.NOT_FINITE)).to_numpy()
    if not is_bad.any():
        return
    place = int(is_bad.argmax())
    first = samples[schema.SAMPLE_ID][place].as_py()
    layer = layers[int((~np.isfinite(vectors[place])).any(axis=1).argmax())]
    raise ModelError(
        f"the model returns NaN or infinity for {_count(int(is_bad.sum()))} of a chunk of scan {name!r}, "
        f"first for sample {first} at layer {layer}; this chunk was not kept. Another --dtype may help; "
        "without --strict such samples stay, with the status not_finite"
    )


def refuse_not_finite_before(scan: ScanEntry) -> None:
    """Refuses to go on with a scan that holds such a sample from an earlier, lenient start.

    Raises:
        ModelError: it does.
    """
    n = sum(one == Status.NOT_FINITE for one in sample_column(scan, schema.STATUS)) if scan.chunks else 0
    if n:
        raise ModelError(
            f"scan {scan.name!r} already holds {_count(n)} for which the model returned NaN or infinity; "
            "leave --strict out, or scan under another --name"
        )


def _count(n: int) -> str:
    return f"{n:,} sample{'s' if n != 1 else ''}"
