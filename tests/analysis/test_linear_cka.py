"""Linear CKA against its definition, of points and of activations read chunk by chunk."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from llm_mri_store.analysis import linear_cka as cka
from llm_mri_store.errors import InvalidInput, StoreCorrupt
from llm_mri_store.records.jobs import no_progress
from llm_mri_store.store.catalogue import find_scan
from tests.store.stores import write_scan


def plain(a, b):
    """By kernels: HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L)) with K = AA' and L = BB' centred."""
    n = len(a)
    centre = np.eye(n) - 1 / n
    k, m = centre @ a @ a.T @ centre, centre @ b @ b.T @ centre
    return (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())


def clouds(seed=0, n=40, dimensions=(2, 5)):
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n, dimensions[0])) + 3
    return a, a @ rng.normal(size=dimensions) + rng.normal(size=(n, dimensions[1]))


def test_it_is_that_of_kernels():
    for seed in range(5):
        a, b = clouds(seed)
        assert cka.linear_cka(a, b) == pytest.approx(plain(a, b), rel=1e-10)
        assert 0 <= cka.linear_cka(a, b) <= 1


def test_turning_scaling_and_moving_leave_it_and_stretching_does_not():
    a, b = clouds()
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    assert cka.linear_cka(a, 7 * b @ turn + 100) == pytest.approx(cka.linear_cka(a, b))
    assert cka.linear_cka(b, b @ turn) == pytest.approx(1)
    assert cka.linear_cka(b, b * [10, 1, 1, 1, 1]) < 0.9


def test_what_does_not_vary_has_none():
    a, _ = clouds()
    assert np.isnan(cka.linear_cka(a, np.full((40, 3), 0.1)))
    assert np.isnan(cka.linear_cka(np.zeros((40, 1)), a))


def test_layers_side_by_side_give_every_pair():
    of_a, of_b = [clouds(seed)[0] for seed in range(3)], [clouds(seed)[1] for seed in range(2)]
    sides = [np.concatenate([cka.aligned(one) for one in of], axis=1) for of in (of_a, of_b)]
    found = cka.block_cka(*sides, (2, 5))
    expected = [[plain(a, b) for b in of_b] for a in of_a]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@pytest.fixture
def scans(tmp_path):
    """Two scans of 50 samples, chunked apart, of widths 3 and 6; the second sample of both is not ok."""
    a, b = (
        np.random.default_rng(seed).normal(size=(50, n, w)).astype(np.float32) + 5
        for seed, n, w in ((0, 2, 3), (1, 3, 6))
    )
    b[:, 1, :3] += 2 * a[:, 0]
    status = ["ok", "empty"] + ["ok"] * 48
    vectors = {"a": a, "b": b}
    for name, chunk_samples in (("a", 7), ("b", 16)):
        store = write_scan(
            tmp_path / "store",
            name,
            labels=["x", "y"] * 25,
            vectors=vectors[name],
            status=status,
            chunk_samples=chunk_samples,
        )
    return find_scan(store, "a"), find_scan(store, "b"), a.astype(float), b.astype(float)


IDS = np.array([0, *range(2, 50)])


@pytest.mark.parametrize(("rows", "size"), [(1024, 2**28), (5, 1), (7, 8 * 18 * 4)])
def test_activations_are_compared_however_they_are_chunked(scans, monkeypatch, rows, size):
    monkeypatch.setattr(cka, "_ROWS_AT_ONCE", rows)
    monkeypatch.setattr(cka, "_MOST_BYTES", size)
    told = []
    value, _ = cka.activation_cka(*scans[:2], ((0, 1), (0, 1, 2)), IDS, progress=told.append)
    expected = [[plain(scans[2][IDS, i], scans[3][IDS, j]) for j in range(3)] for i in range(2)]
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    assert value[0, 1] > value[0, 0] + 0.2
    assert told[-1].done == told[-1].total


def test_the_mean_by_chance_is_that_over_all_orders(scans):
    ids = np.arange(2, 8)
    _, by_chance = cka.activation_cka(*scans[:2], ((0,), (1,)), ids, progress=no_progress)
    a, b = scans[2][ids, 0], scans[3][ids, 1]
    every = [plain(a, b[list(order)]) for order in permutations(range(6))]
    assert by_chance[0, 0] == pytest.approx(np.mean(every), rel=1e-6)


def test_an_activation_that_is_missing_is_said(scans):
    with pytest.raises(StoreCorrupt, match="lacks an activation"):
        cka.activation_cka(*scans[:2], ((0,), (0,)), np.arange(5), progress=no_progress)


def test_activations_that_were_removed_are_said(scans):
    a = replace(scans[0], is_pruned=True)
    with pytest.raises(InvalidInput, match="activations of scan 'a' were removed"):
        cka.activation_cka(a, scans[1], ((0,), (0,)), IDS, progress=no_progress)
