"""``llm-mri compare SCAN/REDUCTION SCAN/REDUCTION``: two reductions, and how words are told from labels."""

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from llm_mri_store import Store
from tests.cli.shell import refused
from tests.cli.test_inference import misused, ok, rows
from tests.store.stores import write_planted, write_reduction, write_scan
from tests.trees import tree

FEW = ("--permutations", "19")


@pytest.fixture
def skies(tmp_path):
    """Options that name a store of scans sky and moon over the same texts."""
    write_planted(tmp_path / "store")
    write_planted(tmp_path / "store", "moon", seed=1, site="mlp")
    return ("--store", tmp_path / "store")


def write_labelled(root, name, labels, *, reduction="pca-2"):
    """A scan of 24 samples of these labels in turn."""
    labels = [labels[one % len(labels)] for one in range(24)]
    store = write_scan(root, name, labels=labels, chunk_samples=64)
    cells = np.random.default_rng(0).integers(0, 3, size=(24, 2, 2))
    write_reduction(store, name, cells=cells, grid=3, name=reduction)


def test_two_reductions_are_compared_and_nothing_is_kept(skies):
    before = tree(skies[1])
    page = ok("compare", "sky/pca-2", "moon/pca-2", *skies, *FEW, "-q", "--methods").stdout
    for words in (
        "sky/pca-2 (model, site residual, layers 0-2, 90 samples) was compared with moon/pca-2",
        "They differ in site.",
        "a_layer",
        "ami_p_fwe",
        "References:",
    ):
        assert words in page
    found = rows("compare", "sky/pca-2", "moon/pca-2", *skies, *FEW)
    assert [(row["a_layer"], row["b_layer"]) for row in found] == [(a, b) for a in range(3) for b in range(3)]
    assert tree(skies[1]) == before
    result = (
        Store(skies[1]).reduction("sky").compare_with(Store(skies[1]).reduction("moon"), n_permutations=19)
    )
    assert found == result.layers.rows()


def test_the_rows_may_be_chosen_and_go_to_a_file(skies, tmp_path):
    words = ("compare", "sky", "moon/pca-2", *skies, *FEW, "-q")
    assert {row["distance"] for row in rows(*words, "--rows", "distances")} == {"portrait", "spectral"}
    assert {row["graph"] for row in rows(*words, "--rows", "metrics")} == {"all", "a", "b", "c"}
    ok(*words, "-o", tmp_path / "x.csv", "--activations")
    with (tmp_path / "x.csv").open() as file:
        assert float([*csv.DictReader(file)][-1]["activation_cka"]) > 0
    ok(*words, "-o", tmp_path / "x.parquet", "--rows", "metrics")
    assert "value_b_low" in pq.read_table(tmp_path / "x.parquet").column_names
    ok(*words, "-o", tmp_path / "x.json")
    assert len(json.loads((tmp_path / "x.json").read_text())) == 9


@pytest.mark.parametrize(("ending", "start"), [("html", b"<!"), ("svg", b"<svg"), ("png", b"\x89PNG")])
def test_a_chart_is_written_by_its_ending(skies, tmp_path, ending, start):
    ok("compare", "sky/pca-2", "moon/pca-2", *skies, *FEW, "-q", "-o", tmp_path / f"x.{ending}")
    assert (tmp_path / f"x.{ending}").read_bytes().lstrip()[: len(start)].lower() == start.lower()


def test_of_other_texts_graphs_stand_side_by_side(skies, tmp_path):
    write_planted(skies[1], "mars", corpus_fingerprint="other")
    page = ok("compare", "sky/pca-2", "mars/pca-2", *skies, "-q").stdout
    assert "cannot be matched sample by sample" in page
    assert "value_a_low" in page
    words = refused("compare", "sky/pca-2", "mars/pca-2", *skies, "-q", "-o", tmp_path / "x.svg")
    assert "layers of sky/pca-2 and mars/pca-2 cannot be matched" in words


def test_labels_are_compared_as_before(skies):
    for words in (("sky", "a"), ("sky/pca-2", "a", "b"), ("sky", "a", "rest")):
        assert rows("compare", *words, *skies, *FEW)[0]["distance"] == "jaccard"


def test_a_label_comes_before_a_reduction_of_its_name(skies):
    write_labelled(skies[1], "news", ["moon/pca-2", "moon", "x/y"])
    for label in ("moon/pca-2", "moon", "x/y"):
        assert {row["a"] for row in rows_of_sql(skies, "news", label)} == {label}
    assert "a_layer" in rows("compare", "sky", "moon/pca-2", *skies, *FEW)[0]


def rows_of_sql(skies, scan, label):
    ok("compare", f"{scan}/pca-2", label, *skies, *FEW, "-q")
    table = Store(skies[1]).scans[scan].reductions["pca-2"].ask("tests")
    return [row for row in table.rows() if row["a"] == label]


def test_labels_of_an_only_scan_may_be_called_as_its_reductions(tmp_path):
    write_labelled(tmp_path / "store", "news", ["news/pca-2", "news/x"])
    store = ("--store", tmp_path / "store")
    for words in (("news/pca-2", "news/x"), ("news/x",)):
        assert "distance" in rows("compare", *words, *store, *FEW)[0]
    assert rows("compare", "news/pca-2", "news/x", *store, *FEW, "-r", "pca-2")[0]["distance"] == "jaccard"


MISTAKES = {
    "no such reduction": (
        ("sky/pca-2", "moon/pca-3"),
        "reduction 'pca-3' is not in scan 'moon'; did you mean",
    ),
    "no such first": (
        ("sky/pca", "moon/pca-2"),
        "reduction 'pca' is not in scan 'sky'; did you mean 'pca-2'?",
    ),
    "no such scan": (("sky/pca-2", "moom/pca-2"), "label or reduction 'moom/pca-2' is not in scan 'sky' or"),
    "neither": (("sky/pca-2", "x/y"), "there are: a, b, c, moon/pca-2, sky/pca-2"),
    "too few permutations": (("sky", "moon", "--permutations", "9"), "take 999 or more"),
}


@pytest.mark.parametrize(("words", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence(skies, words, sentence):
    assert sentence in refused("compare", *words, *skies)


MISUSES = {
    "strata": (("sky", "moon", "--strata", "n_tokens"), "--strata is for two labels, not for two reductions"),
    "a name": (("sky", "moon", "--name", "mine"), "--name is for two labels"),
    "rarefied": (("sky", "moon", "--rarefied", "9"), "--rarefied is for two labels"),
    "activations of labels": (("sky", "a", "b", "--activations"), "--activations is for two reductions"),
    "layers of labels": (("sky", "a", "b", "--rows", "layers"), "--rows layers is not there of two labels"),
}


@pytest.mark.parametrize(("words", "sentence"), MISUSES.values(), ids=MISUSES)
def test_an_option_of_the_other_comparison_is_refused(skies, words, sentence):
    assert sentence in misused("compare", *words, *skies)
