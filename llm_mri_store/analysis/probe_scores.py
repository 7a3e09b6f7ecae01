"""From predictions to scores, from the scores of folds to means and differences with their intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import stats

from llm_mri_store.analysis.probe_spec import BASELINES, FEATURES, METRICS, TWIN, Metric
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.schema import LAYER

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]

LEVEL: Final = 0.95
"""Confidence level of every interval."""

_KEY: Final = [(LAYER, pa.int16()), ("features", pa.string()), ("metric", pa.string())]
_SUMMARY: Final = [
    ("mean", pa.float64()),
    ("sd", pa.float64()),
    ("ci_low", pa.float64()),
    ("ci_high", pa.float64()),
    ("n_folds", pa.int32()),
    ("n_samples", pa.int64()),
    ("n_labels", pa.int32()),
]

FOLD_SCORES_SCHEMA: Final = pa.schema(
    [
        *_KEY,
        ("repeat", pa.int32()),
        ("fold", pa.int32()),
        ("score", pa.float64()),
        ("n_train", pa.int64()),
        ("n_test", pa.int64()),
        ("n_labels", pa.int32()),
    ]
)
SCORES_SCHEMA: Final = pa.schema([*_KEY, *_SUMMARY])
DIFFERENCES_SCHEMA: Final = pa.schema(
    [
        (LAYER, pa.int16()),
        ("full", pa.string()),
        ("reduced", pa.string()),
        ("metric", pa.string()),
        *_SUMMARY,
    ]
)


def score_predictions(
    labels: Int64, predictions: Int64, *, n_labels: int, metrics: Sequence[Metric] = METRICS
) -> dict[Metric, float]:
    """Scores of predicted labels, each in [0, 1]; 1 = every sample is right.

    As scikit-learn defines them with ``zero_division=0``, without its warnings. ``accuracy`` is the share
    of right samples, and so is ``recall_weighted``. ``balanced_accuracy`` is the mean recall of the
    labels that occur; ``recall_macro`` and ``f1_macro`` are means over the labels that occur or
    are predicted, ``f1_weighted`` is weighted by how often they occur.

    Args:
        labels: int64 (n_samples,), at least one, codes in [0, n_labels).
        predictions: int64 (n_samples,), likewise.
        n_labels: labels there are.
        metrics: those wanted.

    >>> score_predictions(np.array([0, 0, 1]), np.array([0, 1, 1]), n_labels=2, metrics=["balanced_accuracy"])
    {'balanced_accuracy': 0.75}
    """
    confusion = np.bincount(labels * n_labels + predictions, minlength=n_labels**2).reshape(n_labels, -1)
    right, occurs, predicted = np.diagonal(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = right / np.maximum(occurs, 1)
    f1 = 2 * right / np.maximum(occurs + predicted, 1)
    n_involved = np.count_nonzero(occurs + predicted)
    accuracy = float(right.sum() / len(labels))
    scores: dict[Metric, float] = {
        "accuracy": accuracy,
        "balanced_accuracy": float(recall.sum() / np.count_nonzero(occurs)),
        "f1_macro": float(f1.sum() / n_involved),
        "f1_weighted": float(f1 @ occurs / len(labels)),
        "recall_macro": float(recall.sum() / n_involved),
        "recall_weighted": accuracy,
    }
    return {metric: scores[metric] for metric in metrics}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over folds, its standard deviation (divisor n_folds - 1) and confidence interval."""

    mean: float
    sd: float
    low: float
    high: float


def corrected_interval(values: Float64, *, test_share: float, lowest: float, highest: float) -> Interval:
    """Confidence interval of a mean over folds whose training samples overlap.

    The corrected resampled t of Nadeau & Bengio, "Inference for the Generalization Error", Machine
    Learning 52 (2003), section 3, in the form for repeated cross-validation of Bouckaert & Frank,
    PAKDD 2004: with J folds, sd s and n_test / n_train = q,

        mean +- t(J - 1 degrees of freedom) * s * sqrt(1 / J + q)

    where the plain t has 1 / J alone, as if folds were independent, and is far too narrow. Folds that
    all score alike give an interval without width: their spread says nothing about other samples.

    Args:
        values: float64 (n_folds,), at least 2.
        test_share: n_test / n_train, > 0.
        lowest: the least the mean can be; the interval is cut there.
        highest: the most, likewise.

    >>> corrected_interval(np.array([0.25, 0.75, 0.5]), test_share=0.0, lowest=0.0, highest=0.75)
    Interval(mean=0.5, sd=0.25, low=0.0, high=0.75)
    """
    mean, sd = float(values.mean()), float(values.std(ddof=1))
    width = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * sd * (1 / len(values) + test_share) ** 0.5
    return Interval(mean=mean, sd=sd, low=max(lowest, mean - width), high=min(highest, mean + width))


class _Key(NamedTuple):
    layer: int | None
    features: str
    metric: str


class _Series(NamedTuple):
    """The scores of one key, fold by fold, and the sizes that go with them."""

    scores: Float64
    test_share: float
    n_samples: int
    n_labels: int


def summarise_scores(fold_scores: pa.Table) -> pa.Table:
    """Mean and interval of the scores of each layer, feature set and metric.

    Args:
        fold_scores: of ``score_folds``.

    Returns:
        layer (NULL for a baseline that has none), features, metric, mean in [0, 1], sd >= 0, ci_low and
        ci_high (level 0.95, see ``corrected_interval``), n_folds, n_samples, n_labels; by layer,
        those without one last.
    """
    rows = [
        key._asdict() | _summary(series, series.scores, lowest=0.0)
        for key, series in _series_by_key(fold_scores).items()
    ]
    return pa.Table.from_pylist(rows, schema=SCORES_SCHEMA)


def compare_features(
    fold_scores: pa.Table, *, full: str = "activations", reduced: str = "points"
) -> pa.Table:
    """Full minus reduced, layer by layer, fold by fold on the same samples.

    What LLM-MRI's ``evaluate_model`` sets out to report: there, full is the last layer alone and reduced all
    layers together, the reducers have seen the test rows, and a mean is all that is given.

    Args:
        fold_scores: of ``score_folds``.
        full: a feature set of it.
        reduced: another, or a baseline; one without layers is set against every layer.

    Returns:
        layer, full, reduced, metric, mean in [-1, 1] (> 0 = full is better), sd >= 0, ci_low and ci_high
        (level 0.95; an interval without 0 is a difference beyond the folds' spread), n_folds,
        n_samples, n_labels.

    Raises:
        UnknownName: a feature set was not scored.
        InvalidInput: ``full`` has no layers, so there is nothing to compare layer by layer.
    """
    by_key = _series_by_key(fold_scores)
    known = list(dict.fromkeys(key.features for key in by_key))
    for name in (full, reduced):
        if name not in known:
            raise UnknownName("feature set", name, known=known, where="these scores")
    rows = []
    for key, series in by_key.items():
        if key.features != full:
            continue
        if key.layer is None:
            raise InvalidInput(f"{full!r} has no layers; put it second, as reduced={full!r}")
        other = by_key.get(key._replace(features=reduced)) or by_key[_Key(None, reduced, key.metric)]
        names = {LAYER: key.layer, "full": full, "reduced": reduced, "metric": key.metric}
        rows.append(names | _summary(series, series.scores - other.scores, lowest=-1.0))
    return pa.Table.from_pylist(rows, schema=DIFFERENCES_SCHEMA)


def _summary(series: _Series, values: Float64, *, lowest: float) -> dict[str, float]:
    interval = corrected_interval(values, test_share=series.test_share, lowest=lowest, highest=1.0)
    return {
        "mean": interval.mean,
        "sd": interval.sd,
        "ci_low": interval.low,
        "ci_high": interval.high,
        "n_folds": len(values),
        "n_samples": series.n_samples,
        "n_labels": series.n_labels,
    }


def _series_by_key(fold_scores: pa.Table) -> dict[_Key, _Series]:
    """Scores by layer, feature set and metric, in the order they are reported in."""
    folds = defaultdict(list)
    for row in fold_scores.to_pylist():
        folds[_Key(row[LAYER], row["features"], row["metric"])].append(row)
    return {key: _series(folds[key]) for key in _in_order(folds)}


def _series(rows: list[dict[str, float]]) -> _Series:
    rows = sorted(rows, key=lambda row: (row["repeat"], row["fold"]))
    n_train, n_test = (sum(int(row[name]) for row in rows) for name in ("n_train", "n_test"))
    return _Series(
        scores=np.array([row["score"] for row in rows]),
        test_share=n_test / n_train,
        n_samples=int(rows[0]["n_train"] + rows[0]["n_test"]),
        n_labels=int(rows[0]["n_labels"]),
    )


def _in_order(keys: Iterable[_Key]) -> list[_Key]:
    order: list[str] = [*FEATURES, TWIN, *BASELINES]
    metrics: list[str] = [*METRICS]
    return sorted(
        keys,
        key=lambda key: (
            key.layer is None,
            key.layer or 0,
            order.index(key.features),
            metrics.index(key.metric),
        ),
    )
