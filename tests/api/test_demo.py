"""The demo, and laws that hold on its scan: a real model over a real corpus."""

import json
from collections import Counter

import pytest

from llm_mri_store import Store
from llm_mri_store.extraction.sources import DEMO_CORPUS

pytestmark = pytest.mark.model

ROWS = [json.loads(line) for line in DEMO_CORPUS.read_text().splitlines()]


def test_the_corpus_is_balanced_and_its_covariate_independent_of_the_label():
    assert len(ROWS) == 300
    assert set(Counter((row["label"], row["tense"]) for row in ROWS).values()) == {30}
    assert len({row["label"] for row in ROWS}) == 5


def test_every_text_of_the_corpus_is_its_own():
    assert len({row["text"] for row in ROWS}) == 300
    for row in ROWS:
        assert row["n_words"] == len(row["text"].split())
        assert 8 <= row["n_words"] <= 120


def test_the_demo_makes_pages_that_open_offline(demo):
    assert len(demo.pages) == 6
    assert next(iter(demo.pages)) == "the report: start here"
    for page in demo.pages.values():
        content = page.read_text()
        assert content.lstrip().lower().startswith("<!doctype html>")
        assert "<script src" not in content
        assert "connect-src" not in content or "'none'" in content


def test_heatmap_counts_over_labels_sum_to_the_samples(demo):
    reduction = demo.reduction
    for layer in reduction.layers:
        total = Counter()
        for label in reduction.scan().labels:
            for row in reduction.heatmap(layer, label).rows():
                total[row["cell_x"], row["cell_y"]] += row["n"]
        pooled = {(row["cell_x"], row["cell_y"]): row["n"] for row in reduction.heatmap(layer).rows()}
        assert dict(total) == pooled
        assert sum(pooled.values()) == 300


def test_edge_weights_of_a_label_over_a_layer_pair_sum_to_its_samples(demo):
    for label in demo.reduction.scan().labels:
        weights = Counter()
        for row in demo.reduction.edges(label).rows():
            weights[row["layer"]] += row["weight"]
        assert dict(weights) == dict.fromkeys(range(6), 60)


def test_a_graph_of_two_labels_keeps_the_weights_of_both(demo):
    both = demo.reduction.graph(["cooking", "gardening"])
    for label in ("cooking", "gardening"):
        own = demo.reduction.graph(label)
        for source, target, edge in own.edges(data=True):
            assert both.edges[source, target]["label_weights"][label] == edge["weight"]
    assert sum(weight for _, _, weight in both.edges(data="weight")) == 2 * 6 * 60


def test_close_labels_share_more_of_their_graphs_than_far_ones(demo):
    def shared(one, other):
        weights = [edge["label_weights"] for *_, edge in demo.reduction.graph([one, other]).edges(data=True)]
        return sum(min(w[one], w[other]) for w in weights) / sum(max(w[one], w[other]) for w in weights)

    assert shared("cooking", "gardening") > 1.5 * shared("cooking", "astronomy")


def test_the_last_layer_tells_the_label_best(demo):
    bits = demo.reduction.ask("layer_information")["information_corrected"]
    assert bits[-1] == max(bits)
    assert bits[-1] > 4 * bits[0]


def test_the_demo_tests_what_it_shows(demo):
    peaks = demo.contrast.peaks().rows()
    assert {row["more_of"] for row in peaks} == {"astronomy", "cooking"}
    assert all(len(row["words"]) == 5 and row["texts"] for row in peaks)
    assert "4,999 relabelings" in repr(demo.contrast)


def test_first_token_at_the_embedding_is_degenerate_and_said_so(minilm, tmp_path):
    scan = Store(tmp_path / "store").scan(minilm, DEMO_CORPUS, name="cls", limit=40, device="cpu")
    assert scan.spec.pooling == "first"
    reduction = scan.reduce("pca")
    assert reduction.degenerate_layers == (0,)
    assert max(reduction.heatmap(0)["n"]) == 40
    assert set(reduction.edges()["layer"]) == {1, 2, 3, 4, 5}
    assert "degenerate" in json.dumps(reduction.plot.heatmap(0).to_dict())
    assert "degenerate layer 0" in json.dumps(reduction.plot.graph().to_dict())
