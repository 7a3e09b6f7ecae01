"""The right behaviour where LLM-MRI 0.2.1 errs: a test for each of its 26 known faults, in their order.

What is shown with hand-made numbers is shown at the lowest function that decides it.
"""

import logging
import subprocess
import sys
from itertools import pairwise, product

import networkx as nx
import numpy as np
import pytest
import torch
from scipy import stats
from transformers import AutoModel

from llm_mri_store import Store
from llm_mri_store.activation_areas import PCA, SVD, UMAP, ActivationAreas, Evaluation, Metrics
from llm_mri_store.analysis.component_graph import build_component_graph
from llm_mri_store.analysis.correlations import correlate_layers
from llm_mri_store.analysis.edge_selection import select_edges
from llm_mri_store.analysis.probe_features import place_points, standardise
from llm_mri_store.charts import EDGE_WIDTH_PX
from llm_mri_store.errors import InvalidInput, UnknownName
from llm_mri_store.extraction.batching import plan_batches
from llm_mri_store.pipeline import plan as pipeline
from llm_mri_store.records.reductions import ReductionSpec
from llm_mri_store.reduction.grid import assign_cells, bin_edges
from llm_mri_store.reduction.layers import LayerActivations, apply_layer, fit_layer
from tests.conftest import WORDS, make_records
from tests.models import save_tiny_bert, save_tiny_t5

LABELS = ("a", "b", "c")


def scanned(store, model, records, method=None, **options):
    areas = ActivationAreas(str(model), records, method or PCA(), store=store, **options)
    areas.process_activation_areas()
    return areas


def hand_made(points, labels, **choices):
    """The graph of components of points given layer by layer."""
    table = correlate_layers(list(enumerate(points)), labels)
    return build_component_graph(
        table,
        labels=sorted(set(labels)),
        layers=range(len(points)),
        n_components=points[0].shape[1],
        **choices,
    )


def layered(edges, n_layers):
    graph = nx.DiGraph(layers=tuple(range(n_layers)))
    graph.add_weighted_edges_from(edges)
    nx.set_node_attributes(graph, {node: int(node.split("_")[0]) for node in graph}, "layer")
    return graph


def fully_connected(n_layers, width=3):
    layers = [[f"{layer}_{i}" for i in range(width)] for layer in range(n_layers)]
    return layered([(u, v, 1) for one, two in pairwise(layers) for u, v in product(one, two)], n_layers)


def as_layer(values):
    values = np.asarray(values, dtype=np.float32)
    return LayerActivations(layer=0, dtype="float32", parts=lambda: iter([values]))


def n_distinct(vectors):
    return len(np.unique(np.round(vectors, 4), axis=0))


def test_fault_01_causal_models_are_not_read_at_their_first_token(tmp_path, tiny_gpt2):
    store = Store(tmp_path / "store")
    records = [{"text": f"river {WORDS[i % 12]} {WORDS[i // 12]}", "label": LABELS[i % 3]} for i in range(60)]
    last = scanned(store, tiny_gpt2, records).reduction
    assert last.scan().spec.pooling == "last"
    assert n_distinct(last.scan().activations(2)) == 60
    with pytest.raises(InvalidInput, match="causal"):
        scanned(store, tiny_gpt2, records, pooling="first")
    forced = scanned(
        store, tiny_gpt2, records, pooling="first", options={"force": True, "name": "forced"}
    ).reduction
    assert n_distinct(forced.scan().activations(2)) == 1
    assert forced.degenerate_layers == forced.layers


def test_fault_02_a_constant_layer_is_one_cell_without_edges(tmp_path, tiny_bert):
    noise = 1 + 1e-7 * np.random.default_rng(0).normal(size=(200, 32))
    for method in ("pca", "svd", "umap"):
        reduced = fit_layer(as_layer(noise), ReductionSpec(method=method), n_excluded=0)
        assert reduced.diagnostics.is_degenerate
        assert len(np.unique(reduced.cells, axis=0)) == 1
    areas = scanned(Store(tmp_path / "store"), tiny_bert, make_records())
    assert areas.reduction.degenerate_layers == (0,)
    assert np.count_nonzero(areas.reduction.heatmap(0)["n"]) == 1
    assert {edge["level"] for *_, edge in areas.get_graph().edges(data=True)} == {1, 2}


def test_fault_03_the_side_of_the_padding_does_not_matter(tmp_path):
    activations = []
    for side in ("left", "right"):
        model = save_tiny_bert(tmp_path / side, padding_side=side)
        scan = scanned(Store(tmp_path / f"store-{side}"), model, make_records()).reduction.scan()
        activations.append(scan.activations(3))
    np.testing.assert_array_equal(*activations)


def test_fault_04_a_planted_link_keeps_its_direction():
    rng = np.random.default_rng(0)
    here, there = rng.normal(size=(2, 200, 3))
    there[:, 2] = here[:, 0] + 0.1 * rng.normal(size=200)
    graph = hand_made([here, there], ["a"] * 200)
    assert list(graph.edges) == [("0_0", "1_2")]


def test_fault_05_every_category_is_seen_in_the_same_components(component_areas):
    reduction = component_areas.reduction
    points = {layer: reduction.points(layer) for layer in reduction.layers}
    labels = np.array(component_areas.reduced_dataset["label"])
    graph = component_areas.get_graph(["a", "b"], threshold=0.0)
    for label in ("a", "b"):
        of_label = labels == label
        expected = stats.spearmanr(points[2][of_label, 1], points[3][of_label, 0]).statistic
        assert graph.edges["2_1", "3_0"]["label_rho"][label] == pytest.approx(expected)
        alone = component_areas.get_graph(label, threshold=0.0)
        assert alone.edges["2_1", "3_0"]["label_rho"][label] == pytest.approx(expected)


def test_fault_06_a_negative_correlation_is_an_edge_with_its_sign():
    rising = np.arange(10.0)[:, None]
    graph = hand_made([rising, -rising], ["a"] * 10)
    edge = graph.edges["0_0", "1_0"]
    assert (edge["weight"], edge["label_rho"]) == (1.0, {"a": -1.0})


def test_fault_07_edges_have_a_p_and_a_q_and_can_be_chosen_by_them():
    found = {"threshold": 0, "fdr": 0}
    for seed in range(20):
        here, there = np.random.default_rng(seed).normal(size=(2, 20, 10))
        table = correlate_layers([(0, here), (1, there)], ["a"] * 20)
        assert set(table.column_names) >= {"p", "q"}
        found["threshold"] += select_edges(table, threshold=0.3).num_rows
        found["fdr"] += select_edges(table, fdr=0.05).num_rows > 0
    assert found["threshold"] > 20 * 10
    assert found["fdr"] <= 3
    here, there = np.random.default_rng(0).normal(size=(2, 20, 10))
    assert hand_made([here, there], ["a"] * 20, threshold="95%").number_of_edges() == 5


def test_fault_08_ties_share_their_rank_and_a_constant_has_no_correlation():
    tied = np.array([1.0, 1, 2, 2, 3, 3])
    other = np.array([2.0, 1, 3, 5, 4, 6])
    constant = np.ones(6)
    table = correlate_layers(
        [(0, np.column_stack([tied, constant])), (1, np.column_stack([other, constant]))], ["a"] * 6
    )
    ends = zip(table["source"].to_pylist(), table["target"].to_pylist(), strict=True)
    rho = dict(zip(ends, table["rho"].to_pylist(), strict=True))
    assert rho["0_0", "1_0"] == pytest.approx(stats.spearmanr(tied, other).statistic)
    assert rho["0_1", "1_1"] is None
    assert select_edges(table, threshold=0.0).num_rows == 1


def test_fault_09_a_shared_edge_keeps_the_weight_of_both_categories(tmp_path, tiny_bert):
    texts = ["river stone"] * 100 + ["river stone"] + ["thunder"] * 20
    records = [
        {"text": text, "label": label}
        for text, label in zip(texts, ["a"] * 100 + ["b"] + ["c"] * 20, strict=True)
    ]
    areas = scanned(Store(tmp_path / "store"), tiny_bert, records)
    for order in (["a", "b"], ["b", "a"]):
        graph = areas.get_graph(order)
        assert {edge["weight"] for *_, edge in graph.edges(data=True)} == {101.0}
        assert all(edge["label_weights"] == {"a": 100.0, "b": 1.0} for *_, edge in graph.edges(data=True))
        assert {edge["label"] for *_, edge in graph.edges(data=True)} == {"a"}


def test_fault_10_a_third_category_counts_and_is_drawn(areas):
    graph = areas.get_graph(["a", "b", "c"])
    assert graph.graph["labels"] == LABELS
    of_labels = [sum(edge["label_weights"][label] for *_, edge in graph.edges(data=True)) for label in LABELS]
    assert of_labels == [10 * 3] * 3
    drawing = areas.get_graph_image(graph).to_dict()
    assert "leading label" in str(drawing)


def test_fault_11_bins_can_follow_the_data_and_are_kept():
    values = np.array([0, 0.1, 0.2, 0.3, 50], dtype=np.float32)
    assert assign_cells(values, bin_edges(values, 5, bins="width"))[0].tolist() == [0, 0, 0, 0, 4]
    assert assign_cells(values, bin_edges(values, 5, bins="quantile"))[0].tolist() == [0, 1, 2, 3, 4]
    fitted = fit_layer(
        as_layer(np.random.default_rng(0).normal(size=(50, 4))), ReductionSpec(method="pca"), n_excluded=0
    )
    assert len(fitted.diagnostics.edges_x) == 11
    far = as_layer(10 * np.random.default_rng(1).normal(size=(50, 4)))
    applied = apply_layer(far, fitted.reducer, fitted.diagnostics, n_excluded=0)
    assert applied.diagnostics.edges_x == fitted.diagnostics.edges_x
    assert applied.diagnostics.n_clipped > 25
    assert (applied.cells.min(), applied.cells.max()) == (0, 9)


def test_fault_12_a_heatmap_is_a_whole_grid_that_says_its_n_and_its_scale(areas):
    cells = areas.reduction.heatmap(2, "b")
    assert len(cells) == 100
    assert sum(cells["n"]) == 10
    assert sum(cells["share"]) == pytest.approx(1.0)
    chart = areas.get_grid(2, "b").to_dict()
    assert "(n = 10)" in " ".join(chart["title"]["text"])
    assert "samples" in str(chart["layer"][0]["encoding"]["color"])
    whole = areas.reduction.plot.heatmaps().to_dict()
    assert whole["spec"]["encoding"]["color"]["scale"]["domain"][0] == 0
    assert "resolve" not in whole, "one colour scale for every layer and label"


def test_fault_13_grid_graph_and_probe_rest_on_the_same_points(areas):
    reduction, dataset = areas.reduction, areas.reduced_dataset
    cells = {}
    for layer in reduction.layers:
        points = np.array(dataset[f"hidden_state_{layer}"], dtype=np.float32)
        np.testing.assert_array_equal(points, reduction.points(layer))
        transformed = reduction.transform(reduction.scan().activations(layer), layer=layer)
        np.testing.assert_allclose(points, transformed, atol=1e-5)
        cells[layer] = reduction.cells(points, layer=layer)
        counts = {(row["cell_x"], row["cell_y"]): row["n"] for row in reduction.heatmap(layer).rows()}
        found, n = np.unique(cells[layer], axis=0, return_counts=True)
        assert {cell: n for cell, n in counts.items() if n} == dict(
            zip(map(tuple, found.tolist()), n.tolist(), strict=True)
        )
    steps = {}
    for one, two in pairwise(reduction.layers):
        for (x, y), (u, v) in zip(cells[one].tolist(), cells[two].tolist(), strict=True):
            edge = (f"{one}_{x}_{y}", f"{two}_{u}_{v}")
            steps[edge] = steps.get(edge, 0) + 1
    assert {(u, v): w for u, v, w in areas.get_graph().edges(data="weight")} == steps


def test_fault_14_a_umap_repeats_its_points_and_says_what_its_seed_costs(tmp_path, tiny_bert, caplog):
    records = make_records(16)
    found = []
    for name in ("one", "two"):
        with caplog.at_level(logging.WARNING, logger="llm_mri_store"):
            areas = scanned(Store(tmp_path / name), tiny_bert, records, UMAP(2, 7), options={"layers": [3]})
        found.append(areas.reduction.points(3))
    np.testing.assert_array_equal(*found)
    assert areas.reduction.spec.seed == 7
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert "its seed (7)" in said[0]
    assert "one thread" in said[0]
    areas.process_activation_areas()
    assert len(caplog.records) == 2, "what is found in the store is not computed, so nothing is slow"


def test_fault_15_svd_is_centred_and_scaled_whatever_the_number_of_components(areas):
    scan = areas.reduction.scan()
    two, four = (SVD(n).reduce(scan) for n in (2, 4))
    for one in (two, four):
        assert (one.spec.center, one.spec.scale) == (True, True)
    for layer in two.layers:
        np.testing.assert_allclose(two.points(layer), four.points(layer)[:, :2], atol=1e-4)
        assert np.abs(two.points(layer).mean(axis=0)).max() < 1e-4


def test_fault_16_the_center_of_strength_is_a_weighted_mean_of_depth(areas):
    graph = layered([("0_0", "1_0", 1.0), ("1_0", "2_0", 3.0)], 3)
    expected = (1 * 0 + 4 * 0.5 + 3 * 1) / (1 + 4 + 3)
    assert Metrics(graph).get_graph_center_of_strength() == pytest.approx(expected)
    assert Metrics(areas.get_graph("a")).get_graph_center_of_strength() == pytest.approx(0.5)


def test_fault_17_the_center_of_mass_of_a_symmetric_graph_is_its_middle():
    for n_layers in (2, 4, 7):
        assert Metrics(fully_connected(n_layers)).get_graph_center_of_mass() == pytest.approx(0.5)


def test_fault_18_projections_respect_weights_and_strong_links_are_short(areas):
    weak, strong = (layered([("0_0", "1_0", weight), ("0_1", "1_0", weight)], 2) for weight in (1.0, 4.0))
    lengths = [
        Metrics(graph).get_projection_metrics_even()["average_shortest_path"] for graph in (weak, strong)
    ]
    assert lengths[1] == pytest.approx(lengths[0] / 4)
    assert Metrics(strong).get_projection_metrics_even()["mean_strength"] == pytest.approx(4.0)
    metrics = Metrics(areas.get_graph())
    for side, row in (
        ("even", metrics.get_projection_metrics_even()),
        ("odd", metrics.get_projection_metrics_odd()),
    ):
        assert row["side"] == side
        assert row["n_edges"] > 0


def test_fault_19_density_counts_the_links_that_layers_allow():
    for n_layers in (2, 4, 7):
        metrics = Metrics(fully_connected(n_layers))
        assert metrics.get_basic_metrics()["density"] == 1.0
        table = metrics.get_degree_by_layer()
        assert table["mean_in_degree"] == [0.0] + [3.0] * (n_layers - 1)
        assert table["mean_out_degree"] == [3.0] * (n_layers - 1) + [0.0]
        assert table["layer"] == list(range(n_layers))


def test_fault_20_classes_of_different_sizes_are_compared_by_shares(tmp_path, tiny_bert):
    texts = ["river stone", "thunder", "paper garden window"]
    records = [{"text": text, "label": "a"} for text in texts * 20]
    records += [{"text": text, "label": "b"} for text in texts * 2]
    areas = scanned(Store(tmp_path / "store"), tiny_bert, records, PCA(2, 42, 4))
    large, small = (areas.reduction.heatmap(3, label) for label in "ab")
    assert sum(large["n"]) == 10 * sum(small["n"])
    assert large["share"] == pytest.approx(small["share"])
    for *_, edge in areas.get_graph(["a", "b"]).edges(data=True):
        assert edge["label_lift"]["a"] == pytest.approx(edge["label_lift"]["b"])
    drawing = areas.get_graph_image(areas.get_graph(["a", "b"])).to_dict()
    balances = [row["balance"] for rows in drawing["datasets"].values() for row in rows if "balance" in row]
    assert balances == pytest.approx([0.5] * len(balances)), "the middle of both colours"
    assert balances


def test_fault_21_full_and_reduced_are_scored_on_the_same_layer_and_folds(tmp_path, tiny_bert):
    evaluation = Evaluation(scanned(Store(tmp_path / "store"), tiny_bert, make_records(30)))
    differences = evaluation.evaluate_model(metrics="balanced_accuracy").to_pandas()
    assert sorted(differences[differences.reduced == "points"].layer) == [0, 1, 2, 3]
    # Layer 0 does not vary: neither can tell anything of it. LLM-MRI would set it against layer 3.
    assert (differences[differences.layer == 0]["mean"] == 0).all()
    assert (differences.ci_low <= differences["mean"]).all()
    assert (differences["mean"] <= differences.ci_high).all()
    scores = evaluation.scores.to_pandas()
    assert {"majority", "shuffled", "n_tokens"} <= set(scores.features)
    assert scores[scores.features == "majority"]["mean"].item() == pytest.approx(1 / 3)
    rng = np.random.default_rng(0)
    train, test = (rng.normal(size=(20, 5)).astype(np.float32) for _ in range(2))
    alone, beside_others = (
        place_points(standardise(train, rows, dtype="float32"), 2).train for rows in (test, 100 * test)
    )
    np.testing.assert_array_equal(alone, beside_others)


def test_fault_22_what_is_found_in_the_store_knows_its_layers(store, tiny_bert, dataset, areas):
    again = ActivationAreas(str(tiny_bert), dataset, PCA(2, 42, 10), store=store, pooling="mean")
    again.process_activation_areas()
    assert again.num_layers == areas.num_layers == 4
    assert (
        Metrics(again.get_graph("a")).get_basic_metrics() == Metrics(areas.get_graph("a")).get_basic_metrics()
    )


def test_fault_23_texts_are_padded_to_their_like_and_the_model_is_loaded_once(
    tmp_path, tiny_bert, monkeypatch
):
    lengths = [500] + [10] * 99
    batches = plan_batches(lengths, batch_tokens=600)
    padded = sum(max(lengths[place] for place in batch) * len(batch) for batch in batches)
    assert padded == sum(lengths), "all 100 padded to the longest would be 50,000"
    loads = []
    load = pipeline.load_model
    monkeypatch.setattr(pipeline, "load_model", lambda request: loads.append(request) or load(request))
    scanned(Store(tmp_path / "store"), tiny_bert, make_records(), options={"chunk_samples": 5})
    assert len(loads) == 1


def test_fault_24_sixteen_bits_and_encoder_decoders_are_read_and_cut_texts_marked(tmp_path, tiny_bert):
    store = Store(tmp_path / "store")
    records = [*make_records(12), {"text": "river " * 100, "label": "a"}]
    half = scanned(store, tiny_bert, records, options={"dtype": "bfloat16"}).reduction.scan()
    assert half.activations(3).dtype == np.float32
    assert np.isfinite(half.activations(3)).all()
    samples = half.samples()
    assert samples["truncated"] == [False] * 12 + [True]
    assert samples["n_tokens"][-1] == 64
    t5 = scanned(store, save_tiny_t5(tmp_path / "t5"), records)
    assert t5.num_layers == 3
    assert t5.get_graph().number_of_edges() > 0


def test_fault_25_every_layer_is_read_at_the_same_place_and_named_as_what_it_is(tmp_path, tiny_gpt2):
    records = [{"text": "river stone", "label": "a"}, {"text": "paper", "label": "b"}] * 3
    areas = scanned(Store(tmp_path / "store"), tiny_gpt2, records)
    scan = areas.reduction.scan()
    assert scan.spec.site == "residual"
    assert areas.reduction.scan().facts()["read at"] == "input of h.0 ... output of h.1"
    model = AutoModel.from_pretrained(tiny_gpt2)
    ids = torch.tensor([[5, 6]])
    with torch.inference_mode():
        states = model(ids, output_hidden_states=True).hidden_states
        # What Hugging Face calls the last hidden state lies behind the final norm; ours does not.
        behind = model.ln_f(torch.from_numpy(scan.activations(2)[0])).numpy()
    np.testing.assert_allclose(scan.activations(1)[0], states[1][0, -1].numpy(), atol=1e-5)
    np.testing.assert_allclose(behind, states[-1][0, -1].numpy(), atol=1e-5)
    with pytest.raises(UnknownName, match=r"site 'feed-forward'.*there are: residual, final_norm, mlp"):
        scanned(Store(tmp_path / "other"), tiny_gpt2, records, site="feed-forward")


def test_fault_26_the_heaviest_edge_has_a_bounded_width_and_nothing_but_python_is_needed(tmp_path, tiny_bert):
    records = [{"text": "river stone", "label": "a"}] * 200 + [{"text": "thunder", "label": "b"}]
    areas = scanned(Store(tmp_path / "store"), tiny_bert, records)
    graph = areas.get_graph("a")
    assert max(weight for *_, weight in graph.edges(data="weight")) == 200
    widths = [
        mark["encoding"]["strokeWidth"]["scale"]
        for mark in areas.get_graph_image(graph).to_dict()["layer"]
        if "strokeWidth" in mark.get("encoding", {})
    ]
    assert widths == [{"domain": [0, 200.0], "range": list(EDGE_WIDTH_PX)}]
    assert max(EDGE_WIDTH_PX) <= 10
    program = (
        "import sys, llm_mri_store.activation_areas, llm_mri_store.charts\n"
        "print(*({'pygraphviz', 'PyQt6', 'matplotlib', 'torch'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
