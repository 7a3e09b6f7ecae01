"""Count, mean and scatter of a layer's activations in one pass: all that an exact PCA needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Sums over samples, about a pilot value so that large means cost no precision.

    Shards merge by addition (Chan, Golub & LeVeque 1983, with a common shift), exactly up to
    rounding; merge in chunk order for results that repeat bit for bit.

    Attributes:
        n: samples.
        pilot: float64 (features,), the shift; any value near the mean.
        total: float64 (features,), sum of x - pilot.
        scatter: float64 (features, features), sum of outer products of x - pilot.
    """

    n: int
    pilot: Float64
    total: Float64
    scatter: Float64

    @property
    def mean(self) -> Float64:
        """Mean of each feature."""
        return self.pilot + self.total / self.n

    @property
    def variance(self) -> Float64:
        """Population variance of each feature (divisor n)."""
        return np.maximum(np.diagonal(self.scatter) / self.n - (self.total / self.n) ** 2, 0.0)

    @property
    def covariance(self) -> Float64:
        """Population covariance (divisor n), (features, features)."""
        shifted = self.total / self.n
        return self.scatter / self.n - np.outer(shifted, shifted)


def begin_moments(first: npt.NDArray[np.float32]) -> Moments:
    """Moments of nothing yet, their pilot the mean of the first samples.

    Args:
        first: float32 (samples, features), at least one sample.
    """
    pilot = first.mean(axis=0, dtype=np.float64)
    size = pilot.shape[0]
    return Moments(n=0, pilot=pilot, total=np.zeros(size), scatter=np.zeros((size, size)))


def add_samples(moments: Moments, activations: npt.NDArray[np.float32]) -> Moments:
    """Moments with further samples, float32 (samples, features), all finite."""
    shifted = activations.astype(np.float64) - moments.pilot
    return Moments(
        n=moments.n + len(activations),
        pilot=moments.pilot,
        total=moments.total + shifted.sum(axis=0),
        scatter=moments.scatter + shifted.T @ shifted,
    )


def relative_spread(variance: Float64, mean: Float64) -> float:
    """How far the most variable feature varies, against the size of the activations.

    The largest of std_j / max(rms_j, median rms) over features j, >= 0. It is about the machine
    epsilon of the precision the model ran in when all texts have the same vector but for rounding
    (position 0 of a causal model, the [CLS] embedding), and far above it otherwise.

    Args:
        variance: population variance of each feature, float64 (features,), >= 0.
        mean: mean of each feature, float64 (features,).
    """
    rms = np.sqrt(variance + mean**2)
    size = np.maximum(rms, np.median(rms))
    spread = np.divide(np.sqrt(variance), size, out=np.zeros_like(size), where=size > 0)
    return float(spread.max(initial=0.0))
