"""Samples and activations made elsewhere, as the tables of a chunk."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.errors import CorpusError
from llm_mri_store.extraction.corpus import Corpus
from llm_mri_store.pipeline.columns import has_vector
from llm_mri_store.pipeline.tables import activations_table, samples_table
from llm_mri_store.records.scans import ScanSpec
from llm_mri_store.schema import Status

Float32 = npt.NDArray[np.float32]
Int32 = npt.NDArray[np.int32]

_MOST_TOKENS: Final = 2**31 - 1


def take_sample_ids(name: str, table: pa.Table) -> pa.Table:
    """The samples without their sample_id, which must be their place: by it alone they belong to vectors.

    Raises:
        CorpusError: there is such a column, and it does not count 0, 1, 2 ... in order.
    """
    if schema.SAMPLE_ID not in table.schema.names:
        return table
    ids = table[schema.SAMPLE_ID].to_numpy(zero_copy_only=False)
    if not np.array_equal(ids, np.arange(table.num_rows)):
        raise CorpusError(
            f"column {schema.SAMPLE_ID!r} of samples {name!r} does not count 0, 1, 2 ... in order; samples "
            "belong to activations by their order: sort both alike, and leave the column out where it is "
            "another number"
        )
    return table.drop_columns([schema.SAMPLE_ID])


def take_token_counts(table: pa.Table) -> tuple[pa.Table, Int32 | None]:
    """The samples without their column n_tokens, and what it said.

    Returns:
        The other columns, and int32 (samples,); all columns and None where it is not a count in every row.
    """
    if schema.N_TOKENS not in table.schema.names:
        return table, None
    counts = table[schema.N_TOKENS]
    if not pa.types.is_integer(counts.type) or counts.null_count or not len(counts):
        return table, None
    extremes = pc.min_max(counts).as_py()
    if extremes["min"] < 0 or extremes["max"] > _MOST_TOKENS:
        return table, None
    return table.drop_columns([schema.N_TOKENS]), counts.to_numpy().astype(np.int32)


def import_status(known: Status, *, is_labelled: bool, has_vector: bool, has_tokens: bool) -> Status:
    """What becomes of an imported sample.

    As in any scan, but for one thing: an empty text is no blemish where its activation is given.

    Args:
        known: what can be said of its text and label.
        is_labelled: its label is not null.
        has_vector: its activations are there and finite at every layer.
        has_tokens: some token was pooled into them, as far as that is known.

    >>> import_status(Status.EMPTY, is_labelled=True, has_vector=True, has_tokens=True)
    <Status.OK: 'ok'>
    """
    if known == Status.NULL_TEXT:
        return known
    if not has_vector:
        return Status.EMPTY if known == Status.EMPTY or not has_tokens else Status.NOT_FINITE
    return Status.OK if is_labelled else Status.NULL_LABEL


def import_tables(
    ids: range, spec: ScanSpec, corpus: Corpus, vectors: Float32, n_tokens: Int32 | None
) -> tuple[pa.Table, pa.Table]:
    """``samples.parquet`` and ``activations.parquet`` of a chunk.

    Args:
        ids: sample ids.
        spec: the scan.
        corpus: the samples, all of them.
        vectors: float32 (ids, layers, width).
        n_tokens: int32 (ids,); None where that is not known.

    Returns:
        Tables with the columns of ``schema.samples_schema`` and of ``schema.activations_schema``; n_tokens is
        0 where it is not known, vectors are NULL where one of a sample's numbers is not finite.
    """
    counts = np.zeros(len(ids), dtype=np.int32) if n_tokens is None else n_tokens
    status = _statuses(ids, corpus, has_vector(vectors), n_tokens)
    truncated = np.zeros(len(ids), dtype=np.bool_)
    return (
        samples_table(ids, corpus, status, n_tokens=counts, truncated=truncated),
        activations_table(ids, spec, vectors),
    )


def _statuses(
    ids: range, corpus: Corpus, is_there: npt.NDArray[np.bool_], n_tokens: Int32 | None
) -> list[Status]:
    is_labelled = pc.is_valid(corpus.rows[schema.LABEL].slice(ids.start, len(ids))).to_numpy()
    has_tokens = np.ones(len(ids), dtype=np.bool_) if n_tokens is None else n_tokens > 0
    return [
        import_status(
            one,
            is_labelled=bool(is_labelled[place]),
            has_vector=bool(is_there[place]),
            has_tokens=bool(has_tokens[place]),
        )
        for place, one in enumerate(corpus.status[ids.start : ids.stop])
    ]
