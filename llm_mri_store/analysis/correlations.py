"""Spearman's correlation of every component with every component of the next layer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise, permutations
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import special, stats

from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.schema import LABEL, LAYER

_Floats = npt.NDArray[np.float64]
_Integers = npt.NDArray[np.int64]
_Flags = npt.NDArray[np.bool_]

_FEWEST_SAMPLES: Final = 3
_COUNTED_SAMPLES: Final = 8
"""Up to so many samples all n! orders are counted."""

CORRELATION_SCHEMA: Final = pa.schema(
    [
        (LABEL, pa.string()),
        (LAYER, pa.int64()),
        ("next_layer", pa.int64()),
        ("source", pa.string()),
        ("target", pa.string()),
        ("from_component", pa.int64()),
        ("to_component", pa.int64()),
        ("n", pa.int64()),
        ("rho", pa.float64()),
        ("p", pa.float64()),
        ("q", pa.float64()),
    ]
)


def component_name(layer: int, component: int) -> str:
    """Name of a component's node, spelled as LLM-MRI's.

    >>> component_name(6, 0)
    '6_0'
    """
    return f"{layer}_{component}"


def correlate_layers(
    layers: Iterable[tuple[int, npt.NDArray[np.floating[Any]]]],
    labels: Sequence[str | None],
    *,
    only: Sequence[str] | None = None,
) -> pa.Table:
    """Spearman's rho between the components of neighbouring layers, label by label.

    The points are those of reducers fitted once for all labels, so a component is the same axis in every
    label. LLM-MRI refits for each, breaks ties by position and hands out rho transposed: its edge i -> j is
    the correlation of the next layer's i with this layer's j.

    Ranks are averaged over ties (``scipy.stats.rankdata``), taken once per label and layer on the label's own
    samples; all pairs of two layers are one matrix product of doubled, centred ranks. These are whole
    numbers, so up to 200,000 samples the product is exact: the same on every machine, and a component
    whose sign is flipped flips rho and changes nothing else.

    * rho is in [-1, 1]; NULL where either component is constant within the label, or the label has fewer
      than 3 samples.
    * p is two-sided, in (0, 1]: the share of all n! orders whose |rho| is as large. Up to 8 samples they are
      counted. Beyond, rho over all orders has variance 1 / (n - 1) and a known fourth moment (Kendall &
      Gibbons, "Rank Correlation Methods", 5th ed. (1990), ch. 5), and p is the two tails of the symmetric
      beta (Pearson type II) distribution with these moments, never below 2 / n! nor 2.2e-308.
      ``scipy.stats.spearmanr`` uses Student's t, whose far tail is too thin: at p = 0.0001, where an edge
      among hundreds of pairs is decided, it rejects 4.0 times as often as it says with 8 samples, 1.7
      times with 20 and 1.25 times with 50; this p 0.8 times with 20 and 1.0 with 50. Ties change both little.
    * q is p adjusted by Benjamini & Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57
      (1995), over all pairs of the label that have a p: among the edges with q <= 0.05 an expected 5 % are
      false.

    Args:
        layers: pairs (layer, points), layers ascending; points: float (n_samples, n_components), a row with
            NaN for a sample that has no point. Two layers are held at a time, so a generator may read them.
        labels: the label of each sample; None for a sample that has none, which is left out.
        only: the labels wanted, in this order; all, sorted, by default.

    Returns:
        One row per label, pair of neighbouring layers and pair of components, in the order label, layer,
        from_component, to_component: label, layer, next_layer, source and target (names of nodes,
        ``"layer_component"``), from_component, to_component, n (samples of the label that have a point),
        rho, p, q.

    Raises:
        InvalidInput: layers do not ascend, are not of two dimensions or do not hold the labels' samples, or a
            sample has a point at one layer and none at another.
        UnknownName: no sample has a wanted label.

    >>> points = np.array([[1.0, 5.0], [2.0, 3.0], [3.0, 4.0], [4.0, 1.0]])
    >>> table = correlate_layers([(0, points[:, :1]), (1, points)], ["a"] * 4)
    >>> table.select(["source", "target", "rho"]).to_pylist()[1]
    {'source': '0_0', 'target': '1_1', 'rho': -0.8}
    """
    known = sorted({label for label in labels if label is not None})
    wanted = known if only is None else list(dict.fromkeys(only))
    for label in wanted:
        if label not in known:
            raise UnknownName("label", label, known=known, where="these samples")
    sizes: list[tuple[int, int]] = []
    has_point = np.zeros(0, dtype=np.bool_)
    members: dict[str, _Integers] = {}
    before: dict[str, _Floats] = {}
    correlations: dict[str, list[_Floats]] = {label: [] for label in wanted}
    for layer, points in layers:
        here = _checked_points(layer, points, n_samples=len(labels), after=sizes[-1][0] if sizes else None)
        finite = np.isfinite(here).all(axis=1)
        if not sizes:
            has_point = finite
            members = _members(labels, has_point, wanted)
        elif (apart := np.flatnonzero(finite != has_point)).size:
            raise InvalidInput(
                f"sample {apart[0]} has a point at only one of the layers {sizes[0][0]} and {layer}; give "
                "all layers of one reduction, with the same samples in the same order"
            )
        ranks = {label: _centred_ranks(here[members[label]]) for label in wanted}
        for label in wanted if sizes else ():
            correlations[label].append(_rho(before[label], ranks[label]).ravel())
        before = ranks
        sizes.append((layer, here.shape[1]))
    pairs = _pair_columns(sizes)
    tables = [CORRELATION_SCHEMA.empty_table()]
    if pairs:
        tables += [
            _label_table(label, pairs, rho=np.concatenate(correlations[label]), n_samples=members[label].size)
            for label in wanted
        ]
    return pa.concat_tables(tables)


def _checked_points(
    layer: int, points: npt.NDArray[np.floating[Any]], *, n_samples: int, after: int | None
) -> npt.NDArray[np.floating[Any]]:
    here = np.asarray(points)
    if after is not None and layer <= after:
        raise InvalidInput(f"layer {layer} comes after layer {after}; give each layer once, ascending")
    if here.ndim != 2 or len(here) != n_samples:
        raise InvalidInput(
            f"the points of layer {layer} have the shape {here.shape}; it must be "
            f"({n_samples}, n_components), a row for each label"
        )
    return here


def _members(labels: Sequence[str | None], has_point: _Flags, wanted: Sequence[str]) -> dict[str, _Integers]:
    """Positions of each wanted label's samples that have a point."""
    number = {label: index for index, label in enumerate(wanted)}
    codes = np.array([number.get(label, -1) if label is not None else -1 for label in labels], dtype=np.int64)
    codes[~has_point] = -1
    return {label: np.flatnonzero(codes == code) for label, code in number.items()}


def _centred_ranks(values: npt.NDArray[np.floating[Any]]) -> _Floats:
    """Twice the average ranks of each column, less their mean: whole numbers; no row for too few samples."""
    n_samples = len(values)
    if n_samples < _FEWEST_SAMPLES:
        return np.zeros((0, values.shape[1]))
    ranks: _Floats = stats.rankdata(values, axis=0)
    return 2 * ranks - (n_samples + 1)


def _rho(here: _Floats, there: _Floats) -> _Floats:
    """Correlations float64 (n_components here, n_components there); NaN for a constant."""
    squares = np.outer((here * here).sum(axis=0), (there * there).sum(axis=0))
    unknown = np.full(squares.shape, np.nan)
    rho = np.divide(here.T @ there, np.sqrt(squares), out=unknown, where=squares > 0)
    bounded: _Floats = np.clip(rho, -1.0, 1.0)
    return bounded


def _p_values(rho: _Floats, n_samples: int) -> _Floats:
    """P of each rho, in (0, 1]: exact for few samples, else by the null distribution's moments."""
    if n_samples <= _COUNTED_SAMPLES:
        sizes = _sizes_by_chance(n_samples)
        # A hair below, because equal correlations may differ in their last digit.
        reached = len(sizes) - np.searchsorted(sizes, np.abs(rho) - 1e-9, side="left")
        return np.where(np.isnan(rho), np.nan, reached / len(sizes))
    n = float(n_samples)
    variance = 1 / (n - 1)
    fourth = 3 * (25 * n**3 - 38 * n**2 - 35 * n + 72) / (25 * n * (n + 1) * (n - 1) ** 3)
    shape = 3 / (3 - fourth / variance**2) - 1.5
    farthest = (2 * shape + 1) * variance
    tails = special.betainc(shape, 0.5, np.clip(1 - rho**2 / farthest, 0.0, 1.0))
    # 171! is not a float64.
    least = 2 / math.factorial(n_samples) if n_samples <= 170 else 0.0
    return np.maximum(tails, max(least, float(np.finfo(np.float64).tiny)))


@cache
def _sizes_by_chance(n_samples: int) -> _Floats:
    """Sorted |rho| of all orders of n samples, float64 (n!,)."""
    ranks = np.arange(n_samples) - (n_samples - 1) / 2
    orders = np.array(list(permutations(ranks)))
    return np.sort(np.abs(orders @ ranks) / (ranks @ ranks))


def _pair_columns(sizes: Sequence[tuple[int, int]]) -> dict[str, pa.Array]:
    """The columns that say which components a row is of; the same for every label."""
    names = ("layer", "next_layer", "source", "target", "from_component", "to_component")
    parts: dict[str, list[npt.NDArray[np.int64]]] = {name: [] for name in names}
    n_nodes = 0
    for (layer, size), (following, next_size) in pairwise(sizes):
        start, end = (grid.ravel() for grid in np.indices((size, next_size), dtype=np.int64))
        values = (np.full(start.size, layer), np.full(start.size, following))
        for name, column in zip(
            names, (*values, n_nodes + start, n_nodes + size + end, start, end), strict=True
        ):
            parts[name].append(column)
        n_nodes += size
    if not any(part.size for part in parts["layer"]):
        return {}
    nodes = pa.array([component_name(layer, index) for layer, size in sizes for index in range(size)])
    columns = {name: np.concatenate(part) for name, part in parts.items()}
    return {
        name: nodes.take(pa.array(column)) if name in ("source", "target") else pa.array(column)
        for name, column in columns.items()
    }


def _label_table(label: str, pairs: dict[str, pa.Array], *, rho: _Floats, n_samples: int) -> pa.Table:
    known = np.isfinite(rho)
    p, q = np.full(rho.size, np.nan), np.full(rho.size, np.nan)
    if known.any():
        p[known] = _p_values(rho[known], n_samples)
        q[known] = stats.false_discovery_control(p[known], method="bh")
    columns = {
        LABEL: pa.repeat(pa.scalar(label, pa.string()), rho.size),
        **pairs,
        "n": pa.array(np.full(rho.size, n_samples)),
        **{name: pa.array(values, mask=~known) for name, values in (("rho", rho), ("p", p), ("q", q))},
    }
    return pa.table(columns, schema=CORRELATION_SCHEMA)
