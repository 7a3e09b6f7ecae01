"""Tests of a reduction: kept as rows, read when asked again, told in words."""

import math
import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from llm_mri_store import Store, schema
from llm_mri_store.analysis import kept_contrasts
from llm_mri_store.api.inference_options import GRAPH_PERMUTATIONS, contrast_spec
from llm_mri_store.api.methods import REFERENCES
from llm_mri_store.api.reduction import Reduction
from llm_mri_store.errors import AlreadyThere, InvalidInput, QueryError, ReductionError, UnknownName
from llm_mri_store.store import sandbox
from llm_mri_store.store.catalogue import remove_reduction
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.selection import select
from llm_mri_store.store.verify import verify_store
from tests.store.stores import random_store, write_planted, write_reduction
from tests.trees import tree

FEW = {"n_permutations": 99}

ASK = {
    "contrast": lambda one, **more: one.contrast("a", "b", strata="n_tokens", n_bins=2, **FEW, **more),
    "label_contrast": lambda one, **more: one.contrast_labels(**FEW, **more),
    "edge_test": lambda one, **more: one.edge_tests("a", "rest", cluster_threshold=0.5, **FEW, **more),
    "information": lambda one, **more: one.information(**FEW, **more),
    "comparison": lambda one, **more: one.compare("a", "b", n_permutations=19, **more),
}
KINDS = pytest.mark.parametrize("kind", ASK)


@pytest.fixture
def sky(tmp_path):
    """A reduction where 20 of the 30 samples of a lie in one cell of layer 1, and all else is chance."""
    store = write_planted(tmp_path / "store")
    return Reduction(store, "sky", "pca-2")


@pytest.fixture
def root(sky, tmp_path):
    return tmp_path / "store"


# --- kept as rows ----------------------------------------------------------------------------------------


@KINDS
@pytest.mark.parametrize("ask", [fetch, sandbox.run], ids=["own", "sandbox"])
def test_what_is_returned_are_the_rows_of_sql(sky, root, kind, ask):
    found = ASK[kind](sky)
    for table in schema.RESULT_KINDS[kind].tables:
        rows = ask(select(Store(root)._paths()), f"SELECT * FROM {table}")
        assert set(rows["result"].to_pylist()) <= {found.name}
        assert rows.drop_columns(["result"]).equals(found.kept.tables[table]), table
    assert found.facts["kind"] == kind
    assert tuple(found.facts["sentences"]) == found.sentences
    assert verify_store(Store(root)._paths()) == []


@KINDS
def test_the_listing_of_results_has_every_choice_and_the_seed(sky, root, kind):
    found = ASK[kind](sky, seed=5)
    (row,) = Store(root).sql("SELECT * FROM results").rows()
    assert (row["result"], row["kind"], row["reduction"], row["seed"]) == (found.name, kind, "pca-2", 5)
    for name in ("strata", "groups", "n_permutations", "min_samples", "cluster_threshold", "alternative"):
        assert f'"{name}"' in row["parameters"]


@KINDS
def test_the_same_again_is_read(sky, root, kind):
    first, before = ASK[kind](sky), tree(root)
    seen = []
    again = ASK[kind](sky, progress=seen.append)
    assert not seen
    assert tree(root) == before
    assert again.name == first.name
    assert all(again.kept.tables[table].equals(rows) for table, rows in first.kept.tables.items())
    assert again.sentences == first.sentences
    assert again.methods() == first.methods()


@KINDS
def test_other_choices_of_a_name_that_was_given_are_refused(sky, root, kind):
    ASK[kind](sky, name="mine")
    before = tree(root)
    words = f"result 'sky/pca-2/{kind}/mine' exists with other choices .seed: 0 there, 1 asked"
    with pytest.raises(AlreadyThere, match=words):
        ASK[kind](sky, name="mine", seed=1)
    assert tree(root) == before


def test_a_name_nobody_gave_gives_way_to_other_choices(sky, root):
    names = [sky.contrast("a", "b", seed=seed, **FEW).name for seed in (0, 1, 2, 1)]
    assert names[0] == "a-vs-b"
    assert all(re.fullmatch("a-vs-b-[0-9a-f]{6}", name) for name in names[1:])
    assert names[1] == names[3] != names[2]
    rows = Store(root).sql("SELECT result, seed FROM tests ORDER BY seed").rows()
    assert [row["result"] for row in rows] == names[:3]


@KINDS
def test_what_is_not_kept_leaves_no_trace_and_is_the_same(sky, root, kind):
    before = tree(root)
    loose = ASK[kind](sky, save=False)
    assert tree(root) == before
    kept = ASK[kind](sky)
    assert all(kept.kept.tables[table].equals(rows) for table, rows in loose.kept.tables.items())
    assert loose.kept.versions == kept.kept.versions
    assert {"numpy", "scipy"} <= set(kept.kept.versions)


def test_a_test_is_given_where_the_store_is_busy(sky, root, caplog):
    with scan_lock(Store(root)._paths(), "sky"):
        found = sky.contrast("a", "b", **FEW)
    assert found.facts["n_found"] == 1
    assert "could not be kept" in caplog.text
    with pytest.raises(QueryError, match="make one with 'llm-mri contrast sky/pca-2 A B'"):
        Store(root).sql("SELECT * FROM tests")


def test_tests_go_with_the_reduction_they_were_made_of(sky, root):
    sky.contrast("a", "b", **FEW)
    store = Store(root)._paths()
    remove_reduction(store, "sky", "pca-2")
    other = random_cells()
    write_reduction(store, "sky", cells=other, degenerate=[0])
    with pytest.raises(QueryError, match="'contrasts' is not there: reduction sky/pca-2 has no such result"):
        Store(root).sql("SELECT * FROM contrasts")
    anew = sky.contrast("a", "b", **FEW)
    assert anew.name == "a-vs-b"
    assert anew.facts["n_found"] == 0


def random_cells():
    import numpy as np

    return np.random.default_rng(9).integers(0, 4, size=(90, 3, 2))


def test_a_result_of_another_reduction_of_the_name_is_stale(sky, root, tmp_path):
    """As where files were copied: the rows are seen nowhere, and made anew without a word."""
    sky.contrast("a", "b", **FEW)
    store = Store(root)._paths()
    folder = root / "scans/sky/reductions/pca-2/results"
    folder.rename(tmp_path / "results")
    remove_reduction(store, "sky", "pca-2")
    write_reduction(store, "sky", cells=random_cells(), degenerate=[0])
    (tmp_path / "results").rename(folder)
    with pytest.raises(QueryError, match="has no such result"):
        Store(root).sql("SELECT * FROM contrasts")
    assert sky.contrast("a", "b", **FEW).facts["n_found"] == 0


# --- contrasts -------------------------------------------------------------------------------------------


def test_a_contrast_finds_what_was_planted_and_says_where(sky):
    found = sky.contrast("a", "b", **FEW)
    assert (found.a, found.b, found.name) == ("a", "b", "a-vs-b")
    (cell,) = found.found().rows()
    assert (cell["layer"], cell["cell_x"], cell["cell_y"], cell["p_fwe"]) == (1, 3, 3, 0.01)
    layers = {row["layer"]: row for row in found.layers.rows()}
    assert [layers[layer]["n_cells"] for layer in (0, 1, 2)] == [0, 1, 0]
    assert layers[0]["is_degenerate"]
    assert layers[0]["n_tested"] == 0
    assert layers[0]["largest_score"] is None
    assert layers[1]["largest_score"] == cell["score"]
    assert layers[1]["largest_difference"] == pytest.approx(20 / 30, abs=0.1)
    assert sum(row["n_tested"] for row in found.layers.rows()) == found.facts["n_tested"]
    assert repr(found).splitlines() == list(found.sentences)
    assert found.nulls.arrow.num_rows == 99


def test_a_peak_has_the_words_and_texts_of_the_side_that_has_more(sky):
    (peak,) = sky.contrast("a", "b", **FEW).peaks(n_words=2).rows()
    assert (peak["layer"], peak["cell_x"], peak["cell_y"], peak["more_of"], peak["size"]) == (1, 3, 3, "a", 1)
    assert set(peak["words"]) == {"star", "comet"}
    assert len(peak["texts"]) == 3
    assert all(text.startswith("star") for text in peak["texts"])
    assert peak["p"] < peak["q"] < peak["p_fwe"] == 0.01
    (mirrored,) = sky.contrast("b", "a", **FEW).peaks(n_words=0, n_texts=1).rows()
    assert (mirrored["more_of"], mirrored["score"]) == ("a", -peak["score"])
    assert (mirrored["words"], len(mirrored["texts"])) == ([], 1)


def test_a_side_may_be_several_labels_or_all_others(sky):
    rest = sky.contrast("a", **FEW)
    assert (rest.name, rest.b, rest.facts["labels"]) == ("a-vs-rest", "rest", ["a", "b", "c"])
    both = sky.contrast("a", ["b", "c"], **FEW)
    assert (both.b, both.name) == ("b + c", "a-vs-b-c")
    for column in ("n_a", "n_b", "score", "p_fwe"):
        assert both.cells[column] == rest.cells[column]
    (peak,) = sky.contrast(["b", "c"], "a", **FEW).peaks().rows()
    assert peak["more_of"] == "a"
    assert sky.contrast("a", "rest", **FEW).name == "a-vs-rest"
    peaks = rest.peaks(alpha=1, n_texts=99).rows()
    assert len(peaks) == len(rest.clusters)
    assert rest.peaks(alpha=1, limit=1).rows() == rest.peaks().rows()[:1]
    for row in peaks:
        of_a = ["star" in text for text in row["texts"]]
        assert all(of_a) if row["more_of"] == "a" else not any(of_a)


def test_where_nothing_differs_there_is_no_peak(sky):
    nothing = sky.contrast("b", "c", **FEW)
    assert len(nothing.peaks()) == len(nothing.found()) == 0
    assert any(sentence.startswith("No cell of the") for sentence in nothing.sentences)


def test_what_is_held_constant_is_compared_before_and_after(sky):
    held = sky.contrast("a", "b", strata=["n_tokens", "source"], n_bins=3, **FEW)
    assert held.facts["strata"] == ["n_tokens", "source"]
    assert held.facts["n_strata"] > 3
    assert [row["covariate"] for row in held.balance.rows()] == ["n_tokens"]
    assert held.found()["z_before"][0] is not None
    assert held.found()["adjusted_difference"][0] > 0
    grouped = sky.contrast("a", "b", groups="source", **FEW)
    assert grouped.facts["n_split_groups"] == 2


def test_several_labels_are_tested_together_and_in_pairs(sky):
    found = sky.contrast_labels(**FEW)
    assert found.name == "all-labels"
    best = max(found.cells.rows(), key=lambda row: row["statistic"] or 0)
    assert (best["layer"], best["cell_x"], best["cell_y"], best["label"]) == (1, 3, 3, "a")
    pairs = {(row["a"], row["b"]): row["p_holm"] for row in found.pairs.rows()}
    assert set(pairs) == {("a", "b"), ("a", "c"), ("b", "c")}
    assert max(pairs["a", "b"], pairs["a", "c"]) <= 0.05 < pairs["b", "c"]
    assert sky.contrast_labels(["a", "c"], **FEW).name == "a-c"


# --- edges, graphs, information --------------------------------------------------------------------------


def test_edges_are_tested_against_chance_or_against_each_other(sky):
    alone = sky.edge_tests("a", n_permutations=99, min_samples=1)
    assert (alone.a, alone.b, alone.name) == ("a", None, "a-coupling")
    assert set(alone.edges["test"]) == {"coupling"}
    assert set(alone.edges["a"]) == {"a"}
    assert alone.edges.arrow["weight_b"].null_count == len(alone.edges)
    edge = next(row for row in alone.edges.rows() if row["weight_a"])
    assert edge["share_a"] == edge["weight_a"] / 30
    assert edge["lift_a"] == pytest.approx(edge["weight_a"] / edge["expected_a"])
    assert len(alone.components) == 0
    pooled = sky.edge_tests(**FEW)
    assert (pooled.a, pooled.name, pooled.facts["n_samples"]) == (None, "all-coupling", 90)
    sides = sky.edge_tests("a", ["b", "c"], cluster_threshold=0.5, **FEW)
    assert set(sides.edges["test"]) == {"difference"}
    assert set(sides.edges["b"]) == {"b + c"}
    assert sides.edges.arrow["n_from"].null_count == len(sides.edges)
    assert len(sides.components) == sides.facts["n_tested"] or len(sides.components) > 1
    assert all(p <= 0.05 for p in sides.found()["p_fwe"])
    given = sky.edge_tests("a", "rest", given="source", **FEW)
    assert "share the source's cell" in repr(given)


def test_edges_of_one_side_have_nothing_to_be_given(sky, root):
    before = tree(root)
    for a, given in ((["a", "b"], "nothing"), ("a", "source")):
        with pytest.raises(InvalidInput, match="name two, or 'rest' as the second"):
            sky.edge_tests(a, given=given)
    with pytest.raises(InvalidInput, match="a side needs at least one label"):
        sky.edge_tests(None, "b")
    assert tree(root) == before


def test_graphs_are_compared_by_distances_and_metrics(sky):
    found = sky.compare("a", n_permutations=19, n_rarefied=20)
    assert (found.a, found.b) == ("a", "rest")
    assert set(found.distances["n_rarefied"]) == {20}
    assert len(found.distances) == found.facts["n_tested"] == 4
    assert set(found.metrics["b"]) == {"rest"}
    assert found.facts["n_permutations"] == 19
    assert contrast_spec({"n_permutations": GRAPH_PERMUTATIONS}).n_permutations == 999


def test_information_is_told_layer_by_layer_and_step_by_step(sky):
    found = sky.information(**FEW)
    assert found.layers["layer"] == [0, 1, 2]
    assert list(zip(found.steps["layer"], found.steps["next_layer"], strict=True)) == [(0, 1), (1, 2)]
    assert found.layers["is_peak"] == [False, True, False]
    assert found.layers["label_entropy"] == pytest.approx([math.log2(3)] * 3)
    counted = sky.ask("layer_information")
    assert found.layers["information"][1:] == pytest.approx(counted["information"][1:])
    rest = sky.information("a", rest=True, **FEW)
    assert rest.name == "a-vs-rest"
    assert rest.facts["labels"] == ["a", "rest"]
    assert rest.layers["labels"][0] == ["a", "rest"]
    assert sky.information(["a", "b"], **FEW).name == "a-vs-b"


# --- mistakes --------------------------------------------------------------------------------------------

MISTAKES = {
    "a label that is not there": (
        lambda one: one.contrast("a", "z"),
        UnknownName,
        "label 'z' is not in scan",
    ),
    "one label twice": (lambda one: one.contrast("a", "a"), InvalidInput, "stands on both sides"),
    "no label": (lambda one: one.contrast([]), InvalidInput, "a side needs at least one label"),
    "no rest": (lambda one: one.contrast(["a", "b", "c"]), InvalidInput, "there is no rest"),
    "one label in all": (lambda one: one.contrast_labels(["a"]), InvalidInput, "takes at least 2"),
    "a covariate that is not there": (
        lambda one: one.contrast("a", "b", strata="lenght"),
        UnknownName,
        "column 'lenght' is not in scan 'sky'",
    ),
    "an alternative that is not there": (
        lambda one: one.contrast("a", "b", alternative="more"),
        UnknownName,
        "alternative 'more'",
    ),
    "too few permutations": (lambda one: one.information(n_permutations=5), InvalidInput, "take 999 or more"),
    "a seed below 0": (lambda one: one.compare("a", "b", seed=-1), InvalidInput, "seed is -1"),
    "a name that is no folder": (
        lambda one: one.contrast("a", "b", name="../x"),
        InvalidInput,
        "cannot name",
    ),
    "more samples than there are": (
        lambda one: one.compare("a", "b", n_rarefied=31),
        InvalidInput,
        "n_rarefied is 31",
    ),
    "a twin that is not there": (
        lambda one: one.contrast("a", "b", twin="ski"),
        UnknownName,
        "scan 'ski' is not in store .*; did you mean 'sky'",
    ),
}


@pytest.mark.parametrize(("act", "error", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_changes_nothing(sky, root, act, error, words):
    before = tree(root)
    with pytest.raises(error, match=words) as caught:
        act(sky)
    assert "\n" not in str(caught.value)
    assert tree(root) == before


@KINDS
def test_a_reduction_without_a_grid_has_no_cells_to_test(root, sky, kind):
    store = Store(root)._paths()
    write_reduction(store, "sky", cells=random_cells(), grid=None, name="pca-3")
    with pytest.raises(ReductionError, match="no grid, so there are no cells to compare"):
        ASK[kind](Reduction(store, "sky", "pca-3"))


# --- the paragraph ---------------------------------------------------------------------------------------


def test_the_paragraph_says_what_was_done(sky):
    held = sky.contrast("a", strata="n_tokens", n_bins=3, seed=7, **FEW).methods()
    for words in (
        "Activations of model for 90 texts of corpus were read at the site 'residual' of layers 0-2, pooled "
        "by mean, in float32.",
        "reduced to 2 coordinates by principal component analysis of standardised features",
        "4 x 4 cells of equal width",
        "were left out (0)",
        "'a' (30 samples) was compared with 'rest' (60)",
        "strata of n_tokens (numbers in 3 quantile bins)",
        "99 relabelings were drawn with seed 7",
        "absolute scores above 2",
        "llm-mri-store 0.1.0, numpy ",
    ):
        assert words in held
    assert "\n" not in held
    one_sided = sky.contrast("a", "b", alternative="greater", **FEW).methods()
    assert "by the largest score of each relabeling" in one_sided
    grouped = sky.contrast("a", "b", groups="source", **FEW).methods()
    assert (
        "Labels were exchanged within 2 groups of source that have several labels (Winkler et al. 2015)"
        in grouped
    )


def test_a_paragraph_counts_all_relabelings_where_there_are_few(tmp_path):
    store = random_store(tmp_path / "small", n=14, n_layers=2, grid=2)
    found = Reduction(store, "big", "pca-2").contrast("a", "b", n_permutations=9999)
    assert found.facts["is_exact"]
    assert re.search(r"all [\d,]+ different relabelings were counted\.", found.methods())
    assert "drawn" not in found.methods()


def test_every_work_that_a_paragraph_cites_stands_at_its_end(sky, root):
    paragraphs = [ask(sky).methods() for ask in ASK.values()]
    paragraphs += [
        sky.edge_tests("a", **FEW).methods(),
        sky.contrast("a", "b", groups="source", **FEW).methods(),
        sky.compare_with(sky, n_permutations=19, activations=True).methods(),
    ]
    cited = set()
    for paragraph in paragraphs:
        text, references = paragraph.split(" References: ")
        own = {words for words in REFERENCES if words in text}
        cited |= own
        assert references == "; ".join(REFERENCES[words] for words in REFERENCES if words in own) + "."
        years = re.findall(r"[A-Z][\w-]+(?: et al\.| & [A-Z][\w-]+)? (?:19|20)\d\d", text)
        assert set(years) <= own
    assert cited == set(REFERENCES)


# --- the random twin -------------------------------------------------------------------------------------


def with_twin(root, *, planted=(), **fields):
    write_planted(root, "sky-random", planted=planted, seed=1, **{"random_weights": 3, **fields})


def test_a_layer_that_differs_in_the_twin_as_well_is_said_so(sky, root):
    with_twin(root, planted=[1])
    found = sky.contrast("a", "b", twin="sky-random", **FEW)
    assert [row["also_in_twin"] for row in found.layers.rows()] == [None, True, False]
    for table in (found.cells, found.clusters, found.peaks()):
        for row in table.rows():
            assert row["also_in_twin"] is {0: None, 1: True, 2: False}[row["layer"]]
    assert any(
        re.match(
            r"Random weights \(sky-random/pca-2, drawn with seed 3\) show it as well at layer 1, so", one
        )
        for one in found.sentences
    )
    assert found.facts["twin"] == "sky-random/pca-2"
    assert "The same was done on sky-random/pca-2" in found.methods()
    own = {row["layer"]: row for row in found.twin.layers.rows()}
    for row in found.layers.rows():
        assert row["twin_largest_score"] == own[row["layer"]]["largest_score"]
        assert row["twin_n_cells"] == own[row["layer"]]["n_cells"]


def test_a_layer_that_does_not_differ_in_the_twin_is_told_with_its_size(sky, root):
    with_twin(root)
    found = sky.contrast("a", "b", twin="sky-random/pca-2", **FEW)
    assert [row["also_in_twin"] for row in found.layers.rows()] == [None, False, False]
    (words,) = [one for one in found.sentences if one.startswith("Random weights")]
    assert re.search(
        r"show nothing at layer 1; largest absolute score here and there: layer 1 \d\.\d and", words
    )
    nothing = sky.contrast("b", "c", twin="sky-random", **FEW)
    assert "there is no finding to hold against them" in nothing.sentences[-1]


def test_the_twins_own_contrast_is_kept_with_the_twin(sky, root):
    with_twin(root, planted=[1])
    found = sky.contrast("a", "b", twin="sky-random", name="mine", **FEW)
    there = Store(root).reduction("sky-random").contrast("a", "b", name="mine", **FEW)
    assert there.facts["twin"] is None
    assert there.cells.arrow.equals(found.twin.cells.arrow)
    (alone,) = {row["result"] for row in Store(root).sql("SELECT * FROM tests", scan="sky-random").rows()}
    assert alone == "mine"


def test_with_a_twin_it_is_another_test_than_without(sky, root):
    with_twin(root)
    alone = sky.contrast("a", "b", **FEW)
    beside = sky.contrast("a", "b", twin="sky-random", **FEW)
    assert alone.name != beside.name
    for column in ("score", "p_fwe", "p_tfce"):
        assert alone.cells[column] == beside.cells[column]
    assert alone.twin is None
    assert alone.cells.arrow["also_in_twin"].null_count == len(alone.cells)


@pytest.mark.parametrize("name", ["mine", None])
def test_a_twin_of_another_content_takes_the_place_of_the_former(sky, root, name):
    with_twin(root, planted=[1])
    sky.contrast("a", "b", **FEW)
    first = sky.contrast("a", "b", twin="sky-random", name=name, **FEW)
    remove_reduction(Store(root)._paths(), "sky-random", "pca-2")
    write_reduction(Store(root)._paths(), "sky-random", cells=random_cells(), degenerate=[0])
    second = sky.contrast("a", "b", twin="sky-random", name=name, **FEW)
    assert second.name == first.name
    assert [one.layers["also_in_twin"][1] for one in (first, second)] == [True, False]
    assert len(Store(root).sql("SELECT * FROM tests", scan="sky")) == 2


def test_information_is_held_against_that_of_the_twin(sky, root):
    with_twin(root, planted=[1])
    found = sky.information(twin="sky-random", **FEW)
    assert found.layers["also_in_twin"] == [None, True, False]
    assert found.layers["twin_excess"] == found.twin.layers["excess"]
    assert found.steps["twin_excess"] == found.twin.steps["excess"]
    assert re.search(r"bits more than chance here and there: layer 1 0\.\d\d and", found.sentences[-1])


NO_TWINS = {
    "trained weights": (
        {"random_weights": None},
        "scan 'sky-random' has trained weights and is no twin of 'sky'",
    ),
    "other texts": ({"corpus_fingerprint": "other"}, "their texts, labels or covariates differ"),
    "another pooling": ({"pooling": "last"}, "pooling is 'last' there and 'mean' here"),
    "another site": ({"site": "mlp"}, "site is 'mlp' there and 'residual' here"),
    "shorter texts": ({"max_tokens": 8}, "max_tokens is 8 there and 64 here"),
}


@pytest.mark.parametrize(("fields", "words"), NO_TWINS.values(), ids=NO_TWINS)
@pytest.mark.parametrize("kind", ["contrast", "information"])
def test_what_is_no_twin_is_refused_with_the_command_that_makes_one(sky, root, fields, words, kind):
    with_twin(root, **fields)
    before = tree(root)
    with pytest.raises(InvalidInput, match=words) as caught:
        ASK[kind](sky, twin="sky-random")
    assert "make one with 'llm-mri scan model corpus --name sky-random --random-weights 0" in str(
        caught.value
    )
    assert tree(root) == before
    assert sky.twin_names() == []


def test_a_twin_is_reduced_alike(sky, root):
    with_twin(root)
    store = Store(root)._paths()
    remove_reduction(store, "sky-random", "pca-2")
    with pytest.raises(InvalidInput, match="has no reduction yet; make one with 'llm-mri reduce sky-random "):
        sky.contrast("a", "b", twin="sky-random")
    write_reduction(store, "sky-random", cells=random_cells(), grid=5)
    words = "sky-random/pca-2 is not made as sky/pca-2 .grid: 5 there, 4 asked.*--grid 4"
    with pytest.raises(InvalidInput, match=words):
        sky.contrast("a", "b", twin="sky-random")
    write_reduction(store, "sky-random", cells=random_cells()[:, :2], name="two")
    with pytest.raises(InvalidInput, match="layers 0-1 there, 0-2 asked"):
        sky.contrast("a", "b", twin="sky-random/two")
    remove_reduction(store, "sky-random", "pca-2")
    write_reduction(store, "sky-random", cells=random_cells(), name="other")
    with pytest.raises(InvalidInput, match=r"several reductions \(other, two\); choose one with -r"):
        sky.contrast("a", "b", twin="sky-random")
    assert sky.contrast("a", "b", twin="sky-random/other", **FEW).facts["twin"] == "sky-random/other"


def test_random_weights_have_no_twin_themselves(sky, root):
    with_twin(root)
    twin = Store(root).reduction("sky-random")
    with pytest.raises(InvalidInput, match="scan 'sky-random' has random weights itself"):
        twin.contrast("a", "b", twin="sky")
    assert twin.twin_names() == []
    assert sky.twin_names() == ["sky-random"]


def test_activations_that_were_imported_have_no_twin(tmp_path):
    store = write_planted(tmp_path / "made", pooling="imported")
    one = Reduction(store, "sky", "pca-2")
    with pytest.raises(InvalidInput, match="activations that were imported have no twin"):
        one.twin_commands()


@pytest.fixture(scope="module")
def twins(tmp_path_factory, tiny_bert, tiny_corpus):
    """Two scans of one corpus by a tiny model: as it was saved, and with weights drawn anew."""
    store = Store(tmp_path_factory.mktemp("twins") / "store")
    for name, seed in {"tiny": None, "tiny-random": 0}.items():
        scan = store.scan(
            tiny_bert, tiny_corpus, name=name, pooling="mean", device="cpu", random_weights=seed
        )
        scan.reduce("pca", grid=2)
    return store


def test_a_scan_with_random_weights_is_a_twin(twins):
    tiny = twins.reduction("tiny")
    assert tiny.twin_names() == ["tiny-random"]
    found = tiny.contrast("a", "b", twin="tiny-random", n_permutations=19, save=False)
    assert found.twin.reduction.scan().spec.random_weights == 0
    assert found.facts["twin"] == "tiny-random/pca-2"
    assert not found.twin.cells.arrow.equals(found.cells.arrow)


def test_a_probe_is_held_against_the_twins_activations(twins):
    tiny = twins.reduction("tiny")
    options = {"n_splits": 2, "n_repeats": 1, "metrics": ["accuracy"]}
    folds = tiny.probe_folds(twin="tiny-random", **options)
    both = folds.arrow
    random = both.filter(pc.equal(both["features"], "random_weights"))
    assert both.filter(pc.not_equal(both["features"], "random_weights")).equals(
        pa.table(tiny.probe_folds(**options).arrow)
    )
    own = both.filter(pc.equal(both["features"], "activations"))
    for column in ("layer", "repeat", "fold", "n_train", "n_test"):
        assert random[column].to_pylist() == own[column].to_pylist()
    there = twins.reduction("tiny-random").probe_folds(**options).arrow
    assert (
        random["score"].to_pylist()
        == there.filter(pc.equal(there["features"], "activations"))["score"].to_pylist()
    )
    scores = tiny.probe(twin="tiny-random", **options)
    assert scores["features"].count("random_weights") == 4
    assert "random weights" in str(tiny.plot.probe(scores, metric="accuracy").to_dict())
    with pytest.raises(InvalidInput, match="has random weights itself"):
        twins.reduction("tiny-random").probe(twin="tiny")


def test_nothing_is_computed_where_a_test_is_kept(sky, monkeypatch):
    first = sky.contrast("a", "b", **FEW)

    def never(*_, **__):
        raise AssertionError("what is kept is not computed again")

    monkeypatch.setattr(kept_contrasts, "contrast", never)
    assert sky.contrast("a", "b", **FEW).cells.arrow.equals(first.cells.arrow)
