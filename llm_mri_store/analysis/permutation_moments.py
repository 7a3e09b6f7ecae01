"""What labels exchanged at random put into each cell: mean, variance and third moment, in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.permutation_design import Exchange

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StratumCells:
    """The occupied cells of each stratum of one layer.

    Attributes:
        stratum, cell: int64 (n_pairs,), ascending by stratum, then cell.
        n: int64 (n_pairs,), samples of the stratum in the cell.
        n_label: int64 (n_labels, n_pairs), those of each label as observed.
        squares, cubes: float64 (n_pairs,), sums over the stratum's units of r**2 and r**3, where r is the
            unit's samples in the cell less its size times the share of the stratum's samples that are
            in the cell.
    """

    stratum: Int64
    cell: Int64
    n: Int64
    n_label: Int64
    squares: Float64
    cubes: Float64


def count_strata(exchange: Exchange, codes: npt.NDArray[np.integer], *, n_cells: int) -> StratumCells:
    """Counts the samples of one layer by stratum and cell.

    Args:
        exchange: what is exchanged.
        codes: integers (n_kept,), the cell of each sample of ``exchange.samples``, in 0 .. n_cells - 1.
        n_cells: cells of the layer.
    """
    keys = exchange.sample_strata * n_cells + codes
    pairs, place = _different(keys, exchange.n_strata * n_cells)
    n_samples = np.bincount(place, minlength=len(pairs)).astype(np.int64)
    labels = np.repeat(exchange.unit_labels, exchange.unit_sizes)
    n_label = np.bincount(labels * len(pairs) + place, minlength=exchange.n_labels * len(pairs))
    stratum = pairs // n_cells
    in_stratum = np.bincount(exchange.unit_strata, weights=exchange.unit_sizes)[stratum]
    share = n_samples / in_stratum
    if exchange.of_samples:
        # r is 1 - share for the samples in the cell and -share for the others.
        squares = n_samples * (1 - share)
        cubes = squares * (1 - 2 * share)
    else:
        squares, cubes = _unit_powers(exchange, place, stratum=stratum, share=share)
    return StratumCells(
        stratum=stratum.astype(np.int64),
        cell=(pairs % n_cells).astype(np.int64),
        n=n_samples,
        n_label=n_label.reshape(exchange.n_labels, len(pairs)).astype(np.int64),
        squares=squares,
        cubes=cubes,
    )


def _different(keys: Int64, n_keys: int) -> tuple[Int64, Int64]:
    """The different keys, ascending, and which of them each is; without sorting where keys are few."""
    if n_keys > 4 * len(keys):
        pairs, place = np.unique(keys, return_inverse=True)
        return pairs.astype(np.int64), place.astype(np.int64)
    pairs = np.flatnonzero(np.bincount(keys, minlength=n_keys))
    number = np.zeros(n_keys, dtype=np.int64)
    number[pairs] = np.arange(len(pairs))
    return pairs, number[keys]


def _unit_powers(
    exchange: Exchange, place: Int64, *, stratum: Int64, share: Float64
) -> tuple[Float64, Float64]:
    """Sums of r**2 and r**3 over units of several samples."""
    n_pairs = len(share)
    unit = np.repeat(np.arange(exchange.n_units), exchange.unit_sizes)
    occupied, counts = np.unique(unit * n_pairs + place, return_counts=True)
    c, size = counts.astype(np.float64), exchange.unit_sizes[occupied // n_pairs].astype(np.float64)

    def summed(values: Float64) -> Float64:
        return np.bincount(occupied % n_pairs, weights=values, minlength=n_pairs).astype(np.float64)

    def sizes(power: int) -> Float64:
        weights = exchange.unit_sizes.astype(np.float64) ** power
        return np.bincount(exchange.unit_strata, weights=weights).astype(np.float64)[stratum]

    squares = summed(c**2) - 2 * share * summed(c * size) + share**2 * sizes(2)
    cubes = (
        summed(c**3)
        - 3 * share * summed(c**2 * size)
        + 3 * share**2 * summed(c * size**2)
        - share**3 * sizes(3)
    )
    return np.maximum(squares, 0.0), cubes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Moments over all relabelings of a label's samples in a cell, less those expected.

    With T = sum over strata of (samples of the label in the cell - samples of the label in the stratum *
    share of the stratum's samples in the cell), the mean of T is 0. The n of a stratum's N units that have
    the label are a sample without replacement, so (Cochran, "Sampling Techniques", 3rd ed. (1977), ch. 2)

        variance = sum of n (N - n) / (N (N - 1)) * squares
        third moment = sum of n (N - n) (N - 2 n) / (N (N - 1) (N - 2)) * cubes

    Where every unit is a sample, T and its variance are those of Mantel & Haenszel (1959) and Cochran.

    Attributes:
        variance, third: float64 (n_labels, n_cells); 0 where nothing can vary.
    """

    variance: Float64
    third: Float64


def null_moments(exchange: Exchange, counted: StratumCells, *, n_cells: int) -> Moments:
    """The moments of each label in each cell of a layer.

    Args:
        exchange: what is exchanged.
        counted: its cells, as ``count_strata`` gives them.
        n_cells: cells of the layer.
    """
    units = exchange.units_of().astype(np.float64)
    n_units = units.sum(axis=1, keepdims=True)
    others = n_units - units
    second = units * others / (n_units * (n_units - 1))
    third = np.zeros_like(units)
    np.divide(second * (n_units - 2 * units), n_units - 2, out=third, where=n_units > 2)

    def summed(weight: Float64, powers: Float64) -> Float64:
        rows = [
            np.bincount(counted.cell, weights=weight[counted.stratum, label] * powers, minlength=n_cells)
            for label in range(exchange.n_labels)
        ]
        return np.array(rows, dtype=np.float64)

    variance = summed(second, counted.squares)
    # What is left of a share of 1 after rounding is no variance.
    variance[variance < 1e-9] = 0.0
    return Moments(variance=variance, third=summed(third, counted.cubes))


def expected_counts(exchange: Exchange, counted: StratumCells, *, n_cells: int) -> Float64:
    """Samples of each label expected in each cell by the strata's margins, float64 (n_labels, n_cells)."""
    samples = exchange.samples_of()
    in_stratum = samples.sum(axis=1)
    share = counted.n / in_stratum[counted.stratum]
    rows = [
        np.bincount(counted.cell, weights=samples[counted.stratum, label] * share, minlength=n_cells)
        for label in range(exchange.n_labels)
    ]
    return np.array(rows, dtype=np.float64)


def normal_scores(deviations: Float64, moments: Moments, *, label: int) -> Float64:
    """Deviations as scores on one scale: standardised, the skewness of their null distribution taken out.

    With z = T / sqrt(variance) and skewness g = third / variance**1.5, the score is

        6 / g * (cbrt(1 + g z / 2) - 1)

    and z itself where g is 0. It is the cube root by which Wilson & Hilferty (1931) turn a Pearson
    type III variable, the distribution with these three moments, into a normal one, without their constant
    g / 6, so that a cell that holds what is expected scores 0; it grows with z and has its sign. Where both
    labels have as many units, g is 0 and the score is z.

    A rare label's samples in a cell that few share are far from normal: with 100 of 2,000 samples and
    500 cells the 5 % point of the largest |z| is 6.2, set by cells of a handful of samples, and of the
    largest score 3.3. A difference in a cell that holds many has to pass that point.

    Args:
        deviations: float64 (..., n_cells), T.
        moments: of its cells.
        label: the label that T is of.

    Returns:
        float64 (..., n_cells); 0 where nothing can vary.
    """
    z = standardised(deviations, moments, label=label)
    variance, third = moments.variance[label], moments.third[label]
    skewness = np.divide(third, variance**1.5, out=np.zeros_like(third), where=variance > 0)
    is_skewed = np.abs(skewness) > 1e-6
    if not is_skewed.any():
        return z
    half = np.where(is_skewed, skewness, 1.0) / 2
    return np.where(is_skewed, 3 / half * (np.cbrt(1 + half * z) - 1), z)


def standardised(deviations: Float64, moments: Moments, *, label: int) -> Float64:
    """Deviations T / sqrt(variance), float64 (..., n_cells); 0 where nothing can vary."""
    variance = moments.variance[label]
    root = np.sqrt(np.where(variance > 0, variance, 1.0))
    return np.where(variance > 0, deviations / root, 0.0)
