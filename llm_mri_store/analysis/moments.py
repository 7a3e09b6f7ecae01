"""Moments and correlation of some numbers; None, never NaN, where they are not defined."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

Floats = npt.NDArray[np.float64]

_ROUNDING: Final = 1e-13
"""Spread of a constant, relative to its size: some hundred float64 roundings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Mean, variance, skewness and excess kurtosis of some numbers; None where undefined."""

    mean: float | None
    var: float | None
    skew: float | None
    kurt: float | None


def moments(values: npt.ArrayLike) -> Moments:
    """Unbiased mean, variance, skewness and excess kurtosis, as pandas computes them.

    Variance has the divisor n - 1 and needs 2 values; skewness is G1 (3 values) and excess kurtosis
    G2 (4 values) of Joanes & Gill, "Comparing measures of sample skewness and kurtosis", The
    Statistician 47 (1998); 0 for a normal distribution. Of a constant both are 0 / 0, so None:
    pandas 3 gives NaN there, pandas 2 gave 0. A constant is what varies by rounding alone.

    Args:
        values: float64 (n_values,), finite.

    Returns:
        mean, in the range of the values; var, >= 0; skew and kurt, any sign.

    >>> moments([1, 2, 3])
    Moments(mean=2.0, var=1.0, skew=0.0, kurt=None)
    """
    numbers = np.asarray(values, dtype=np.float64)
    n_values = numbers.size
    varies = _varies(numbers)
    return Moments(
        mean=float(numbers.mean()) if n_values else None,
        var=float(numbers.var(ddof=1)) if n_values > 1 else None,
        skew=float(stats.skew(numbers, bias=False)) if n_values > 2 and varies else None,
        kurt=float(stats.kurtosis(numbers, bias=False)) if n_values > 3 and varies else None,
    )


def named_moments(of: str, values: npt.ArrayLike) -> dict[str, float | None]:
    """The same as a part of a row of numbers.

    >>> list(named_moments("degree", [1, 2, 3]))
    ['mean_degree', 'var_degree', 'skew_degree', 'kurt_degree']
    """
    return {f"{name}_{of}": value for name, value in asdict(moments(values)).items()}


def _varies(numbers: Floats) -> bool:
    return numbers.size > 1 and bool(np.ptp(numbers) > _ROUNDING * np.abs(numbers).max())


def correlation(x: Floats, y: Floats) -> float | None:
    """Pearson's correlation of two float64 (n_values,): in [-1, 1], None where either is constant.

    >>> correlation(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]))
    -1.0
    """
    if not (_varies(x) and _varies(y)):
        return None
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))
