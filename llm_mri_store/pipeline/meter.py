"""How far a scan is: characters, texts and tokens, counted over the chunks still to do."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.extraction.corpus import Corpus
from llm_mri_store.records import Progress, ProgressCallback, ScanSpec


class ScanMeter:
    """Tells a callback how far a scan is, batch by batch.

    Args:
        corpus: what is scanned.
        spec: how it is cut into chunks.
        missing: chunks that are still to do.
        progress: what is told.
    """

    def __init__(
        self, corpus: Corpus, spec: ScanSpec, missing: Sequence[int], progress: ProgressCallback
    ) -> None:
        # Cost goes with tokens, which are known only when a chunk comes up; characters stand for
        # them, up to what a truncated text can hold.
        lengths = pc.fill_null(pc.utf8_length(corpus.rows[schema.TEXT]), 0)
        self._cost = np.minimum(lengths.to_numpy(), 8 * spec.max_tokens) + 16
        ranges = [spec.chunk_range(index) for index in missing]
        self._total = sum(int(self._cost[ids.start : ids.stop].sum()) for ids in ranges)
        self._n_texts = sum(map(len, ranges))
        self._progress = progress
        self._done = self._texts = self._tokens = 0
        self._begun = time.monotonic()

    def add(self, first_sample: int, places: Sequence[int], n_tokens: int) -> None:
        """Counts a batch.

        Args:
            first_sample: sample id with which the chunk begins.
            places: positions of the batch's texts in the chunk.
            n_tokens: their real tokens.
        """
        self._done += int(self._cost[[first_sample + place for place in places]].sum())
        self._texts += len(places)
        self._tokens += n_tokens
        rate = self._tokens / max(time.monotonic() - self._begun, 1e-9)
        self._tell(self._done, f"{self._texts:,} of {self._n_texts:,} texts, {rate:,.0f} tokens/s")

    def finish(self) -> None:
        """Says that all is done, texts that were not read included."""
        self._tell(self._total, f"{self._n_texts:,} of {self._n_texts:,} texts")

    def _tell(self, done: int, note: str) -> None:
        self._progress(Progress(job="scan", done=done, total=self._total, note=note))
