"""One chunk through the model, in one pass for all scans that lack it, and its commit to each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from llm_mri_store import schema
from llm_mri_store.extraction.extractor import Float32, extract
from llm_mri_store.pipeline.chunk_samples import text_samples, token_samples
from llm_mri_store.pipeline.chunk_texts import ChunkTexts
from llm_mri_store.pipeline.plan import PlannedScan, ScanPlan
from llm_mri_store.pipeline.strict import refuse_not_finite
from llm_mri_store.pipeline.tables import activations_table
from llm_mri_store.records.scans import ChunkRecord
from llm_mri_store.store.catalogue import versions
from llm_mri_store.store.commit import commit_folder
from llm_mri_store.store.files import file_digests, write_json, write_parquet
from llm_mri_store.store.paths import StorePaths


def read_chunk(
    plan: ScanPlan, chunk: ChunkTexts, *, on_batch: Callable[[Sequence[int], int], None]
) -> list[Float32]:
    """Runs a chunk through the model.

    Args:
        plan: the plan.
        chunk: its texts.
        on_batch: told after each batch: its texts' places in the corpus, and their real tokens.

    Returns:
        Per scan of the chunk float32 (rows, layers, width); a row per readable text, or per kept token.
    """
    return extract(
        plan.model,
        chunk.encoded,
        [scan.reading for scan in chunk.scans],
        batch_tokens=chunk.scans[0].spec.batch_tokens,
        kept_tokens=chunk.kept,
        on_batch=lambda places, n_tokens: on_batch(
            [chunk.ids[chunk.readable[place]] for place in places], n_tokens
        ),
    )


def write_chunk(
    plan: ScanPlan, store: StorePaths, chunk: ChunkTexts, vectors: Sequence[Float32], staging: Path
) -> None:
    """Commits a chunk to each of its scans."""
    for scan, of_scan in zip(chunk.scans, vectors, strict=True):
        _write_to(plan, store, scan, chunk, of_scan, staging)


def _write_to(
    plan: ScanPlan, store: StorePaths, scan: PlannedScan, chunk: ChunkTexts, vectors: Float32, staging: Path
) -> None:
    ids = scan.spec.chunk_range(chunk.index)
    if scan.is_of_tokens:
        samples = token_samples(ids, plan.corpus, scan.spec, chunk, vectors)
    else:
        samples, vectors = text_samples(ids, plan.corpus, chunk, vectors)
    if plan.request.strict:
        refuse_not_finite(scan.name, samples, vectors, scan.spec.layers)
    target = store.scan(scan.name).chunk(chunk.index)
    with commit_folder(target, staging=staging) as folder:
        write_parquet(folder / schema.SAMPLES_FILE, samples)
        write_parquet(folder / schema.ACTIVATIONS_FILE, activations_table(ids, scan.spec, vectors))
        record = ChunkRecord(
            index=chunk.index,
            first_sample=ids.start,
            n_samples=len(ids),
            n_tokens=chunk.n_tokens,
            files=file_digests(folder),
            device=plan.model.device,
            versions=versions(),
        )
        write_json(folder / schema.CHUNK_FILE, record)
