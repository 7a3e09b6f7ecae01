"""``llm-mri contrast``, ``edges``, ``compare`` and ``information``: pages, rows, files, and mistakes."""

import csv
import io
import json
import shlex

import pyarrow.parquet as pq
import pytest

from llm_mri_store import Store
from tests.cli.shell import refused, shell
from tests.store.stores import write_planted
from tests.trees import tree

FEW = ("--permutations", "99")


@pytest.fixture
def sky(tmp_path):
    """Options that name a store whose only scan has one difference: label a, layer 1, cell (3, 3)."""
    write_planted(tmp_path / "store")
    return ("--store", tmp_path / "store")


def ok(*words):
    result = shell(*words)
    assert result.exit_code == 0, result.output
    return result


def misused(*words):
    """What a wrong command line is told, with exit code 2."""
    result = shell(*words)
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.split())


def rows(*words):
    return json.loads(ok(*words, "--format", "json", "-q").stdout)


# --- contrast --------------------------------------------------------------------------------------------


def test_a_contrast_prints_sentences_peaks_and_texts(sky):
    page = ok("contrast", "a", "b", *sky, *FEW, "-q")
    assert page.stderr == ""
    for words in (
        "'a' (30 samples) was compared with 'b' (30).",
        "99 relabelings were drawn with seed 0",
        "1 of ",
        "cluster 1, layer 1, cell (3, 3), more of a:",
        "  - star ",
        "comet",
    ):
        assert words in page.stdout
    assert "References" not in page.stdout


def test_the_scan_may_be_left_out_or_named_with_its_reduction(sky):
    expected = rows("contrast", "a", "b", *sky, *FEW)
    for words in (("sky", "a", "b"), ("sky/pca-2", "a", "b"), ("sky", "a", "b", "-r", "pca-2")):
        assert rows("contrast", *words, *sky, *FEW) == expected
    assert [row["cluster"] for row in expected] == [1]
    assert rows("contrast", "sky", "a", *sky, *FEW)[0]["more_of"] == "a"
    assert rows("contrast", "a", *sky, *FEW) == rows("contrast", "a", "rest", *sky, *FEW)


def test_all_labels_are_contrasted_where_none_is_named(sky):
    page = ok("contrast", *sky, *FEW, "-q").stdout
    assert "3 labels were compared (90 samples)." in page
    assert "p_holm" in page
    assert [(row["a"], row["b"]) for row in rows("contrast", "sky", *sky, *FEW)] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    assert len(rows("contrast", *sky, *FEW, "--rows", "cells")) == 48


@pytest.mark.parametrize(
    ("table", "n"),
    [("found", 1), ("cells", 48), ("clusters", None), ("layers", 3), ("balance", 1), ("nulls", 99)],
)
def test_rows_are_those_of_the_result(sky, table, n):
    words = ("contrast", "a", "b", *sky, *FEW, "--strata", "n_tokens", "--rows", table)
    printed = rows(*words)
    assert n is None or len(printed) == n
    assert len(ok(*words).stdout.splitlines()) > 3
    result = Store(sky[1]).reduction().contrast("a", "b", n_permutations=99, strata="n_tokens")
    expected = result.found() if table == "found" else getattr(result, table)
    assert printed == expected.rows()


def test_rows_go_to_a_file_by_its_ending(sky, tmp_path):
    words = ("contrast", "a", "b", *sky, *FEW, "-q", "-o")
    ok(*words, tmp_path / "peaks.csv")
    with (tmp_path / "peaks.csv").open() as file:
        (peak,) = csv.DictReader(file)
    assert json.loads(peak["words"])[:2] in (["star", "comet"], ["comet", "star"])
    ok(*words, tmp_path / "cells.parquet", "--rows", "cells")
    assert pq.read_table(tmp_path / "cells.parquet").num_rows == 48
    written = ok(*words[:-2], "-o", tmp_path / "peaks.json")
    assert written.stdout == ""
    assert "wrote" in written.stderr
    assert "was compared with" in written.stderr
    assert len(json.loads((tmp_path / "peaks.json").read_text())) == 1


@pytest.mark.parametrize("command", [("contrast", "a", "b"), ("information",), ("compare", "a", "b")])
@pytest.mark.parametrize("ending", ["html", "svg", "png"])
def test_charts_are_written_by_ending(sky, tmp_path, command, ending):
    ok(*command, *sky, "--permutations", "19", "-q", "-o", tmp_path / f"chart.{ending}")
    content = (tmp_path / f"chart.{ending}").read_bytes()
    start = {"html": b"<!", "svg": b"<svg", "png": b"\x89PNG"}[ending]
    assert content.lstrip()[: len(start)].lower() == start.lower()


def test_csv_on_stdout_is_rows_alone(sky):
    printed = ok("contrast", "a", "b", *sky, *FEW, "--format", "csv", "--methods")
    (peak,) = csv.DictReader(io.StringIO(printed.stdout))
    assert (peak["layer"], peak["cell_x"], peak["cell_y"]) == ("1", "3", "3")
    assert "was compared with" in printed.stderr
    assert "References:" in printed.stderr


def test_the_choices_reach_the_test(sky):
    ok(
        "contrast", "a", "b", *sky, *FEW, "--strata", "n_tokens:3", "--strata", "source", "--seed", "4",
        "--alternative", "greater", "--cluster-threshold", "1.5", "--min-samples", "2",
        "--name", "mine", "-q",
    )  # fmt: skip
    ok("contrast", "a", "c", *sky, *FEW, "--groups", "source", "-q")
    parameters = {
        row["result"]: json.loads(row["parameters"]) | {"seed": row["seed"]}
        for row in Store(sky[1]).sql("SELECT * FROM results").rows()
    }
    assert parameters["mine"] == {
        "a": ["a"],
        "b": ["b"],
        "strata": ["n_tokens", "source"],
        "n_bins": 3,
        "groups": None,
        "alternative": "greater",
        "n_permutations": 99,
        "cluster_threshold": 1.5,
        "min_samples": 2,
        "seed": 4,
        "twin": None,
    }
    assert parameters["a-vs-c"]["groups"] == "source"


def test_methods_are_a_paragraph_of_their_own(sky):
    last = ok("contrast", "a", "b", *sky, *FEW, "--methods", "-q").stdout.strip().splitlines()[-1]
    assert last.startswith("Activations of model for 90 texts of corpus")
    assert last.endswith("1931.")


def test_where_nothing_differs_the_sentences_say_so(sky):
    page = ok("contrast", "b", "c", *sky, *FEW).stdout
    assert "differs by itself at a family-wise p of 0.05" in page
    assert "cluster 1" not in page
    assert rows("contrast", "b", "c", *sky, *FEW) == []


# --- edges, compare, information -------------------------------------------------------------------------


def test_edges_of_a_label_and_of_two(sky):
    page = ok("edges", "a", *sky, *FEW, "--min-samples", "1", "-q").stdout
    assert "The samples of 'a' (30) keep the number that each cell holds" in page
    assert {row["test"] for row in rows("edges", "a", "rest", *sky, *FEW, "--rows", "edges")} == {
        "difference"
    }
    assert "share the source's cell" in ok("edges", "sky", "a", "b", *sky, *FEW, "--given", "source").stdout
    components = rows("edges", "a", "b", *sky, *FEW, "--rows", "components", "--cluster-threshold", "0.5")
    assert all(row["a"] == "a" for row in components)
    assert {row["a"] for row in rows("edges", *sky, *FEW, "--rows", "edges")} == {None}


def test_compare_tells_distances_or_metrics(sky):
    words = ("compare", "a", "b", *sky, "--permutations", "19")
    page = ok(*words, "-q").stdout
    assert "The graph of 'a' (30 samples) was compared with that of 'b' (30)." in page
    assert "jensen_shannon" in page
    assert "density" in {row["metric"] for row in rows(*words, "--rows", "metrics", "--rarefied", "20")}
    assert {row["b"] for row in rows("compare", "sky", "a", *sky, "--permutations", "19")} == {"rest"}


def test_information_tells_layers_or_steps(sky):
    page = ok("information", *sky, *FEW, "-q").stdout
    assert "most at layer 1" in page
    assert [row["layer"] for row in rows("information", "sky/pca-2", *sky, *FEW)] == [0, 1, 2]
    steps = rows("information", *sky, *FEW, "--label", "a", "--rest", "--rows", "steps")
    assert [(row["layer"], row["next_layer"]) for row in steps] == [(0, 1), (1, 2)]
    assert steps[0]["labels"] == ["a", "rest"]


# --- the random twin -------------------------------------------------------------------------------------


def test_a_finding_asks_for_the_twin_and_says_how_to_make_it(tiny_bert, tmp_path):
    """The commands that are suggested work as they stand, but for where model and corpus lie."""
    rng_words = "river stone cloud engine paper garden".split()
    corpus = tmp_path / "sky.jsonl"
    texts = [(f"lantern harvest {word} thunder", "a") for word in rng_words * 3]
    texts += [(f"{word} window copper", "b") for word in rng_words * 3]
    corpus.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in texts))
    store = ("--store", tmp_path / "store")
    ok("scan", tiny_bert, corpus, *store, "--name", "sky", "--pooling", "mean", "--layers", "1-2", "-q")
    ok("reduce", *store, "--grid", "3", "--bins", "quantile", "-q")
    said = ok("contrast", "a", "b", *store, *FEW).stderr
    commands = [line.strip() for line in said.splitlines() if line.startswith("  llm-mri ")]
    assert len(commands) == 2
    for command in commands:
        program, *words = shlex.split(command)
        assert program == "llm-mri"
        places = {tiny_bert.name: tiny_bert, "sky": corpus if words[0] == "scan" else "sky"}
        if words[0] == "scan":
            words[1:3] = [tiny_bert, corpus]
        assert not {*words} & {*places} - {"sky"}
        ok(*words, *store, "-q")
    said = ok("contrast", "sky", "a", "b", *store, *FEW).stderr
    assert "would random weights show it as well? add --twin sky-random" in said
    page = ok("contrast", "sky", "a", "b", *store, *FEW, "--twin", "sky-random")
    assert "Random weights (sky-random/pca-2, drawn with seed 0)" in page.stdout
    assert "would random weights" not in page.stderr
    told = ok("information", "sky", *store, *FEW, "--twin", "sky-random").stdout
    assert "also_in_twin" in told
    scores = rows(
        "probe", "sky", *store, "--twin", "sky-random", "--splits", "2", "--repeats", "1",
    )  # fmt: skip
    assert "random_weights" in {row["features"] for row in scores}


def test_quiet_asks_for_no_twin(sky):
    assert ok("contrast", "a", "b", *sky, *FEW, "-q").stderr == ""
    assert "make a twin" in ok("information", *sky, *FEW).stderr
    assert "twin" not in ok("contrast", "b", "c", *sky, *FEW).stderr


# --- mistakes --------------------------------------------------------------------------------------------

MISTAKES = {
    "no such scan": (("contrast", "ski", "a", "b"), "scan 'ski' is not in store"),
    "no such label": (("contrast", "a", "z"), "label 'z' is not in scan 'sky'; there are: a, b, c"),
    "no such label of edges": (("edges", "z"), "label 'z' is not in scan 'sky'"),
    "no such label in information": (("information", "--label", "z"), "label 'z' is not in scan 'sky'"),
    "no such reduction": (("compare", "sky/pca-3", "a"), "did you mean 'pca-2'?"),
    "no such covariate": (("contrast", "a", "b", "--strata", "n_token"), "did you mean 'n_tokens'?"),
    "a label against itself": (("compare", "a", "a"), "stands on both sides"),
    "too few permutations": (("contrast", "a", "b", "--permutations", "9"), "take 999 or more"),
    "a column held and grouped": (
        ("contrast", "a", "b", "--strata", "source", "--groups", "source"),
        "as strata and as groups",
    ),
    "a twin that is not there": (("contrast", "a", "b", "--twin", "other"), "scan 'other' is not in store"),
    "a twin that is none": (("information", "--twin", "sky"), "has trained weights and is no twin"),
    "nothing given for one side": (("edges", "a", "--given", "source"), "name two, or 'rest' as the second"),
    "a name that is no folder": (("contrast", "a", "b", "--name", "x/y"), "cannot name a result"),
}


@pytest.mark.parametrize(("words", "sentence"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_changes_nothing(sky, words, sentence):
    before = tree(sky[1])
    assert sentence in refused(*words, *sky)
    assert tree(sky[1]) == before


def test_another_seed_under_the_same_name_is_refused(sky):
    ok("contrast", "a", "b", *sky, *FEW, "--name", "mine")
    words = refused("contrast", "a", "b", *sky, *FEW, "--name", "mine", "--seed", "1")
    assert "seed: 0 there, 1 asked" in words
    assert "remove it with 'llm-mri rm sky/pca-2/contrast/mine'" in words
    ok("rm", "sky/pca-2/contrast/mine", "-y", *sky)
    ok("contrast", "a", "b", *sky, *FEW, "--name", "mine", "--seed", "1")


def test_a_file_of_an_unknown_kind_is_refused_before_anything_is_computed(sky):
    before = tree(sky[1])
    assert "use .csv, .json, .parquet, .html, .svg, .png" in refused("contrast", "a", *sky, "-o", "x.txt")
    for words in (("edges", "a"), ("contrast",)):
        assert refused(*words, *sky, "-o", "x.html").endswith("use .csv, .json, .parquet")
    assert tree(sky[1]) == before


MISUSES = {
    "too many words": (("contrast", "sky", "a", "b", "c"), "at most 2 labels"),
    "nothing to compare": (("compare", "sky"), "name the label whose graph is compared"),
    "bins of two numbers": (
        ("contrast", "a", "b", "--strata", "n_tokens:3", "--strata", "source:4"),
        "give --strata one number of bins",
    ),
    "pairs of two sides": (
        ("contrast", "a", "b", "--rows", "pairs"),
        "--rows pairs is not there of two sides",
    ),
    "peaks of all labels": (
        ("contrast", "--rows", "peaks"),
        "--rows peaks is not there of all labels at once",
    ),
    "a twin for all labels": (("contrast", "--twin", "other"), "name A, or leave --twin out"),
}


@pytest.mark.parametrize(("words", "sentence"), MISUSES.values(), ids=MISUSES)
def test_a_wrong_command_line_says_what_was_expected(sky, words, sentence):
    before = tree(sky[1])
    assert sentence in misused(*words, *sky)
    assert tree(sky[1]) == before


def test_a_scan_must_be_named_where_there_are_several(sky):
    write_planted(sky[1], "other")
    assert "name a scan of store" in refused("contrast", "a", "b", *sky)
    assert rows("contrast", "other", "a", "b", *sky, *FEW)


def test_no_store(tmp_path):
    for command in ("contrast", "edges", "information"):
        assert "is no store" in refused(command, "--store", tmp_path / "nowhere")
