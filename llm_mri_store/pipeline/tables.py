"""What is computed, as the tables a store holds: samples, activations, points."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.extraction.corpus import Corpus
from llm_mri_store.extraction.tokens import token_labels, token_rows, token_words
from llm_mri_store.pipeline.chunk_texts import ChunkTexts
from llm_mri_store.pipeline.columns import has_vector, vector_column
from llm_mri_store.records import ScanSpec
from llm_mri_store.reduction.layers import ReducedLayer
from llm_mri_store.schema import Status

Bool = npt.NDArray[np.bool_]
Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]


def text_samples(ids: range, corpus: Corpus, chunk: ChunkTexts, vectors: Float32) -> tuple[pa.Table, Float32]:
    """``samples.parquet`` of a chunk whose samples are texts, and the vector of each.

    Args:
        ids: sample ids.
        corpus: the corpus.
        chunk: its texts.
        vectors: float32 (readable texts, layers, width).

    Returns:
        A table with the columns of ``schema.samples_schema``, and float32 (samples, layers, width), NaN where
        a sample was not read.
    """
    n_tokens = np.zeros(len(ids), dtype=np.int32)
    n_tokens[chunk.readable] = [text.n_tokens for text in chunk.encoded]
    truncated = np.zeros(len(ids), dtype=np.bool_)
    truncated[chunk.readable] = [text.is_truncated for text in chunk.encoded]
    every = np.full((len(ids), *vectors.shape[1:]), np.nan, dtype=np.float32)
    every[chunk.readable] = vectors
    is_there = has_vector(every)
    status = [corpus.status[id_] for id_ in ids]
    for place in chunk.readable:
        if n_tokens[place] == 0:
            status[place] = Status.EMPTY
        elif not is_there[place]:
            status[place] = Status.NOT_FINITE
    return samples_table(ids, corpus, status, n_tokens=n_tokens, truncated=truncated), every


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


def token_samples(
    ids: range, corpus: Corpus, spec: ScanSpec, chunk: ChunkTexts, vectors: Float32
) -> pa.Table:
    """``samples.parquet`` of a chunk whose samples are tokens.

    Args:
        ids: sample ids.
        corpus: the corpus.
        spec: the scan's spec.
        chunk: its texts.
        vectors: float32 (kept tokens, layers, width).

    Returns:
        A table with the columns of ``schema.samples_schema``, those of ``schema.token_covariates`` before the
        corpus's own.
    """
    found = token_rows(chunk.encoded, chunk.kept or [])
    texts = [chunk.texts[place] or "" for place in chunk.readable]
    words, contexts = token_words(found, texts)
    text_ids = np.asarray(chunk.ids, dtype=np.int64)[np.asarray(chunk.readable, dtype=np.intp)[found.text]]
    rows = corpus.rows.take(text_ids)
    labels = rows[schema.LABEL]
    if corpus.spans is not None and spec.token_label_column is not None:
        spans = corpus.spans.take([chunk.ids[place] for place in chunk.readable]).to_pylist()
        labels = token_labels(found, spans)
    status = pc.if_else(
        pa.array(has_vector(vectors)),
        pc.if_else(pc.is_null(labels), str(Status.NULL_LABEL), str(Status.OK)),
        str(Status.NOT_FINITE),
    )
    truncated = np.asarray([text.is_truncated for text in chunk.encoded], dtype=np.bool_)
    columns = {
        schema.SAMPLE_ID: pa.array(ids, pa.int64()),
        schema.TEXT: pa.array(words, pa.string()),
        schema.LABEL: labels,
        schema.N_TOKENS: pa.array(np.ones(len(ids), dtype=np.int32)),
        schema.TRUNCATED: pa.array(truncated[found.text]),
        schema.STATUS: status,
        schema.TEXT_ID: pa.array(text_ids),
        schema.TOKEN_POSITION: pa.array(found.position.astype(np.int32)),
        schema.CHAR_START: pa.array(found.span[:, 0]),
        schema.CHAR_END: pa.array(found.span[:, 1]),
        schema.CONTEXT: pa.array(contexts, pa.string()),
        schema.TEXT_LABEL: rows[schema.LABEL],
        **{field.name: rows[field.name] for field in corpus.covariates},
    }
    covariates = pa.schema([*schema.token_covariates(), *corpus.covariates])
    return pa.table(columns, schema=schema.samples_schema(covariates))


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
