"""Tests of a reduction's edges and graphs as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.edge_couplings import edge_couplings
from llm_mri_store.analysis.edge_differences import edge_differences
from llm_mri_store.analysis.edge_nulls import Given
from llm_mri_store.analysis.graph_comparison import compare_graphs
from llm_mri_store.analysis.kept_results import (
    Keeping,
    KeptResult,
    Place,
    cells_for,
    keep_result,
)
from llm_mri_store.analysis.kept_rows import name_sides, row_of_test, with_columns
from llm_mri_store.records.jobs import ProgressCallback

COUPLING: Final = "coupling"
"""A test of one label's edges against chance."""
DIFFERENCE: Final = "difference"
"""A test of two sides' edges against each other."""


def kept_couplings(
    place: Place,
    label: str | None,
    *,
    spec: ContrastSpec,
    min_cell: int,
    keeping: Keeping,
    progress: ProgressCallback,
) -> KeptResult:
    """A label's edges against chance (``edge_couplings``).

    Args:
        place: the reduction.
        label: the label; None pools all samples.
        spec: every choice.
        min_cell: samples of the label that both cells of a tested pair hold.
        keeping: whether and under which name it is kept.
        progress: told after each batch of permutations.

    Raises:
        LlmMriError: as ``edge_couplings``, ``read_cells`` and ``keep_result``.
    """

    def make() -> dict[str, pa.Table]:
        one = edge_couplings(cells_for(place, spec), label, spec=spec, min_cell=min_cell, progress=progress)
        edges = one.edges.rename_columns(
            {"label": "a", "weight": "weight_a", "n": "n_a", "expected": "expected_a", "lift": "lift_a"}
        )
        share = pc.divide(edges["weight_a"].cast(pa.float64()), edges["n_a"].cast(pa.float64()))
        return {
            schema.TESTS: row_of_test(
                schema.EDGE_TEST,
                spec,
                edges["p_fwe"],
                facts=None,
                sentences=one.sentences,
                a=label,
                labels=[label] if label is not None else list(place.scan.spec.labels),
                n_samples=one.n_samples,
                n_permutations=spec.n_permutations,
                is_exact=False,
                smallest_p=one.smallest_p,
                p_method="exact",
                n_strata=one.n_strata,
            ),
            "edge_tests": _edge_rows(with_columns(edges, {"test": COUPLING, "share_a": share})),
            "edge_components": schema.result_schema(schema.EDGE_TEST, "edge_components")
            .remove(0)
            .empty_table(),
        }

    return keep_result(
        place,
        make,
        kind=schema.EDGE_TEST,
        words=f"{label if label is not None else 'all'}-{COUPLING}",
        choices={"test": COUPLING, "a": label, "min_cell": min_cell},
        spec=spec,
        keeping=keeping,
    )


def _edge_rows(rows: pa.Table) -> pa.Table:
    """Rows in the columns of ``edge_tests``; those they lack are NULL."""
    declared = schema.result_schema(schema.EDGE_TEST, "edge_tests").remove(0)
    missing = {
        field.name: pa.nulls(rows.num_rows, field.type)
        for field in declared
        if field.name not in rows.column_names
    }
    return with_columns(rows, missing).select(declared.names)


def kept_edge_differences(
    place: Place,
    a: str | Sequence[str],
    b: str | Sequence[str] | None,
    *,
    spec: ContrastSpec,
    given: Given,
    keeping: Keeping,
    progress: ProgressCallback,
) -> KeptResult:
    """Edges that two sides take differently (``edge_differences``).

    Args:
        place: the reduction.
        a: a label or several.
        b: a label or several; None or ``rest`` for all others.
        spec: every choice.
        given: what an edge's share is of.
        keeping: whether and under which name it is kept.
        progress: told after each batch of relabelings.

    Raises:
        LlmMriError: as ``edge_differences``, ``read_cells`` and ``keep_result``.
    """
    sides = name_sides(place.scan.spec.labels, a, b)

    def make() -> dict[str, pa.Table]:
        one = edge_differences(
            cells_for(place, spec), sides.a, sides.b, spec=spec, given=given, progress=progress
        )
        return {
            schema.TESTS: row_of_test(
                schema.EDGE_TEST,
                spec,
                one.edges["p_fwe"],
                facts=one.facts,
                sentences=one.sentences,
                **sides.columns,
                labels=[*one.a, *one.b],
                n_samples=one.n_a + one.n_b,
                n_a=one.n_a,
                n_b=one.n_b,
                alternative=spec.alternative,
                p_method=one.p_method,
            ),
            "edge_tests": _edge_rows(with_columns(one.edges, {"test": DIFFERENCE, **sides.columns})),
            "edge_components": with_columns(one.components, sides.columns),
        }

    choices = {"test": DIFFERENCE, "a": sides.a, "b": sides.b, "given": given}
    return keep_result(
        place,
        make,
        kind=schema.EDGE_TEST,
        words="-vs-".join(sides.names),
        choices=choices,
        spec=spec,
        keeping=keeping,
    )


def kept_comparison(
    place: Place,
    a: str | Sequence[str],
    b: str | Sequence[str] | None,
    *,
    spec: ContrastSpec,
    n_rarefied: int | None,
    keeping: Keeping,
    progress: ProgressCallback,
) -> KeptResult:
    """The graphs of two sides compared as wholes (``compare_graphs``).

    Args:
        place: the reduction.
        a: a label or several.
        b: a label or several; None or ``rest`` for all others.
        spec: every choice.
        n_rarefied: samples of each side in rarefied numbers; those of the smaller by default.
        keeping: whether and under which name it is kept.
        progress: told after each batch of relabelings.

    Raises:
        LlmMriError: as ``compare_graphs``, ``read_cells`` and ``keep_result``.
    """
    sides = name_sides(place.scan.spec.labels, a, b)

    def make() -> dict[str, pa.Table]:
        one = compare_graphs(
            cells_for(place, spec), sides.a, sides.b, spec=spec, n_rarefied=n_rarefied, progress=progress
        )
        columns = {**sides.columns, "n_rarefied": one.n_rarefied}
        return {
            schema.TESTS: row_of_test(
                schema.COMPARISON,
                spec,
                one.distances["p_fwe"],
                facts=one.facts,
                sentences=one.sentences,
                **sides.columns,
                labels=[*one.a, *one.b],
                n_samples=one.n_a + one.n_b,
                n_a=one.n_a,
                n_b=one.n_b,
                p_method="counted",
            ),
            "graph_distances": with_columns(one.distances, columns),
            "graph_metric_tests": with_columns(one.metrics, columns),
        }

    return keep_result(
        place,
        make,
        kind=schema.COMPARISON,
        words="-vs-".join(sides.names),
        choices={"a": sides.a, "b": sides.b, "n_rarefied": n_rarefied},
        spec=spec,
        keeping=keeping,
    )
