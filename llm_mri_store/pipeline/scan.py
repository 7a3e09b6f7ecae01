"""Scan: a corpus through a model, chunk by chunk, into the store; begun again, it goes on."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.choices import check_pooling, resolve_pooling
from llm_mri_store.extraction.corpus import Corpus, prepare_corpus
from llm_mri_store.extraction.extractor import CPU_BATCH_TOKENS, GPU_BATCH_TOKENS, ReadingPlan, extract
from llm_mri_store.extraction.models import LoadedModel, ModelRequest, load_model
from llm_mri_store.extraction.sources import CorpusLike, read_corpus
from llm_mri_store.pipeline.meter import ScanMeter
from llm_mri_store.pipeline.tables import activations_table, samples_table
from llm_mri_store.records import (
    ChunkRecord,
    Covariate,
    ProgressCallback,
    ScanSpec,
    no_progress,
    scan_identity,
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
        name: name of the scan; by default made of model and corpus, and of the identity where that is taken.
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
    name, spec = _named_spec(root, request, corpus, model)
    store = ensure_store(root)
    with scan_lock(store, name) as staging:
        begin_scan(store, name, spec, staging=staging, notes=corpus.notes)
        done = {chunk.index for chunk in find_scan(store, name).chunks}
        missing = [index for index in range(spec.n_chunks) if index not in done]
        _announce(name, spec, model, missing)
        meter = ScanMeter(corpus, spec, missing, progress)
        for index in missing:
            _scan_chunk(store, name, spec, index, corpus=corpus, model=model, staging=staging, meter=meter)
        if missing:
            meter.finish()
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
    check_pooling(request.pooling)
    if request.name is not None:
        check_name("scan", request.name)


def _named_spec(root: Path, request: ScanRequest, corpus: Corpus, model: LoadedModel) -> tuple[str, ScanSpec]:
    """The scan's name and spec; a name nobody chose gives way where other inputs have taken it."""
    name = request.name or _default_name(model.name, corpus.name)
    earlier = _earlier_spec(root, name)
    spec = _make_spec(request, corpus, model, earlier=earlier)
    if request.name is None and earlier is not None and scan_identity(earlier) != scan_identity(spec):
        fresh = scan_identity(_make_spec(request, corpus, model, earlier=None))
        name = f"{name[:57]}-{fresh[:6]}"
        spec = _make_spec(request, corpus, model, earlier=_earlier_spec(root, name))
    return check_name("scan", name), spec


def _default_name(model: str, corpus: str) -> str:
    return as_name(f"{model.rsplit('/', 1)[-1]}-{corpus.rsplit('/', 1)[-1]}")


def _earlier_spec(root: Path, name: str) -> ScanSpec | None:
    store = StorePaths(root)
    return find_scan(store, name).spec if name in scan_names(store) else None


def _make_spec(
    request: ScanRequest, corpus: Corpus, model: LoadedModel, *, earlier: ScanSpec | None
) -> ScanSpec:
    traits = model.traits
    layers = _chosen_layers(request.layers, model)
    row_bytes = len(layers) * traits.hidden_size * 4
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
        pooling=resolve_pooling(request.pooling, is_causal=traits.is_causal, force=request.force),
        layers=layers,
        hidden_size=traits.hidden_size,
        max_tokens=_chosen_max_tokens(request.max_tokens, model),
        dtype=model.dtype,
        chunk_samples=request.chunk_samples or chunk_samples,
        batch_tokens=request.batch_tokens or batch_tokens,
    )


def _chosen_layers(layers: Sequence[int] | None, model: LoadedModel) -> tuple[int, ...]:
    there = range(model.traits.n_layers)
    if layers is None:
        return tuple(there)
    for layer in layers:
        if layer not in there:
            raise InvalidInput(f"layer {layer} is not in model {model.name!r}; its layers are 0-{there[-1]}")
    if not layers:
        raise InvalidInput(f"no layer was chosen; layers of {model.name!r} are 0-{there[-1]}")
    return tuple(sorted(set(layers)))


def _chosen_max_tokens(max_tokens: int | None, model: LoadedModel) -> int:
    most, n_special = model.traits.max_tokens, model.traits.n_special_tokens
    if max_tokens is None:
        return most
    if max_tokens > most:
        raise InvalidInput(f"--max-tokens {max_tokens} is more than model {model.name!r} can take ({most})")
    if max_tokens <= n_special:
        # A tokenizer silently does not cut a text that it cannot cut to this length.
        raise InvalidInput(
            f"--max-tokens {max_tokens} leaves no token of a text: the tokenizer puts {n_special} of its own "
            "around it"
        )
    return max_tokens


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


def _scan_chunk(
    store: StorePaths,
    name: str,
    spec: ScanSpec,
    index: int,
    *,
    corpus: Corpus,
    model: LoadedModel,
    staging: Path,
    meter: ScanMeter,
) -> None:
    """Computes one chunk and commits it."""
    ids = spec.chunk_range(index)
    plan = ReadingPlan(
        layers=spec.layers,
        pooling=spec.pooling,
        max_tokens=spec.max_tokens,
        batch_tokens=spec.batch_tokens,
    )
    activations = extract(
        model,
        corpus.rows[schema.TEXT].slice(ids.start, len(ids)).to_pylist(),
        corpus.status[ids.start : ids.stop],
        plan,
        on_batch=lambda places, n_tokens: meter.add(ids.start, places, n_tokens),
    )
    with commit_folder(store.scan(name).chunk(index), staging=staging) as folder:
        write_parquet(folder / schema.SAMPLES_FILE, samples_table(ids, corpus, activations))
        write_parquet(folder / schema.ACTIVATIONS_FILE, activations_table(ids, spec, activations))
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
