"""UMAP of one layer, seeded."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from llm_mri_store.errors import ReductionError
from llm_mri_store.records.reductions import ReductionSpec
from llm_mri_store.reduction.reducers import Float32, UmapReducer


@dataclass(frozen=True, slots=True, kw_only=True)
class UmapFit:
    """A UMAP embedding: the points of the samples it was fitted on, float32 (samples, components)."""

    reducer: UmapReducer
    points: Float32


def fit_umap(activations: Float32, spec: ReductionSpec) -> UmapFit:
    """The UMAP embedding of a layer's activations after min-max scaling, as LLM-MRI has it.

    McInnes, Healy & Melville 2018 (arXiv 1802.03426), by umap-learn. Unlike LLM-MRI's 2-D path the
    seed is honoured: on one machine a seed repeats its points exactly, on one thread, more slowly.

    Args:
        activations: float32 (samples, features), all finite; held in memory whole.
        spec: n_components, seed, n_neighbors, min_dist and metric are used.

    Raises:
        ReductionError: there are too few samples for a neighbourhood graph.
    """
    n_samples = len(activations)
    least = max(4, spec.n_components + 2)
    if n_samples < least:
        raise ReductionError(
            f"UMAP with {spec.n_components} components needs at least {least} samples, got {n_samples}; "
            "use pca"
        )
    minimum = activations.min(axis=0).astype(np.float64)
    extent = activations.max(axis=0).astype(np.float64) - minimum
    weight = np.divide(1.0, extent, out=np.zeros_like(extent), where=extent > 0)
    scaled = ((activations - minimum) * weight).astype(np.float32)
    with warnings.catch_warnings():
        # umap warns of packages it does not need, and on few samples of what the diagnostics say.
        warnings.simplefilter("ignore")
        from umap import UMAP

        model = UMAP(
            n_components=spec.n_components,
            n_neighbors=min(spec.n_neighbors, n_samples - 1),
            min_dist=spec.min_dist,
            metric=spec.metric,
            random_state=spec.seed,
            n_jobs=1,
        )
        try:
            points = model.fit_transform(scaled)
        except (ValueError, TypeError, RuntimeError) as error:
            raise ReductionError(f"UMAP failed on {n_samples} samples: {error}; use pca") from error
    if not np.isfinite(points).all():
        raise ReductionError(f"UMAP placed some of {n_samples} samples nowhere; use pca, or fewer neighbours")
    return UmapFit(
        reducer=UmapReducer(minimum=minimum, weight=weight), points=np.asarray(points, dtype=np.float32)
    )
