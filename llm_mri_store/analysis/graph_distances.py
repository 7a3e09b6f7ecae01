"""Distances between two graphs of the same possible edges, of many pairs of graphs at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import wasserstein_distance

from llm_mri_store.analysis.graph_portraits import divergences, portrait_divergences
from llm_mri_store.analysis.graph_reach import Reach
from llm_mri_store.analysis.step_edges import StepEdges

Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]

Distance = Literal["jaccard", "jensen_shannon", "portrait", "spectral"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DistanceDefinition:
    """What a distance says.

    Attributes:
        name: as in the table.
        meaning: one sentence, without its full stop.
        range: the values it can take.
        source: paper.
    """

    name: Distance
    meaning: str
    range: str
    source: str


DISTANCE_DEFINITIONS: Final = (
    DistanceDefinition(
        name="jaccard",
        meaning="share of weight that the two graphs do not have in common: 1 - sum over edges of the "
        "smaller weight share / that of the larger",
        range="[0, 1]; 0 = the same share on every edge, 1 = no edge in common",
        source="Ruzicka 1958, the weighted form of Jaccard's index",
    ),
    DistanceDefinition(
        name="jensen_shannon",
        meaning="divergence of the two distributions of weight over edges: what the edge that a sample takes "
        "tells of its label, were both labels as frequent",
        range="[0, 1] bits; 0 = the same share on every edge, 1 = no edge in common",
        source="Lin, IEEE Trans. Inf. Theory 37 (1991)",
    ),
    DistanceDefinition(
        name="portrait",
        meaning="divergence of how many cells directed paths lead to, step by step; weights do not count, "
        "cells may be renamed",
        range="[0, 1] bits; 0 = the same portrait",
        source="Bagrow & Bollt, Applied Network Science 4:45 (2019)",
    ),
    DistanceDefinition(
        name="spectral",
        meaning="how far the eigenvalues of one normalised Laplacian must be moved, on average, to become "
        "the other's; weights count, directions do not, cells may be renamed",
        range="[0, 1]; 0 = the same spectrum",
        source="Gu, Hua & Liu, Discrete Applied Mathematics 190 (2015)",
    ),
)
DISTANCES: Final[tuple[Distance, ...]] = tuple(one.name for one in DISTANCE_DEFINITIONS)


def graph_distances(
    edges: StepEdges,
    weights: tuple[Int32, Int32],
    reach: tuple[Reach, Reach] | None,
    *,
    wanted: Sequence[Distance] = DISTANCES,
) -> Float64:
    """Distances of pairs of graphs, float64 (n_wanted, n_pairs); NaN if undefined.

    What they are, say ``DISTANCE_DEFINITIONS``.

    Args:
        edges: the possible edges.
        weights: int32 (n_edges, n_pairs) of the first and of the second graphs.
        reach: of these graphs; None leaves the portrait divergence undefined.
        wanted: which distances.
    """
    n_pairs = weights[0].shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (one / one.sum(axis=0) for one in weights)
    rows = []
    for name in wanted:
        if name == "jaccard":
            rows.append(jaccard_distances(a, b))
        elif name == "jensen_shannon":
            rows.append(divergences(a, b))
        elif name == "portrait" and reach is not None:
            rows.append(portrait_divergences(reach[0].at_distance, reach[1].at_distance))
        elif name == "spectral":
            rows.append(spectral_distances(edges, weights))
        else:
            rows.append(np.full(n_pairs, np.nan))
    return np.array(rows).reshape(len(wanted), n_pairs)


def jaccard_distances(p: Float64, q: Float64) -> Float64:
    """Weighted Jaccard (Ruzicka) distance of weight shares, in [0, 1].

    Args:
        p: float64 (n_edges, n_pairs), >= 0.
        q: the same.

    Returns:
        1 - sum of min(p, q) / sum of max(p, q), float64 (n_pairs,); NaN where both are 0 throughout.

    >>> jaccard_distances(np.array([[0.5], [0.5], [0.0]]), np.array([[0.5], [0.0], [0.5]])).round(3).tolist()
    [0.667]
    """
    smaller, larger = np.minimum(p, q).sum(axis=0), np.maximum(p, q).sum(axis=0)
    in_common: Float64 = np.divide(smaller, larger, out=np.full(larger.shape, np.nan), where=larger > 0)
    return 1 - in_common


def spectral_distances(edges: StepEdges, weights: tuple[Int32, Int32]) -> Float64:
    """1-Wasserstein distance between the spectra of two graphs, in [0, 1].

    Gu, Hua & Liu, "Spectral distances on graphs", Discrete Applied Mathematics 190 (2015): the spectrum of
    the normalised Laplacian I - D^-1/2 W D^-1/2 of the undirected weighted graph, every eigenvalue with the
    same mass, so that graphs of different size can be compared. Isospectral graphs are at distance 0.

    Args:
        edges: the possible edges.
        weights: int32 (n_edges, n_pairs) of the first and of the second graphs.

    Returns:
        float64 (n_pairs,); NaN where a graph has no edge.
    """
    rows = []
    for first, second in zip(*(spectra(edges, one) for one in weights), strict=True):
        defined = first.size and second.size
        rows.append(float(wasserstein_distance(first, second)) if defined else np.nan)
    return np.array(rows)


def spectra(edges: StepEdges, weights: Int32) -> list[Float64]:
    """|eigenvalue - 1| of each graph's normalised Laplacian, one per node.

    Edges join layers of even and of odd place alone, so eigenvalues come in pairs 1 - s and 1 + s, where s
    are the singular values of the normalised weights between the two (Chung, "Spectral Graph Theory" (1997),
    ch. 1), and 1 for what one side has more. Folded about 1, distances stay what they are, as spectra are
    symmetric about it.
    """
    is_even = edges.node_place % 2 == 0
    number = np.where(is_even, np.cumsum(is_even), np.cumsum(~is_even)) - 1
    leads = is_even[edges.source]
    row = number[np.where(leads, edges.source, edges.target)]
    column = number[np.where(leads, edges.target, edges.source)]
    n_even = int(is_even.sum())
    spectra = []
    for weight in weights.T.astype(np.float64):
        strength = np.bincount(edges.source, weight, edges.n_nodes)
        strength += np.bincount(edges.target, weight, edges.n_nodes)
        both = strength[edges.source] * strength[edges.target]
        scaled = np.zeros((n_even, edges.n_nodes - n_even))
        scaled[row, column] = weight / np.sqrt(np.where(weight > 0, both, 1.0))
        scaled = scaled[strength[is_even] > 0][:, strength[~is_even] > 0]
        smaller = scaled if scaled.shape[0] <= scaled.shape[1] else scaled.T
        squares = np.linalg.eigvalsh(smaller @ smaller.T) if smaller.size else np.zeros(0)
        paired = np.repeat(np.sqrt(np.clip(squares, 0.0, 1.0)), 2)
        spectra.append(np.concatenate([paired, np.zeros(sum(scaled.shape) - paired.size)]))
    return spectra
