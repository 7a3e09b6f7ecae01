"""A worker process: claims chunks of a scan, computes and commits them, and tells its parent.

Run as ``python -m llm_mri_store.pipeline.worker JOB NUMBER DEVICE``. It speaks JSON lines on standard
output, and ends when its standard input closes: a parent that is gone no longer holds the scan's lock.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from llm_mri_store.errors import LlmMriError
from llm_mri_store.pipeline.chunk_texts import prepare_chunk
from llm_mri_store.pipeline.chunks import read_chunk, write_chunk
from llm_mri_store.pipeline.claims import Claims
from llm_mri_store.pipeline.worker_job import plan_of, read_job
from llm_mri_store.store.paths import StorePaths

_WAIT_S: Final = 0.2


def main(job_file: Path, number: int, device: str) -> int:
    """Works until nothing is left to claim; 0 when all went well."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = read_job(job_file)
    if job.threads is not None:
        torch.set_num_threads(job.threads)
    try:
        plan, work = plan_of(job, device=device)
        claims, store = Claims(job.claims), StorePaths(Path(job.store))
        staging = Path(job.folder) / f"worker-{number}"
        staging.mkdir(exist_ok=True)
        while claims.n_left:
            nth = claims.take(number)
            if nth is None:
                # Others are at work; should one of them die, its chunks are offered again.
                time.sleep(_WAIT_S)
                continue
            chunk = prepare_chunk(plan, work[nth].index, work[nth].scans)
            vectors = read_chunk(plan, chunk, on_batch=_tell_batch)
            write_chunk(plan, store, chunk, vectors, staging)
            claims.done(nth, number)
    except LlmMriError as error:
        _tell({"error": type(error).__name__, "message": str(error)})
        return 1
    return 0


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(3)


def _tell_batch(places: Sequence[int], n_tokens: int) -> None:
    _tell({"places": list(places), "n_tokens": n_tokens})


def _tell(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
