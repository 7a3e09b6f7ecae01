"""Damaged stores: verify names each damaged file, no answer is wrong, repair drops what is lost."""

import json
import random
import re
import shutil
from pathlib import PurePosixPath

import pyarrow as pa
import pytest

from llm_mri_store.api.store import Store
from llm_mri_store.errors import LlmMriError, StoreCorrupt
from llm_mri_store.store import sandbox
from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.connection import fetch
from llm_mri_store.store.queries import fill_parameters, named_query, query_names
from llm_mri_store.store.repair import repair_scan
from llm_mri_store.store.selection import select
from llm_mri_store.store.verify import verify_store
from tests.store.stores import error_of, random_store, write_quality, write_tests

PAGE = 4096
N_LAYERS = 3
MOST_SEEDS = 100
GIVEN = {"layer": 1, "cell_x": 1, "cell_y": 1, "label": "a", "grid": 3, "labels": ["a", "b"], "sample_id": 7}
WAY_OUT = re.compile("llm-mri (verify|repair)")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    store = random_store(tmp_path_factory.mktemp("sound") / "store", n=600, n_layers=N_LAYERS)
    write_quality(store, "big")
    write_tests(store)
    assert verify_store(store) == []
    return store


@pytest.fixture(scope="module")
def right(sound):
    """The answer to each question while nothing is damaged."""
    return [answer(ask) for ask in questions(sound)]


def flip(paths, rng):
    """One bit of one file."""
    content = bytearray(paths[0].read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    paths[0].write_bytes(content)
    return paths[:1]


def truncate(paths, rng):
    """One file ends early, or is empty."""
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[: rng.randrange(len(content))])
    return paths[:1]


def zero_page(paths, rng):
    """One page of one file is lost, as a disk loses it."""
    content = paths[0].read_bytes()
    at = PAGE * rng.randrange(1 + (len(content) - 1) // PAGE)
    paths[0].write_bytes(content[:at] + bytes(len(content[at : at + PAGE])) + content[at + PAGE :])
    return paths[:1]


def lose(paths, rng):
    """One file is gone."""
    paths[0].unlink()
    return paths[:1]


def swap(paths, rng):
    """Two files have changed places."""
    one, other = paths[0], next(path for path in paths[1:] if path.suffix == paths[0].suffix)
    contents = one.read_bytes(), other.read_bytes()
    if contents[0] != contents[1]:
        one.write_bytes(contents[1])
        other.write_bytes(contents[0])
        return [one, other]
    return []


DAMAGES = (flip, truncate, zero_page, lose, swap)


def is_harmless(before, after):
    """A JSON file that says the same: a space for a line end, say."""
    try:
        return json.loads(before) == json.loads(after)
    except ValueError:
        return False


def damaged_files(store, rng, damage):
    """Files that are no longer as committed, as paths relative to the store."""
    paths = [path for path in sorted(store.scans.rglob("*")) if path.is_file()]
    rng.shuffle(paths)
    before = {path: path.read_bytes() for path in paths}
    hit = damage(paths, rng)
    return {
        store.relative(path)
        for path in hit
        if not (path.exists() and path.suffix == ".json" and is_harmless(before[path], path.read_bytes()))
    }


def questions(store):
    """Every named query in our own way, all views by the way of users, and arrays."""
    for name in query_names():
        query = named_query(name)
        parameters = fill_parameters(
            query, {one.name: GIVEN[one.name] for one in query.parameters if one.is_required}
        )
        yield lambda query=query, parameters=parameters: fetch(select(store), query.sql, parameters)
    for view in ("samples", "activations", "points", "layers", "tests", "contrasts"):
        yield lambda view=view: sandbox.run(
            select(store), f"SELECT bit_xor(hash({view})) AS rows FROM {view}"
        )
    yield lambda: Store(store.root).find("big").samples().arrow
    for layer in range(N_LAYERS):
        yield lambda layer=layer: Store(store.root).find("big").activations(layer).tobytes()
        yield lambda layer=layer: Store(store.root).reduction("big").points(layer).tobytes()


def results_listed(store):
    """Result -> what the listing says of it."""
    rows = sandbox.run(select(store), "FROM results").to_pylist()
    return {(row.pop("kind"), row.pop("result")): row for row in rows}


def answer(ask):
    """What a question gives, in words (NaN equals itself there), or an error of ours."""
    rows = []
    error = error_of(lambda: rows.append(ask()))
    return error or (repr(rows[0].to_pylist()) if isinstance(rows[0], pa.Table) else rows[0])


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_damage_is_named_survived_and_repaired(sound, right, tmp_path, is_full, figures, damage):
    n_stores = n_named = n_questions = n_refused = 0
    listing = results_listed(sound)
    for seed in range(MOST_SEEDS):
        if n_stores == (40 if is_full else 1):
            break
        store = open_store(shutil.copytree(sound.root, tmp_path / f"store-{seed}"))
        hit = damaged_files(store, random.Random(f"{damage.__name__} {seed}"), damage)
        if not hit:
            continue
        problems = verify_store(store)
        n_stores += 1
        n_named += {one.where for one in problems} >= hit
        assert {one.where for one in problems} >= hit
        for ask, rows in zip(questions(store), right, strict=True):
            found = answer(ask)
            n_questions += 1
            if isinstance(found, LlmMriError):
                n_refused += 1
                assert not isinstance(found, StoreCorrupt) or WAY_OUT.search(str(found))
            else:
                assert found == rows, (damage.__name__, seed, hit, found[:300], rows[:300])
        listed = {}
        error_of(lambda listed=listed, store=store: listed.update(results_listed(store)))
        for result, row in listed.items():
            assert row in (listing[result], {**dict.fromkeys(row), "reduction": row["reduction"]})
        removed, left = repair_scan(store, "big", agree=lambda _: True)
        in_record = {name for name in hit if PurePosixPath(name).name == "scan.json"}
        assert {one.where for one in left} >= in_record
        for name in hit - in_record:
            assert in_record or any(PurePosixPath(name).is_relative_to(one.where) for one in removed)
        shutil.rmtree(store.root)
    figures[f"corruption: {damage.__doc__}"] = {
        "stores": n_stores,
        "named": n_named,
        "questions": n_questions,
        "refused": n_refused,
        "answered as before": n_questions - n_refused,
        "answered wrongly": 0,
    }
    assert n_stores == (40 if is_full else 1)
