"""The folds a probe is scored on: the same for every layer, feature set and baseline."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from llm_mri_store.analysis.probe_spec import ProbeSamples
from llm_mri_store.errors import InvalidInput

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One split of the samples.

    Attributes:
        repeat, fold: 0-based; the test samples of the folds of one repeat are all samples, each once.
        train, test: int64, ascending positions of samples.
        shuffled: int64 (n_train,), label codes of the training samples, permuted among them.
    """

    repeat: int
    fold: int
    train: Int64
    test: Int64
    shuffled: Int64


def make_folds(samples: ProbeSamples, *, n_splits: int, n_repeats: int, seed: int) -> list[Fold]:
    """Repeated stratified folds; with groups, folds that no group straddles.

    Without groups these are the folds of scikit-learn's ``RepeatedStratifiedKFold``. With groups each
    repeat is a ``StratifiedGroupKFold``, whose folds hold the labels as evenly as whole groups allow.
    A fold's shuffled labels are drawn from ``(seed, position of the fold)``.

    Args:
        samples: labels and groups are used.
        n_splits: folds of a repeat, at least 2.
        n_repeats: repeats, at least 1.
        seed: in [0, 2**32).

    Returns:
        n_splits * n_repeats folds, repeat by repeat.

    Raises:
        InvalidInput: fewer than 2 labels, a missing label or group, a label with fewer samples than
            folds, fewer groups than folds, or a label that only one group has.

    >>> folds = make_folds(ProbeSamples(labels=["a", "b"] * 2), n_splits=2, n_repeats=1, seed=0)
    >>> [fold.test.tolist() for fold in folds]
    [[1, 2], [0, 3]]
    """
    _require_labels(samples, n_splits)
    if samples.groups is not None:
        _require_groups(samples, samples.groups, n_splits)
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    codes = samples.label_codes()
    groups = None if samples.groups is None else _group_codes(samples.groups)
    splitter = StratifiedKFold if groups is None else StratifiedGroupKFold
    rng = np.random.RandomState(seed)
    folds: list[Fold] = []
    for repeat in range(n_repeats):
        splits = splitter(n_splits, shuffle=True, random_state=rng).split(codes, codes, groups)
        for fold, (train, test) in enumerate(splits):
            if len(test) == 0:
                raise InvalidInput(
                    f"the groups cannot be spread over {n_splits} folds: one would be empty, as some groups "
                    "are very large; ask for fewer n_splits, or a covariate with more values"
                )
            shuffled = np.random.default_rng((seed, len(folds))).permutation(codes[train])
            folds.append(Fold(repeat=repeat, fold=fold, train=train, test=test, shuffled=shuffled))
    return folds


def _require_labels(samples: ProbeSamples, n_splits: int) -> None:
    missing = next((place for place, label in enumerate(samples.labels) if label is None), None)
    if missing is not None:
        raise InvalidInput(f"the sample in row {missing} has no label; leave out samples without a label")
    counts = Counter(samples.labels)
    if len(counts) < 2:
        there = f"all {len(samples.labels)} are {next(iter(counts))!r}" if counts else "there are no samples"
        raise InvalidInput(f"a probe tells labels apart and needs at least 2, but {there}")
    rarest, n_rarest = min(counts.items(), key=lambda item: (item[1], item[0]))
    if n_rarest < n_splits:
        advice = "leave that label out" if n_rarest < 2 else f"ask for n_splits={n_rarest}, or leave it out"
        raise InvalidInput(
            f"label {rarest!r} has {n_rarest} samples, too few for {n_splits} folds, each of which tests at "
            f"least one; {advice}"
        )


def _require_groups(samples: ProbeSamples, groups: Sequence[Hashable], n_splits: int) -> None:
    if len(groups) != len(samples.labels):
        raise InvalidInput(f"there are {len(groups)} groups for {len(samples.labels)} labels; give one each")
    missing = next((place for place, group in enumerate(groups) if group is None), None)
    if missing is not None:
        raise InvalidInput(f"the sample in row {missing} has no group; leave such samples out, or name one")
    if len(set(groups)) < n_splits:
        raise InvalidInput(
            f"there are {len(set(groups))} groups, fewer than the {n_splits} folds; a group lies in one "
            "fold, so ask for fewer n_splits, or group by a covariate with more values"
        )
    groups_of = defaultdict(set)
    for label, group in zip(samples.labels, groups, strict=True):
        groups_of[label].add(group)
    for label in sorted(groups_of):
        if len(groups_of[label]) < 2:
            raise InvalidInput(
                f"every sample of label {label!r} is in the group {next(iter(groups_of[label]))!r}: when "
                "that group is tested no sample of the label is left to learn from; use another covariate"
            )


def _group_codes(groups: Sequence[Hashable]) -> Int64:
    """Groups counted in the order in which they first appear."""
    position = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    return np.array([position[group] for group in groups], dtype=np.int64)
