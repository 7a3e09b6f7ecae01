"""Labels of samples handed out again, in blocks whose size bounds memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.contrast_plan import DesignFacts
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.permutation_design import Exchange, count_relabelings
from llm_mri_store.analysis.permutation_draws import all_relabelings, draw_relabelings, is_countable
from llm_mri_store.errors import InvalidInput

Int64 = npt.NDArray[np.int64]

_ENTRIES_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relabelings:
    """Label codes of samples under the null: drawn at random, or all there are where these are fewer.

    Attributes:
        exchange: what is exchanged.
        labels: int64 (n_samples,), the observed codes; samples that take no part keep theirs.
        n_permutations: how many to draw.
        seed: of the draws.
        may_count: False draws them whatever their number.
    """

    exchange: Exchange
    labels: Int64
    n_permutations: int
    seed: int
    may_count: bool = True

    @property
    def is_exact(self) -> bool:
        """True when all relabelings are counted, the observed one among them."""
        return self.may_count and is_countable(self.exchange, self.n_permutations)

    @property
    def n(self) -> int:
        """How many relabelings there will be."""
        ways = count_relabelings(self.exchange) if self.is_exact else None
        return self.n_permutations if ways is None else ways

    def columns(self, *, n_rows: int) -> Iterator[npt.NDArray[Any]]:
        """Label codes (n_samples, n_columns), some relabelings at a time.

        Args:
            n_rows: numbers that the caller needs for each relabeling: a block has room for them.
        """
        if self.is_exact:
            batches = all_relabelings(self.exchange)
        else:
            batches = draw_relabelings(self.exchange, n=self.n_permutations, seed=self.seed)
        # Row by row, so that blocks are as wide for every design of as many samples.
        rows = (row for batch in batches for row in batch)
        while units := list(islice(rows, block_width(max(n_rows, self.labels.size)))):
            block = np.repeat(self.labels.astype(units[0].dtype)[:, None], len(units), axis=1)
            block[self.exchange.samples] = np.repeat(np.array(units), self.exchange.unit_sizes, axis=1).T
            yield block


def block_width(n_rows: int) -> int:
    """How many columns of ``n_rows`` numbers make a block.

    >>> block_width(10_000)
    200
    """
    return max(1, min(256, _ENTRIES_AT_ONCE // max(n_rows, 1)))


def relabeling_sentence(facts: DesignFacts, seed: int) -> str:
    """How many relabelings there were, and what p they allow."""
    if facts.is_exact:
        return (
            f"All {facts.n_permutations:,} relabelings were counted; no p by them can be below "
            f"{facts.smallest_p:.2g}."
        )
    return (
        f"{facts.n_permutations:,} relabelings were drawn with seed {seed}; no p by them can be below "
        f"{facts.smallest_p:.2g}."
    )


def spawned_seeds(seed: int, n: int) -> list[int]:
    """Seeds for independent draws, each decided by the seed and its place alone.

    >>> spawned_seeds(0, 3) == spawned_seeds(0, 5)[:3]
    True
    """
    return [int(child.generate_state(1)[0]) for child in np.random.SeedSequence(seed).spawn(n)]


def refuse_one_sided(spec: ContrastSpec, what: str) -> None:
    """Refuses an alternative that is not two-sided.

    Raises:
        InvalidInput: it is not.
    """
    if spec.alternative != "two-sided":
        raise InvalidInput(
            f"alternative is {spec.alternative!r}; {what} only have two-sided tests: leave it out"
        )
