import subprocess
import sys

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import RepeatedStratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

from llm_mri_store.analysis.probe import probe_layers, score_folds
from llm_mri_store.analysis.probe_scores import SCORES_SCHEMA, compare_features
from llm_mri_store.analysis.probe_spec import BASELINES, FEATURES, ProbeSamples, ProbeSpec
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.records.reductions import ReductionSpec


def noise(n_samples, n_activations, *, seed=0):
    return np.random.default_rng(seed).normal(size=(n_samples, n_activations)).astype(np.float32)


def planted(n_samples, n_activations, *, strength, seed=0, n_labels=2):
    """Noise whose first activations differ between labels, and the labels."""
    labels = np.arange(n_samples) % n_labels
    activations = noise(n_samples, n_activations, seed=seed)
    activations[:, :5] += strength * labels[:, None]
    return activations, [f"label {label}" for label in labels]


def scores_by_features(layer, samples, **choices):
    """The one metric's rows of a single layer, by feature set."""
    spec = ProbeSpec(**{"metrics": ("balanced_accuracy",), "n_repeats": 2} | choices)
    return {
        row["features"]: row for row in probe_layers([0], lambda _: layer, samples, spec=spec).to_pylist()
    }


@pytest.mark.parametrize("n_activations", [20, 150])
@pytest.mark.parametrize("n_labels", [2, 3])
def test_scores_are_those_of_a_plain_scikit_learn_loop(n_activations, n_labels):
    activations, labels = planted(90, n_activations, strength=0.6, n_labels=n_labels)
    spec = ProbeSpec(baselines=(), metrics=("balanced_accuracy",), n_repeats=2, seed=3)
    found = score_folds([0], lambda _: activations, ProbeSamples(labels=labels), spec=spec).to_pandas()
    folds = list(RepeatedStratifiedKFold(n_splits=5, n_repeats=2, random_state=3).split(labels, labels))
    regression = LogisticRegression(C=1.0, tol=1e-8, max_iter=10_000)
    points = (StandardScaler(), PCA(2, svd_solver="full"))
    pipelines = {
        "activations": make_pipeline(StandardScaler(), regression),
        "points": make_pipeline(*points, StandardScaler(), regression),
    }
    wide = activations.astype(np.float64)
    for features, pipeline in pipelines.items():
        expected = cross_val_score(pipeline, wide, labels, cv=folds, scoring="balanced_accuracy")
        scores = found[found.features == features].score
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-9)


def test_cells_score_as_a_plain_one_hot_encoding_does():
    activations, labels = planted(90, 20, strength=1.0)
    reduction = ReductionSpec(method="pca", grid=4)
    spec = ProbeSpec(
        features=("cells",), baselines=(), reduction=reduction, metrics=("balanced_accuracy",), n_repeats=1
    )
    found = score_folds([0], lambda _: activations, ProbeSamples(labels=labels), spec=spec)["score"]
    expected = []
    for train, test in RepeatedStratifiedKFold(n_splits=5, n_repeats=1, random_state=0).split(labels, labels):
        place = make_pipeline(
            StandardScaler(),
            PCA(2, svd_solver="full"),
            KBinsDiscretizer(4, encode="ordinal", strategy="uniform"),
        ).fit(activations[train].astype(np.float64))
        cells = place.transform(activations.astype(np.float64)) @ [4, 1]
        one_hot = np.equal.outer(cells, np.unique(cells[train])).astype(float)
        regression = LogisticRegression(tol=1e-8, max_iter=10_000)
        model = regression.fit(one_hot[train], np.array(labels)[train])
        expected.append(balanced_accuracy_score(np.array(labels)[test], model.predict(one_hot[test])))
    np.testing.assert_allclose(found.to_pylist(), expected, rtol=0, atol=1e-9)


def test_a_planted_leading_direction_is_read_from_activations_points_and_cells():
    activations, labels = planted(120, 60, strength=8.0)
    # Five activations move together, so that direction is the leading component of standardised data.
    # Few cells, so that hardly a test sample lies in one without training samples.
    reduction = ReductionSpec(method="pca", grid=4)
    scores = scores_by_features(
        activations, ProbeSamples(labels=labels), baselines=("majority",), reduction=reduction
    )
    assert all(scores[features]["mean"] > 0.95 for features in FEATURES)
    assert scores["majority"]["mean"] == 0.5


def test_a_planted_direction_of_little_variance_is_read_from_activations_alone():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    loud = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 30))
    activations = (loud + 0.05 * rng.normal(size=(300, 30))).astype(np.float32)
    activations[:, 0] += 0.3 * labels
    samples = ProbeSamples(labels=[str(label) for label in labels])
    spec = ProbeSpec(baselines=(), metrics=("balanced_accuracy",), n_repeats=2)
    scores = score_folds([0], lambda _: activations, samples, spec=spec)
    (difference,) = compare_features(scores).to_pylist()
    assert difference["ci_low"] > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_pure_noise_scores_at_chance_however_many_activations(seed):
    labels = np.random.default_rng(seed + 100).permutation(np.arange(100) % 2)
    samples = ProbeSamples(labels=[str(label) for label in labels])
    scores = scores_by_features(noise(100, 1000, seed=seed), samples, baselines=("shuffled",), seed=seed)
    for row in scores.values():
        assert row["ci_low"] <= 0.5 <= row["ci_high"]


def test_shuffled_labels_score_at_chance_where_the_true_ones_are_read():
    activations, labels = planted(150, 40, strength=3.0, n_labels=3)
    scores = scores_by_features(activations, ProbeSamples(labels=labels), baselines=("shuffled",))
    assert scores["activations"]["mean"] > 0.9
    assert scores["shuffled"]["ci_low"] <= 1 / 3 <= scores["shuffled"]["ci_high"]
    assert scores["shuffled"]["mean"] < 0.5


def test_copies_of_a_text_leak_between_folds_unless_they_are_one_group():
    texts = noise(40, 200)
    labels = np.random.default_rng(1).permutation(np.arange(40) % 2)
    copies = np.repeat(texts, 4, axis=0)
    names = [str(label) for label in np.repeat(labels, 4)]
    which = np.repeat(np.arange(40), 4).tolist()
    choices = {"features": ("activations",), "baselines": ()}
    leaking = scores_by_features(copies, ProbeSamples(labels=names), **choices)["activations"]
    honest = scores_by_features(copies, ProbeSamples(labels=names, groups=which), **choices)["activations"]
    assert leaking["mean"] > 0.95
    assert honest["ci_low"] <= 0.5 <= honest["ci_high"]


def test_a_confound_with_length_shows_in_the_baseline_of_token_counts():
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 2
    n_tokens = (20 + 30 * labels + rng.integers(0, 10, 100)).tolist()
    samples = ProbeSamples(labels=[str(label) for label in labels], n_tokens=n_tokens)
    scores = scores_by_features(noise(100, 10), samples, features=(), baselines=("n_tokens", "majority"))
    assert scores["n_tokens"]["mean"] == 1.0
    assert scores["n_tokens"]["layer"] is None


@pytest.mark.parametrize("rounding", [0.0, 1e-7])
def test_a_degenerate_layer_scores_as_the_majority_does(rounding):
    layer = (2 + rounding * noise(60, 8)).astype(np.float32)
    samples = ProbeSamples(labels=list("aab") * 20, n_tokens=[5] * 60)
    spec = ProbeSpec(n_repeats=2)
    table = probe_layers([0], lambda _: layer, samples, spec=spec).to_pandas()
    by_features = table.pivot_table(index="metric", columns="features", values="mean")
    assert by_features.columns.size == len(FEATURES) + len(BASELINES)
    for features in by_features:
        np.testing.assert_allclose(by_features[features], by_features["majority"], atol=1e-12)


def test_a_fold_whose_training_rows_lack_a_label_is_scored():
    groups = [0] * 6 + [1] * 6 + [2] * 6
    labels = list("aaaaab" + "aaaaaa" + "aaaaab")
    samples = ProbeSamples(labels=labels, groups=groups)
    scores = scores_by_features(noise(18, 4), samples, n_splits=2, baselines=("majority",), seed=1)
    assert 0 <= scores["activations"]["mean"] <= 1


def test_the_same_seed_gives_the_same_table_and_another_seed_another():
    activations, labels = planted(60, 80, strength=0.5)
    samples = ProbeSamples(labels=labels, n_tokens=list(range(60)))
    first, again, other = (
        probe_layers([0], lambda _: activations, samples, spec=ProbeSpec(n_repeats=2, seed=seed))
        for seed in (0, 0, 1)
    )
    assert first.equals(again)
    assert not first.equals(other)


def test_every_layer_and_feature_set_is_scored_on_the_same_folds():
    activations, labels = planted(30, 8, strength=1.0)
    samples = ProbeSamples(labels=labels, n_tokens=list(range(30)))
    spec = ProbeSpec(n_splits=3, n_repeats=2, metrics=("accuracy",))
    scores = score_folds([4, 9], lambda layer: activations + layer, samples, spec=spec).to_pandas()
    sizes = scores.groupby(["features", scores.layer.fillna(-1)])[["repeat", "fold", "n_train", "n_test"]]
    assert len({str(rows.to_numpy().tolist()) for _, rows in sizes}) == 1
    assert len(sizes) == 2 * 4 + 2


def test_the_table_has_its_columns_and_every_metric():
    activations, labels = planted(30, 8, strength=1.0)
    samples = ProbeSamples(labels=labels, n_tokens=list(range(30)))
    table = probe_layers([4], lambda _: activations, samples, spec=ProbeSpec(n_splits=3, n_repeats=1))
    assert table.schema == SCORES_SCHEMA
    assert table.num_rows == 6 * 6
    rows = table.to_pandas()
    assert ((rows.ci_low >= 0) & (rows.ci_low <= rows["mean"]) & (rows["mean"] <= rows.ci_high)).all()
    assert (rows.ci_high <= 1).all()


def test_layers_are_read_one_at_a_time_and_progress_is_told():
    activations, labels = planted(30, 8, strength=1.0)
    read, told = [], []

    def read_layer(layer):
        read.append(layer)
        return activations

    spec = ProbeSpec(n_splits=3, n_repeats=1, baselines=())
    probe_layers([2, 5], read_layer, ProbeSamples(labels=labels), spec=spec, progress=told.append)
    assert read == [2, 5]
    assert [(one.done, one.total) for one in told] == [(done, 6) for done in range(1, 7)]


def test_more_components_are_probed_without_cells():
    activations, labels = planted(60, 8, strength=1.0)
    reduction = ReductionSpec(method="svd", n_components=5, grid=None)
    scores = scores_by_features(
        activations,
        ProbeSamples(labels=labels),
        features=("points",),
        baselines=(),
        reduction=reduction,
    )
    assert set(scores) == {"points"}


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"n_splits": 1}, "n_splits is 1"),
        ({"n_repeats": 0}, "n_repeats 0"),
        ({"seed": -1}, "seed is -1"),
        ({"c": 0.0}, r"c is 0\.0"),
        ({"metrics": ()}, "at least one metric"),
        ({"features": (), "baselines": ()}, "one feature set or baseline"),
        ({"features": ("points", "points")}, "named twice"),
        ({"reduction": ReductionSpec(method="umap")}, "UMAP cannot place the test samples"),
        ({"reduction": ReductionSpec(method="pca", n_components=3, grid=None)}, "has no cells"),
    ],
)
def test_choices_that_cannot_be_used_are_refused(choices, words):
    with pytest.raises(InvalidInput, match=words):
        ProbeSpec(**choices)


def test_a_misspelt_metric_is_given_its_nearest():
    with pytest.raises(UnknownName, match="did you mean 'f1_macro'"):
        ProbeSpec(metrics=("f1-macro",))


def test_a_umap_scan_can_have_its_activations_probed():
    spec = ProbeSpec(features=("activations",), reduction=ReductionSpec(method="umap"))
    assert not spec.needs_reducer


def with_nan(activations):
    activations = activations.copy()
    activations[3, 2] = np.nan
    return activations


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (with_nan, "layer 7 hold NaN or infinity; leave out samples whose status is not 'ok'"),
        (lambda activations: activations[:-1], r"layer 7 have shape \(29, 8\); expected \(30, n\)"),
        (lambda activations: activations[:, 0], r"layer 7 have shape \(30,\)"),
        (lambda activations: activations[:, :1], "2 components were asked for, but 20 .* at most 1"),
    ],
)
def test_activations_that_cannot_be_probed_are_refused(change, words):
    activations, labels = planted(30, 8, strength=1.0)
    samples = ProbeSamples(labels=labels)
    with pytest.raises(InvalidInput, match=words):
        probe_layers(
            [7], lambda _: change(activations), samples, spec=ProbeSpec(n_splits=3, baselines=("majority",))
        )


def test_missing_token_counts_and_a_layer_named_twice_are_refused():
    activations, labels = planted(30, 8, strength=1.0)
    samples = ProbeSamples(labels=labels)
    with pytest.raises(InvalidInput, match="one number of tokens for each of 30 samples, got 0"):
        probe_layers([0], lambda _: activations, samples, spec=ProbeSpec())
    with pytest.raises(InvalidInput, match="asked for twice"):
        probe_layers([0, 0], lambda _: activations, samples, spec=ProbeSpec(baselines=()))


def test_importing_the_probe_loads_no_scikit_learn(tmp_path):
    code = "import sys, llm_mri_store.analysis.probe; print({'sklearn', 'torch', 'umap'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "set()\n"
