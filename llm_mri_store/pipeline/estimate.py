"""What a scan will take, said before it starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from llm_mri_store import schema
from llm_mri_store.extraction.encoding import encode_texts
from llm_mri_store.pipeline.plan import PlannedScan, ScanPlan
from llm_mri_store.pipeline.work import ChunkWork
from llm_mri_store.store.catalogue import find_scan, scan_names
from llm_mri_store.store.paths import StorePaths

_LOGGER: Final = logging.getLogger("llm_mri_store")
_SAMPLED_TEXTS: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanEstimate:
    """What one scan will take.

    Attributes:
        name: the scan.
        site, pooling: where and how it reads.
        n_samples: rows it will have.
        n_tokens: tokens the model reads; an estimate from a sample of the texts unless ``is_counted``.
        is_counted: every text was tokenised.
        layers: layers kept.
        width: length of a vector.
        n_chunks, n_chunks_done: commits in all, and those that are there already.
        megabytes: activations on disk, uncompressed: float32, 10^6 bytes; the store compresses them by some
            tenth.
    """

    name: str
    site: str
    pooling: str
    n_samples: int
    n_tokens: int
    is_counted: bool
    layers: tuple[int, ...]
    width: int
    n_chunks: int
    n_chunks_done: int
    megabytes: float


def estimate(plan: ScanPlan, store: StorePaths) -> tuple[ScanEstimate, ...]:
    """What a plan's scans will take; a store need not be there."""
    n_tokens, is_counted = estimated_tokens(plan)
    there = scan_names(store)
    return tuple(
        ScanEstimate(
            name=scan.name,
            site=scan.spec.site,
            pooling=scan.spec.pooling,
            n_samples=scan.spec.n_samples,
            n_tokens=n_tokens,
            is_counted=is_counted,
            layers=scan.spec.layers,
            width=scan.spec.hidden_size,
            n_chunks=scan.spec.n_chunks,
            n_chunks_done=len(find_scan(store, scan.name).chunks) if scan.name in there else 0,
            megabytes=_megabytes(scan),
        )
        for scan in plan.scans
    )


def estimated_tokens(plan: ScanPlan) -> tuple[int, bool]:
    """Tokens the model will read, from evenly spaced texts, and whether that is exact (all were taken)."""
    places = plan.corpus.readable
    chosen = [
        places[at] for at in np.linspace(0, len(places) - 1, min(len(places), _SAMPLED_TEXTS)).astype(int)
    ]
    texts = plan.corpus.rows[schema.TEXT].take(chosen).to_pylist()
    spec = plan.scans[0].spec
    encoded = encode_texts(plan.model, texts, max_tokens=spec.max_tokens, chat_template=spec.chat_template)
    found = sum(text.n_tokens for text in encoded)
    return round(found * len(places) / max(len(chosen), 1)), len(chosen) == len(places)


def announce(plan: ScanPlan, work: Sequence[ChunkWork]) -> None:
    """Says what is about to be done."""
    for scan in plan.scans:
        spec = scan.spec
        n_missing = sum(scan in one.scans for one in work)
        _LOGGER.info(
            "scan %r: %s %s x %d layers x %d = %.1f MB of activations in %d chunks (%d to do); %s, %s "
            "pooling, %s, %s",
            scan.name,
            f"{spec.n_samples:,}",
            "tokens" if scan.is_of_tokens else "texts",
            len(spec.layers),
            spec.hidden_size,
            _megabytes(scan),
            spec.n_chunks,
            n_missing,
            spec.site,
            "no" if scan.is_of_tokens else spec.pooling,
            plan.model.device,
            spec.dtype,
        )


def _megabytes(scan: PlannedScan) -> float:
    spec = scan.spec
    return spec.n_samples * len(spec.layers) * spec.hidden_size * 4 / 1e6
