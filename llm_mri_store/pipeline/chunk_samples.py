"""What became of a chunk's texts, as the rows of samples.parquet: a text each, or a token each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.extraction.corpus import Corpus
from llm_mri_store.extraction.tokens import token_labels, token_rows, token_words
from llm_mri_store.pipeline.chunk_texts import ChunkTexts
from llm_mri_store.pipeline.columns import Float32, has_vector
from llm_mri_store.pipeline.tables import samples_table
from llm_mri_store.records.scans import ScanSpec
from llm_mri_store.schema import Status


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
    if len(vectors) == len(ids):
        every = vectors
    else:
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
