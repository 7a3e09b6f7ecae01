"""Strata and groups: what else the samples have in common, and what is left once it is held constant."""

import numpy as np
import pytest
from scipy import stats

from llm_mri_store.analysis.contrast import contrast
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.errors import InvalidInput, UnknownName
from tests.analysis.contrasts import gridded, halves, labelled, random_codes, smallest

P_COLUMNS = ("p_fwe", "p_tfce")


def length_driven(seed=0, *, n=600, effect=0.0):
    """Cells that follow a text's length alone; A's texts are longer. ``effect`` moves A's besides."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size=n)
    n_tokens = np.clip(rng.normal(np.where(labels == 0, 45, 25), 12), 3, 80).astype(int)
    codes = []
    for _ in range(3):
        x = n_tokens / 12 + 0.3 * rng.normal(size=n) + effect * (labels == 0)
        codes.append(gridded(np.stack([x, rng.normal(size=n)], axis=1), grid=6))
    return labelled(np.array(codes), labels, grid=6, n_tokens=n_tokens, length=n_tokens.astype(str))


def spec_of(**choices):
    return ContrastSpec(n_permutations=199, **choices)


def test_a_confounded_map_lights_up_without_the_covariate_and_goes_dark_with_it():
    cells = length_driven()
    without = contrast(cells, "a", "b", spec=spec_of())
    assert (np.array([p or 1 for p in without.cells["p_fwe"].to_pylist()]) <= 0.05).sum() > 10
    held = contrast(cells, "a", "b", spec=spec_of(strata=("n_tokens",), n_bins=40))
    assert all(smallest(held.cells, name) > 0.05 for name in P_COLUMNS)
    assert smallest(held.clusters, "p_fwe") > 0.05
    assert any(sentence.startswith("n_tokens alone explains the map") for sentence in held.sentences)
    assert abs(held.balance["smd_after"][0].as_py()) < 0.1 < held.balance["smd_before"][0].as_py()


def test_too_few_bins_are_told_by_the_balance():
    held = contrast(length_driven(), "a", "b", spec=spec_of(strata=("n_tokens",), n_bins=2))
    assert abs(held.balance["smd_after"][0].as_py()) > 0.1
    assert any("may be its doing; take more bins" in sentence for sentence in held.sentences)


def test_a_covariate_of_few_values_may_be_held_as_it_is():
    cells = length_driven()
    held = contrast(cells, "a", "b", spec=spec_of(strata=("length",)))
    assert smallest(held.cells, "p_fwe") > 0.05
    assert held.balance.num_rows == 0
    assert held.facts.n_samples_left_out > 0


def test_a_true_difference_is_still_found_within_strata():
    held = contrast(length_driven(effect=1.0), "a", "b", spec=spec_of(strata=("n_tokens",), n_bins=20))
    assert smallest(held.cells, "p_fwe") <= 0.05
    assert not any("explains the map" in sentence for sentence in held.sentences)
    assert any("of their differences" in sentence for sentence in held.sentences)


def test_what_was_before_is_the_contrast_without_strata():
    cells = length_driven(n=200)
    plain = contrast(cells, "a", "b", spec=spec_of())
    held = contrast(cells, "a", "b", spec=spec_of(strata=("n_tokens",)))
    assert held.cells["z_before"].equals(plain.cells["z"])
    assert held.cells["p_fwe_before"].equals(plain.cells["p_fwe"])
    for name in ("difference", "difference_low", "log_odds", "log_odds_high"):
        assert held.cells[name].equals(plain.cells[name])
    for name in ("z_before", "adjusted_difference", "adjusted_log_odds"):
        assert plain.cells[name].null_count == plain.cells.num_rows


def test_adjusted_differences_have_the_sign_of_z():
    held = contrast(length_driven(), "a", "b", spec=spec_of(strata=("n_tokens",)))
    for row in held.cells.to_pylist():
        if row["is_tested"]:
            assert np.sign(row["adjusted_difference"]) == np.sign(np.round(row["z"], 12))
        if row["adjusted_log_odds"] is not None:
            assert row["adjusted_log_odds_low"] <= row["adjusted_log_odds"] <= row["adjusted_log_odds_high"]


def test_too_few_comparable_samples_are_no_explanation():
    """Lengths that hardly overlap: no difference can be told, yet the one left is as large as before."""
    rng = np.random.default_rng(2)
    n = 400
    labels = halves(n)
    topic = np.where(rng.random(n) < 0.97, labels, 1 - labels).astype(str)
    x = 1.2 * (labels == 0) + rng.normal(size=n)
    codes = gridded(np.stack([x, rng.normal(size=n)], axis=1), grid=5)
    cells = labelled(codes[None], labels, grid=5, topic=topic)
    held = contrast(cells, "a", "b", spec=spec_of(strata=("topic",)))
    assert smallest(held.cells, "p_fwe_before") <= 0.05
    assert smallest(held.cells, "p_fwe") > 0.05
    assert any("That does not show that topic explains the map" in sentence for sentence in held.sentences)


def test_a_covariate_that_is_the_label_leaves_nothing_to_exchange():
    codes = random_codes(np.random.default_rng(0), n=40)
    cells = labelled(codes, halves(40), grid=4, source=np.where(halves(40), "x", "y"))
    for choice in ({"strata": ("source",)}, {"strata": ("source",), "alternative": "greater"}):
        with pytest.raises(
            InvalidInput, match="nothing can be exchanged: samples that agree in 'source' all have"
        ):
            contrast(cells, "a", "b", spec=spec_of(**choice))


def test_strata_that_leave_too_little_are_refused():
    source = np.array(["x"] * 19 + ["z"] * 3 + ["y"] * 18)
    cells = labelled(random_codes(np.random.default_rng(0), n=40), halves(40), grid=4, source=source)
    with pytest.raises(
        InvalidInput, match="1 of the samples that share source with another label to exchange"
    ):
        contrast(cells, "a", "b", spec=spec_of(strata=("source",)))


def test_a_covariate_that_was_not_read_is_refused():
    cells = length_driven(n=60)
    with pytest.raises(
        UnknownName, match="covariate 'n_token' is not in these samples; did you mean 'n_tokens'"
    ):
        contrast(cells, "a", "b", spec=spec_of(strata=("n_token",)))


def by_author(seed=0, *, n_authors=60, n_each=10, effect=0.0):
    """Authors write about one thing, so their texts share cells; an author has one label."""
    rng = np.random.default_rng(seed)
    author = np.repeat(np.arange(n_authors), n_each)
    labels = np.repeat(np.arange(n_authors) % 2, n_each)
    habit = rng.normal(size=(n_authors, 2))[author] + effect * (labels == 0)[:, None]
    codes = [gridded(habit + 0.3 * rng.normal(size=habit.shape), grid=5) for _ in range(2)]
    return labelled(np.array(codes), labels, grid=5, author=author.astype(str), n_tokens=3 + author)


def test_texts_of_one_author_are_no_evidence_by_themselves():
    without, with_groups = (
        contrast(by_author(), "a", "b", spec=spec_of(groups=groups)) for groups in (None, "author")
    )
    assert smallest(without.cells, "p_fwe") <= 0.05
    assert smallest(with_groups.cells, "p_fwe") > 0.05
    assert with_groups.p_method == "counted"
    assert (with_groups.facts.n_whole_groups, with_groups.facts.n_units) == (60, 60)
    widths = [
        np.nanmedian(
            [r["difference_high"] - r["difference_low"] for r in c.cells.to_pylist() if r["is_tested"]]
        )
        for c in (without, with_groups)
    ]
    assert widths[1] > 1.5 * widths[0]


def test_a_difference_between_authors_is_found():
    found = contrast(by_author(effect=1.5), "a", "b", spec=spec_of(groups="author"))
    assert min(smallest(found.cells, "p_tfce"), smallest(found.clusters, "p_fwe")) <= 0.05


def test_whole_groups_reject_no_more_often_than_said():
    """100 corpora without a difference: at a level of 0.05, 5 are expected, 13 has a chance of 0.1 %."""
    hits = np.zeros(3, dtype=int)
    for seed in range(100):
        cells = by_author(seed, n_authors=30, n_each=6)
        found = contrast(cells, "a", "b", spec=ContrastSpec(groups="author", n_permutations=39, seed=seed))
        hits += [smallest(found.cells, "p_fwe") <= 0.05, smallest(found.clusters, "p_fwe") <= 0.05,
                 smallest(found.cells, "p_tfce") <= 0.05]  # fmt: skip
    assert (hits <= 13).all()


def test_a_number_is_held_constant_between_whole_groups_by_their_means():
    found = contrast(by_author(), "a", "b", spec=spec_of(groups="author", strata=("n_tokens",), n_bins=3))
    assert found.facts.n_strata == 3
    assert found.facts.n_whole_groups == 60


def test_pairs_are_tested_as_mcnemar_does():
    """A text and its rewriting: the sign test of the pairs that part."""
    in_cell_a = np.array([1] * 14 + [0] * 5 + [1] * 8 + [0] * 13)
    in_cell_b = np.array([0] * 14 + [1] * 5 + [1] * 8 + [0] * 13)
    codes = np.concatenate([in_cell_a, in_cell_b])[None]
    cells = labelled(codes, halves(80), grid=2, pair=np.tile(np.arange(40), 2))
    found = contrast(cells, "a", "b", spec=spec_of(groups="pair"))
    row = next(row for row in found.cells.to_pylist() if (row["cell_x"], row["cell_y"]) == (0, 1))
    assert row["p"] == pytest.approx(stats.binomtest(14, 19).pvalue)
    assert row["z"] == pytest.approx((14 - 5) / np.sqrt(19))
    assert row["adjusted_difference"] == pytest.approx((14 - 5) / 40)
    assert row["adjusted_log_odds"] == pytest.approx(np.log(14 / 5))
    assert found.facts.n_split_groups == 40


def test_groups_with_and_without_several_labels_are_both_used_and_said():
    cells = by_author()
    labels = cells.label_codes.copy()
    labels[:200] = np.arange(200) % 2
    mixed = labelled(cells.codes, labels, grid=5, author=cells.covariates["author"])
    found = contrast(mixed, "a", "b", spec=spec_of(groups="author"))
    assert (found.facts.n_split_groups, found.facts.n_whole_groups) == (20, 40)
    assert any(
        "among 40 groups of 'author' that have one label, each moved as a whole, and among the samples of "
        "each of 20 groups of 'author' that have several" in sentence
        for sentence in found.sentences
    )


def test_two_groups_of_each_label_are_too_few():
    cells = labelled(
        random_codes(np.random.default_rng(0), n=40), halves(40), grid=4, book=np.arange(40) // 10
    )
    with pytest.raises(InvalidInput, match="too few whole groups of 'book' to exchange"):
        contrast(cells, "a", "b", spec=spec_of(groups="book"))


def test_groups_of_very_different_sizes_are_pointed_out():
    labels = np.repeat([0, 1], [40, 160])
    groups = np.concatenate([np.arange(40) // 2, 100 + np.arange(160) // 16])
    cells = labelled(random_codes(np.random.default_rng(0), n=200), labels, grid=4, book=groups)
    found = contrast(cells, "a", "b", spec=spec_of(groups="book"))
    assert any(
        "Groups of 'b' hold 8.0 times as many samples as those of 'a'" in one for one in found.sentences
    )


def test_a_sample_without_a_group_is_a_group_by_itself():
    book = ["x"] * 5 + [None] * 15 + ["y"] * 5 + [None] * 15
    cells = labelled(random_codes(np.random.default_rng(0), n=40), halves(40), grid=4, book=book)
    assert contrast(cells, "a", "b", spec=spec_of(groups="book")).facts.n_whole_groups == 32


def test_what_q_can_show_of_counted_p_is_said():
    found = contrast(by_author(), "a", "b", spec=ContrastSpec(groups="author", n_permutations=99))
    needed = int(np.ceil(found.n_tested / 100 / 0.05))
    assert any(f"only where {needed} or more cells have the smallest p" in one for one in found.sentences)
    assert (found.cells["q"].null_count, found.cells["p_least"].null_count) == (
        found.cells.num_rows - found.n_tested,
        found.cells.num_rows,
    )
