"""Distances and metrics of the graphs of two labels: observed, relabelled, thinned out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from llm_mri_store.analysis.graph_blocks import BLOCK_METRICS, block_metrics
from llm_mri_store.analysis.graph_distances import Distance, graph_distances
from llm_mri_store.analysis.graph_reach import can_reach, reach_numbers, reach_of
from llm_mri_store.analysis.relabelings import Relabelings, block_width
from llm_mri_store.analysis.step_edges import StepEdges
from llm_mri_store.records.jobs import Progress, ProgressCallback

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]

N_DRAWS: Final = 100
"""Draws of fewer samples that rarefied numbers are means of."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphNumbers:
    """Numbers of pairs of graphs, NaN where undefined.

    Attributes:
        distances: float64 (n_distances, n_pairs).
        metrics_a, metrics_b: float64 (n_metrics, n_pairs), in the order of ``BLOCK_METRICS``.
    """

    distances: Float64
    metrics_a: Float64
    metrics_b: Float64

    @property
    def differences(self) -> Float64:
        """Metrics of the first graphs less those of the second."""
        return self.metrics_a - self.metrics_b


def graph_numbers(
    edges: StepEdges, weights: tuple[Int32, Int32], *, wanted: Sequence[Distance]
) -> GraphNumbers:
    """Numbers of pairs of graphs.

    Args:
        edges: the possible edges.
        weights: int32 (n_edges, n_pairs) of the first and of the second graphs.
        wanted: which distances.
    """
    # Threads that wait for each other take longer than one alone for matrices as small as a layer's.
    with threadpool_limits(1, user_api="blas"):
        reach = (reach_of(edges, weights[0]), reach_of(edges, weights[1])) if can_reach(edges) else None
        distances = graph_distances(edges, weights, reach, wanted=wanted)
    return GraphNumbers(
        distances=distances,
        metrics_a=block_metrics(edges, weights[0], None if reach is None else reach[0]),
        metrics_b=block_metrics(edges, weights[1], None if reach is None else reach[1]),
    )


def numbers_of(edges: StepEdges, in_a: Bool, in_b: Bool, *, wanted: Sequence[Distance]) -> GraphNumbers:
    """Numbers of the graphs of chosen samples.

    Args:
        edges: the possible edges.
        in_a: bool (n_samples, n_pairs), samples of the first graphs.
        in_b: bool (n_samples, n_pairs), samples of the second.
        wanted: which distances.
    """
    width = block_width(edges.n_edges + reach_numbers(edges))
    starts = range(0, in_a.shape[1], width)
    return _joined(
        graph_numbers(
            edges,
            (edges.weights(in_a[:, start : start + width]), edges.weights(in_b[:, start : start + width])),
            wanted=wanted,
        )
        for start in starts
    )


def relabelled_numbers(
    edges: StepEdges,
    relabelings: Relabelings,
    *,
    wanted: Sequence[Distance],
    progress: ProgressCallback,
) -> GraphNumbers:
    """Numbers of the graphs of relabelled samples, a column for each relabeling; label 0 is the first.

    Args:
        edges: the possible edges.
        relabelings: of the samples.
        wanted: which distances.
        progress: told after each batch.
    """
    total = edges.weights(np.ones((edges.n_samples, 1), dtype=np.bool_))
    blocks, done = [], 0
    for labels in relabelings.columns(n_rows=edges.n_edges + reach_numbers(edges)):
        first = edges.weights(labels == 0)
        blocks.append(graph_numbers(edges, (first, total - first), wanted=wanted))
        done += labels.shape[1]
        progress(Progress(job="graphs", done=done, total=relabelings.n))
    return _joined(blocks)


def rarefied_numbers(
    edges: StepEdges, labels: Int64, n_samples: int, *, wanted: Sequence[Distance], seed: int
) -> GraphNumbers:
    """Numbers of graphs of equally many samples of each label, means over draws without replacement.

    Args:
        edges: the possible edges.
        labels: int64 (n_all,), 0 for the first label and 1 for the second.
        n_samples: samples of each label in a draw; at most those of the smaller.
        wanted: which distances.
        seed: of the draws.

    Returns:
        One column; NaN for what is undefined in any draw.
    """
    rng = np.random.default_rng(seed)
    # Drawing all samples of both labels gives the same graphs each time.
    n_draws = 1 if bool((np.bincount(labels) == n_samples).all()) else N_DRAWS
    drawn = np.zeros((2, labels.size, n_draws), dtype=np.bool_)
    for side in (0, 1):
        members = np.flatnonzero(labels == side)
        for draw in range(n_draws):
            drawn[side, rng.permutation(members)[:n_samples], draw] = True
    found = numbers_of(edges, drawn[0], drawn[1], wanted=wanted)
    return GraphNumbers(
        distances=found.distances.mean(axis=1, keepdims=True),
        metrics_a=found.metrics_a.mean(axis=1, keepdims=True),
        metrics_b=found.metrics_b.mean(axis=1, keepdims=True),
    )


def _joined(blocks: Iterable[GraphNumbers]) -> GraphNumbers:
    parts = list(blocks)
    return GraphNumbers(
        distances=np.concatenate([part.distances for part in parts], axis=1),
        metrics_a=np.concatenate([part.metrics_a for part in parts], axis=1),
        metrics_b=np.concatenate([part.metrics_b for part in parts], axis=1),
    )


def metric_bounds() -> tuple[Float64, Float64]:
    """The least and the most each metric can be, float64 (n_metrics,) each; infinite where there is none."""
    in_unit = {"density", "center_of_mass", "joined_share"}
    signed = {"skew_degree", "kurt_degree", "skew_strength", "kurt_strength"}
    lowest = [
        -np.inf if name in signed else -1.0 if name == "assortativity" else 0.0 for name in BLOCK_METRICS
    ]
    highest = [1.0 if name in in_unit or name == "assortativity" else np.inf for name in BLOCK_METRICS]
    return np.array(lowest), np.array(highest)
