"""What tests read out of a chart: its data, its marks, and the words beside the pointer."""

import html
import re

from llm_mri_store.charts import save_chart


def drawn_rows(chart):
    """Every row of every data set of a chart's specification."""
    return [row for rows in inline_data(chart.to_dict()) for row in rows]


def inline_data(spec):
    named = spec.get("datasets", {})
    for part in parts(spec):
        data = part.get("data", {})
        if "values" in data:
            yield data["values"]
        elif data.get("name") in named:
            yield named[data["name"]]


def parts(spec):
    """The specification and all charts within it."""
    yield spec
    for name in ("layer", "vconcat", "hconcat"):
        for one in spec.get(name, []):
            yield from parts(one)
    if "spec" in spec:
        yield from parts(spec["spec"])


def marks(chart, kind=None):
    """The charts within a chart that draw a mark, of one kind or of any."""
    found = [part for part in parts(chart.to_dict()) if "mark" in part]
    return [part for part in found if kind is None or part["mark"]["type"] == kind]


def subtitle(chart):
    return " ".join(chart.to_dict()["title"].get("subtitle", [])).replace("\u00a0", " ")


def title(chart):
    return " ".join(chart.to_dict()["title"]["text"]).replace("\u00a0", " ")


def spoken(chart, path):
    """What a screen reader says of each mark of the drawing: its numbers and its tooltip's words."""
    drawing = save_chart(chart, path).read_text()
    return [
        html.unescape(label).replace("\u00a0", " ") for label in re.findall(r'aria-label="([^"]*)"', drawing)
    ]
