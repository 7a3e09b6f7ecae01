"""The graphs of two reductions side by side, label by label: nothing here is tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa
from scipy.stats import wasserstein_distance

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.graph_distances import spectra
from llm_mri_store.analysis.graph_intervals import metric_intervals
from llm_mri_store.analysis.graph_portraits import portrait_divergences
from llm_mri_store.analysis.graph_reach import can_reach, reach_of
from llm_mri_store.analysis.step_edges import step_edges
from llm_mri_store.records.jobs import Progress, ProgressCallback

ALL_LABELS: Final = "all"
"""Name of the graph of all samples."""

_GRAPH: Final = [("graph", pa.string()), ("n_a", pa.int64()), ("n_b", pa.int64())]

BESIDE_SCHEMA: Final = pa.schema(
    [
        *_GRAPH,
        ("metric", pa.string()),
        *((f"value_{side}{end}", pa.float64()) for side in "ab" for end in ("", "_low", "_high")),
    ]
)
APART_SCHEMA: Final = pa.schema([*_GRAPH, ("distance", pa.string()), ("value", pa.float64())])


def graphs_beside(
    a: LabelledCells, b: LabelledCells, *, seed: int, progress: ProgressCallback
) -> tuple[pa.Table, pa.Table]:
    """Metrics of the graphs of two reductions, and how far these are apart in shape.

    Graphs are those of all samples, and of each label that both have.

    Args:
        a: cells of a reduction.
        b: of another one; layers and grid may be others.
        seed: of which samples are left out together for intervals.
        progress: told before each graph, and at the end.

    Returns:
        * metrics: graph (a label, or ``all``), n_a, n_b (samples), metric (those of ``BLOCK_METRICS``),
          value_a and value_b with ``_low`` and ``_high``, their 95 % intervals (``metric_intervals``).
        * distances: graph, n_a, n_b, distance, value; the distances in which cells may be renamed,
          ``portrait`` and ``spectral``, as in ``graph_distances.DISTANCE_DEFINITIONS``, without interval.

        NULL for what is not defined.
    """
    counts = [cells.label_counts() for cells in (a, b)]
    shared = [label for label in a.labels if counts[0][label] and counts[1].get(label)]
    metrics, distances = [BESIDE_SCHEMA.empty_table()], [APART_SCHEMA.empty_table()]
    for done, name in enumerate([ALL_LABELS, *shared]):
        progress(Progress(job="graphs", done=done, total=len(shared) + 1, note=name))
        pair = [
            pooled(cells) if name == ALL_LABELS and done == 0 else _of_label(cells, name) for cells in (a, b)
        ]
        sizes = [cells.n_samples for cells in pair]
        rows = [metric_intervals(cells, [cells.labels[0]], seed=seed) for cells in pair]
        n_rows = rows[0].num_rows
        columns = [pa.array([name] * n_rows), *(pa.array([size] * n_rows) for size in sizes)]
        columns += [rows[0]["metric"], *(one[f"value{end}"] for one in rows for end in ("", "_low", "_high"))]
        metrics.append(pa.table(columns, schema=BESIDE_SCHEMA))
        apart = _distances(pair)
        distances.append(
            pa.table(
                [
                    pa.array([name] * len(apart)),
                    *(pa.array([size] * len(apart)) for size in sizes),
                    pa.array(list(apart)),
                    pa.array(list(apart.values()), pa.float64()),
                ],
                schema=APART_SCHEMA,
            )
        )
    progress(Progress(job="graphs", done=len(shared) + 1, total=len(shared) + 1))
    return pa.concat_tables(metrics), pa.concat_tables(distances)


def pooled(cells: LabelledCells) -> LabelledCells:
    """The same samples with one label."""
    return replace(cells, labels=(ALL_LABELS,), label_codes=np.zeros(cells.n_samples, dtype=np.int32))


def _of_label(cells: LabelledCells, label: str) -> LabelledCells:
    chosen = cells.label_codes == cells.labels.index(label)
    return replace(
        cells,
        labels=(label,),
        codes=cells.codes[:, chosen],
        label_codes=np.zeros(int(chosen.sum()), dtype=np.int32),
        sample_ids=cells.sample_ids[chosen],
        covariates={},
    )


def _distances(pair: Sequence[LabelledCells]) -> dict[str, float | None]:
    """Portrait divergence and spectral distance of two graphs; None where a graph has no edge."""
    found: dict[str, float | None] = {"portrait": None, "spectral": None}
    edges = [step_edges(cells) for cells in pair]
    if not all(one.n_edges for one in edges):
        return found
    weights = [one.weights(np.ones((one.n_samples, 1), dtype=np.bool_)) for one in edges]
    found["spectral"] = float(
        wasserstein_distance(*(spectra(*one)[0] for one in zip(edges, weights, strict=True)))
    )
    if all(can_reach(one) for one in edges):
        reached = [reach_of(*one).at_distance for one in zip(edges, weights, strict=True)]
        farthest = max(one.shape[1] for one in reached)
        # No node lies farther off than a graph has layers.
        padded = [np.pad(one, ((0, 0), (0, farthest - one.shape[1]), (0, 0))) for one in reached]
        found["portrait"] = float(portrait_divergences(*padded)[0])
    return found
