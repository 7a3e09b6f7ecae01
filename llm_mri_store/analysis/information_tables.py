"""The tables of information: layer by layer, and from each layer to the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import stats

from llm_mri_store.analysis.contrast_spec import ALPHA
from llm_mri_store.analysis.contrast_tables import as_column
from llm_mri_store.analysis.information_nulls import Measured
from llm_mri_store.analysis.jackknife import jackknife_interval
from llm_mri_store.analysis.null_statistics import band, distances_from_chance, joint_p, own_p
from llm_mri_store.schema import LAYER

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]

_NUMBERS: Final = (
    "information", "bias", "information_corrected", "by_chance", "by_chance_low", "by_chance_high",
    "band_fwe", "excess", "excess_low", "excess_high", "excess_share", "p", "p_fwe",
)  # fmt: skip
LAYERS_SCHEMA: Final = pa.schema(
    [
        (LAYER, pa.int64()),
        ("n", pa.int64()),
        ("n_cells", pa.int64()),
        *((name, pa.float64()) for name in _NUMBERS),
        ("is_peak", pa.bool_()),
        ("may_be_peak", pa.bool_()),
        ("note", pa.string()),
    ]
)
STEPS_SCHEMA: Final = pa.schema(
    [
        (LAYER, pa.int64()),
        ("next_layer", pa.int64()),
        ("n", pa.int64()),
        ("n_steps", pa.int64()),
        *((name, pa.float64()) for name in _NUMBERS),
        ("note", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InformationFrame:
    """What the tables are about.

    Attributes:
        layers: the layers, ascending.
        degenerate: those that do not vary.
        n_samples: samples.
        entropy: H(label) in bits.
    """

    layers: tuple[int, ...]
    degenerate: tuple[int, ...]
    n_samples: int
    entropy: float


def layer_table(measured: Measured, frame: InformationFrame) -> pa.Table:
    """A row per layer, see ``label_information``."""
    is_flat = np.isin(frame.layers, frame.degenerate)
    columns = _numbers(measured, entropy=frame.entropy, tested=~is_flat)
    candidates = np.flatnonzero(~is_flat)
    is_peak = np.zeros(is_flat.size, dtype=np.bool_)
    may_be_peak: list[bool | None] = [False] * is_flat.size
    if candidates.size:
        is_peak[candidates[columns["excess"][candidates].argmax()]] = True
        parts = None if measured.left_out is None else measured.left_out[candidates]
        possible = peak_candidates(columns["excess"][candidates], parts)
        for place, found in zip(candidates.tolist(), possible, strict=True):
            may_be_peak[place] = found
    notes = ["degenerate: one cell, which tells nothing" if flat else None for flat in is_flat.tolist()]
    others = {
        LAYER: pa.array(frame.layers, pa.int64()),
        "n": pa.array([frame.n_samples] * is_flat.size, pa.int64()),
        "n_cells": pa.array(measured.n_cells, pa.int64()),
        "is_peak": pa.array(is_peak),
        "may_be_peak": pa.array(may_be_peak, pa.bool_()),
        "note": pa.array(notes, pa.string()),
    }
    return _table(others, columns, LAYERS_SCHEMA)


def step_table(measured: Measured, frame: InformationFrame) -> pa.Table:
    """A row per pair of neighbouring layers, see ``label_information``."""
    is_flat = np.isin(frame.layers[1:], frame.degenerate)
    notes = [
        "the next layer is degenerate: one cell, which tells nothing"
        if flat
        else None
        if can
        else "labels cannot be exchanged among samples of one cell, so there is no test"
        for flat, can in zip(is_flat.tolist(), measured.has_null.tolist(), strict=True)
    ]
    others = {
        LAYER: pa.array(frame.layers[:-1], pa.int64()),
        "next_layer": pa.array(frame.layers[1:], pa.int64()),
        "n": pa.array([frame.n_samples] * is_flat.size, pa.int64()),
        "n_steps": pa.array(measured.n_cells, pa.int64()),
        "note": pa.array(notes, pa.string()),
    }
    return _table(
        others, _numbers(measured, entropy=frame.entropy, tested=measured.has_null & ~is_flat), STEPS_SCHEMA
    )


def _numbers(measured: Measured, *, entropy: float, tested: Bool) -> dict[str, Float64]:
    """The columns that layers and steps share; NaN where nothing was tested, but for what is counted."""
    observed, chance = measured.observed, measured.by_chance
    scaled = distances_from_chance(observed[tested], chance[tested], is_exact=measured.is_exact)
    largest = scaled.by_chance.max(axis=0, initial=0.0)
    critical = float(np.quantile(largest, 1 - ALPHA, method="higher")) if largest.size else np.nan
    mean, low, high = band(chance)
    excess = np.where(tested, observed - mean, np.where(observed == 0, 0.0, np.nan))
    interval = jackknife_interval(excess, measured.left_out, lowest=-entropy, highest=entropy)
    tests = {
        "by_chance": mean[tested],
        "by_chance_low": low[tested],
        "by_chance_high": high[tested],
        "band_fwe": scaled.mean + critical * scaled.sd,
        "excess_low": interval.low[tested],
        "excess_high": interval.high[tested],
        "p": own_p(observed[tested], chance[tested], is_exact=measured.is_exact),
        "p_fwe": joint_p(scaled, is_exact=measured.is_exact, two_sided=False),
    }
    columns = {
        "information": observed,
        "bias": measured.bias,
        "information_corrected": observed - measured.bias,
        "excess": excess,
        "excess_share": excess / entropy,
    }
    for name, values in tests.items():
        columns[name] = np.full(observed.shape, np.nan)
        columns[name][tested] = values
    return columns


def peak_candidates(values: Float64, left_out: Float64 | None) -> list[bool | None]:
    """Which of some values may be the largest: a 95 % confidence set of where the peak is.

    A value stays a candidate where no other exceeds it by more than the t quantile of their difference's
    standard error, at 1 - 0.05 / (n - 1) for n values (multiple comparisons with the best: Hsu, "Multiple
    Comparisons" (1996), ch. 4, by Bonferroni's inequality). Standard errors are the jackknife's, of
    differences, because values of neighbouring layers rise and fall together.

    Args:
        values: float64 (n,).
        left_out: float64 (n, n_parts), values without each part of the samples, up to constants; None where
            there are too few samples to say.

    Returns:
        True for a candidate; None throughout without parts.
    """
    if left_out is None:
        return [None] * values.size
    n_parts = left_out.shape[1]
    level = 1 - ALPHA / max(values.size - 1, 1)
    quantile = float(stats.t.ppf(level, n_parts - 1))
    apart = left_out[:, None] - left_out[None]
    apart = apart - apart.mean(axis=2, keepdims=True)
    error = np.sqrt((apart**2).sum(axis=2) * (n_parts - 1) / n_parts)
    exceeds = values[None] - values[:, None] > quantile * error + 1e-12
    return [not any(row) for row in exceeds.tolist()]


def _table(others: dict[str, pa.Array], columns: dict[str, Float64], schema: pa.Schema) -> pa.Table:
    arrays = [
        others[field.name] if field.name in others else as_column(columns[field.name], field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)
