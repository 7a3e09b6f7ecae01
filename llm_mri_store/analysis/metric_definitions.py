"""Every number of the metrics tables: what it means, its range, and where its definition is from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

MetricTable = Literal["graph", "layer", "node", "projection", "correlation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricDefinition:
    """What one column of a table of metrics says.

    Attributes:
        table: ``graph`` (``graph_metrics``), ``layer`` (``degree_by_layer``), ``node`` (``node_metrics``),
            ``projection`` (``projection_metrics``) or ``correlation`` (``correlate_layers``).
        name: the column.
        meaning: one sentence, without its full stop.
        range: the values it can take, and when there is none.
        source: paper or book, LLM-MRI's function, or "-" for a plain count.
    """

    table: MetricTable
    name: str
    meaning: str
    range: str
    source: str


_COUNT: Final = "-"
_JOANES: Final = "Joanes & Gill, The Statistician 47 (1998); LLM-MRI's get_basic_metrics"
_BARRAT: Final = "Barrat et al., PNAS 101, 3747 (2004)"
_NEWMAN_LINKS: Final = "Newman, Phys. Rev. E 64, 016132 (2001)"
_NEWMAN_MIXING: Final = "Newman, Phys. Rev. E 67, 026126 (2003), eq. 21"
_KLEINBERG: Final = "Kleinberg, J. ACM 46 (1999)"
_LOUVAIN: Final = "Blondel et al., J. Stat. Mech. P10008 (2008)"
_HERE: Final = "defined here"

_OF_MOMENTS: Final = {
    "mean": ("mean", ">= 0; none without nodes"),
    "var": ("unbiased variance", ">= 0; none for fewer than 2 nodes"),
    "skew": (
        "unbiased skewness G1",
        "any; 0 = symmetric; none for fewer than 3 nodes or where all are alike",
    ),
    "kurt": (
        "unbiased excess kurtosis G2",
        "any; 0 = as a normal distribution; none for fewer than 4 nodes or where all are alike",
    ),
}


def _moments_of(
    table: MetricTable, column: str, what: str, *, moments: Sequence[str], source: str = _JOANES
) -> list[MetricDefinition]:
    return [
        MetricDefinition(
            table=table,
            name=f"{moment}_{column}",
            meaning=f"{_OF_MOMENTS[moment][0]} over nodes of {what}",
            range=_OF_MOMENTS[moment][1],
            source=source,
        )
        for moment in moments
    ]


def _define(table: MetricTable, *rows: tuple[str, str, str, str]) -> list[MetricDefinition]:
    return [
        MetricDefinition(table=table, name=name, meaning=meaning, range=values, source=source)
        for name, meaning, values, source in rows
    ]


_DEGREE: Final = "the degree: edges in and out, whatever their weight"
_STRENGTH: Final = "the strength: absolute weight of the edges in and out"

METRICS: Final[tuple[MetricDefinition, ...]] = (
    *_define(
        "graph",
        ("n_nodes", "nodes", ">= 0", _COUNT),
        ("n_edges", "edges", ">= 0", _COUNT),
        ("total_weight", "sum of the absolute weights of all edges", ">= 0", _COUNT),
    ),
    *_moments_of("graph", "degree", _DEGREE, moments=("mean", "var", "skew", "kurt")),
    *_moments_of("graph", "strength", _STRENGTH, moments=("mean", "var", "skew", "kurt")),
    *_define(
        "graph",
        (
            "assortativity",
            "correlation over edges of the source's out-strength with the target's in-strength: whether "
            "strong nodes lead to strong nodes",
            "[-1, 1]; none where either is the same for every edge",
            f"{_NEWMAN_MIXING}; LLM-MRI's get_basic_metrics",
        ),
        (
            "density",
            "edges over the pairs of a node and a node of the next layer, degenerate layers left out",
            "[0, 1]; 1 = every node leads to every node of the next layer; none without neighbouring nodes",
            "LLM-MRI's get_basic_metrics, mended: it divides by n (n - 1)",
        ),
        (
            "center_of_mass",
            "mean relative depth of the nodes: 0 is the first layer, 1 the last",
            "[0, 1]; none without nodes or with one layer",
            "LLM-MRI's get_graph_center_of_mass, mended: it is half a layer too low",
        ),
        (
            "center_of_strength",
            "mean relative depth of the nodes, each weighed by its strength",
            "[0, 1]; 0.5 in every graph of counts whose layers all have edges; none without edges",
            "LLM-MRI's get_graph_center_of_strength, mended: it is always NaN",
        ),
        (
            "joined_share",
            "pairs of a node of the first and one of the last layer that a directed path joins, over all "
            "such pairs; degenerate layers left out",
            "[0, 1]; none without nodes in both",
            "Wasserman & Faust, Social Network Analysis (1994), 4.3.6",
        ),
        (
            "mean_reachable",
            "mean over nodes of the number of other nodes that directed paths from it lead to",
            "[0, n_nodes - 1]; none without nodes",
            "Wasserman & Faust, Social Network Analysis (1994), 4.3.6",
        ),
        (
            "n_communities",
            "communities of two nodes or more that the Louvain method finds on absolute weights, directions "
            "left out",
            ">= 0; may differ between seeds",
            _LOUVAIN,
        ),
        (
            "modularity",
            "Q of these communities: the share of weight within them, less what chance gives",
            "[-0.5, 1]; 0 = as by chance; none without edges; may differ between seeds",
            "Newman, Phys. Rev. E 70, 056131 (2004), eq. 6",
        ),
    ),
    *_define(
        "layer",
        ("layer", "the layer", ">= 0; 0 = embedding output", _COUNT),
        ("n_nodes", "its nodes", ">= 0", _COUNT),
    ),
    *_moments_of("layer", "degree", _DEGREE, moments=("mean", "var"), source="LLM-MRI's get_degree_by_layer"),
    *_moments_of("layer", "in_degree", "edges in", moments=("mean", "var"), source=_HERE),
    *_moments_of("layer", "out_degree", "edges out", moments=("mean", "var"), source=_HERE),
    *_moments_of("layer", "in_strength", "absolute weight in", moments=("mean",), source=_BARRAT),
    *_moments_of("layer", "out_strength", "absolute weight out", moments=("mean",), source=_BARRAT),
    *_define(
        "node",
        ("node", "its name: layer_x_y of a cell, layer_component of a component", "text", _COUNT),
        ("layer", "its layer", ">= 0; 0 = embedding output", _COUNT),
        (
            "cell_x",
            "its cell's place on the first axis; graphs of cells alone have it",
            "0 .. grid - 1",
            _COUNT,
        ),
        (
            "cell_y",
            "its cell's place on the second axis; graphs of cells alone have it",
            "0 .. grid - 1",
            _COUNT,
        ),
        ("n", "samples of the graph's labels in the cell; graphs of cells alone have it", ">= 1", _COUNT),
        ("component", "its component; graphs of components alone have it", "0 .. n_components - 1", _COUNT),
        ("degree", "edges in and out", ">= 0", _COUNT),
        ("in_degree", "edges in", ">= 0; 0 in the first layer", _COUNT),
        ("out_degree", "edges out", ">= 0; 0 in the last layer", _COUNT),
        ("strength", "absolute weight of the edges in and out", ">= 0", _BARRAT),
        ("in_strength", "absolute weight of the edges in", ">= 0; 0 in the first layer", _BARRAT),
        ("out_strength", "absolute weight of the edges out", ">= 0; 0 in the last layer", _BARRAT),
        (
            "pagerank",
            "share of the time that a walk is found there which follows edges by absolute weight with "
            "probability 0.85 and else begins anew anywhere",
            "(0, 1]; all nodes sum to 1",
            "Brin & Page, Computer Networks 30 (1998)",
        ),
        (
            "betweenness",
            "share of the shortest directed paths between other nodes that pass through it, length "
            "1 / absolute weight, over (n - 1) (n - 2) ordered pairs",
            "[0, 1]; 0 in the first and last layer; none for fewer than 3 nodes",
            f"Freeman, Sociometry 40 (1977); Brandes, J. Math. Sociology 25 (2001); {_NEWMAN_LINKS}",
        ),
        (
            "hub",
            "how much it leads to good authorities of the next layer, by absolute weight, each pair of "
            "layers on its own",
            "[0, 1]; a layer sums to 1; none in the last layer and where a pair of layers has no edge",
            _KLEINBERG,
        ),
        (
            "authority",
            "how much good hubs of the layer before lead to it, likewise",
            "[0, 1]; a layer sums to 1; none in the first layer and where a pair of layers has no edge",
            _KLEINBERG,
        ),
        (
            "community",
            "number of its community (see n_communities), by falling number of nodes",
            ">= 0; none for a node without an edge; may differ between seeds",
            _LOUVAIN,
        ),
    ),
    *_define(
        "projection",
        ("n_nodes", "nodes of the even (or odd) layers", ">= 0", _COUNT),
        ("n_edges", "pairs of them that share a neighbour in a layer between", ">= 0", _COUNT),
        (
            "total_weight",
            "sum over links of what the two share, in which each node hands its weight on in proportion",
            ">= 0",
            f"{_NEWMAN_LINKS}, eq. 2, for weights of any size",
        ),
    ),
    *_moments_of("projection", "degree", "the links", moments=("mean", "var"), source=_HERE),
    *_moments_of(
        "projection", "strength", "the weight of the links", moments=("mean", "var"), source=_BARRAT
    ),
    *_define(
        "projection",
        ("density", "links over n (n - 1) / 2", "[0, 1]; none for fewer than 2 nodes", _COUNT),
        (
            "assortativity",
            "correlation over links of the strengths at their two ends",
            "[-1, 1]; none where all are alike",
            _NEWMAN_MIXING,
        ),
        (
            "average_clustering",
            "mean over nodes of the geometric mean weight of their triangles, relative to the largest weight",
            "[0, 1]; 0 for a node of fewer than 2 links; none without nodes",
            "Onnela et al., Phys. Rev. E 71, 065103 (2005), eq. 9",
        ),
        ("n_components", "connected components", ">= 0", _COUNT),
        (
            "largest_component_share",
            "share of the nodes in the largest",
            "(0, 1]; none without nodes",
            _COUNT,
        ),
        (
            "average_shortest_path",
            "mean length of the shortest paths between the nodes of the largest component, length 1 / weight",
            "> 0; none where it is one node",
            _NEWMAN_LINKS,
        ),
    ),
    *_define(
        "correlation",
        ("label", "the label whose samples are ranked", "text", _COUNT),
        ("layer", "layer of the source", ">= 0", _COUNT),
        ("next_layer", "layer of the target", "> layer", _COUNT),
        ("source", "node the edge leaves, layer_component", "text", _COUNT),
        ("target", "node the edge leads to, layer_component", "text", _COUNT),
        ("from_component", "component of the source", "0 .. n_components - 1", _COUNT),
        ("to_component", "component of the target", "0 .. n_components - 1", _COUNT),
        ("n", "samples of the label that have points", ">= 0", _COUNT),
        (
            "rho",
            "Spearman's rank correlation of the two components over the label's samples, ties averaged",
            "[-1, 1]; none for a constant component or fewer than 3 samples",
            "Spearman, Am. J. Psychol. 15 (1904); LLM-MRI's edges, mended",
        ),
        (
            "p",
            "two-sided p: counted over all orders up to 8 samples, else by the null distribution's moments",
            "(0, 1]; none where rho is",
            "Kendall & Gibbons, Rank Correlation Methods (1990), ch. 5",
        ),
        (
            "q",
            "p adjusted for all pairs of the label: of edges with q <= x a share x is expected false",
            "(0, 1]; none where rho is",
            "Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995)",
        ),
    ),
)
"""Every number of the tables of metrics, table by table in the order of their columns."""
