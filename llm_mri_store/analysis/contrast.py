"""Where two labels differ, cell by cell, and whether the difference is more than chance makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_columns import (
    Columns,
    Frame,
    adjusted_columns,
    cluster_columns,
    crude_columns,
    inference_columns,
)
from llm_mri_store.analysis.contrast_plan import DesignFacts, design_facts, plan_maps, plan_test
from llm_mri_store.analysis.contrast_sides import Sides, choose_sides
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.contrast_strata import covariate_balance
from llm_mri_store.analysis.contrast_tables import CELLS_SCHEMA, as_table, cluster_table, find_clusters
from llm_mri_store.analysis.contrast_words import (
    adjustment_sentences,
    count_sentence,
    exchange_sentences,
    finding_sentences,
    layer_sentence,
    resolution_sentence,
)
from llm_mri_store.analysis.permutation_null import ClusterChoice, directed, one_sided, permute_maps
from llm_mri_store.records.jobs import ProgressCallback, no_progress

Int64 = npt.NDArray[np.int64]

_DEFAULT: Final = ContrastSpec()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contrast:
    """Two labels compared in every cell of every layer.

    Attributes:
        a, b: the labels of either side.
        name_a, name_b: the sides in words.
        n_a, n_b: samples of either side that have a cell.
        spec: every choice.
        layers: the layers, ascending.
        degenerate_layers: those left out of the test.
        grid: cells per axis.
        n_tested: cells whose content depends on the labels: the family of every family-wise p.
        facts: what was exchanged, and how often.
        p_method: of the column p: ``exact`` from the distribution over all relabelings, or ``counted`` over
            those looked at, where whole groups move.
        cells: a row per layer and cell, see ``contrast``.
        clusters: a row per cluster, the heaviest first, see ``contrast``.
        balance: a row per numeric covariate held constant, see ``covariate_balance``.
        nulls: a row per relabeling: permutation, max_score, max_mass, max_tfce.
        sentences: what was done and found.
    """

    a: tuple[str, ...]
    b: tuple[str, ...]
    name_a: str
    name_b: str
    n_a: int
    n_b: int
    spec: ContrastSpec
    layers: tuple[int, ...]
    degenerate_layers: tuple[int, ...]
    grid: int
    n_tested: int
    facts: DesignFacts
    p_method: str
    cells: pa.Table
    clusters: pa.Table
    balance: pa.Table
    nulls: pa.Table
    sentences: tuple[str, ...]


def contrast(
    cells: LabelledCells,
    a: str | Sequence[str],
    b: str | Sequence[str] | None = None,
    *,
    spec: ContrastSpec = _DEFAULT,
    progress: ProgressCallback = no_progress,
) -> Contrast:
    """Where labels A and B lie in different cells, with tests against chance.

    Args:
        cells: cells and labels; with the covariates that ``spec`` names.
        a: a label or several.
        b: a label or several; None or ``"rest"`` for all others.
        spec: every choice.
        progress: told after each batch of relabelings.

    Returns:
        A contrast. Its table ``cells`` has a row per layer, cell_x and cell_y. NULL stands for what cannot
        be said: effects of a cell without a sample, everything at a degenerate layer, tests of a cell
        that is not tested.

        * ``n_a``, ``n_b``, ``share_a``, ``share_b``: samples of either side in the cell, and / n_a, / n_b.
        * ``difference`` of the shares and ``log_odds`` (ratio), each ``_low`` and ``_high`` of its 95 %
          interval: ``share_difference``, ``log_odds_ratio``. All samples of A and B; nothing held constant.
        * ``adjusted_difference``, ``adjusted_log_odds`` with intervals: the same within strata
          (``adjusted_difference``, ``adjusted_log_odds_ratio``); NULL without strata.
        * ``design_effect``: what groups widen the intervals by, as a factor of the variance; NULL without.
        * ``is_tested``: what the cell holds depends on the labels, and it holds ``min_samples``.
        * ``z``: Mantel & Haenszel's standardised deviation, (samples of A in the cell - those expected) /
          root of their variance over all relabelings; > 0 where A has more.
        * ``score``: z with the skewness of its null distribution taken out (``normal_scores``). It is what
          p, clusters and TFCE go by.
        * ``p``: of the cell by itself. ``p_least``: the smallest p the cell could have had with any labels;
          NULL where whole groups move.
        * ``q``: p adjusted by Benjamini & Hochberg (1995), for exploration: of the cells with q <= 0.05 an
          expected 5 % are false. Over the cells tested whose ``p_least`` is at most 0.05, which does
          not depend on the labels (Tarone, Biometrics 46 (1990); Gilbert, Applied Statistics 54 (2005)); NULL
          at the others, of a few samples each, that could show nothing and would only dilute it.
        * ``p_fwe``: by the largest score of all layers and cells (``NullDistribution.family_p``).
        * ``tfce``, ``p_tfce``: threshold-free cluster enhancement and its p by the largest of all cells.
        * ``cluster``, ``p_cluster``: number of the cell's cluster, NULL for none, and the cluster's p.
        * ``z_before``, ``p_fwe_before``: z and p_fwe without strata; NULL where none were asked for.

        Its table ``clusters`` has: cluster, layer, ``sign`` (1: more of A, -1: more of B), ``size`` (cells),
        ``mass`` (sum of absolute scores), ``p_fwe`` by the largest mass of all layers, n_a, n_b and
        difference of all its cells together, and of its peak x, y, z, score, difference, log_odds, p, q,
        p_fwe, p_tfce. That a cluster passes says that A and B differ somewhere in it, not that each of
        its cells does.

    Raises:
        UnknownName: a label is not there, or a covariate was not read.
        InvalidInput: a label on both sides, too few samples for any p of 0.05, nothing to exchange, or no
            layer with samples in more than one cell.

    >>> rng = np.random.default_rng(0)
    >>> codes = rng.integers(0, 4, size=(2, 80), dtype=np.int32)
    >>> codes[1, :40] = 3
    >>> cells = LabelledCells(layers=(0, 1), grid=2, codes=codes, labels=("true", "fake"),
    ...     label_codes=np.repeat(np.array([0, 1], dtype=np.int32), 40), sample_ids=np.arange(80))
    >>> found = contrast(cells, "true", "fake", spec=ContrastSpec(n_permutations=199))
    >>> found.clusters.select(["layer", "peak_x", "peak_y", "p_fwe"]).to_pylist()[0]
    {'layer': 1, 'peak_x': 0, 'peak_y': 1, 'p_fwe': 0.005}
    """
    sides = choose_sides(cells, a, b)
    labels = np.where(sides.is_a, 0, 1).astype(np.int64)
    names = (sides.name_a, sides.name_b)
    plan = plan_test(cells, sides.samples, labels, names=names, spec=spec)
    maps = plan_maps(cells, sides.samples, plan, spec=spec)
    scores = maps.scores(plan.exchange.unit_labels[None])[0]
    null = permute_maps(
        plan.exchange,
        maps.scores,
        scores,
        n_permutations=spec.n_permutations,
        seed=spec.seed,
        alternative=spec.alternative,
        clusters=ClusterChoice(grid=cells.grid, threshold=spec.cluster_threshold),
        progress=progress,
    )
    frame = Frame(
        layers=cells.layers, grid=cells.grid, is_varying=np.isin(cells.layers, cells.varying_layers)
    )
    columns = crude_columns(cells.codes[:, sides.samples], labels, plan.groups, frame=frame)
    if plan.exchange.n_strata > 1 or plan.exchange.n_strata_left_out:
        columns |= adjusted_columns(maps, columns, frame=frame)
    columns |= inference_columns(maps, scores, null, spec=spec, frame=frame)
    if spec.strata:
        columns |= _before(cells, sides, labels, spec=spec, frame=frame)
    found = find_clusters(
        one_sided(np.nan_to_num(columns["score"]), spec.alternative),
        grid=cells.grid,
        threshold=spec.cluster_threshold,
    )
    p_clusters = null.family_p(found.masses, null.masses)
    columns |= cluster_columns(found, p_clusters)
    cell_table = as_table(columns, CELLS_SCHEMA)
    clusters = cluster_table(columns, found, p_fwe=p_clusters, sides=(sides.n_a, sides.n_b))
    is_exact = plan.exchange.of_samples
    takes_part = np.isin(np.arange(len(labels)), plan.exchange.samples)
    balance = covariate_balance(plan.strata.numeric, sides.is_a, plan.strata.codes, takes_part)
    sentences = [
        f"{sides.name_a} ({sides.n_a:,} samples) was compared with {sides.name_b} ({sides.n_b:,}).",
        *exchange_sentences(plan.exchange, spec, plan.strata.words, names),
        count_sentence(null, spec, plan.smallest_p),
        *([] if is_exact else resolution_sentence(int(maps.is_tested.sum()), null.n)),
        *layer_sentence(cells.degenerate_layers),
        *finding_sentences(cell_table, clusters, sides),
        *(adjustment_sentences(cell_table, clusters, balance, spec.strata) if spec.strata else ()),
    ]
    return Contrast(
        a=sides.a,
        b=sides.b,
        name_a=sides.name_a,
        name_b=sides.name_b,
        n_a=sides.n_a,
        n_b=sides.n_b,
        spec=spec,
        layers=cells.layers,
        degenerate_layers=cells.degenerate_layers,
        grid=cells.grid,
        n_tested=int(maps.is_tested.sum()),
        facts=design_facts(plan, n_permutations=null.n, is_exact=null.is_exact),
        p_method="exact" if is_exact else "counted",
        cells=cell_table,
        clusters=clusters,
        balance=balance,
        nulls=null.table(),
        sentences=tuple(sentences),
    )


def _before(
    cells: LabelledCells, sides: Sides, labels: Int64, *, spec: ContrastSpec, frame: Frame
) -> Columns:
    """The test's columns without strata."""
    names = (sides.name_a, sides.name_b)
    plan = plan_test(cells, sides.samples, labels, names=names, spec=spec, strata=())
    maps = plan_maps(cells, sides.samples, plan, spec=spec)
    own = plan.exchange.unit_labels[None]
    scores = maps.scores(own)[0]
    null = permute_maps(
        plan.exchange,
        maps.scores,
        scores,
        n_permutations=spec.n_permutations,
        seed=spec.seed,
        alternative=spec.alternative,
    )
    p = null.family_p(directed(scores, spec.alternative), null.scores)
    columns = {"z_before": maps.standardised(own)[0], "p_fwe_before": p}
    return {name: frame.spread(np.where(maps.is_tested, values, np.nan)) for name, values in columns.items()}
