"""What a worker process is told, and how it makes a plan of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput, ModelError
from llm_mri_store.extraction.capture import Reading
from llm_mri_store.extraction.corpus import Corpus
from llm_mri_store.extraction.models import LoadedModel, ModelRequest, load_model
from llm_mri_store.pipeline.plan import PlannedScan, ScanPlan
from llm_mri_store.pipeline.request import ScanRequest
from llm_mri_store.pipeline.work import ChunkWork
from llm_mri_store.records.choices import Side
from llm_mri_store.schema import Status
from llm_mri_store.store.catalogue import find_scan
from llm_mri_store.store.paths import StorePaths

_STATUS: Final = "\0status"
_SPANS: Final = "\0spans"
"""Columns of a job's corpus file that no corpus can have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerJob:
    """What all workers of a scan are told.

    Attributes:
        store: folder of the store.
        folder: where the job's own files are.
        scans: names of the scans.
        work: per piece of work the chunk's index, and places of the scans that lack it.
        model: Hub id or folder, and how it is loaded.
        threads: torch threads of each worker; None leaves it to torch.
    """

    store: str
    folder: str
    scans: tuple[str, ...]
    work: tuple[tuple[int, tuple[int, ...]], ...]
    model: str
    model_name: str
    revision: str | None
    dtype: str
    random_weights: int | None
    trust_remote_code: bool
    side: Side | None
    strict: bool
    threads: int | None

    @property
    def claims(self) -> Path:
        """Folder of the claims."""
        return Path(self.folder) / "claims"

    @property
    def corpus(self) -> Path:
        """Arrow file of the corpus, read by memory mapping."""
        return Path(self.folder) / "corpus.arrow"

    @property
    def file(self) -> Path:
        """Where the job itself is written."""
        return Path(self.folder) / "job.json"

    def log(self, worker: int) -> Path:
        """What a worker said on standard error."""
        return Path(self.folder) / f"worker-{worker}.log"


def write_job(
    store: StorePaths, plan: ScanPlan, work: Sequence[ChunkWork], *, folder: Path, threads: int | None
) -> WorkerJob:
    """Writes a plan's job and its corpus where workers find them.

    Raises:
        InvalidInput: the model is an object of this process, which others cannot load.
    """
    asked = plan.request.model
    if not isinstance(asked.model, str | Path) or asked.tokenizer is not None:
        raise InvalidInput(
            "several workers each load the model for themselves; name it by Hub id or folder, or use 1 worker"
        )
    job = WorkerJob(
        store=str(store.root),
        folder=str(folder),
        scans=tuple(scan.name for scan in plan.scans),
        work=tuple((one.index, tuple(plan.scans.index(scan) for scan in one.scans)) for one in work),
        model=str(Path(asked.model).expanduser().resolve()) if _is_folder(asked.model) else str(asked.model),
        model_name=plan.model.name,
        revision=plan.model.revision or asked.revision,
        dtype=plan.model.dtype,
        random_weights=asked.random_weights,
        trust_remote_code=asked.trust_remote_code,
        side=plan.model.side,
        strict=plan.request.strict,
        threads=threads,
    )
    folder.mkdir(parents=True)
    job.file.write_bytes(msgspec.json.encode(job))
    table = plan.corpus.rows.append_column(_STATUS, [[str(one) for one in plan.corpus.status]])
    if plan.corpus.spans is not None:
        table = table.append_column(_SPANS, plan.corpus.spans)
    with pa.OSFile(str(job.corpus), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return job


def _is_folder(model: str | Path) -> bool:
    return Path(model).expanduser().is_dir()


def read_job(path: Path) -> WorkerJob:
    """The job in a file."""
    return msgspec.json.decode(path.read_bytes(), type=WorkerJob)


def plan_of(job: WorkerJob, *, device: str) -> tuple[ScanPlan, list[ChunkWork]]:
    """The plan of a job, with the model loaded, and its pieces of work.

    Args:
        job: the job.
        device: where this worker's model runs.

    Raises:
        ModelError: the model cannot be loaded, or is not the one the scans were begun with.
    """
    request = ModelRequest(
        model=job.model,
        name=job.model_name,
        revision=job.revision,
        device=device,
        dtype=job.dtype,
        random_weights=job.random_weights,
        trust_remote_code=job.trust_remote_code,
        side=job.side,
    )
    model = load_model(request)
    store = StorePaths(Path(job.store))
    scans = tuple(_planned(store, name, model) for name in job.scans)
    corpus = _corpus_of(job)
    plan = ScanPlan(
        request=ScanRequest(model=request, corpus=str(job.corpus), strict=job.strict),
        corpus=corpus,
        model=model,
        scans=scans,
        is_begun=True,
    )
    work = [
        ChunkWork(index=index, scans=tuple(scans[place] for place in places)) for index, places in job.work
    ]
    return plan, work


def _planned(store: StorePaths, name: str, model: LoadedModel) -> PlannedScan:
    spec = find_scan(store, name).spec
    if spec.model_fingerprint != model.fingerprint:
        raise ModelError(f"model {model.name!r} changed while it was scanned; scan it under another --name")
    if spec.pooling == "imported":
        raise ModelError(f"scan {name!r} was imported, so no model can go on with it")
    reading = Reading(site=model.site(spec.site), layers=spec.layers, pooling=spec.pooling)
    return PlannedScan(name=name, spec=spec, reading=reading)


def _corpus_of(job: WorkerJob) -> Corpus:
    with pa.memory_map(str(job.corpus)) as file:
        table = pa.ipc.open_file(file).read_all()
    status = tuple(Status(word) for word in table[_STATUS].to_pylist())
    spans = table[_SPANS] if _SPANS in table.schema.names else None
    rows = table.select([name for name in table.schema.names if name not in {_STATUS, _SPANS}])
    return Corpus(
        name="",
        rows=rows,
        status=status,
        covariates=pa.schema(
            [field for field in rows.schema if field.name not in {schema.TEXT, schema.LABEL}]
        ),
        labels=(),
        fingerprint="",
        notes=(),
        spans=spans,
    )
