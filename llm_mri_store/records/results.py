"""Records of a result that is kept: what was asked, and of what it was made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from llm_mri_store.records.reductions import ReductionRecord
from llm_mri_store.records.scans import ChunkRecord, chunks_digest
from llm_mri_store.schema import FORMAT_VERSION

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


def result_source(chunks: tuple[ChunkRecord, ...], reduction: ReductionRecord | None) -> str:
    """Digest of what a result is made from: a scan's chunks, and the files of the reduction it uses."""
    source = chunks_digest(chunks)
    if reduction is None:
        return source
    digest = hashlib.sha256(f"{source}\n".encode())
    for name in sorted(reduction.files):
        digest.update(f"{name} {reduction.files[name]}\n".encode())
    return digest.hexdigest()
