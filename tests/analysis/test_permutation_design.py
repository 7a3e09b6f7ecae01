import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.analysis.permutation_design import (
    count_relabelings,
    plan_exchange,
    smallest_p,
    whole_groups,
)
from llm_mri_store.analysis.permutation_draws import all_relabelings, draw_relabelings, is_countable


def design(labels, *, strata=None, groups=None, n_labels=2):
    labels = np.asarray(labels)
    strata = np.zeros(len(labels), dtype=np.int64) if strata is None else np.asarray(strata)
    groups = None if groups is None else np.asarray(groups)
    return plan_exchange(labels, strata=strata, n_labels=n_labels, groups=groups)


def relabelled(exchange, rows):
    """Labels of samples, in the order of the samples that take part, (n, n_kept)."""
    return np.repeat(rows, exchange.unit_sizes, axis=1)


def test_without_groups_every_sample_is_a_unit():
    one = design([0, 1, 1, 0])
    assert one.of_samples
    assert one.samples.tolist() == [0, 1, 2, 3]
    assert one.unit_labels.tolist() == [0, 1, 1, 0]


def test_a_stratum_of_one_label_takes_no_part():
    one = design([0, 1, 0, 0], strata=[5, 5, 2, 2])
    assert one.samples.tolist() == [0, 1]
    assert (one.n_strata, one.n_strata_left_out, one.n_samples_left_out) == (1, 1, 2)
    assert design([0, 1], strata=[0, 1]).n_units == 0


def test_groups_of_one_label_move_as_a_whole():
    one = design([0, 0, 1, 1, 1, 0], groups=[7, 7, 3, 3, 3, 4])
    assert (one.n_units, one.n_whole_groups, one.n_split_groups) == (3, 3, 0)
    assert sorted(zip(one.unit_sizes.tolist(), one.unit_labels.tolist(), strict=True)) == [
        (1, 0),
        (2, 0),
        (3, 1),
    ]
    for row in relabelled(one, np.concatenate(list(all_relabelings(one)))):
        of_sample = dict(zip(one.samples.tolist(), row.tolist(), strict=True))
        assert of_sample[0] == of_sample[1]
        assert of_sample[2] == of_sample[3] == of_sample[4]


def test_groups_of_several_labels_are_exchanged_within():
    one = design([0, 1, 1, 0, 0, 1], groups=[0, 0, 0, 1, 1, 1])
    assert (one.n_strata, one.n_whole_groups, one.n_split_groups) == (2, 0, 2)
    assert count_relabelings(one) == 3 * 3
    for row in relabelled(one, np.concatenate(list(all_relabelings(one)))):
        of_sample = dict(zip(one.samples.tolist(), row.tolist(), strict=True))
        assert sum(of_sample[sample] for sample in (0, 1, 2)) == 2
        assert sum(of_sample[sample] for sample in (3, 4, 5)) == 1


def test_whole_and_split_groups_stand_side_by_side():
    one = design([0, 1, 0, 0, 1, 1, 1], groups=[0, 0, 1, 1, 2, 2, 3])
    assert (one.n_whole_groups, one.n_split_groups, one.n_strata) == (3, 1, 2)
    assert count_relabelings(one) == 2 * 3


def test_a_lone_group_of_one_label_has_nothing_to_change_with():
    one = design([0, 1, 1, 0, 0, 0], groups=[0, 0, 0, 1, 1, 1])
    assert one.samples.tolist() == [0, 1, 2]
    assert one.n_samples_left_out == 3


def test_groups_of_one_sample_are_the_same_as_no_groups():
    labels = [0, 1, 1, 0, 1]
    with_groups, without = design(labels, groups=np.arange(5)), design(labels)
    assert with_groups.of_samples
    for name in ("samples", "unit_sizes", "unit_labels", "unit_strata"):
        assert getattr(with_groups, name).tolist() == getattr(without, name).tolist()


def test_whole_groups_are_those_of_one_label():
    assert whole_groups(np.array([2, 2, 0, 1]), np.array([1, 1, 0, 0])).tolist() == [1, 1, -1, -1]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), min_size=2, max_size=7))
def test_every_relabeling_comes_once_and_only_once(samples):
    labels, strata = np.array(samples).T
    one = design(labels, strata=strata, n_labels=3)
    if not one.n_units:
        return
    rows = [tuple(row) for row in np.concatenate(list(all_relabelings(one))).tolist()]
    own = one.unit_labels
    expected = {
        tuple(own[list(order)].tolist())
        for order in permutations(range(one.n_units))
        if (one.unit_strata[list(order)] == one.unit_strata).all()
    }
    assert len(rows) == len(set(rows)) == count_relabelings(one)
    assert set(rows) == expected


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 300]), st.integers(2, 3))
def test_drawn_relabelings_keep_how_often_each_label_occurs_in_a_stratum(seed, n_strata, n_labels):
    rng = np.random.default_rng(seed)
    labels, strata = rng.integers(0, n_labels, size=1000), rng.integers(0, n_strata, size=1000)
    one = design(labels, strata=strata, n_labels=n_labels)
    rows = next(draw_relabelings(one, n=5, seed=seed))
    assert rows.shape == (5, one.n_units)
    for row in rows:
        keys = one.unit_strata * n_labels + row
        counts = np.bincount(keys, minlength=one.n_strata * n_labels).reshape(-1, n_labels)
        assert counts.tolist() == one.units_of().tolist()


@pytest.mark.parametrize("n_strata", [1, 2, 300])
def test_every_relabeling_is_drawn_equally_often(n_strata):
    """Strata of one A and two B: each sample of a stratum is A in a third of the draws."""
    labels, strata = np.tile([0, 1, 1], n_strata), np.repeat(np.arange(n_strata), 3)
    one = design(labels, strata=strata)
    rows = np.concatenate(list(draw_relabelings(one, n=3000, seed=1)))
    assert np.abs((rows == 0).mean(axis=0) - 1 / 3).max() < 5 * math.sqrt(2 / 9 / 3000)


def test_the_first_draws_are_the_same_however_many_are_drawn():
    one = design([0, 1] * 30)
    few = np.concatenate(list(draw_relabelings(one, n=10, seed=3)))
    many = np.concatenate(list(draw_relabelings(one, n=700, seed=3)))
    assert len(many) == 700
    assert few.tolist() == many[:10].tolist()
    other = np.concatenate(list(draw_relabelings(one, n=10, seed=4)))
    assert few.tolist() != other.tolist()


def test_renamed_labels_are_drawn_to_the_same_units():
    labels = np.array([0, 1, 1, 0, 1, 1, 1])
    one = np.concatenate(list(draw_relabelings(design(labels), n=20, seed=0)))
    other = np.concatenate(list(draw_relabelings(design(1 - labels), n=20, seed=0)))
    assert (one == 1 - other).all()


def test_relabelings_are_counted_as_long_as_they_can_be():
    assert count_relabelings(design([0, 0, 0, 1, 1, 1])) == 20
    assert count_relabelings(design([0, 1] * 500)) is None
    assert is_countable(design([0, 0, 0, 1, 1, 1]), 19)
    assert not is_countable(design([0, 0, 0, 1, 1, 1]), 18)


def test_the_smallest_p_counts_what_mirrors_a_relabeling():
    even, uneven = design([0, 0, 0, 1, 1, 1]), design([0, 0, 0, 1, 1, 1, 1])
    assert smallest_p(even, n_permutations=999, two_sided=True) == pytest.approx(2 / 20)
    assert smallest_p(even, n_permutations=999, two_sided=False) == pytest.approx(1 / 20)
    assert smallest_p(uneven, n_permutations=999, two_sided=True) == pytest.approx(1 / 35)
    assert smallest_p(uneven, n_permutations=19, two_sided=True) == pytest.approx(1 / 20)
    assert smallest_p(design([0, 1] * 500), n_permutations=999, two_sided=True) == pytest.approx(1 / 1000)


def test_many_samples_against_few_can_be_counted():
    """One of 2,000 in one stratum and one of 2 in the other: 4,000 relabelings of 2,002 samples."""
    one = design([0] + [1] * 1999 + [0, 1], strata=[0] * 2000 + [1] * 2)
    assert sum(len(batch) for batch in all_relabelings(one)) == count_relabelings(one) == 4000
