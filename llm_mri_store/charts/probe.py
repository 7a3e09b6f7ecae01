"""Scores of linear probes by layer, with their intervals and the baselines they must beat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.theme import CATEGORICAL, INK, LABEL_SIZE, QUIET_INK, Colour, apply_theme
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.schema import LAYER

_COLUMNS: Final = (
    LAYER,
    "features",
    "metric",
    "mean",
    "ci_low",
    "ci_high",
    "n_folds",
    "n_samples",
    "n_labels",
)

_METRIC_NAMES: Final = {
    "f1_macro": "macro F1",
    "f1_weighted": "weighted F1",
    "recall_macro": "macro recall",
    "recall_weighted": "weighted recall",
}

_HEIGHT_PX: Final = 300
_LABEL_GAP_PX: Final = 17
_LABEL_ROOM_PX: Final = 170


class _Look(NamedTuple):
    """How a feature set or baseline is drawn; no shape: without points."""

    name: str
    colour: Colour
    shape: str | None = None
    dash: tuple[int, ...] = (1, 0)


_LOOKS: Final = {
    "activations": _Look("activations", CATEGORICAL[0], "circle"),
    "points": _Look("points", CATEGORICAL[1], "square"),
    "cells": _Look("cells", CATEGORICAL[2], "triangle-up"),
    "random_weights": _Look("random weights", CATEGORICAL[4], None, (5, 2)),
    "shuffled": _Look("shuffled labels", QUIET_INK, None, (2, 2)),
    "n_tokens": _Look("number of tokens alone", CATEGORICAL[3], None, (6, 3)),
    "majority": _Look("chance: most frequent label", INK, None, (1, 3)),
}

Row = dict[str, Any]


def probe_chart(
    scores: pa.Table, *, metric: str = "balanced_accuracy", title: str, subtitle: Sequence[str] = ()
) -> alt.LayerChart:
    """Score by layer: a line with a 95 % band for each feature set, baselines as lines with bands.

    The vertical axis is the whole of [0, 1], or the part of it that holds every band where that is half of
    it at most; the subtitle then says so.

    Args:
        scores: layer (NULL for a baseline that has none), features, metric, mean, ci_low, ci_high,
            n_folds, n_samples, n_labels; of any number of metrics.
        metric: the one to draw.
        title: one sentence.
        subtitle: further lines; what the bands are, and the chance level, are added to them.

    Raises:
        InvalidInput: a column is missing, or the scores hold a feature set that has no look.
        UnknownName: there are no scores in this metric.

    >>> score = {"layer": [0], "features": ["points"], "metric": ["accuracy"], "mean": [0.5]}
    >>> spread = {"ci_low": [0.4], "ci_high": [0.6], "n_folds": [25], "n_samples": [80], "n_labels": [2]}
    >>> chart = probe_chart(pa.table(score | spread), metric="accuracy", title="One layer")
    >>> chart.to_dict()["title"]["subtitle"][-1]
    'The vertical axis shows 0.3 to 0.7 of the range from 0 to 1.'
    """
    rows = _drawn_rows(scores, metric)
    low, high = _vertical_range(rows)
    layers = sorted({row[LAYER] for row in rows if row[LAYER] is not None})
    width_px = min(620, max(320, 60 * len(layers)))
    if len(layers) == 1:
        _set_side_by_side([row for row in rows if row[LAYER] is not None])
    axes = _Axes(metric=_metric_name(metric), low=low, high=high, layers=layers)
    marks = [
        mark
        for features in reversed([name for name in _LOOKS if any(row["features"] == name for row in rows)])
        for mark in _series([row for row in rows if row["features"] == features], axes)
    ]
    labels = _labels(rows, axes, width_px)
    chart = alt.LayerChart(layer=[*marks, *labels]).properties(width=width_px, height=_HEIGHT_PX)
    return apply_theme(
        chart,
        title=title,
        subtitle=[*subtitle, *_explanation(rows, axes)],
        width_px=width_px + _LABEL_ROOM_PX,
    )


class _Axes(NamedTuple):
    """Both axes: the metric's name, the range of scores, the layers."""

    metric: str
    low: float
    high: float
    layers: Sequence[int]

    def x(self) -> alt.X:
        first, last = (self.layers[0], self.layers[-1]) if self.layers else (0, 0)
        margin = 0.04 * (last - first) or 0.5
        step = math.ceil(len(self.layers) / 20) or 1
        return alt.X(
            "place:Q",
            scale=alt.Scale(domain=[first - margin, last + margin], nice=False, zero=False),
            axis=alt.Axis(title="layer", values=list(self.layers[::step]), format="d"),
        )

    def y(self, column: str) -> alt.Y:
        return alt.Y(
            f"{column}:Q",
            scale=alt.Scale(domain=[self.low, self.high], nice=False, zero=False),
            axis=alt.Axis(title=self.metric, grid=True, tickCount=6, format=".1f"),
        )


def _drawn_rows(scores: pa.Table, metric: str) -> list[Row]:
    missing = [column for column in _COLUMNS if column not in scores.column_names]
    if missing:
        raise InvalidInput(
            f"the table of scores lacks {', '.join(missing)}; it has {', '.join(scores.column_names)}; give "
            "what probe_layers returns"
        )
    every: list[Row] = scores.select(_COLUMNS).to_pylist()
    rows = [row for row in every if row["metric"] == metric]
    if not rows:
        known = dict.fromkeys(row["metric"] for row in every)
        raise UnknownName("metric", metric, known=known, where="these scores")
    strange = sorted({row["features"] for row in rows} - set(_LOOKS))
    if strange:
        raise InvalidInput(f"there is no look for {', '.join(strange)}; expected some of {', '.join(_LOOKS)}")
    for row in rows:
        row["series"] = _LOOKS[row["features"]].name
        row["place"] = row[LAYER]
        row["interval"] = f"{row['ci_low']:.2f} to {row['ci_high']:.2f}"
    return rows


def _set_side_by_side(rows: Sequence[Row]) -> None:
    """Places beside each other for the scores of a single layer, in the order of the looks."""
    order = [name for name in _LOOKS if any(row["features"] == name for row in rows)]
    for row in rows:
        row["place"] = row[LAYER] + 0.12 * (order.index(row["features"]) - (len(order) - 1) / 2)


def _metric_name(metric: str) -> str:
    return _METRIC_NAMES.get(metric, metric.replace("_", " "))


def _vertical_range(rows: Sequence[Row]) -> tuple[float, float]:
    low = math.floor(10 * max(0.0, min(row["ci_low"] for row in rows) - 0.02)) / 10
    high = math.ceil(10 * min(1.0, max(row["ci_high"] for row in rows) + 0.02)) / 10
    return (low, high) if high - low <= 0.5 else (0.0, 1.0)


def _explanation(rows: Sequence[Row], axes: _Axes) -> list[str]:
    first = rows[0]
    lines = [
        f"Mean of {first['n_folds']} folds, {first['n_samples']:,} samples, {first['n_labels']} labels; "
        "bands are 95 % confidence intervals."
    ]
    chance = next((row["mean"] for row in rows if row["features"] == "majority"), None)
    if chance is not None:
        lines.append(f"Chance, always answering the most frequent label, scores {chance:.2f}.")
    if (axes.low, axes.high) != (0.0, 1.0):
        lines.append(f"The vertical axis shows {axes.low:.1f} to {axes.high:.1f} of the range from 0 to 1.")
    return lines


def _series(rows: Sequence[Row], axes: _Axes) -> list[alt.Chart]:
    """One feature set: its band, its line, its points."""
    look = _LOOKS[rows[0]["features"]]
    base = alt.Chart(alt.InlineData(values=list(rows)))
    tooltip = [
        alt.Tooltip("series:N", title="probe of"),
        alt.Tooltip("mean:Q", title=axes.metric, format=".3f"),
        alt.Tooltip("interval:N", title="95 % interval"),
    ]
    if rows[0][LAYER] is None:
        band = base.mark_rect(color=look.colour, opacity=0.13)
        rule = base.mark_rule(color=look.colour, strokeWidth=1.5, strokeDash=look.dash)
        return [
            band.encode(y=axes.y("ci_low"), y2="ci_high:Q", tooltip=tooltip),
            rule.encode(y=axes.y("mean"), tooltip=tooltip),
        ]
    tooltip.insert(1, alt.Tooltip(f"{LAYER}:Q", title="layer"))
    if len(rows) > 1:
        band = base.mark_area(color=look.colour, opacity=0.16 if look.shape else 0.1)
    else:
        band = base.mark_rule(color=look.colour, strokeWidth=2)
    line = base.mark_line(color=look.colour, strokeWidth=2 if look.shape else 1.5, strokeDash=look.dash)
    dots = base.mark_point(
        color=look.colour,
        fill=look.colour,
        opacity=1,
        size=42 if look.shape else 14,
        shape=look.shape or "circle",
    )
    return [
        band.encode(x=axes.x(), y=axes.y("ci_low"), y2="ci_high:Q", tooltip=tooltip),
        line.encode(x=axes.x(), y=axes.y("mean")),
        dots.encode(x=axes.x(), y=axes.y("mean"), tooltip=tooltip),
    ]


def _labels(rows: Sequence[Row], axes: _Axes, width_px: int) -> list[alt.Chart]:
    """The name of each series beside its right end, after a swatch of its line."""
    last = {row["features"]: row for row in sorted(rows, key=lambda row: row[LAYER] or 0)}
    names = sorted(last, key=lambda name: (last[name]["mean"], -list(_LOOKS).index(name)))
    gap = _LABEL_GAP_PX * (axes.high - axes.low) / _HEIGHT_PX
    heights = spread_apart([last[name]["mean"] for name in names], gap=gap, low=axes.low, high=axes.high)
    marks = []
    for name, height in zip(names, heights, strict=True):
        look = _LOOKS[name]
        base = alt.Chart(alt.InlineData(values=[{"height": height, "name": look.name}]))
        swatch = base.mark_rule(color=look.colour, strokeWidth=2, strokeDash=look.dash)
        marks.append(
            swatch.encode(x=alt.value(width_px + 8), x2=alt.value(width_px + 30), y=axes.y("height"))
        )
        if look.shape:
            shape = base.mark_point(color=look.colour, fill=look.colour, opacity=1, size=42, shape=look.shape)
            marks.append(shape.encode(x=alt.value(width_px + 19), y=axes.y("height")))
        words = base.mark_text(align="left", baseline="middle", color=INK, fontSize=LABEL_SIZE)
        marks.append(words.encode(x=alt.value(width_px + 35), y=axes.y("height"), text="name:N"))
    return marks


def spread_apart(heights: Sequence[float], *, gap: float, low: float, high: float) -> list[float]:
    """Heights moved as little as a gap between neighbours allows, in the least squares sense.

    Less the gaps below them they must ascend, which pooling adjacent violators does best (Barlow et al.,
    "Statistical Inference under Order Restrictions", 1972).

    Args:
        heights: ascending.
        gap: least distance, > 0.
        low: where the lowest may lie; given up where there is no room for all.
        high: where the highest may lie.

    >>> spread_apart([0.25, 0.25, 1.0], gap=0.25, low=0.0, high=1.0)
    [0.125, 0.375, 1.0]
    """
    pools: list[tuple[float, int]] = []
    for index, height in enumerate(heights):
        mean, size = height - index * gap, 1
        while pools and pools[-1][0] > mean:
            below, below_size = pools.pop()
            mean, size = (mean * size + below * below_size) / (size + below_size), size + below_size
        pools.append((mean, size))
    even = [mean for mean, size in pools for _ in range(size)]
    ceiling = high - (len(heights) - 1) * gap
    return [min(max(height, low), ceiling) + index * gap for index, height in enumerate(even)]
