"""What a fitted reducer is: a few arrays and a way to place samples with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from llm_mri_store.errors import ReductionError, StoreCorrupt

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]


class Reducer(Protocol):
    """A reducer fitted on one layer."""

    def transform(self, activations: Float32) -> Float32:
        """Points of samples, float32 (samples, components)."""
        ...

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays it is made of, by name, to be stored."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearReducer:
    """PCA or SVD: shift, weight, project.

    Attributes:
        mean: float64 (features,), subtracted; zeros for an SVD without centring.
        weight: float64 (features,), multiplied; 1 / standard deviation where scaled, 0 for a
            feature that does not vary beyond rounding.
        components: float64 (components, features), orthonormal rows; a row of zeros for an axis that
            the fitted samples do not have.
    """

    mean: Float64
    weight: Float64
    components: Float64

    def transform(self, activations: Float32) -> Float32:
        """Points of samples, computed in float64, float32 (samples, components).

        Raises:
            ReductionError: the activations are of another width than those it was fitted on.
        """
        if activations.ndim != 2 or activations.shape[1] != len(self.mean):
            raise ReductionError(
                f"this reduction takes activations of shape (samples, {len(self.mean)}), got "
                f"{activations.shape}; use the model and site it was fitted on"
            )
        placed = (activations.astype(np.float64) - self.mean) * self.weight @ self.components.T
        return placed.astype(np.float32)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Mean, weight and components."""
        return {"mean": self.mean, "weight": self.weight, "components": self.components}


@dataclass(frozen=True, slots=True, kw_only=True)
class UmapReducer:
    """UMAP's scaling; the embedding itself is the stored points.

    Attributes:
        minimum: float64 (features,).
        weight: float64 (features,), 1 / range; 0 for a constant feature.
    """

    minimum: Float64
    weight: Float64

    def transform(self, activations: Float32) -> Float32:
        """New samples cannot be placed.

        Raises:
            ReductionError: always; a UMAP embedding has no formula that places a new sample, and the
                fitted object could only be kept as a pickle, which a store does not hold.
        """
        raise ReductionError(
            "a UMAP reduction cannot place new samples: it is known only at the samples it was fitted on; "
            "use pca or svd, or fit UMAP on all samples together"
        )

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Minimum and weight."""
        return {"minimum": self.minimum, "weight": self.weight}


def reducer_from_arrays(arrays: Mapping[str, npt.NDArray[np.float64]], *, where: str) -> Reducer:
    """The reducer that is made of these arrays.

    Raises:
        StoreCorrupt: they are those of no reducer, or do not fit together.
    """
    is_sound = all(array.dtype == np.float64 and np.isfinite(array).all() for array in arrays.values())
    if is_sound and set(arrays) == {"mean", "weight", "components"}:
        mean, weight, components = arrays["mean"], arrays["weight"], arrays["components"]
        if mean.shape == weight.shape == components.shape[1:] and mean.ndim == 1:
            return LinearReducer(mean=mean, weight=weight, components=components)
    elif (
        is_sound
        and set(arrays) == {"minimum", "weight"}
        and arrays["minimum"].shape == arrays["weight"].shape
    ):
        return UmapReducer(minimum=arrays["minimum"], weight=arrays["weight"])
    raise StoreCorrupt(f"{where} does not hold a fitted reducer; run 'llm-mri verify'")
