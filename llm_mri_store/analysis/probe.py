"""Linear probes: how well a layer tells the labels apart, and what is left of that in points and cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from llm_mri_store.analysis.probe_features import (
    FoldFeatures,
    mark_cells,
    place_points,
    scale_columns,
    standardise,
)
from llm_mri_store.analysis.probe_folds import Fold, make_folds
from llm_mri_store.analysis.probe_scores import FOLD_SCORES_SCHEMA, score_predictions, summarise_scores
from llm_mri_store.analysis.probe_spec import ProbeSamples, ProbeSpec
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.jobs import Progress, ProgressCallback, no_progress
from llm_mri_store.schema import LAYER

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_TOLERANCE: Final = 1e-6
"""Largest entry of the gradient of the mean loss at which a fit has converged."""

_MOST_ITERATIONS: Final = 10_000
"""Some hundred are needed; the limit only ends a fit that would not."""

_ONE_THREAD_UP_TO: Final = 4_000_000
"""Activations of a layer up to which linear algebra runs on one thread.

A fit is some hundred products of small matrices: handing each to threads costs more than it saves, and
on a busy machine ten times the fit (140 s against 11 s for 7 layers x 384 x 300 samples).
"""


def probe_layers(
    layers: Sequence[int],
    read_layer: Callable[[int], Float32],
    samples: ProbeSamples,
    *,
    spec: ProbeSpec,
    progress: ProgressCallback = no_progress,
) -> pa.Table:
    """Scores of linear probes layer by layer, with their intervals and baselines.

    Args:
        layers: the layers, each once.
        read_layer: gives a layer's activations, float32 (n_samples, n_activations), all finite; asked
            once for each layer, of which one is held at a time.
        samples: labels, token counts, groups.
        spec: every choice.
        progress: told after each fold of each layer.

    Returns:
        The table of ``summarise_scores``; ``features`` is one of activations, points, cells, shuffled,
        n_tokens, majority, and the last two have no layer.

    Raises:
        InvalidInput: labels or groups that cannot be split (see ``make_folds``), activations of another
            number of samples or with NaN, more components than a fold has samples or features.

    >>> signs = np.array([1, -1] * 10, dtype=np.float32)
    >>> samples = ProbeSamples(labels=["up", "down"] * 10)
    >>> spec = ProbeSpec(features=("activations",), baselines=("majority",), metrics=("accuracy",))
    >>> probe_layers([3], lambda layer: signs[:, None], samples, spec=spec)["mean"].to_pylist()
    [1.0, 0.5]
    """
    return summarise_scores(score_folds(layers, read_layer, samples, spec=spec, progress=progress))


def score_folds(
    layers: Sequence[int],
    read_layer: Callable[[int], Float32],
    samples: ProbeSamples,
    *,
    spec: ProbeSpec,
    progress: ProgressCallback = no_progress,
) -> pa.Table:
    """Scores of every fold, for those who want to do their own statistics.

    The classifier is a multinomial logistic regression with an L2 penalty and an unpenalised intercept
    (two labels: its binomial form), as scikit-learn fits it by L-BFGS, on features standardised within the
    fold. All folds, and their shuffled labels, are the same for every layer, feature set and baseline.
    Features that tell little can score somewhat below chance: samples left out for the test shift the
    means of the training samples away from them.

    Args:
        layers: as for ``probe_layers``, and so are the others.
        read_layer: gives a layer's activations.
        samples: labels, token counts, groups.
        spec: every choice.
        progress: told after each fold of each layer.

    Returns:
        layer, features, metric, repeat, fold, score in [0, 1], n_train, n_test, n_labels.

    Raises:
        InvalidInput: as for ``probe_layers``.
    """
    if len(set(layers)) < len(layers):
        raise InvalidInput(f"a layer is asked for twice in {list(layers)}; name each once")
    if "n_tokens" in spec.baselines and len(samples.n_tokens) != len(samples.labels):
        raise InvalidInput(
            f"the baseline 'n_tokens' needs one number of tokens for each of {len(samples.labels)} samples, "
            f"got {len(samples.n_tokens)}; give them, or leave that baseline out"
        )
    folds = make_folds(samples, n_splits=spec.n_splits, n_repeats=spec.n_repeats, seed=spec.seed)
    scoring = _Scoring(
        codes=samples.label_codes(), n_labels=len(samples.label_names), spec=spec, samples=samples
    )
    with threadpool_limits(1, user_api="blas"):
        rows = [row for fold in folds for row in scoring.baseline_rows(fold)]
    for done, layer in enumerate(layers):
        activations = _checked(read_layer(layer), layer, folds=folds, scoring=scoring)
        with threadpool_limits(1 if activations.size <= _ONE_THREAD_UP_TO else None, user_api="blas"):
            for index, fold in enumerate(folds, 1):
                rows += scoring.layer_rows(layer, activations, fold)
                at, total = done * len(folds) + index, len(layers) * len(folds)
                progress(Progress(job="probe", done=at, total=total, note=f"layer {layer}"))
    return pa.Table.from_pylist(rows, schema=FOLD_SCORES_SCHEMA)


def predict_labels(features: FoldFeatures, codes: Int64, *, c: float) -> Int64:
    """Labels that a logistic regression fitted on the training rows gives the test rows.

    Args:
        features: of a fold.
        codes: int64 (n_train,), label codes of the training rows.
        c: see ``ProbeSpec``.

    Returns:
        int64 (n_test,); the most frequent code (the first of equals) where the training rows have one
        label only, or no feature that varies.
    """
    known, counts = np.unique(codes, return_counts=True)
    if len(known) == 1 or not np.ptp(features.train, axis=0).any():
        return np.full(len(features.test), known[counts.argmax()])
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=c, tol=_TOLERANCE, max_iter=_MOST_ITERATIONS)
    predictions: Int64 = model.fit(features.train, codes).predict(features.test)
    return predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scoring:
    """What is the same for every fold: the label codes and the choices."""

    codes: Int64
    n_labels: int
    spec: ProbeSpec
    samples: ProbeSamples

    def baseline_rows(self, fold: Fold) -> Iterator[dict[str, Any]]:
        """Scores of the baselines that see no layer."""
        nothing = FoldFeatures(train=np.zeros((len(fold.train), 0)), test=np.zeros((len(fold.test), 0)))
        seen = {"majority": nothing}
        if "n_tokens" in self.spec.baselines:
            lengths = np.array(self.samples.n_tokens, dtype=np.float64)[:, None]
            seen["n_tokens"] = scale_columns(FoldFeatures(train=lengths[fold.train], test=lengths[fold.test]))
        for name, features in seen.items():
            if name in self.spec.baselines:
                yield from self._rows(None, name, fold, features, self.codes[fold.train])

    def layer_rows(self, layer: int, activations: Float32, fold: Fold) -> Iterator[dict[str, Any]]:
        """Scores of a layer's feature sets, and of its activations under shuffled labels."""
        spec, codes = self.spec, self.codes[fold.train]
        rows = activations[fold.train], activations[fold.test]
        full = standardise(*rows, dtype=self.samples.dtype)
        if "activations" in spec.features:
            yield from self._rows(layer, "activations", fold, full, codes)
        if "shuffled" in spec.baselines:
            yield from self._rows(layer, "shuffled", fold, full, fold.shuffled)
        if not spec.needs_reducer:
            return
        reduction = spec.reduction
        if not (reduction.scale and reduction.center):
            full = standardise(
                *rows, dtype=self.samples.dtype, scale=reduction.scale, center=reduction.center
            )
        points = place_points(full, reduction.n_components)
        if "points" in spec.features:
            yield from self._rows(layer, "points", fold, scale_columns(points), codes)
        if "cells" in spec.features and reduction.grid is not None:
            cells = mark_cells(points, grid=reduction.grid, bins=reduction.bins)
            yield from self._rows(layer, "cells", fold, cells, codes)

    def _rows(
        self, layer: int | None, name: str, fold: Fold, features: FoldFeatures, codes: Int64
    ) -> Iterator[dict[str, Any]]:
        predictions = predict_labels(features, codes, c=self.spec.c)
        scores = score_predictions(
            self.codes[fold.test], predictions, n_labels=self.n_labels, metrics=self.spec.metrics
        )
        for metric, score in scores.items():
            yield {
                LAYER: layer,
                "features": name,
                "metric": metric,
                "repeat": fold.repeat,
                "fold": fold.fold,
                "score": score,
                "n_train": len(fold.train),
                "n_test": len(fold.test),
                "n_labels": self.n_labels,
            }


def _checked(activations: Float32, layer: int, *, folds: Sequence[Fold], scoring: _Scoring) -> Float32:
    """The activations, if they can be probed."""
    n_samples = len(scoring.codes)
    if activations.ndim != 2 or len(activations) != n_samples:
        raise InvalidInput(
            f"the activations of layer {layer} have shape {activations.shape}; expected ({n_samples}, n), "
            "a row for each label"
        )
    if not np.isfinite(activations).all():
        raise InvalidInput(
            f"the activations of layer {layer} hold NaN or infinity; leave out samples whose "
            "status is not 'ok'"
        )
    reduction = scoring.spec.reduction
    n_train = min(len(fold.train) for fold in folds)
    limit = min(n_train - 1 if reduction.center else n_train, activations.shape[1])
    if scoring.spec.needs_reducer and reduction.n_components > limit:
        raise InvalidInput(
            f"{reduction.n_components} components were asked for, but {n_train} training samples of "
            f"{activations.shape[1]} activations have at most {limit}; reduce to fewer"
        )
    return activations
