"""A scan as users hold it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from llm_mri_store.api.named import Named
from llm_mri_store.api.table import Table
from llm_mri_store.records.choices import Bins, Method
from llm_mri_store.records.jobs import ProgressCallback, no_progress
from llm_mri_store.records.reductions import ReductionSpec
from llm_mri_store.records.scans import ScanSpec
from llm_mri_store.records.words import span_words
from llm_mri_store.store import catalogue
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.selection import select
from llm_mri_store.store.tables import samples_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_mri_store.api.plot_scan import ScanPlot
    from llm_mri_store.api.reduction import Reduction


class ReductionOptions(TypedDict, total=False):
    """What a reduction may be told besides method, components and grid; see ``Scan.reduce``."""

    name: str | None
    bins: Bins
    seed: int
    scale: bool
    center: bool
    n_neighbors: int
    min_dist: float
    metric: str


class Scan:
    """One model over one corpus: its samples and their activations at every layer."""

    def __init__(self, store: StorePaths, name: str) -> None:
        self._store = store
        self.name = name
        catalogue.find_scan(store, name)

    def __repr__(self) -> str:
        spec = self.spec
        state = "" if self.is_complete else ", not complete"
        return f"Scan({self.name!r}: {spec.model} over {spec.n_samples:,} samples of {spec.corpus}{state})"

    def _entry(self) -> catalogue.ScanEntry:
        return catalogue.find_scan(self._store, self.name)

    @property
    def spec(self) -> ScanSpec:
        """Every input that decides the scan's rows."""
        return self._entry().spec

    @property
    def is_complete(self) -> bool:
        """True when every chunk is committed."""
        return self._entry().is_complete

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, sorted."""
        return self.spec.labels

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers kept; 0 is the embedding output."""
        return self.spec.layers

    @property
    def folder(self) -> Path:
        """Folder of the scan."""
        return self._entry().paths.folder

    @property
    def reductions(self) -> Mapping[str, Reduction]:
        """The reductions by name."""
        from llm_mri_store.api.reduction import Reduction

        paths = self._entry().paths
        return Named(
            lambda: catalogue.reduction_names(paths), lambda name: Reduction(self._store, self.name, name)
        )

    def samples(self) -> Table:
        """The samples: sample_id, text, label, n_tokens, truncated, status and the covariates."""
        import pyarrow as pa

        entry = self._entry()
        return Table(pa.concat_tables(samples_table(entry, chunk) for chunk in entry.chunks))

    def activations(self, layer: int) -> npt.NDArray[np.float32]:
        """The pooled activations of a layer, float32 (samples, hidden); NaN where a sample has none.

        Raises:
            UnknownName: the scan does not hold the layer.
        """
        from llm_mri_store.store.arrays import stored_activations

        return stored_activations(self._entry(), layer)

    def summary(self) -> Table:
        """Samples by label and in all, their lengths, and how many were left out and why."""
        from llm_mri_store.analysis.questions import ask

        return Table(ask(select(self._store, [self.name]), "scan_summary"))

    def quality(self, *, progress: ProgressCallback = no_progress) -> Table:
        """How good each layer's activations are; computed once, then kept in the store.

        Args:
            progress: told how far it is, in layers, where it must be computed.

        Returns:
            The columns of the named query ``layer_quality``, a row per layer.

        Raises:
            InvalidInput: the scan is not complete, or its activations were removed before this was kept.
            StoreCorrupt: a file is damaged.
        """
        from llm_mri_store.analysis.quality import scan_quality

        return Table(scan_quality(self._store, self.name, progress=progress))

    @property
    def plot(self) -> ScanPlot:
        """Charts of this scan: ``plot.quality``."""
        from llm_mri_store.api.plot_scan import ScanPlot

        return ScanPlot(self)

    def remarks(self) -> list[str]:
        """What a reader of the maps should know first, in sentences: texts cut or left out, odd layers.

        Raises:
            StoreCorrupt: a file is damaged.
        """
        from llm_mri_store.analysis.quality_remarks import quality_remarks

        layers = self.quality().rows() if self.is_complete else []
        return quality_remarks(self.spec, self.summary().rows()[-1], layers)

    def facts(self) -> dict[str, str]:
        """What the scan was made of, in words, for people."""
        entry = self._entry()
        spec = entry.spec
        facts = {
            "scan": self.name,
            "status": "complete" if entry.is_complete else f"partial: {entry.n_stored:,} samples stored",
            "model": spec.model + (f" @ {spec.revision}" if spec.revision else ""),
            "weights": _weights(spec),
            "corpus": spec.corpus + (f", split {spec.split}" if spec.split else ""),
            "samples": f"{spec.n_samples:,}, {len(spec.labels)} labels",
            "covariates": ", ".join(one.name for one in spec.covariates) or "none",
            "layers": f"{span_words(spec.layers)} ({len(spec.layers)}) of width {spec.hidden_size}",
            "read": _reading(spec),
            "read at": _read_at(entry.record.read_at),
            **({"activations": "removed ('llm-mri prune')"} if entry.is_pruned else {}),
            "created": entry.record.created,
            "identity": entry.record.identity,
        }
        return facts | {f"note {place}": note for place, note in enumerate(entry.record.notes, start=1)}

    def neighbours(self, sample_id: int, *, layer: int, limit: int = 10) -> Table:
        """The samples nearest to one at a layer, by cosine similarity of their activations."""
        from llm_mri_store.analysis.questions import ask

        asked = {"sample_id": sample_id, "layer": layer, "limit": limit}
        return Table(ask(select(self._store, [self.name]), "neighbours", asked))

    def reduce(
        self,
        method: Method = "pca",
        *,
        n_components: int = 2,
        grid: int | None = None,
        like: str | None = None,
        progress: ProgressCallback = no_progress,
        **options: Unpack[ReductionOptions],
    ) -> Reduction:
        """Fits a reduction on every layer and keeps each sample's point and cell.

        The same call again returns what is there.

        Args:
            method: pca, svd or umap.
            n_components: coordinates per sample and layer.
            grid: cells per axis; 10 by default with 2 components, none otherwise.
            like: apply the fitted reducers and bin edges of another reduction, ``scan/reduction``, instead
                of fitting; method and the other choices are then that one's.
            progress: told how far it is, in layers.
            **options: ``name``; ``bins`` (width, quantile); ``seed`` of UMAP; ``scale`` and ``center``
                (both on) of pca and svd; ``n_neighbors``, ``min_dist`` and ``metric`` of UMAP.

        Raises:
            InvalidInput, ReductionError: the choices do not fit each other or the scan.
            AlreadyThere: the name is taken by a reduction made otherwise.
            StoreBusy: the scan is being written.
        """
        from llm_mri_store.api.reduction import Reduction
        from llm_mri_store.pipeline.reduce import run_reduction

        given = {**options}
        name = given.pop("name", None)
        spec = ReductionSpec(
            method=method,
            n_components=n_components,
            grid=10 if grid is None and n_components == 2 else grid,
            template=like,
            **given,  # type: ignore[arg-type]
        )
        entry = run_reduction(
            self._store, self.name, spec, name=name if name is None else str(name), progress=progress
        )
        return Reduction(self._store, self.name, entry.name)


def _weights(spec: ScanSpec) -> str:
    if spec.pooling == "imported" or not spec.batch_tokens:
        return "not told: the activations were imported"
    return "trained" if spec.random_weights is None else f"random, seed {spec.random_weights}"


def _every(step: int | None) -> str:
    return "every token" if step in {None, 1} else f"one token in {step}"


def _reading(spec: ScanSpec) -> str:
    """Where, how and how precisely a scan read its texts, in words."""
    how = {"tokens": _every(spec.token_step), "imported": "as imported"}
    parts = [
        spec.site,
        *([f"the {spec.side}"] if spec.side else []),
        how.get(spec.pooling, f"{spec.pooling} pooling"),
        *(["in the chat template"] if spec.chat_template else []),
        *([f"up to {spec.max_tokens} tokens"] if spec.max_tokens else []),
        spec.dtype,
    ]
    return ", ".join(parts)


def _read_at(points: tuple[str, ...]) -> str:
    """The first and the last place a scan was read at, in words."""
    if not points:
        return "not recorded"
    return points[0] if len(points) == 1 else f"{points[0]} ... {points[-1]}"
