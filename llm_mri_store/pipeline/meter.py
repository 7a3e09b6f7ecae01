"""How far a scan is: characters, texts and tokens, counted over the chunks still to do."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.pipeline.plan import ScanPlan
from llm_mri_store.records.jobs import Progress, ProgressCallback


class ScanMeter:
    """Tells a callback how far a scan is, batch by batch.

    Args:
        plan: what is scanned.
        texts: places in the corpus of the texts still to be read.
        progress: what is told.
    """

    def __init__(self, plan: ScanPlan, texts: Sequence[range], progress: ProgressCallback) -> None:
        # Cost goes with tokens, which are known only when a chunk comes up; characters stand for
        # them, up to what a truncated text can hold.
        lengths = pc.fill_null(pc.utf8_length(plan.corpus.rows[schema.TEXT]), 0)
        self._cost = np.minimum(lengths.to_numpy(), 8 * plan.scans[0].spec.max_tokens) + 16
        self._total = sum(int(self._cost[ids.start : ids.stop].sum()) for ids in texts)
        self._n_texts = sum(map(len, texts))
        self._progress = progress
        self._done = self._texts = self._tokens = 0
        self._begun = time.monotonic()

    @property
    def seconds_left(self) -> float:
        """How long the rest will take at the rate so far."""
        elapsed = time.monotonic() - self._begun
        return elapsed * (self._total - self._done) / max(self._done, 1)

    @property
    def tokens_per_second(self) -> float:
        """Real tokens read per second of wall time."""
        return self._tokens / max(time.monotonic() - self._begun, 1e-9)

    def add(self, places: Sequence[int], n_tokens: int) -> None:
        """Counts a batch.

        Args:
            places: its texts' places in the corpus.
            n_tokens: their real tokens.
        """
        self._done += int(self._cost[list(places)].sum())
        self._texts += len(places)
        self._tokens += n_tokens
        rate = f"{self.tokens_per_second:,.0f} tokens/s"
        self._tell(self._done, f"{self._texts:,} of {self._n_texts:,} texts, {rate}")

    def finish(self) -> None:
        """Says that all is done, texts that were not read included."""
        self._tell(self._total, f"{self._n_texts:,} of {self._n_texts:,} texts")

    def _tell(self, done: int, note: str) -> None:
        self._progress(Progress(job="scan", done=done, total=self._total, note=note))
