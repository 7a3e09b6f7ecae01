"""Writes docs/gallery.md: every chart, made from the demo's scan.

With ``--check`` nothing is written: every chart is made anew and compared with what is committed, and the
exit code is 1 where one differs. Compared are the charts' specifications: words, whole numbers and structure
exactly, all other numbers by the sum of each column, to a part in a thousand. Pictures are not compared.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from llm_mri_store import Reduction, Store, save_chart
from llm_mri_store.api.demo import MODEL_NAME, SCAN_NAME, offline_model
from llm_mri_store.charts import chart_specification
from llm_mri_store.extraction.sources import DEMO_CORPUS

if TYPE_CHECKING:
    import altair as alt

DOCS: Final = Path(__file__).resolve().parent
PAGE: Final = DOCS / "gallery.md"
IMAGES: Final = DOCS / "images"
DIGESTS: Final = IMAGES / "gallery.json"
TOLERANCE: Final = 1e-3


class Entry(NamedTuple):
    """A chart of the gallery.

    Attributes:
        name: of its picture.
        title: its heading.
        words: what it shows and how it is read.
        code: how it is made; evaluated with ``mri``, the demo's reduction.
        command: the same on the shell.
    """

    name: str
    title: str
    words: str
    code: str
    command: str


ENTRIES: Final = (
    Entry(
        "heatmap",
        "Map of a layer",
        "How many samples lie in each cell of the grid. A cell without samples is nearly the colour of the "
        "paper. In a page, resting the pointer on a cell shows some of its texts.",
        "mri.plot.heatmap(6)",
        "llm-mri heatmap --layer 6 -o heatmap.html",
    ),
    Entry(
        "heatmaps",
        "All layers at once",
        "A row for each label, a column for each layer, one scale of colours for all.",
        "mri.plot.heatmaps()",
        "llm-mri plot heatmaps -o layers.html",
    ),
    Entry(
        "points",
        "Points of samples",
        "Where samples lie in the projection, coloured by label. Of a large scan a seeded sample is drawn, "
        "the same at every layer; the grey cells behind hold all samples.",
        "mri.plot.points([0, 3, 6])",
        "llm-mri plot points --layers 0,3,6 -o points.html",
    ),
    Entry(
        "contrast",
        "Where two labels differ",
        "The difference of shares, cell by cell. Solid lines run around cells that differ beyond chance, "
        "dashed ones around clusters of cells that do; all else is pale.",
        'mri.plot.contrast(mri.contrast("astronomy", "cooking", n_permutations=999))',
        "llm-mri contrast astronomy cooking --permutations 999 -o contrast.html",
    ),
    Entry(
        "regions",
        "Labels in each region",
        "Shares of labels in the fullest regions of a layer, beside those of all samples.",
        "mri.plot.regions(6, most_regions=10)",
        "llm-mri plot regions --layer 6 --regions 10 -o regions.html",
    ),
    Entry(
        "flow",
        "How labels travel",
        "The largest regions of each layer as blocks, and between them the samples that go from one to the "
        "next. In a page, resting the pointer on a ribbon lights its label.",
        'mri.plot.flow(["astronomy", "cooking"])',
        "llm-mri plot flow --label astronomy --label cooking -o flow.html",
    ),
    Entry(
        "graph",
        "Neural region activation graph",
        "Regions that hold samples together in neighbouring layers. In a page, resting the pointer on a node "
        "lights the paths through it, and a slider hides the lighter edges.",
        'mri.plot.graph(["astronomy", "cooking"], min_weight_percentile=80)',
        "llm-mri graph --label astronomy --label cooking --percentile 80 -o graph.html",
    ),
    Entry(
        "metrics",
        "Metrics of graphs",
        "The graph of each label in numbers, side by side. Bars are 95 % intervals: what as many other "
        "samples of the same source would give.",
        "mri.plot.metrics()",
        "llm-mri plot metrics -o metrics.html",
    ),
    Entry(
        "comparison",
        "Two graphs compared",
        "Distances between the graphs of two labels against those of relabelled samples, and their metrics.",
        'mri.plot.comparison(mri.compare("astronomy", "cooking", n_permutations=199))',
        "llm-mri compare astronomy cooking --permutations 199 -o compare.html",
    ),
    Entry(
        "information",
        "What the cell tells of the label",
        "In bits, layer by layer and from each layer to the next. Grey is what relabelled samples tell.",
        "mri.plot.information(mri.information(n_permutations=999))",
        "llm-mri information --permutations 999 -o information.html",
    ),
    Entry(
        "probe",
        "What a linear probe reads",
        "From the activations, the points and the cells of each layer, beside baselines. Bands are 95 % "
        "intervals.",
        "mri.plot.probe(mri.probe(n_repeats=1))",
        "llm-mri probe --repeats 1 -o probe.html",
    ),
    Entry(
        "quality",
        "Quality of the activations",
        "What to know of each layer's activations; degenerate layers are crosses.",
        "mri.plot.quality()",
        "llm-mri plot quality -o quality.html",
    ),
    Entry(
        "map-quality",
        "Quality of the maps",
        "What each layer's map keeps, and how evenly it is filled.",
        "mri.plot.map_quality()",
        "llm-mri plot map-quality -o map-quality.html",
    ),
)

DARK: Final = ("heatmaps", "contrast")
"""Charts that are shown on dark ground too."""


def demo_reduction(folder: Path, store: Path | None) -> Reduction:
    """The demo's reduction, in a store of its own: made anew, or copied."""
    if store is not None:
        shutil.copytree(store, folder / "store")
        return Store(folder / "store").reduction(SCAN_NAME)
    scan = Store(folder / "store").scan(
        offline_model(), DEMO_CORPUS, name=SCAN_NAME, model_name=MODEL_NAME, pooling="mean", device="cpu"
    )
    return scan.reduce("pca", n_components=2, grid=10)


def draw(reduction: Reduction, entry: Entry) -> alt.TopLevelMixin:
    """The chart of an entry, by the very code that the page shows."""
    make: Callable[..., alt.TopLevelMixin] = eval(f"lambda mri: {entry.code}")
    return make(reduction)


def digest(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """What is compared of a chart: a digest of words, whole numbers and structure, and sums of the rest."""
    specification = chart_specification(chart)
    datasets = specification.pop("datasets", {})
    specification["datasets"] = list(datasets.values())
    numbers: dict[str, list[float]] = {}
    shape = json.dumps(_without_names(_without_fractions(specification, numbers), datasets), sort_keys=True)
    return {
        "digest": hashlib.sha256(shape.encode()).hexdigest()[:16],
        "sums": {
            name: float(f"{math.fsum(map(abs, values)):.6g}") for name, values in sorted(numbers.items())
        },
    }


def _without_fractions(value: Any, numbers: dict[str, list[float]], name: str = "") -> Any:
    """The value with every number that is not whole taken out, and put to the others of its name."""
    if isinstance(value, dict):
        return {key: _without_fractions(one, numbers, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_fractions(one, numbers, name) for one in value]
    if isinstance(value, float):
        numbers.setdefault(name, []).append(value)
        return 0
    return value


def _without_names(value: Any, datasets: dict[str, Any]) -> Any:
    """The value with names of data sets, which are digests of their content, by their place."""
    if isinstance(value, dict):
        return {name: _without_names(one, datasets) for name, one in value.items()}
    if isinstance(value, list):
        return [_without_names(one, datasets) for one in value]
    return list(datasets).index(value) if isinstance(value, str) and value in datasets else value


def is_same(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether two digests are of the same chart, up to rounding."""
    return (
        new["digest"] == old["digest"]
        and new["sums"].keys() == old["sums"].keys()
        and all(
            math.isclose(value, old["sums"][name], rel_tol=TOLERANCE, abs_tol=TOLERANCE)
            for name, value in new["sums"].items()
        )
    )


def page() -> str:
    """docs/gallery.md."""
    parts = [
        "# Gallery\n\nEvery chart, made from the demo by `docs/gallery.py`. Each is an Altair chart; "
        "`llm_mri_store.save_chart`\nwrites it as html, svg, png or json, on light or dark ground "
        '(`theme="dark"`). Below, `mri` is\n`Store().reduction()`.\n'
    ]
    for one in ENTRIES:
        parts.append(f"## {one.title}\n\n{one.words}\n\n![{one.title}](images/gallery-{one.name}.png)\n")
        if one.name in DARK:
            parts.append(f"![{one.title}, dark](images/gallery-{one.name}-dark.png)\n")
        parts.append(f"```python\n{one.code}\n```\n\n```shell\n{one.command}\n```\n")
    return "\n".join(parts)


def differences(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What of the committed gallery is out of date."""
    if not PAGE.exists() or PAGE.read_text() != page():
        yield PAGE.name
    known = json.loads(DIGESTS.read_text()) if DIGESTS.exists() else {}
    for name in sorted({*found, *known}):
        new, old = found.get(name), known.get(name)
        if new is None or old is None or not is_same(new, old):
            yield f"chart {name}"
    for name in (*(f"gallery-{one.name}" for one in ENTRIES), *(f"gallery-{one}-dark" for one in DARK)):
        if not (IMAGES / f"{name}.png").exists():
            yield f"images/{name}.png is missing"


def build() -> int:
    """Writes or checks the gallery; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a chart differs")
    parser.add_argument("--store", type=Path, help="a store that 'llm-mri demo' made; it is copied")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reduction = demo_reduction(Path(folder), options.store)
        drawn = {one.name: draw(reduction, one) for one in ENTRIES}
    found = {name: digest(chart) for name, chart in drawn.items()}
    if options.check:
        stale = list(differences(found))
        if stale:
            sys.stderr.write(f"out of date: {', '.join(stale)}; run python docs/gallery.py\n")
        return int(bool(stale))
    PAGE.write_text(page())
    DIGESTS.write_text(json.dumps(found, indent=1) + "\n")
    for name, chart in drawn.items():
        save_chart(chart, IMAGES / f"gallery-{name}.png", scale=1)
    for name in DARK:
        save_chart(drawn[name], IMAGES / f"gallery-{name}-dark.png", scale=1, theme="dark")
    return 0


if __name__ == "__main__":
    sys.exit(build())
