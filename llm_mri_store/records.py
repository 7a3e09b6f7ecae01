"""Frozen records that cross floors, and the JSON files of a store are made of."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import msgspec

from llm_mri_store.errors import StoreCorrupt, StoreTooNew
from llm_mri_store.schema import FORMAT_VERSION

Pooling = Literal["first", "last", "mean", "max"]
POOLINGS: Final[tuple[Pooling, ...]] = ("first", "last", "mean", "max")

StoredPooling = Literal["first", "last", "mean", "max", "tokens", "imported"]
"""How a stored vector came about: pooled over a text, of one token by itself, or by who made the file."""

Side = Literal["encoder", "decoder"]
SIDES: Final[tuple[Side, ...]] = ("encoder", "decoder")

Method = Literal["pca", "svd", "umap"]
METHODS: Final[tuple[Method, ...]] = ("pca", "svd", "umap")

Bins = Literal["width", "quantile"]
BINS: Final[tuple[Bins, ...]] = ("width", "quantile")

DType = Literal["float32", "bfloat16", "float16", "bfloat16-autocast"]
DTYPES: Final[tuple[DType, ...]] = ("float32", "bfloat16", "float16", "bfloat16-autocast")
"""Precision of the forward pass; autocast: float32 weights, products in bfloat16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRecord:
    """What ``store.json`` holds."""

    format: int = FORMAT_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariate:
    """A further column of a corpus: its name in the store and its Arrow type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanSpec:
    """Every input that decides what a scan's rows are.

    Attributes:
        model: the model as it was named (Hub id, folder, or class of a loaded model).
        revision: commit hash of a Hub model; None for a folder.
        model_fingerprint: sha256 that stands for weights, configuration and tokenizer.
        random_weights: seed of freshly drawn weights; None for the trained ones.
        corpus: the corpus as it was named.
        corpus_fingerprint: sha256 of all texts, labels and covariates in order.
        split: the split read, where the corpus has splits.
        text_column, label_column: columns of the corpus that became text and label.
        covariates: the further columns.
        labels: distinct labels, sorted; null labels left out.
        n_samples: rows of the corpus (after ``limit``).
        site: where in a block activations are read.
        pooling: how a text's tokens become one vector; ``tokens`` where each token is a sample.
        layers: layers kept; 0 is the embedding output, i is block i.
        hidden_size: length of an activation.
        max_tokens: longer texts are truncated to this many tokens.
        dtype: precision of the forward pass; activations are stored as float32.
        chunk_samples: samples a chunk holds (the last one may hold fewer).
        batch_tokens: most padded tokens in one forward pass (one long text may exceed it).
        side: which half of an encoder-decoder model is read; None for any other model.
        chat_template: each text was read as a user's message in the model's chat template.
        token_step: of a token scan: every how many tokens of a text one is kept; None for texts.
        token_label_column: of a token scan: the column that labels its tokens; None where each has its
            text's label.
        chunk_ends: of a token scan, whose chunks end with a text: sample id behind each chunk's last.
    """

    model: str
    revision: str | None
    model_fingerprint: str
    random_weights: int | None
    corpus: str
    corpus_fingerprint: str
    split: str | None
    text_column: str
    label_column: str
    covariates: tuple[Covariate, ...]
    labels: tuple[str, ...]
    n_samples: int
    site: str
    pooling: StoredPooling
    layers: tuple[int, ...]
    hidden_size: int
    max_tokens: int
    dtype: DType
    chunk_samples: int
    batch_tokens: int
    side: Side | None = None
    chat_template: bool = False
    token_step: int | None = None
    token_label_column: str | None = None
    chunk_ends: tuple[int, ...] = ()

    @property
    def n_chunks(self) -> int:
        """Chunks that the complete scan has."""
        return len(self.chunk_ends) or -(-self.n_samples // self.chunk_samples)

    def chunk_range(self, index: int) -> range:
        """Sample ids of chunk ``index``."""
        if self.chunk_ends:
            return range(self.chunk_ends[index - 1] if index else 0, self.chunk_ends[index])
        first = index * self.chunk_samples
        return range(first, min(first + self.chunk_samples, self.n_samples))


PROVENANCE_FIELDS: Final = frozenset({"model", "revision", "corpus", "split"})
"""Fields of a ScanSpec that name an input whose content another field fingerprints."""

_UNSET: Final[dict[str, object]] = {
    "side": None,
    "chat_template": False,
    "token_step": None,
    "token_label_column": None,
}
"""Fields that came later, and what they are in a scan that says nothing of them: left out of its identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanRecord:
    """What ``scan.json`` holds: the spec, its identity, when and with what it was begun.

    Attributes:
        notes: what was left out or renamed, a sentence each.
        read_at: where in the model each layer was read, such as ``output of encoder.layer.0``.
    """

    format: int = FORMAT_VERSION
    identity: str
    created: str
    versions: dict[str, str]
    notes: tuple[str, ...] = ()
    read_at: tuple[str, ...] = ()
    spec: ScanSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedRecord:
    """What ``pruned.json`` holds: that a scan's activations were removed, and when."""

    format: int = FORMAT_VERSION
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRecord:
    """What ``chunk.json`` holds: the range of samples and a digest of each file.

    Attributes:
        index: 0-based position of the chunk in the scan.
        first_sample, n_samples: the sample ids are ``first_sample .. first_sample + n_samples - 1``.
        n_tokens: real tokens read by the model.
        files: file name -> sha256.
        device: where the forward pass ran.
        versions: versions of what computed it.
    """

    format: int = FORMAT_VERSION
    index: int
    first_sample: int
    n_samples: int
    n_tokens: int
    files: dict[str, str]
    device: str
    versions: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionSpec:
    """Every choice that decides what a reduction's points and cells are.

    Attributes:
        method: pca, svd or umap.
        n_components: coordinates per sample and layer, at least 1.
        grid: cells per axis; None for a reduction without a grid (n_components is not 2).
        bins: equal widths over the fitted range, or quantiles of the fitted points.
        seed: seed of UMAP; PCA and SVD are exact and do not use it.
        scale: divide each feature by its population standard deviation (pca, svd).
        center: subtract each feature's mean (pca always; svd by choice).
        n_neighbors, min_dist, metric: UMAP's own.
        template: ``scan/reduction`` whose fitted reducers and bin edges were applied; None if fitted here.
    """

    method: Method
    n_components: int = 2
    grid: int | None = 10
    bins: Bins = "width"
    seed: int = 0
    scale: bool = True
    center: bool = True
    n_neighbors: int = 15
    min_dist: float = 0.1
    metric: str = "cosine"
    template: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDiagnostics:
    """What a reduction found in one layer.

    Attributes:
        layer: the layer.
        is_degenerate: the activations do not vary beyond rounding: one cell, no edges.
        n_fitted: samples the reducer was fitted on (0 when a template was applied).
        n_excluded: samples without a point (status not ``ok``).
        n_clipped: points outside the grid's fitted range, put into its outermost cells.
        relative_spread: largest standard deviation of a feature, relative to the size of the
            activations, >= 0; at most ``spread_tolerance`` means degenerate.
        spread_tolerance: what rounding alone may do in the scan's dtype, doubled.
        total_variance: sum of the variances of the features as they entered the reducer
            (after scaling), divisor n - 1; None for UMAP.
        explained_variance: variance of each component, divisor n - 1; empty for UMAP.
        explained_variance_ratio: its share of the total, each in [0, 1]; empty for UMAP.
        edges_x, edges_y: the grid's bin edges, ascending, grid + 1 of them; empty without a grid.
    """

    layer: int
    is_degenerate: bool
    n_fitted: int
    n_excluded: int
    n_clipped: int
    relative_spread: float
    spread_tolerance: float
    total_variance: float | None
    explained_variance: tuple[float, ...]
    explained_variance_ratio: tuple[float, ...]
    edges_x: tuple[float, ...]
    edges_y: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionRecord:
    """What ``reduction.json`` holds.

    Attributes:
        source: the digest of the scan's chunks that were reduced (see ``chunks_digest``).
        files: path below the reduction's folder -> sha256.
    """

    format: int = FORMAT_VERSION
    created: str
    versions: dict[str, str]
    source: str
    n_samples: int
    spec: ReductionSpec
    layers: tuple[LayerDiagnostics, ...]
    files: dict[str, str]


Choice = str | int | float | bool | None
Choices = Choice | tuple[Choice, ...]
"""What a parameter of an analysis may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultSpec:
    """Every choice that decides a result's rows, but for what it was made from.

    Attributes:
        kind: the analysis, one of ``schema.RESULT_KINDS``.
        name: the result's own name among those of its kind.
        parameters: name -> value; numbers must be finite.
        seed: seed of what was drawn at random; None where nothing was.
    """

    kind: str
    name: str
    parameters: dict[str, Choices]
    seed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRecord:
    """What ``result.json`` holds.

    Attributes:
        source: digest of what the result was made from (see ``result_source``).
        columns: table -> its columns in order, each ``name type``.
        files: file name -> sha256.
    """

    format: int = FORMAT_VERSION
    created: str
    versions: dict[str, str]
    source: str
    spec: ResultSpec
    columns: dict[str, tuple[str, ...]]
    files: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a long job is.

    Attributes:
        job: what is going on, such as ``"scan"``.
        done, total: units of work: characters of a scan's texts, layers of a reduction.
        note: a word on what is being done now, with its rate.
    """

    job: str
    done: int
    total: int
    note: str = ""


ProgressCallback = Callable[[Progress], None]


def no_progress(_: Progress) -> None:
    """Callback that ignores progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something ``verify`` found.

    Attributes:
        where: the file or folder, relative to the store.
        what: one sentence.
        part: the chunk, reduction or result that is lost by it, as a folder relative to the store: removing
            it and asking again mends it. None where that would not: a file that is no part of the store, a
            scan's own record, a chunk that is missing already.
    """

    where: str
    what: str
    part: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LostPart:
    """A part of a store that damage has cost.

    Attributes:
        where: its folder, relative to the store.
        kind: ``chunk``, ``reduction`` or ``result``.
        why: what is wrong with it.
        remedy: how it is made anew once it is removed.
    """

    where: str
    kind: str
    why: str
    remedy: str


RecordT = TypeVar("RecordT")


def to_json(record: object) -> bytes:
    """Bytes of a record's JSON file, indented, with a final newline."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def from_json(content: bytes, record_type: type[RecordT], *, where: str) -> RecordT:
    """Record of a JSON file.

    Args:
        content: the file's bytes.
        record_type: the record it must be.
        where: the file's name, for the message.

    Raises:
        StoreCorrupt: it is not JSON, lacks a field, has one of a wrong type, or is of a newer format.
    """
    try:
        written = msgspec.json.decode(content, type=dict[str, Any])
        if isinstance(written.get("format"), int) and written["format"] > FORMAT_VERSION:
            raise StoreTooNew(
                f"{where} was written by a newer version (format {written['format']}, this version reads up "
                f"to {FORMAT_VERSION}); upgrade llm-mri-store"
            )
        return msgspec.convert(written, record_type, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreCorrupt(f"{where} is damaged: {error}; restore it, or run 'llm-mri repair'") from error


def scan_identity(spec: ScanSpec) -> str:
    """Identity of a scan: sha256 of every input that decides its rows.

    Where a model or corpus lies is left out: the fingerprints of their content are in.
    """
    fields = {
        name: value
        for name, value in msgspec.to_builtins(spec).items()
        if name not in PROVENANCE_FIELDS and not (name in _UNSET and value == _UNSET[name])
    }
    return _identity(fields)


def written_identity(content: bytes) -> str:
    """Identity by the fields that a ``scan.json`` was written with: an earlier version knew fewer."""
    fields: dict[str, Any] = msgspec.json.decode(content)["spec"]
    return _identity({name: value for name, value in fields.items() if name not in PROVENANCE_FIELDS})


def _identity(fields: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()


def spec_differences(recorded: object, asked: object, *, ignore: frozenset[str] = frozenset()) -> str:
    """Words on the fields in which two specs differ, such as ``"pooling: 'mean' there, 'last' asked"``."""
    there, here = msgspec.to_builtins(recorded), msgspec.to_builtins(asked)
    return "; ".join(
        f"{name}: {_short(there[name])} there, {_short(here[name])} asked"
        for name in there
        if name not in ignore and there[name] != here[name]
    )


def _short(value: object) -> str:
    words = repr(value)
    return words if len(words) <= 40 else words[:37] + "..."


_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def visible(words: str) -> str:
    r"""Words that a terminal shows as they are: control characters and turned writing are spelled out.

    >>> print(visible("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), words)


def span_words(layers: tuple[int, ...]) -> str:
    """Layers in words.

    >>> span_words((0, 1, 2)), span_words((0, 3)), span_words((6,))
    ('0-2', '0, 3', '6')
    """
    is_gapless = len(layers) > 1 and layers == tuple(range(layers[0], layers[-1] + 1))
    return f"{layers[0]}-{layers[-1]}" if is_gapless else ", ".join(map(str, layers))


def chunks_digest(chunks: tuple[ChunkRecord, ...]) -> str:
    """Digest of the content of a scan's chunks, in order: what a reduction was made from."""
    digest = hashlib.sha256()
    for chunk in chunks:
        for name in sorted(chunk.files):
            digest.update(f"{chunk.index} {name} {chunk.files[name]}\n".encode())
    return digest.hexdigest()


def result_source(chunks: tuple[ChunkRecord, ...], reduction: ReductionRecord | None) -> str:
    """Digest of what a result is made from: a scan's chunks, and the files of the reduction it uses."""
    source = chunks_digest(chunks)
    if reduction is None:
        return source
    digest = hashlib.sha256(f"{source}\n".encode())
    for name in sorted(reduction.files):
        digest.update(f"{name} {reduction.files[name]}\n".encode())
    return digest.hexdigest()
