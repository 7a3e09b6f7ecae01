"""Linear probes of a reduction: methods of ``Reduction``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

import pyarrow as pa

from llm_mri_store.api.table import Table
from llm_mri_store.records.jobs import ProgressCallback, no_progress

if TYPE_CHECKING:
    from llm_mri_store.analysis.probe_spec import Metric
    from llm_mri_store.api.reduction import Reduction


class ProbeOptions(TypedDict, total=False):
    """What a probe may be told; see ``probe``."""

    target: str
    groups: str | None
    n_splits: int
    n_repeats: int
    seed: int
    metrics: Sequence[Metric]
    most_samples: int | None


def probe_folds(
    self: Reduction,
    *,
    twin: str | None = None,
    progress: ProgressCallback = no_progress,
    **options: Unpack[ProbeOptions],
) -> Table:
    """The scores of ``probe`` fold by fold: layer, features, metric, repeat, fold, score, n_train ..."""
    from llm_mri_store.analysis.probing import probe_reduction
    from llm_mri_store.analysis.twins import as_twin

    other = None if twin is None else self.find_twin(twin)._place()
    here = self._place()
    scores = [probe_reduction(here.scan, here.reduction, progress=progress, **options)]
    if other is not None:
        told = as_twin(progress)
        scores.append(probe_reduction(other.scan, other.reduction, is_twin=True, progress=told, **options))
    return Table(pa.concat_tables(scores))


def probe(
    self: Reduction,
    *,
    twin: str | None = None,
    progress: ProgressCallback = no_progress,
    **options: Unpack[ProbeOptions],
) -> Table:
    """How well a linear probe reads the label from each layer, and what of it points and cells keep.

    Logistic regression on the full activations, on points and on one-hot cells, whose reducer is
    fitted inside each training fold; the same repeated stratified folds for all, and baselines beside
    them: the most frequent label, shuffled labels, the number of tokens alone.

    Args:
        self: the reduction that is asked.
        twin: a scan of random weights over the same texts, as for ``contrast``: its activations are
            scored on the same folds, as ``random_weights``.
        progress: told after each fold of each layer.
        **options: ``target``, the label or a covariate; ``groups``, a covariate whose values stay in
            one fold; ``n_splits`` (5), ``n_repeats`` (5), ``seed`` (0), ``metrics``; ``most_samples``
            to probe, drawn with the seed where there are more.

    Returns:
        layer (NULL for baselines that have none), features, metric, mean, sd, ci_low, ci_high (level
        0.95, corrected for overlapping folds), n_folds, n_samples, n_labels.

    Raises:
        UnknownName: there is no such column, metric or scan.
        InvalidInput: a label has fewer samples than there are folds, or the twin is none.
    """
    from llm_mri_store.analysis.probe_scores import summarise_scores

    folds = self.probe_folds(twin=twin, progress=progress, **options)
    return Table(summarise_scores(folds.arrow))
