"""Scan: a corpus through a model, chunk by chunk, into the store; begun again, it goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.corpus import Corpus, prepare_corpus
from llm_mri_store.extraction.extractor import (
    CPU_BATCH_TOKENS,
    GPU_BATCH_TOKENS,
    ChunkActivations,
    ReadingPlan,
    extract,
)
from llm_mri_store.extraction.models import LoadedModel, ModelRequest, load_model, resolve_pooling
from llm_mri_store.extraction.sources import read_corpus
from llm_mri_store.records import (
    ChunkRecord,
    Covariate,
    Progress,
    ProgressCallback,
    ScanSpec,
    no_progress,
)
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

if TYPE_CHECKING:
    from llm_mri_store.extraction.sources import CorpusLike

_LOGGER: Final = logging.getLogger("llm_mri_store")
_CHUNK_BYTES: Final = 64 * 2**20
_CHUNK_SAMPLES: Final = 2048
RESIDUAL: Final = "residual"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRequest:
    """What to scan and how. None means: as the model, the device or an earlier start of it has it.

    Attributes:
        model: which model.
        corpus: a path, a Hub id, or what holds rows (see ``extraction.sources.read_corpus``).
        name: name of the scan; by default made of model and corpus.
        text_column, label_column: columns of the corpus.
        split, subset, corpus_revision: which part of a dataset.
        limit: read only the first rows.
        keep_invalid: keep rows with null text or label, with a status, instead of refusing them.
        site: where in a block activations are read; ``residual``.
        pooling: auto, first, last, mean or max.
        force: allow pooling ``first`` for a causal model.
        layers: 0-based layers to keep; all by default.
        max_tokens: truncate texts to this many tokens; by default what the model can take.
        batch_tokens: most padded tokens in one forward pass.
        chunk_samples: samples per committed chunk.
    """

    model: ModelRequest
    corpus: CorpusLike
    name: str | None = None
    text_column: str = "text"
    label_column: str = "label"
    split: str | None = None
    subset: str | None = None
    corpus_revision: str | None = None
    limit: int | None = None
    keep_invalid: bool = False
    site: str = RESIDUAL
    pooling: str = "auto"
    force: bool = False
    layers: Sequence[int] | None = None
    max_tokens: int | None = None
    batch_tokens: int | None = None
    chunk_samples: int | None = None


def run_scan(root: Path, request: ScanRequest, *, progress: ProgressCallback = no_progress) -> ScanEntry:
    """Scans a corpus into a store, and returns the scan, complete.

    Chunks that are committed already are not computed again: the same request goes on where an
    earlier one ended, however it ended, and its rows are those of an uninterrupted scan.

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
    _refuse_bad_request(request)
    corpus_name, table = read_corpus(
        request.corpus,
        text_columns=(request.text_column, request.label_column),
        split=request.split,
        subset=request.subset,
        revision=request.corpus_revision,
    )
    corpus = prepare_corpus(
        corpus_name,
        table,
        text_column=request.text_column,
        label_column=request.label_column,
        limit=request.limit,
        keep_invalid=request.keep_invalid,
    )
    del table
    model = load_model(request.model)
    name = check_name("scan", request.name or _default_name(model.name, corpus.name))
    spec = _make_spec(request, corpus, model, earlier=_earlier_spec(root, name))
    store = ensure_store(root)
    with scan_lock(store, name) as staging:
        begin_scan(store, name, spec, staging=staging, notes=corpus.notes)
        done = {chunk.index for chunk in find_scan(store, name).chunks}
        missing = [index for index in range(spec.n_chunks) if index not in done]
        _announce(name, spec, model, missing)
        meter = _Meter(corpus, spec, missing, progress)
        for index in missing:
            _scan_chunk(store, name, spec, index, corpus=corpus, model=model, staging=staging, meter=meter)
    return find_scan(store, name)


def _refuse_bad_request(request: ScanRequest) -> None:
    if request.site != RESIDUAL:
        raise InvalidInput(f"site {request.site!r} is not known; activations are read at 'residual'")
    for option, value, least in (
        ("--limit", request.limit, 1),
        ("--max-tokens", request.max_tokens, 1),
        ("--batch-tokens", request.batch_tokens, 1),
        ("--chunk-samples", request.chunk_samples, 1),
    ):
        if value is not None and value < least:
            raise InvalidInput(f"{option} must be at least {least}, got {value}")
    if request.name is not None:
        check_name("scan", request.name)


def _default_name(model: str, corpus: str) -> str:
    return as_name(f"{model.rsplit('/', 1)[-1]}-{corpus.rsplit('/', 1)[-1]}")


def _earlier_spec(root: Path, name: str) -> ScanSpec | None:
    store = StorePaths(root)
    return find_scan(store, name).spec if name in scan_names(store) else None


def _make_spec(
    request: ScanRequest, corpus: Corpus, model: LoadedModel, *, earlier: ScanSpec | None
) -> ScanSpec:
    layers = _chosen_layers(request.layers, model)
    if request.max_tokens is not None and request.max_tokens > model.max_tokens:
        raise InvalidInput(
            f"--max-tokens {request.max_tokens} is more than model {model.name!r} can take ({model.max_tokens})"
        )
    row_bytes = len(layers) * model.hidden_size * 4
    chunk_samples = min(_CHUNK_SAMPLES, max(1, _CHUNK_BYTES // row_bytes))
    batch_tokens = CPU_BATCH_TOKENS if model.device == "cpu" else GPU_BATCH_TOKENS
    if earlier is not None:
        # How a scan was cut up is its own affair: going on with it keeps to it, on any device.
        chunk_samples, batch_tokens = earlier.chunk_samples, earlier.batch_tokens
    return ScanSpec(
        model=model.name,
        revision=model.revision,
        model_fingerprint=model.fingerprint,
        random_weights=request.model.random_weights,
        corpus=corpus.name,
        corpus_fingerprint=corpus.fingerprint,
        split=request.split,
        text_column=request.text_column,
        label_column=request.label_column,
        covariates=tuple(Covariate(name=field.name, type=str(field.type)) for field in corpus.covariates),
        labels=corpus.labels,
        n_samples=corpus.rows.num_rows,
        site=request.site,
        pooling=resolve_pooling(request.pooling, is_causal=model.is_causal, force=request.force),
        layers=layers,
        hidden_size=model.hidden_size,
        max_tokens=request.max_tokens or model.max_tokens,
        dtype=model.dtype,
        chunk_samples=request.chunk_samples or chunk_samples,
        batch_tokens=request.batch_tokens or batch_tokens,
    )


def _chosen_layers(layers: Sequence[int] | None, model: LoadedModel) -> tuple[int, ...]:
    if layers is None:
        return tuple(range(model.n_layers))
    for layer in layers:
        if not 0 <= layer < model.n_layers:
            raise InvalidInput(
                f"layer {layer} is not in model {model.name!r}; its layers are 0-{model.n_layers - 1}"
            )
    if not layers:
        raise InvalidInput(f"no layer was chosen; layers of {model.name!r} are 0-{model.n_layers - 1}")
    return tuple(sorted(set(layers)))


def _announce(name: str, spec: ScanSpec, model: LoadedModel, missing: list[int]) -> None:
    megabytes = spec.n_samples * len(spec.layers) * spec.hidden_size * 4 / 1e6
    _LOGGER.info(
        "scan %r: %s texts x %d layers x %d = about %.1f MB of activations in %d chunks (%d to do); "
        "%s pooling, %s, %s",
        name,
        f"{spec.n_samples:,}",
        len(spec.layers),
        spec.hidden_size,
        megabytes,
        spec.n_chunks,
        len(missing),
        spec.pooling,
        model.device,
        spec.dtype,
    )


class _Meter:
    """Counts characters, texts and tokens over the chunks that are still to do."""

    def __init__(
        self, corpus: Corpus, spec: ScanSpec, missing: list[int], progress: ProgressCallback
    ) -> None:
        # Cost goes with tokens, which are known only when a chunk comes up; characters stand for
        # them, up to what a truncated text can hold.
        lengths = pa.compute.fill_null(pa.compute.utf8_length(corpus.rows[schema.TEXT]), 0)
        self._cost = np.minimum(lengths.to_numpy(), 8 * spec.max_tokens) + 16
        self._total = sum(int(self._cost[list(spec.chunk_range(index))].sum()) for index in missing)
        self._n_texts = sum(len(spec.chunk_range(index)) for index in missing)
        self._progress = progress
        self._done = self._texts = self._tokens = 0
        self._begun = time.monotonic()

    def add(self, first_sample: int, places: Sequence[int], n_tokens: int) -> None:
        """Counts a batch: positions of its texts in the chunk that begins at ``first_sample``."""
        self._done += int(self._cost[[first_sample + place for place in places]].sum())
        self._texts += len(places)
        self._tokens += n_tokens
        rate = self._tokens / max(time.monotonic() - self._begun, 1e-9)
        note = f"{self._texts:,} of {self._n_texts:,} texts, {rate:,.0f} tokens/s"
        self._progress(Progress(job="scan", done=self._done, total=self._total, note=note))

    def finish(self) -> None:
        """Says that all is done, texts that were not read included."""
        note = f"{self._n_texts:,} of {self._n_texts:,} texts"
        self._progress(Progress(job="scan", done=self._total, total=self._total, note=note))


def _scan_chunk(
    store: StorePaths,
    name: str,
    spec: ScanSpec,
    index: int,
    *,
    corpus: Corpus,
    model: LoadedModel,
    staging: Path,
    meter: _Meter,
) -> None:
    """Computes one chunk and commits it."""
    ids = spec.chunk_range(index)
    rows = corpus.rows.slice(ids.start, len(ids))
    plan = ReadingPlan(
        layers=spec.layers,
        pooling=spec.pooling,
        max_tokens=spec.max_tokens,
        batch_tokens=spec.batch_tokens,
    )
    activations = extract(
        model,
        rows[schema.TEXT].to_pylist(),
        corpus.status[ids.start : ids.stop],
        plan,
        on_batch=lambda places, n_tokens: meter.add(ids.start, places, n_tokens),
    )
    if index == spec.n_chunks - 1:
        meter.finish()
    with commit_folder(store.scan(name).chunk(index), staging=staging) as folder:
        write_parquet(folder / schema.SAMPLES_FILE, _samples_table(ids, rows, activations, corpus))
        write_parquet(folder / schema.ACTIVATIONS_FILE, _activations_table(ids, spec, activations))
        record = ChunkRecord(
            index=index,
            first_sample=ids.start,
            n_samples=len(ids),
            n_tokens=int(activations.n_tokens.sum()),
            files=file_digests(folder),
            device=model.device,
            versions=versions(),
        )
        write_json(folder / schema.CHUNK_FILE, record)


def _samples_table(ids: range, rows: pa.Table, activations: ChunkActivations, corpus: Corpus) -> pa.Table:
    columns = {
        schema.SAMPLE_ID: pa.array(ids, pa.int64()),
        schema.TEXT: rows[schema.TEXT],
        schema.LABEL: rows[schema.LABEL],
        schema.N_TOKENS: pa.array(activations.n_tokens),
        schema.TRUNCATED: pa.array(activations.truncated),
        schema.STATUS: pa.array([str(one) for one in activations.status], pa.string()),
        **{field.name: rows[field.name] for field in corpus.covariates},
    }
    return pa.table(columns, schema=schema.samples_schema(corpus.covariates))


def _activations_table(ids: range, spec: ScanSpec, activations: ChunkActivations) -> pa.Table:
    absent = pa.array(~np.isfinite(activations.vectors).all(axis=(1, 2)))
    columns = [pa.array(ids, pa.int64())]
    columns += [
        _vectors(activations.vectors[:, place], absent, spec.hidden_size) for place in range(len(spec.layers))
    ]
    return pa.table(columns, schema=schema.activations_schema(spec.layers, spec.hidden_size))


def _vectors(vectors: npt.NDArray[np.float32], absent: pa.BooleanArray, size: int) -> pa.FixedSizeListArray:
    flat = np.nan_to_num(np.ascontiguousarray(vectors)).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), size, mask=absent)
