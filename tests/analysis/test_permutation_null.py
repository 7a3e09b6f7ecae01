import numpy as np
import pytest

from llm_mri_store.analysis.permutation_design import plan_exchange
from llm_mri_store.analysis.permutation_null import (
    ClusterChoice,
    NullDistribution,
    permute_maps,
    share_reached,
)


def null_of(scores, *, is_exact=False):
    nothing = np.zeros(0)
    return NullDistribution(
        scores=np.array(scores),
        masses=nothing,
        enhanced=nothing,
        n_reached=np.zeros(3, int),
        is_exact=is_exact,
    )


def test_p_of_a_family_is_the_share_of_relabelings_whose_largest_is_as_large():
    null = null_of([1.0, 2.0, 3.0, 4.0])
    assert null.family_p(np.array([0.5, 3.0, 9.0]), null.scores).tolist() == [1.0, 0.6, 0.2]


def test_p_counted_over_every_relabeling_adds_none():
    null = null_of([1.0, 2.0, 3.0, 4.0], is_exact=True)
    assert null.family_p(np.array([0.5, 3.0, 4.0]), null.scores).tolist() == [1.0, 0.5, 0.25]


def test_values_that_differ_by_rounding_are_the_same():
    null = null_of([0.1 + 0.2] * 9)
    assert null.family_p(np.array([0.3, 0.3 + 1e-12]), null.scores).tolist() == [1.0, 1.0]


def test_p_is_never_zero():
    assert share_reached(np.array([0]), 999, is_exact=False).tolist() == [0.001]


def drawn(n_permutations=50, *, progress=lambda _: None, alternative="two-sided", grid=2):
    """Maps of two layers of 4 cells whose first cell is the first unit's label, 1 or -1; others are 0."""
    exchange = plan_exchange(np.repeat([0, 1], 8), strata=np.zeros(16, dtype=int), n_labels=2)

    def map_of(labels):
        maps = np.zeros((len(labels), 2 * grid**2))
        maps[:, 0] = np.where(labels[:, 0] == 0, 1.0, -1.0)
        return maps

    return permute_maps(
        exchange,
        map_of,
        map_of(exchange.unit_labels[None])[0],
        n_permutations=n_permutations,
        seed=0,
        alternative=alternative,
        clusters=ClusterChoice(grid=grid, threshold=0.5),
        progress=progress,
    )


def test_each_relabeling_gives_its_largest_score_mass_and_enhanced_value():
    null = drawn()
    assert null.n == 50
    assert null.scores.tolist() == null.masses.tolist() == [1.0] * 50
    assert null.enhanced == pytest.approx(1 / 3)
    assert null.n_reached.tolist() == [50] * 8


def test_of_one_side_only_its_direction_counts():
    greater, less = drawn(alternative="greater"), drawn(alternative="less")
    assert set(greater.scores.tolist()) == {0.0, 1.0}
    assert greater.masses.tolist() == greater.scores.tolist()
    assert greater.n_reached[0] == greater.scores.sum()
    # Observed is 1, and its opposite, -1, is reached by every relabeling.
    assert less.n_reached[0] == 50
    assert (greater.scores + less.scores == 1).all()


def test_progress_is_told():
    told = []
    drawn(600, progress=told.append)
    assert [one.done for one in told] == [256, 512, 600]
    assert {one.total for one in told} == {600}


def test_the_table_has_a_row_per_relabeling_and_null_for_what_was_not_taken():
    table = null_of([1.0, 2.0]).table()
    assert table.to_pylist() == [
        {"permutation": n, "max_score": n + 1.0, "max_mass": None, "max_tfce": None} for n in (0, 1)
    ]
