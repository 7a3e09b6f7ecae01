"""Samples and activations as the tables a store holds: samples, activations, points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.extraction.corpus import Corpus
from llm_mri_store.pipeline.columns import Float32, has_vector, vector_column
from llm_mri_store.records.scans import ScanSpec
from llm_mri_store.reduction.layers import ReducedLayer
from llm_mri_store.schema import Status

Bool = npt.NDArray[np.bool_]
Int32 = npt.NDArray[np.int32]


def samples_table(
    ids: range, corpus: Corpus, status: Sequence[Status], *, n_tokens: Int32, truncated: Bool
) -> pa.Table:
    """``samples.parquet`` of a chunk whose samples are rows of a corpus.

    Args:
        ids: sample ids.
        corpus: all samples.
        status: what became of each of these.
        n_tokens: int32 (ids,).
        truncated: bool (ids,).
    """
    rows = corpus.rows.slice(ids.start, len(ids))
    columns = {
        schema.SAMPLE_ID: pa.array(ids, pa.int64()),
        schema.TEXT: rows[schema.TEXT],
        schema.LABEL: rows[schema.LABEL],
        schema.N_TOKENS: pa.array(n_tokens),
        schema.TRUNCATED: pa.array(truncated),
        schema.STATUS: pa.array([str(one) for one in status], pa.string()),
        **{field.name: rows[field.name] for field in corpus.covariates},
    }
    return pa.table(columns, schema=schema.samples_schema(corpus.covariates))


def activations_table(ids: range, spec: ScanSpec, vectors: Float32) -> pa.Table:
    """``activations.parquet`` of a chunk; its columns stand in ``schema.activations_schema``.

    Args:
        ids: sample ids.
        spec: the scan's spec.
        vectors: float32 (samples, layers, width); a sample with a number that is not finite gets NULLs.
    """
    absent = ~has_vector(vectors)
    columns = [
        pa.array(ids, pa.int64()),
        *(vector_column(vectors[:, place], absent) for place in range(len(spec.layers))),
    ]
    return pa.table(columns, schema=schema.activations_schema(spec.layers, spec.hidden_size))


def points_table(reduced: ReducedLayer, is_ok: Bool) -> pa.Table:
    """One layer's points file; its columns stand in ``schema.points_schema``.

    Args:
        reduced: points and cells of the samples that are ok.
        is_ok: bool (samples,); the others get a row of NULLs.
    """
    n_samples, n_components = len(is_ok), reduced.points.shape[1]
    coordinates = np.zeros((n_samples, n_components), dtype=np.float32)
    coordinates[is_ok] = reduced.points
    cells = np.zeros((n_samples, 2), dtype=np.int16)
    has_no_cell = np.ones(n_samples, dtype=np.bool_)
    if reduced.cells is not None:
        cells[is_ok] = reduced.cells
        has_no_cell = ~is_ok
    columns = [
        pa.array(np.arange(n_samples), pa.int64()),
        pa.array(np.full(n_samples, reduced.diagnostics.layer), pa.int16()),
        vector_column(coordinates, ~is_ok),
        pa.array(cells[:, 0], mask=has_no_cell),
        pa.array(cells[:, 1], mask=has_no_cell),
    ]
    return pa.table(columns, schema=schema.points_schema(n_components))
