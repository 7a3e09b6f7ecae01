"""Records of a scan: what it was asked, its chunks, and the identity of its inputs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from llm_mri_store.records.choices import DType, Side, StoredPooling
from llm_mri_store.schema import FORMAT_VERSION


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


def chunks_digest(chunks: tuple[ChunkRecord, ...]) -> str:
    """Digest of the content of a scan's chunks, in order: what a reduction was made from."""
    digest = hashlib.sha256()
    for chunk in chunks:
        for name in sorted(chunk.files):
            digest.update(f"{chunk.index} {name} {chunk.files[name]}\n".encode())
    return digest.hexdigest()
