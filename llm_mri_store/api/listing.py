"""What a store holds, a row per scan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from llm_mri_store.api.scan import Scan
from llm_mri_store.api.table import Table
from llm_mri_store.records.words import span_words

_COLUMNS: Final = pa.schema(
    {
        "scan": pa.string(),
        "status": pa.string(),
        "model": pa.string(),
        "corpus": pa.string(),
        "n_samples": pa.int64(),
        "n_labels": pa.int64(),
        "layers": pa.string(),
        "site": pa.string(),
        "pooling": pa.string(),
        "reductions": pa.string(),
    }
)


def listing(scans: Iterable[Scan]) -> Table:
    """A row per scan: what it read, whether it is complete, and the names of its reductions."""
    return Table(pa.Table.from_pylist([_row(scan) for scan in scans], schema=_COLUMNS))


def _row(scan: Scan) -> dict[str, object]:
    spec = scan.spec
    return {
        "scan": scan.name,
        "status": "complete" if scan.is_complete else "partial",
        "model": spec.model,
        "corpus": spec.corpus,
        "n_samples": spec.n_samples,
        "n_labels": len(spec.labels),
        "layers": span_words(spec.layers),
        "site": spec.site,
        "pooling": spec.pooling,
        "reductions": ", ".join(scan.reductions),
    }
