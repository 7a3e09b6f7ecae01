"""Import: activations made elsewhere, chunk by chunk, as an ordinary scan of the store."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.arrays import ActivationsLike, fingerprint_activations, open_activations
from llm_mri_store.extraction.arrays_given import (
    LAYOUTS,
    TOKEN_POOLINGS,
    ArrayChoices,
    GivenActivations,
    Int32,
)
from llm_mri_store.extraction.corpus import Corpus, prepare_corpus
from llm_mri_store.extraction.sources import CorpusLike, read_corpus
from llm_mri_store.pipeline.import_tables import import_tables, take_sample_ids, take_token_counts
from llm_mri_store.records.choices import DTYPES
from llm_mri_store.records.jobs import Progress, ProgressCallback, no_progress
from llm_mri_store.records.scans import ChunkRecord, Covariate, ScanSpec
from llm_mri_store.store.catalogue import (
    ScanEntry,
    begin_scan,
    ensure_store,
    find_scan,
    scan_names,
    versions,
)
from llm_mri_store.store.commit import commit_folder
from llm_mri_store.store.files import file_digests, write_json, write_parquet
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths, as_name, check_name

IMPORTED: Final = "imported"
"""The site of activations of which nobody said where they were read, and the device of their chunks."""

_LOGGER: Final = logging.getLogger("llm_mri_store")
_CHUNK_BYTES: Final = 32 * 2**20
_CHUNK_SAMPLES: Final = 16_384
_UNCOUNTED: Final = "n_tokens is 0 in every sample: neither the samples nor the activations tell it"

WordT = TypeVar("WordT", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What to import and how.

    Attributes:
        activations: a file or folder, an array, or a mapping of layers to arrays (see
            ``extraction.arrays.open_activations``).
        samples: their texts and labels, one row per sample in the same order: whatever a scan's corpus may
            be.
        name: name of the scan; by default made of model and samples.
        model: what to call the model they are of; by default the activations' file name.
        site: where in the model they were read, in words.
        pooling: where there is a vector per token: first, last, mean or max, or tokens (each is a sample).
        layers: numbers of the layers, or of those named in the file the ones to keep.
        layout: samples-first or layers-first, of an array of three axes.
        dtype: precision in which they were computed, for what counts as rounding; by default the one they
            are kept in.
        text_column, label_column: columns of the samples.
        split: split of a dataset of samples.
        keep_invalid: keep samples with null text or label, with a status, instead of refusing them.
        chunk_samples: samples per committed chunk.
    """

    activations: ActivationsLike
    samples: CorpusLike
    name: str | None = None
    model: str | None = None
    site: str = IMPORTED
    pooling: str | None = None
    layers: Sequence[int] | None = None
    layout: str = "samples-first"
    dtype: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    split: str | None = None
    keep_invalid: bool = False
    chunk_samples: int | None = None


def run_import(root: Path, request: ImportRequest, *, progress: ProgressCallback = no_progress) -> ScanEntry:
    """Imports activations into a store, and returns the scan, complete.

    The activations are read twice, a chunk at a time: for their fingerprint, which finds whatever is
    damaged before anything is written, and for their commit. The same request again goes on where an
    earlier one ended; of a finished one it changes nothing.

    Args:
        root: folder of the store; made if there is none.
        request: what to import and how.
        progress: told how far it is, in samples.

    Raises:
        CorpusError, InvalidInput, UnknownName: the request cannot be served; nothing was written.
        AlreadyThere: the name is taken by a scan of other inputs.
        StoreBusy: another process writes this scan.
        WriteFailed: the store cannot be written to; committed chunks stay.
    """
    with open_activations(request.activations, _choices(request)) as given:
        plan = _plan(root, request, given, progress)
        store = ensure_store(root)
        with scan_lock(store, plan.name) as staging:
            begin_scan(store, plan.name, plan.spec, staging=staging, notes=plan.notes, read_at=given.read_at)
            done = {chunk.index for chunk in find_scan(store, plan.name).chunks}
            missing = [index for index in range(plan.spec.n_chunks) if index not in done]
            _announce(plan, missing)
            for place, index in enumerate(missing, start=1):
                _import_chunk(store, plan, index, staging=staging)
                _tell(progress, "import", place, len(missing), "chunks")
    return find_scan(store, plan.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is imported, all of it checked.

    Attributes:
        name, spec: the scan.
        given: its activations.
        corpus: its samples.
        n_tokens: int32 (samples,); None where it is not known.
    """

    name: str
    spec: ScanSpec
    given: GivenActivations
    corpus: Corpus
    n_tokens: Int32 | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What to know of the scan, a sentence each."""
        return self.corpus.notes if self.n_tokens is not None else (*self.corpus.notes, _UNCOUNTED)


def _plan(root: Path, request: ImportRequest, given: GivenActivations, progress: ProgressCallback) -> _Plan:
    corpus, n_tokens = _read_samples(request, given)
    of_what = request.model or Path(given.name).stem
    name = request.name or as_name(f"{of_what.rsplit('/', 1)[-1]}-{corpus.name.rsplit('/', 1)[-1]}")
    chunk_samples = request.chunk_samples or _chunk_samples(root, name, given)
    spec = ScanSpec(
        model=request.model or given.name,
        revision=None,
        model_fingerprint=_fingerprint(given, n_tokens, progress),
        random_weights=None,
        corpus=corpus.name,
        corpus_fingerprint=corpus.fingerprint,
        split=request.split,
        text_column=request.text_column,
        label_column=request.label_column,
        covariates=tuple(Covariate(name=field.name, type=str(field.type)) for field in corpus.covariates),
        labels=corpus.labels,
        n_samples=given.n_samples,
        site=request.site,
        pooling=given.pooling,
        layers=given.layers,
        hidden_size=given.width,
        # No text was cut and no batch was made here.
        max_tokens=0,
        batch_tokens=0,
        dtype=given.dtype if request.dtype is None else _one_of("dtype", request.dtype, DTYPES),
        chunk_samples=chunk_samples,
    )
    return _Plan(name=name, spec=spec, given=given, corpus=corpus, n_tokens=n_tokens)


def _choices(request: ImportRequest) -> ArrayChoices:
    """The choices of how activations are read, refused where there are no such."""
    if request.name is not None:
        check_name("scan", request.name)
    if request.chunk_samples is not None and request.chunk_samples < 1:
        raise InvalidInput(f"--chunk-samples must be at least 1, got {request.chunk_samples}")
    if request.dtype is not None:
        _one_of("dtype", request.dtype, DTYPES)
    return ArrayChoices(
        layers=None if request.layers is None else tuple(request.layers),
        layout=_one_of("layout", request.layout, LAYOUTS),
        pooling=None if request.pooling is None else _one_of("pooling", request.pooling, TOKEN_POOLINGS),
    )


def _one_of(what: str, word: str, known: Sequence[WordT]) -> WordT:
    for one in known:
        if word == one:
            return one
    raise InvalidInput(f"{what} {word!r} is not one of {', '.join(known)}")


def _read_samples(request: ImportRequest, given: GivenActivations) -> tuple[Corpus, Int32 | None]:
    """The samples, as many as there are activations, and how many tokens each has, where that is known."""
    name, table = read_corpus(
        request.samples, text_columns=(request.text_column, request.label_column), split=request.split
    )
    if table.num_rows != given.n_samples:
        hint = "; is the --layout the other one?" if table.num_rows == len(given.layers) else ""
        raise InvalidInput(
            f"{given.name} holds activations of {given.n_samples:,} samples, but samples {name!r} has "
            f"{table.num_rows:,} rows; there must be one row per sample, in the same order{hint}"
        )
    table, n_tokens = take_sample_ids(name, table), given.n_tokens
    if n_tokens is None:
        table, n_tokens = take_token_counts(table)
    corpus = prepare_corpus(
        name,
        table,
        text_column=request.text_column,
        label_column=request.label_column,
        keep_invalid=request.keep_invalid,
    )
    return corpus, n_tokens


def _chunk_samples(root: Path, name: str, given: GivenActivations) -> int:
    """Samples of a chunk: as the scan was begun with, else some 32 MiB of vectors."""
    store = StorePaths(root)
    if name in scan_names(store):
        return find_scan(store, name).spec.chunk_samples
    return _samples_at_once(given)


def _samples_at_once(given: GivenActivations) -> int:
    sample_bytes = len(given.layers) * given.width * 4
    return min(_CHUNK_SAMPLES, max(1, _CHUNK_BYTES // sample_bytes))


def _fingerprint(given: GivenActivations, n_tokens: Int32 | None, progress: ProgressCallback) -> str:
    done = 0

    def count(n_rows: int) -> None:
        nonlocal done
        done += n_rows
        _tell(progress, "read", done, given.n_samples, "samples")

    return fingerprint_activations(given, n_tokens, rows_at_once=_samples_at_once(given), on_rows=count)


def _announce(plan: _Plan, missing: list[int]) -> None:
    spec = plan.spec
    _LOGGER.info(
        "scan %r: %s samples x %d layers x %d = about %.1f MB of activations in %d chunks (%d to do); %s",
        plan.name,
        f"{spec.n_samples:,}",
        len(spec.layers),
        spec.hidden_size,
        spec.n_samples * len(spec.layers) * spec.hidden_size * 4 / 1e6,
        spec.n_chunks,
        len(missing),
        spec.dtype,
    )


def _tell(progress: ProgressCallback, job: str, done: int, total: int, of: str) -> None:
    progress(Progress(job=job, done=done, total=total, note=f"{done:,} of {total:,} {of}"))


def _import_chunk(store: StorePaths, plan: _Plan, index: int, *, staging: Path) -> None:
    """Reads one chunk and commits it."""
    ids = plan.spec.chunk_range(index)
    n_tokens = None if plan.n_tokens is None else plan.n_tokens[ids.start : ids.stop]
    samples, activations = import_tables(ids, plan.spec, plan.corpus, plan.given.read(ids), n_tokens)
    with commit_folder(store.scan(plan.name).chunk(index), staging=staging) as folder:
        write_parquet(folder / schema.SAMPLES_FILE, samples)
        write_parquet(folder / schema.ACTIVATIONS_FILE, activations)
        record = ChunkRecord(
            index=index,
            first_sample=ids.start,
            n_samples=len(ids),
            n_tokens=0 if n_tokens is None else int(n_tokens.sum()),
            files=file_digests(folder),
            device=IMPORTED,
            versions=versions(),
        )
        write_json(folder / schema.CHUNK_FILE, record)
