"""Tests asked of a reduction: functions here, and methods of ``Reduction``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Unpack

from llm_mri_store.api.inference_options import (
    GRAPH_PERMUTATIONS,
    MIN_COUPLED,
    ContrastOptions,
    DesignOptions,
    EdgeOptions,
    contrast_spec,
)
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.jobs import ProgressCallback, no_progress

if TYPE_CHECKING:
    import pyarrow as pa

    from llm_mri_store.analysis.edge_nulls import Given
    from llm_mri_store.analysis.twins import Twin
    from llm_mri_store.api.inference_results import (
        ComparisonResult,
        ContrastResult,
        EdgeTestResult,
        InformationResult,
        LabelContrastResult,
    )
    from llm_mri_store.api.reduction import Reduction


def contrast(
    self: Reduction,
    a: str | Sequence[str],
    b: str | Sequence[str] | None = None,
    *,
    twin: str | None = None,
    name: str | None = None,
    save: bool = True,
    progress: ProgressCallback = no_progress,
    **options: Unpack[ContrastOptions],
) -> ContrastResult:
    """Where two labels lie in different cells, beyond chance; kept as rows, and read when asked again.

    Args:
        self: the reduction that is asked.
        a: a label, or several as one side.
        b: likewise; all other labels by default.
        twin: ``scan`` or ``scan/reduction`` of random weights over the same texts: what differs there as
            well needs no training (``twin_commands`` says how to make one).
        name: its name in the store; made of the labels by default.
        save: False keeps nothing.
        progress: told after each batch of relabelings.
        **options: see ``ContrastOptions``; ``strata="n_tokens"`` holds the length of texts constant.

    Raises:
        UnknownName: a label, covariate, scan or reduction is not there.
        InvalidInput: the choices cannot be used, nothing can be exchanged, or the twin is none.
        ReductionError: there is no grid.
        AlreadyThere: the name is taken by a test of other choices.
    """
    from llm_mri_store.analysis.kept_contrasts import kept_contrast
    from llm_mri_store.analysis.kept_results import Keeping
    from llm_mri_store.analysis.twins import as_twin
    from llm_mri_store.api.inference_results import contrast_result

    other = None if twin is None else find_twin(self, twin)

    @cache
    def of_twin() -> ContrastResult | None:
        if other is None:
            return None
        return other.contrast(a, b, name=name, save=save, progress=as_twin(progress), **options)

    kept = kept_contrast(
        self._place(),
        a,
        b,
        spec=contrast_spec(options),
        twin=_twin_of(other, of_twin),
        keeping=Keeping(name=name, save=save),
        progress=progress,
    )
    return contrast_result(self, kept, twin=of_twin())


def contrast_labels(
    self: Reduction,
    labels: Sequence[str] | None = None,
    *,
    name: str | None = None,
    save: bool = True,
    progress: ProgressCallback = no_progress,
    **options: Unpack[ContrastOptions],
) -> LabelContrastResult:
    """In which cells any of several labels differ, and then which pairs of them do.

    Args:
        self: the reduction that is asked.
        labels: at least 2; by default all that have at least 2 samples.
        name: as for ``contrast``, and so are the others.
        save: False keeps nothing.
        progress: told after each batch of relabelings, of all labels and of each pair.
        **options: see ``ContrastOptions``.

    Raises:
        LlmMriError: as ``contrast``.
    """
    from llm_mri_store.analysis.kept_contrasts import kept_label_contrast
    from llm_mri_store.analysis.kept_results import Keeping
    from llm_mri_store.api.inference_results import label_contrast_result

    kept = kept_label_contrast(
        self._place(),
        labels,
        spec=contrast_spec(options),
        keeping=Keeping(name=name, save=save),
        progress=progress,
    )
    return label_contrast_result(self, kept)


def edge_tests(
    self: Reduction,
    a: str | Sequence[str] | None = None,
    b: str | Sequence[str] | None = None,
    *,
    given: Given = "nothing",
    name: str | None = None,
    save: bool = True,
    progress: ProgressCallback = no_progress,
    **options: Unpack[EdgeOptions],
) -> EdgeTestResult:
    """Which edges more samples take than chance allows, or fewer: of one label, or of one against another.

    Args:
        self: the reduction that is asked.
        a: the label whose edges are held against what they were if neighbouring layers had nothing to do
            with each other; all samples pooled by default. With ``b``, a label or several as one side.
        b: the side whose edges are held against those of ``a``; ``"rest"`` for all other labels.
        given: with ``b``, what an edge's share is of: ``nothing``, all samples of a side, or ``source``,
            those in its source's cell.
        name: as for ``contrast``, and so are the others.
        save: False keeps nothing.
        progress: told after each batch of relabelings.
        **options: see ``EdgeOptions``.

    Raises:
        LlmMriError: as ``contrast``.
    """
    from llm_mri_store.analysis.kept_graphs import kept_couplings, kept_edge_differences
    from llm_mri_store.analysis.kept_results import Keeping
    from llm_mri_store.api.inference_results import edge_test_result

    spec, keeping = contrast_spec(options), Keeping(name=name, save=save)
    if b is None:
        if not (a is None or isinstance(a, str)) or given != "nothing":
            raise InvalidInput(
                "edges of one side are held against chance, those of one label or of all; to hold sides "
                "against each other name two, or 'rest' as the second"
            )
        min_cell = options.get("min_samples", MIN_COUPLED)
        kept = kept_couplings(
            self._place(), a, spec=spec, min_cell=min_cell, keeping=keeping, progress=progress
        )
    else:
        side = [] if a is None else a
        kept = kept_edge_differences(
            self._place(), side, b, spec=spec, given=given, keeping=keeping, progress=progress
        )
    return edge_test_result(self, kept)


def compare(
    self: Reduction,
    a: str | Sequence[str],
    b: str | Sequence[str] | None = None,
    *,
    n_rarefied: int | None = None,
    name: str | None = None,
    save: bool = True,
    progress: ProgressCallback = no_progress,
    **options: Unpack[DesignOptions],
) -> ComparisonResult:
    """Whether the graphs of two labels differ as wholes: distances between them, and their metrics.

    Args:
        self: the reduction that is asked.
        a: a label, or several as one side.
        b: likewise; all other labels by default.
        n_rarefied: samples of each side in rarefied numbers; those of the smaller side by default.
        name: as for ``contrast``, and so are the others.
        save: False keeps nothing.
        progress: told after each batch of relabelings, of which there are 999 by default.
        **options: see ``DesignOptions``.

    Raises:
        LlmMriError: as ``contrast``.
    """
    from llm_mri_store.analysis.kept_graphs import kept_comparison
    from llm_mri_store.analysis.kept_results import Keeping
    from llm_mri_store.api.inference_results import comparison_result

    chosen: DesignOptions = {"n_permutations": GRAPH_PERMUTATIONS, **options}
    kept = kept_comparison(
        self._place(),
        a,
        b,
        spec=contrast_spec(chosen),
        n_rarefied=n_rarefied,
        keeping=Keeping(name=name, save=save),
        progress=progress,
    )
    return comparison_result(self, kept)


def information(
    self: Reduction,
    labels: Sequence[str] | str | None = None,
    *,
    rest: bool = False,
    twin: str | None = None,
    name: str | None = None,
    save: bool = True,
    progress: ProgressCallback = no_progress,
    **options: Unpack[DesignOptions],
) -> InformationResult:
    """How much a sample's cell tells of its label, layer by layer, and what the next layer's cell adds.

    Counted, and held against labels handed out at random; ``ask("layer_information")`` counts alone.

    Args:
        self: the reduction that is asked.
        labels: which; all that have at least 2 samples by default.
        rest: ask whether a sample has one of these labels or any other.
        twin: as for ``contrast``, and so are the others.
        name: its name in the store.
        save: False keeps nothing.
        progress: told after each batch of relabelings.
        **options: see ``DesignOptions``.

    Raises:
        LlmMriError: as ``contrast``.
    """
    from llm_mri_store.analysis.kept_information import kept_information
    from llm_mri_store.analysis.kept_results import Keeping
    from llm_mri_store.analysis.twins import as_twin
    from llm_mri_store.api.inference_results import information_result

    wanted = [labels] if isinstance(labels, str) else labels
    other = None if twin is None else find_twin(self, twin)

    @cache
    def of_twin() -> InformationResult | None:
        if other is None:
            return None
        ask = partial(other.information, wanted, rest=rest, name=name, save=save)
        return ask(progress=as_twin(progress), **options)

    kept = kept_information(
        self._place(),
        wanted,
        rest=rest,
        spec=contrast_spec(options),
        twin=_twin_of(other, of_twin),
        keeping=Keeping(name=name, save=save),
        progress=progress,
    )
    return information_result(self, kept, twin=of_twin())


def _twin_of(
    other: Reduction | None, result: Callable[[], ContrastResult | InformationResult | None]
) -> Twin | None:
    """A twin and how to get what the same test came to there, once that is wanted."""
    from llm_mri_store.analysis.twins import Twin

    if other is None:
        return None

    def tables() -> Mapping[str, pa.Table]:
        found = result()
        return {} if found is None else found.kept.tables

    return Twin(place=other._place(), tables=tables)


def find_twin(self: Reduction, name: str) -> Reduction:
    """The reduction of a scan of random weights that stands as its twin.

    Args:
        self: the reduction that is asked.
        name: ``scan`` or ``scan/reduction``; without a reduction that of the same name, or the only one.

    Raises:
        UnknownName: there is no such scan or reduction.
        InvalidInput: it is no twin: of trained weights, of other texts, or made otherwise.
    """
    from llm_mri_store.analysis import twins

    found = twins.find_twin(self._place(), name)
    return type(self)(found.store, found.scan.name, found.reduction.name)


def twin_names(self: Reduction) -> list[str]:
    """Names of the store's scans that can stand as its twin."""
    from llm_mri_store.analysis import twins

    return twins.twin_names(self._place())


def twin_commands(self: Reduction) -> tuple[str, str]:
    """The commands that make its twin: a scan of the same texts with random weights, and its reduction.

    Model and corpus stand in them as the scan names them; put the path of a folder or file in its place.
    """
    from llm_mri_store.analysis import twins

    return twins.twin_commands(self._place())
