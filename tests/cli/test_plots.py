"""``llm-mri plot``: every chart as a file."""

import json

import pytest

from llm_mri_store import Store
from llm_mri_store.charts.palettes import DARK
from tests.charts.drawings import inline_data
from tests.cli.shell import refused, shell

KINDS = {
    "points": ["--layers", "1-2"],
    "flow": ["--label", "a", "--label", "b", "--regions", "3"],
    "regions": ["--layer", "2"],
    "metrics": ["--metric", "density"],
    "heatmaps": ["--counts"],
    "quality": [],
    "map-quality": [],
}


def drawn(tiny_store, *words):
    """The rows of every data set of the chart a command writes."""
    result = shell("plot", *words, "--store", tiny_store, "-o", "chart.json")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    spec = json.loads((tiny_store.parent / "chart.json").read_text())
    return [row for rows in inline_data(spec) for row in rows]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_written_light_and_dark(tiny_store, kind):
    for theme in ("light", "dark"):
        words = ["plot", kind, "tiny", *KINDS[kind], "--theme", theme, "--store", tiny_store]
        result = shell(*words, "-o", f"{theme}.svg")
        assert result.exit_code == 0, result.output
        assert result.stderr.splitlines()[-1] == f"wrote {theme}.svg"
    light, dark = ((tiny_store.parent / f"{theme}.svg").read_text() for theme in ("light", "dark"))
    assert DARK.paper in dark
    assert DARK.paper not in light


def test_points_are_of_the_layers_and_as_many_as_asked_for(tiny_store):
    rows = [row for row in drawn(tiny_store, "points", "--layers", "1,3", "--points", "12") if "x" in row]
    assert sorted(row["layer"] for row in rows) == [1] * 6 + [3] * 6


def test_flow_follows_the_labels_named(tiny_store):
    ribbons = [row for row in drawn(tiny_store, "flow", "--label", "a") if "ribbon" in row]
    assert {row["drawn_as"] for row in ribbons} == {"a"}
    assert sum(row["n"] for row in ribbons) == 8 * 3


def test_regions_and_metrics_are_those_of_python(tiny_store):
    reduction = Store(tiny_store).reduction()
    shares = [row for row in drawn(tiny_store, "regions", "--layer", "2") if "share" in row]
    parts = {(row["region"], row["label"]): row["n"] for row in shares if row["region"] != "all samples"}
    assert sum(parts.values()) == 24
    rows = drawn(tiny_store, "metrics", "--metric", "n_edges", "--label", "b")
    assert [row["value"] for row in rows] == reduction.metrics("b")["n_edges"]


def test_quality_needs_no_reduction(tiny_store):
    shell("rm", "tiny/pca-2", "-y", "--store", tiny_store)
    assert len({row["layer"] for row in drawn(tiny_store, "quality", "-q")}) == 4


def test_mistakes_are_sentences(tiny_store):
    store = ["--store", tiny_store]
    assert "use .html, .json, .png, .svg" in refused("plot", "flow", *store, "-o", "chart.pdf")
    assert "label" in refused("plot", "flow", *store, "--label", "z", "-o", "chart.svg")
    assert "layer 9" in refused("plot", "regions", *store, "--layer", "9", "-o", "chart.svg")
    assert "metric 'densty'" in refused("plot", "metrics", *store, "--metric", "densty", "-o", "chart.svg")
    assert shell("plot", "flow", *store).exit_code == 2
    assert shell("plot", "regions", *store, "-o", "chart.svg").exit_code == 2
    assert shell("plot", "points", *store, "--points", "0", "-o", "chart.svg").exit_code == 2
