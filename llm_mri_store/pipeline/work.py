"""What is left of a plan: which chunks, and which scans lack each."""

from __future__ import annotations

from dataclasses import dataclass

from llm_mri_store.pipeline.plan import PlannedScan, ScanPlan
from llm_mri_store.store.catalogue import find_scan
from llm_mri_store.store.paths import StorePaths


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkWork:
    """A chunk that is still to be computed.

    Attributes:
        index: which chunk.
        scans: the scans that lack it; they are cut alike, so one forward pass serves them all.
    """

    index: int
    scans: tuple[PlannedScan, ...]

    @property
    def chunk_texts(self) -> int:
        """Texts per chunk."""
        return self.scans[0].spec.chunk_samples


def missing_work(store: StorePaths, plan: ScanPlan) -> list[ChunkWork]:
    """The chunks that some of a plan's scans lack, in order."""
    lacking: dict[tuple[int, int, int], list[PlannedScan]] = {}
    for scan in plan.scans:
        there = {chunk.index for chunk in find_scan(store, scan.name).chunks}
        for index in range(scan.spec.n_chunks):
            if index not in there:
                # Scans begun at different times may be cut differently: then each has passes of its own.
                cut = (scan.spec.chunk_samples, scan.spec.batch_tokens)
                lacking.setdefault((*cut, index), []).append(scan)
    return [
        ChunkWork(index=index, scans=tuple(scans))
        for (_, _, index), scans in sorted(lacking.items(), key=lambda item: item[0])
    ]
