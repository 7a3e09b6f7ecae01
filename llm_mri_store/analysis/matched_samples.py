"""Which samples two scans share, one by one, and their identity handed out again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.analysis.kept_results import Place
from llm_mri_store.errors import InvalidInput, StoreCorrupt
from llm_mri_store.store.arrays import stored_points
from llm_mri_store.store.catalogue import ReductionEntry, ScanEntry
from llm_mri_store.store.tables import points_table, samples_table

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatchedSamples:
    """Samples that have a point in both of two reductions.

    Attributes:
        sample_ids: int64 (n,), ascending; the same text, or token, in both scans.
        texts: int64 (n,), ascending: the text of each sample; of a scan of texts the sample itself.
    """

    sample_ids: Int64
    texts: Int64

    @property
    def n(self) -> int:
        """How many there are."""
        return len(self.sample_ids)

    @property
    def is_of_tokens(self) -> bool:
        """True where a text may hold several samples."""
        return not np.array_equal(self.sample_ids, self.texts)

    def blocks(self) -> list[Int64]:
        """Samples that may change places: int64 (n_texts, n_tokens) of texts of as many samples.

        Tokens of a text depend on each other, so whole texts change places, token by token: those of one
        length among themselves.
        """
        _, first, length = np.unique(self.texts, return_index=True, return_counts=True)
        return [
            (first[length == one][:, None] + np.arange(one)).astype(np.int64)
            for one in np.unique(length).tolist()
        ]

    @property
    def n_fixed(self) -> int:
        """Samples that stay in place, as no other text has as many."""
        return sum(block.size for block in self.blocks() if len(block) == 1)

    def shuffles(self, n: int, *, seed: int) -> Iterator[Int64]:
        """Orders of the samples drawn at random, int64 (n_samples,) each.

        Args:
            n: how many.
            seed: of the draws.
        """
        rng, blocks = np.random.default_rng(seed), self.blocks()
        for _ in range(n):
            order = np.arange(self.n, dtype=np.int64)
            for block in blocks:
                order[block] = block[rng.permutation(len(block))]
            yield order


def why_unmatched(a: ScanEntry, b: ScanEntry) -> str | None:
    """Why samples of two scans cannot be matched one by one; None where they can."""
    if a.spec.corpus_fingerprint != b.spec.corpus_fingerprint:
        return "their texts, labels or covariates differ"
    if (a.spec.token_step is None) != (b.spec.token_step is None):
        return "samples of one are texts, of the other tokens"
    if a.spec.token_step is None:
        return None
    if a.spec.token_step != b.spec.token_step:
        return f"one kept every {a.spec.token_step} tokens, the other every {b.spec.token_step}"
    columns = [schema.TEXT_ID, schema.CHAR_START, schema.CHAR_END]
    here, there = _columns(a, columns), _columns(b, columns)
    if here[schema.CHAR_START].null_count:
        columns = [schema.TEXT_ID, schema.TOKEN_POSITION]
        here, there = _columns(a, columns), _columns(b, columns)
    return None if here.equals(there) else "their texts were cut into other tokens"


def match_samples(a: Place, b: Place) -> MatchedSamples:
    """The samples that have a point in both reductions; see ``why_unmatched`` for whether they match.

    Raises:
        InvalidInput: they are too few for a test.
        StoreCorrupt: a file is damaged.
    """
    ids = np.intersect1d(_with_point(a.reduction), _with_point(b.reduction)).astype(np.int64)
    texts = ids
    if a.scan.spec.token_step is not None:
        samples = _columns(a.scan, [schema.SAMPLE_ID, schema.TEXT_ID])
        place = np.searchsorted(samples[schema.SAMPLE_ID].to_numpy(), ids)
        texts = samples[schema.TEXT_ID].to_numpy()[place].astype(np.int64)
    found = MatchedSamples(sample_ids=ids, texts=texts)
    if max((len(block) for block in found.blocks()), default=0) < 4:
        raise InvalidInput(
            f"{a.address} and {b.address} share {found.n} samples, too few to change places: no p of 0.05 "
            "can be had; take more texts"
        )
    return found


def matched_points(reduction: ReductionEntry, layer: int, sample_ids: Int64) -> Float64:
    """The points of some samples at a layer, float64 (n, n_components).

    Raises:
        StoreCorrupt: a sample has a point at one layer and none at this.
    """
    stored = points_table(reduction, layer, [schema.SAMPLE_ID])[schema.SAMPLE_ID].to_numpy()
    place = np.minimum(np.searchsorted(stored, sample_ids), len(stored) - 1)
    points = stored_points(reduction, layer)[place].astype(np.float64)
    if not np.array_equal(stored[place], sample_ids) or not np.isfinite(points).all():
        path = reduction.points_file(layer)
        raise StoreCorrupt(f"{path} lacks the point of a sample that others have; run 'llm-mri verify'")
    return points


def _with_point(reduction: ReductionEntry) -> Int64:
    layer = reduction.layers[0]
    ids = points_table(reduction, layer, [schema.SAMPLE_ID])[schema.SAMPLE_ID].to_numpy()
    found: Int64 = ids[~np.isnan(stored_points(reduction, layer)).any(axis=1)].astype(np.int64)
    return found


def _columns(scan: ScanEntry, columns: Sequence[str]) -> pa.Table:
    tables = [samples_table(scan, chunk, columns) for chunk in scan.chunks]
    return pa.concat_tables(tables).select(list(columns))
