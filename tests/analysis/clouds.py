"""Vectors for tests of a layer's quality, and second implementations of its measures."""

import numpy as np
from scipy.stats import entropy
from sklearn.metrics.pairwise import cosine_similarity

from llm_mri_store.analysis.quality_measures import measure_vectors


def cloud(n=60, width=8, *, seed=0):
    """Correlated vectors far from the origin, float32 (n, width)."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, width)) @ rng.normal(size=(width, width))
    return (mixed + 20 * rng.normal(size=width)).astype(np.float32)


def measured(vectors, *, split=1, ranked=None):
    """Measures of an array, read in ``split`` parts."""
    vectors = np.asarray(vectors, dtype=np.float32)
    marks = np.ones(len(vectors), dtype=bool) if ranked is None else ranked
    parts = zip(np.array_split(vectors, split), np.array_split(marks, split), strict=True)
    return measure_vectors(parts, width=vectors.shape[1])


def rank_by_scipy(vectors):
    eigenvalues = np.linalg.eigvalsh(np.cov(vectors.astype(np.float64).T))
    return np.exp(entropy(np.maximum(eigenvalues, 0)))


def similarity_by_sklearn(vectors):
    similar = cosine_similarity(vectors.astype(np.float64))
    return similar[~np.eye(len(vectors), dtype=bool)].mean()
