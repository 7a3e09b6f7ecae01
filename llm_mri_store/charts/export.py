"""Charts as files: a page that opens offline, SVG, PNG, or the Vega-Lite specification."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import altair as alt
import vl_convert
from altair.utils.schemapi import SchemaValidationError

from llm_mri_store.charts.palettes import PALETTES, Ground
from llm_mri_store.charts.png import packed
from llm_mri_store.charts.theme import on_ground
from llm_mri_store.errors import ExportError
from llm_mri_store.store.files import replace_file

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
html {{ color-scheme: {theme}; }}
body {{ margin: 16px; background: {paper}; color: {ink}; }}
body {{ font-size: 13px; font-family: Inter, "Helvetica Neue", Helvetica, Arial, sans-serif; }}
{tooltip_style}
</style>
<script>{library}</script>
</head>
<body>
<div id="chart"></div>
<script type="application/json" id="chart-specification">{specification}</script>
<script>
const specification = JSON.parse(document.getElementById("chart-specification").textContent);
vegaEmbed("#chart", specification, {embed_options});
</script>
</body>
</html>
"""

_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

OFFLINE_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:"
)
"""Content-Security-Policy of a page: the browser refuses whatever is not in the page itself.

``unsafe-eval`` is Vega's: it compiles its expressions.
"""

TOOLTIP_STYLE: Final = (
    "#vg-tooltip-element { max-width: 460px; } "
    "#vg-tooltip-element table tr td.value "
    "{ max-width: 380px; white-space: pre-line; overflow-wrap: anywhere; }"
)
"""CSS that shows each example text of a tooltip on its own lines."""

_EXPOSED: Final = "window.vegaEmbed = vegaEmbed;"
_EMBED_OPTIONS: Final = {
    "mode": "vega-lite",
    "renderer": "svg",
    "actions": {"export": True, "source": False, "compiled": False, "editor": False},
}


def save_chart(
    chart: alt.TopLevelMixin, path: Path | str, *, scale: float = 2.0, theme: Ground = "light"
) -> Path:
    """Writes a chart to a file; its ending says how.

    ``.html`` is one page that opens offline, with tooltips; ``.svg`` and ``.png`` are pictures; ``.json``
    is the Vega-Lite specification with its data. The file appears whole or not at all; an existing one
    is replaced.

    Args:
        chart: any chart of this package, or of Altair.
        path: the file to write.
        scale: PNG pixels per pixel of the chart, > 0.
        theme: light or dark ground; of charts of this package.

    Returns:
        The path written.

    Raises:
        ExportError: the ending is none of these, the scale is not positive, or the chart cannot be drawn.
        InvalidInput: there is no such ground.
        WriteFailed: the folder does not exist, or the operating system refused the write.

    >>> save_chart(alt.Chart(), "chart.pdf")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    llm_mri_store.errors.ExportError: a chart cannot be written to 'chart.pdf'; its ending must be .html, ...
    """
    target = Path(path)
    encode = _ENCODERS.get(target.suffix.lower())
    if encode is None:
        *first, last = sorted(_ENCODERS)
        raise ExportError(
            f"a chart cannot be written to {str(path)!r}; its ending must be {', '.join(first)} or {last}"
        )
    if not scale > 0:
        raise ExportError(f"scale is {scale}; it must be above 0 (2 gives two pixels for each of the chart)")
    replace_file(target, encode(chart_specification(chart, theme=theme), scale, theme))
    return target


def chart_specification(chart: alt.TopLevelMixin, *, theme: Ground = "light") -> dict[str, Any]:
    """The chart as Vega-Lite, with its data, on light or dark ground.

    Raises:
        ExportError: Altair finds it invalid.
        InvalidInput: there is no such ground.
    """
    try:
        specification = chart.to_dict(context={"pre_transform": False})
    except (SchemaValidationError, ValueError) as error:
        raise ExportError(f"this chart is not valid Vega-Lite: {error}") from error
    return on_ground(specification, theme)


def inert_json(value: object) -> str:
    r"""JSON that can stand within a ``<script>`` element whatever texts it holds.

    >>> inert_json({"label": "</script>"})
    '{"label": "\\u003c/script\\u003e"}'
    """
    written = json.dumps(value, allow_nan=False)
    return written.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def vega_library() -> str:
    """JavaScript of Vega, Vega-Lite and Vega-Embed, to stand within a page; it defines ``vegaEmbed``."""
    library: str = vl_convert.javascript_bundle(_EXPOSED, vl_version=_vega_lite_version())
    return library


def chart_page(chart: alt.TopLevelMixin, *, theme: Ground = "light") -> str:
    """One HTML page with the chart, its data and the library that draws it; it asks for nothing else.

    Raises:
        ExportError: the chart is not valid.
        InvalidInput: there is no such ground.
    """
    return _page(chart_specification(chart, theme=theme), theme)


def _page(specification: dict[str, Any], theme: Ground) -> str:
    return _PAGE.format(
        policy=OFFLINE_POLICY,
        theme=theme,
        paper=PALETTES[theme].paper,
        ink=PALETTES[theme].ink,
        title=html.escape(_title_text(specification)),
        tooltip_style=TOOLTIP_STYLE,
        library=vega_library(),
        specification=inert_json(specification),
        embed_options=json.dumps({**_EMBED_OPTIONS, "tooltip": {"theme": theme}}),
    )


def _title_text(specification: dict[str, Any]) -> str:
    """The chart's title on one line."""
    title = specification.get("title", "")
    text = title.get("text", "") if isinstance(title, dict) else title
    return " ".join(text) if isinstance(text, list) else str(text) or "Chart"


def _vega_lite_version() -> str:
    """Altair's own version of Vega-Lite, as vl-convert names it: ``"6.4"``."""
    return ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def _drawn(specification: dict[str, Any], draw: Callable[..., Any], **options: object) -> Any:
    """A picture, drawn without leave to fetch anything."""
    try:
        return draw(
            _drawable(specification), vl_version=_vega_lite_version(), allowed_base_urls=[], **options
        )
    except ValueError as error:
        raise ExportError(f"this chart cannot be drawn: {error}") from error


def _drawable(value: Any) -> Any:
    """The same with a sign for each character that no XML may hold: one in a label would end the process."""
    if isinstance(value, str):
        return _NOT_XML.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_drawable(name): _drawable(inner) for name, inner in value.items()}
    return [_drawable(inner) for inner in value] if isinstance(value, list | tuple) else value


def _svg(specification: dict[str, Any], _: float, __: Ground) -> bytes:
    picture: str = _drawn(specification, vl_convert.vegalite_to_svg)
    return picture.encode()


def _png(specification: dict[str, Any], scale: float, _: Ground) -> bytes:
    return packed(_drawn(specification, vl_convert.vegalite_to_png, scale=scale))


def _html(specification: dict[str, Any], _: float, theme: Ground) -> bytes:
    return _page(specification, theme).encode()


def _json(specification: dict[str, Any], _: float, __: Ground) -> bytes:
    return json.dumps(specification, allow_nan=False, ensure_ascii=False, indent=1).encode() + b"\n"


_ENCODERS: Final[dict[str, Callable[[dict[str, Any], float, Ground], bytes]]] = {
    ".html": _html,
    ".json": _json,
    ".png": _png,
    ".svg": _svg,
}
