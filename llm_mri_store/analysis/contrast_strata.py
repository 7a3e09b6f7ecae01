"""Strata: samples that agree in what a contrast holds constant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.errors import InvalidInput

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

BALANCE_SCHEMA: Final = pa.schema(
    [
        ("covariate", pa.string()),
        ("mean_a", pa.float64()),
        ("mean_b", pa.float64()),
        ("smd_before", pa.float64()),
        ("smd_after", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strata:
    """Which stratum each sample is in.

    Attributes:
        codes: int64 (n_samples,), from 0.
        n_strata: strata that hold a sample.
        numeric: numeric covariate -> its values, float64 (n_samples,), NaN where missing.
        words: what was held constant and how, a phrase per covariate.
    """

    codes: Int64
    n_strata: int
    numeric: Mapping[str, Float64]
    words: tuple[str, ...]


def cut_strata(columns: Mapping[str, pa.Array], *, n_samples: int, n_bins: int, whole: Int64) -> Strata:
    """Strata of some covariates: every combination of their values or bins that occurs.

    Strings and booleans are taken as they are. Numbers and dates are cut at their quantiles into
    ``n_bins`` right-closed bins, those of a value that many share falling together; where there are no
    more values than bins, each is its own. A missing value is a value. A group that is exchanged as a
    whole has one stratum: that of its mean, for a number.

    Args:
        columns: covariate -> values of the samples.
        n_samples: samples.
        n_bins: bins of a number.
        whole: int64 (n_samples,), the group of a sample whose group is exchanged as a whole, else -1.

    Raises:
        InvalidInput: a covariate that is no number differs within a group that is exchanged as a whole.

    >>> strata = cut_strata({"n_tokens": pa.array([3, 9, 4, 8])}, n_samples=4, n_bins=2, whole=np.full(4, -1))
    >>> strata.codes.tolist(), strata.words
    ([0, 1, 0, 1], ('n_tokens in 2 bins',))
    """
    codes = np.zeros(n_samples, dtype=np.int64)
    numeric: dict[str, Float64] = {}
    words = []
    for name, column in columns.items():
        values = _as_numbers(column)
        if values is not None:
            numeric[name] = values
            own = _bin_codes(_means_within(values, whole), n_bins)
            bins = len(np.unique(own))
            words.append(f"{name} in {bins} bins")
        else:
            plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            encoded = pc.dictionary_encode(plain, null_encoding="encode")
            own = encoded.indices.to_numpy().astype(np.int64)
            if _differs_within(own, whole):
                raise InvalidInput(
                    f"{name!r} differs within groups that have one label and are exchanged as a whole; hold "
                    "a covariate constant that is the same all over a group, or leave out groups"
                )
            words.append(f"{name} as it is ({len(encoded.dictionary)} values)")
        # Packed anew each time, so that the product of many covariates does not outgrow int64.
        codes = np.unique(codes * (own.max(initial=0) + 1) + own, return_inverse=True)[1]
    return Strata(codes=codes, n_strata=int(codes.max(initial=-1)) + 1, numeric=numeric, words=tuple(words))


def _as_numbers(column: pa.Array) -> Float64 | None:
    """The values as float64, NaN where missing or not finite; None for what is no number or date."""
    kind = column.type
    if pa.types.is_temporal(kind):
        column = column.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    values: Float64 = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _bin_codes(values: Float64, n_bins: int) -> Int64:
    """Bins between quantiles, right-closed; a missing value has a bin of its own, the last."""
    known = np.isfinite(values)
    different = np.unique(values[known])
    if len(different) <= n_bins:
        edges = different[:-1]
    else:
        edges = np.unique(np.quantile(values[known], np.arange(1, n_bins) / n_bins))
    codes = np.searchsorted(edges, values, side="left").astype(np.int64)
    return np.where(known, codes, len(edges) + 1)


def _means_within(values: Float64, whole: Int64) -> Float64:
    """Values, those of a group that is exchanged as a whole replaced by their mean."""
    inside = whole >= 0
    known = inside & np.isfinite(values)
    if not inside.any():
        return values
    n_groups = int(whole.max()) + 1
    sums = np.bincount(whole[known], weights=values[known], minlength=n_groups)
    counts = np.bincount(whole[known], minlength=n_groups)
    means = np.divide(sums, counts, out=np.full(n_groups, np.nan), where=counts > 0)
    return np.where(inside, means[whole], values)


def _differs_within(codes: Int64, whole: Int64) -> bool:
    inside = whole >= 0
    pairs = np.unique(np.stack([whole[inside], codes[inside]]), axis=1)
    return bool(len(np.unique(pairs[0])) < pairs.shape[1])


def covariate_balance(numeric: Mapping[str, Float64], is_a: Bool, strata: Int64, kept: Bool) -> pa.Table:
    """How far A and B differ in the numeric covariates, before and after holding strata constant.

    The standardised mean difference of Austin, "Balance diagnostics for comparing the distribution of
    baseline covariates between treatment groups", Statistics in Medicine 28 (2009): (mean of A - mean of
    B) / sqrt((variance of A + variance of B) / 2), variances with divisor n - 1 over all samples. After:
    the difference within strata, weighted by n_a n_b / n as Mantel and Haenszel do, over the same
    root. Above 0.1 in size, differences of the covariate within the strata may still move cells.

    Args:
        numeric: covariate -> float64 (n_samples,), NaN where missing; such samples are left out.
        is_a: bool (n_samples,).
        strata: int64 (n_samples,), from 0.
        kept: bool (n_samples,), samples whose stratum has both sides.

    Returns:
        A row per covariate: covariate, mean_a, mean_b (all samples), smd_before, smd_after; NULL where a
        side has fewer than 2 values or nothing varies.
    """
    rows = []
    for name, values in numeric.items():
        known = np.isfinite(values)
        side_a, side_b = values[known & is_a], values[known & ~is_a]
        spread = 0.0
        if min(len(side_a), len(side_b)) > 1:
            spread = float(np.sqrt((side_a.var(ddof=1) + side_b.var(ddof=1)) / 2))
        inside = known & kept
        row: dict[str, object] = {"covariate": name}
        if spread > 0:
            row["mean_a"], row["mean_b"] = float(side_a.mean()), float(side_b.mean())
            row["smd_before"] = float(side_a.mean() - side_b.mean()) / spread
            within = _difference_within(values[inside], is_a[inside], strata[inside])
            row["smd_after"] = None if within is None else within / spread
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=BALANCE_SCHEMA)


def _difference_within(values: Float64, is_a: Bool, strata: Int64) -> float | None:
    size = int(strata.max(initial=-1)) + 1
    n_a = np.bincount(strata[is_a], minlength=size)
    n_b = np.bincount(strata[~is_a], minlength=size)
    both = (n_a > 0) & (n_b > 0)
    if not both.any():
        return None
    sum_a = np.bincount(strata[is_a], weights=values[is_a], minlength=size)
    sum_b = np.bincount(strata[~is_a], weights=values[~is_a], minlength=size)
    means = sum_a[both] / n_a[both] - sum_b[both] / n_b[both]
    weights = n_a[both] * n_b[both] / (n_a[both] + n_b[both])
    return float(np.average(means, weights=weights))
