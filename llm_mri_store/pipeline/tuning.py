"""How many tokens a batch should have: tried out where a scan is long enough for that to pay."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Final

import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.errors import ModelError
from llm_mri_store.extraction.encoding import EncodedText, encode_texts
from llm_mri_store.extraction.extractor import CPU_BATCH_TOKENS, GPU_BATCH_TOKENS, extract
from llm_mri_store.pipeline.estimate import estimated_tokens
from llm_mri_store.pipeline.plan import ScanPlan

_LOGGER: Final = logging.getLogger("llm_mri_store")

PAYS_FROM_TOKENS: Final = 1_000_000
"""Shorter scans run with the default: trying sizes would take more than it saves."""

_MOST_ADDED: Final = 64
"""More tokens than a tokenizer adds to a text, special ones or those of a chat template."""

_CPU_SIZES: Final = (1024, 2048, 4096)
_GPU_SIZES: Final = (8192, 16_384, 32_768, 65_536)
_SHARE: Final = 0.005
"""Share of the scan's tokens that each size is tried on."""
_MUST_GAIN: Final = 1.05
"""How much faster another size must be: a choice by chance would give equal scans different last bits."""


def with_tuned_batches(plan: ScanPlan) -> ScanPlan:
    """The plan with the batch size that is fastest on some of its texts.

    Left as it is where the size was given, where a scan of the plan was begun already (its batches
    are its own), and where the scan is short. The size is recorded in the scan, so that going on
    with it computes the same batches.
    """
    if plan.request.batch_tokens is not None or plan.is_begun or _is_surely_short(plan):
        return plan
    n_tokens, _ = estimated_tokens(plan)
    if n_tokens < PAYS_FROM_TOKENS:
        return plan
    is_cpu = plan.model.device == "cpu"
    default, sizes = (CPU_BATCH_TOKENS, _CPU_SIZES) if is_cpu else (GPU_BATCH_TOKENS, _GPU_SIZES)
    texts = _some_texts(plan, round(n_tokens * _SHARE))
    _rate(plan, texts[:8], default)  # the first pass of all is slower
    rates = {size: _rate(plan, texts, size) for size in sizes}
    best = max(rates, key=lambda size: rates[size])
    chosen = best if rates[best] > _MUST_GAIN * rates[default] else default
    _LOGGER.info(
        "batches of %s tokens (tokens/s tried: %s)",
        f"{chosen:,}",
        ", ".join(f"{size:,}: {rate:,.0f}" for size, rate in rates.items()),
    )
    scans = tuple(replace(scan, spec=replace(scan.spec, batch_tokens=chosen)) for scan in plan.scans)
    return replace(plan, scans=scans)


def _is_surely_short(plan: ScanPlan) -> bool:
    """Whether the size of the texts alone says so: but for the added ones, a token is at least a byte."""
    texts = plan.corpus.rows[schema.TEXT]
    n_bytes = pc.sum(pc.binary_length(texts)).as_py() or 0
    return bool(n_bytes + _MOST_ADDED * len(texts) < PAYS_FROM_TOKENS)


def _some_texts(plan: ScanPlan, n_tokens: int) -> list[EncodedText]:
    """Evenly spaced texts of about so many tokens together, at least one chunk's worth of lengths."""
    places = plan.corpus.readable
    spec = plan.scans[0].spec
    found: list[EncodedText] = []
    total = 0
    # Steps of a prime number of texts, so that a corpus sorted or alternating by label is met evenly.
    step = 7919 % max(len(places), 1) or 1
    at = 0
    while total < n_tokens and len(found) < len(places):
        chosen = [places[(at + nth * step) % len(places)] for nth in range(32)]
        at += 32 * step
        found += encode_texts(
            plan.model,
            plan.corpus.rows[schema.TEXT].take(chosen).to_pylist(),
            max_tokens=spec.max_tokens,
            chat_template=spec.chat_template,
        )
        total = sum(text.n_tokens for text in found)
    return found


def _rate(plan: ScanPlan, texts: list[EncodedText], batch_tokens: int) -> float:
    """Real tokens per second; 0 where the device has too little memory for such batches."""
    readings = [scan.reading for scan in plan.scans if not scan.is_of_tokens] or [
        replace(plan.scans[0].reading, pooling="mean")
    ]
    begun = time.perf_counter()
    try:
        vectors = extract(plan.model, texts, readings, batch_tokens=batch_tokens)
    except ModelError:
        return 0.0
    vectors.clear()
    return sum(text.n_tokens for text in texts) / (time.perf_counter() - begun)
