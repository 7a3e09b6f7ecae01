import numpy as np
import pytest
from scipy import stats

from llm_mri_store.analysis.graph_blocks import BLOCK_METRICS
from llm_mri_store.analysis.graph_numbers import numbers_of
from llm_mri_store.analysis.jackknife import jackknife_interval, leave_parts_out
from llm_mri_store.analysis.step_edges import step_edges
from tests.analysis.contrasts import halves, labelled, random_codes


def test_of_a_mean_the_interval_is_students():
    """Each of n values left out: the jackknife's variance of a mean is s**2 / n."""
    values = np.random.default_rng(0).normal(size=20)
    means = np.array([np.delete(values, place).mean() for place in range(20)])
    found = jackknife_interval(values.mean()[None], means[None], lowest=-9.0, highest=9.0)
    theirs = stats.t.interval(0.95, 19, loc=values.mean(), scale=stats.sem(values))
    assert (found.low[0], found.high[0]) == pytest.approx(theirs)


def test_an_interval_stays_within_what_a_value_can_be():
    found = jackknife_interval(
        np.array([0.1, 0.9]), np.array([[0.0, 0.5], [0.5, 1.0]]), lowest=0.0, highest=1.0
    )
    assert (found.low.tolist(), found.high.tolist()) == ([0.0, 0.0], [1.0, 1.0])


def test_what_is_undefined_without_some_part_has_no_interval():
    found = jackknife_interval(np.array([1.0]), np.array([[1.0, np.nan]]), lowest=0.0, highest=2.0)
    assert np.isnan([found.low[0], found.high[0]]).all()
    nothing = jackknife_interval(np.array([1.0]), None, lowest=0.0, highest=2.0)
    assert np.isnan([nothing.low[0], nothing.high[0]]).all()


@pytest.mark.parametrize(("n_a", "n_b", "n_parts"), [(100, 100, 20), (7, 90, 7), (20, 21, 20)])
def test_every_sample_is_left_out_once_and_parts_are_as_even_as_can_be(n_a, n_b, n_parts):
    labels = np.repeat([0, 1], [n_a, n_b])
    kept = leave_parts_out(labels, None, seed=0)
    assert kept.shape == (n_a + n_b, n_parts)
    assert (~kept).sum(axis=1).tolist() == [1] * (n_a + n_b)
    for label in (0, 1):
        out = (~kept)[labels == label].sum(axis=0)
        assert out.max() - out.min() <= 1


def test_groups_are_left_out_as_a_whole():
    groups = np.repeat(np.arange(40), 3)
    kept = leave_parts_out(np.repeat([0, 1], 60), groups, seed=0)
    assert kept.shape == (120, 20)
    for group in range(40):
        assert (kept[groups == group] == kept[groups == group][0]).all()


def test_too_few_samples_or_groups_have_no_parts():
    assert leave_parts_out(np.repeat([0, 1], [5, 100]), None, seed=0) is None
    assert leave_parts_out(np.repeat([0, 1], 50), np.repeat(np.arange(10), 10), seed=0) is None
    assert leave_parts_out(np.repeat([0, 1], 6), None, seed=0).shape == (12, 6)


def test_intervals_hold_what_other_corpora_give_where_the_bootstrap_does_not():
    """The claim of ``jackknife_interval``: the value that is held is the mean over many corpora."""

    def corpus(seed):
        cells = labelled(
            random_codes(np.random.default_rng(seed), n=120, n_layers=4, grid=6), halves(120), grid=6
        )
        return step_edges(cells)

    def numbers(edges, counted):
        labels = halves(120)[:, None]
        found = numbers_of(edges, counted * (labels == 0), counted * (labels == 1), wanted=("jaccard",))
        return np.concatenate([found.distances, found.metrics_a])

    names = ["jaccard", *BLOCK_METRICS]
    plain = np.ones((120, 1), dtype=int)
    expected = np.mean([numbers(corpus(1000 + seed), plain)[:, 0] for seed in range(100)], axis=0)
    held, held_by_bootstrap = np.zeros(len(names)), np.zeros(len(names))
    for seed in range(40):
        edges, rng = corpus(seed), np.random.default_rng(seed)
        value = numbers(edges, plain)[:, 0]
        kept = leave_parts_out(halves(120), None, seed=seed)
        found = jackknife_interval(value, numbers(edges, kept), lowest=-np.inf, highest=np.inf)
        held += (found.low <= expected) & (expected <= found.high)
        resampled = np.concatenate([rng.multinomial(60, np.full(60, 1 / 60), size=50).T for _ in range(2)])
        low, high = np.quantile(numbers(edges, resampled), [0.025, 0.975], axis=1)
        held_by_bootstrap += (low <= expected) & (expected <= high)
    # 32 of 40 are too few for a true 95 %: their chance is 0.0004.
    assert held.min() >= 32
    by_name = dict(zip(names, held_by_bootstrap.tolist(), strict=True))
    assert max(by_name[name] for name in ("n_nodes", "n_edges", "mean_degree", "mean_reachable")) <= 8
