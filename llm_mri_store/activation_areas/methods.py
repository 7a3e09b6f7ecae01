"""LLM-MRI's reducers: which reduction of a scan to make or find."""

from __future__ import annotations

from dataclasses import dataclass

from llm_mri_store.api.reduction import Reduction
from llm_mri_store.api.scan import Scan
from llm_mri_store.records.choices import Method
from llm_mri_store.records.jobs import ProgressCallback, no_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ReductionMethod:
    """How every layer is reduced: what ``PCA``, ``SVD`` and ``UMAP`` give.

    Attributes:
        method: its name in this library.
        n_components: coordinates per sample and layer.
        random_state: seed of UMAP; PCA and SVD are exact and use none.
        gridsize: cells per axis, with 2 components.
        metric: UMAP's distance.
    """

    method: Method
    n_components: int
    random_state: int | None
    gridsize: int
    metric: str = "cosine"

    @property
    def name(self) -> str:
        """Name of the reduction in the store."""
        words = [self.method, str(self.n_components)]
        if self.n_components == 2 and self.gridsize != 10:
            words.append(f"grid{self.gridsize}")
        if self.method == "umap":
            words.append(f"seed{self.random_state or 0}")
        if self.metric != "cosine":
            words.append(self.metric)
        return "-".join(words)

    def reduce(self, scan: Scan, *, progress: ProgressCallback = no_progress) -> Reduction:
        """The reduction of a scan, computed or found in the store."""
        return scan.reduce(
            self.method,
            n_components=self.n_components,
            grid=self.gridsize if self.n_components == 2 else None,
            seed=(self.random_state or 0) if self.method == "umap" else 0,
            metric=self.metric,
            name=self.name,
            progress=progress,
        )


def PCA(  # noqa: N802 - LLM-MRI's own name
    n_components: int = 2, random_state: int | None = 42, gridsize: int = 10
) -> ReductionMethod:
    """Principal components of the standardised activations, exact; ``random_state`` has no effect.

    >>> PCA(2, 42, 20).name
    'pca-2-grid20'
    """
    return ReductionMethod(
        method="pca", n_components=n_components, random_state=random_state, gridsize=gridsize
    )


def SVD(  # noqa: N802 - LLM-MRI's own name
    n_components: int = 2, random_state: int | None = 42, gridsize: int = 10
) -> ReductionMethod:
    """Singular vectors of the standardised activations, exact; ``random_state`` has no effect.

    >>> SVD(10).name
    'svd-10'
    """
    return ReductionMethod(
        method="svd", n_components=n_components, random_state=random_state, gridsize=gridsize
    )


def UMAP(  # noqa: N802 - LLM-MRI's own name
    n_components: int = 2, random_state: int | None = 42, gridsize: int = 10, metric: str = "cosine"
) -> ReductionMethod:
    """UMAP of the min-max scaled activations, seeded by ``random_state`` (None: by 0), which the log says.

    >>> UMAP().name
    'umap-2-seed42'
    """
    return ReductionMethod(
        method="umap",
        n_components=n_components,
        random_state=random_state,
        gridsize=gridsize,
        metric=metric,
    )
