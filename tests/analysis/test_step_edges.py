import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_mri_store.analysis.contrast_cells import read_cells
from llm_mri_store.analysis.step_edges import EDGE_NAME_FIELDS, step_edges, weigh
from llm_mri_store.store.catalogue import find_reduction, find_scan
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.queries import fill_parameters, named_query
from llm_mri_store.store.selection import select
from tests.analysis.contrasts import halves, labelled, random_codes
from tests.store.stores import random_store

NAMES = [name for name, _ in EDGE_NAME_FIELDS if name != "next_layer"]


@pytest.mark.parametrize("label", ["a", "b", "c", None])
def test_edges_and_weights_are_those_of_the_query(tmp_path, label):
    store = random_store(tmp_path / "store")
    scan = find_scan(store, "big")
    cells = read_cells(scan, find_reduction(scan, "pca-2"))
    chosen = None if label is None else np.flatnonzero(cells.label_codes == cells.labels.index(label))
    edges = step_edges(cells, chosen)
    query = named_query("edges")
    rows = fetch(select(store), query.sql, fill_parameters(query, {"label": label})).to_pylist()
    names = {name: column.to_pylist() for name, column in edges.names().items()}
    assert [[row[name] for name in NAMES] for row in rows] == [
        list(row) for row in zip(*(names[name] for name in NAMES), strict=True)
    ]
    weights = edges.weights(np.ones((edges.n_samples, 1)))[:, 0]
    assert [row["weight"] for row in rows] == weights.tolist()


def test_no_edge_leads_from_or_to_a_degenerate_layer():
    cells = labelled(random_codes(np.random.default_rng(0), n=50, n_layers=5), halves(50), grid=4)
    edges = step_edges(cells)
    flat = step_edges(
        labelled(random_codes(np.random.default_rng(0), n=50, n_layers=5), halves(50), grid=4, degenerate=[2])
    )
    assert set(edges.place.tolist()) == {0, 1, 2, 3}
    assert set(flat.place.tolist()) == {0, 3}
    assert set(flat.node_place.tolist()) == {0, 1, 3, 4}
    assert flat.names()["next_layer"].to_pylist()[-1] == 4


@pytest.mark.parametrize("n_layers", [0, 1])
def test_without_two_layers_there_is_no_edge(n_layers):
    edges = step_edges(labelled(np.zeros((n_layers, 4), dtype=int), halves(4), grid=2))
    assert (edges.n_edges, edges.n_nodes) == (0, 0)
    assert edges.names()["source"].to_pylist() == []
    assert edges.weights(np.ones((4, 3))).shape == (0, 3)


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_weights_add_up(n, seed):
    rng = np.random.default_rng(seed)
    cells = labelled(rng.integers(0, 4, (3, n)), np.zeros(n), grid=2)
    counted = rng.integers(0, 3, (n, 5))
    edges = step_edges(cells)
    weights = edges.weights(counted)
    for place in (0, 1):
        assert weights[edges.place == place].sum(axis=0).tolist() == counted.sum(axis=0).tolist()


def test_weights_beyond_sixteen_bits_are_right():
    cells = labelled(np.zeros((2, 3), dtype=int), np.zeros(3), grid=1)
    incidence = step_edges(cells).incidence
    assert weigh(incidence, np.full((3, 1), 20_000)).tolist() == [[60_000]]
