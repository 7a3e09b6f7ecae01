"""LLM-MRI's documented usage from first to last line, with only the import changed."""

import logging
from itertools import product

import altair as alt
import networkx as nx
import pytest
import transformers
from datasets import ClassLabel, Dataset

from llm_mri_store import Store
from llm_mri_store.activation_areas import LLM_MRI, PCA, SVD, UMAP, ActivationAreas, Evaluation, Metrics
from llm_mri_store.analysis.probe_spec import METRICS
from llm_mri_store.errors import InvalidInput
from llm_mri_store.extraction.files import read_file
from llm_mri_store.extraction.sources import DEMO_CORPUS
from llm_mri_store.pipeline import chunks as pipeline
from tests.conftest import make_records

METHODS = [PCA, SVD, UMAP]


def use_as_documented(llm_mri, categories):
    """Every documented call on processed areas, with any number of categories."""
    first, second = categories[:2]
    has_grid = llm_mri.reduction.spec.grid is not None
    last = llm_mri.num_layers - 1
    if has_grid:
        for layer in (last, f"hidden_state_{last}"):
            assert isinstance(llm_mri.get_grid(layer, first), alt.LayerChart)
    for chosen in (None, first, [first, second], list(categories)):
        graph = llm_mri.get_graph(chosen) if has_grid else llm_mri.get_graph(chosen, threshold=0.3)
        assert isinstance(graph, nx.DiGraph)
        assert graph.number_of_edges() > 0
        for source, target, edge in graph.edges(data=True):
            assert edge["level"] == int(source.split("_")[0]) == int(target.split("_")[0]) - 1
            assert edge["label"] in graph.graph["labels"]
            assert edge["weight"] > 0
        if chosen is None or len(chosen) == 2:
            fixed = chosen is not None
            assert isinstance(llm_mri.get_graph_image(graph, "coolwarm", fixed), alt.LayerChart)
        metrics = Metrics(graph, "model", first)
        row = metrics.get_basic_metrics()
        assert (row["model_name"], row["label"]) == ("model", first)
        assert list(row) == metrics.get_basic_metrics_list_of_names()
        assert metrics.get_graph() is graph
        assert metrics.get_degree_by_layer()["layer"] == list(range(last + 1))
        assert 0 <= metrics.get_graph_center_of_mass() <= 1
        assert 0 <= metrics.get_graph_center_of_strength() <= 1
        assert metrics.get_projection_metrics_even()["n_nodes"] > 0
        assert metrics.get_projection_metrics_odd()["n_nodes"] > 0


@pytest.mark.parametrize("n_components", [2, 10])
@pytest.mark.parametrize("method", METHODS)
def test_the_documented_calls_run_on_a_tiny_model(store, tiny_bert, dataset, method, n_components):
    llm_mri = ActivationAreas(
        model=str(tiny_bert),
        device="cpu",
        dataset=dataset,
        reduction_method=method(n_components, 42, 10),
        store=store,
        pooling="mean",
    )
    reduction = llm_mri.process_activation_areas()
    use_as_documented(llm_mri, llm_mri.class_names)
    assert reduction.spec.n_components == n_components
    assert len(llm_mri.reduced_dataset) == len(dataset)


@pytest.fixture(scope="module")
def demo_dataset():
    """40 texts of the demo's corpus, 8 of each of its 5 labels."""
    rows = read_file(str(DEMO_CORPUS)).to_pylist()
    names = sorted({row["label"] for row in rows})
    kept = [row for name in names for row in [one for one in rows if one["label"] == name][:8]]
    columns = {"text": [row["text"] for row in kept], "label": [names.index(row["label"]) for row in kept]}
    features = Dataset.from_dict(columns).features.copy()
    features["label"] = ClassLabel(names=names)
    return Dataset.from_dict(columns, features=features)


@pytest.fixture(scope="module")
def demo_store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("demo-areas") / "store")


@pytest.mark.model
@pytest.mark.parametrize(("method", "n_components"), [(PCA, 2), (SVD, 10), (UMAP, 2)])
def test_the_documented_calls_run_on_minilm(demo_store, minilm, demo_dataset, method, n_components):
    llm_mri = ActivationAreas(
        model=str(minilm),
        device="cpu",
        dataset=demo_dataset,
        reduction_method=method(n_components=n_components, random_state=42, gridsize=10),
        store=demo_store,
    )
    llm_mri.process_activation_areas()
    assert llm_mri.reduction.degenerate_layers == (0,)
    use_as_documented(llm_mri, ["astronomy", "cooking", "gardening"])


@pytest.mark.model
def test_on_minilm_full_activations_tell_more_than_two_components(demo_store, minilm, demo_dataset):
    llm_mri = ActivationAreas(str(minilm), demo_dataset, PCA(2), store=demo_store)
    llm_mri.process_activation_areas()
    evaluation = Evaluation(llm_mri)
    differences = evaluation.evaluate_model(n_splits=2, metrics="accuracy").to_pandas()
    at = differences[differences.reduced == "points"].set_index("layer")["mean"]
    assert at[0] == 0, "a layer that does not vary loses nothing"
    assert at[6] > 0.1
    assert isinstance(evaluation.display_metrics(), alt.FacetChart)


def test_the_older_package_s_calls_run(tmp_path, tiny_bert, dataset):
    llm_mri = LLM_MRI(str(tiny_bert), "cpu", dataset, store=Store(tmp_path / "store"), pooling="mean")
    llm_mri.process_activation_areas(map_dimension=6)
    assert llm_mri.reduction.spec.method == "umap"
    assert llm_mri.reduction.spec.grid == 6
    assert llm_mri.get_layer_image("hidden_state_1", "a").to_dict() == llm_mri.get_grid(1, "a").to_dict()
    composed = llm_mri.get_composed_graph("a", "b")
    assert composed.graph["labels"] == ("a", "b")
    assert llm_mri.get_graph("a").number_of_edges() > 0
    assert llm_mri.get_graph_image(composed).to_dict()["layer"]


def test_both_orders_of_model_and_label_are_understood(areas):
    graph, composed = areas.get_graph("b"), areas.get_graph(["a", "b"])
    as_documented = Metrics(graph, "bert", "b")
    for other in (
        Metrics(graph, "b", "bert"),
        Metrics(graph, label="b", model="bert"),
        Metrics(graph, "b", model_name="bert"),
        Metrics(graph, label="b", model_name="bert"),
    ):
        assert other.get_basic_metrics() == as_documented.get_basic_metrics()
    for metrics in (Metrics(composed, "bert", ["a", "b"]), Metrics(composed, ["a", "b"], "bert")):
        assert (metrics.model_name, metrics.label) == ("bert", "a + b")
    both_unknown = Metrics(composed, "bert", "cats against dogs")
    assert (both_unknown.model_name, both_unknown.label) == ("bert", "cats against dogs")
    assert Metrics(graph).get_basic_metrics()["label"] is None


def test_reducers_take_their_choices_by_position_and_by_name():
    for method in METHODS:
        assert method(3, 7, 5) == method(n_components=3, random_state=7, gridsize=5)
        assert (method().n_components, method().random_state, method().gridsize) == (2, 42, 10)


def test_the_seed_of_an_exact_method_makes_no_second_reduction(areas):
    scan = areas.reduction.scan()
    assert PCA(2, 1).reduce(scan).name == PCA(2, None).reduce(scan).name == "pca-2"
    assert scan.reduce("pca").name == "pca-2"


def test_the_same_inputs_again_run_no_forward_pass_and_no_reduction(
    store, tiny_bert, dataset, areas, monkeypatch
):
    def refuse(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(pipeline, "extract", refuse)
    monkeypatch.setattr("llm_mri_store.pipeline.reduce.fit_layer", refuse)
    again = ActivationAreas(str(tiny_bert), dataset, PCA(2, 42, 10), store=store, pooling="mean")
    again.process_activation_areas()
    assert again.reduction.scan().name == areas.reduction.scan().name
    assert again.reduced_dataset.rows() == areas.reduced_dataset.rows()


def test_two_datasets_of_one_model_live_in_one_store(tmp_path, tiny_bert):
    store = Store(tmp_path / "store")
    found = []
    for seed in (0, 1, 0):
        areas = ActivationAreas(str(tiny_bert), make_records(12, seed=seed), store=store)
        areas.process_activation_areas()
        found.append(areas.reduction.scan().name)
    assert found[0] == found[2] != found[1]
    assert len(store.scans) == 2


def test_by_default_the_store_is_that_of_the_library(tmp_path, tiny_bert):
    ActivationAreas(str(tiny_bert), make_records(6)).process_activation_areas()
    assert len(Store().scans) == 1
    assert Store().path == tmp_path / "llm-mri-store"


def test_a_loaded_model_stays_where_it_is(tmp_path, tiny_bert):
    model = transformers.AutoModel.from_pretrained(tiny_bert)
    areas = ActivationAreas(model, make_records(6), store=Store(tmp_path / "store"))
    areas.process_activation_areas()
    assert areas.num_layers == 4


def test_reduced_points_come_with_their_labels(areas, dataset):
    table = areas.reduced_dataset
    assert table.columns == ("sample_id", "label", *(f"hidden_state_{layer}" for layer in range(4)))
    assert table["label"] == [areas.class_names[code] for code in dataset["label"]]
    assert len(table["hidden_state_3"][0]) == 2


def test_another_colormap_is_not_used_and_that_is_said(areas, caplog):
    graph = areas.get_graph(["a", "b"])
    with caplog.at_level(logging.WARNING, logger="llm_mri_store"):
        plain = areas.get_graph_image(graph, "coolwarm").to_dict()
        assert not caplog.records
        assert areas.get_graph_image(graph, "viridis").to_dict() == plain
    assert [record.getMessage() for record in caplog.records] == [
        "colormap 'viridis' is not used: two labels are drawn from blue to orange"
    ]


def test_fixed_positions_are_those_of_the_graph_of_all_categories(areas):
    def places(graph, *, fixed):
        tables = areas.get_graph_image(graph, fix_node_positions=fixed).to_dict()["datasets"].values()
        rows = [row for table in tables for row in table if "node" in row]
        return {row["node"]: (row["x"], row["y"]) for row in rows}

    one, other = (places(areas.get_graph(label), fixed=True) for label in "ab")
    assert one.keys() & other.keys()
    assert all(one[node] == other[node] for node in one.keys() & other.keys())
    assert places(areas.get_graph("a"), fixed=False) != one


@pytest.fixture(scope="module")
def evaluation(areas):
    evaluation = Evaluation(areas)
    evaluation.evaluate_model()
    return evaluation


def test_an_evaluation_has_a_row_per_layer_reduction_and_score(evaluation):
    (differences,) = evaluation.display_metrics().to_dict()["datasets"].values()
    every = product(range(4), ("points", "cells"), METRICS)
    assert {(row["layer"], row["reduced"], row["metric"]) for row in differences} == set(every)
    # 5 splits of 0.3 of the samples: 2 repeats of 3 folds.
    assert {row["n_folds"] for row in differences} == {6}


@pytest.mark.parametrize(("n_splits", "test_size", "n_folds"), [(5, 0.2, 5), (2, 0.1, 2), (4, 0.9, 4)])
def test_splits_become_folds_of_about_that_share(areas, n_splits, test_size, n_folds):
    found = Evaluation(areas).evaluate_model(n_splits, test_size, 42, None, ["accuracy"])
    assert set(found["n_folds"]) == {n_folds}


def test_an_evaluation_may_name_its_components_and_scores(areas):
    evaluation = Evaluation(areas)
    found = evaluation.evaluate_model(n_splits=2, n_components=5, metrics=["accuracy", "f1_macro"])
    assert set(found["reduced"]) == {"points"}
    assert set(found["metric"]) == {"accuracy", "f1_macro"}
    assert "pca-5" in areas.reduction.scan().reductions
    assert evaluation.display_metrics(found).to_dict() == evaluation.display_metrics().to_dict()


def test_an_evaluation_of_a_umap_is_refused_in_a_sentence(store, tiny_bert, dataset):
    areas = ActivationAreas(str(tiny_bert), dataset, UMAP(), store=store, pooling="mean")
    areas.process_activation_areas()
    with pytest.raises(InvalidInput, match="a UMAP cannot place the test rows of a fold"):
        Evaluation(areas).evaluate_model()


def test_an_evaluation_that_cannot_be_made_says_why(areas):
    evaluation = Evaluation(areas)
    for ask in (evaluation.display_metrics, lambda: evaluation.scores):
        with pytest.raises(InvalidInput, match=r"call evaluate_model\(\) first"):
            ask()
    with pytest.raises(InvalidInput, match="n_splits is 1"):
        evaluation.evaluate_model(n_splits=1)
    with pytest.raises(InvalidInput, match=r"test_size 1\.5"):
        evaluation.evaluate_model(test_size=1.5)
