"""What a test may exchange, worked out from labels, strata and groups; refused where nothing can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_sides import FEWEST
from llm_mri_store.analysis.contrast_spec import ALPHA, ContrastSpec
from llm_mri_store.analysis.contrast_strata import Strata, cut_strata
from llm_mri_store.analysis.permutation_design import (
    Exchange,
    count_relabelings,
    plan_exchange,
    smallest_p,
    whole_groups,
)
from llm_mri_store.analysis.permutation_maps import MapMaker, make_maps
from llm_mri_store.errors import InvalidInput

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plan:
    """The design of a test.

    Attributes:
        exchange: what is exchanged, within strata.
        strata: the strata of all samples.
        groups: int64 (n_samples,), from 0; None without groups.
        smallest_p: the smallest p that can be had.
    """

    exchange: Exchange
    strata: Strata
    groups: Int64 | None
    smallest_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignFacts:
    """What a test exchanged, and how often.

    Attributes:
        n_units: samples and whole groups whose labels were exchanged.
        n_whole_groups, n_split_groups: groups moved as a whole, and groups exchanged within.
        n_strata: strata within which labels were exchanged.
        n_strata_left_out, n_samples_left_out: what took no part, for want of a second label.
        n_relabelings: different relabelings there are; None beyond 10**15.
        n_permutations: relabelings looked at.
        is_exact: all there are were looked at.
        smallest_p: the smallest family-wise p that can be had.
    """

    n_units: int
    n_whole_groups: int
    n_split_groups: int
    n_strata: int
    n_strata_left_out: int
    n_samples_left_out: int
    n_relabelings: int | None
    n_permutations: int
    is_exact: bool
    smallest_p: float


def design_facts(plan: Plan, *, n_permutations: int, is_exact: bool) -> DesignFacts:
    """The facts of a test of this design.

    Args:
        plan: the design.
        n_permutations: relabelings looked at.
        is_exact: these are all there are.
    """
    exchange = plan.exchange
    return DesignFacts(
        n_units=exchange.n_units,
        n_whole_groups=exchange.n_whole_groups,
        n_split_groups=exchange.n_split_groups,
        n_strata=exchange.n_strata,
        n_strata_left_out=exchange.n_strata_left_out,
        n_samples_left_out=exchange.n_samples_left_out,
        n_relabelings=count_relabelings(exchange),
        n_permutations=n_permutations,
        is_exact=is_exact,
        smallest_p=plan.smallest_p,
    )


def plan_test(
    cells: LabelledCells,
    samples: Int64,
    labels: Int64,
    *,
    names: Sequence[str],
    spec: ContrastSpec,
    strata: Sequence[str] | None = None,
) -> Plan:
    """The design of a test of some samples' labels.

    Args:
        cells: whose covariates are used.
        samples: int64 (n,), positions of the samples.
        labels: int64 (n,), codes from 0.
        names: the labels in words, by code.
        spec: every choice.
        strata: covariates held constant; those of ``spec`` by default.

    Raises:
        UnknownName: a covariate was not read.
        InvalidInput: nothing can be exchanged, or so little that no p of 0.05 can be had.
    """
    groups = None if spec.groups is None else _group_codes(cells, spec.groups, samples)
    whole = np.full(len(samples), -1) if groups is None else whole_groups(labels, groups)
    wanted = spec.strata if strata is None else strata
    columns = {name: cells.covariate(name).take(pa.array(samples)) for name in wanted}
    cut = cut_strata(columns, n_samples=len(samples), n_bins=spec.n_bins, whole=whole)
    exchange = plan_exchange(labels, strata=cut.codes, n_labels=len(names), groups=groups)
    least = _checked(exchange, names=names, spec=spec, strata=wanted)
    return Plan(exchange=exchange, strata=cut, groups=groups, smallest_p=least)


def _group_codes(cells: LabelledCells, name: str, samples: Int64) -> Int64:
    """Group of each sample, from 0; a sample without one is a group by itself."""
    column = cells.covariate(name).take(pa.array(samples))
    encoded = pc.dictionary_encode(column)
    codes = pc.fill_null(encoded.indices, -1).to_numpy().astype(np.int64)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(encoded.dictionary) + np.arange(len(alone))
    # Only groups that occur, from 0.
    return np.unique(codes, return_inverse=True)[1].astype(np.int64)


def _checked(exchange: Exchange, *, names: Sequence[str], spec: ContrastSpec, strata: Sequence[str]) -> float:
    """The smallest p that can be had.

    Raises:
        InvalidInput: none of 0.05 can.
    """
    within = [*strata, *([spec.groups] if spec.groups is not None else [])]
    if not exchange.n_units:
        held = " and ".join(repr(name) for name in within)
        raise InvalidInput(
            f"nothing can be exchanged: samples that agree in {held} all have one label, so {held} and "
            f"label cannot be told apart; hold less constant"
        )
    is_whole = exchange.n_whole_groups > 0
    units = exchange.units_of().sum(axis=0)
    kind = f"whole groups of {spec.groups!r}" if is_whole else "samples"
    inside = f" that share {' and '.join(strata)} with another label" if strata else ""
    if few := [place for place in range(len(names)) if units[place] < FEWEST]:
        raise InvalidInput(
            f"{names[few[0]]} has {units[few[0]]} of the {kind}{inside} to exchange; a test needs at least "
            f"{FEWEST} of each label"
        )
    two_sided = spec.alternative == "two-sided"
    least = smallest_p(exchange, n_permutations=spec.n_permutations, two_sided=two_sided)
    if least > ALPHA:
        counts = ", ".join(f"{name} {n}" for name, n in zip(names, units.tolist(), strict=True))
        raise InvalidInput(
            f"there are too few {kind}{inside} to exchange ({counts}): no p below {least:.2g} can be had "
            f"whatever the cells hold; a test needs more samples of each label"
        )
    return least


def plan_maps(cells: LabelledCells, samples: Int64, plan: Plan, *, spec: ContrastSpec) -> MapMaker:
    """What maps of the varying layers are made from.

    Args:
        cells: the cells.
        samples: int64 (n,), positions of the samples that were planned for.
        plan: the design.
        spec: ``min_samples`` is used.

    Raises:
        InvalidInput: every layer is degenerate, or no cell's content depends on the labels.
    """
    if not cells.varying_layers:
        raise InvalidInput(
            f"no layer of {cells.where} varies between samples (all {len(cells.layers)} are degenerate), so "
            "there is nothing to compare"
        )
    rows = np.flatnonzero(np.isin(cells.layers, cells.varying_layers))
    maps = make_maps(
        plan.exchange, cells.codes[np.ix_(rows, samples)], grid=cells.grid, min_samples=spec.min_samples
    )
    if not maps.is_tested.any():
        raise InvalidInput(
            f"no cell can be tested: at every layer of {cells.where} the samples compared share one cell, or "
            f"no cell holds {spec.min_samples} of them; take a finer grid or a smaller min_samples"
        )
    return maps
