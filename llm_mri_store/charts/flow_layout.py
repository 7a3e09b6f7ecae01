"""Where the blocks and ribbons of a flow stand: regions of layers, and samples between them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

Cell = tuple[int, int]

OTHERS_CELL: Final[Cell] = (-1, -1)
"""Stands for all cells of a layer that have no block of their own."""

_GAP_SHARE: Final = 0.16
"""Of the height that lies between the blocks of the layer that has the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """The samples of one label in one block.

    Attributes:
        layer: the block's layer.
        cell: the block's cell, or ``OTHERS_CELL``.
        label: the label.
        n: its samples there.
        top, bottom: heights in samples, downward from 0.
    """

    layer: int
    cell: Cell
    label: str
    n: int
    top: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ribbon:
    """The samples of one label that go from one block to one of the next layer.

    Attributes:
        layer, next_layer: the layers.
        source, target: cells of the blocks.
        label: the label.
        n: samples.
        from_top, to_top: where it leaves and where it ends, heights in samples; it is ``n`` high at both.
    """

    layer: int
    next_layer: int
    source: Cell
    target: Cell
    label: str
    n: int
    from_top: float
    to_top: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """A laid out flow.

    Attributes:
        layers: ascending.
        segments: a block's lie below each other, labels in their order.
        ribbons: the thickest first, so that thin ones are drawn over them.
        n_others: layer -> cells in its block of others.
        height: of the whole, in samples.
    """

    layers: tuple[int, ...]
    segments: tuple[Segment, ...]
    ribbons: tuple[Ribbon, ...]
    n_others: Mapping[int, int]
    height: float


Counts = Mapping[tuple[int, Cell, str], int]
"""(layer, cell, label) -> samples."""
Steps = Mapping[tuple[int, Cell, Cell, str], int]
"""(layer, cell, cell in the next layer, label) -> samples."""


def lay_out_flow(counts: Counts, steps: Steps, labels: Sequence[str], *, n_regions: int) -> Flow:
    """Blocks of the largest cells of each layer and ribbons between neighbouring layers.

    Cells beyond the largest are one block at the bottom; a single one has its own. The others are sorted by
    the mean height that their samples come from (barycentre, as in ``layered_positions``), so that few
    ribbons cross; the first layer's by size. Within a block labels lie below each other in one order, on
    both sides.

    Args:
        counts: samples of every cell and label of each layer.
        steps: samples that go from a cell to one of the next layer.
        labels: every label, in the order in which they lie.
        n_regions: cells of a layer that have a block of their own, at least 1.

    >>> counts = {(0, (1, 1), "a"): 3, (1, (0, 0), "a"): 2, (1, (0, 1), "a"): 1}
    >>> steps = {(0, (1, 1), (0, 0), "a"): 2, (0, (1, 1), (0, 1), "a"): 1}
    >>> flow = lay_out_flow(counts, steps, ["a"], n_regions=1)
    >>> [(one.layer, one.cell, one.n) for one in flow.segments]
    [(0, (1, 1), 3), (1, (0, 0), 2), (1, (0, 1), 1)]
    """
    layers = tuple(sorted({layer for layer, _, _ in counts}))
    kept = {layer: _largest_cells(counts, layer, n_regions) for layer in layers}
    n_others = {
        layer: len({cell for at, cell, _ in counts if at == layer}) - len(kept[layer]) for layer in layers
    }

    def block(layer: int, cell: Cell) -> Cell:
        return cell if cell in kept[layer] else OTHERS_CELL

    sizes: Counter[tuple[int, Cell, str]] = Counter()
    for (layer, cell, label), n in counts.items():
        sizes[layer, block(layer, cell), label] += n
    following = dict(pairwise(layers))
    flows: Counter[tuple[int, Cell, Cell, str]] = Counter()
    for (layer, source, target, label), n in steps.items():
        if layer in following and following[layer] in kept:
            flows[layer, block(layer, source), block(following[layer], target), label] += n

    totals = {layer: sum(n for (at, _, _), n in sizes.items() if at == layer) for layer in layers}
    most_blocks = max(len(kept[layer]) + (n_others[layer] > 0) for layer in layers)
    gap = _GAP_SHARE * max(totals.values()) / max(most_blocks - 1, 1)
    height = max(totals.values()) + gap * (most_blocks - 1)
    segments: dict[tuple[int, Cell, str], Segment] = {}
    for place, layer in enumerate(layers):
        above = layers[place - 1] if place else None
        order = _block_order(layer, above, kept, sizes, flows, segments)
        used = totals[layer] + gap * (len(order) - 1)
        top = (height - used) / 2
        for cell in order:
            for label in labels:
                n = sizes[layer, cell, label]
                if n:
                    segments[layer, cell, label] = Segment(
                        layer=layer, cell=cell, label=label, n=n, top=top, bottom=top + n
                    )
                    top += n
            top += gap
    return Flow(
        layers=layers,
        segments=tuple(segments.values()),
        ribbons=_ribbons(flows, segments, following),
        n_others=n_others,
        height=height,
    )


def _largest_cells(counts: Counts, layer: int, n_regions: int) -> list[Cell]:
    """The cells with the most samples, the largest first; all, where only one would be left over."""
    sizes: Counter[Cell] = Counter()
    for (at, cell, _), n in counts.items():
        if at == layer:
            sizes[cell] += n
    order = sorted(sizes, key=lambda cell: (-sizes[cell], cell))
    return order if len(order) <= n_regions + 1 else order[:n_regions]


def _block_order(
    layer: int,
    above: int | None,
    kept: Mapping[int, Sequence[Cell]],
    sizes: Counter[tuple[int, Cell, str]],
    flows: Mapping[tuple[int, Cell, Cell, str], int],
    segments: Mapping[tuple[int, Cell, str], Segment],
) -> list[Cell]:
    """The blocks of a layer from the top, the one of others last."""
    pull: defaultdict[Cell, float] = defaultdict(float)
    weight: Counter[Cell] = Counter()
    for (at, source, target, label), n in flows.items():
        if at == above:
            origin = segments[at, source, label]
            pull[target] += n * (origin.top + origin.bottom) / 2
            weight[target] += n
    cells = list(kept[layer])
    if weight:
        cells.sort(key=lambda cell: pull[cell] / weight[cell] if weight[cell] else 0.0)
    has_others = any(at == layer and cell == OTHERS_CELL for at, cell, _ in sizes)
    return [*cells, OTHERS_CELL] if has_others else cells


def _ribbons(
    flows: Mapping[tuple[int, Cell, Cell, str], int],
    segments: Mapping[tuple[int, Cell, str], Segment],
    following: Mapping[int, int],
) -> tuple[Ribbon, ...]:
    """Ribbons stacked within the segments they leave and end in, by where they go and come from."""
    leaving: dict[tuple[int, Cell, Cell, str], float] = {}
    ending: dict[tuple[int, Cell, Cell, str], float] = {}

    def top_of(layer: int, cell: Cell, label: str) -> float:
        return segments[layer, cell, label].top

    free = {place: one.top for place, one in segments.items()}
    for key in sorted(flows, key=lambda key: top_of(following[key[0]], key[2], key[3])):
        layer, source, _, label = key
        leaving[key] = free[layer, source, label]
        free[layer, source, label] += flows[key]
    free = {place: one.top for place, one in segments.items()}
    for key in sorted(flows, key=lambda key: top_of(key[0], key[1], key[3])):
        layer, _, target, label = key
        ending[key] = free[following[layer], target, label]
        free[following[layer], target, label] += flows[key]
    return tuple(
        Ribbon(
            layer=layer,
            next_layer=following[layer],
            source=source,
            target=target,
            label=label,
            n=n,
            from_top=leaving[layer, source, target, label],
            to_top=ending[layer, source, target, label],
        )
        for (layer, source, target, label), n in sorted(flows.items(), key=lambda one: (-one[1], one[0]))
    )
