"""Two reductions compared: a method of ``Reduction``, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_mri_store.api.methods import agreement_paragraph
from llm_mri_store.api.table import Table
from llm_mri_store.records.jobs import ProgressCallback, no_progress

if TYPE_CHECKING:
    from llm_mri_store.api.reduction import Reduction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class AgreementResult:
    """How far two reductions agree; it is of two scans, so no store keeps it.

    Attributes:
        reduction: A.
        other: B.
        n_samples: samples that were matched one by one; None where the texts differ.
        n_permutations, seed: how often samples changed places, and how these were drawn.
        layers: a row per pair of layers, a_layer and b_layer: agreement of cells (``ami``), of points
            (``cka``) and, where asked, of activations (``activation_cka``), against chance; without rows
            where the texts differ. Columns: ``analysis.agreement.compare_reductions``.
        metrics: metrics of the graphs side by side, a row per graph and metric; not tested.
        distances: how far these graphs are apart in shape, a row per graph and distance; not tested.
        sentences: what was done and found.
    """

    reduction: Reduction
    other: Reduction
    n_samples: int | None
    n_permutations: int
    seed: int
    layers: Table
    metrics: Table
    distances: Table
    sentences: tuple[str, ...]

    @property
    def a(self) -> str:
        """A, as ``scan/reduction``."""
        return f"{self.reduction.scan_name}/{self.reduction.name}"

    @property
    def b(self) -> str:
        """B, likewise."""
        return f"{self.other.scan_name}/{self.other.name}"

    def methods(self) -> str:
        """A paragraph ready to paste: data, measures, permutations, adjustment, versions, references."""
        return agreement_paragraph(self)

    def __repr__(self) -> str:
        return "\n".join(self.sentences)


def compare_with(
    self: Reduction,
    other: Reduction,
    *,
    n_permutations: int = 999,
    seed: int = 0,
    activations: bool = False,
    progress: ProgressCallback = no_progress,
) -> AgreementResult:
    """How far it agrees with another reduction: of another model or site, or of random weights.

    Over the same texts, layer by layer and sample by sample, against chance; of other texts, only graphs
    side by side. Two scans are involved, so unlike the other tests it is not kept in a store.

    Args:
        self: the reduction that is asked, A.
        other: B, of the same store or another.
        n_permutations: how often the samples of B change places.
        seed: of that, and of intervals.
        activations: compare whole activations as well; time grows with the product of the numbers of layers
            and of the widths.
        progress: told after each step.

    Raises:
        InvalidInput: a choice cannot be used, samples are too few, or activations were removed.
        StoreCorrupt: a file is damaged.
    """
    from llm_mri_store.analysis.agreement import compare_reductions

    found = compare_reductions(
        self._place(),
        other._place(),
        n_permutations=n_permutations,
        seed=seed,
        activations=activations,
        progress=progress,
    )
    return AgreementResult(
        reduction=self,
        other=other,
        n_samples=found.n_samples,
        n_permutations=n_permutations,
        seed=seed,
        layers=Table(found.layers),
        metrics=Table(found.metrics),
        distances=Table(found.distances),
        sentences=found.sentences,
    )
