import numpy as np
import pytest

from llm_mri_store.analysis.contrast_sides import choose_sides
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.errors import InvalidInput, UnknownName
from tests.analysis.contrasts import labelled

CELLS = labelled(
    np.zeros((1, 9)), [0, 0, 0, 1, 1, 1, 2, 2, 3], grid=2, names=("news", "fiction", "law", "one")
)


def test_two_labels_stand_against_each_other():
    sides = choose_sides(CELLS, "news", "law")
    assert sides.samples.tolist() == [0, 1, 2, 6, 7]
    assert sides.is_a.tolist() == [True] * 3 + [False] * 2
    assert (sides.n_a, sides.n_b, sides.name_a, sides.name_b) == (3, 2, "'news'", "'law'")


@pytest.mark.parametrize("rest", [None, "rest"])
def test_the_rest_is_every_other_label(rest):
    sides = choose_sides(CELLS, "news", rest)
    assert sides.b == ("fiction", "law", "one")
    assert (sides.n_b, sides.name_b) == (6, "rest")


def test_a_label_called_rest_is_a_label():
    cells = labelled(np.zeros((1, 6)), [0, 0, 1, 1, 2, 2], grid=2, names=("news", "rest", "law"))
    assert choose_sides(cells, "news", "rest").b == ("rest",)
    assert choose_sides(cells, "news").b == ("rest", "law")


def test_several_labels_can_stand_on_a_side():
    sides = choose_sides(CELLS, ["news", "law"], ["fiction", "one"])
    assert (sides.n_a, sides.n_b) == (5, 4)
    assert sides.name_a == "'news' + 'law'"


def test_a_label_that_is_not_there_names_the_nearest():
    with pytest.raises(UnknownName, match="label 'new' is not in these samples; did you mean 'news'"):
        choose_sides(CELLS, "new", "law")


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        ("news", "news", "label 'news' stands on both sides; a label does not differ from itself"),
        (["news", "law"], ["law"], "label 'law' stands on both sides"),
        (["news", "fiction", "law", "one"], None, "there is no rest"),
        (
            "one",
            "news",
            "'one' has 1 sample with a cell in these samples; a contrast needs at least 2 a side",
        ),
        ("news", "one", "'one' has 1 sample "),
        ([], "news", "a side needs at least one label, each named once"),
        (["news", "news"], "law", "a side needs at least one label, each named once"),
    ],
)
def test_sides_that_say_nothing_are_refused(a, b, words):
    with pytest.raises(InvalidInput, match=words):
        choose_sides(CELLS, a, b)


def test_a_label_of_the_scan_without_a_sample_is_refused():
    cells = labelled(np.zeros((1, 4)), [0, 0, 0, 0], grid=2, names=("a", "empty"))
    with pytest.raises(InvalidInput, match="'empty' has 0 samples with a cell"):
        choose_sides(cells, "a", "empty")


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"n_permutations": 18}, "n_permutations is 18; with fewer than 19 no p of 0.05 can be had"),
        ({"seed": -1}, "seed is -1"),
        ({"n_bins": 1}, "n_bins is 1"),
        ({"min_samples": 0}, "min_samples 0; expected at least 2 and 1"),
        ({"cluster_threshold": 0.0}, "cluster_threshold is 0.0"),
        ({"cluster_threshold": float("inf")}, "expected a number above 0, such as 2.0"),
        ({"strata": ("x", "x")}, "a covariate is named twice"),
        ({"strata": ("x",), "groups": "x"}, "'x' is named as strata and as groups"),
    ],
)
def test_choices_that_cannot_be_used_are_refused(choice, words):
    with pytest.raises(InvalidInput, match=words):
        ContrastSpec(**choice)


def test_an_alternative_there_is_not_names_those_there_are():
    with pytest.raises(
        UnknownName, match="alternative 'two_sided' is not in a contrast; did you mean 'two-sided'"
    ):
        ContrastSpec(alternative="two_sided")
