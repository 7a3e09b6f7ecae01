"""Metrics of the graphs of labels with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_tables import as_column
from llm_mri_store.analysis.graph_blocks import BLOCK_METRICS
from llm_mri_store.analysis.graph_numbers import metric_bounds, numbers_of
from llm_mri_store.analysis.jackknife import jackknife_interval, leave_parts_out
from llm_mri_store.analysis.step_edges import step_edges
from llm_mri_store.errors import UnknownName

INTERVALS_SCHEMA: Final = pa.schema(
    [
        ("graph", pa.string()),
        ("n", pa.int64()),
        ("metric", pa.string()),
        *((name, pa.float64()) for name in ("value", "value_low", "value_high")),
    ]
)


def metric_intervals(cells: LabelledCells, labels: Sequence[str], *, seed: int = 0) -> pa.Table:
    """Metrics of the graph of each label with 95 % intervals: what as many other samples would give.

    Intervals are those of ``compare_graphs`` (``jackknife_interval``), of one graph at a time.

    Args:
        cells: cells and labels of the samples.
        labels: whose graphs.
        seed: of which samples are left out together.

    Returns:
        graph, n (its samples), metric (those of ``BLOCK_METRICS``), value, value_low, value_high; a row per
        graph and metric. NULL for what is not defined, for graphs without edges, and for the ends of graphs
        of fewer than 6 samples.

    Raises:
        UnknownName: there is no such label.

    >>> codes = np.zeros((2, 8), dtype=np.int32)
    >>> cells = LabelledCells(layers=(0, 1), grid=2, codes=codes, labels=("a",),
    ...     label_codes=np.zeros(8, dtype=np.int32), sample_ids=np.arange(8))
    >>> metric_intervals(cells, ["a"]).slice(1, 1).to_pylist()
    [{'graph': 'a', 'n': 8, 'metric': 'n_edges', 'value': 1.0, 'value_low': 1.0, 'value_high': 1.0}]
    """
    for label in labels:
        if label not in cells.labels:
            raise UnknownName("label", label, known=cells.labels, where=cells.where)
    lowest, highest = metric_bounds()
    tables = [INTERVALS_SCHEMA.empty_table()]
    for name in labels:
        samples = np.flatnonzero(cells.label_codes == cells.labels.index(name)).astype(np.int64)
        everyone = np.ones((samples.size, 1), dtype=np.bool_)
        one_label = np.zeros(samples.size, dtype=np.int64)
        edges = step_edges(cells, samples)
        value, left_out = np.full(len(BLOCK_METRICS), np.nan), None
        if edges.n_edges:
            value = numbers_of(edges, everyone, everyone, wanted=()).metrics_a[:, 0]
            stays = leave_parts_out(one_label, None, seed=seed)
            left_out = None if stays is None else numbers_of(edges, stays, stays, wanted=()).metrics_a
        interval = jackknife_interval(value, left_out, lowest=lowest, highest=highest)
        columns = [value, interval.low, interval.high]
        tables.append(
            pa.table(
                [
                    pa.array([name] * len(BLOCK_METRICS)),
                    pa.array([samples.size] * len(BLOCK_METRICS)),
                    pa.array(BLOCK_METRICS),
                    *(as_column(column, pa.float64()) for column in columns),
                ],
                schema=INTERVALS_SCHEMA,
            )
        )
    return pa.concat_tables(tables)
