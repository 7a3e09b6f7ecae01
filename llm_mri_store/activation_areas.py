"""LLM-MRI's own names on this library: a user of that package changes one import.

Each method is a call of ``llm_mri_store.api``. What LLM-MRI computes rightly comes out as there; where it
errs, the right number comes out (docs/from-llm-mri.md lists both). Charts are Altair's instead of
matplotlib's, and everything computed is kept in a store.

>>> from llm_mri_store.activation_areas import PCA, ActivationAreas
>>> reducer = PCA(n_components=2, random_state=42, gridsize=10)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx
import pyarrow as pa

from llm_mri_store.analysis import graph_metrics as metrics_of
from llm_mri_store.analysis.probe_spec import METRICS, Metric
from llm_mri_store.api.reduction import Reduction
from llm_mri_store.api.scan import Scan
from llm_mri_store.api.store import Store
from llm_mri_store.api.table import Table
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records import Method, ProgressCallback, no_progress

if TYPE_CHECKING:
    import altair as alt
    from transformers import PreTrainedModel

    from llm_mri_store.extraction.sources import CorpusLike


@dataclass(frozen=True, kw_only=False)
class _ReductionMethod:
    """What LLM-MRI's three reducers have in common.

    Attributes:
        n_components: coordinates per sample and layer.
        random_state: seed of UMAP; PCA and SVD are exact and need none.
        gridsize: cells per axis, with 2 components.
    """

    n_components: int = 2
    random_state: int | None = 42
    gridsize: int = 10

    @property
    def method(self) -> Method:
        """Its name in this library."""
        methods: dict[str, Method] = {"PCA": "pca", "SVD": "svd", "UMAP": "umap"}
        return methods[type(self).__name__]


class PCA(_ReductionMethod):
    """Principal components of the standardised activations, exact."""


class SVD(_ReductionMethod):
    """Singular vectors of the standardised activations, exact."""


class UMAP(_ReductionMethod):
    """UMAP of the min-max scaled activations, seeded by ``random_state``."""


class ActivationAreas:
    """Where in a model's layers the categories of a corpus lie.

    Args:
        model: a Hugging Face Hub id, a folder, or a loaded model.
        dataset: a datasets.Dataset or any other corpus ``Store.scan`` reads, with ``text`` and ``label``.
        reduction_method: ``PCA``, ``SVD`` or ``UMAP``.
        device: cpu, cuda, ... or auto.
        store: where scans are kept; by default as ``Store()`` has it. A scan that is there is not run again.
        pooling: auto (first token of an encoder, as LLM-MRI; last token of a causal model), first, last,
            mean or max.
    """

    def __init__(
        self,
        model: str | PreTrainedModel,
        dataset: CorpusLike,
        reduction_method: _ReductionMethod | None = None,
        device: str = "cpu",
        *,
        store: Store | None = None,
        pooling: str = "auto",
    ) -> None:
        self.model = model
        self.dataset = dataset
        self.reduction_method = reduction_method or PCA()
        self.device = device
        self.store = store or Store()
        self.pooling = pooling
        self._reduction: Reduction | None = None

    def process_activation_areas(self, *, progress: ProgressCallback = no_progress) -> Reduction:
        """Scans the corpus and reduces every layer, or finds both in the store.

        Raises:
            CorpusError, ModelError, ReductionError: it cannot be done.
        """
        chosen = self.reduction_method
        scan = self._scan(progress)
        self._reduction = scan.reduce(
            chosen.method,
            n_components=chosen.n_components,
            grid=chosen.gridsize if chosen.n_components == 2 else None,
            seed=chosen.random_state or 0,
            name=_reduction_name(chosen),
            progress=progress,
        )
        return self._reduction

    def _scan(self, progress: ProgressCallback) -> Scan:
        return self.store.scan(
            self.model, self.dataset, device=self.device, pooling=self.pooling, progress=progress
        )

    @property
    def reduction(self) -> Reduction:
        """The reduction of this library that everything is asked of.

        Raises:
            InvalidInput: ``process_activation_areas`` has not been called.
        """
        if self._reduction is None:
            raise InvalidInput("call process_activation_areas() first")
        return self._reduction

    @property
    def num_layers(self) -> int:
        """Hidden states, the embedding output included."""
        return len(self.reduction.layers)

    @property
    def reduced_dataset(self) -> Table:
        """The points of every layer: sample_id, label, hidden_state_0, hidden_state_1 ..."""
        samples = self.reduction.scan().samples().arrow.select(["sample_id", "label"])
        for layer in self.reduction.layers:
            points = pa.array(list(self.reduction.points(layer)))
            samples = samples.append_column(f"hidden_state_{layer}", points)
        return Table(samples)

    def get_grid(self, layer: int | str, category: str | None = None) -> alt.TopLevelMixin:
        """Heatmap of one layer, of one category or of all samples.

        Args:
            layer: 0-based, or LLM-MRI's ``"hidden_state_6"``.
            category: the label.
        """
        return self.reduction.plot.heatmap(_layer_number(layer), category)

    def get_graph(
        self, categories: str | Sequence[str] | None = None, threshold: float | str | None = None
    ) -> nx.DiGraph[str]:
        """The NRAG of one or any number of categories; of all by default.

        With more than 2 components, ``threshold`` is the least |rho| (0.3 by default) or a percentile such
        as ``"95%"``. With 2 it has no meaning, as in LLM-MRI. Edges carry LLM-MRI's attributes too:
        ``level``, the layer of the source, and ``label``, the category that holds most of the weight.
        """
        has_grid = self.reduction.spec.grid is not None
        graph = self.reduction.graph(categories, threshold=None if has_grid else threshold)
        for source, _, edge in graph.edges(data=True):
            weights: Mapping[str, float] = edge["label_weights"]
            edge["level"] = graph.nodes[source]["layer"]
            edge["label"] = max(weights, key=lambda label: weights[label])
        return graph

    def get_graph_image(
        self, graph: nx.DiGraph[str], colormap: str | None = None, fix_node_positions: bool = True
    ) -> alt.TopLevelMixin:
        """Drawing of a graph of ``get_graph``, layer 0 on top.

        Args:
            graph: of ``get_graph``.
            colormap: taken for LLM-MRI's sake; colours here are chosen to be told apart by all readers.
            fix_node_positions: place nodes as in the graph of all categories.
        """
        return self.reduction.plot.drawing(graph, fixed=fix_node_positions)


class LLM_MRI(ActivationAreas):  # noqa: N801 - the older package's own name
    """The older package's class: the reduction, a UMAP, is chosen when the corpus is processed.

    Args:
        model, device, dataset: as ``ActivationAreas``, in the older package's order.
    """

    def __init__(
        self,
        model: str | PreTrainedModel,
        device: str,
        dataset: CorpusLike,
        *,
        store: Store | None = None,
        pooling: str = "auto",
    ) -> None:
        super().__init__(model, dataset, UMAP(), device, store=store, pooling=pooling)

    def process_activation_areas(
        self, map_dimension: int = 10, *, progress: ProgressCallback = no_progress
    ) -> Reduction:
        """Scans the corpus and maps every layer onto a grid of ``map_dimension`` cells an axis."""
        self.reduction_method = UMAP(gridsize=map_dimension)
        return super().process_activation_areas(progress=progress)

    def get_layer_image(self, layer: int | str, category: str | None = None) -> alt.TopLevelMixin:
        """Heatmap of one layer: ``get_grid`` by its older name."""
        return self.get_grid(layer, category)

    def get_composed_graph(self, category1: str, category2: str) -> nx.DiGraph[str]:
        """The NRAG of two categories, each edge with the weight of both."""
        return self.get_graph([category1, category2])


class Metrics:
    """Numbers that describe a graph.

    Args:
        graph: of ``get_graph``.
        model: name of the model, for the row.
        label: the category, for the row. LLM-MRI's documentation gives model and label in this order and
            its code takes them in the other; both are understood where the graph has the label.
    """

    def __init__(self, graph: nx.DiGraph[str], model: object = None, label: object = None) -> None:
        labels = set(graph.graph.get("labels", ()))
        if model in labels and label not in labels:
            model, label = label, model
        self.graph = graph
        self.model_name = None if model is None else str(model)
        self.label = None if label is None else str(label)

    def get_basic_metrics(self) -> dict[str, float | int | str | None]:
        """One row of named numbers; their definitions stand in docs/metrics.md."""
        return {**metrics_of.graph_metrics(self.graph), "model_name": self.model_name, "label": self.label}

    def get_degree_by_layer(self) -> Table:
        """Degrees and strengths by layer."""
        return Table(metrics_of.degree_by_layer(self.graph))

    def get_graph_center_of_mass(self) -> float | None:
        """Mean relative depth of the nodes, in [0, 1]."""
        return metrics_of.center_of_mass(self.graph)

    def get_graph_center_of_strength(self) -> float | None:
        """Mean relative depth of the nodes weighted by strength, in [0, 1]."""
        return metrics_of.center_of_strength(self.graph)

    def get_projection_metrics_even(self) -> dict[str, float | int | None]:
        """Numbers of the projection onto the even layers."""
        return metrics_of.projection_metrics(self.graph, parity="even")

    def get_projection_metrics_odd(self) -> dict[str, float | int | None]:
        """Numbers of the projection onto the odd layers."""
        return metrics_of.projection_metrics(self.graph, parity="odd")


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

    def evaluate_model(
        self,
        n_splits: int = 5,
        test_size: float | None = None,
        random_state: int = 42,
        n_components: int | None = None,
        metrics: Sequence[Metric] = METRICS,
    ) -> Table:
        """Score of full minus reduced activations, layer by layer, with confidence intervals.

        Args:
            n_splits: folds of a repeat (LLM-MRI: splits, which overlap).
            test_size: understood for LLM-MRI's sake: the folds become as many as make a test share of it.
            random_state: seed of the folds.
            n_components: components of the reduced ones; those of the processed reduction by default.
            metrics: which scores.

        Returns:
            layer, full, reduced, metric, mean (> 0: full is better), sd, ci_low, ci_high, n_folds, ...

        Raises:
            InvalidInput: a label has fewer samples than there are folds, or the reduction is a UMAP, which
                cannot place test rows.
        """
        from llm_mri_store.analysis.probe_scores import compare_features

        reduction = self.activation_areas.reduction
        if n_components is not None and n_components != reduction.spec.n_components:
            method = reduction.spec.method
            reduction = reduction.scan().reduce(method, n_components=n_components, seed=reduction.spec.seed)
        if reduction.spec.method == "umap":
            raise InvalidInput(
                "a UMAP cannot place the test rows of a fold, so full and reduced cannot be compared fairly; "
                "use PCA or SVD"
            )
        folds = n_splits if test_size is None else max(2, round(1 / test_size))
        scores = reduction.probe_folds(n_splits=folds, seed=random_state, metrics=metrics)
        self._differences = Table(compare_features(scores.arrow, full="activations", reduced="points"))
        return self._differences

    def display_metrics(self) -> Table:
        """The differences of the last ``evaluate_model``.

        Raises:
            InvalidInput: there are none yet.
        """
        if self._differences is None:
            raise InvalidInput("call evaluate_model() first")
        return self._differences


def _reduction_name(chosen: _ReductionMethod) -> str:
    grid = f"-grid{chosen.gridsize}" if chosen.n_components == 2 and chosen.gridsize != 10 else ""
    seed = f"-seed{chosen.random_state or 0}" if chosen.method == "umap" else ""
    return f"{chosen.method}-{chosen.n_components}{grid}{seed}"


def _layer_number(layer: int | str) -> int:
    words = str(layer).removeprefix("hidden_state_")
    if not words.isdigit():
        raise InvalidInput(f"{layer!r} is no layer; give a number, or a name such as hidden_state_6")
    return int(words)
