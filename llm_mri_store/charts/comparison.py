"""Two graphs side by side: distances between them against chance, and the metrics of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.comparison_marks import (
    COLUMNS,
    GAP_PX,
    WIDTH_PX,
    distance_panels,
    line_margin,
    metric_panels,
    rarefied_place,
)
from llm_mri_store.charts.metric_names import metric_name
from llm_mri_store.charts.tables import Row, drawn_rows, refuse_bad_level
from llm_mri_store.charts.theme import apply_theme, shortened
from llm_mri_store.errors import InvalidInput

_DISTANCE_COLUMNS: Final = (
    "distance", "value", "value_low", "value_high", "by_chance", "by_chance_low", "by_chance_high",
    "excess", "rarefied", "p", "p_fwe",
)  # fmt: skip
_METRIC_COLUMNS: Final = (
    "metric", "value_a", "value_a_low", "value_a_high", "value_b", "value_b_low", "value_b_high",
    "difference", "difference_low", "difference_high", "by_chance", "by_chance_low", "by_chance_high",
    "rarefied_a", "rarefied_b", "p", "p_fwe",
)  # fmt: skip

_LONGEST_NAME: Final = 20


def comparison_chart(
    distances: pa.Table,
    metrics: pa.Table,
    *,
    name_a: str,
    name_b: str,
    title: str,
    subtitle: Sequence[str] = (),
    alpha: float = 0.05,
) -> alt.VConcatChart:
    """Distances between two graphs above what chance gives; below, their metrics side by side.

    Each distance and metric has a scale of its own. Bars are 95 % intervals; grey is the mean and 95 % band
    of distances between relabelled samples. Points are filled where the family-wise p is at most alpha.
    Where sides differ in size, upright strokes are metrics of equally many samples of each.

    Args:
        distances: a row per distance, columns as in ``analysis.graph_comparison.compare_graphs``.
        metrics: a row per metric, likewise; without rows there are distances only.
        name_a: side A in words.
        name_b: side B in words.
        title: one sentence.
        subtitle: further lines; how to read the chart is added to them.
        alpha: level of filled points, in (0, 1).

    Raises:
        InvalidInput: a column is missing, both tables are empty, or the level cannot be used.

    >>> distance = dict.fromkeys(_DISTANCE_COLUMNS, [None]) | {"distance": ["jaccard"], "value": [0.9]}
    >>> metrics = pa.table({name: [] for name in _METRIC_COLUMNS})
    >>> found = pa.table(distance | {"p_fwe": [0.01]})
    >>> chart = comparison_chart(found, metrics, name_a="true", name_b="fake", title="t")
    >>> chart.to_dict()["title"]["subtitle"][0]
    'Filled points pass a family-wise p of 0.05: 1 of 1 distances.'
    """
    refuse_bad_level(alpha)
    of_distances = _rows(distances, _DISTANCE_COLUMNS, "distances between graphs")
    of_metrics = _rows(metrics, _METRIC_COLUMNS, "metrics of graphs")
    if not of_distances and not of_metrics:
        raise InvalidInput("the tables of distances and metrics have no rows, so there is nothing to draw")
    names = _side_names(name_a, name_b)
    margin_px = line_margin(names)
    parts: list[alt.FacetChart] = []
    if of_distances:
        parts.append(distance_panels(of_distances, alpha, margin_px=margin_px))
    if of_metrics:
        parts.append(metric_panels(of_metrics, names, alpha, margin_px=margin_px))
    return apply_theme(
        alt.VConcatChart(vconcat=parts, spacing=26),
        title=title,
        subtitle=[*subtitle, *_explanation(of_distances, of_metrics, alpha)],
        width_px=COLUMNS * (WIDTH_PX + GAP_PX),
    )


def _side_names(name_a: str, name_b: str) -> tuple[str, str]:
    """Names beside the lines of a panel, short and different."""
    short_a, short_b = (shortened(name, _LONGEST_NAME) for name in (name_a, name_b))
    return (short_a, short_b) if short_a != short_b else (f"A: {short_a}", f"B: {short_b}")


def _rows(table: pa.Table, expected: Sequence[str], what: str) -> list[Row]:
    """The table's rows in its order, each with the name of its panel: lines parted by a middle dot."""
    rows = drawn_rows(table, expected, what=what)
    for place, row in enumerate(rows):
        name = row[expected[0]]
        p = f"family-wise p = {row['p_fwe']:.2g}" if "p_fwe" in row else "not tested"
        row["panel"] = f"{metric_name(name)} · {p}"
        row["order"] = place
    return rows


def _explanation(distances: Sequence[Row], metrics: Sequence[Row], alpha: float) -> list[str]:
    counts = []
    for rows, what in ((distances, "distances"), (metrics, "metrics")):
        p = [row["p_fwe"] for row in rows if "p_fwe" in row]
        if rows:
            counts.append(f"{sum(one <= alpha for one in p)} of {len(p)} {what}")
    lines = [f"Filled points pass a family-wise p of {alpha:g}: {', '.join(counts)}."]
    has_bars = any("value_low" in row or "value_a_low" in row for row in (*distances, *metrics))
    reading = ["Bars: 95\u00a0% intervals." if has_bars else "There are no intervals: too few samples."]
    if distances:
        reading.append("Grey: mean and 95\u00a0% band of distances between relabelled samples.")
    lines.append(" ".join(reading))
    if any(rarefied_place(row, side) for row in metrics for side in "ab"):
        lines.append("Upright strokes: metrics of equally many samples of each side.")
    return lines
