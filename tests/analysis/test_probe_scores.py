import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from sklearn import metrics

from llm_mri_store.analysis.probe_scores import (
    FOLD_SCORES_SCHEMA,
    compare_features,
    corrected_interval,
    score_predictions,
    summarise_scores,
)
from llm_mri_store.errors import InvalidInput, UnknownName


def fold_scores(scores, *, metric="accuracy"):
    """A table of fold scores; scores[(layer, features)] lists them fold by fold."""
    rows = [
        {
            "layer": layer,
            "features": features,
            "metric": metric,
            "repeat": 0,
            "fold": fold,
            "score": score,
            "n_train": 8,
            "n_test": 4,
            "n_labels": 2,
        }
        for (layer, features), series in scores.items()
        for fold, score in enumerate(series)
    ]
    return pa.Table.from_pylist(rows, schema=FOLD_SCORES_SCHEMA)


@pytest.mark.parametrize("seed", range(20))
def test_scores_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    # Some labels do not occur, some are never predicted.
    labels, predictions = rng.integers(0, 4, 12), rng.integers(1, 5, 12)
    found = score_predictions(labels, predictions, n_labels=6)
    options = {"zero_division": 0}
    recall = metrics.recall_score(labels, labels, average=None) @ [
        (predictions[labels == label] == label).mean() for label in np.unique(labels)
    ]
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(labels, predictions),
            "balanced_accuracy": recall / len(np.unique(labels)),
            "f1_macro": metrics.f1_score(labels, predictions, average="macro", **options),
            "f1_weighted": metrics.f1_score(labels, predictions, average="weighted", **options),
            "recall_macro": metrics.recall_score(labels, predictions, average="macro", **options),
            "recall_weighted": metrics.recall_score(labels, predictions, average="weighted", **options),
        },
        abs=1e-12,
    )


def test_the_interval_is_the_corrected_t_by_hand():
    found = corrected_interval(np.array([0.5, 0.6, 0.7]), test_share=0.5, lowest=-9.0, highest=9.0)
    width = 4.302652729911275 * 0.1 * np.sqrt(1 / 3 + 1 / 2)
    assert (found.low, found.high) == pytest.approx((0.6 - width, 0.6 + width))


def test_the_interval_holds_the_mean_in_95_of_100_when_folds_correlate_as_assumed():
    """Folds correlate by n_test / (n_train + n_test): the assumption of Nadeau & Bengio."""
    rng = np.random.default_rng(0)
    n_simulations, n_folds, test_share = 4000, 10, 0.25
    correlation = test_share / (1 + test_share)
    shared = rng.normal(size=(n_simulations, 1)) * correlation**0.5
    folds = shared + rng.normal(size=(n_simulations, n_folds)) * (1 - correlation) ** 0.5
    intervals = [corrected_interval(values, test_share=test_share, lowest=-9, highest=9) for values in folds]
    covered = sum(one.low <= 0 <= one.high for one in intervals)
    low, high = stats.binom.interval(0.999, n_simulations, 0.95)
    assert low <= covered <= high


def test_an_interval_stays_within_what_a_score_can_be():
    found = corrected_interval(np.array([1.0, 0.9, 1.0]), test_share=0.25, lowest=0.0, highest=1.0)
    assert found.high == 1.0


def test_a_summary_has_one_row_for_each_layer_feature_set_and_metric():
    summary = summarise_scores(
        fold_scores({(None, "majority"): [0.5, 0.5], (1, "points"): [0.25, 0.75], (0, "points"): [1.0, 1.0]})
    )
    assert summary.select(["layer", "features", "mean", "n_folds", "n_samples", "n_labels"]).to_pylist() == [
        {"layer": 0, "features": "points", "mean": 1.0, "n_folds": 2, "n_samples": 12, "n_labels": 2},
        {"layer": 1, "features": "points", "mean": 0.5, "n_folds": 2, "n_samples": 12, "n_labels": 2},
        {"layer": None, "features": "majority", "mean": 0.5, "n_folds": 2, "n_samples": 12, "n_labels": 2},
    ]
    assert summary["sd"].to_pylist() == pytest.approx([0.0, 0.125**0.5, 0.0])


def test_a_difference_is_paired_fold_by_fold():
    scores = {(2, "activations"): [0.5, 0.75, 1.0], (2, "points"): [0.25, 0.5, 0.75]}
    (row,) = compare_features(fold_scores(scores)).to_pylist()
    assert (row["full"], row["reduced"], row["layer"]) == ("activations", "points", 2)
    assert (row["mean"], row["sd"], row["ci_low"], row["ci_high"]) == (0.25, 0.0, 0.25, 0.25)


def test_a_difference_does_not_depend_on_the_order_of_the_rows():
    scores = fold_scores({(0, "activations"): [0.5, 0.7, 1.0], (0, "points"): [0.1, 0.5, 0.4]})
    backwards = scores.take(list(reversed(range(scores.num_rows))))
    assert compare_features(scores) == compare_features(backwards)


def test_a_baseline_without_layers_is_set_against_every_layer():
    scores = {
        (0, "activations"): [0.5, 0.75],
        (1, "activations"): [1.0, 1.0],
        (None, "n_tokens"): [0.5, 0.25],
    }
    difference = compare_features(fold_scores(scores), reduced="n_tokens")
    assert difference["mean"].to_pylist() == [0.25, 0.625]


def test_what_cannot_be_compared_is_refused():
    scores = fold_scores({(0, "points"): [0.5, 0.75], (None, "n_tokens"): [0.5, 0.25]})
    with pytest.raises(UnknownName, match=r"'point' is not in these scores; did you mean 'points'\?"):
        compare_features(scores, full="point", reduced="n_tokens")
    with pytest.raises(InvalidInput, match="'n_tokens' has no layers"):
        compare_features(scores, full="n_tokens", reduced="points")
