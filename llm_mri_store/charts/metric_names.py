"""What distances between graphs and metrics of graphs are called in a chart, with their units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_NAMES: Final[Mapping[str, str]] = {
    "jaccard": "Jaccard (share not in common)",
    "jensen_shannon": "Jensen-Shannon (bits)",
    "portrait": "portrait divergence (bits)",
    "spectral": "spectral (shift of eigenvalues)",
    "n_nodes": "nodes (count)",
    "n_edges": "edges (count)",
    "mean_degree": "mean degree (edges)",
    "var_degree": "variance of degree (edges²)",
    "skew_degree": "skewness of degree",
    "kurt_degree": "excess kurtosis of degree",
    "total_strength": "total strength (samples)",
    "mean_strength": "mean strength (samples)",
    "var_strength": "variance of strength (samples²)",
    "skew_strength": "skewness of strength",
    "kurt_strength": "excess kurtosis of strength",
    "assortativity": "assortativity (correlation)",
    "density": "density (share of possible edges)",
    "center_of_mass": "center of mass (relative depth)",
    "center_of_strength": "center of strength (relative depth)",
    "n_communities": "communities (count)",
    "modularity": "modularity (at most 1)",
    "joined_share": "joined share (of pairs)",
    "mean_reachable": "mean reachable (nodes)",
}
"""Distances and metrics in words, with their units; others are called as in the table."""


def metric_name(name: str) -> str:
    """A distance or metric in words, with its unit.

    >>> metric_name("density")
    'density (share of possible edges)'
    """
    return _NAMES.get(name, name.replace("_", " "))
