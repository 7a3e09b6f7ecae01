"""What a contrast was and found, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.analysis.contrast_sides import Sides
from llm_mri_store.analysis.contrast_spec import ALPHA, ContrastSpec
from llm_mri_store.analysis.permutation_design import Exchange
from llm_mri_store.analysis.permutation_null import NullDistribution
from llm_mri_store.schema import CELL_X, CELL_Y, LAYER

IMBALANCE: Final = 0.1
"""Standardised mean difference within strata from which a covariate is not held constant (Austin 2009)."""

_UNEQUAL_GROUPS: Final = 2.0
_MUCH: Final = 0.5


def exchange_sentences(
    exchange: Exchange, spec: ContrastSpec, strata: Sequence[str], names: Sequence[str]
) -> list[str]:
    """What was permuted, within what, and what took no part."""
    within = f" within {exchange.n_strata:,} strata" if exchange.n_strata > 1 else ""
    held = f" ({', '.join(strata)})" if strata else ""
    n_single = exchange.n_units - exchange.n_whole_groups
    if spec.groups is None:
        sentences = [f"Labels were permuted among {n_single:,} samples{within}{held}."]
    else:
        parts = []
        if exchange.n_whole_groups:
            parts.append(
                f"among {exchange.n_whole_groups:,} groups of {spec.groups!r} that have one label, each "
                "moved as a whole"
            )
        if exchange.n_split_groups:
            parts.append(
                f"among the samples of each of {exchange.n_split_groups:,} groups of {spec.groups!r} that "
                "have several"
            )
        sentences = [f"Labels were permuted {', and '.join(parts)}{held}."]
    if exchange.n_samples_left_out:
        sentences.append(
            f"{exchange.n_samples_left_out:,} samples in {exchange.n_strata_left_out:,} strata of one label "
            "took no part in the test."
        )
    if (unequal := _unequal_groups(exchange)) is not None:
        large, small, ratio = unequal
        sentences.append(
            f"Groups of {names[large]} hold {ratio:.1f} times as many samples as those of {names[small]}, on "
            "average; moving whole groups takes their sizes to be unrelated to the label."
        )
    return sentences


def _unequal_groups(exchange: Exchange) -> tuple[int, int, float] | None:
    """The labels of the largest and the smallest whole groups, where their mean sizes differ much."""
    if not exchange.n_whole_groups:
        return None
    n_units = np.bincount(exchange.unit_labels, minlength=exchange.n_labels)
    n_samples = np.bincount(exchange.unit_labels, exchange.unit_sizes, minlength=exchange.n_labels)
    means = n_samples / np.maximum(n_units, 1)
    large, small = int(means.argmax()), int(means.argmin())
    ratio = float(means[large] / means[small]) if means[small] else 0.0
    return (large, small, ratio) if ratio > _UNEQUAL_GROUPS else None


def count_sentence(null: NullDistribution, spec: ContrastSpec, least: float) -> str:
    """How many relabelings there were, and what p they allow."""
    if null.is_exact:
        return f"All {null.n:,} relabelings were counted, so p is exact; none can be below {least:.2g}."
    return (
        f"{null.n:,} relabelings were drawn with seed {spec.seed}; no family-wise p can be below {least:.2g}."
    )


def resolution_sentence(n_cells: int, n_relabelings: int) -> list[str]:
    """What q can show where p was counted: its least is that of so many cells with the smallest p."""
    needed = math.ceil(n_cells / (n_relabelings + 1) / ALPHA)
    if needed <= 1:
        return []
    return [
        f"p of a cell was counted over the relabelings, so q can be {ALPHA} or less only where {needed:,} or "
        "more cells have the smallest p there is; draw more for less."
    ]


def layer_sentence(degenerate: Sequence[int]) -> list[str]:
    """Which layers were left out."""
    if not degenerate:
        return []
    layers = ", ".join(map(str, degenerate))
    return [f"Left out, because activations do not vary there: layer{'s' * (len(degenerate) > 1)} {layers}."]


def finding_sentences(cells: pa.Table, clusters: pa.Table, sides: Sides) -> list[str]:
    """What differs, or that nothing does."""
    tested = cells.filter(cells["is_tested"])
    found = tested.filter(pc.less_equal(tested["p_fwe"], ALPHA))
    n_clusters = pc.sum(pc.less_equal(clusters["p_fwe"], ALPHA)).as_py() or 0
    n_tfce = pc.sum(pc.less_equal(tested["p_tfce"], ALPHA)).as_py()
    if not found.num_rows:
        least = pc.min(tested["p_fwe"]).as_py()
        words = (
            f"No cell of the {tested.num_rows:,} tested differs by itself at a family-wise p of {ALPHA}; the "
            f"smallest is {least:.2g}."
        )
    else:
        top = found.take(pc.sort_indices(pc.abs(found["score"]), sort_keys=[("", "descending")])[:1])
        row = top.to_pylist()[0]
        n_layers = len(found[LAYER].unique())
        words = (
            f"{found.num_rows:,} of {tested.num_rows:,} cells tested differ (family-wise p <= {ALPHA}), in "
            f"{n_layers} layer{'s' * (n_layers > 1)}; most clearly layer {row[LAYER]}, cell ({row[CELL_X]}, "
            f"{row[CELL_Y]}), which holds {row['share_a']:.1%} of {sides.name_a} and {row['share_b']:.1%} of "
            f"{sides.name_b}."
        )
    return [
        words,
        f"Taken together with their neighbours, {n_tfce:,} cells (TFCE) and {n_clusters:,} "
        f"cluster{'s' * (n_clusters != 1)} differ at that level.",
    ]


def has_finding(cells: pa.Table, clusters: pa.Table) -> bool:
    """True when a cell, a cluster or TFCE passes the level."""
    columns = [cells["p_fwe"], cells["p_tfce"], clusters["p_fwe"]]
    smallest = [pc.min(column).as_py() for column in columns]
    return any(p is not None and p <= ALPHA for p in smallest)


def adjustment_sentences(
    cells: pa.Table, clusters: pa.Table, balance: pa.Table, strata: Sequence[str]
) -> list[str]:
    """What holding covariates constant changed, and whether they were held constant."""
    names = " and ".join(strata)
    before = cells.filter(pc.less_equal(cells["p_fwe_before"], ALPHA))
    after = cells.filter(pc.less_equal(cells["p_fwe"], ALPHA))
    sentences = []
    if before.num_rows:
        kept = _median_kept(before)
        change = f"Without {names} held constant {before.num_rows:,} cells differ, with it {after.num_rows:,}"
        left = "" if kept is None else f"; of their differences {kept:.0%} is left (median)"
        sentences.append(f"{change}{left}.")
        if not has_finding(cells, clusters):
            if kept is not None and kept > _MUCH:
                sentences.append(
                    f"That does not show that {names} explains the map: within strata the differences are "
                    "nearly as large, but too few samples are comparable to tell them from chance."
                )
            else:
                sentences.append(
                    f"{names} alone explains the map: among samples alike in it no difference can be told "
                    "from chance."
                )
    elif after.num_rows:
        sentences.append(f"{after.num_rows:,} cells differ only when {names} is held constant.")
    for row in balance.to_pylist():
        if row["smd_after"] is not None and abs(row["smd_after"]) > IMBALANCE:
            sentences.append(
                f"Within strata {row['covariate']} still differs by {row['smd_after']:.2f} standard "
                f"deviations (before: {row['smd_before']:.2f}), so part of what is found may be its doing; "
                "take more bins."
            )
    return sentences


def _median_kept(before: pa.Table) -> float | None:
    """How much of the differences is left within strata, as a median of ratios."""
    known = before.filter(pc.is_valid(before["adjusted_difference"]))
    ratios = pc.divide(known["adjusted_difference"], known["difference"]).to_numpy()
    ratios = ratios[np.isfinite(ratios)]
    return float(np.median(ratios)) if ratios.size else None
