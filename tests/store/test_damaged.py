"""Queries over damaged files: our errors or rows, never a crash or a foreign error."""

import random
import shutil

import pytest

from llm_mri_store.errors import StoreCorrupt
from llm_mri_store.store import sandbox
from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.selection import select
from tests.store.stores import error_of, random_store, write_quality

EVERYTHING = """
    SELECT
        (SELECT bit_xor(hash(samples)) FROM samples) AS samples,
        (SELECT bit_xor(hash(activations)) FROM activations) AS activations,
        (SELECT bit_xor(hash(points)) FROM points) AS points,
        (SELECT bit_xor(hash(layer_quality)) FROM layer_quality) AS layer_quality
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("sound") / "store", n=300, n_layers=2)
    write_quality(store, "big")
    return store


@pytest.fixture(scope="module")
def right(sound):
    return fetch(select(sound), EVERYTHING)


def flip(content, rng):
    place = rng.randrange(len(content))
    content[place] ^= 1 << rng.randrange(8)


def truncate(content, rng):
    del content[rng.randrange(len(content)) :]


def zero(content, rng):
    place = rng.randrange(len(content) - 64)
    content[place : place + 64] = bytes(64)


def garbage(content, rng):
    content[:] = rng.randbytes(len(content))


@pytest.mark.parametrize("how", [flip, truncate, zero, garbage], ids=lambda one: one.__name__)
@pytest.mark.parametrize("ask", [fetch, sandbox.run], ids=["own", "sandbox"])
def test_a_damaged_parquet_file_gives_our_error_or_rows(sound, right, tmp_path, how, ask):
    rng = random.Random(f"{how.__name__}")
    store = open_store(shutil.copytree(sound.root, tmp_path / "store"))
    n_found = 0
    for _ in range(6):
        path = rng.choice(sorted(store.root.rglob("*.parquet")))
        kept = path.read_bytes()
        content = bytearray(kept)
        how(content, rng)
        path.write_bytes(content)
        error = error_of(lambda: ask(select(store), EVERYTHING))
        if error is not None:
            assert isinstance(error, StoreCorrupt)
            assert "run 'llm-mri verify'" in str(error)
            n_found += 1
        path.write_bytes(kept)
    assert n_found > 0
    assert ask(select(store), EVERYTHING) == right


def test_a_flipped_bit_in_a_page_is_never_read_as_a_number_by_a_users_sql(sound, right, tmp_path):
    store = open_store(shutil.copytree(sound.root, tmp_path / "store"))
    path = store.root / "scans/big/chunks/000001/activations.parquet"
    kept = path.read_bytes()
    # Data pages come first; the last part is the footer.
    for place in range(100, len(kept) // 2, len(kept) // 16):
        content = bytearray(kept)
        content[place] ^= 16
        path.write_bytes(content)
        try:
            assert sandbox.run(select(store), EVERYTHING) == right
        except StoreCorrupt:
            continue


@pytest.mark.parametrize("ask", [fetch, sandbox.run], ids=["own", "sandbox"])
@pytest.mark.parametrize("name", ["samples.parquet", "activations.parquet", "layer=01.parquet"])
def test_a_missing_parquet_file_is_corruption(sound, tmp_path, name, ask):
    store = open_store(shutil.copytree(sound.root, tmp_path / "store"))
    next(store.root.rglob(name)).unlink()
    with pytest.raises(StoreCorrupt, match="run 'llm-mri verify' to see which"):
        ask(select(store), "SELECT count(*) FROM points, activations")
