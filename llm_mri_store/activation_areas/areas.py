"""LLM-MRI's main class: a model, a corpus and a reducer in; maps and graphs out."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import networkx as nx
import pyarrow as pa

from llm_mri_store.activation_areas.methods import PCA, UMAP, ReductionMethod
from llm_mri_store.api.reduction import Reduction
from llm_mri_store.api.scan_options import ScanOptions
from llm_mri_store.api.store import Store
from llm_mri_store.api.table import Table
from llm_mri_store.errors import InvalidInput
from llm_mri_store.records.jobs import ProgressCallback, no_progress

if TYPE_CHECKING:
    import altair as alt
    from transformers import PreTrainedModel

    from llm_mri_store.extraction.sources import CorpusLike

Category: TypeAlias = str | int
"""A label, by its name; whole numbers and booleans stand for labels that are such."""

_LOGGER: Final = logging.getLogger("llm_mri_store")


class ActivationAreas:
    """Where in a model's layers the categories of a corpus lie.

    Args:
        model: a Hugging Face Hub id, a folder, or a loaded model.
        dataset: a datasets.Dataset or any other corpus ``Store.scan`` reads, with ``text`` and ``label``.
        reduction_method: ``PCA(...)``, ``SVD(...)`` or ``UMAP(...)``; by default ``PCA()``.
        device: cpu (as by default), cuda, ... or auto; a loaded model stays where it is.
        store: where scans are kept; by default as ``Store()`` has it. A scan that is there is not run again.
        site: where in a block activations are read, see ``Store.scan``; LLM-MRI has only the residual stream.
        pooling: auto (first token of an encoder, as LLM-MRI; last token of a causal model), first, last,
            mean or max.
        options: anything else ``Store.scan`` may be told, such as ``{"split": "train"}``.
    """

    def __init__(
        self,
        model: str | Path | PreTrainedModel,
        dataset: CorpusLike,
        reduction_method: ReductionMethod | None = None,
        device: str | None = None,
        *,
        store: Store | None = None,
        site: str = "residual",
        pooling: str = "auto",
        options: ScanOptions | None = None,
    ) -> None:
        self.model = model
        self.dataset = dataset
        self.reduction_method = reduction_method or PCA()
        self.device = device or ("cpu" if isinstance(model, str | Path) else "auto")
        self.store = store or Store()
        self.site = site
        self.pooling = pooling
        self.options = options
        self._reduction: Reduction | None = None

    def process_activation_areas(self, *, progress: ProgressCallback = no_progress) -> Reduction:
        """Scans the corpus and reduces every layer, or finds both in the store.

        Raises:
            CorpusError, ModelError, ReductionError: it cannot be done.
        """
        options: ScanOptions = {"device": str(self.device), **(self.options or {})}
        scan = self.store.scan(
            self.model, self.dataset, site=self.site, pooling=self.pooling, progress=progress, **options
        )
        self._reduction = self.reduction_method.reduce(scan, progress=progress)
        return self._reduction

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
    def class_names(self) -> list[str]:
        """The categories, sorted."""
        return list(self.reduction.scan().labels)

    @property
    def reduced_dataset(self) -> Table:
        """The points of every layer: sample_id, label, hidden_state_0, hidden_state_1 ..."""
        samples = self.reduction.scan().samples().arrow.select(["sample_id", "label"])
        for layer in self.reduction.layers:
            points = pa.array(list(self.reduction.points(layer)))
            samples = samples.append_column(f"hidden_state_{layer}", points)
        return Table(samples)

    def get_grid(self, layer: int | str, category: Category | None = None) -> alt.TopLevelMixin:
        """Heatmap of one layer, of one category or of all samples.

        Args:
            layer: 0-based, or LLM-MRI's ``"hidden_state_6"``.
            category: the label.

        Raises:
            UnknownName: there is no such layer or label.
            ReductionError: there is no grid, for the components are not 2.
        """
        label = None if category is None else _labels_of(category)[0]
        return self.reduction.plot.heatmap(_layer_number(layer), label)

    def get_graph(
        self,
        categories: Category | Sequence[Category] | None = None,
        threshold: float | str | None = None,
        gridsize: int | None = None,
    ) -> nx.DiGraph[str]:
        """The NRAG of one or any number of categories; of all by default.

        Edges carry LLM-MRI's attributes too: ``level``, the layer of the source, and ``label``, the
        category that holds most of the weight. As in LLM-MRI a graph of components has them all as
        nodes, one of cells those that have an edge (all occupied ones where there is no edge).

        Args:
            categories: labels.
            threshold: with more than 2 components the least |rho| (0.3 by default) or a percentile such
                as ``"95%"``; with 2 it has no meaning, as in LLM-MRI.
            gridsize: another grid over the same 2 components; no meaning with more.

        Raises:
            UnknownName: there is no such label.
            InvalidInput: the list is empty, or the threshold cannot be used.
        """
        reduction = self._on_grid(gridsize)
        labels = None if categories is None else _labels_of(categories)
        if reduction.spec.grid is None:
            graph = reduction.graph(labels, threshold=threshold, isolated=True)
        else:
            graph = reduction.graph(labels)
            if graph.number_of_edges() == 0:
                graph = reduction.graph(labels, isolated=True)
        for source, _, edge in graph.edges(data=True):
            weights: Mapping[str, float] = edge["label_weights"]
            edge["level"] = graph.nodes[source]["layer"]
            edge["label"] = max(weights, key=lambda label: weights[label])
        return graph

    def get_graph_image(
        self, graph: nx.DiGraph[str], colormap: str = "coolwarm", fix_node_positions: bool = True
    ) -> alt.TopLevelMixin:
        """Drawing of a graph of ``get_graph``, layer 0 on top.

        Args:
            graph: of ``get_graph``.
            colormap: understood for LLM-MRI's sake and not used, which another one than the default is
                told in the log: two labels go from blue to orange, which all readers can tell apart.
            fix_node_positions: place nodes as in the graph of all categories.
        """
        if colormap != "coolwarm":
            _LOGGER.warning("colormap %r is not used: two labels are drawn from blue to orange", colormap)
        reduction = self._on_grid(graph.graph.get("grid"))
        return reduction.plot.drawing(graph, fixed=fix_node_positions)

    def _on_grid(self, gridsize: int | None) -> Reduction:
        """The reduction, or the same one under another grid."""
        grid = self.reduction.spec.grid
        if gridsize is None or grid is None or gridsize == grid:
            return self.reduction
        return replace(self.reduction_method, gridsize=gridsize).reduce(self.reduction.scan())


class LLM_MRI(ActivationAreas):  # noqa: N801 - the older package's own name
    """The older package's class: the reduction, a UMAP, is chosen when the corpus is processed.

    Args:
        model, device, dataset, store, pooling, options: as ``ActivationAreas``, in the older package's order.
    """

    def __init__(
        self,
        model: str | Path | PreTrainedModel,
        device: str | None,
        dataset: CorpusLike,
        *,
        store: Store | None = None,
        pooling: str = "auto",
        options: ScanOptions | None = None,
    ) -> None:
        super().__init__(model, dataset, UMAP(), device, store=store, pooling=pooling, options=options)

    def process_activation_areas(
        self, map_dimension: int = 10, *, progress: ProgressCallback = no_progress
    ) -> Reduction:
        """Scans the corpus and maps every layer onto a grid of ``map_dimension`` cells an axis."""
        self.reduction_method = UMAP(gridsize=map_dimension)
        return super().process_activation_areas(progress=progress)

    def get_layer_image(self, layer: int | str, category: Category | None = None) -> alt.TopLevelMixin:
        """Heatmap of one layer: ``get_grid`` by its older name."""
        return self.get_grid(layer, category)

    def get_composed_graph(self, category1: Category, category2: Category) -> nx.DiGraph[str]:
        """The NRAG of two categories, each edge with the weight of both."""
        return self.get_graph([category1, category2])


def _layer_number(layer: int | str) -> int:
    words = str(layer).removeprefix("hidden_state_")
    if not words.isdigit():
        raise InvalidInput(f"{layer!r} is no layer; give a number, or a name such as hidden_state_6")
    return int(words)


def _labels_of(categories: Category | Sequence[Category]) -> list[str]:
    """Labels as the store holds them, each once: text, booleans in lower case."""
    several = [categories] if isinstance(categories, str | int) else categories
    names = [str(one).lower() if isinstance(one, bool) else str(one) for one in several]
    if not names:
        raise InvalidInput("the list of categories is empty; name at least one, or leave it out for all")
    return list(dict.fromkeys(names))
