"""A contrast as one row: its choices, what was exchanged, and what it came to."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.analysis.contrast import Contrast
from llm_mri_store.analysis.contrast_spec import ALPHA

CONTRASTS_SCHEMA: Final = pa.schema(
    [
        ("a", pa.list_(pa.string())),
        ("b", pa.list_(pa.string())),
        ("name_a", pa.string()),
        ("name_b", pa.string()),
        ("n_a", pa.int64()),
        ("n_b", pa.int64()),
        ("alternative", pa.string()),
        ("strata", pa.list_(pa.string())),
        ("n_bins", pa.int32()),
        ("groups", pa.string()),
        ("cluster_threshold", pa.float64()),
        ("min_samples", pa.int64()),
        ("seed", pa.int64()),
        ("n_permutations", pa.int64()),
        ("is_exact", pa.bool_()),
        ("n_relabelings", pa.int64()),
        ("smallest_p", pa.float64()),
        ("p_method", pa.string()),
        ("n_tested", pa.int64()),
        ("degenerate_layers", pa.list_(pa.int16())),
        ("n_units", pa.int64()),
        ("n_whole_groups", pa.int64()),
        ("n_split_groups", pa.int64()),
        ("n_strata", pa.int64()),
        ("n_strata_left_out", pa.int64()),
        ("n_samples_left_out", pa.int64()),
        ("critical_score", pa.float64()),
        ("n_cells", pa.int64()),
        ("n_clusters", pa.int64()),
        ("n_cells_tfce", pa.int64()),
        ("sentences", pa.list_(pa.string())),
    ]
)


def contrast_row(one: Contrast) -> pa.Table:
    """A table of one row.

    Returns:
        The choices (a, b, alternative, strata, n_bins, groups, cluster_threshold, min_samples, seed), what
        was exchanged (the fields of ``DesignFacts``, p_method), the family (n_tested, degenerate_layers),
        ``critical_score``, the score of which 5 % of relabelings have a larger somewhere, ``n_cells``,
        ``n_clusters`` and ``n_cells_tfce``, how many pass a family-wise p of 0.05, and the sentences.
    """
    facts, spec = one.facts, one.spec
    passing = [
        pc.sum(pc.less_equal(column, ALPHA)).as_py() or 0
        for column in (one.cells["p_fwe"], one.clusters["p_fwe"], one.cells["p_tfce"])
    ]
    row = {
        "a": list(one.a),
        "b": list(one.b),
        "name_a": one.name_a,
        "name_b": one.name_b,
        "n_a": one.n_a,
        "n_b": one.n_b,
        "alternative": spec.alternative,
        "strata": list(spec.strata),
        "n_bins": spec.n_bins,
        "groups": spec.groups,
        "cluster_threshold": spec.cluster_threshold,
        "min_samples": spec.min_samples,
        "seed": spec.seed,
        "n_permutations": facts.n_permutations,
        "is_exact": facts.is_exact,
        "n_relabelings": facts.n_relabelings,
        "smallest_p": facts.smallest_p,
        "p_method": one.p_method,
        "n_tested": one.n_tested,
        "degenerate_layers": list(one.degenerate_layers),
        "n_units": facts.n_units,
        "n_whole_groups": facts.n_whole_groups,
        "n_split_groups": facts.n_split_groups,
        "n_strata": facts.n_strata,
        "n_strata_left_out": facts.n_strata_left_out,
        "n_samples_left_out": facts.n_samples_left_out,
        "critical_score": float(np.quantile(one.nulls["max_score"].to_numpy(), 1 - ALPHA, method="higher")),
        "n_cells": passing[0],
        "n_clusters": passing[1],
        "n_cells_tfce": passing[2],
        "sentences": list(one.sentences),
    }
    return pa.Table.from_pylist([row], schema=CONTRASTS_SCHEMA)
