import numpy as np
import pytest
from sklearn.model_selection import RepeatedStratifiedKFold

from llm_mri_store.analysis.probe_folds import make_folds
from llm_mri_store.analysis.probe_spec import ProbeSamples
from llm_mri_store.errors import InvalidInput


def grouped_samples(*, n_groups=12, size=5, seed=0):
    rng = np.random.default_rng(seed)
    return ProbeSamples(
        labels=[str(label) for label in rng.choice(["a", "b", "c"], n_groups * size)],
        groups=np.repeat([f"source {group}" for group in range(n_groups)], size).tolist(),
    )


def folds_of(samples, *, n_splits=3, n_repeats=2, seed=0):
    return make_folds(samples, n_splits=n_splits, n_repeats=n_repeats, seed=seed)


@pytest.mark.parametrize("samples", [ProbeSamples(labels=list("aabbbc") * 5), grouped_samples()])
def test_every_sample_is_tested_once_in_each_repeat(samples):
    folds = folds_of(samples)
    for repeat in (0, 1):
        tested = np.concatenate([fold.test for fold in folds if fold.repeat == repeat])
        assert sorted(tested) == list(range(len(samples.labels)))
    for fold in folds:
        assert sorted([*fold.train, *fold.test]) == list(range(len(samples.labels)))


def test_folds_without_groups_are_those_of_scikit_learn():
    samples = ProbeSamples(labels=list("aabbbc") * 5)
    plain = RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=7).split(
        samples.labels, samples.labels
    )
    for fold, (train, test) in zip(folds_of(samples, seed=7), plain, strict=True):
        assert fold.train.tolist() == train.tolist()
        assert fold.test.tolist() == test.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_no_group_straddles_a_fold(seed):
    samples = grouped_samples(seed=seed)
    groups = np.array(samples.groups)
    for fold in folds_of(samples, seed=seed):
        assert not set(groups[fold.train]) & set(groups[fold.test])


def test_repeats_differ_with_groups_too():
    first, second = (fold for fold in folds_of(grouped_samples()) if fold.fold == 0)
    assert first.test.tolist() != second.test.tolist()


def test_shuffled_labels_are_a_permutation_of_the_training_labels():
    samples = ProbeSamples(labels=list("aabbbc") * 5)
    codes = samples.label_codes()
    folds = folds_of(samples)
    for fold in folds:
        assert sorted(fold.shuffled) == sorted(codes[fold.train])
        assert fold.shuffled.tolist() != codes[fold.train].tolist()
    assert len({tuple(fold.shuffled) for fold in folds}) == len(folds)


def test_the_same_seed_gives_the_same_folds_and_shuffles():
    for fold, again in zip(folds_of(grouped_samples()), folds_of(grouped_samples()), strict=True):
        assert fold.test.tolist() == again.test.tolist()
        assert fold.shuffled.tolist() == again.shuffled.tolist()


def test_numbered_groups_are_groups():
    samples = ProbeSamples(labels=list("ab") * 6, groups=[place // 2 for place in range(12)])
    for fold in folds_of(samples):
        assert {place // 2 for place in fold.test}.isdisjoint(place // 2 for place in fold.train)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (ProbeSamples(labels=[]), "at least 2, but there are no samples"),
        (ProbeSamples(labels=["a"] * 9), "at least 2, but all 9 are 'a'"),
        (ProbeSamples(labels=list("aaabb")), "'b' has 2 samples, too few for 3 folds.*n_splits=2"),
        (ProbeSamples(labels=list("aaab")), "'b' has 1 samples, too few for 3 folds.*leave that label out"),
        (ProbeSamples(labels=["a", None, "b"]), "row 1 has no label"),
        (ProbeSamples(labels=list("ab") * 3, groups=["x"]), "1 groups for 6 labels"),
        (ProbeSamples(labels=list("ab") * 3, groups=["x", None] * 3), "row 1 has no group"),
        (ProbeSamples(labels=list("ab") * 3, groups=["x", "y"] * 3), "2 groups, fewer than the 3 folds"),
        (
            ProbeSamples(labels=list("aaabbb"), groups=["x", "y", "z", "w", "w", "w"]),
            "every sample of label 'b' is in the group 'w'",
        ),
    ],
)
def test_samples_that_cannot_be_split_are_refused(samples, words):
    with pytest.raises(InvalidInput, match=words):
        folds_of(samples)
