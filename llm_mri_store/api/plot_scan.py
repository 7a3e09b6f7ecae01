"""Charts of a scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_mri_store import charts
from llm_mri_store.records.jobs import ProgressCallback, no_progress

if TYPE_CHECKING:
    import altair as alt

    from llm_mri_store.api.scan import Scan


@dataclass(frozen=True, slots=True)
class ScanPlot:
    """Charts of one scan; each returns an altair chart (``mri.save_chart`` writes it)."""

    scan: Scan

    def quality(self, *, progress: ProgressCallback = no_progress) -> alt.TopLevelMixin:
        """Quality of the activations, layer by layer: effective rank, anisotropy, spread and more.

        Args:
            progress: told how far it is, in layers, where it must be computed.

        Raises:
            InvalidInput, StoreCorrupt: as ``Scan.quality``.
        """
        quality = self.scan.quality(progress=progress)
        spec = self.scan.spec
        how = f"{spec.site}, {spec.pooling} pooling"
        if spec.pooling == "imported":
            how = "imported activations"
        n = max(quality["n_ok"], default=0)
        return charts.quality_chart(
            quality.arrow,
            title=f"Quality of each layer's activations (n = {n:,})",
            subtitle=[f"{spec.model} over {spec.corpus}, {how}, width {spec.hidden_size:,}"],
        )
