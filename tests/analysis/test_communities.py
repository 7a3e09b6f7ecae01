import subprocess
import sys
from itertools import product

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_mri_store.analysis.communities import communities
from tests.analysis.graphs import empty, graphs, layered, oracle_graph


def streams() -> nx.DiGraph:
    """Two streams of 2 nodes a layer over 4 layers, with one weak edge between them."""
    edges = [
        (f"{layer}_{2 * stream + u}", f"{layer + 1}_{2 * stream + v}", 5.0)
        for layer, stream, u, v in product(range(3), range(2), range(2), range(2))
    ]
    return layered([*edges, ("1_0", "2_3", 0.1)], n_layers=4)


def test_planted_streams_are_found():
    found = communities(streams())
    assert found.n_communities == 2
    assert found.of_node == {node: int(int(node[2]) > 1) for node in streams()}
    assert 0.4 < found.modularity < 0.5


@given(graphs(), st.integers(0, 5))
def test_modularity_is_that_of_networkx(graph, seed):
    found = communities(graph, seed=seed)
    undirected = graph.to_undirected()
    groups: dict = {}
    for node, number in found.of_node.items():
        groups.setdefault(node if number is None else number, set()).add(node)
    if graph.number_of_edges():
        theirs = nx.community.modularity(undirected, groups.values(), weight="weight")
        assert found.modularity == pytest.approx(theirs, abs=1e-12)
    else:
        assert (found.modularity, found.n_communities) == (None, 0)


@given(graphs(), st.randoms(use_true_random=False))
def test_communities_do_not_depend_on_the_order_of_nodes_and_edges(graph, random):
    shuffled = nx.DiGraph(**graph.graph)
    shuffled.add_nodes_from(random.sample(list(graph.nodes(data=True)), len(graph)))
    shuffled.add_edges_from(random.sample(list(graph.edges(data=True)), graph.number_of_edges()))
    assert communities(shuffled) == communities(graph)


def test_a_seed_gives_the_same_communities_in_every_process():
    program = (
        "import networkx as nx, random\n"
        "from llm_mri_store.analysis.communities import communities\n"
        "r = random.Random(1)\n"
        "g = nx.DiGraph(layers=tuple(range(5)))\n"
        "g.add_nodes_from((f'{l}_{i}', {'layer': l}) for l in range(5) for i in range(12))\n"
        "g.add_edges_from((f'{l}_{i}', f'{l+1}_{j}', {'weight': r.random()})\n"
        "    for l in range(4) for i in range(12) for j in range(12) if r.random() < 0.2)\n"
        "print(list(communities(g, seed=4).of_node.values()))\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


def test_communities_are_numbered_by_their_size():
    found = communities(oracle_graph("all"))
    numbers = [number for number in found.of_node.values() if number is not None]
    sizes = [numbers.count(number) for number in range(found.n_communities)]
    assert sizes == sorted(sizes, reverse=True)
    assert min(sizes) >= 2


def test_a_node_without_an_edge_is_in_no_community():
    graph = layered([("0_0", "1_0", 1), ("0_1", "1_1", 0)])
    graph.add_node("2_0", layer=2)
    assert communities(graph).of_node == {"0_0": 0, "1_0": 0, "0_1": None, "1_1": None, "2_0": None}
    assert communities(empty()).of_node == {}
