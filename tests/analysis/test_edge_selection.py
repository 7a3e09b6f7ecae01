import numpy as np
import pyarrow as pa
import pytest

from llm_mri_store.analysis.correlations import correlate_layers
from llm_mri_store.analysis.edge_selection import edge_mask, select_edges, selection_words
from llm_mri_store.errors import InvalidInput

ROWS = pa.table(
    {
        "label": ["a"] * 5 + ["b"] * 5,
        "rho": [0.1, -0.3, 0.5, -0.9, None, 0.01, 0.02, 0.03, 0.04, 0.0],
        "q": [0.9, 0.04, 0.06, 0.001, None, 0.9, 0.9, 0.9, 0.05, 1.0],
    }
)


def kept(**choice: object) -> list[int]:
    return np.flatnonzero(edge_mask(ROWS, **choice)).tolist()


def test_an_edge_is_a_rho_of_at_least_the_threshold_whatever_its_sign():
    assert kept() == kept(threshold=0.3) == kept(threshold="0.3") == [1, 2, 3]
    assert kept(threshold=0.9) == [3]
    assert kept(threshold=1) == []


def test_a_percentile_is_of_each_labels_own_correlations():
    # The median of 0.1, 0.3, 0.5, 0.9 is 0.4; that of 0, 0.01, 0.02, 0.03, 0.04 is 0.02.
    assert kept(threshold="50%") == [2, 3, 6, 7, 8]
    assert kept(threshold="100 %") == [3, 8]


def test_a_rho_of_zero_or_none_is_never_an_edge():
    assert kept(threshold=0) == kept(threshold="0%") == kept(fdr=1.0) == [0, 1, 2, 3, 5, 6, 7, 8]


def test_a_level_counts_alone_or_together_with_a_threshold():
    assert kept(fdr=0.05) == [1, 3, 8]
    assert kept(fdr=0.05, threshold=0.5) == [3]


def test_kept_rows_are_in_their_order():
    assert select_edges(ROWS, threshold=0.3)["rho"].to_pylist() == [-0.3, 0.5, -0.9]


def test_words_say_what_is_kept():
    assert selection_words() == "|rho| >= 0.3"
    assert selection_words(threshold="97.5%") == "|rho| in the strongest 2.5% of its label"
    assert selection_words(fdr=0.05) == "q <= 0.05"


@pytest.mark.parametrize("threshold", [-0.1, 1.5, float("nan"), "101%", "-1%", "strong", "", "%", True])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(InvalidInput, match=r"it must be a \|rho\| in 0-1, such as 0\.3, or a percentile"):
        edge_mask(ROWS, threshold=threshold)


@pytest.mark.parametrize("fdr", [0, -0.05, 1.1, float("nan"), True])
def test_a_level_out_of_range_is_refused(fdr):
    with pytest.raises(InvalidInput, match=r"it must be above 0 and at most 1, such as 0\.05"):
        select_edges(ROWS, fdr=fdr)


def test_an_empty_table_or_one_of_nulls_has_no_edges():
    for rows in (ROWS.slice(0, 0), ROWS.slice(4, 1)):
        for choice in ({}, {"threshold": "95%"}, {"fdr": 0.05}):
            assert select_edges(rows, **choice).num_rows == 0


def test_independent_components_give_no_edge_at_a_level_of_5_percent_in_95_of_100_seeds():
    without_edge = 0
    for seed in range(100):
        points = np.random.default_rng(seed).normal(size=(4, 100, 5))
        table = correlate_layers(enumerate(points), ["a"] * 100)
        without_edge += not edge_mask(table, fdr=0.05).any()
    assert without_edge >= 95


@pytest.mark.parametrize("n_samples", [3, 4, 5, 6])
def test_very_few_independent_samples_give_no_edge(n_samples):
    points = np.random.default_rng(0).normal(size=(4, n_samples, 10))
    assert not edge_mask(correlate_layers(enumerate(points), ["a"] * n_samples), fdr=0.05).any()
