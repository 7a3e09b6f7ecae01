"""What a page says, before it is a page: sections of charts, tables, sentences and facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

    from llm_mri_store.report.explorer import ExplorerData


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart, drawn when it comes into view.

    Attributes:
        specification: Vega-Lite with its data.
        alt: what it shows, in words, for those who do not see it.
        caption: how to read it; its title already says what is shown, of how many, by which test.
        known: lines of its subtitle that the page has said already; they are left out.
    """

    specification: Mapping[str, Any]
    alt: str
    caption: str = ""
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A table.

    Attributes:
        table: the rows. Texts (a list of strings) are shown below one another.
        caption: what the rows are.
        headings: column -> its words at the head; others are called as in the table.
        percent: columns whose numbers are shares, shown in percent.
        most: rows shown at first; the rest is behind a button.
        links: column -> where each of its rows leads within the page, such as ``layer=6&cell=47``.
    """

    table: pa.Table
    caption: str
    headings: Mapping[str, str] = field(default_factory=dict)
    percent: frozenset[str] = frozenset()
    most: int = 12
    links: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraphs:
    """Plain sentences, a paragraph each."""

    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Remarks:
    """Sentences that a reader must not miss, as a list."""

    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Names and values."""

    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copyable:
    """Words to be taken elsewhere, with a button that copies them.

    Attributes:
        title: what they are.
        words: the words.
        form: prose, or lines for the shell.
    """

    title: str
    words: str
    form: Literal["prose", "shell"] = "prose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Why something is not on the page, in one sentence."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explorer:
    """The linked views of layers, labels, cells and texts; a page has at most one."""

    data: ExplorerData


Block = Chart | Rows | Paragraphs | Remarks | Facts | Copyable | Missing | Explorer


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a page.

    Attributes:
        id: its anchor, of lower-case letters and hyphens.
        title: its heading.
        blocks: what stands in it, in order.
        lead: one or two sentences on what the section answers.
        short: its name in the table of contents; the title where it is empty.
    """

    id: str
    title: str
    blocks: tuple[Block, ...]
    lead: str = ""
    short: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number at the top of the page: ``Figure(number="300", words="texts")``."""

    number: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageContent:
    """A whole page.

    Attributes:
        title: its heading.
        subtitle: one line below it.
        figures: the summary at the top.
        sections: in order.
        made_with: package -> version, named at the foot.
        made_at: when, in words.
    """

    title: str
    subtitle: str
    figures: tuple[Figure, ...]
    sections: tuple[Section, ...]
    made_with: Mapping[str, str]
    made_at: str = ""
