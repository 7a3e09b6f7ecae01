"""The kinds of results: what analyses a store keeps the rows of, and the columns of their tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

RESULT: Final = "result"
"""First column of every table of results: the name of the result a row belongs to."""
LAYER_QUALITY: Final = "layer_quality"
CONTRAST: Final = "contrast"
LABEL_CONTRAST: Final = "label_contrast"
EDGE_TEST: Final = "edge_test"
INFORMATION: Final = "information"
COMPARISON: Final = "comparison"
TESTS: Final = "tests"
"""Table that every kind of test has beside its own: a row per test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultKind:
    """A kind of analysis whose results are kept as rows.

    Attributes:
        tables: table -> its columns after ``result``, name -> Arrow type, ``[]`` behind that of a list; a
            view of the table's name shows the rows of every current result of the kinds that have it.
            A table that several kinds have has the same columns in each.
        of_reduction: made from a reduction's points, kept and removed with it, and seen where it is chosen;
            otherwise made from the scan alone.
        way: the command that makes one, with ``{scan}`` for the scan's name.
    """

    tables: Mapping[str, Mapping[str, str]]
    of_reduction: bool
    way: str


def _of_type(kind: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), kind)


_SIDES: Final = _of_type("string", "a b")
_CELL: Final = _of_type("int32", "layer cell_x cell_y")
_TESTS: Final = {
    **_of_type("string", "kind a b"),
    "labels": "string[]",
    **_of_type("int64", "n_samples n_a n_b n_tested n_found"),
    "p": "double",
    "alternative": "string",
    "strata": "string[]",
    "groups": "string",
    **_of_type("int64", "n_permutations n_relabelings"),
    "is_exact": "bool",
    "smallest_p": "double",
    "p_method": "string",
    **_of_type("int64", "n_units n_whole_groups n_split_groups n_strata"),
    **_of_type("int64", "n_strata_left_out n_samples_left_out seed"),
    "twin": "string",
    "sentences": "string[]",
}
_INFORMATION_NUMBERS: Final = (
    "information bias information_corrected by_chance by_chance_low by_chance_high band_fwe "
    "excess excess_low excess_high excess_share p p_fwe"
)

RESULT_KINDS: Final[dict[str, ResultKind]] = {
    LAYER_QUALITY: ResultKind(
        tables={
            LAYER_QUALITY: {
                "layer": "int32",
                "n_ok": "int64",
                "n_not_finite": "int64",
                "n_excluded": "int64",
                "n_distinct": "int64",
                "is_degenerate": "bool",
                "relative_spread": "double",
                "total_variance": "double",
                "effective_rank": "double",
                "n_rank_samples": "int64",
                "anisotropy": "double",
                "mean_norm": "double",
                "n_outlier_dimensions": "int32",
                "top_dimension": "int32",
                "top_dimension_share": "double",
            }
        },
        of_reduction=False,
        way="llm-mri show {scan}",
    ),
    LABEL_CONTRAST: ResultKind(
        tables={
            TESTS: _TESTS,
            "label_contrasts": {
                **_CELL,
                "n": "int64",
                "is_tested": "bool",
                **_of_type("double", "statistic p q p_fwe"),
                "label": "string",
                **_of_type("double", "label_score label_share"),
            },
            "label_pairs": {
                **_SIDES,
                **_of_type("int64", "n_a n_b"),
                **_of_type("double", "p p_holm"),
                "n_cells": "int64",
                **_CELL,
                **_of_type("double", "z difference"),
                "remark": "string",
            },
        },
        of_reduction=True,
        way="llm-mri contrast {scan}/{reduction}",
    ),
    EDGE_TEST: ResultKind(
        tables={
            TESTS: _TESTS,
            "edge_tests": {
                "test": "string",
                **_SIDES,
                **_of_type("int32", "layer next_layer"),
                **_of_type("string", "source target"),
                **_of_type("int32", "from_x from_y to_x to_y"),
                **_of_type("int64", "weight_a weight_b n_a n_b n_from n_to"),
                **_of_type("double", "share_a share_b difference difference_low difference_high"),
                **_of_type("double", "expected_a lift_a z"),
                "is_tested": "bool",
                **_of_type("double", "score p q p_fwe"),
                "component": "int32",
                "p_component": "double",
            },
            "edge_components": {
                **_SIDES,
                **_of_type("int32", "component sign n_edges n_nodes first_layer last_layer"),
                **_of_type("double", "size p_fwe"),
                **_of_type("string", "peak_source peak_target"),
                "peak_score": "double",
            },
        },
        of_reduction=True,
        way="llm-mri edges {scan}/{reduction} A B",
    ),
    INFORMATION: ResultKind(
        tables={
            TESTS: _TESTS,
            INFORMATION: {
                "labels": "string[]",
                **_of_type("int32", "layer next_layer"),
                **_of_type("int64", "n n_cells"),
                "label_entropy": "double",
                **_of_type("double", _INFORMATION_NUMBERS),
                **_of_type("bool", "is_peak may_be_peak"),
                "note": "string",
                **_of_type("double", "twin_information twin_excess twin_excess_low twin_excess_high"),
                "twin_p_fwe": "double",
                "also_in_twin": "bool",
            },
        },
        of_reduction=True,
        way="llm-mri information {scan}/{reduction}",
    ),
    COMPARISON: ResultKind(
        tables={
            TESTS: _TESTS,
            "graph_distances": {
                **_SIDES,
                "distance": "string",
                **_of_type("double", "value value_low value_high by_chance by_chance_low by_chance_high"),
                **_of_type("double", "excess rarefied p p_fwe"),
                "n_rarefied": "int64",
            },
            "graph_metric_tests": {
                **_SIDES,
                "metric": "string",
                **_of_type("double", "value_a value_a_low value_a_high value_b value_b_low value_b_high"),
                **_of_type("double", "difference difference_low difference_high"),
                **_of_type("double", "by_chance by_chance_low by_chance_high"),
                **_of_type("double", "rarefied_a rarefied_b p p_fwe"),
                "n_rarefied": "int64",
            },
        },
        of_reduction=True,
        way="llm-mri compare {scan}/{reduction} A B",
    ),
    # The last of the kinds that have the table of tests: it is the one whose command is suggested.
    CONTRAST: ResultKind(
        tables={
            TESTS: _TESTS,
            "contrasts": {
                **_SIDES,
                **_CELL,
                **_of_type("int64", "n_a n_b"),
                **_of_type("double", "share_a share_b difference difference_low difference_high"),
                **_of_type("double", "log_odds log_odds_low log_odds_high"),
                **_of_type("double", "adjusted_difference adjusted_difference_low adjusted_difference_high"),
                **_of_type("double", "adjusted_log_odds adjusted_log_odds_low adjusted_log_odds_high"),
                "design_effect": "double",
                "is_tested": "bool",
                **_of_type("double", "z score p p_least q p_fwe tfce p_tfce"),
                "cluster": "int32",
                **_of_type("double", "p_cluster z_before p_fwe_before"),
                "also_in_twin": "bool",
            },
            "contrast_clusters": {
                **_SIDES,
                **_of_type("int32", "cluster layer sign size"),
                **_of_type("double", "mass p_fwe"),
                **_of_type("int64", "n_a n_b"),
                "difference": "double",
                **_of_type("int32", "peak_x peak_y"),
                **_of_type("double", "peak_z peak_score peak_difference peak_log_odds"),
                **_of_type("double", "peak_p peak_q peak_p_fwe peak_p_tfce"),
                "also_in_twin": "bool",
            },
            "contrast_layers": {
                **_SIDES,
                "layer": "int32",
                "is_degenerate": "bool",
                **_of_type("int64", "n_tested n_cells n_cells_tfce n_clusters"),
                **_of_type("double", "largest_score largest_difference smallest_p_fwe"),
                **_of_type("int64", "twin_n_tested twin_n_cells twin_n_cells_tfce twin_n_clusters"),
                **_of_type("double", "twin_largest_score twin_largest_difference twin_smallest_p_fwe"),
                "also_in_twin": "bool",
            },
            "contrast_balance": {
                **_SIDES,
                "covariate": "string",
                **_of_type("double", "mean_a mean_b smd_before smd_after"),
            },
            "nulls": {
                "permutation": "int64",
                **_of_type("double", "max_score max_mass max_tfce"),
            },
        },
        of_reduction=True,
        way="llm-mri contrast {scan}/{reduction} A B",
    ),
}
"""Kind -> its tables: what results a store can keep, and the views that show them."""


def result_schema(kind: str, table: str) -> pa.Schema:
    """Arrow schema of a table of results.

    Returns:
        result string, then the columns that ``RESULT_KINDS`` declares.
    """
    import pyarrow as pa

    def arrow_type(words: str) -> pa.DataType:
        of_one = pa.type_for_alias(words.removesuffix("[]"))
        return pa.list_(of_one) if words.endswith("[]") else of_one

    columns = RESULT_KINDS[kind].tables[table]
    named = [pa.field(name, arrow_type(words)) for name, words in columns.items()]
    return pa.schema([pa.field(RESULT, pa.string(), nullable=False), *named])
