"""Which nodes lie on paths through a node, kept small enough to stand in a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

MOST_NAMED: Final = 40_000
"""Nodes named for all nodes together; in a denser graph paths end after fewer steps."""


def nodes_on_paths(edges: Sequence[tuple[str, str]], nodes: Sequence[str]) -> tuple[dict[str, set[str]], int]:
    """Node -> the nodes before and behind it along edges, itself included; and the steps that were gone.

    An edge lies on a path through a node where both its ends are among these, as edges join neighbouring
    layers only.

    Args:
        edges: source and target of each.
        nodes: all nodes.

    Returns:
        The sets, and how many steps paths have at most to either side.

    >>> nodes_on_paths([("a", "b"), ("b", "c"), ("x", "c")], ["a", "b", "c", "x"])[0]["a"] == {"a", "b", "c"}
    True
    """
    behind: dict[str, set[str]] = {node: set() for node in nodes}
    before: dict[str, set[str]] = {node: set() for node in nodes}
    for source, target in edges:
        behind[source].add(target)
        before[target].add(source)
    found: dict[str, set[str]] = {node: {node} for node in nodes}
    n_steps = 0
    ends = (dict(found), dict(found))
    while any(reached for side in ends for reached in side.values()):
        ends = (_onward(ends[0], behind), _onward(ends[1], before))
        further = {node: found[node] | ends[0][node] | ends[1][node] for node in nodes}
        is_same = all(len(further[node]) == len(found[node]) for node in nodes)
        if is_same or (n_steps and sum(map(len, further.values())) > MOST_NAMED):
            break
        found, n_steps = further, n_steps + 1
    return found, n_steps


def _onward(ends: Mapping[str, set[str]], neighbours: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The nodes one step on from where each node's paths end."""
    return {node: set().union(*(neighbours[one] for one in reached)) for node, reached in ends.items()}


def as_words(numbers: Sequence[int]) -> str:
    """Numbers as one string in which each stands between commas, so that ``indexof`` finds it.

    >>> as_words([3, 12])
    ',3,12,'
    """
    return f",{','.join(map(str, numbers))},"
