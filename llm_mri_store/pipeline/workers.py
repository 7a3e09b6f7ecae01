"""Several processes share a scan: each loads the model and claims chunks until none is left."""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from llm_mri_store import errors
from llm_mri_store.errors import LlmMriError, ModelError
from llm_mri_store.pipeline.claims import Claims
from llm_mri_store.pipeline.meter import ScanMeter
from llm_mri_store.pipeline.plan import ScanPlan
from llm_mri_store.pipeline.work import ChunkWork
from llm_mri_store.pipeline.worker_job import WorkerJob, write_job
from llm_mri_store.store.paths import StorePaths

_LOGGER: Final = logging.getLogger("llm_mri_store")
_END_S: Final = 10


@dataclass(frozen=True, slots=True)
class _Message:
    """A line a worker said; None when it has ended."""

    worker: int
    line: str | None


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker process, and the thread that hears it."""

    process: subprocess.Popen[str]
    listener: threading.Thread


def run_workers(
    store: StorePaths, plan: ScanPlan, work: Sequence[ChunkWork], *, staging: Path, meter: ScanMeter
) -> None:
    """Computes chunks in as many processes as the plan asks for, on several CUDA devices one each.

    This process holds the scans' locks; its workers end with it. What a worker that dies (of too
    little memory, say) had begun, the others take over.

    Args:
        store: the store.
        plan: the plan.
        work: what is to be computed.
        staging: folder for work in progress.
        meter: told of every batch.

    Raises:
        InvalidInput: the model is an object of this process, which others cannot load.
        LlmMriError: what a worker met, as if it had happened here.
        ModelError: every worker died.
    """
    n_workers = min(plan.request.workers, len(work))
    devices = _devices(plan.model.device, n_workers)
    job = write_job(store, plan, work, folder=staging / "job", threads=_threads(devices))
    claims = Claims(job.claims)
    claims.offer(len(work))
    if plan.model.device.startswith("cuda"):
        plan.model.module.to("cpu")  # its place is the first worker's
        torch.cuda.empty_cache()
    said: queue.SimpleQueue[_Message] = queue.SimpleQueue()
    running = {nth: _start(job, nth, device, said) for nth, device in enumerate(devices)}
    try:
        _follow(job, running, said, claims, meter)
    finally:
        for worker in running.values():
            _end(worker)


def _devices(device: str, n_workers: int) -> list[str]:
    """A device per worker: the chosen one, or each CUDA device in turn where none was numbered."""
    if device == "cuda":
        return [f"cuda:{nth % torch.cuda.device_count()}" for nth in range(n_workers)]
    return [device] * n_workers


def _threads(devices: list[str]) -> int | None:
    if devices[0] != "cpu":
        return None
    n_threads: int = torch.get_num_threads()
    return max(1, n_threads // len(devices))


def _start(job: WorkerJob, nth: int, device: str, said: queue.SimpleQueue[_Message]) -> _Worker:
    with job.log(nth).open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "llm_mri_store.pipeline.worker", str(job.file), str(nth), device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    listener = threading.Thread(target=_listen, args=(nth, process, said), daemon=True)
    listener.start()
    return _Worker(process, listener)


def _listen(nth: int, process: subprocess.Popen[str], said: queue.SimpleQueue[_Message]) -> None:
    if process.stdout is not None:
        with process.stdout as lines:
            for line in lines:
                said.put(_Message(nth, line))
    said.put(_Message(nth, None))


def _follow(
    job: WorkerJob,
    running: dict[int, _Worker],
    said: queue.SimpleQueue[_Message],
    claims: Claims,
    meter: ScanMeter,
) -> None:
    """Until every worker has ended: counts batches, hands on what the dead had begun."""
    alive = set(running)
    while alive:
        message = said.get()
        if message.line is not None:
            _hear(message.line, meter)
            continue
        alive.discard(message.worker)
        code = running[message.worker].process.wait()
        if code != 0 and (n_left := claims.hand_on(message.worker)):
            _LOGGER.warning(
                "worker %d ended unexpectedly (%s); %d of its chunks %s handed on",
                message.worker + 1,
                _reason(code, job.log(message.worker)),
                n_left,
                "was" if n_left == 1 else "were",
            )
    if claims.n_left:
        raise ModelError(
            f"the workers ended with {claims.n_left} chunks still to do, perhaps for lack of memory; run the "
            "same command again with fewer --workers to go on"
        )


def _hear(line: str, meter: ScanMeter) -> None:
    message = json.loads(line)
    if "error" in message:
        kind = getattr(errors, message["error"], None)
        is_plain = isinstance(kind, type) and issubclass(kind, LlmMriError) and kind is not errors.UnknownName
        raise (kind if is_plain and kind is not None else ModelError)(message["message"])
    meter.add(message["places"], message["n_tokens"])


def _reason(code: int, log: Path) -> str:
    if code < 0:
        return f"signal {-code}"
    words = log.read_text(errors="replace").strip().splitlines()
    return f"exit code {code}" + (f": {words[-1]}" if words else "")


def _end(worker: _Worker) -> None:
    """Ends a worker that is still there: it goes when its standard input closes."""
    if worker.process.stdin is not None:
        worker.process.stdin.close()
    try:
        worker.process.wait(timeout=_END_S)
    except subprocess.TimeoutExpired:
        worker.process.kill()
        worker.process.wait()
    worker.listener.join()
