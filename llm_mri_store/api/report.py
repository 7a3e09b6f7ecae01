"""The report of a reduction: one page that tells the whole scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llm_mri_store.errors import ExportError, WriteFailed
from llm_mri_store.records.jobs import Progress, ProgressCallback, no_progress

if TYPE_CHECKING:
    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.api.report_request import ReportRequest
    from llm_mri_store.report.content import PageContent, Section
    from llm_mri_store.report.explorer import ExplorerData

JOB: Final = "report"


def report(
    self: Reduction,
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    title: str | None = None,
    n_permutations: int = 1000,
    probe: bool = True,
    seed: int = 0,
    progress: ProgressCallback = no_progress,
) -> Path:
    """Writes one HTML page that tells the whole scan; it opens from disk and needs no network.

    What was scanned and how, maps of every layer and label with the texts behind each cell, what the cell
    tells of the label, probes, where labels differ beyond chance, the graph and its metrics, the quality of
    each layer, and paragraphs on the methods. Tests are kept in the store, and those that were kept are
    shown. What cannot be made says why.

    Args:
        self: the reduction that is told.
        path: the .html file; it appears whole or not at all.
        labels: those that are compared and drawn as a graph; all by default. Two are held against each other.
        title: the page's heading; the scan's name by default.
        n_permutations: relabelings of each test that is not kept yet, at least 19.
        probe: whether linear probes are trained; on large scans on some of the samples.
        seed: of relabelings, probes and the sample of texts.
        progress: told after each section, and how far tests and probes are.

    Returns:
        The path written.

    Raises:
        ExportError: the path does not end in .html.
        UnknownName: a label is not there.
        WriteFailed: the folder is not there, or the operating system refused the write.
        StoreCorrupt: a file of the store is damaged.
    """
    from llm_mri_store.api.report_request import ReportRequest
    from llm_mri_store.report.page import build_page
    from llm_mri_store.store.files import replace_file

    target = Path(path)
    refuse_bad_target(target)
    request = ReportRequest(
        reduction=self,
        labels=None if labels is None else tuple(labels),
        title=title,
        n_permutations=n_permutations,
        has_probe=probe,
        seed=seed,
        progress=progress,
    )
    replace_file(target, build_page(report_content(request)).encode())
    return target


def refuse_bad_target(path: Path) -> None:
    """Refuses a file that a page cannot be written to, before anything is computed.

    Raises:
        ExportError: it does not end in .html.
        WriteFailed: its folder is not there.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise ExportError(f"a report cannot be written to {path.name!r}; its ending must be .html")
    if not path.parent.is_dir():
        raise WriteFailed(f"cannot write {path}: there is no folder {path.parent}; make it first")


def report_content(request: ReportRequest, *, explorer: ExplorerData | None = None) -> PageContent:
    """What a report says.

    Args:
        request: of which reduction, and with which choices.
        explorer: what its linked views show; gathered here where it is not given.

    Raises:
        UnknownName: a label is not there.
        StoreCorrupt: a file of the store is damaged.
    """
    from llm_mri_store.api import report_sections, report_tests, report_words
    from llm_mri_store.report.content import PageContent

    request.refuse_unknown_labels()
    makers: dict[str, Callable[[], Section | None]] = {
        "scan": partial(report_sections.scan_section, request),
        "explore": partial(report_sections.explorer_section, request, explorer),
        "layers": partial(report_sections.layers_section, request),
        "information": partial(report_tests.information_section, request),
        "probe": partial(report_tests.probe_section, request),
        "contrast": partial(report_tests.contrast_section, request),
        "graph": partial(report_sections.graph_section, request),
        "comparison": partial(report_tests.comparison_section, request),
        "quality": partial(report_sections.quality_section, request),
        "methods": partial(report_words.methods_section, request),
    }
    sections = []
    for done, (name, make) in enumerate(makers.items()):
        request.progress(Progress(job=JOB, done=done, total=len(makers), note=name))
        sections.append(make())
    request.progress(Progress(job=JOB, done=len(makers), total=len(makers), note="written"))
    return PageContent(
        title=request.title or f"Scan {request.reduction.scan_name}",
        subtitle=report_words.subtitle(request),
        figures=report_words.figures(request),
        sections=tuple(section for section in sections if section is not None),
        made_with=report_words.made_with(),
        made_at=report_words.today(),
    )
