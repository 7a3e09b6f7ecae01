"""Which edges two labels differ in, and which connected sets of edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import stats

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_plan import DesignFacts, design_facts, plan_test
from llm_mri_store.analysis.contrast_sides import choose_sides
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.contrast_words import exchange_sentences, layer_sentence
from llm_mri_store.analysis.edge_nulls import GIVEN, EdgeNull, Given, edge_null
from llm_mri_store.analysis.edge_tables import EdgeTests, component_table, difference_table, spread
from llm_mri_store.analysis.edge_words import difference_sentences, source_sentence
from llm_mri_store.analysis.network_statistic import ComponentSize, find_components
from llm_mri_store.analysis.null_statistics import family_p
from llm_mri_store.analysis.permutation_null import share_reached
from llm_mri_store.analysis.relabelings import (
    refuse_one_sided,
    relabeling_sentence,
)
from llm_mri_store.analysis.step_edges import step_edges
from llm_mri_store.errors import UnknownName
from llm_mri_store.records.jobs import Progress, ProgressCallback, no_progress

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_DEFAULT: Final = ContrastSpec()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeDifferences:
    """Two labels compared in every edge.

    Attributes:
        a, b: the labels of either side.
        name_a, name_b: the sides in words.
        spec: every choice of what is permuted; its ``cluster_threshold`` is that of components.
        given, by: see ``edge_differences``.
        n_a, n_b: samples of either side that have cells.
        n_edges: edges that a sample of either side takes.
        n_tested: those tested: the family of q and of every family-wise p.
        p_method: of the column p: ``exact``, or ``counted`` over the relabelings, where whole groups move.
        facts: what was exchanged, and how often; given the source, among samples of one cell of these.
        edges: a row per edge, see ``edge_differences``.
        components: a row per component, the largest first.
        sentences: what was done and found.
    """

    a: tuple[str, ...]
    b: tuple[str, ...]
    name_a: str
    name_b: str
    spec: ContrastSpec
    given: Given
    by: ComponentSize
    n_a: int
    n_b: int
    n_edges: int
    n_tested: int
    p_method: str
    facts: DesignFacts
    edges: pa.Table
    components: pa.Table
    sentences: tuple[str, ...]


def edge_differences(
    cells: LabelledCells,
    a: str | Sequence[str],
    b: str | Sequence[str] | None = None,
    *,
    spec: ContrastSpec = _DEFAULT,
    given: Given = "nothing",
    by: ComponentSize = "intensity",
    progress: ProgressCallback = no_progress,
) -> EdgeDifferences:
    """Where labels A and B take different edges, with tests against chance.

    Given nothing, an edge is compared by its share of each label's samples. That differs where the cells
    at its ends hold different shares, whatever the steps between them. Given the source, it is compared by
    its share of each label's samples in the source's cell: whether from one and the same cell A and B go
    on to different cells. Labels are permuted among all samples, or among those of one source.

    Tested are edges on which both sides together have ``spec.min_samples`` and whose p could pass a
    correction for the number of such edges, if its samples' labels fell otherwise
    (``hypergeometric.can_pass``). Neither depends on whose labels they are, so leaving edges out by it is no
    peeking. Components are made of all edges whose score could pass their threshold: with a low one also of
    edges too rare to be tested, so that many weak differences are joined that no edge shows by itself.

    Args:
        cells: cells and labels; with the covariates that ``spec`` names.
        a: a label or several.
        b: a label or several; None or ``"rest"`` for all others.
        spec: what is permuted within what, and the threshold of components (``cluster_threshold``).
        given: what an edge's share is of: ``nothing``, all samples of the label; ``source``, those in its
            source's cell.
        by: size of a component, see ``network_statistic.find_components``.
        progress: told after each batch of relabelings.

    Returns:
        Differences. Their table ``edges`` has a row per edge that a sample of either side takes, in the
        order of layer and cells; NULL stands for what cannot be said.

        * layer, next_layer, source, target, from_x, from_y, to_x, to_y: as in the query ``edges``.
        * ``weight_a``, ``weight_b``: samples of either side; ``n_a``, ``n_b``: of how many; ``share_a``,
          ``share_b``: weight / n, NULL for none of none.
        * ``difference`` of the shares, in [-1, 1], with its 95 % interval ``difference_low``,
          ``difference_high`` (``contrast_effects.share_difference``); nothing is held constant in them.
          Groups widen intervals by their ``design_effect``; given the source, groups have none.
        * ``expected_a``: samples of A by chance; ``lift_a``: weight_a / expected_a; ``z``: their difference
          in standard deviations over all relabelings. These and what follows hold strata constant.
        * ``is_tested``.
        * ``score``: the two-sided p as the normal deviate that has it, > 0 where A has more; for groups
          that move as a whole ``permutation_moments.normal_scores``.
        * ``p``: of the edge by itself, exact (``hypergeometric.exact_counts``), so that it can be as small
          as its samples allow and q is not held up by the number of relabelings. ``q``: p adjusted by
          Benjamini & Hochberg (1995) over all edges tested. Counts are discrete, so both err to the safe
          side.
        * ``p_fwe``: by the largest absolute score of all tested edges, which is the smallest p: of Westfall &
          Young's two ways (1993) the one that lets rare and common edges count alike.
        * ``component``, ``p_component``: number of the edge's component, NULL for none, and its p.

        Their table ``components``: component, ``sign`` (1: more of A), n_edges, n_nodes, first_layer and
        last_layer it reaches, ``size``, ``p_fwe`` by the largest of all components, and of the edge that
        differs most peak_source, peak_target, peak_score. That a component passes says that A and B differ
        somewhere in it, not that each of its edges does (Zalesky et al. 2010).

    Raises:
        UnknownName: a label, a given or a size that there is not, or a covariate that was not read.
        InvalidInput: as ``contrast``; a one-sided alternative; no edge, or the source is given and groups
            move as a whole.

    >>> codes = np.zeros((2, 60), dtype=np.int32)
    >>> codes[1, :30] = 3
    >>> cells = LabelledCells(layers=(0, 1), grid=2, codes=codes, labels=("true", "fake"),
    ...     label_codes=np.repeat(np.array([0, 1], dtype=np.int32), 30), sample_ids=np.arange(60))
    >>> found = edge_differences(cells, "true", "fake", spec=ContrastSpec(n_permutations=199))
    >>> found.edges.select(["source", "target", "difference", "p_fwe"]).to_pylist()[1]
    {'source': '0_0_0', 'target': '1_1_1', 'difference': 1.0, 'p_fwe': 0.005}
    """
    refuse_one_sided(spec, "edges")
    if given not in GIVEN:
        raise UnknownName("given", given, known=GIVEN, where="what can be given")
    sides = choose_sides(cells, a, b)
    labels = np.where(sides.is_a, 0, 1).astype(np.int64)
    names = (sides.name_a, sides.name_b)
    plan = plan_test(cells, sides.samples, labels, names=names, spec=spec)
    edges = step_edges(cells, sides.samples)
    null = edge_null(edges, labels, plan, given=given, spec=spec)
    ends = (edges.source[null.is_counted], edges.target[null.is_counted])
    largest, sizes, reached = _by_chance(null, ends, spec, by=by, progress=progress)
    found = find_components(null.score[null.is_counted, None], ends, threshold=spec.cluster_threshold, by=by)
    order = np.argsort(-found.size, kind="stable")
    component = np.zeros(int(null.is_counted.sum()), dtype=np.int64)
    component[found.edge] = np.argsort(order)[found.component] + 1
    is_exact, n = null.relabelings.is_exact, null.relabelings.n
    p = null.p.copy()
    if not plan.exchange.of_samples:
        p[null.is_counted] = share_reached(reached, n, is_exact=is_exact)
    q, p_fwe = np.full_like(p, np.nan), np.full_like(p, np.nan)
    if (tested := null.is_tested).any():
        q[tested] = stats.false_discovery_control(p[tested], method="bh")
        p_fwe[tested] = family_p(np.abs(null.score[tested]), largest, is_exact=is_exact)
    tests = EdgeTests(
        p=p,
        q=q,
        p_fwe=p_fwe,
        component=spread(component, null.is_counted),
        size=found.size[order],
        p_component=family_p(found.size[order], sizes, is_exact=is_exact),
    )
    edge_table = difference_table(edges, labels, null, tests, given=given, groups=plan.groups)
    components = component_table(edges, null.score, tests)
    if given == "source":
        exchanged = [source_sentence(spec)]
    else:
        exchanged = exchange_sentences(plan.exchange, spec, plan.strata.words, names)
    facts = design_facts(plan, n_permutations=null.relabelings.n, is_exact=null.relabelings.is_exact)
    if given == "source":
        facts = replace(facts, n_relabelings=None, smallest_p=1 / (spec.n_permutations + 1))
    return EdgeDifferences(
        a=sides.a,
        b=sides.b,
        name_a=sides.name_a,
        name_b=sides.name_b,
        spec=spec,
        given=given,
        by=by,
        n_a=sides.n_a,
        n_b=sides.n_b,
        n_edges=edges.n_edges,
        n_tested=int(null.is_tested.sum()),
        p_method="exact" if plan.exchange.of_samples else "counted",
        facts=facts,
        edges=edge_table,
        components=components,
        sentences=(
            f"The edges of {sides.name_a} ({sides.n_a:,} samples) were compared with those of "
            f"{sides.name_b} ({sides.n_b:,}).",
            *exchanged,
            relabeling_sentence(facts, spec.seed),
            *layer_sentence(cells.degenerate_layers),
            *difference_sentences(edge_table, components, sides, spec, given),
        ),
    )


def _by_chance(
    null: EdgeNull,
    ends: tuple[Int64, Int64],
    spec: ContrastSpec,
    *,
    by: ComponentSize,
    progress: ProgressCallback,
) -> tuple[Float64, Float64, Int64]:
    """Of each relabeling the largest score and component, and how many reach each edge's score."""
    counted = null.is_counted
    target = np.abs(null.score[counted])
    target = target - 1e-9 * np.maximum(target, 1.0)
    reached = np.zeros(target.size, dtype=np.int64)
    largest, sizes, done = [np.zeros(0)], [np.zeros(0)], 0
    for evidence in null.blocks():
        size = np.abs(evidence)
        reached += (size >= target[:, None]).sum(axis=1)
        largest.append(size[null.is_tested[counted]].max(axis=0, initial=0))
        found = find_components(evidence, ends, threshold=spec.cluster_threshold, by=by)
        sizes.append(found.largest(evidence.shape[1]))
        done += evidence.shape[1]
        progress(Progress(job="edges", done=done, total=null.relabelings.n))
    return np.concatenate(largest), np.concatenate(sizes), reached
