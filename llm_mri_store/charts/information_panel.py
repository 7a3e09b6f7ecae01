"""A panel of an information chart: its rows, its axes, and what stands beside the pointer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import altair as alt

from llm_mri_store.charts.expressions import estimate, number
from llm_mri_store.charts.tables import Row
from llm_mri_store.schema import LAYER

NEXT_LAYER: Final = "next_layer"
PLACE: Final = "place"
"""Column of a row's place on the axis of layers: its layer, or the middle between two."""
RUN: Final = "run"
"""Column of tested rows: they share a number where no untested one lies between them."""


class Panel(NamedTuple):
    """One panel.

    Attributes:
        rows: each with a ``place``, and a ``run`` where it was tested.
        layers: all on the axis.
        measure: what is measured, as the axis names it.
        top: bits at the upper end of the axis.
        entropy: the label's entropy in bits; None where it is not drawn.
        alpha: level of filled points.
        width_px: width.
        height_px: height.
    """

    rows: Sequence[Row]
    layers: Sequence[int]
    measure: str
    top: float
    entropy: float | None
    alpha: float
    width_px: int
    height_px: int

    @property
    def is_of_steps(self) -> bool:
        """True where rows lie between two layers."""
        return any(NEXT_LAYER in row for row in self.rows)

    def x(self) -> alt.X:
        """Encoding by layer."""
        first, last = self.layers[0], self.layers[-1]
        margin = 0.04 * (last - first) or 0.5
        step = math.ceil(len(self.layers) / 20)
        return alt.X(
            f"{PLACE}:Q",
            scale=alt.Scale(domain=[first - margin, last + margin], nice=False, zero=False),
            axis=alt.Axis(
                title="from layer to next layer" if self.is_of_steps else "layer",
                values=list(self.layers[::step]),
                format="d",
            ),
        )

    def y(self, column: str) -> alt.Y:
        """Encoding by bits."""
        return alt.Y(
            f"{column}:Q",
            scale=alt.Scale(domain=[0, self.top], nice=False),
            axis=alt.Axis(title=f"{self.measure}, bits", grid=True, tickCount=max(2, self.height_px // 48)),
        )

    def words(self) -> dict[str, str]:
        """What stands beside the pointer at a row: titles and expressions."""
        has_twin = any("twin_excess" in row for row in self.rows)
        words = {
            "layer": f"datum.{LAYER}" + (f" + ' to ' + datum.{NEXT_LAYER}" if self.is_of_steps else ""),
            "samples": number("n", ",d"),
            self.measure: number("information", ".3f", unit=" bits"),
            "chance (95\u00a0% band)": estimate("by_chance", ".3f", unit=" bits", missing="not tested"),
            "excess (95\u00a0% interval)": estimate("excess", ".3f", unit=" bits"),
            "excess / label's entropy": number("excess_share", ".1%"),
            "p": number("p", missing="not tested"),
            "family-wise p": number("p_fwe", missing="not tested"),
        }
        if not self.is_of_steps:
            words["the peak"] = "datum.is_peak ? 'here' : datum.may_be_peak ? 'may be here' : 'not here'"
        if has_twin:
            words["random twin's excess"] = estimate("twin_excess", ".3f", unit=" bits")
            words["random twin's family-wise p"] = number("twin_p_fwe", missing="not tested")
        return words
