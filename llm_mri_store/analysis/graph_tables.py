"""The tables of a comparison of two graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store.analysis.contrast_tables import as_column
from llm_mri_store.analysis.graph_blocks import BLOCK_METRICS
from llm_mri_store.analysis.graph_distances import Distance
from llm_mri_store.analysis.graph_numbers import GraphNumbers, metric_bounds
from llm_mri_store.analysis.jackknife import jackknife_interval
from llm_mri_store.analysis.null_statistics import band, distances_from_chance, joint_p, own_p

Float64 = npt.NDArray[np.float64]

DISTANCES_SCHEMA: Final = pa.schema(
    [
        ("distance", pa.string()),
        *((name, pa.float64()) for name in ("value", "value_low", "value_high")),
        *((name, pa.float64()) for name in ("by_chance", "by_chance_low", "by_chance_high", "excess")),
        *((name, pa.float64()) for name in ("rarefied", "p", "p_fwe")),
    ]
)
METRICS_SCHEMA: Final = pa.schema(
    [
        ("metric", pa.string()),
        *((name, pa.float64()) for name in ("value_a", "value_a_low", "value_a_high")),
        *((name, pa.float64()) for name in ("value_b", "value_b_low", "value_b_high")),
        *((name, pa.float64()) for name in ("difference", "difference_low", "difference_high")),
        *((name, pa.float64()) for name in ("by_chance", "by_chance_low", "by_chance_high")),
        *((name, pa.float64()) for name in ("rarefied_a", "rarefied_b", "p", "p_fwe")),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ComparedNumbers:
    """Numbers of the graphs of two labels.

    Attributes:
        observed: one column.
        by_chance: a column for each relabeling.
        is_exact: the relabelings are all there are.
        left_out: a column for each part of the samples left out; None for too few samples.
        rarefied: one column, of equally many samples.
    """

    observed: GraphNumbers
    by_chance: GraphNumbers
    is_exact: bool
    left_out: GraphNumbers | None
    rarefied: GraphNumbers


def distance_table(numbers: ComparedNumbers, *, wanted: Sequence[Distance]) -> pa.Table:
    """A row per distance, see ``compare_graphs``."""
    value, chance = numbers.observed.distances[:, 0], numbers.by_chance.distances
    left_out = None if numbers.left_out is None else numbers.left_out.distances
    interval = jackknife_interval(value, left_out, lowest=0.0, highest=1.0)
    scaled = distances_from_chance(value, chance, is_exact=numbers.is_exact)
    mean, low, high = band(chance)
    columns = {
        "value": value,
        "value_low": interval.low,
        "value_high": interval.high,
        "by_chance": mean,
        "by_chance_low": low,
        "by_chance_high": high,
        "excess": value - mean,
        "rarefied": numbers.rarefied.distances[:, 0],
        "p": own_p(value, chance, is_exact=numbers.is_exact),
        "p_fwe": joint_p(scaled, is_exact=numbers.is_exact, two_sided=False),
    }
    return _table("distance", wanted, columns, DISTANCES_SCHEMA)


def metric_table(numbers: ComparedNumbers) -> pa.Table:
    """A row per metric, see ``compare_graphs``."""
    found, chance, thinned = numbers.observed, numbers.by_chance.differences, numbers.left_out
    lowest, highest = metric_bounds()
    sides = {
        side: jackknife_interval(
            getattr(found, f"metrics_{side}")[:, 0],
            None if thinned is None else getattr(thinned, f"metrics_{side}"),
            lowest=lowest,
            highest=highest,
        )
        for side in ("a", "b")
    }
    difference = found.differences[:, 0]
    of_difference = jackknife_interval(
        difference,
        None if thinned is None else thinned.differences,
        lowest=lowest - highest,
        highest=highest - lowest,
    )
    scaled = distances_from_chance(difference, chance, is_exact=numbers.is_exact)
    mean, low, high = band(chance)
    columns = {
        **{f"value_{side}": one.value for side, one in sides.items()},
        **{f"value_{side}_low": one.low for side, one in sides.items()},
        **{f"value_{side}_high": one.high for side, one in sides.items()},
        "difference": difference,
        "difference_low": of_difference.low,
        "difference_high": of_difference.high,
        "by_chance": mean,
        "by_chance_low": low,
        "by_chance_high": high,
        "rarefied_a": numbers.rarefied.metrics_a[:, 0],
        "rarefied_b": numbers.rarefied.metrics_b[:, 0],
        "p": own_p(np.abs(scaled.observed), np.abs(scaled.by_chance), is_exact=numbers.is_exact),
        "p_fwe": joint_p(scaled, is_exact=numbers.is_exact, two_sided=True),
    }
    return _table("metric", BLOCK_METRICS, columns, METRICS_SCHEMA)


def _table(key: str, names: Sequence[str], columns: dict[str, Float64], schema: pa.Schema) -> pa.Table:
    arrays = [
        pa.array(list(names), pa.string())
        if field.name == key
        else as_column(columns[field.name], field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)
