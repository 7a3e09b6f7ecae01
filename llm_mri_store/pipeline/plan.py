"""What a scan will do: its scans with their specs, how many texts a chunk takes, and what it will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import CorpusError, InvalidInput
from llm_mri_store.extraction.capture import Reading
from llm_mri_store.extraction.choices import TOKENS, resolve_pooling
from llm_mri_store.extraction.corpus import Corpus, prepare_corpus
from llm_mri_store.extraction.encoding import count_template_tokens
from llm_mri_store.extraction.extractor import CPU_BATCH_TOKENS, GPU_BATCH_TOKENS
from llm_mri_store.extraction.models import LoadedModel, load_model
from llm_mri_store.extraction.sources import read_corpus
from llm_mri_store.pipeline.request import ScanRequest, refuse_bad_request
from llm_mri_store.pipeline.token_census import TokenCensus, take_census
from llm_mri_store.records.scans import Covariate, ScanSpec, scan_identity
from llm_mri_store.records.words import span_words
from llm_mri_store.store.catalogue import find_scan, scan_names
from llm_mri_store.store.paths import StorePaths, as_name, check_name

_CHUNK_BYTES: Final = 64 * 2**20
_CPU_CHUNK: Final = 1024
_GPU_CHUNK: Final = 4096
"""Most texts of a chunk. A CPU has little to gain from more, and pays in memory: three chunks are under way
at a time. On a GPU the last batches of a chunk, which are not full, weigh more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedScan:
    """One scan that a request makes.

    Attributes:
        name: its name in the store.
        spec: every input that decides its rows.
        reading: what it takes from a forward pass.
    """

    name: str
    spec: ScanSpec
    reading: Reading

    @property
    def is_of_tokens(self) -> bool:
        """True when each token is a sample."""
        return self.spec.token_step is not None

    @property
    def read_at(self) -> tuple[str, ...]:
        """Where in the model each layer is read, in words."""
        return tuple(str(self.reading.site.points[layer]) for layer in self.spec.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPlan:
    """All that a request makes, ready to be run.

    Attributes:
        request: what was asked.
        corpus: the texts.
        model: the model, loaded.
        scans: one per site and pooling.
        is_begun: some of the scans are in the store already, complete or not.
    """

    request: ScanRequest
    corpus: Corpus
    model: LoadedModel
    scans: tuple[PlannedScan, ...]
    is_begun: bool

    @property
    def n_texts(self) -> int:
        """Rows of the corpus."""
        return len(self.corpus.status)

    def texts_of(self, index: int, *, chunk_texts: int) -> range:
        """Places in the corpus of a chunk's texts."""
        first = index * chunk_texts
        return range(first, min(first + chunk_texts, self.n_texts))


def plan_scans(root: Path, request: ScanRequest) -> ScanPlan:
    """Reads corpus and model and decides everything that a request left open. Nothing is written.

    Args:
        root: folder of the store, which need not be there yet.
        request: what to scan and how.

    Raises:
        CorpusError, ModelError, InvalidInput, UnknownName: the request cannot be served.
    """
    refuse_bad_request(request)
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
        token_label_column=request.token_label_column,
        limit=request.limit,
        keep_invalid=request.keep_invalid,
    )
    del table
    _refuse_unlabelled_texts(request, corpus)
    model = load_model(request.model)
    return _Planner(root, request, corpus, model).plan()


def _refuse_unlabelled_texts(request: ScanRequest, corpus: Corpus) -> None:
    """A corpus may do without labels of texts only where every sample is a labelled token."""
    if set(request.poolings) == {TOKENS} and request.token_label_column is not None:
        return
    if corpus.rows[schema.LABEL].null_count == corpus.rows.num_rows:
        raise CorpusError(
            f"corpus {corpus.name!r} has no labels of texts in column {request.label_column!r}; name another "
            "with --label-column, or read tokens alone with --pooling tokens"
        )


class _Planner:
    """Decides what a request left open."""

    def __init__(self, root: Path, request: ScanRequest, corpus: Corpus, model: LoadedModel) -> None:
        self._store = StorePaths(root)
        self._request = request
        self._corpus = corpus
        self._model = model
        self._max_tokens = self._chosen_max_tokens()
        self._census: TokenCensus | None = None

    def plan(self) -> ScanPlan:
        readings = self._readings()
        if any(one.pooling == TOKENS for one in readings):
            self._census = take_census(
                self._model,
                self._corpus,
                step=self._request.token_step,
                max_tokens=self._max_tokens,
                chat_template=self._request.chat_template,
            )
        names = self._names(readings)
        earlier = [self._earlier(name) for name in names]
        fresh = self._cut(readings)
        # How a scan was cut up is its own affair: going on with it keeps to it, and what is made
        # beside it in the same pass is cut alike.
        known = next((one for one in earlier if one is not None), None)
        cut = fresh if known is None else (known.chunk_samples, known.batch_tokens)
        scans = []
        for name, reading, there in zip(names, readings, earlier, strict=True):
            spec = self._spec(reading, (there.chunk_samples, there.batch_tokens) if there else cut)
            if self._request.name is None and there is not None and _differ(there, spec):
                # A name nobody chose gives way where other inputs have taken it.
                spec = self._spec(reading, fresh)
                name = f"{name[:57]}-{scan_identity(spec)[:6]}"
                again = self._earlier(name)
                spec = (
                    spec if again is None else self._spec(reading, (again.chunk_samples, again.batch_tokens))
                )
            scans.append(PlannedScan(name=check_name("scan", name), spec=spec, reading=reading))
        return ScanPlan(
            request=self._request,
            corpus=self._corpus,
            model=self._model,
            scans=tuple(scans),
            is_begun=any(self._earlier(scan.name) is not None for scan in scans),
        )

    def _readings(self) -> list[Reading]:
        """A reading per site and pooling, each once."""
        request, traits = self._request, self._model.traits
        poolings = list(
            dict.fromkeys(
                resolve_pooling(one, is_causal=traits.is_causal, force=request.force)
                for one in request.poolings
            )
        )
        readings = []
        for name in dict.fromkeys(request.sites):
            site = self._model.site(name)
            layers = _chosen_layers(request.layers, site.layers, of=f"site {name!r} of {self._model.name!r}")
            readings += [Reading(site=site, layers=layers, pooling=pooling) for pooling in poolings]
        return readings

    def _names(self, readings: Sequence[Reading]) -> list[str]:
        """A name per reading: the request's own, with what tells it from the others."""
        base = self._request.name or _default_name(self._model.name, self._corpus.name)
        several_sites = len({one.site.name for one in readings}) > 1
        several_poolings = len({one.pooling for one in readings}) > 1
        names = []
        for reading in readings:
            parts = [
                *([reading.site.name] if several_sites else []),
                *([reading.pooling] if several_poolings else []),
            ]
            names.append(as_name("-".join([base, *parts])) if parts else base)
        if len(set(names)) < len(names):
            raise InvalidInput("two of the sites have names that cannot be told apart; scan them one by one")
        return names

    def _earlier(self, name: str) -> ScanSpec | None:
        return find_scan(self._store, name).spec if name in scan_names(self._store) else None

    def _cut(self, readings: Sequence[Reading]) -> tuple[int, int]:
        """Texts per chunk, so that a chunk of all scans together is bounded in bytes; tokens per batch."""
        counts = np.ones(self._corpus.rows.num_rows, dtype=np.int64)
        text_bytes = sum(_row_bytes(one) for one in readings if one.pooling != TOKENS)
        token_bytes = sum(_row_bytes(one) for one in readings if one.pooling == TOKENS)
        n_bytes = text_bytes * counts
        if self._census is not None:
            n_bytes = n_bytes + token_bytes * self._census.n_kept
        batch_tokens = CPU_BATCH_TOKENS if self._model.device == "cpu" else GPU_BATCH_TOKENS
        return _texts_per_chunk(n_bytes, device=self._model.device), batch_tokens

    def _spec(self, reading: Reading, cut: tuple[int, int]) -> ScanSpec:
        request, corpus, model = self._request, self._corpus, self._model
        chunk_samples = request.chunk_samples or cut[0]
        spec = ScanSpec(
            model=model.name,
            revision=model.revision,
            model_fingerprint=model.fingerprint,
            random_weights=request.model.random_weights,
            corpus=corpus.name,
            corpus_fingerprint=corpus.fingerprint,
            split=request.split,
            text_column=request.text_column,
            label_column=request.label_column,
            covariates=_covariates(corpus.covariates),
            labels=corpus.labels,
            n_samples=corpus.rows.num_rows,
            site=reading.site.name,
            pooling=reading.pooling,
            layers=reading.layers,
            hidden_size=reading.site.width,
            max_tokens=self._max_tokens,
            dtype=model.dtype,
            chunk_samples=chunk_samples,
            batch_tokens=request.batch_tokens or cut[1],
            side=model.side,
            chat_template=request.chat_template,
        )
        if reading.pooling != TOKENS or self._census is None:
            return spec
        return replace(
            spec,
            covariates=_covariates(schema.token_covariates()) + spec.covariates,
            labels=self._census.labels,
            n_samples=int(self._census.n_kept.sum()),
            token_step=request.token_step,
            token_label_column=request.token_label_column,
            chunk_ends=self._census.chunk_ends(chunk_samples),
        )

    def _chosen_max_tokens(self) -> int:
        model, asked = self._model, self._request.max_tokens
        most = model.traits.max_tokens
        n_around = model.traits.n_special_tokens
        if self._request.chat_template:
            n_around = count_template_tokens(model.tokenizer)
        if asked is not None and asked > most:
            raise InvalidInput(f"--max-tokens {asked} is more than model {model.name!r} can take ({most})")
        if (asked or most) <= n_around:
            # A tokenizer silently does not cut a text that it cannot cut to this length.
            raise InvalidInput(
                f"--max-tokens {asked or most} leaves no token of a text: the tokenizer puts {n_around} of "
                "its own around it"
            )
        return asked or most


def _differ(there: ScanSpec, spec: ScanSpec) -> bool:
    return scan_identity(there) != scan_identity(spec)


def _default_name(model: str, corpus: str) -> str:
    return as_name(f"{model.rsplit('/', 1)[-1]}-{corpus.rsplit('/', 1)[-1]}")


def _row_bytes(reading: Reading) -> int:
    return len(reading.layers) * reading.site.width * 4


def _texts_per_chunk(n_bytes: npt.NDArray[np.int64], *, device: str) -> int:
    """Texts per chunk, a power of two where texts differ in size, so that no chunk is larger than it may be.

    Args:
        n_bytes: what each text takes, int64 (texts,).
        device: where the model runs.
    """
    most = _CPU_CHUNK if device == "cpu" else _GPU_CHUNK
    if n_bytes.min() == n_bytes.max():
        return int(min(most, max(1, _CHUNK_BYTES // max(1, n_bytes[0]))))
    size = most
    while size > 1 and np.add.reduceat(n_bytes, np.arange(0, len(n_bytes), size)).max() > _CHUNK_BYTES:
        size //= 2
    return size


def _chosen_layers(layers: Sequence[int] | None, there: tuple[int, ...], *, of: str) -> tuple[int, ...]:
    if layers is None:
        return there
    span = span_words(there)
    for layer in layers:
        if layer not in there:
            raise InvalidInput(f"layer {layer} is not at {of}; its layers are {span}")
    if not layers:
        raise InvalidInput(f"no layer was chosen; layers at {of} are {span}")
    return tuple(sorted(set(layers)))


def _covariates(fields: pa.Schema) -> tuple[Covariate, ...]:
    return tuple(Covariate(name=field.name, type=str(field.type)) for field in fields)
