"""Whether a label's samples in one cell go to a cell of the next layer more, or less, than by chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from llm_mri_store.analysis.cell_pairs import largest_scores, pair_cells
from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_sides import FEWEST
from llm_mri_store.analysis.contrast_spec import ALPHA, ContrastSpec
from llm_mri_store.analysis.contrast_strata import cut_strata
from llm_mri_store.analysis.contrast_tables import as_column
from llm_mri_store.analysis.contrast_words import layer_sentence
from llm_mri_store.analysis.hypergeometric import can_pass
from llm_mri_store.analysis.null_statistics import family_p
from llm_mri_store.analysis.relabelings import refuse_one_sided
from llm_mri_store.analysis.step_edges import EDGE_NAME_FIELDS, edge_names
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.records.jobs import ProgressCallback, no_progress
from llm_mri_store.schema import LABEL

Int64 = npt.NDArray[np.int64]

_DEFAULT: Final = ContrastSpec()

COUPLINGS_SCHEMA: Final = pa.schema(
    [
        (LABEL, pa.string()),
        *EDGE_NAME_FIELDS,
        *((name, pa.int64()) for name in ("weight", "n_from", "n_to", "n")),
        *((name, pa.float64()) for name in ("expected", "lift", "z")),
        ("is_tested", pa.bool_()),
        *((name, pa.float64()) for name in ("score", "p", "q", "p_fwe")),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeCouplings:
    """A label's edges against chance, given how many of its samples each cell holds.

    Attributes:
        label: the label; None for all samples pooled.
        spec: every choice of what is permuted.
        min_cell: see ``edge_couplings``.
        n_samples: samples of the label that have cells.
        n_edges: edges that one of them takes.
        n_tested: pairs of cells tested: the family of q and of p_fwe.
        n_strata: strata within which cells were permuted.
        smallest_p: the smallest p_fwe that can be had.
        edges: a row per edge and per tested pair of cells, see ``edge_couplings``.
        sentences: what was done and found.
    """

    label: str | None
    spec: ContrastSpec
    min_cell: int
    n_samples: int
    n_edges: int
    n_tested: int
    n_strata: int
    smallest_p: float
    edges: pa.Table
    sentences: tuple[str, ...]


def edge_couplings(
    cells: LabelledCells,
    label: str | None = None,
    *,
    spec: ContrastSpec = _DEFAULT,
    min_cell: int = 3,
    progress: ProgressCallback = no_progress,
) -> EdgeCouplings:
    """Tests of a label's edges against independence of neighbouring layers.

    The null: among the label's samples (of a stratum), the cell at one layer says nothing of the cell at the
    next. How many samples each cell holds is kept; the weight of an edge is then hypergeometric, and over
    strata a sum of such. In a transformer a layer adds to what the layer before hands it, so coupling is no
    surprise; how strong it is, which edges break it, and where two labels differ in it, may be.

    Tested are pairs of cells that both hold ``min_cell`` samples, whether or not an edge joins them, and
    whose p could pass a correction for their number, whatever the weight (``hypergeometric.can_pass``). Both
    follow from what the null keeps. To test the edges that are there would be to choose by what is tested:
    two cells of one sample each are joined by chance once in n, and where they are, that one edge is always
    "significant".

    Args:
        cells: cells and labels; with the covariates that ``spec`` names.
        label: a label; None pools all samples.
        spec: strata, permutations and seed.
        min_cell: samples of the label that both cells of a tested pair hold, at least 1; bounds the work.
        progress: told after each batch of permutations.

    Returns:
        Couplings. Their table ``edges`` has a row per edge, and per tested pair of cells that no sample
        joins, in the order of layer and cells: label, layer, next_layer, source, target, from_x, from_y,
        to_x, to_y, ``weight``, ``n_from``, ``n_to``, ``n``, ``expected``, ``lift`` as in the query ``edges``
        (with strata, expected is the sum of theirs), and

        * ``z``: (weight - expected) / standard deviation under the null.
        * ``is_tested``, and NULL in what follows where it is not.
        * ``score``: the two-sided p as the normal deviate that has it, > 0 for more than expected.
        * ``p``: of the edge by itself, exact (``hypergeometric.exact_counts``): as small as its counts make
          it, so that q is not held up by the number of permutations. ``q``: p adjusted by Benjamini &
          Hochberg (1995) over all pairs tested. Counts are discrete, so both err to the safe side.
        * ``p_fwe``: by the smallest p of all tested pairs of the label (minP of Westfall & Young,
          "Resampling-Based Multiple Testing" (1993), section 2.3), cells permuted among samples at each
          layer. It holds where neighbouring layers are independent throughout.

    Raises:
        UnknownName: there is no such label, or a covariate was not read.
        InvalidInput: the label has fewer than 2 samples, a one-sided alternative or groups are asked for, or
            there are too many pairs.

    >>> codes = np.repeat(np.array([[0, 3], [1, 2]], dtype=np.int32), 10, axis=1)
    >>> cells = LabelledCells(layers=(0, 1), grid=2, codes=codes, labels=("true",),
    ...     label_codes=np.zeros(20, dtype=np.int32), sample_ids=np.arange(20))
    >>> found = edge_couplings(cells, "true", spec=ContrastSpec(n_permutations=199)).edges
    >>> found.select(["weight", "lift", "p_fwe"]).to_pylist()[1]
    {'weight': 0, 'lift': 0.0, 'p_fwe': 0.005}
    """
    samples = _samples(cells, label)
    refuse_one_sided(spec, "edges")
    if spec.groups is not None:
        raise InvalidInput(
            "cells are permuted among single samples to test couplings; leave groups out, and read p as that "
            "of independent samples"
        )
    if min_cell < 1:
        raise InvalidInput(f"min_cell is {min_cell}; expected at least 1, such as 3")
    columns = {name: cells.covariate(name).take(pa.array(samples)) for name in spec.strata}
    alone = np.full(samples.size, -1)
    strata = cut_strata(columns, n_samples=samples.size, n_bins=spec.n_bins, whole=alone)
    pairs = pair_cells(cells, samples, strata.codes, min_cell=min_cell)
    tested = pairs.is_large.copy()
    tested[tested] = can_pass(pairs.counts.smallest_p()[tested])
    p = pairs.counts.p_of(pairs.weight)
    deviates = np.copysign(stats.norm.isf(pairs.counts.p / 2), pairs.counts.score)
    score = deviates[pairs.counts.entries(pairs.weight)]
    q, p_fwe = np.full(p.size, np.nan), np.full(p.size, np.nan)
    if tested.any():
        largest = largest_scores(pairs, tested, deviates, spec=spec, progress=progress)
        q[tested] = stats.false_discovery_control(p[tested], method="bh")
        p_fwe[tested] = family_p(np.abs(score[tested]), largest, is_exact=False)
    expected = pairs.counts.mean
    numbers = {
        "weight": pairs.weight,
        "n_from": pairs.n_from,
        "n_to": pairs.n_to,
        "n": np.full(p.size, samples.size),
        "expected": expected,
        "lift": np.divide(pairs.weight, expected, out=np.full(p.size, np.nan), where=expected > 0),
        "z": pairs.counts.z_of(pairs.weight),
        "is_tested": tested,
        "score": np.where(tested, score, np.nan),
        "p": np.where(tested, p, np.nan),
        "q": q,
        "p_fwe": p_fwe,
    }
    named = edge_names(cells.layers, cells.grid, place=pairs.place, ends=(pairs.from_cell, pairs.to_cell))
    named[LABEL] = pa.repeat(pa.scalar(label, pa.string()), p.size)
    table = pa.table(
        [
            named[field.name] if field.name in named else as_column(numbers[field.name], field.type)
            for field in COUPLINGS_SCHEMA
        ],
        schema=COUPLINGS_SCHEMA,
    )
    return EdgeCouplings(
        label=label,
        spec=spec,
        min_cell=min_cell,
        n_samples=samples.size,
        n_edges=int((pairs.weight > 0).sum()),
        n_tested=int(tested.sum()),
        n_strata=strata.n_strata,
        smallest_p=1 / (spec.n_permutations + 1),
        edges=table,
        sentences=tuple(_sentences(cells, table, label, spec, min_cell=min_cell, words=strata.words)),
    )


def _samples(cells: LabelledCells, label: str | None) -> Int64:
    if label is None:
        return np.arange(cells.n_samples)
    if label not in cells.labels:
        raise UnknownName("label", label, known=cells.labels, where=cells.where)
    samples = np.flatnonzero(cells.label_codes == cells.labels.index(label))
    if samples.size < FEWEST:
        raise InvalidInput(
            f"{label!r} has {samples.size} sample{'s' if samples.size != 1 else ''} with a cell in "
            f"{cells.where}; at least {FEWEST} are needed to tell their edges from chance"
        )
    return samples


def _sentences(
    cells: LabelledCells,
    table: pa.Table,
    label: str | None,
    spec: ContrastSpec,
    *,
    min_cell: int,
    words: tuple[str, ...],
) -> list[str]:
    who = "All samples" if label is None else f"The samples of {label!r}"
    n_samples = table["n"][0].as_py() if table.num_rows else 0
    within = f" that agree in {' and '.join(words)}" if words else ""
    tested = table.filter(table["is_tested"])
    sentences = [
        f"{who} ({n_samples:,}) keep the number that each cell holds; which sample is in which, was permuted "
        f"among samples{within} {spec.n_permutations:,} times with seed {spec.seed}.",
        *layer_sentence(cells.degenerate_layers),
    ]
    if not tested.num_rows:
        return [
            *sentences,
            f"No pair of cells was tested: none hold {min_cell} samples each, and enough to tell them from "
            "chance.",
        ]
    found = tested.filter(pc.less_equal(tested["p_fwe"], ALPHA))
    more = pc.sum(pc.greater(found["score"], 0)).as_py() or 0
    exploratory = pc.sum(pc.less_equal(tested["q"], ALPHA)).as_py()
    return [
        *sentences,
        f"Of {tested.num_rows:,} pairs of cells that hold {min_cell} samples each, {more:,} are joined by "
        f"more samples than chance allows and {found.num_rows - more:,} by fewer (family-wise p <= {ALPHA}); "
        f"{exploratory:,} have q <= {ALPHA} (false discovery rate, for exploration).",
    ]
