"""What tests of a reduction may be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    from llm_mri_store.analysis.contrast_spec import Alternative, ContrastSpec


class DesignOptions(TypedDict, total=False):
    """What is exchanged, and how often.

    Attributes:
        strata: covariates held constant, such as ``n_tokens``: labels are only exchanged among samples that
            agree in them, numbers being cut into bins.
        n_bins: quantile bins of a numeric covariate (5).
        groups: covariate whose values name what samples are drawn in (source, author, template).
        n_permutations: relabelings drawn (4,999; of graphs 999).
        seed: of the relabelings (0).
    """

    strata: Sequence[str] | str
    n_bins: int
    groups: str | None
    n_permutations: int
    seed: int


class EdgeOptions(DesignOptions, total=False):
    """As ``DesignOptions``, and how differences are gathered.

    Attributes:
        cluster_threshold: absolute score that neighbours must exceed to be taken together (2).
        min_samples: samples that a cell or an edge must hold to be tested (1), or, of one label's edges, both
            cells that it joins (5).
    """

    cluster_threshold: float
    min_samples: int


class ContrastOptions(EdgeOptions, total=False):
    """As ``EdgeOptions``, and which differences count.

    Attributes:
        alternative: ``two-sided``; ``greater``: only cells that hold a larger share of A count; ``less``: a
            smaller one.
    """

    alternative: Alternative


GRAPH_PERMUTATIONS: Final = 999
"""Relabelings of a comparison of graphs, each of which is measured anew."""


MIN_COUPLED: Final = 5
"""Samples of a label that both cells of an edge must hold for it to be tested against chance."""


def contrast_spec(options: ContrastOptions | EdgeOptions | DesignOptions) -> ContrastSpec:
    """Every choice of a test, those left out by default.

    Raises:
        InvalidInput, UnknownName: a choice cannot be used.
    """
    from llm_mri_store.analysis.contrast_spec import ContrastSpec

    given: dict[str, Any] = {**options}
    strata = given.pop("strata", None) or ()
    return ContrastSpec(strata=(strata,) if isinstance(strata, str) else tuple(strata), **given)
