"""What a probe is asked about, and every choice of how."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.records.choices import DType
from llm_mri_store.records.reductions import ReductionSpec

Metric = Literal[
    "accuracy", "balanced_accuracy", "f1_macro", "f1_weighted", "recall_macro", "recall_weighted"
]
METRICS: Final[tuple[Metric, ...]] = (
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "f1_weighted",
    "recall_macro",
    "recall_weighted",
)

Features = Literal["activations", "points", "cells"]
FEATURES: Final[tuple[Features, ...]] = ("activations", "points", "cells")

Baseline = Literal["shuffled", "n_tokens", "majority"]
BASELINES: Final[tuple[Baseline, ...]] = ("shuffled", "n_tokens", "majority")

TWIN: Final = "random_weights"
"""What scores call the activations of a model of the same build whose weights were drawn at random."""

_PCA: Final = ReductionSpec(method="pca")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSamples:
    """The samples of a probe, in the order of the rows of every layer's activations.

    Attributes:
        labels: what the probe is to read, at least 2 different ones.
        n_tokens: real tokens of each text, for the baseline that sees nothing else; empty if not known.
        groups: the covariate whose values keep their samples in one fold (source, author, template);
            None if every sample stands for itself.
        dtype: precision the model ran in; decides what counts as rounding.
    """

    labels: Sequence[str]
    n_tokens: Sequence[int] = ()
    groups: Sequence[Hashable] | None = None
    dtype: DType = "float32"

    @property
    def label_names(self) -> list[str]:
        """The different labels, sorted."""
        return sorted(set(self.labels))

    def label_codes(self) -> npt.NDArray[np.int64]:
        """Position of each sample's label in ``label_names``, int64 (n_samples,)."""
        position = {label: code for code, label in enumerate(self.label_names)}
        return np.array([position[label] for label in self.labels], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """Every choice of a probe.

    Attributes:
        features: what to probe: ``activations``, ``points``, ``cells``.
        baselines: what to hold it against: ``shuffled`` (activations, labels permuted among the training
            samples of each fold), ``n_tokens`` (the number of tokens alone), ``majority`` (always the
            most frequent label of the training samples).
        reduction: how points and cells are made; fitted anew on the training samples of each fold.
        metrics: see ``score_predictions``.
        n_splits: folds of a repeat, at least 2.
        n_repeats: repeats of the folds, at least 1.
        seed: of folds and shuffled labels, in [0, 2**32).
        c: scikit-learn's C, > 0: the loss summed over the training samples weighs C against half the
            squared weights.

    Raises:
        InvalidInput: a choice cannot be used.
        UnknownName: a feature set, baseline or metric that there is not.
    """

    features: tuple[Features, ...] = FEATURES
    baselines: tuple[Baseline, ...] = BASELINES
    reduction: ReductionSpec = _PCA
    metrics: tuple[Metric, ...] = METRICS
    n_splits: int = 5
    n_repeats: int = 5
    seed: int = 0
    c: float = 1.0

    def __post_init__(self) -> None:
        _require_known("feature set", self.features, FEATURES)
        _require_known("baseline", self.baselines, BASELINES)
        _require_known("metric", self.metrics, METRICS)
        if not self.metrics or not (self.features or self.baselines):
            raise InvalidInput("a probe needs at least one metric, and one feature set or baseline")
        if self.n_splits < 2 or self.n_repeats < 1:
            raise InvalidInput(
                f"n_splits is {self.n_splits} and n_repeats {self.n_repeats}; expected at least 2 and 1"
            )
        if not 0 <= self.seed < 2**32:
            raise InvalidInput(f"seed is {self.seed}; expected a number from 0 to 2**32 - 1")
        if not 0 < self.c < math.inf:
            raise InvalidInput(f"c is {self.c}; expected a number above 0, such as 1.0")
        if self.needs_reducer and self.reduction.method == "umap":
            raise InvalidInput(
                "a UMAP cannot place the test samples of a fold, so its points and cells cannot be probed "
                "fairly; probe activations alone, or a pca or svd reduction"
            )
        if "cells" in self.features and (self.reduction.grid is None or self.reduction.n_components != 2):
            raise InvalidInput(
                f"a reduction to {self.reduction.n_components} components with grid {self.reduction.grid} "
                "has no cells; probe activations and points, or reduce to 2 components with a grid"
            )

    @property
    def needs_reducer(self) -> bool:
        """Whether points are needed, for themselves or for their cells."""
        return bool({"points", "cells"} & set(self.features))


def _require_known(kind: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise UnknownName(kind, name, known=known, where="what a probe offers")
    if len(set(names)) < len(names):
        raise InvalidInput(f"a {kind} is named twice in {', '.join(names)}; name each once")
