"""Every choice of a contrast but its labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from llm_mri_store.errors import InvalidInput, UnknownName

Alternative = Literal["two-sided", "greater", "less"]
ALTERNATIVES: Final[tuple[Alternative, ...]] = ("two-sided", "greater", "less")

ALPHA: Final = 0.05
"""Level at which sentences call a difference found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastSpec:
    """Every choice of a contrast but its labels.

    Attributes:
        strata: covariates held constant: labels are only exchanged among samples that agree in them.
        n_bins: quantile bins a numeric covariate is cut into, at least 2. Five remove some 90 % of the
            bias of a covariate that acts linearly (Cochran, "The effectiveness of adjustment by
            subclassification in removing bias in observational studies", Biometrics 24 (1968)).
        groups: covariate whose values name what the samples are drawn in (source, author, template).
        alternative: ``greater``: only cells that hold a larger share of A count; ``less``: a smaller.
        n_permutations: relabelings drawn, at least 19. With 4,999 the smallest p is 0.0002, and a p of 0.05
            has a Monte-Carlo standard error of 0.003. Where there are no more relabelings than that, all
            are counted instead, and p is exact.
        seed: of the relabelings, in [0, 2**32).
        cluster_threshold: absolute score, > 0, that neighbouring cells must exceed to form a cluster; 2 is
            an uncorrected p of about 0.05. Any threshold chosen beforehand gives a valid test; a low one
            finds broad differences, a high one narrow ones.
        min_samples: samples of A and B together that a cell must hold to be tested, at least 1. The
            number does not depend on the labels, so leaving cells out by it is no peeking.

    Raises:
        InvalidInput: a choice cannot be used.
        UnknownName: there is no such alternative.
    """

    strata: tuple[str, ...] = ()
    n_bins: int = 5
    groups: str | None = None
    alternative: Alternative = "two-sided"
    n_permutations: int = 4999
    seed: int = 0
    cluster_threshold: float = 2.0
    min_samples: int = 1

    def __post_init__(self) -> None:
        if self.alternative not in ALTERNATIVES:
            raise UnknownName("alternative", self.alternative, known=ALTERNATIVES, where="a contrast")
        if len(set(self.strata)) < len(self.strata):
            raise InvalidInput(f"a covariate is named twice in {', '.join(self.strata)}; name each once")
        if self.groups is not None and self.groups in self.strata:
            raise InvalidInput(
                f"{self.groups!r} is named as strata and as groups; as strata it is held constant, as groups "
                "its samples move together: choose one"
            )
        if self.n_bins < 2 or self.min_samples < 1:
            raise InvalidInput(
                f"n_bins is {self.n_bins} and min_samples {self.min_samples}; expected at least 2 and 1"
            )
        if self.n_permutations < 19:
            raise InvalidInput(
                f"n_permutations is {self.n_permutations}; with fewer than 19 no p of 0.05 can be had; take "
                "999 or more"
            )
        if not 0 <= self.seed < 2**32:
            raise InvalidInput(f"seed is {self.seed}; expected a number from 0 to 2**32 - 1")
        if not 0 < self.cluster_threshold < math.inf:
            raise InvalidInput(
                f"cluster_threshold is {self.cluster_threshold}; expected a number above 0, such as 2.0"
            )
