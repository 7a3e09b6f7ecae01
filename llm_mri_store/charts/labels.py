"""Colours of labels, alike in every chart; where there are too many, the smaller ones share one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import altair as alt

from llm_mri_store.charts.theme import CATEGORICAL, LABELS, OTHERS, named_by, short_names

MOST_COLOURS: Final = len(CATEGORICAL)
NO_LABEL: Final = "no label"
"""What a NULL label is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelColours:
    """Which labels have a colour of their own.

    Attributes:
        names: what the legend lists, in its order.
        drawn_as: label -> its name in the legend.
        n_together: labels that share the last colour; 0 where each has its own.
    """

    names: tuple[str, ...]
    drawn_as: Mapping[str, str]
    n_together: int

    @property
    def scale(self) -> alt.Scale:
        """Names on colours; grey for those that share one."""
        if not self.n_together:
            return alt.Scale(domain=list(self.names), range=LABELS)
        colours: list[Any] = [*CATEGORICAL[: len(self.names) - 1], OTHERS]
        return alt.Scale(domain=list(self.names), range=colours)

    def rank(self, label: str) -> int:
        """Place of a label's name in the legend, from 0."""
        return self.names.index(self.drawn_as[label])

    @property
    def label_expr(self) -> str:
        """Vega expression of the names in the legend, each short and different."""
        return named_by(short_names(self.names))

    @property
    def notes(self) -> list[str]:
        """A line on the labels that share a colour."""
        if not self.n_together:
            return []
        return [f"The {self.n_together:,} labels with the fewest samples are drawn as one, in grey."]


def label_colours(totals: Mapping[str, int]) -> LabelColours:
    """Colours of labels in their order: up to ten of their own, else nine and grey for the rest.

    Args:
        totals: samples of each label; those with the most keep a colour.

    >>> label_colours({"true": 3, "fake": 4}).names
    ('fake', 'true')
    >>> label_colours({f"label {place:02}": place for place in range(12)}).names[-2:]
    ('label 11', '3 other labels')
    """
    labels = sorted(totals)
    if len(labels) <= MOST_COLOURS:
        return LabelColours(names=tuple(labels), drawn_as={name: name for name in labels}, n_together=0)
    kept = set(sorted(labels, key=lambda name: (-totals[name], name))[: MOST_COLOURS - 1])
    n_together = len(labels) - len(kept)
    together = f"{n_together:,} other labels"
    return LabelColours(
        names=(*(name for name in labels if name in kept), together),
        drawn_as={name: name if name in kept else together for name in labels},
        n_together=n_together,
    )
