"""Probes of an opened reduction: which samples, which labels, which groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.analysis.probe import score_folds
from llm_mri_store.analysis.probe_spec import (
    BASELINES,
    METRICS,
    TWIN,
    Features,
    Metric,
    ProbeSamples,
    ProbeSpec,
)
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.jobs import ProgressCallback, no_progress
from llm_mri_store.records.reductions import ReductionSpec
from llm_mri_store.store.arrays import is_ok, sample_column, stored_activations
from llm_mri_store.store.catalogue import ReductionEntry, ScanEntry


def probe_reduction(
    scan: ScanEntry,
    reduction: ReductionEntry,
    *,
    target: str = schema.LABEL,
    groups: str | None = None,
    n_splits: int = 5,
    n_repeats: int = 5,
    seed: int = 0,
    metrics: Sequence[Metric] = METRICS,
    most_samples: int | None = None,
    is_twin: bool = False,
    progress: ProgressCallback = no_progress,
) -> pa.Table:
    """Scores of linear probes of every layer, fold by fold (see ``analysis.probe.score_folds``).

    Only samples that are ok and have a value of the target take part. Points and cells are made as the
    reduction makes them, by a reducer fitted anew on the training samples of each fold; a UMAP cannot be
    (it places no new samples), so of it only the activations are probed.

    Args:
        scan: the scan.
        reduction: one of its reductions.
        target: the column to be read: the label, or a covariate.
        groups: covariate whose values keep their samples in one fold.
        n_splits: folds of a repeat.
        n_repeats: repeats of the folds.
        seed: of folds and shuffled labels.
        metrics: which scores.
        most_samples: samples that are probed, drawn with the seed where there are more; all by default.
        is_twin: only its activations are scored, under the name ``random_weights``; folds are those of its
            original, as they depend on labels and groups alone.
        progress: told after each fold of each layer.

    Raises:
        UnknownName: there is no such column.
        InvalidInput: the target or the groups cannot be split into folds.
    """
    target_values = sample_column(scan, target)
    chosen = is_ok(scan) & [value is not None for value in target_values]
    places = [place for place, kept in enumerate(chosen) if kept]
    if not places:
        raise InvalidInput(f"no sample of scan {scan.name!r} has an activation and a value of {target!r}")
    if most_samples is not None and len(places) > most_samples:
        drawn = np.random.default_rng(seed).choice(len(places), size=most_samples, replace=False)
        places = [places[place] for place in np.sort(drawn)]
    group_values = None if groups is None else sample_column(scan, groups)
    n_tokens = sample_column(scan, schema.N_TOKENS)
    samples = ProbeSamples(
        labels=[str(target_values[place]) for place in places],
        n_tokens=[int(str(n_tokens[place])) for place in places],
        groups=None if group_values is None else [str(group_values[place]) for place in places],
        dtype=scan.spec.dtype,
    )
    spec = ProbeSpec(
        features=("activations",) if is_twin else _features(reduction.record.spec),
        baselines=() if is_twin else BASELINES,
        reduction=reduction.record.spec,
        metrics=tuple(metrics),
        n_splits=n_splits,
        n_repeats=n_repeats,
        seed=seed,
    )
    scores = score_folds(
        reduction.layers,
        lambda layer: stored_activations(scan, layer)[places],
        samples,
        spec=spec,
        progress=progress,
    )
    if not is_twin:
        return scores
    place = scores.schema.get_field_index("features")
    return scores.set_column(place, "features", pa.repeat(pa.scalar(TWIN), scores.num_rows))


def _features(spec: ReductionSpec) -> tuple[Features, ...]:
    if spec.method == "umap":
        return ("activations",)
    return ("activations", "points", "cells") if spec.grid is not None else ("activations", "points")
