"""How much a sample's cell tells of its label, layer by layer: where the category is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_labels import labels_to_compare
from llm_mri_store.analysis.contrast_plan import DesignFacts, design_facts, plan_test
from llm_mri_store.analysis.contrast_sides import FEWEST, choose_sides
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.contrast_words import exchange_sentences
from llm_mri_store.analysis.information_counts import entropy_bits
from llm_mri_store.analysis.information_nulls import measure_layers, measure_steps
from llm_mri_store.analysis.information_tables import InformationFrame, layer_table, step_table
from llm_mri_store.analysis.information_words import information_sentences
from llm_mri_store.analysis.jackknife import leave_parts_out
from llm_mri_store.analysis.relabelings import (
    Relabelings,
    refuse_one_sided,
    relabeling_sentence,
)
from llm_mri_store.records.jobs import ProgressCallback, no_progress

Int64 = npt.NDArray[np.int64]

_DEFAULT: Final = ContrastSpec()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelInformation:
    """What cells tell of labels.

    Attributes:
        labels: the labels told apart; a label against all others is two.
        n_samples: samples of each.
        left_out: labels with fewer than 2 samples.
        spec: every choice of what is permuted.
        label_entropy: H(label) in bits, what there is to tell.
        n_parts: parts that were left out in turn for intervals; 0 where there are none.
        facts: what was exchanged, and how often.
        layers, steps: tables, see ``label_information``.
        sentences: what was done and found.
    """

    labels: tuple[str, ...]
    n_samples: tuple[int, ...]
    left_out: tuple[str, ...]
    spec: ContrastSpec
    label_entropy: float
    n_parts: int
    facts: DesignFacts
    layers: pa.Table
    steps: pa.Table
    sentences: tuple[str, ...]


def label_information(
    cells: LabelledCells,
    labels: Sequence[str] | None = None,
    *,
    rest: bool = False,
    spec: ContrastSpec = _DEFAULT,
    progress: ProgressCallback = no_progress,
) -> LabelInformation:
    """I(label; cell) of every layer and I(label; next cell | cell) of every step, with bands of chance.

    Information is counted exactly, in bits, and is above 0 by chance: so much the more, the more cells and
    the fewer samples there are. What chance alone gives is measured, by labels handed out again. Strata are
    held
    constant in that: what a covariate tells is then part of chance.

    Args:
        cells: cells and labels; with the covariates that ``spec`` names.
        labels: which; all that have at least 2 samples by default.
        rest: True asks how much a cell tells of whether a sample has one of these labels or any other.
        spec: what is permuted within what.
        progress: told after each batch of relabelings.

    Returns:
        Information. NULL stands for what cannot be said. Its table ``layers`` has a row per layer:

        * ``layer``, ``n`` samples, ``n_cells`` occupied.
        * ``information``: I(label; cell), plug-in, in bits; ``bias``, that of Miller and Madow;
          ``information_corrected``: their difference. All as in the query ``layer_information``.
        * ``by_chance``, ``by_chance_low``, ``by_chance_high``: mean, 2.5 % and 97.5 % points over
          relabelings. The mean is the bias where labels do not differ; Miller and Madow's is its first order,
          too small where cells are many.
        * ``band_fwe``: at no layer does chance reach above, in 95 % of relabelings.
        * ``excess``: information - by_chance, about 0 where the cell tells nothing, with its 95 % interval
          ``excess_low``, ``excess_high`` (``jackknife_interval``); ``excess_share``: excess / H(label).
          Where cells tell much, chance adds less, so excess is rather too small.
        * ``p``: share of relabelings with as much information; ``p_fwe``: over all layers, each in standard
          deviations from its mean over relabelings.
        * ``is_peak``: the layer of the largest excess; ``may_be_peak``: in the 95 % confidence set of where
          the peak is (``peak_candidates``).
        * ``note``: why a layer says nothing. A degenerate one has information 0 and no test.

        Its table ``steps`` has a row per pair of neighbouring layers: layer, next_layer, n, ``n_steps``
        (pairs of cells that samples step between), ``information``: I(label; next cell | cell), what the next
        layer's cell tells beyond this layer's, and the other columns likewise. The null keeps what the cell
        tells: labels are exchanged among samples of one cell.

    Raises:
        UnknownName: a label is not there, or a covariate was not read.
        InvalidInput: fewer than 2 labels, a one-sided alternative, or as ``contrast``.

    >>> codes = np.zeros((2, 60), dtype=np.int32)
    >>> codes[1, :30] = 3
    >>> cells = LabelledCells(layers=(0, 1), grid=2, codes=codes, labels=("true", "fake"),
    ...     label_codes=np.repeat(np.array([0, 1], dtype=np.int32), 30), sample_ids=np.arange(60))
    >>> found = label_information(cells, spec=ContrastSpec(n_permutations=199))
    >>> found.layers.select(["layer", "information", "p_fwe", "is_peak"]).to_pylist()[1]
    {'layer': 1, 'information': 1.0, 'p_fwe': 0.005, 'is_peak': True}
    """
    refuse_one_sided(spec, "several labels")
    asked = _asked(cells, labels, rest=rest)
    samples, label_codes = asked.samples, asked.codes
    plan = plan_test(cells, samples, label_codes, names=asked.words, spec=spec)
    relabelings = Relabelings(
        exchange=plan.exchange, labels=label_codes, n_permutations=spec.n_permutations, seed=spec.seed
    )
    codes = cells.codes[:, samples].astype(np.int64)
    codes[np.isin(cells.layers, cells.degenerate_layers)] = 0
    kept = leave_parts_out(label_codes, plan.groups, seed=spec.seed)
    entropy = entropy_bits(label_codes)
    frame = InformationFrame(
        layers=cells.layers, degenerate=cells.degenerate_layers, n_samples=samples.size, entropy=entropy
    )
    of_layers = measure_layers(codes, relabelings, kept, n_labels=len(asked.names), progress=progress)
    layer_rows = layer_table(of_layers, frame)
    of_steps = measure_steps(codes, relabelings, plan, kept, n_labels=len(asked.names), progress=progress)
    step_rows = step_table(of_steps, frame)
    facts = design_facts(plan, n_permutations=relabelings.n, is_exact=relabelings.is_exact)
    return LabelInformation(
        labels=asked.names,
        n_samples=tuple(np.bincount(label_codes, minlength=len(asked.names)).tolist()),
        left_out=asked.left_out,
        spec=spec,
        label_entropy=entropy,
        n_parts=0 if kept is None else kept.shape[1],
        facts=facts,
        layers=layer_rows,
        steps=step_rows,
        sentences=(
            f"What the cell tells of {asked.title} was counted on {samples.size:,} samples.",
            *(
                [f"Left out, with fewer than {FEWEST} samples: {', '.join(asked.left_out)}."]
                if asked.left_out
                else ()
            ),
            *exchange_sentences(plan.exchange, spec, plan.strata.words, asked.words),
            relabeling_sentence(facts, spec.seed),
            *information_sentences(
                layer_rows, step_rows, entropy=entropy, strata=spec.strata, has_intervals=kept is not None
            ),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Asked:
    """Which samples, and what is told apart: codes int64 (n,) of names, which words name in sentences."""

    names: tuple[str, ...]
    words: tuple[str, ...]
    left_out: tuple[str, ...]
    samples: Int64
    codes: Int64

    @property
    def title(self) -> str:
        """The labels in words, their number where they are many."""
        return " and ".join(self.words) if len(self.words) == 2 else f"{len(self.words)} labels"


def _asked(cells: LabelledCells, labels: Sequence[str] | None, *, rest: bool) -> _Asked:
    if rest:
        sides = choose_sides(cells, labels or ())
        names = (sides.name_a, sides.name_b)
        codes = np.where(sides.is_a, 0, 1).astype(np.int64)
        return _Asked(names=names, words=names, left_out=(), samples=sides.samples, codes=codes)
    chosen, left_out = labels_to_compare(cells, labels)
    number = np.full(len(cells.labels), -1, dtype=np.int64)
    number[[cells.labels.index(name) for name in chosen]] = np.arange(len(chosen))
    samples = np.flatnonzero(number[cells.label_codes] >= 0)
    return _Asked(
        names=chosen,
        words=tuple(repr(name) for name in chosen),
        left_out=left_out,
        samples=samples,
        codes=number[cells.label_codes[samples]],
    )
