"""The tables that charts of a reduction draw, gathered from its queries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput, UnknownName

if TYPE_CHECKING:
    from llm_mri_store.api.reduction import Reduction

DRAWN_METRICS: Final = (
    "n_nodes", "n_edges", "mean_degree", "var_degree", "mean_strength", "assortativity", "density",
    "center_of_mass", "joined_share", "mean_reachable", "n_communities", "modularity",
)  # fmt: skip
"""Metrics of graphs that are drawn unless others are asked for."""


def drawn_points(reduction: Reduction, layers: Sequence[int], *, n_points: int, seed: int) -> pa.Table:
    """Points with their texts: layer, sample_id, label, x, y, text; the same samples at every layer.

    Args:
        reduction: whose points.
        layers: of which layers.
        n_points: at most so many of each layer.
        seed: of which samples.
    """
    if n_points < 1:
        raise InvalidInput(f"n_points is {n_points}; it must be at least 1 point")
    points = pa.concat_tables(
        [
            reduction.ask("layer_points", layer=layer, limit=n_points, seed=seed).arrow.select(
                [schema.LAYER, schema.SAMPLE_ID, schema.LABEL, "x", "y"]
            )
            for layer in layers
        ]
    )
    texts = reduction.scan().samples().arrow.select([schema.SAMPLE_ID, schema.TEXT])
    return points.join(texts, keys=schema.SAMPLE_ID).sort_by(
        [(schema.LAYER, "ascending"), (schema.SAMPLE_ID, "ascending")]
    )


def cell_areas(reduction: Reduction, layers: Sequence[int]) -> pa.Table:
    """All samples of each cell and where it lies: layer, left, right, bottom, top, n; occupied cells only."""
    found = {one.layer: one for one in reduction.diagnostics}
    rows = []
    for layer in layers:
        x, y = found[layer].edges_x, found[layer].edges_y
        rows += [
            {
                schema.LAYER: layer,
                "left": x[cell[schema.CELL_X]],
                "right": x[cell[schema.CELL_X] + 1],
                "bottom": y[cell[schema.CELL_Y]],
                "top": y[cell[schema.CELL_Y] + 1],
                "n": cell["n"],
            }
            for cell in reduction.heatmap(layer).rows()
            if cell["n"]
        ]
    ends = [(name, pa.float64()) for name in ("left", "right", "bottom", "top")]
    return pa.Table.from_pylist(
        rows, schema=pa.schema([(schema.LAYER, pa.int32()), *ends, ("n", pa.int64())])
    )


def metric_rows(
    reduction: Reduction, labels: Sequence[str] | None, *, metrics: Sequence[str] | None
) -> pa.Table:
    """Metrics as rows: graph, metric, value, value_low, value_high, n; values are those of ``metrics``.

    The graph of all labels together is left out: with more samples it is larger by any measure.

    Intervals are NULL for metrics that have none, for graphs of fewer than 6 samples, and without a grid.

    Raises:
        UnknownName: there is no such label or metric.
    """
    from llm_mri_store.analysis.contrast_cells import read_cells
    from llm_mri_store.analysis.graph_intervals import metric_intervals
    from llm_mri_store.api.reduction import ALL_LABELS

    every = reduction.metrics(labels).rows()
    values = [row for row in every if row["graph"] != ALL_LABELS or len(every) == 1]
    known = [name for name in values[0] if name != "graph"]
    wanted = list(metrics) if metrics is not None else list(DRAWN_METRICS)
    for name in wanted:
        if name not in known:
            raise UnknownName("metric", name, known=known, where="what there is")
    intervals = {}
    if reduction.spec.grid is not None:
        place = reduction._place()
        found = metric_intervals(
            read_cells(place.scan, place.reduction),
            [row["graph"] for row in values],
        )
        intervals = {(row["graph"], row["metric"]): row for row in found.to_pylist()}
    sizes = {graph: row["n"] for (graph, _), row in intervals.items()}
    rows = [
        {
            "graph": row["graph"],
            "metric": name,
            "value": None if row[name] is None else float(row[name]),
            "value_low": intervals.get((row["graph"], name), {}).get("value_low"),
            "value_high": intervals.get((row["graph"], name), {}).get("value_high"),
            "n": sizes.get(row["graph"]),
        }
        for name in wanted
        for row in values
    ]
    numbers = [(name, pa.float64()) for name in ("value", "value_low", "value_high")]
    return pa.Table.from_pylist(
        rows,
        schema=pa.schema([("graph", pa.string()), ("metric", pa.string()), *numbers, ("n", pa.int64())]),
    )
