"""Tests of a reduction as users hold them: rows, sentences, and a paragraph on what was done.

Their tables hold the rows of the views of SQL, of one test each and without the column ``result``. Facts are
its row of the view ``tests``: what was exchanged, how often, and what it came to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.api.methods import methods_paragraph
from llm_mri_store.api.peaks import peak_table
from llm_mri_store.api.table import Table

if TYPE_CHECKING:
    from llm_mri_store.analysis.kept_results import KeptResult
    from llm_mri_store.api.reduction import Reduction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class InferenceResult:
    """What every test has.

    Attributes:
        reduction: what was tested.
        kept: its rows, choices and versions.
    """

    reduction: Reduction
    kept: KeptResult

    @property
    def name(self) -> str:
        """Its name in the store, the column ``result`` of its rows."""
        return self.kept.spec.name

    @property
    def facts(self) -> Mapping[str, Any]:
        """Its row of ``tests``."""
        (facts,) = self.kept.tables[schema.TESTS].to_pylist()
        return dict(facts)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was done and found."""
        return tuple(self.facts["sentences"])

    def methods(self) -> str:
        """A paragraph ready to paste: data, statistic, relabelings, adjustment, versions, references."""
        return methods_paragraph(self.reduction, self.kept)

    def __repr__(self) -> str:
        return "\n".join(self.sentences)


class _OfTwoSides(InferenceResult):
    """A test of two sides."""

    __slots__ = ()

    @property
    def a(self) -> str:
        """The first side."""
        return str(self.facts["a"])

    @property
    def b(self) -> str:
        """The second side; ``rest`` stands for all others."""
        return str(self.facts["b"])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ContrastResult(_OfTwoSides):
    """Where two sides differ.

    Attributes:
        reduction, kept: as for ``InferenceResult``.
        cells: a row per layer and cell: the view ``contrasts``.
        clusters: a row per cluster, the heaviest first: ``contrast_clusters``.
        layers: a row per layer, the twin's beside it: ``contrast_layers``.
        balance: a row per numeric covariate held constant: ``contrast_balance``.
        nulls: a row per relabeling: ``nulls``.
        twin: the same contrast of the random twin; None without one.
    """

    cells: Table
    clusters: Table
    layers: Table
    balance: Table
    nulls: Table
    twin: ContrastResult | None

    def found(self, *, alpha: float = 0.05) -> Table:
        """The cells that differ by themselves, the clearest first.

        Args:
            alpha: level of the family-wise p, in (0, 1].
        """
        return _passing(self.cells, alpha)

    def peaks(
        self, *, alpha: float = 0.05, limit: int | None = None, n_words: int = 5, n_texts: int = 3
    ) -> Table:
        """The clusters that pass, each by its peak: the cell of its largest absolute score.

        A cluster passes by its mass, by its peak, or by its peak with TFCE.

        Args:
            alpha: level of the family-wise p, in (0, 1]; 1 lists every cluster.
            limit: clusters to list; all by default. Each takes a look at all texts of its layer.
            n_words: words of each peak.
            n_texts: texts of each peak.

        Returns:
            cluster, layer, ``more_of`` (the side that has more there), ``size`` in cells; of the peak cell_x,
            cell_y, share_a, share_b, score, p, q, p_fwe, p_tfce as in ``cells``; p_cluster; also_in_twin;
            ``words``, the most typical ones of the peak against its layer's other cells; ``texts``, the first
            ones of that side that lie in it.
        """
        side_a = _labels(self.kept, "a")
        side_b = _labels(self.kept, "b") or set(self.reduction.scan().labels) - side_a
        return peak_table(
            self.reduction,
            self.cells,
            self.clusters,
            (side_a, side_b),
            alpha=alpha,
            limit=limit,
            n_words=n_words,
            n_texts=n_texts,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LabelContrastResult(InferenceResult):
    """Where any of several labels differ, and which pairs of them do.

    Attributes:
        reduction, kept: as for ``InferenceResult``.
        cells: a row per layer and cell, all labels tested together: the view ``label_contrasts``.
        pairs: a row per pair of labels: ``label_pairs``.
    """

    cells: Table
    pairs: Table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class EdgeTestResult(InferenceResult):
    """Edges of one label against chance, or of two sides against each other.

    Attributes:
        reduction, kept: as for ``InferenceResult``.
        edges: a row per edge: the view ``edge_tests``; columns of the other kind of test are NULL.
        components: a row per connected set of edges that differ, the largest first: ``edge_components``.
    """

    edges: Table
    components: Table

    @property
    def a(self) -> str | None:
        """The first side, or the label; None for all samples pooled."""
        side: str | None = self.facts["a"]
        return side

    @property
    def b(self) -> str | None:
        """The second side; None where one label was tested."""
        side: str | None = self.facts["b"]
        return side

    def found(self, *, alpha: float = 0.05) -> Table:
        """The edges that pass by themselves, the clearest first.

        Args:
            alpha: level of the family-wise p, in (0, 1].
        """
        return _passing(self.edges, alpha)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class InformationResult(InferenceResult):
    """What a sample's cell tells of its label, layer by layer and step by step.

    Attributes:
        reduction, kept: as for ``InferenceResult``.
        layers: a row per layer: those of the view ``information`` without a next layer.
        steps: a row per pair of neighbouring layers: its other rows.
        twin: the same of the random twin; None without one.
    """

    layers: Table
    steps: Table
    twin: InformationResult | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ComparisonResult(_OfTwoSides):
    """The graphs of two sides compared as wholes.

    Attributes:
        reduction, kept: as for ``InferenceResult``.
        distances: a row per distance: the view ``graph_distances``.
        metrics: a row per metric: ``graph_metric_tests``.
    """

    distances: Table
    metrics: Table


def _labels(kept: KeptResult, side: str) -> set[str]:
    labels = kept.spec.parameters[side]
    return {str(label) for label in labels} if isinstance(labels, tuple) else set()


def _passing(rows: Table, alpha: float) -> Table:
    """Rows with a family-wise p of at most a level, the smallest p and the largest score first."""
    passing = rows.arrow.filter(pc.less_equal(rows.arrow["p_fwe"], alpha))
    keyed = passing.append_column("height", pc.abs(passing["score"]))
    order = [("p_fwe", "ascending"), ("height", "descending")]
    return Table(keyed.sort_by(order).drop_columns(["height"]))


def contrast_result(reduction: Reduction, kept: KeptResult, *, twin: ContrastResult | None) -> ContrastResult:
    """A contrast of its rows."""
    return ContrastResult(
        reduction=reduction,
        kept=kept,
        cells=Table(kept.tables["contrasts"]),
        clusters=Table(kept.tables["contrast_clusters"]),
        layers=Table(kept.tables["contrast_layers"]),
        balance=Table(kept.tables["contrast_balance"]),
        nulls=Table(kept.tables["nulls"]),
        twin=twin,
    )


def label_contrast_result(reduction: Reduction, kept: KeptResult) -> LabelContrastResult:
    """A contrast of several labels of its rows."""
    return LabelContrastResult(
        reduction=reduction,
        kept=kept,
        cells=Table(kept.tables["label_contrasts"]),
        pairs=Table(kept.tables["label_pairs"]),
    )


def edge_test_result(reduction: Reduction, kept: KeptResult) -> EdgeTestResult:
    """A test of edges of its rows."""
    return EdgeTestResult(
        reduction=reduction,
        kept=kept,
        edges=Table(kept.tables["edge_tests"]),
        components=Table(kept.tables["edge_components"]),
    )


def information_result(
    reduction: Reduction, kept: KeptResult, *, twin: InformationResult | None
) -> InformationResult:
    """Information of its rows."""
    rows = kept.tables[schema.INFORMATION]
    is_layer = pc.is_null(rows["next_layer"])
    return InformationResult(
        reduction=reduction,
        kept=kept,
        layers=Table(rows.filter(is_layer)),
        steps=Table(rows.filter(pc.invert(is_layer))),
        twin=twin,
    )


def comparison_result(reduction: Reduction, kept: KeptResult) -> ComparisonResult:
    """A comparison of graphs of its rows."""
    return ComparisonResult(
        reduction=reduction,
        kept=kept,
        distances=Table(kept.tables["graph_distances"]),
        metrics=Table(kept.tables["graph_metric_tests"]),
    )
