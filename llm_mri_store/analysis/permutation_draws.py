"""Relabelings: labels permuted among the units of each stratum, drawn at random or all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, combinations, islice, product
from typing import Final

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.permutation_design import Exchange, count_relabelings

Labels = npt.NDArray[np.uint16]
"""Label codes of units, (n, n_units): small, because there are many."""

_BATCH_BYTES: Final = 64_000_000
_LARGEST_BATCH: Final = 256
_FEW_STRATA: Final = 256


def is_countable(exchange: Exchange, n_permutations: int) -> bool:
    """True when there are no more relabelings than would be drawn, so that all can be counted."""
    ways = count_relabelings(exchange)
    return ways is not None and ways <= n_permutations + 1


def draw_relabelings(exchange: Exchange, *, n: int, seed: int) -> Iterator[Labels]:
    """Relabelings at random, each independent of the others and equally likely, in batches.

    Which relabelings these are depends on the design, ``n`` and the seed alone; the first ones are the same
    for a larger ``n``. Labels that are renamed are drawn to the same units.

    Args:
        exchange: what is exchanged.
        n: relabelings.
        seed: of ``numpy.random.default_rng``.

    Yields:
        Label codes (at most 256, n_units), smaller batches where there are many units.

    >>> from llm_mri_store.analysis.permutation_design import plan_exchange
    >>> design = plan_exchange(np.array([0, 0, 1, 1]), strata=np.zeros(4, dtype=int), n_labels=2)
    >>> batches = list(draw_relabelings(design, n=1000, seed=0))
    >>> sum(len(batch) for batch in batches), int(batches[0].sum(axis=1).min())
    (1000, 2)
    """
    rng = np.random.default_rng(seed)
    labels = exchange.unit_labels.astype(np.uint16)
    batch = max(1, min(_LARGEST_BATCH, _BATCH_BYTES // max(exchange.n_units, 1)))
    for begun in range(0, n, batch):
        # Whole batches are drawn, so that the last one does not depend on n.
        drawn = _permute_within(np.tile(labels, (batch, 1)), exchange, rng)
        yield drawn[: n - begun]


def _permute_within(rows: Labels, exchange: Exchange, rng: np.random.Generator) -> Labels:
    if exchange.n_strata == 1:
        rng.permuted(rows, axis=1, out=rows)
        return rows
    if exchange.n_strata <= _FEW_STRATA:
        for start, end in zip(exchange.starts[:-1], exchange.starts[1:], strict=True):
            rows[:, start:end] = rng.permuted(rows[:, start:end], axis=1)
        return rows
    for row in rows:
        # Strata ascend, so sorting by stratum and chance shuffles each in its place.
        row[:] = row[np.argsort(exchange.unit_strata + rng.random(exchange.n_units))]
    return rows


def all_relabelings(exchange: Exchange) -> Iterator[Labels]:
    """Every relabeling once, in batches of at most 256.

    Yields:
        Label codes (at most 256, n_units).

    >>> from llm_mri_store.analysis.permutation_design import plan_exchange
    >>> design = plan_exchange(np.array([0, 0, 1]), strata=np.zeros(3, dtype=int), n_labels=2)
    >>> np.concatenate(list(all_relabelings(design))).tolist()
    [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    """
    orders = [list(_orders(row)) for row in exchange.units_of().tolist()]
    every = (tuple(chain.from_iterable(one)) for one in product(*orders))
    while batch := list(islice(every, _LARGEST_BATCH)):
        yield np.array(batch, dtype=np.uint16)


def _orders(counts: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Different orders of a stratum's labels, given how often each occurs."""
    order = [0] * sum(counts)

    def place(label: int, free: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if label == len(counts):
            yield tuple(order)
            return
        for chosen in combinations(free, counts[label]):
            for position in chosen:
                order[position] = label
            taken = set(chosen)
            yield from place(label + 1, tuple(one for one in free if one not in taken))

    return place(0, tuple(range(len(order))))
