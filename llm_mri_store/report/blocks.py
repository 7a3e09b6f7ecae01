"""The parts of a page as HTML; every word is escaped."""

from __future__ import annotations

import html
from typing import Any

from llm_mri_store.charts import inert_json
from llm_mri_store.report.assets import asset
from llm_mri_store.report.content import (
    Block,
    Chart,
    Copyable,
    Explorer,
    Facts,
    Missing,
    Paragraphs,
    Remarks,
    Rows,
    Section,
)
from llm_mri_store.report.specifications import chart_heading, page_specification
from llm_mri_store.report.tables import table_html


def section_html(section: Section) -> str:
    """A section with its heading."""
    anchor = html.escape(section.id, quote=True)
    lead = f'<p class="lead">{html.escape(section.lead)}</p>\n' if section.lead else ""
    blocks = "".join(
        block_html(block, id=f"{anchor}-{place}") for place, block in enumerate(section.blocks, start=1)
    )
    return (
        f'<section id="{anchor}" aria-labelledby="{anchor}-title">\n'
        f'<h2 id="{anchor}-title">{html.escape(section.title)}</h2>\n{lead}{blocks}</section>\n'
    )


def block_html(block: Block, *, id: str) -> str:
    """A block of a section.

    Args:
        block: what it says.
        id: that no other part of the page has.
    """
    match block:
        case Chart():
            return _chart(block, id)
        case Rows():
            return table_html(block, id=id)
        case Paragraphs():
            return "".join(f"<p>{html.escape(words.replace('<=', '≤'))}</p>\n" for words in block.sentences)
        case Remarks():
            items = "".join(f"<li>{html.escape(words)}</li>" for words in block.sentences)
            return f'<ul class="remarks">{items}</ul>\n'
        case Facts():
            return f"<dl>{''.join(_fact(name, value) for name, value in block.facts.items())}</dl>\n"
        case Copyable():
            return _copyable(block, id)
        case Missing():
            return f'<p class="missing">{html.escape(block.why)}</p>\n'
        case Explorer():
            return asset("explorer.html")


def _fact(name: str, value: str) -> str:
    return f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"


def _chart(chart: Chart, id: str) -> str:
    title, notes = chart_heading(chart.specification, chart.known)
    lines = [*notes, *([chart.caption] if chart.caption else [])]
    said = "".join(f'<span class="note">{html.escape(line)}</span>' for line in lines)
    return (
        f'<figure id="{id}"><figcaption><span class="name">{html.escape(title)}</span>{said}</figcaption>\n'
        f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(title, quote=True)}">'
        f'<div class="chart" role="img" aria-label="{html.escape(chart.alt, quote=True)}"></div>'
        f"{specification_html(page_specification(chart.specification))}</div></figure>\n"
    )


def specification_html(specification: Any) -> str:
    """A chart's specification where the page's script looks for it."""
    return f'<script type="application/json" class="specification">{inert_json(specification)}</script>'


def _copyable(block: Copyable, id: str) -> str:
    tag = "pre" if block.form == "shell" else "p"
    return (
        f'<div class="copyable"><div class="head"><h3>{html.escape(block.title)}</h3>'
        f'<button type="button" data-copy="{id}">Copy</button></div>'
        f'<{tag} class="body" id="{id}">{html.escape(block.words)}</{tag}></div>\n'
    )
