"""Words of a report: its opening, paragraphs on the methods, and the commands that make it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from llm_mri_store.api.report_request import tried_section
from llm_mri_store.report.content import Block, Copyable, Figure, Paragraphs, Section

if TYPE_CHECKING:
    from llm_mri_store.api.report_request import ReportRequest

_TEST_TITLES = {
    "contrast": "Contrast",
    "label_contrast": "Contrast of all labels",
    "information": "Information",
    "comparison": "Comparison of graphs",
}


def subtitle(request: ReportRequest) -> str:
    """The line below the heading."""
    spec = request.reduction.scan().spec
    revision = f" @ {spec.revision}" if spec.revision else ""
    weights = "" if spec.random_weights is None else ", random weights"
    split = f", split {spec.split}" if spec.split else ""
    return f"{spec.model}{revision}{weights} over {spec.corpus}{split}"


def figures(request: ReportRequest) -> tuple[Figure, ...]:
    """The numbers at the top."""
    reduction = request.reduction
    spec = reduction.scan().spec
    n_ok = sum(request.label_sizes.values())
    unit = "tokens" if spec.token_step is not None else "texts"
    grid = reduction.spec.grid
    ratios = [
        sum(one.explained_variance_ratio) for one in reduction.diagnostics if one.explained_variance_ratio
    ]
    found = [
        Figure(
            number=f"{spec.n_samples:,}", words=unit if n_ok == spec.n_samples else f"{unit}, {n_ok:,} read"
        ),
        Figure(number=f"{len(spec.labels):,}", words="label" if len(spec.labels) == 1 else "labels"),
        Figure(number=f"{len(spec.layers)} × {spec.hidden_size:,}", words="layers × width"),
        Figure(number=spec.site, words=f"site, {_pooling(spec.pooling)}"),
    ]
    if grid is not None:
        found.append(
            Figure(number=f"{grid} × {grid}", words=f"cells a layer, {reduction.spec.method.upper()}")
        )
    else:
        found.append(Figure(number=str(reduction.spec.n_components), words="components, no grid"))
    if ratios:
        low, high = min(ratios), max(ratios)
        words = f"{low:.0%}" if round(low, 2) == round(high, 2) else f"{low:.0%}–{high:.0%}"
        found.append(Figure(number=words.replace("%–", "–"), words="variance kept by the map"))
    return tuple(found)


def _pooling(pooling: str) -> str:
    return {"tokens": "one vector a token", "imported": "as imported"}.get(pooling, f"{pooling} pooling")


def methods_section(request: ReportRequest) -> Section:
    """Paragraphs on the tests, ready to paste, and the commands that make all of it again."""

    def paragraphs() -> Iterator[Block]:
        for test in request.tests:
            sides = f" of {test.facts['a']} and {test.facts['b']}" if test.facts["a"] is not None else ""
            yield Copyable(title=f"{_TEST_TITLES[test.kept.spec.kind]}{sides}", words=test.methods())
        if not request.tests:
            yield Paragraphs(sentences=("Nothing was tested.",))

    def commands() -> Iterator[Block]:
        yield Copyable(title="How to make it again", words="\n".join(_commands(request)), form="shell")

    return tried_section(
        paragraphs,
        commands,
        id="methods",
        title="Methods, ready to paste",
        short="Methods",
    )


def _commands(request: ReportRequest) -> Iterator[str]:
    from llm_mri_store.analysis.twins import reduce_command, scan_options

    place = request.reduction._place()
    spec = place.scan.spec
    if spec.pooling == "imported":
        yield f"# scan {place.scan.name}: activations that were imported (llm-mri import)"
    else:
        words = ["llm-mri", "scan", spec.model, spec.corpus, "--name", place.scan.name, *scan_options(spec)]
        if spec.random_weights is not None:
            words += ["--random-weights", str(spec.random_weights)]
        yield shlex.join(words)
    yield reduce_command(place, place.scan.name)
    words = ["llm-mri", "report", place.address, "-o", "report.html"]
    for label in request.labels or ():
        words += ["--label", label]
    words += ["--permutations", str(request.n_permutations), "--seed", str(request.seed)]
    yield shlex.join([*words, *(["--no-probe"] * (not request.has_probe))])


def made_with() -> dict[str, str]:
    """Versions named at the foot of the page."""
    from llm_mri_store.store.catalogue import versions

    return {
        name: version for name, version in versions().items() if name in ("llm-mri-store", "duckdb", "numpy")
    }


def today() -> str:
    """The day in words, such as ``2026-11-22``."""
    return datetime.now(UTC).date().isoformat()
