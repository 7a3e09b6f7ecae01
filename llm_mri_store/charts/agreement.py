"""How far the layers of two reductions agree, pair by pair: a map for each measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.expressions import estimate, number, word_fields, word_tooltip
from llm_mri_store.charts.tables import Row, drawn_rows, refuse_bad_level
from llm_mri_store.charts.theme import (
    EMPTY,
    LABEL_SIZE,
    PAPER,
    QUIET_INK,
    SEQUENTIAL,
    apply_theme,
    readable_on,
    shortened,
)
from llm_mri_store.errors import InvalidInput

_TESTED: Final = {
    "ami": "cells: adjusted mutual information",
    "cka": "points: linear CKA",
}
_UNTESTED: Final = {"activation_cka": "activations: linear CKA"}
_COLUMNS: Final = (
    "a_layer", "b_layer", "n",
    *(
        f"{measure}{end}"
        for measure in _TESTED
        for end in ("", "_low", "_high", "_by_chance", "_excess", "_p", "_p_fwe")
    ),
    "activation_cka", "activation_cka_by_chance", "activation_cka_excess",
)  # fmt: skip

_PANEL_PX: Final = 390
_LARGEST_CELL_PX: Final = 44
_GAP_PX: Final = 30
_LARGEST_PRINTED: Final = 14
"""Layers of either reduction up to which values are printed."""


def agreement_chart(
    layers: pa.Table,
    *,
    name_a: str,
    name_b: str,
    title: str,
    subtitle: Sequence[str] = (),
    alpha: float = 0.05,
) -> alt.HConcatChart:
    """Agreement of every layer of A (upward) with every layer of B (to the right), a map for each measure.

    All maps are on one scale from 0 to 1. A small ring stands where a pair does not agree beyond chance;
    values are printed where there are up to 14 layers. What is not defined is nearly white, and a measure
    that no pair has is not drawn.

    Args:
        layers: a row per pair of layers, columns as in ``analysis.agreement.compare_reductions``.
        name_a: A in words.
        name_b: B in words.
        title: one sentence.
        subtitle: further lines; how to read the chart is added to them.
        alpha: level of the family-wise p, in (0, 1).

    Raises:
        InvalidInput: a column is missing, nothing is to be drawn, or the level cannot be used.

    >>> pair = dict.fromkeys(_COLUMNS, [None]) | {"a_layer": [0], "b_layer": [0], "ami": [0.5]}
    >>> chart = agreement_chart(pa.table(pair), name_a="x", name_b="y", title="Layers of x and y")
    >>> chart.to_dict()["hconcat"][0]["title"]["text"]
    'cells: adjusted mutual information'
    """
    refuse_bad_level(alpha)
    rows = drawn_rows(layers, _COLUMNS, what="pairs of layers")
    measures = {
        measure: words
        for measure, words in (_TESTED | _UNTESTED).items()
        if any(measure in row for row in rows)
    }
    if not measures:
        raise InvalidInput(
            "no pair of layers has a value, so there is nothing to draw; layers of other texts "
            "cannot be matched"
        )
    panels = [
        _panel(rows, measure, words, names=(name_a, name_b), alpha=alpha, is_first=place == 0)
        for place, (measure, words) in enumerate(measures.items())
    ]
    return apply_theme(
        alt.HConcatChart(hconcat=panels, spacing=_GAP_PX),
        title=title,
        subtitle=[*subtitle, *_explanation(rows, measures, alpha)],
        width_px=max(480, len(panels) * (_PANEL_PX + _GAP_PX)),
    )


def _panel(
    rows: Sequence[Row],
    measure: str,
    words: str,
    *,
    names: tuple[str, str],
    alpha: float,
    is_first: bool,
) -> alt.LayerChart:
    sides = ("a_layer", "b_layer")
    of_a, of_b = (sorted({row[side] for row in rows}) for side in sides)
    edge_px = min(_LARGEST_CELL_PX, _PANEL_PX // max(len(of_a), len(of_b)))
    prints = max(len(of_a), len(of_b)) <= _LARGEST_PRINTED
    drawn = [_with_mark(row, measure, alpha=alpha, prints=prints) for row in rows]
    said = _words(measure)
    squares = (
        alt.Chart(alt.InlineData(values=drawn))
        .transform_calculate(**word_fields(said))
        .mark_rect(stroke=PAPER, strokeWidth=1 if edge_px >= 12 else 0.3, invalid=None)
        .encode(
            x=alt.X("b_layer:O", axis=_axis(f"layer of B, {shortened(names[1])}", of_b, edge_px)),
            y=alt.Y(
                "a_layer:O",
                scale=alt.Scale(domain=list(reversed(of_a))),
                axis=_axis(f"layer of A, {shortened(names[0])}" if is_first else None, of_a, edge_px),
            ),
            color=alt.when(f"!isValid(datum.{measure})")
            .then(alt.value(EMPTY))
            .otherwise(
                alt.Color(
                    f"{measure}:Q",
                    scale=alt.Scale(domain=[0, 1], range=SEQUENTIAL, interpolate="lab", clamp=True),
                    legend=alt.Legend(title="agreement", format=".1f", tickCount=5),
                )
            ),
            tooltip=word_tooltip(said),
        )
    )
    marks = squares.mark_text(fontSize=LABEL_SIZE if edge_px >= 34 else 9).encode(
        text="printed:N",
        color=alt.when(f"!isValid(datum.{measure})")
        .then(alt.value(QUIET_INK))
        .otherwise(alt.value(readable_on(f"scale('color', datum.{measure})"))),
    )
    layered: alt.LayerChart = alt.LayerChart(layer=[squares, marks]).properties(
        width=edge_px * len(of_b),
        height=edge_px * len(of_a),
        title=alt.TitleParams(text=words, fontSize=12, offset=6, anchor="start", frame="group"),
    )
    return layered


def _with_mark(row: Row, measure: str, *, alpha: float, prints: bool) -> Row:
    """The row, with what is printed on its square."""
    value, p = row.get(measure), row.get(f"{measure}_p_fwe")
    if value is None:
        return row | {"printed": ""}
    if p is not None and p > alpha:
        return row | {"printed": "○"}
    return row | {"printed": _short(value) if prints else ""}


def _short(value: float) -> str:
    """A value without its leading zero: ``.43``."""
    words = f"{value:.2f}"
    return words.replace("0.", ".", 1) if words.lstrip("-").startswith("0.") else words[:4]


def _words(measure: str) -> dict[str, str]:
    """What stands beside the pointer at a pair: titles and expressions."""
    words = {
        "layer of A": number("a_layer", "d"),
        "layer of B": number("b_layer", "d"),
        "agreement (95\u00a0% interval)": estimate(measure, ".3f", missing="not defined"),
        "by chance": number(f"{measure}_by_chance", ".3f"),
        "excess": number(f"{measure}_excess", "+.3f"),
        "samples": number("n", ",d"),
    }
    if measure in _TESTED:
        words["p"] = number(f"{measure}_p", missing="not tested")
        words["family-wise p"] = number(f"{measure}_p_fwe", missing="not tested")
    return words


def _axis(title: str | None, layers: Sequence[int], edge_px: int) -> alt.Axis:
    step = max(1, math.ceil(18 / edge_px))
    return alt.Axis(title=title, labelAngle=0, values=list(layers[::step]), ticks=False, labelPadding=5)


def _explanation(rows: Sequence[Row], measures: dict[str, str], alpha: float) -> list[str]:
    counts = []
    for measure, words in measures.items():
        p = [row[f"{measure}_p_fwe"] for row in rows if f"{measure}_p_fwe" in row]
        if p:
            counts.append(f"{words.partition(':')[0]} {sum(one <= alpha for one in p)} of {len(p)} pairs")
    lines = []
    if counts:
        lines.append(
            f"Ring: no agreement beyond chance at a family-wise p of {alpha:g}; beyond it are "
            f"{', '.join(counts)}."
        )
    if any(measure in _UNTESTED for measure in measures):
        lines.append("Activations are not tested; the mean by chance stands beside the pointer.")
    if any(measure not in row for row in rows for measure in measures):
        lines.append("Nearly white: not defined, as a layer does not vary.")
    return lines
