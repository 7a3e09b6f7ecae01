"""What a report says, of stores whose numbers were written by hand."""

import json

import numpy as np
import pytest

from llm_mri_store import Store
from llm_mri_store.errors import ExportError, UnknownName, WriteFailed
from tests.cli.shell import refused, shell
from tests.report.pages import HOSTILE, Page
from tests.store.stores import write_planted, write_reduction, write_scan

EVERY = ["scan", "explore", "layers", "information", "probe", "contrast", "graph", "quality", "methods"]
FEW = {"n_permutations": 99, "probe": False}


def report_of(store, tmp_path, **options):
    path = store.reduction(*options.pop("of", ())).report(tmp_path / "report.html", **{**FEW, **options})
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def planted(tmp_path):
    return Store(write_planted(tmp_path / "store").root)


def small_store(tmp_path, labels, *, grid=4, n_components=2, **fields):
    n = len(labels)
    rng = np.random.default_rng(0)
    store = write_scan(tmp_path / "store", "small", labels=labels, **fields)
    cells = rng.integers(0, grid or 1, size=(n, 2, 2))
    coordinates = rng.normal(size=(n, 2, n_components))
    write_reduction(store, "small", cells=cells, coordinates=coordinates, grid=grid)
    return Store(store.root)


def test_a_report_tells_every_part_of_a_scan(planted, tmp_path):
    told = []
    page = report_of(planted, tmp_path, progress=lambda one: told.append(one.job))
    assert page.sections() == EVERY
    assert page.faults == []
    assert "Scan sky" in page.text
    assert {"report"} <= set(told)
    assert "layer 0" in page.text


def test_many_labels_are_told_as_pairs_and_the_mapped_pair_was_chosen_by_looking(planted, tmp_path):
    page = report_of(planted, tmp_path)
    assert "The 3 pairs of labels" in page.text
    assert "It was chosen by looking at all of them" in page.text
    assert "llm-mri report sky/pca-2" in page.text


def test_two_labels_are_held_against_each_other(planted, tmp_path):
    page = report_of(planted, tmp_path, labels=["a", "b"])
    assert page.sections() == [*EVERY[:7], "comparison", *EVERY[7:]]
    assert "chosen by looking" not in page.text
    assert "Comparison of graphs of a and b" in page.text
    assert "--label a --label b" in page.text


def test_a_kept_test_of_more_relabelings_is_shown(planted, tmp_path):
    planted.reduction().contrast("a", "b", n_permutations=199, seed=5)
    before = planted.sql("SELECT count(*) AS n FROM tests WHERE kind = 'contrast'")["n"]
    page = report_of(planted, tmp_path, labels=["a", "b"])
    assert "199 relabelings were drawn with seed 5" in page.text
    assert planted.sql("SELECT count(*) AS n FROM tests WHERE kind = 'contrast'")["n"] == before


def test_tests_are_kept_and_a_second_report_says_the_same(planted, tmp_path):
    first = report_of(planted, tmp_path)
    assert set(planted.sql("SELECT kind FROM tests")["kind"]) == {"information", "label_contrast", "contrast"}
    assert report_of(planted, tmp_path).text == first.text


def test_without_a_grid_each_part_that_needs_one_says_so(tmp_path):
    store = small_store(tmp_path, ["a", "b", "c"] * 8, grid=None, n_components=3)
    page = report_of(store, tmp_path)
    assert page.sections() == EVERY
    assert page.text.count("no grid") >= 3
    assert "explorer-data" not in page.ids()


def test_one_label_is_nothing_to_compare_and_the_page_says_so(tmp_path):
    page = report_of(small_store(tmp_path, ["a"] * 12), tmp_path)
    assert "There is one label, so nothing to compare it with." in page.text
    assert "There is one label, so nothing that a cell could tell of it." in page.text
    assert page.json("explorer-data")["totals"] == [12]


def test_labels_of_one_sample_and_samples_without_a_cell_fail_no_page(tmp_path):
    labels = ["a"] * 8 + ["b"] * 8 + ["c", None]
    status = ["ok"] * 16 + ["ok", "null_label"]
    page = report_of(small_store(tmp_path, labels, status=status), tmp_path, probe=True)
    assert page.sections() == EVERY
    assert "c" in page.json("explorer-data")["labels"]


def test_hostile_texts_and_labels_stay_words(tmp_path):
    labels = [HOSTILE, "b"] * 10
    store = small_store(tmp_path, labels, texts=[f"{HOSTILE} {i}" for i in range(20)])
    page = report_of(store, tmp_path, title=HOSTILE)
    assert page.faults == []
    assert "img" not in [tag for tag, _ in page.elements]
    assert all(text.startswith("</script>") for text in page.json("explorer-data")["texts"]["text"])


def test_the_explorers_counts_are_those_of_sql(planted, tmp_path):
    page = report_of(planted, tmp_path)
    data = page.json("explorer-data")
    rows = planted.sql(
        "SELECT layer, cell_x * 4 + cell_y AS cell, label, count(*) AS n FROM points GROUP BY ALL"
    ).rows()
    wanted = {(row["layer"], row["cell"], row["label"]): row["n"] for row in rows}
    cells = data["cells"]
    columns = (cells["layer"], cells["cell"], cells["label"], cells["n"])
    told = {(layer, cell, data["labels"][at]): n for layer, cell, at, n in zip(*columns, strict=True)}
    assert told == wanted


def test_a_large_scan_is_probed_in_part_and_the_page_says_so(planted, tmp_path, monkeypatch):
    from llm_mri_store.api import report_tests

    for name, value in {"PROBED_NUMBERS": 10, "FEWER_PROBED_NUMBERS": 10, "FEWEST_PROBED": 60}.items():
        monkeypatch.setattr(report_tests, name, value)
    page = report_of(planted, tmp_path, probe=True)
    assert "One repeat of 5 folds on 60 of 90 samples, drawn with seed 0" in page.text


def test_a_mistake_is_refused_before_anything_is_computed(planted, tmp_path):
    reduction = planted.reduction()
    with pytest.raises(ExportError, match=r"its ending must be \.html"):
        reduction.report(tmp_path / "report.pdf")
    with pytest.raises(WriteFailed, match="there is no folder"):
        reduction.report(tmp_path / "nowhere" / "report.html")
    with pytest.raises(UnknownName, match="label"):
        reduction.report(tmp_path / "report.html", labels=["x"])
    assert not list(tmp_path.glob("*.html"))


def test_the_shell_writes_the_page_and_tells_where(planted, tmp_path):
    words = (
        "report",
        "--store",
        planted.path,
        "-o",
        tmp_path / "r.html",
        "--permutations",
        "99",
        "--no-probe",
    )
    done = shell(*words)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert done.stderr.strip().endswith("r.html")
    assert Page((tmp_path / "r.html").read_text()).sections() == EVERY
    assert shell(*words, "--quiet").stderr == ""
    assert "its ending must be .html" in refused("report", "--store", planted.path, "-o", tmp_path / "r.txt")
    assert "label 'x'" in refused("report", "--store", planted.path, "--label", "x")


def test_every_chart_of_the_page_is_vega_lite_with_its_rows(planted, tmp_path):
    page = report_of(planted, tmp_path)
    charts = [json.loads(words) for attributes, words in page.scripts if attributes.get("class")]
    assert len(charts) >= 6
    assert all({"mark", "layer", "spec", "vconcat", "hconcat"} & chart.keys() for chart in charts)
