"""Activations made elsewhere with a vector per token: NeuroX's, SAELens', and tables of them."""

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction import arrays_tables
from llm_mri_store.extraction.arrays import open_activations
from llm_mri_store.extraction.arrays_given import ArrayChoices
from llm_mri_store.extraction.arrays_tokens import pool_tokens
from llm_mri_store.extraction.pooling import pool
from llm_mri_store.records.choices import POOLINGS
from tests.activation_files import make_tokens, write_neurox, write_saelens


def read_all(path, *, rows_at_once=3, **choices):
    with open_activations(path, ArrayChoices(**choices)) as given:
        pieces = [
            given.read(range(first, min(first + rows_at_once, given.n_samples)))
            for first in range(0, given.n_samples, rows_at_once)
        ]
        return given, np.concatenate(pieces)


def pooled_by_torch(texts, pooling):
    """What a scan of ours makes of the same tokens: float32 (texts, layers, width)."""
    rows = []
    for states in texts:
        mask = torch.ones(states.shape[0], states.shape[1], dtype=torch.long)
        rows.append(pool(torch.from_numpy(states), mask, pooling).numpy())
    return np.stack(rows)


@pytest.fixture
def texts():
    """Thirteen texts of 1 to 6 tokens, so that "10" comes before "2" as a string."""
    return make_tokens(13)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_neurox_files_are_pooled_as_a_scan_pools(tmp_path, texts, pooling):
    given, read = read_all(write_neurox(tmp_path / "acts.hdf5", texts), pooling=pooling)
    assert (given.layers, given.width, given.n_samples) == ((0, 1, 2), 8, 13)
    assert given.pooling == pooling
    assert given.n_tokens.tolist() == [states.shape[1] for states in texts]
    np.testing.assert_allclose(read, pooled_by_torch(texts, pooling), atol=1e-6)
    if pooling != "mean":
        np.testing.assert_array_equal(read, pooled_by_torch(texts, pooling))


@pytest.mark.parametrize("rows_at_once", [1, 2, 7, 100])
def test_tokens_can_be_samples_of_their_own(tmp_path, texts, rows_at_once):
    path = write_neurox(tmp_path / "acts.hdf5", texts)
    given, read = read_all(path, pooling="tokens", rows_at_once=rows_at_once)
    assert given.n_tokens.tolist() == [1] * given.n_samples
    np.testing.assert_array_equal(read, np.concatenate([states.transpose(1, 0, 2) for states in texts]))


def test_the_layers_of_a_neurox_file_are_numbered_by_their_place(tmp_path, texts):
    """NeuroX's filter_layers keeps some, and does not say which."""
    path = write_neurox(tmp_path / "acts.hdf5", texts)
    given, read = read_all(path, pooling="last", layers=(12, 0, 6))
    assert given.layers == (0, 6, 12)
    np.testing.assert_array_equal(read, pooled_by_torch(texts, "last")[:, [1, 2, 0]])


def test_neurox_files_of_a_layer_each(tmp_path, texts):
    """What its decompose_layers writes."""
    (tmp_path / "acts").mkdir()
    for layer in range(3):
        write_neurox(
            tmp_path / "acts" / f"acts-layer{layer}.hdf5", [states[layer : layer + 1] for states in texts]
        )
    given, read = read_all(tmp_path / "acts", pooling="first")
    assert given.layers == (0, 1, 2)
    assert given.n_tokens.tolist() == [states.shape[1] for states in texts]
    np.testing.assert_array_equal(read, pooled_by_torch(texts, "first"))


def test_a_neurox_file_without_its_map_is_known_by_its_datasets(tmp_path, texts):
    path = write_neurox(tmp_path / "acts.h5", texts, with_map=False)
    np.testing.assert_array_equal(read_all(path, pooling="max")[1], pooled_by_torch(texts, "max"))


def test_layers_called_by_numbers_are_no_sentences(tmp_path):
    with h5py.File(tmp_path / "acts.h5", "w") as file:
        for layer in (0, 6):
            file[str(layer)] = np.full((4, 3), layer, np.float32)
    given, read = read_all(tmp_path / "acts.h5")
    assert given.layers == (0, 6)
    assert read[0, :, 0].tolist() == [0, 6]


def test_a_text_without_tokens_has_no_vector(tmp_path, texts):
    texts[4] = np.zeros((3, 0, 8), np.float32)
    path = write_neurox(tmp_path / "acts.hdf5", texts)
    given, read = read_all(path, pooling="mean")
    assert given.n_tokens[4] == 0
    assert np.isnan(read).all(axis=(1, 2)).tolist() == [place == 4 for place in range(13)]
    given, read = read_all(path, pooling="tokens", rows_at_once=2)
    assert given.n_samples == sum(states.shape[1] for states in texts)
    np.testing.assert_array_equal(read, np.concatenate([states.transpose(1, 0, 2) for states in texts]))


def test_a_token_that_is_nan_spoils_only_what_it_enters(tmp_path, texts):
    texts[2] = np.concatenate([texts[2], np.full((3, 1, 8), np.nan, np.float32)], axis=1)
    path = write_neurox(tmp_path / "acts.hdf5", texts)
    for pooling, is_spoiled in (("first", False), ("last", True), ("mean", True), ("max", True)):
        read = read_all(path, pooling=pooling)[1]
        assert np.isnan(read[2]).all() == is_spoiled, pooling
        assert np.isfinite(np.delete(read, 2, axis=0)).all()


def test_a_mean_is_exact_where_float32_would_round():
    states = np.zeros((1, 3, 1), np.float32)
    states[0, :, 0] = (2**24, 1, 1)
    assert pool_tokens(states, "mean").item() == np.float32((2**24 + 2) / 3)


@pytest.mark.parametrize("shards", [1, 3])
def test_saelens_contexts_are_pooled(tmp_path, shards):
    contexts = np.random.default_rng(0).normal(size=(11, 5, 8)).astype(np.float32)
    path = write_saelens(tmp_path / "acts", {"blocks.6.hook_resid_post": contexts}, shards=shards)
    for pooling in POOLINGS:
        given, read = read_all(path, pooling=pooling)
        assert given.layers == (6,)
        assert given.read_at == ("blocks.6.hook_resid_post",)
        assert given.n_tokens.tolist() == [5] * 11
        np.testing.assert_allclose(read, pooled_by_torch(contexts[:, None], pooling), atol=1e-6)


def test_saelens_tokens_can_be_samples(tmp_path):
    contexts = np.random.default_rng(0).normal(size=(11, 5, 8)).astype(np.float32)
    path = write_saelens(tmp_path / "acts", {"blocks.6.hook_resid_post": contexts})
    given, read = read_all(path, pooling="tokens", rows_at_once=7)
    assert given.n_samples == 55
    np.testing.assert_array_equal(read[:, 0], contexts.reshape(55, 8))


def test_saelens_contexts_as_the_hub_keeps_them(tmp_path):
    """What its push to the Hub makes of them: Parquet files in a folder."""
    from datasets import load_from_disk

    contexts = np.random.default_rng(0).normal(size=(11, 5, 8)).astype(np.float32)
    path = write_saelens(tmp_path / "acts", {"blocks.6.hook_resid_post": contexts})
    (tmp_path / "data").mkdir()
    for place in range(2):
        shard = load_from_disk(str(path)).shard(2, place, contiguous=True)
        shard.to_parquet(str(tmp_path / "data" / f"train-{place:05d}-of-00002.parquet"))
    given, read = read_all(tmp_path / "data", pooling="last")
    assert given.layers == (6,)
    np.testing.assert_array_equal(read[:, 0], contexts[:, -1])


def test_several_hooks_are_several_layers(tmp_path):
    """As older versions of SAELens wrote them."""
    drawn = np.random.default_rng(0).normal(size=(4, 3, 5, 8)).astype(np.float32)
    hooks = {f"blocks.{layer}.hook_mlp_out": drawn[:, place] for place, layer in enumerate((11, 2, 7))}
    path = write_saelens(tmp_path / "acts", hooks)
    given, read = read_all(path, pooling="last")
    assert given.layers == (2, 7, 11)
    np.testing.assert_array_equal(read, drawn[:, [1, 2, 0], -1])
    np.testing.assert_array_equal(read_all(path, pooling="last", layers=(7,))[1], drawn[:, [2], -1])


def token_table(texts):
    columns = {
        f"layer_{layer}": pa.array(
            [states[layer].tolist() if states.shape[1] else None for states in texts],
            pa.list_(pa.list_(pa.float32())),
        )
        for layer in range(3)
    }
    return pa.table({"text": ["t"] * len(texts), **columns})


def test_tables_of_tokens(tmp_path, texts, monkeypatch):
    texts[4] = np.zeros((3, 0, 8), np.float32)
    pq.write_table(token_table(texts), tmp_path / "acts.parquet", row_group_size=4)
    for at_once in (1, 2**25):
        monkeypatch.setattr(arrays_tables, "_TOKEN_BYTES", at_once)
        given, read = read_all(tmp_path / "acts.parquet", pooling="max")
        expected = pooled_by_torch([*texts[:4], *texts[5:]], "max")
        np.testing.assert_array_equal(np.delete(read, 4, axis=0), expected)
        assert np.isnan(read[4]).all()
        assert given.n_tokens.tolist() == [states.shape[1] for states in texts]
        read = read_all(tmp_path / "acts.parquet", pooling="tokens")[1]
        np.testing.assert_array_equal(read, np.concatenate([states.transpose(1, 0, 2) for states in texts]))


def test_texts_in_another_order_are_refused(tmp_path, texts):
    table = token_table(texts).append_column("sample_id", pa.array(range(13, 0, -1)))
    pq.write_table(table, tmp_path / "acts.parquet")
    with pytest.raises(InvalidInput, match="does not count 0, 1"):
        read_all(tmp_path / "acts.parquet", pooling="last")


def test_parts_of_texts_and_of_tokens(tmp_path, texts):
    (tmp_path / "acts").mkdir()
    write_neurox(tmp_path / "acts" / "part1.hdf5", texts[:6])
    write_neurox(tmp_path / "acts" / "part2.hdf5", texts[6:])
    given, read = read_all(tmp_path / "acts", pooling="last", rows_at_once=5)
    assert given.n_tokens.tolist() == [states.shape[1] for states in texts]
    np.testing.assert_array_equal(read, pooled_by_torch(texts, "last"))
    read = read_all(tmp_path / "acts", pooling="tokens", rows_at_once=5)[1]
    np.testing.assert_array_equal(read, np.concatenate([states.transpose(1, 0, 2) for states in texts]))
