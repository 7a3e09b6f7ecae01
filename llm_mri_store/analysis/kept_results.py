"""Tests of a reduction that are kept as rows: asked for again they are read, not made anew."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final

import msgspec
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.analysis.contrast_cells import LabelledCells, read_cells
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.errors import AlreadyThere
from llm_mri_store.records.results import Choices, ResultSpec, result_source
from llm_mri_store.store.catalogue import ReductionEntry, ScanEntry, versions
from llm_mri_store.store.paths import StorePaths, as_name
from llm_mri_store.store.result_commit import kept_tables
from llm_mri_store.store.results import find_result, find_results, refuse_bad_spec

TWIN_SOURCE: Final = "twin_source"
"""Parameter that says what the twin held; a result of another content of the same twin gives way."""

_LONGEST_NAME: Final = 57


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A reduction in its store: what a test is made from, and where it is kept."""

    store: StorePaths
    scan: ScanEntry
    reduction: ReductionEntry

    @property
    def address(self) -> str:
        """``scan/reduction``."""
        return f"{self.scan.name}/{self.reduction.name}"

    @property
    def source(self) -> str:
        """Digest of what it holds."""
        return result_source(self.scan.chunks, self.reduction.record)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptResult:
    """A test's rows, read from the store or made just now.

    Attributes:
        spec: its kind, name, choices and seed.
        tables: table -> rows, as ``schema.RESULT_KINDS`` declares them, without the column ``result``.
        versions: package -> version that made it.
    """

    spec: ResultSpec
    tables: Mapping[str, pa.Table]
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """Whether and under which name a test is kept.

    Attributes:
        name: its name; None for one made of the labels, which gives way where other choices have taken it.
        save: False computes it and keeps nothing.
    """

    name: str | None = None
    save: bool = True


def keep_result(
    place: Place,
    make: Callable[[], Mapping[str, pa.Table]],
    *,
    kind: str,
    words: str,
    choices: Mapping[str, Choices],
    spec: ContrastSpec,
    keeping: Keeping,
) -> KeptResult:
    """The rows of exactly these choices: those that are kept, or those that ``make`` gives.

    Args:
        place: what it is made from.
        make: computes the tables of the kind.
        kind: the kind of test.
        words: what a test without a name is called after.
        choices: every choice that is not in the spec.
        spec: the others, and the seed of what is drawn.
        keeping: name, and whether to keep.

    Raises:
        AlreadyThere: the name that was given is taken by a test of other choices.
        InvalidInput: the name or a choice cannot be kept; or as ``make``.
    """
    # In lower case: names that differ in case alone are one folder on some systems.
    name = keeping.name or as_name(words).lower()
    parameters = {key: value for key, value in asdict(spec).items() if key != "seed"}
    wanted = ResultSpec(kind=kind, name=name, parameters={**choices, **parameters}, seed=spec.seed)
    if not keeping.save:
        refuse_bad_spec(wanted, place.reduction)
        tables = {table: _declared(kind, table, rows) for table, rows in make().items()}
        return KeptResult(spec=wanted, tables=tables, versions=versions())
    if keeping.name is None:
        wanted = _free_name(place, wanted)
    rows = kept_tables(
        place.store,
        place.scan,
        wanted,
        make,
        reduction=place.reduction,
        replace=_has_other_twin(place, wanted),
    )
    kept = find_result(place.scan, wanted, reduction=place.reduction)
    made_by = versions() if kept is None or kept.record is None else kept.record.versions
    return KeptResult(spec=wanted, tables=rows, versions=made_by)


def cells_for(place: Place, spec: ContrastSpec) -> LabelledCells:
    """The cells of a reduction with the covariates that a spec names."""
    groups = () if spec.groups is None else (spec.groups,)
    return read_cells(place.scan, place.reduction, covariates=(*spec.strata, *groups))


def _declared(kind: str, table: str, rows: pa.Table) -> pa.Table:
    declared = schema.result_schema(kind, table).remove(0)
    return rows.select(declared.names).cast(declared)


def _free_name(place: Place, spec: ResultSpec) -> ResultSpec:
    """The spec, its name followed by a digest of its choices where other choices have taken it."""
    try:
        find_result(place.scan, spec, reduction=place.reduction, replace=_has_other_twin(place, spec))
    except AlreadyThere:
        # What the twin held is left out: it replaces a result, and its bits differ between machines.
        choices = msgspec.json.encode(
            (_without_twin_source(spec).parameters, spec.seed), order="deterministic"
        )
        digest = hashlib.sha256(choices).hexdigest()
        return replace(spec, name=f"{spec.name[:_LONGEST_NAME]}-{digest[:6]}")
    return spec


def _has_other_twin(place: Place, spec: ResultSpec) -> bool:
    """Whether a current result of this name differs only in what its twin held."""
    for one in find_results(place.scan, place.reduction):
        if (one.kind, one.name) == (spec.kind, spec.name) and one.is_current and one.record is not None:
            there = one.record.spec
            return there != spec and _without_twin_source(there) == _without_twin_source(spec)
    return False


def _without_twin_source(spec: ResultSpec) -> ResultSpec:
    others = {name: value for name, value in spec.parameters.items() if name != TWIN_SOURCE}
    return replace(spec, parameters=others)
