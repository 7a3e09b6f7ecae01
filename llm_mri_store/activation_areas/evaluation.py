"""LLM-MRI's evaluation: what a reduction loses of the label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from llm_mri_store.activation_areas.areas import ActivationAreas
from llm_mri_store.analysis.probe_spec import METRICS, Metric
from llm_mri_store.api.table import Table
from llm_mri_store.errors import InvalidInput

if TYPE_CHECKING:
    import altair as alt


class Evaluation:
    """How much of the label a reduction keeps, against the full activations.

    LLM-MRI sets the last layer's full activations against all layers' reduced ones, fits its reducers on the
    test rows too, and gives a mean. Here full and reduced are of the same layer and the same
    folds, reducers are fitted on the training rows, and every difference has an interval.

    Args:
        activation_areas: processed areas.
    """

    def __init__(self, activation_areas: ActivationAreas) -> None:
        self.activation_areas = activation_areas
        self._differences: Table | None = None
        self._scores: Table | None = None

    def evaluate_model(
        self,
        n_splits: int = 5,
        test_size: float = 0.3,
        random_state: int = 42,
        n_components: int | None = None,
        metrics: Metric | Sequence[Metric] | None = None,
    ) -> Table:
        """Score of full minus reduced activations, layer by layer, with confidence intervals.

        Args:
            n_splits: splits into training and test samples, at least. LLM-MRI draws each afresh, so that
                their test samples overlap; here they are the folds of repeats, in each of which every
                sample is tested once: 5 of 0.3 become 2 repeats of 3 folds.
            test_size: share of the samples that a split tests, about.
            random_state: seed of the folds.
            n_components: components of the reduced ones; those of the processed reduction by default.
            metrics: which scores; all six by default.

        Returns:
            layer, full, reduced (points, and cells where there is a grid), metric, mean (> 0: full is
            better), sd, ci_low, ci_high, n_folds, n_samples, n_labels.

        Raises:
            InvalidInput: a label has fewer samples than there are folds, there are fewer than 2 splits, or
                the reduction is a UMAP, which cannot place test rows.
        """
        from llm_mri_store.analysis.probe_scores import compare_features, summarise_scores

        reduction = self.activation_areas.reduction
        if reduction.spec.method == "umap":
            raise InvalidInput(
                "a UMAP cannot place the test rows of a fold, so full and reduced cannot be compared fairly; "
                "use PCA or SVD"
            )
        if n_splits < 2 or not 0 < test_size < 1:
            raise InvalidInput(
                f"n_splits is {n_splits} and test_size {test_size}; expected at least 2 splits, and a share "
                "between 0 and 1"
            )
        if n_components is not None and n_components != reduction.spec.n_components:
            method = replace(self.activation_areas.reduction_method, n_components=n_components)
            reduction = method.reduce(reduction.scan())
        n_folds = max(2, min(n_splits, round(1 / test_size)))
        folds = reduction.probe_folds(
            n_splits=n_folds,
            n_repeats=math.ceil(n_splits / n_folds),
            seed=random_state,
            metrics=METRICS if metrics is None else [metrics] if isinstance(metrics, str) else metrics,
        ).arrow
        kept = ("points",) if reduction.spec.grid is None else ("points", "cells")
        self._scores = Table(summarise_scores(folds))
        self._differences = Table(pa.concat_tables(compare_features(folds, reduced=one) for one in kept))
        return self._differences

    @property
    def scores(self) -> Table:
        """The scores behind the differences, and those of the baselines, as ``Reduction.probe`` gives them.

        Raises:
            InvalidInput: ``evaluate_model`` has not been called.
        """
        if self._scores is None:
            raise InvalidInput("call evaluate_model() first")
        return self._scores

    def display_metrics(self, differences: Table | None = None) -> alt.FacetChart:
        """Bars of the differences by layer, a panel for each score; lines are 95 % intervals.

        Args:
            differences: of ``evaluate_model``; those of its last call by default.

        Raises:
            InvalidInput: there are none yet.
        """
        shown = differences or self._differences
        if shown is None:
            raise InvalidInput("call evaluate_model() first")
        return _difference_chart(shown)


def _difference_chart(differences: Table) -> alt.FacetChart:
    import altair as alt

    from llm_mri_store.charts.theme import CATEGORICAL, INK, QUIET_INK, apply_theme

    order = ["points", "cells"]
    base = alt.Chart().encode(
        x=alt.X("layer:O", title="layer", axis=alt.Axis(labelAngle=0)),
        xOffset=alt.XOffset("reduced:N", sort=order),
    )
    bars = base.mark_bar().encode(
        y=alt.Y("mean:Q", title="full minus reduced"),
        color=alt.Color(
            "reduced:N", scale=alt.Scale(domain=order, range=list(CATEGORICAL[1:3])), title="reduced to"
        ),
        tooltip=["layer:O", "reduced:N", *(f"{one}:Q" for one in ("mean", "ci_low", "ci_high"))],
    )
    spans = base.mark_rule(color=INK).encode(y="ci_low:Q", y2="ci_high:Q")
    zero = alt.Chart().mark_rule(color=QUIET_INK, strokeWidth=0.5).encode(y=alt.datum(0))
    rows = [row | {"score": row["metric"].replace("_", " ")} for row in differences.rows()]
    panel = alt.layer(bars, spans, zero, data=alt.InlineData(values=rows)).properties(width=190, height=130)
    return apply_theme(
        panel.facet(alt.Facet("score:N", title=None), columns=3),
        title="What the reduction loses of the label, layer by layer",
        subtitle=[
            "Score of the full activations minus that of the reduced ones: above 0 the full ones are better.",
            f"Mean of {rows[0]['n_folds']} folds; lines are 95 % confidence intervals.",
        ],
        width_px=760,
    )
