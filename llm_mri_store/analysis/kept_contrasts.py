"""Contrasts of a reduction as rows: of two sides, layer by layer beside a twin, and of many labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.analysis.contrast import Contrast, contrast
from llm_mri_store.analysis.contrast_labels import compare_labels
from llm_mri_store.analysis.contrast_pairs import compare_pairs
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.kept_results import (
    Keeping,
    KeptResult,
    Place,
    cells_for,
    keep_result,
)
from llm_mri_store.analysis.kept_rows import NamedSides, count_found, name_sides, row_of_test, with_columns
from llm_mri_store.analysis.twin_words import contrast_twin_sentences
from llm_mri_store.analysis.twins import Twin, twin_parameters
from llm_mri_store.records.jobs import ProgressCallback
from llm_mri_store.schema import LAYER

_LAYER_NUMBERS: Final = (
    "n_tested", "n_cells", "n_cells_tfce", "n_clusters", "largest_score", "largest_difference",
    "smallest_p_fwe",
)  # fmt: skip
"""What is said of each layer of a contrast, and of its twin's."""


def kept_contrast(
    place: Place,
    a: str | Sequence[str],
    b: str | Sequence[str] | None,
    *,
    spec: ContrastSpec,
    twin: Twin | None,
    keeping: Keeping,
    progress: ProgressCallback,
) -> KeptResult:
    """The contrast of two sides (``analysis.contrast``), with that of the twin beside it layer by layer.

    Args:
        place: the reduction.
        a: a label or several.
        b: a label or several; None or ``rest`` for all others.
        spec: every choice.
        twin: its twin, with the same contrast there.
        keeping: whether and under which name it is kept.
        progress: told after each batch of relabelings.

    Raises:
        LlmMriError: as ``contrast``, ``read_cells`` and ``keep_result``.
    """
    sides = name_sides(place.scan.spec.labels, a, b)

    def make() -> dict[str, pa.Table]:
        own = contrast(cells_for(place, spec), sides.a, sides.b, spec=spec, progress=progress)
        return contrast_tables(own, sides, twin)

    return keep_result(
        place,
        make,
        kind=schema.CONTRAST,
        words="-vs-".join(sides.names),
        choices={"a": sides.a, "b": sides.b, **twin_parameters(twin)},
        spec=spec,
        keeping=keeping,
    )


def contrast_tables(one: Contrast, sides: NamedSides, twin: Twin | None) -> dict[str, pa.Table]:
    """The tables of a contrast, its twin's layers beside its own."""
    there = [] if twin is None else twin.tables()["contrast_layers"].to_pylist()
    layers = _layer_rows(one, {row[LAYER]: row for row in there})
    also = {row[LAYER]: row["also_in_twin"] for row in layers}
    of_cells, of_clusters = (
        pa.array([also[layer] for layer in rows[LAYER].to_pylist()], pa.bool_())
        for rows in (one.cells, one.clusters)
    )
    sentences = [*one.sentences, *([] if twin is None else contrast_twin_sentences(layers, twin.place))]
    return {
        schema.TESTS: row_of_test(
            schema.CONTRAST,
            one.spec,
            one.cells["p_fwe"],
            facts=one.facts,
            sentences=sentences,
            **sides.columns,
            labels=[*one.a, *one.b],
            n_samples=one.n_a + one.n_b,
            n_a=one.n_a,
            n_b=one.n_b,
            alternative=one.spec.alternative,
            p_method=one.p_method,
            twin=None if twin is None else twin.place.address,
        ),
        "contrasts": with_columns(one.cells, {**sides.columns, "also_in_twin": of_cells}),
        "contrast_clusters": with_columns(one.clusters, {**sides.columns, "also_in_twin": of_clusters}),
        "contrast_layers": pa.Table.from_pylist(
            [{**sides.columns, **row} for row in layers],
            schema=schema.result_schema(schema.CONTRAST, "contrast_layers").remove(0),
        ),
        "contrast_balance": with_columns(one.balance, sides.columns),
        "nulls": one.nulls,
    }


def _layer_rows(one: Contrast, of_twin: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each layer came to, beside the same layer of the twin, where there is one."""
    rows = []
    for layer in one.layers:
        row: dict[str, Any] = {LAYER: layer, "is_degenerate": layer in one.degenerate_layers}
        row |= _layer_numbers(one, layer)
        there = of_twin.get(layer)
        if there is not None:
            row |= {f"twin_{name}": there[name] for name in _LAYER_NUMBERS}
            is_judged = row["n_tested"] and there["n_tested"]
            row["also_in_twin"] = (has_found(row) and has_found(there)) if is_judged else None
        rows.append({"also_in_twin": None, **row})
    return rows


def _layer_numbers(one: Contrast, layer: int) -> dict[str, Any]:
    cells = one.cells.filter(pc.equal(one.cells[LAYER], layer))
    tested = cells.filter(cells["is_tested"])
    clusters = one.clusters.filter(pc.equal(one.clusters[LAYER], layer))
    return {
        "n_tested": tested.num_rows,
        "n_cells": count_found(tested["p_fwe"]),
        "n_cells_tfce": count_found(tested["p_tfce"]),
        "n_clusters": count_found(clusters["p_fwe"]),
        "largest_score": pc.max(pc.abs(tested["score"])).as_py(),
        "largest_difference": pc.max(pc.abs(tested["difference"])).as_py(),
        "smallest_p_fwe": pc.min(tested["p_fwe"]).as_py(),
    }


def has_found(row: Mapping[str, Any]) -> bool:
    """Whether a layer differs: by a cell, by TFCE or by a cluster, family-wise."""
    return bool(row["n_cells"] or row["n_cells_tfce"] or row["n_clusters"])


def kept_label_contrast(
    place: Place,
    labels: Sequence[str] | None,
    *,
    spec: ContrastSpec,
    keeping: Keeping,
    progress: ProgressCallback,
) -> KeptResult:
    """Where any of several labels differ (``compare_labels``), and which pairs do (``compare_pairs``).

    Args:
        place: the reduction.
        labels: at least 2; all that have at least 2 samples by default.
        spec: every choice.
        keeping: whether and under which name it is kept.
        progress: told after each batch of relabelings.

    Raises:
        LlmMriError: as those functions, ``read_cells`` and ``keep_result``.
    """
    chosen = None if labels is None else tuple(labels)

    def make() -> dict[str, pa.Table]:
        cells = cells_for(place, spec)
        together = compare_labels(cells, chosen, spec=spec, progress=progress)
        pairs = compare_pairs(cells, together.labels, spec=spec, progress=progress)
        return {
            schema.TESTS: row_of_test(
                schema.LABEL_CONTRAST,
                spec,
                together.cells["p_fwe"],
                facts=together.facts,
                sentences=[*together.sentences, *pairs.sentences],
                labels=list(together.labels),
                n_samples=sum(together.n_samples),
                alternative=spec.alternative,
                p_method="counted",
            ),
            "label_contrasts": together.cells,
            "label_pairs": pairs.pairs,
        }

    return keep_result(
        place,
        make,
        kind=schema.LABEL_CONTRAST,
        words="all-labels" if chosen is None else "-".join(chosen),
        choices={"labels": chosen},
        spec=spec,
        keeping=keeping,
    )
