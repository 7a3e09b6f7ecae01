"""More than two labels: in which cells any of them differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_columns import Columns, Frame
from llm_mri_store.analysis.contrast_plan import DesignFacts, design_facts, plan_maps, plan_test
from llm_mri_store.analysis.contrast_sides import FEWEST, checked_labels
from llm_mri_store.analysis.contrast_spec import ALPHA, ContrastSpec
from llm_mri_store.analysis.contrast_tables import as_table
from llm_mri_store.analysis.contrast_words import count_sentence, exchange_sentences, layer_sentence
from llm_mri_store.analysis.permutation_draws import Labels
from llm_mri_store.analysis.permutation_maps import MapMaker
from llm_mri_store.analysis.permutation_null import permute_maps
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.jobs import ProgressCallback, no_progress
from llm_mri_store.schema import CELL_X, CELL_Y, LABEL, LAYER

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_DEFAULT: Final = ContrastSpec()

OMNIBUS_SCHEMA: Final = pa.schema(
    [
        (LAYER, pa.int16()),
        (CELL_X, pa.int16()),
        (CELL_Y, pa.int16()),
        ("n", pa.int64()),
        ("is_tested", pa.bool_()),
        ("statistic", pa.float64()),
        ("p", pa.float64()),
        ("q", pa.float64()),
        ("p_fwe", pa.float64()),
        (LABEL, pa.string()),
        ("label_score", pa.float64()),
        ("label_share", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelComparison:
    """Several labels compared at once.

    Attributes:
        labels: the labels compared.
        n_samples: samples of each.
        left_out: labels with fewer than 2 samples.
        spec: every choice.
        layers, degenerate_layers, grid: as for ``Contrast``.
        n_tested: cells tested: the family.
        facts: what was exchanged, and how often.
        cells: a row per layer and cell, see ``compare_labels``.
        nulls: a row per relabeling: permutation, max_score (the largest statistic); the others NULL.
        sentences: what was done and found.
    """

    labels: tuple[str, ...]
    n_samples: tuple[int, ...]
    left_out: tuple[str, ...]
    spec: ContrastSpec
    layers: tuple[int, ...]
    degenerate_layers: tuple[int, ...]
    grid: int
    n_tested: int
    facts: DesignFacts
    cells: pa.Table
    nulls: pa.Table
    sentences: tuple[str, ...]


def compare_labels(
    cells: LabelledCells,
    labels: Sequence[str] | None = None,
    *,
    spec: ContrastSpec = _DEFAULT,
    progress: ProgressCallback = no_progress,
) -> LabelComparison:
    """In which cells any of several labels differ from the others.

    A cell's statistic is the sum over labels of (1 - the label's share of the units) * score**2, where
    score is that of the label against all others (``normal_scores``). With z in place of the score, and one
    stratum, that is Pearson's chi-square of labels by in-the-cell times (N - 1) / N, whose mean over all
    relabelings is the number of labels - 1; of two labels it is the square of the contrast's score. The
    labels of all samples are permuted together, and p_fwe is by the largest statistic of all layers
    and cells. Which labels differ is for ``compare_pairs`` to say.

    Args:
        cells: cells and labels; with the covariates that ``spec`` names.
        labels: at least 2; by default all that have at least 2 samples.
        spec: every choice; ``cluster_threshold`` is not used.
        progress: told after each batch of relabelings.

    Returns:
        The table ``cells`` has a row per layer, cell_x, cell_y: n (samples of these labels), is_tested,
        statistic (>= 0), p (of the cell by itself, counted over the relabelings), q (Benjamini & Hochberg
        over the cells tested), p_fwe, and as an aid to reading, not a finding: label, the one with the
        largest absolute score, label_score, > 0 where it has more than the others, and label_share, the
        share of its samples that are in the cell. NULL where a cell is not tested.

    Raises:
        UnknownName, InvalidInput: as for ``contrast``; or an alternative other than two-sided.
    """
    if spec.alternative != "two-sided":
        raise InvalidInput(
            f"alternative is {spec.alternative!r}; several labels differ in no one direction: 'two-sided'"
        )
    names, left_out = labels_to_compare(cells, labels)
    number = np.full(len(cells.labels), -1, dtype=np.int64)
    number[[cells.labels.index(name) for name in names]] = np.arange(len(names))
    of_sample = number[cells.label_codes]
    samples = np.flatnonzero(of_sample >= 0)
    plan = plan_test(cells, samples, of_sample[samples], names=[repr(name) for name in names], spec=spec)
    maps = plan_maps(cells, samples, plan, spec=spec)
    weights = 1 - np.bincount(plan.exchange.unit_labels, minlength=len(names)) / plan.exchange.n_units

    def statistics(relabelled: Labels | Int64) -> Float64:
        total = np.zeros((len(relabelled), len(maps.is_tested)))
        for label, weight in enumerate(weights):
            total += weight * maps.scores(relabelled, label=label) ** 2
        return total

    own = plan.exchange.unit_labels[None]
    observed = statistics(own)[0]
    null = permute_maps(
        plan.exchange,
        statistics,
        observed,
        n_permutations=spec.n_permutations,
        seed=spec.seed,
        alternative="greater",
        progress=progress,
    )
    tested = maps.is_tested
    p, q = np.full((2, len(tested)), np.nan)
    p[tested] = null.cell_p()[tested]
    q[tested] = stats.false_discovery_control(p[tested], method="bh")
    frame = Frame(
        layers=cells.layers, grid=cells.grid, is_varying=np.isin(cells.layers, cells.varying_layers)
    )
    columns = frame.keys() | {"n": _counts(cells, samples)}
    for name, values in (
        ("statistic", observed),
        ("p", p),
        ("q", q),
        ("p_fwe", null.family_p(observed, null.scores)),
    ):
        columns[name] = frame.spread(np.where(tested, values, np.nan))
    columns["is_tested"] = frame.spread(tested.astype(np.float64)) == 1
    columns |= _standing_out(cells, maps, names, of_sample, frame=frame)
    table = as_table(columns, OMNIBUS_SCHEMA)
    found = table.filter(pc.less_equal(table["p_fwe"], ALPHA))
    return LabelComparison(
        labels=names,
        n_samples=tuple(np.bincount(of_sample[samples], minlength=len(names)).tolist()),
        left_out=left_out,
        spec=spec,
        layers=cells.layers,
        degenerate_layers=cells.degenerate_layers,
        grid=cells.grid,
        n_tested=int(tested.sum()),
        facts=design_facts(plan, n_permutations=null.n, is_exact=null.is_exact),
        cells=table,
        nulls=null.table(),
        sentences=(
            f"{len(names)} labels were compared ({len(samples):,} samples).",
            *([f"Left out, with fewer than {FEWEST} samples: {', '.join(left_out)}."] if left_out else ()),
            *exchange_sentences(plan.exchange, spec, plan.strata.words, [repr(name) for name in names]),
            count_sentence(null, spec, plan.smallest_p),
            *layer_sentence(cells.degenerate_layers),
            f"The labels differ in {found.num_rows:,} of {int(tested.sum()):,} cells tested (family-wise p "
            f"<= {ALPHA}).",
        ),
    )


def labels_to_compare(
    cells: LabelledCells, labels: Sequence[str] | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels to compare, by default those with at least 2 samples, and those left out.

    Raises:
        UnknownName: there is no such label.
        InvalidInput: fewer than 2 are left.
    """
    counts = cells.label_counts()
    if labels is None:
        names = tuple(label for label in cells.labels if counts[label] >= FEWEST)
        left_out = tuple(label for label in cells.labels if counts[label] < FEWEST)
    else:
        names, left_out = checked_labels(cells, labels), ()
    if len(names) < 2:
        raise InvalidInput(
            f"{len(names)} of the labels have {FEWEST} samples with a cell in {cells.where}; to compare "
            "labels takes at least 2"
        )
    return names, left_out


def _counts(cells: LabelledCells, samples: Int64) -> Int64:
    n_cells = cells.grid**2
    return np.concatenate([np.bincount(row[samples], minlength=n_cells) for row in cells.codes])


def _standing_out(
    cells: LabelledCells, maps: MapMaker, names: Sequence[str], of_sample: Int64, *, frame: Frame
) -> Columns:
    """The label with the largest absolute score of each cell, and that score."""
    own = maps.exchange.unit_labels[None]
    scores = np.stack([maps.scores(own, label=label)[0] for label in range(len(names))])
    which = np.abs(scores).argmax(axis=0)
    largest = np.take_along_axis(scores, which[None], axis=0)[0]
    shares = np.zeros_like(scores)
    for label in range(len(names)):
        counts = _counts(cells, np.flatnonzero(of_sample == label))[frame.in_family]
        shares[label] = counts / max((of_sample == label).sum(), 1)
    named = np.full(len(frame.in_family), None, dtype=object)
    named[np.flatnonzero(frame.in_family)[maps.is_tested]] = np.array(names, dtype=object)[
        which[maps.is_tested]
    ]
    share = np.take_along_axis(shares, which[None], axis=0)[0]
    return {
        LABEL: named,
        "label_score": frame.spread(np.where(maps.is_tested, largest, np.nan)),
        "label_share": frame.spread(np.where(maps.is_tested, share, np.nan)),
    }
