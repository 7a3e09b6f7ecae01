"""Whether the graphs of two labels differ: distances between them, and their metrics side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_plan import DesignFacts, design_facts, plan_test
from llm_mri_store.analysis.contrast_sides import choose_sides
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.contrast_words import exchange_sentences, layer_sentence
from llm_mri_store.analysis.graph_distances import DISTANCES, Distance
from llm_mri_store.analysis.graph_numbers import numbers_of, rarefied_numbers, relabelled_numbers
from llm_mri_store.analysis.graph_tables import ComparedNumbers, distance_table, metric_table
from llm_mri_store.analysis.graph_words import comparison_sentences
from llm_mri_store.analysis.jackknife import leave_parts_out
from llm_mri_store.analysis.relabelings import (
    Relabelings,
    refuse_one_sided,
    relabeling_sentence,
)
from llm_mri_store.analysis.step_edges import step_edges
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.records.jobs import ProgressCallback, no_progress

_DEFAULT: Final = ContrastSpec(n_permutations=999)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GraphComparison:
    """The graphs of two labels compared as wholes.

    Attributes:
        a, b: the labels of either side.
        name_a, name_b: the sides in words.
        spec: every choice of what is permuted.
        n_a, n_b: samples of either side that have cells.
        n_edges: edges that a sample of either side takes.
        n_rarefied: samples of each side in rarefied numbers.
        n_parts: parts that were left out in turn for intervals; 0 where there are none.
        facts: what was exchanged, and how often.
        distances, metrics: tables, see ``compare_graphs``.
        sentences: what was done and found.
    """

    a: tuple[str, ...]
    b: tuple[str, ...]
    name_a: str
    name_b: str
    spec: ContrastSpec
    n_a: int
    n_b: int
    n_edges: int
    n_rarefied: int
    n_parts: int
    facts: DesignFacts
    distances: pa.Table
    metrics: pa.Table
    sentences: tuple[str, ...]


def compare_graphs(
    cells: LabelledCells,
    a: str | Sequence[str],
    b: str | Sequence[str] | None = None,
    *,
    spec: ContrastSpec = _DEFAULT,
    distances: Sequence[Distance] = DISTANCES,
    n_rarefied: int | None = None,
    progress: ProgressCallback = no_progress,
) -> GraphComparison:
    """Whether the NRAGs of labels A and B differ, with tests against chance.

    A graph has the cells of a side's samples as nodes and the steps between them as edges, as ``build_graph``
    makes it of one label. Under the null labels do not matter: they are permuted, and both graphs made anew.
    The numbers of samples stay as they are, so what a graph owes to its size alone is in the null too.

    Args:
        cells: cells and labels; with the covariates that ``spec`` names.
        a: a label or several.
        b: a label or several; None or ``"rest"`` for all others.
        spec: what is permuted within what; thresholds of clusters and ``min_samples`` are not used.
        distances: which, see ``graph_distances.DISTANCE_DEFINITIONS``.
        n_rarefied: samples of each side in rarefied numbers; those of the smaller side by default. Choose one
            number for several comparisons to be set against each other.
        progress: told after each batch of relabelings.

    Returns:
        A comparison. NULL stands for what is not defined. Its table ``distances`` has a row per distance:

        * ``distance``; ``value``, with its 95 % interval ``value_low``, ``value_high``
          (``jackknife_interval``): what as many other samples would give. That is more than the distance of
          endless samples: what part of it is chance, is said by
        * ``by_chance``, ``by_chance_low``, ``by_chance_high``: mean, 2.5 % and 97.5 % points over
          relabelings; and ``excess``, value - by_chance, about 0 where labels do not differ, too small where
          they differ much, as two samples that have little in common cannot be taken further apart by chance.
        * ``rarefied``: value of equally many samples of each side, a mean over 100 draws.
        * ``p``: share of relabelings whose distance is as large; ``p_fwe``: over all distances, each in
          standard deviations from its mean over relabelings (``null_statistics``).

        Its table ``metrics`` has a row per metric of ``BLOCK_METRICS``, defined as in ``graph_metrics``:

        * ``metric``; ``value_a``, ``value_b`` and ``difference``, with intervals as above.
        * ``by_chance`` with ``_low`` and ``_high``: the difference over relabelings. Where a label has more
          samples, it is not 0.
        * ``rarefied_a``, ``rarefied_b``: values of equally many samples.
        * ``p``: two-sided, the share of relabelings whose difference is as far from their mean; ``p_fwe``:
          over all metrics that every relabeling defines, each in standard deviations.

    Raises:
        UnknownName: a label or a distance that there is not, or a covariate that was not read.
        InvalidInput: as ``contrast``; a one-sided alternative; no two neighbouring layers vary; or more
            samples are to be drawn than a side has.

    >>> codes = np.zeros((2, 60), dtype=np.int32)
    >>> codes[1, :30] = 3
    >>> cells = LabelledCells(layers=(0, 1), grid=2, codes=codes, labels=("true", "fake"),
    ...     label_codes=np.repeat(np.array([0, 1], dtype=np.int32), 30), sample_ids=np.arange(60))
    >>> found = compare_graphs(cells, "true", "fake", spec=ContrastSpec(n_permutations=199))
    >>> found.distances.select(["distance", "value", "p"]).to_pylist()[0]
    {'distance': 'jaccard', 'value': 1.0, 'p': 0.005}
    """
    refuse_one_sided(spec, "graphs")
    for name in distances:
        if name not in DISTANCES:
            raise UnknownName("distance", name, known=DISTANCES, where="what there is")
    sides = choose_sides(cells, a, b)
    labels = np.where(sides.is_a, 0, 1).astype(np.int64)
    names = (sides.name_a, sides.name_b)
    plan = plan_test(cells, sides.samples, labels, names=names, spec=spec)
    edges = step_edges(cells, sides.samples)
    if not edges.n_edges:
        raise InvalidInput(
            f"no two neighbouring layers of {cells.where} vary, so there are no edges to compare; scan more "
            "layers"
        )
    fewer = min(sides.n_a, sides.n_b)
    n_rarefied = fewer if n_rarefied is None else n_rarefied
    if not 1 <= n_rarefied <= fewer:
        raise InvalidInput(
            f"n_rarefied is {n_rarefied}; expected 1 to {fewer}, the samples of the smaller side"
        )
    relabelings = Relabelings(
        exchange=plan.exchange, labels=labels, n_permutations=spec.n_permutations, seed=spec.seed
    )
    is_a, is_b = (labels == 0)[:, None], (labels == 1)[:, None]
    kept = leave_parts_out(labels, plan.groups, seed=spec.seed)
    numbers = ComparedNumbers(
        observed=numbers_of(edges, is_a, is_b, wanted=distances),
        by_chance=relabelled_numbers(edges, relabelings, wanted=distances, progress=progress),
        is_exact=relabelings.is_exact,
        left_out=None if kept is None else numbers_of(edges, kept & is_a, kept & is_b, wanted=distances),
        rarefied=rarefied_numbers(edges, labels, n_rarefied, wanted=distances, seed=spec.seed),
    )
    distance_rows, metric_rows = distance_table(numbers, wanted=distances), metric_table(numbers)
    facts = design_facts(plan, n_permutations=relabelings.n, is_exact=relabelings.is_exact)
    return GraphComparison(
        a=sides.a,
        b=sides.b,
        name_a=sides.name_a,
        name_b=sides.name_b,
        spec=spec,
        n_a=sides.n_a,
        n_b=sides.n_b,
        n_edges=edges.n_edges,
        n_rarefied=n_rarefied,
        n_parts=0 if kept is None else kept.shape[1],
        facts=facts,
        distances=distance_rows,
        metrics=metric_rows,
        sentences=(
            f"The graph of {sides.name_a} ({sides.n_a:,} samples) was compared with that of {sides.name_b} "
            f"({sides.n_b:,}).",
            *exchange_sentences(plan.exchange, spec, plan.strata.words, names),
            relabeling_sentence(facts, spec.seed),
            *layer_sentence(cells.degenerate_layers),
            *comparison_sentences(
                distance_rows, metric_rows, sides, n_rarefied=n_rarefied, has_intervals=kept is not None
            ),
        ),
    )
