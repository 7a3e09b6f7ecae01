"""Two reductions compared: matched samples, laws, calibration, and what cannot be matched."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import adjusted_mutual_info_score

from llm_mri_store import Store
from llm_mri_store.analysis.agreement import AGREEMENT_SCHEMA, compare_reductions
from llm_mri_store.analysis.graphs_beside import APART_SCHEMA, BESIDE_SCHEMA
from llm_mri_store.analysis.kept_results import Place
from llm_mri_store.analysis.matched_samples import MatchedSamples
from llm_mri_store.errors import InvalidInput
from llm_mri_store.store.catalogue import find_reduction, find_scan
from tests.analysis.test_linear_cka import plain
from tests.conftest import make_records
from tests.store.stores import write_reduction, write_scan
from tests.trees import tree


def place(store, scan, reduction="pca-2"):
    entry = find_scan(store, scan)
    return Place(store=store, scan=entry, reduction=find_reduction(entry, reduction))


def written(root, name, points, *, grid=4, degenerate=(), status=None, **fields):
    """A scan whose points are (samples, layers, 2); cells are of equal width over their range."""
    n = len(points)
    low, high = points.min(axis=(0, 1)), points.max(axis=(0, 1))
    cells = np.minimum((points - low) / (high - low) * (grid or 4), (grid or 4) - 1).astype(int)
    if status is not None:
        cells[np.asarray(status) != "ok"] = -1
    labels = ["ab"[one % 2] for one in range(n)]
    vectors = np.random.default_rng(5).normal(size=(n, points.shape[1], 3)).astype(np.float32)
    store = write_scan(root, name, labels=labels, vectors=vectors, status=status, chunk_samples=32, **fields)
    write_reduction(store, name, cells=cells, coordinates=points, grid=grid, degenerate=degenerate)
    return store, cells


def cloud(seed, *, n=60, n_layers=3):
    return np.random.default_rng(seed).normal(size=(n, n_layers, 2))


def rows_of(table):
    return {(row["a_layer"], row["b_layer"]): row for row in table.to_pylist()}


def test_a_reduction_agrees_with_itself_wherever_a_layer_varies(tmp_path):
    store, _ = written(tmp_path / "s", "one", cloud(0), degenerate=[0])
    one = place(store, "one")
    found = compare_reductions(one, one, n_permutations=99)
    assert found.layers.schema == AGREEMENT_SCHEMA
    assert found.n_samples == 60
    for (a, b), row in rows_of(found.layers).items():
        if 0 in (a, b):
            assert {row[name] for name in row if name not in ("a_layer", "b_layer", "n")} == {None}
        elif a == b:
            assert row["ami"] == pytest.approx(1)
            assert row["cka"] == pytest.approx(1)
            assert row["ami_p"] == row["ami_p_fwe"] == row["cka_p_fwe"] == 1 / 100
            assert row["ami_low"] == pytest.approx(1)
            assert row["cka_excess"] == pytest.approx(1 - row["cka_by_chance"])
        else:
            assert row["ami"] < 0.2
    words = " ".join(found.sentences)
    assert "NULL, because activations do not vary there: layer 0 of A and layer 0 of B." in words
    assert "pairs of layers agree beyond chance" in words
    assert "not that they compute the same" in words
    assert "They differ in" not in words
    distances = {row["distance"]: row["value"] for row in found.distances.to_pylist()}
    assert distances == {"portrait": pytest.approx(0), "spectral": pytest.approx(0)}


def test_values_are_those_of_the_samples_that_are_ok_in_both(tmp_path):
    a, b = cloud(0), cloud(0) + 0.5 * cloud(1)
    status = [["ok"] * 60 for _ in range(2)]
    status[0][3] = status[1][7] = "empty"
    _, cells_a = written(tmp_path / "s", "one", a, status=status[0])
    store, cells_b = written(tmp_path / "s", "two", b, status=status[1], grid=5, site="mlp")
    found = compare_reductions(place(store, "one"), place(store, "two"), n_permutations=19)
    ids = [one for one in range(60) if one not in (3, 7)]
    for (i, j), row in rows_of(found.layers).items():
        codes = [cells[ids, layer] @ [10, 1] for cells, layer in ((cells_a, i), (cells_b, j))]
        assert row["n"] == 58
        assert row["ami"] == pytest.approx(adjusted_mutual_info_score(*codes), abs=1e-9)
        assert row["cka"] == pytest.approx(plain(a[ids, i], b[ids, j]), rel=1e-5)
        assert row["ami_low"] <= row["ami"] <= row["ami_high"]
    words = " ".join(found.sentences)
    assert "58 that have a point in both" in words
    assert "They differ in site, grid." in words
    assert "Their grids differ" in words


def test_it_is_the_same_from_either_side_but_for_chance(tmp_path):
    written(tmp_path / "s", "one", cloud(0, n_layers=2))
    store, _ = written(tmp_path / "s", "two", cloud(0) + cloud(1))
    pair = (place(store, "one"), place(store, "two"))
    one = rows_of(compare_reductions(*pair, n_permutations=19, activations=True).layers)
    other = rows_of(compare_reductions(*reversed(pair), n_permutations=19, activations=True).layers)
    for (a, b), row in one.items():
        for name in (
            "ami",
            "ami_low",
            "ami_high",
            "cka",
            "cka_low",
            "activation_cka",
            "activation_cka_excess",
        ):
            assert row[name] == pytest.approx(other[b, a][name], abs=1e-9)


def test_the_same_seed_gives_the_same(tmp_path):
    written(tmp_path / "s", "one", cloud(0))
    store, _ = written(tmp_path / "s", "two", cloud(1))
    one, again, other = (
        compare_reductions(place(store, "one"), place(store, "two"), n_permutations=29, seed=seed).layers
        for seed in (1, 1, 2)
    )
    assert one.equals(again)
    assert not one.equals(other)


def test_reductions_that_have_nothing_in_common_are_seldom_found_to_agree(tmp_path):
    hits = {"ami": 0, "cka": 0}
    for seed in range(40):
        written(tmp_path / str(seed), "one", cloud(2 * seed))
        store, _ = written(tmp_path / str(seed), "two", cloud(2 * seed + 1))
        found = compare_reductions(place(store, "one"), place(store, "two"), n_permutations=39, seed=seed)
        for measure in hits:
            hits[measure] += min(found.layers[f"{measure}_p_fwe"].to_pylist()) <= 0.05
    assert max(hits.values()) <= stats.binom.ppf(0.9995, 40, 0.05)


def test_texts_that_differ_leave_graphs_alone(tmp_path):
    written(tmp_path / "s", "one", cloud(0))
    store, _ = written(tmp_path / "s", "two", cloud(0)[::-1], corpus_fingerprint="shuffled")
    found = compare_reductions(place(store, "one"), place(store, "two"), activations=True)
    assert found.n_samples is None
    assert found.layers.num_rows == 0
    assert found.metrics.schema == BESIDE_SCHEMA
    assert found.distances.schema == APART_SCHEMA
    assert set(found.metrics["graph"].to_pylist()) == {"all", "a", "b"}
    words = " ".join(found.sentences)
    assert "cannot be matched sample by sample, as their texts, labels or covariates differ" in words
    assert "neither is tested across reductions" in words
    assert "agree beyond chance" not in words


def test_without_a_grid_points_alone_are_compared(tmp_path):
    written(tmp_path / "s", "one", cloud(0), grid=None)
    store, _ = written(tmp_path / "s", "two", cloud(1))
    found = compare_reductions(place(store, "one"), place(store, "two"), n_permutations=19)
    assert found.layers["ami"].null_count == found.layers["ami_p_fwe"].null_count == 9
    assert found.layers["cka_p_fwe"].null_count == 0
    assert (found.metrics.num_rows, found.distances.num_rows) == (0, 0)
    assert "There is no agreement of cells: a reduction has no grid." in found.sentences


def test_what_cannot_be_asked_is_refused(tmp_path):
    store, _ = written(tmp_path / "s", "one", cloud(0))
    one = place(store, "one")
    with pytest.raises(InvalidInput, match="fewer than 19"):
        compare_reductions(one, one, n_permutations=9)
    few = place(written(tmp_path / "few", "one", cloud(0, n=3))[0], "one")
    with pytest.raises(InvalidInput, match="share 3 samples, too few"):
        compare_reductions(few, few)


# --- tokens ----------------------------------------------------------------------------------------------


def test_tokens_move_with_their_text_among_texts_of_as_many():
    samples = MatchedSamples(
        sample_ids=np.array([0, 1, 2, 4, 5, 6, 7]), texts=np.array([0, 0, 1, 2, 2, 3, 5])
    )
    assert [block.tolist() for block in samples.blocks()] == [[[2], [5], [6]], [[0, 1], [3, 4]]]
    assert samples.is_of_tokens
    assert samples.n_fixed == 0
    for order in samples.shuffles(20, seed=0):
        assert sorted(order.tolist()) == list(range(7))
        assert order[:2].tolist() in ([0, 1], [3, 4])
        assert {order[2], order[5], order[6]} == {2, 5, 6}
    lone = MatchedSamples(sample_ids=np.arange(6), texts=np.array([0, 0, 0, 1, 2, 3]))
    assert lone.n_fixed == 3


def test_token_scans_are_matched_where_they_hold_the_same_tokens(tiny_bert, tiny_gpt2, tmp_path):
    store = Store(tmp_path / "store")
    options = {"pooling": "tokens", "device": "cpu", "chunk_samples": 16}
    records = make_records(24)
    for name, model, more in (
        ("a", tiny_bert, {}),
        ("b", tiny_gpt2, {}),
        ("second", tiny_bert, {"token_step": 2}),
        ("texts", tiny_bert, {"pooling": "mean"}),
        ("cut", tiny_bert, {"max_tokens": 6}),
    ):
        store.scan(model, records, name=name, **(options | more)).reduce("pca", grid=4)
    found = store.reduction("a").compare_with(store.reduction("b"), n_permutations=19, activations=True)
    assert found.n_samples == store.scans["a"].spec.n_samples
    assert any("with texts of as many tokens" in sentence for sentence in found.sentences)
    assert "whole texts of B among those of as many tokens" in found.methods()
    assert set(found.layers["activation_cka_by_chance"]) == {None}
    for name, why in (
        ("second", "one kept every 1 tokens, the other every 2"),
        ("texts", "samples of one are texts, of the other tokens"),
        ("cut", "their texts were cut into other tokens"),
    ):
        other = store.reduction("a").compare_with(store.reduction(name))
        assert other.n_samples is None
        assert why in repr(other)


# --- as users hold it ------------------------------------------------------------------------------------


def test_a_reduction_is_compared_with_one_of_random_weights_and_nothing_is_kept(
    tiny_store, tiny_bert, tiny_corpus
):
    store = Store(tiny_store)
    scan = store.scan(tiny_bert, tiny_corpus, name="random", pooling="mean", random_weights=1, device="cpu")
    scan.reduce("pca", grid=4)
    before = tree(tiny_store)
    told = []
    found = store.reduction("tiny").compare_with(
        store.reduction("random"), n_permutations=99, progress=told.append
    )
    assert tree(tiny_store) == before
    assert (found.a, found.b) == ("tiny/pca-2", "random/pca-2")
    assert len(found.layers) == 16
    assert {one.job for one in told} == {"chance", "intervals", "graphs"}
    assert "They differ in weights." in repr(found)
    for words in ("Vinh, Epps & Bailey", "arXiv 1905.00414", "99 times with seed 0", "drawn at random"):
        assert words in found.methods()
    assert found.reduction.plot.agreement(found).to_dict()["hconcat"]
