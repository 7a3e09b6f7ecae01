"""One HTML file from a page's content: it opens from disk, and asks for nothing outside itself."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from llm_mri_store.charts import TOOLTIP_STYLE, inert_json, theme_config, vega_library
from llm_mri_store.charts.explorer import explorer_specifications
from llm_mri_store.charts.palettes import PALETTES, Ground, Palette
from llm_mri_store.report.assets import asset
from llm_mri_store.report.blocks import section_html
from llm_mri_store.report.content import Explorer, Figure, PageContent, Section
from llm_mri_store.report.explorer import ExplorerData, explorer_json

_SCRIPTS: Final = ("explorer_source.js", "explorer.js", "page.js")
_LINKS: Final[dict[Ground, str]] = {"light": "#0062a0", "dark": "#63b1e8"}
_EDGES: Final[dict[Ground, str]] = {"light": "#c6cbd1", "dark": "#4b525b"}

_POLICY: Final = (
    "default-src 'none'; script-src {scripts} 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src {connect}; base-uri 'none'; form-action 'none'"
)
"""Content-Security-Policy: only the page's own scripts run, known by their digests.

``unsafe-eval`` is Vega's, which compiles its expressions; ``unsafe-inline`` of styles is its tooltip's.
"""


def build_page(content: PageContent) -> str:
    """The page as HTML, with all data, styles and scripts in it.

    Only a live page, whose explorer asks its server, may connect to that.

    Args:
        content: what it says.
    """
    explorer = _explorer_data(content)
    library = vega_library()
    script = "\n".join(asset(name) for name in _SCRIPTS)
    is_live = explorer is not None and explorer.is_live
    parts = {
        "policy": _POLICY.format(
            scripts=" ".join((_digest(library), _digest(f"\n{script}\n"))),
            connect="'self'" if is_live else "'none'",
        ),
        "title": html.escape(content.title),
        "subtitle": html.escape(content.subtitle),
        "colours": "\n".join(_colours()),
        "style": f"{asset('page.css')}\n{TOOLTIP_STYLE}",
        "contents": "\n".join(map(_contents_item, content.sections)),
        "figures": "\n".join(map(_figure, content.figures)),
        "sections": "".join(map(section_html, content.sections)),
        "made_with": html.escape(_made_with(content)),
        "grounds": inert_json({ground: theme_config(ground) for ground in PALETTES}),
        "explorer_data": "" if explorer is None else _explorer_scripts(explorer),
        "library": library,
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], asset("page.html"))


def _explorer_data(content: PageContent) -> ExplorerData | None:
    blocks = (block for section in content.sections for block in section.blocks)
    return next((block.data for block in blocks if isinstance(block, Explorer)), None)


def _explorer_scripts(data: ExplorerData) -> str:
    charts = explorer_specifications(
        data.layers, grid=data.grid, labels=data.labels, degenerate_layers=data.degenerate_layers
    )
    bare = {
        name: {key: part for key, part in chart.items() if key not in ("config", "$schema")}
        for name, chart in charts.items()
    }
    return "\n".join(
        f'<script type="application/json" id="{id}">{inert_json(value)}</script>'
        for id, value in (("explorer-data", explorer_json(data)), ("explorer-charts", bare))
    )


def _digest(script: str) -> str:
    """A script's digest as the policy names it."""
    found = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{found}'"


def _colours() -> Iterator[str]:
    """Both grounds as custom properties: that of the system, unless the reader has chosen."""
    light, dark = (_properties(PALETTES[ground], ground) for ground in ("light", "dark"))
    yield f":root {{ color-scheme: light; {light} }}"
    yield "@media screen {"
    yield f"  @media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {dark} }} }}"
    yield f"  :root[data-ground='light'] {{ color-scheme: light; {light} }}"
    yield f"  :root[data-ground='dark'] {{ color-scheme: dark; {dark} }}"
    yield "}"


def _properties(palette: Palette, ground: Ground) -> str:
    plain = {name: value for name, value in asdict(palette).items() if isinstance(value, str)}
    named = {f"category-{place}": colour for place, colour in enumerate(palette.category)}
    every = {**plain, **named, "link": _LINKS[ground], "edge": _EDGES[ground]}
    return " ".join(f"--{name}: {value};" for name, value in every.items())


def _contents_item(section: Section) -> str:
    words = html.escape(section.short or section.title)
    return f'<li><a href="#{html.escape(section.id, quote=True)}">{words}</a></li>'


def _figure(figure: Figure) -> str:
    return f"<li><strong>{html.escape(figure.number)}</strong> <span>{html.escape(figure.words)}</span></li>"


def _made_with(content: PageContent) -> str:
    versions = ", ".join(f"{package} {version}" for package, version in content.made_with.items())
    when = f" on {content.made_at}" if content.made_at else ""
    return f"Made{when} with {versions}. This page is one file and needs no network."
