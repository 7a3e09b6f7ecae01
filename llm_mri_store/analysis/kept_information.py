"""What cells tell of labels, as rows: layer by layer, step by step, beside a twin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.analysis.contrast_spec import ALPHA, ContrastSpec
from llm_mri_store.analysis.information import LabelInformation, label_information
from llm_mri_store.analysis.kept_results import (
    Keeping,
    KeptResult,
    Place,
    cells_for,
    keep_result,
)
from llm_mri_store.analysis.kept_rows import name_sides, row_of_test
from llm_mri_store.analysis.twin_words import information_twin_sentences
from llm_mri_store.analysis.twins import Twin, twin_parameters
from llm_mri_store.records.jobs import ProgressCallback
from llm_mri_store.schema import LAYER

_OF_TWIN: Final = ("information", "excess", "excess_low", "excess_high", "p_fwe")


def kept_information(
    place: Place,
    labels: Sequence[str] | None,
    *,
    rest: bool,
    spec: ContrastSpec,
    twin: Twin | None,
    keeping: Keeping,
    progress: ProgressCallback,
) -> KeptResult:
    """What the cell tells of the label (``label_information``), with that of the twin beside it.

    Args:
        place: the reduction.
        labels: which; all that have at least 2 samples by default.
        rest: these labels against all others.
        spec: every choice.
        twin: its twin, with the same there.
        keeping: whether and under which name it is kept.
        progress: told after each batch of relabelings.

    Raises:
        LlmMriError: as ``label_information``, ``read_cells`` and ``keep_result``.
    """
    chosen = None if labels is None else tuple(labels)
    sides = name_sides(place.scan.spec.labels, chosen or (), None).names if rest else None

    def make() -> dict[str, pa.Table]:
        own = label_information(cells_for(place, spec), chosen, rest=rest, spec=spec, progress=progress)
        names = own.labels if sides is None else sides
        return _tables(own, names, twin)

    return keep_result(
        place,
        make,
        kind=schema.INFORMATION,
        words="all-labels" if chosen is None else "-vs-".join(sides or chosen),
        choices={"labels": chosen, "rest": rest, **twin_parameters(twin)},
        spec=spec,
        keeping=keeping,
    )


def _tables(one: LabelInformation, labels: Sequence[str], twin: Twin | None) -> dict[str, pa.Table]:
    there = [] if twin is None else twin.tables()[schema.INFORMATION].to_pylist()
    of_twin = {(row[LAYER], row["next_layer"]): row for row in there}
    layers = [{**row, "next_layer": None} for row in one.layers.to_pylist()]
    steps = [{**row, "n_cells": row["n_steps"]} for row in one.steps.to_pylist()]
    rows = [
        {
            **row,
            "labels": list(labels),
            "label_entropy": one.label_entropy,
            **_beside(row, of_twin.get((row[LAYER], row["next_layer"]))),
        }
        for row in [*layers, *steps]
    ]
    sentences = list(one.sentences)
    if twin is not None:
        sentences += information_twin_sentences(rows[: len(layers)], twin.place)
    declared = schema.result_schema(schema.INFORMATION, schema.INFORMATION).remove(0)
    return {
        schema.TESTS: row_of_test(
            schema.INFORMATION,
            one.spec,
            one.layers["p_fwe"],
            facts=one.facts,
            sentences=sentences,
            labels=list(labels),
            n_samples=sum(one.n_samples),
            p_method="counted",
            twin=None if twin is None else twin.place.address,
        ),
        schema.INFORMATION: pa.Table.from_pylist(rows, schema=declared),
    }


def _beside(row: dict[str, Any], there: dict[str, Any] | None) -> dict[str, Any]:
    """The columns about the twin; NULL without one."""
    if there is None:
        return {}
    columns = {f"twin_{name}": there[name] for name in _OF_TWIN}
    p = [row["p_fwe"], there["p_fwe"]]
    columns["also_in_twin"] = None if None in p else max(p) <= ALPHA
    return columns
