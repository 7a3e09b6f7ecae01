"""Scan: a corpus through a model, chunk by chunk, into the store; begun again, it goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from llm_mri_store.pipeline.chunk_texts import ChunkTexts, prepare_chunk
from llm_mri_store.pipeline.chunks import read_chunk, write_chunk
from llm_mri_store.pipeline.estimate import announce
from llm_mri_store.pipeline.meter import ScanMeter
from llm_mri_store.pipeline.plan import ScanPlan, plan_scans
from llm_mri_store.pipeline.request import ScanRequest
from llm_mri_store.pipeline.strict import refuse_not_finite_before
from llm_mri_store.pipeline.tuning import with_tuned_batches
from llm_mri_store.pipeline.work import ChunkWork, missing_work
from llm_mri_store.pipeline.workers import run_workers
from llm_mri_store.records.jobs import ProgressCallback, no_progress
from llm_mri_store.store.catalogue import ScanEntry, begin_scan, ensure_store, find_scan
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths

_LOGGER: Final = logging.getLogger("llm_mri_store")


def run_scan(
    root: Path, request: ScanRequest, *, progress: ProgressCallback = no_progress
) -> tuple[ScanEntry, ...]:
    """Scans a corpus into a store, and returns the scans, complete: one per site and pooling.

    Chunks that are committed already are not computed again: the same request goes on where an
    earlier one ended, however it ended, and its rows are those of an uninterrupted scan. A chunk of
    texts goes through the model once for all scans that lack it.

    Args:
        root: folder of the store; made if there is none.
        request: what to scan and how.
        progress: told how far it is, in characters of text.

    Raises:
        CorpusError, ModelError, InvalidInput, UnknownName: the request cannot be served; nothing was written.
        AlreadyThere: the name is taken by a scan of other inputs.
        StoreBusy: another process writes this scan.
        WriteFailed: the store cannot be written to; committed chunks stay.
    """
    plan = with_tuned_batches(plan_scans(root, request))
    store = ensure_store(root)
    with ExitStack() as locks:
        # Always in one order, so that two processes never wait for each other's.
        staging = {
            name: locks.enter_context(scan_lock(store, name))
            for name in sorted(scan.name for scan in plan.scans)
        }
        for scan in plan.scans:
            begin_scan(
                store,
                scan.name,
                scan.spec,
                staging=staging[scan.name],
                notes=plan.corpus.notes,
                read_at=scan.read_at,
            )
            if request.strict:
                refuse_not_finite_before(find_scan(store, scan.name))
        work = missing_work(store, plan)
        announce(plan, work)
        if work:
            meter = ScanMeter(
                plan, [plan.texts_of(one.index, chunk_texts=one.chunk_texts) for one in work], progress
            )
            folder = staging[plan.scans[0].name]
            if request.workers > 1:
                run_workers(store, plan, work, staging=folder, meter=meter)
            else:
                _run(store, plan, work, staging=folder, meter=meter)
            meter.finish()
    return tuple(find_scan(store, scan.name) for scan in plan.scans)


def _run(
    store: StorePaths, plan: ScanPlan, work: Sequence[ChunkWork], *, staging: Path, meter: ScanMeter
) -> None:
    """Computes chunks in this process; the next is tokenised and the last is written meanwhile."""
    with ThreadPoolExecutor(1, "tokenise") as tokeniser, ThreadPoolExecutor(1, "write") as writer:
        written: Future[None] | None = None
        for done, chunk in enumerate(_tokenised(plan, work, tokeniser)):
            vectors = read_chunk(plan, chunk, on_batch=meter.add)
            if written is not None:
                written.result()  # at most one chunk waits to be written; its failure ends the scan
            written = writer.submit(write_chunk, plan, store, chunk, vectors, staging)
            del chunk, vectors  # the writer has them; they go as soon as it is done
            if done == 0 and len(work) > 1:
                _LOGGER.info(
                    "after the first of %d chunks: %s tokens/s, about %s left",
                    len(work),
                    f"{meter.tokens_per_second:,.0f}",
                    _words(meter.seconds_left),
                )
        if written is not None:
            written.result()


def _tokenised(
    plan: ScanPlan, work: Sequence[ChunkWork], tokeniser: ThreadPoolExecutor
) -> Iterator[ChunkTexts]:
    """Chunks as token ids, each made while the one before is read."""
    coming = tokeniser.submit(prepare_chunk, plan, work[0].index, work[0].scans)
    for following in work[1:]:
        chunk = coming.result()
        coming = tokeniser.submit(prepare_chunk, plan, following.index, following.scans)
        yield chunk
    yield coming.result()


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
