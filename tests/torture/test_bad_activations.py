"""Models that return NaN or infinity: status, counts and totals agree everywhere, or it is refused."""

import json

import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from llm_mri_store.api.store import Store
from llm_mri_store.store.catalogue import open_store
from llm_mri_store.store.verify import verify_store
from tests.cli.shell import refused, shell
from tests.conftest import make_records
from tests.store.stores import tree_digest

BAD = {"thunder": float("nan"), "lantern": float("inf"), "copper": float("-inf")}
"""Words whose embedding is not finite: about one text in three holds one."""

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def sound(is_full, request):
    return request.getfixturevalue("minilm" if is_full else "tiny_bert")


@pytest.fixture(scope="module")
def records(is_full):
    return make_records(400 if is_full else 60, seed=21)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("corpus") / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in records))
    return path


def broken(sound, folder, spoil):
    """A model in a folder, spoilt."""
    model, tokenizer = AutoModel.from_pretrained(sound), AutoTokenizer.from_pretrained(sound)
    with torch.no_grad():
        spoil(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def spoil_words(model, tokenizer):
    embeddings = model.get_input_embeddings().weight
    for word, value in BAD.items():
        (token,) = tokenizer(word, add_special_tokens=False)["input_ids"]
        embeddings[token] = value


def spoil_layer(model, tokenizer):
    model.encoder.layer[1].output.dense.weight[0, 0] = torch.nan


def words_of(model, corpus, store, *more):
    return ("scan", model, corpus, "--store", store, "--name", "bad", "--pooling", "mean", "-q", *more)


def test_counts_agree_wherever_they_are_shown(tmp_path, sound, corpus, records, is_full, figures):
    store = tmp_path / "store"
    model = broken(sound, tmp_path / "model", spoil_words)
    ran = shell(*words_of(model, corpus, store, "--chunk-samples", "16"))
    assert ran.exit_code == 0, ran.output
    scan = Store(store).scans["bad"]
    is_bad = [not BAD.keys().isdisjoint(row["text"].split()) for row in records]
    n, n_bad = len(records), sum(is_bad)
    assert 0 < n_bad < n

    assert [status == "not_finite" for status in scan.samples()["status"]] == is_bad
    total = scan.summary().rows()[-1]
    assert (total["n"], total["n_ok"], total["n_not_finite"]) == (n, n - n_bad, n_bad)
    by_label = {
        label: sum(row["label"] == label and not bad for row, bad in zip(records, is_bad, strict=True))
        for label in "abc"
    }
    for layer in scan.quality().rows():
        assert (layer["n_ok"], layer["n_ok"] + layer["n_not_finite"] + layer["n_excluded"]) == (n - n_bad, n)

    reduction = scan.reduce("pca", grid=4)
    n_layers = len(reduction.layer_table())
    for layer in reduction.layer_table().rows():
        assert (layer["n_fitted"], layer["n_excluded"]) == (n - n_bad, n_bad)
        for label, expected in {None: n - n_bad, **by_label}.items():
            assert sum(reduction.heatmap(layer["layer"], label)["n"]) == expected
    live = [row["layer"] for row in reduction.layer_table().rows() if not row["is_degenerate"]]
    n_steps = sum(one + 1 in live for one in live)
    for label, expected in {None: n - n_bad, **by_label}.items():
        assert sum(reduction.edges(label)["weight"]) == expected * n_steps
    found = Store(store).sql(
        "SELECT count(*) AS n, count(cell_x) AS n_cells, count(coordinates) AS n_points, "
        "count(*) FILTER (WHERE status = 'not_finite') AS n_bad FROM points"
    )
    cells = (n - n_bad) * n_layers
    assert list(found.rows()[0].values()) == [n * n_layers, cells, cells, n_bad * n_layers]
    vectors = Store(store).sql("SELECT count(vector) AS n FROM activations WHERE layer = 1")
    assert vectors["n"] == [n - n_bad]
    test = reduction.contrast("a", "b", n_permutations=19)
    assert f"({by_label['a']} samples)" in " ".join(test.sentences)
    said = shell("show", "bad", "--store", store).stdout
    assert "not_finite" in said
    assert verify_store(open_store(store)) == []
    figures["bad activations"] = {"samples": n, "not finite": n_bad, "layers": n_layers}


def test_a_layer_that_is_nowhere_finite_is_refused_by_what_needs_it(tmp_path, sound, corpus, records):
    store = tmp_path / "store"
    model = broken(sound, tmp_path / "model", spoil_layer)
    assert shell(*words_of(model, corpus, store)).exit_code == 0
    (total,) = [row for row in Store(store).scans["bad"].summary().rows() if row["is_total"]]
    assert (total["n_ok"], total["n_not_finite"]) == (0, len(records))
    before = tree_digest(store)
    assert "0 samples with an activation; a reduction needs at least 2" in refused(
        "reduce", "bad", "--store", store, "-q"
    )
    assert tree_digest(store) == before


@pytest.mark.parametrize("spoil", [spoil_words, spoil_layer])
def test_strict_refuses_and_names_the_first(tmp_path, sound, corpus, spoil):
    store = tmp_path / "store"
    model = broken(sound, tmp_path / "model", spoil)
    sentence = refused(*words_of(model, corpus, store, "--strict", "--chunk-samples", "16"))
    assert "of scan 'bad', first for sample " in sentence
    assert "at layer " in sentence
    assert Store(store).sql("SELECT count(*) AS n FROM scans WHERE status = 'complete'")["n"] == [0]
