import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_mri_store.analysis.network_statistic import find_components
from llm_mri_store.errors import UnknownName


def by_networkx(evidence, ends, threshold):
    """The edges of each component of each sign, as sets."""
    found = []
    for sign in (1, -1):
        graph = nx.Graph()
        chosen = [
            (int(u), int(v), index)
            for index, (u, v) in enumerate(zip(*ends, strict=True))
            if sign * evidence[index] > threshold
        ]
        graph.add_edges_from((u, v) for u, v, _ in chosen)
        for nodes in nx.connected_components(graph):
            found.append(frozenset(index for u, _, index in chosen if u in nodes))
    return sorted(found, key=sorted)


edges_strategy = st.lists(
    st.tuples(st.integers(0, 5), st.integers(6, 11), st.floats(-5, 5)), min_size=1, max_size=30
)


@settings(deadline=None)
@given(edges_strategy, edges_strategy)
def test_components_are_those_networkx_finds(first, second):
    n = min(len(first), len(second))
    ends = tuple(np.array([row[at] for row in first[:n]]) for at in (0, 1))
    evidence = np.stack([[row[2] for row in part[:n]] for part in (first, second)], axis=1)
    found = find_components(evidence, ends, threshold=1.5, by="extent")
    for column in (0, 1):
        own = found.column == column
        members = [
            frozenset(found.edge[own & (found.component == number)].tolist())
            for number in np.unique(found.component[own])
        ]
        assert sorted(members, key=sorted) == by_networkx(evidence[:, column], ends, 1.5)
        sizes = [len(one) for one in members]
        assert found.largest(2)[column] == max(sizes, default=0)


def test_intensity_is_the_evidence_beyond_the_threshold():
    ends = (np.array([0, 0, 1, 5]), np.array([2, 3, 3, 6]))
    evidence = np.array([[2.5, 0.0], [3.0, 0.0], [-4.0, 0.0], [2.25, 1.0]])
    found = find_components(evidence, ends, threshold=2.0, by="intensity")
    assert sorted(found.size.tolist()) == [0.25, 1.5, 2.0]
    assert found.largest(2).tolist() == [2.0, 0.0]


def test_edges_of_opposite_sign_are_never_one_component():
    ends = (np.array([0, 0]), np.array([1, 1]))
    found = find_components(np.array([[3.0], [-3.0]]), ends, threshold=2.0, by="extent")
    assert found.size.tolist() == [1.0, 1.0]


def test_nothing_beyond_the_threshold_makes_no_component():
    nothing = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))
    for evidence, ends in (
        (np.zeros((0, 3)), nothing),
        (np.full((2, 3), 2.0), (np.array([0, 1]), np.array([2, 3]))),
    ):
        found = find_components(evidence, ends, threshold=2.0, by="extent")
        assert (found.size.size, found.largest(3).tolist()) == (0, [0.0, 0.0, 0.0])


def test_a_size_that_there_is_not_is_refused():
    with pytest.raises(UnknownName, match="did you mean 'extent'"):
        find_components(np.zeros((1, 1)), (np.zeros(1), np.ones(1)), threshold=1.0, by="extend")
