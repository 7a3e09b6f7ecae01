"""PCA and SVD, exact, from moments: no sample is needed twice and none is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import linalg

from llm_mri_store.errors import ReductionError
from llm_mri_store.reduction.moments import Moments
from llm_mri_store.reduction.reducers import LinearReducer
from llm_mri_store.reduction.rounding import axis_rounding, feature_weights

Float64 = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearFit:
    """A fitted PCA or SVD and what it explains.

    Attributes:
        reducer: places samples.
        total_variance: sum of the features' variances after scaling, divisor n - 1.
        explained_variance: float64 (components,), variance of each component, divisor n - 1.
    """

    reducer: LinearReducer
    total_variance: float
    explained_variance: Float64


def fit_linear(
    moments: Moments, n_components: int, *, scale: bool, center: bool, rounding: float
) -> LinearFit:
    """The leading principal axes of the (standardised) activations.

    The eigenvectors of the scaled covariance (centred: PCA, Pearson 1901; Jolliffe 2002, ch. 3), or
    of the scaled second moment about zero (not centred: SVD of the raw matrix). On standardised
    data both are the same subspace, as in LLM-MRI's 2-D path, where its randomised solver finds it
    approximately and with arbitrary signs. Signs here: the loading of largest magnitude is positive.
    An axis along which the samples do not vary beyond rounding (there are fewer directions than
    components) is a row of zeros: every sample has coordinate 0 there.

    Args:
        moments: of the fitted samples.
        n_components: axes to keep.
        scale: divide each feature by its population standard deviation.
        center: subtract each feature's mean.
        rounding: how far rounding alone moves an activation, relative to its size; a feature that
            deviates no further is constant and gets no weight.

    Raises:
        ReductionError: there are fewer samples or features than components.
    """
    if moments.n < 2:
        raise ReductionError(f"a reduction needs at least 2 samples, got {moments.n}")
    covariance, mean = moments.covariance, moments.mean
    size = len(mean)
    limit = min(moments.n - 1 if center else moments.n, size)
    if n_components > limit:
        raise ReductionError(
            f"{n_components} components were asked for, but {moments.n} samples of {size} features have at "
            f"most {limit}; ask for fewer, or scan more texts"
        )
    variance = np.maximum(np.diagonal(covariance), 0.0)
    weight = feature_weights(variance, mean, rounding=rounding) if scale else np.ones_like(mean)
    scaled = covariance * np.outer(weight, weight)
    about = scaled if center else scaled + np.outer(mean * weight, mean * weight)
    moment, vectors = linalg.eigh(about, subset_by_index=[size - n_components, size - 1])
    components = _fixed_signs(vectors[:, ::-1].T)
    # Beyond the rank of the data an axis is arbitrary, and points along it would be rounding.
    noise = (rounding * weight) ** 2 * (variance + mean**2)
    components[moment[::-1] <= axis_rounding(components, noise, n=moments.n)] = 0.0
    unbiased = moments.n / (moments.n - 1)
    explained = np.einsum("kd,de,ke->k", components, scaled, components) * unbiased
    return LinearFit(
        reducer=LinearReducer(
            mean=mean if center else np.zeros_like(mean), weight=weight, components=components
        ),
        total_variance=float(np.trace(scaled) * unbiased),
        explained_variance=np.maximum(explained, 0.0),
    )


def _fixed_signs(components: Float64) -> Float64:
    """Rows turned so that the entry of largest magnitude is positive (the first of equals)."""
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return np.ascontiguousarray(components * np.where(signs == 0, 1.0, signs)[:, None])
