"""What a report was asked to tell, and how its parts are tried: what cannot be made says why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from llm_mri_store.charts import chart_specification
from llm_mri_store.errors import LlmMriError, StoreCorrupt, UnknownName
from llm_mri_store.records.jobs import ProgressCallback, no_progress
from llm_mri_store.report.content import Block, Chart, Missing, Section
from llm_mri_store.report.specifications import chart_heading

if TYPE_CHECKING:
    import altair as alt

    from llm_mri_store.api.inference_results import InferenceResult
    from llm_mri_store.api.reduction import Reduction


@dataclass(frozen=True, kw_only=True)
class ReportRequest:
    """What is told, and with which choices.

    Attributes:
        reduction: of what.
        labels: that are compared and drawn as a graph; None for all.
        title: the page's heading; None for the scan's name.
        n_permutations: relabelings of tests that are not kept yet.
        has_probe: whether probes are trained.
        seed: of relabelings, probes and the sample of texts.
        progress: told how far tests and probes are.
        tests: what was tested so far, for the paragraphs on the methods.
        terms: (layer, cell_x, cell_y) -> typical words, where they are known already.
    """

    reduction: Reduction
    labels: tuple[str, ...] | None = None
    title: str | None = None
    n_permutations: int = 1000
    has_probe: bool = True
    seed: int = 0
    progress: ProgressCallback = no_progress
    tests: list[InferenceResult] = field(default_factory=list)
    terms: dict[tuple[int, int, int], tuple[str, ...]] = field(default_factory=dict)

    def refuse_unknown_labels(self) -> None:
        """Refuses labels that the scan does not have.

        Raises:
            UnknownName: there is no such label.
        """
        known = self.reduction.scan().labels
        for label in self.labels or ():
            if label not in known:
                raise UnknownName("label", label, known=known, where=f"scan {self.reduction.scan_name!r}")

    @cached_property
    def label_sizes(self) -> Mapping[str, int]:
        """Label -> samples that have an activation, the largest first."""
        rows = self.reduction.scan().summary().rows()
        sizes = {row["label"]: row["n_ok"] for row in rows if row["label"] is not None}
        return dict(sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0])))

    def chosen_labels(self, most: int) -> tuple[tuple[str, ...], str]:
        """The labels that are told, and a sentence where these are the largest of more."""
        if self.labels is not None:
            return self.labels, ""
        every = tuple(self.label_sizes)
        if len(every) <= most:
            return tuple(sorted(every)), ""
        return tuple(sorted(every[:most])), f"The {most} largest of {len(every):,} labels."

    def drawn(self, chart: alt.TopLevelMixin, kind: str, *, caption: str = "", shows: str = "") -> Chart:
        """A chart as a block.

        Args:
            chart: of this package.
            kind: what it is, for those who do not see it.
            caption: how to read it.
            shows: what it came to, for those who do not see it.
        """
        specification = chart_specification(chart)
        title, _ = chart_heading(specification)
        return Chart(
            specification=specification,
            alt=" ".join(filter(None, [f"{kind}: {title}.", shows])),
            caption=caption,
            known=frozenset(self.reduction.plot.provenance()),
        )


def tried_section(*makers: Callable[[], Iterable[Block]], id: str, title: str, **words: Any) -> Section:
    """A section of what its makers give; one that fails for a reason of ours says it.

    Args:
        *makers: each gives blocks.
        id: of the section.
        title: its heading.
        **words: ``lead`` and ``short``.

    Raises:
        StoreCorrupt: a file of the store is damaged.
    """
    blocks: list[Block] = []
    for make in makers:
        try:
            blocks += make()
        except StoreCorrupt:
            raise
        except LlmMriError as error:
            blocks.append(Missing(why=sentence(str(error))))
    return Section(id=id, title=title, blocks=tuple(blocks), **words)


def sentence(words: str) -> str:
    """Words as a sentence.

    >>> sentence("there is no grid")
    'There is no grid.'
    """
    ended = words if words.endswith((".", "!", "?")) else f"{words}."
    return ended[:1].upper() + ended[1:]
