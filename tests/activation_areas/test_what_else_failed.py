"""What else fails when LLM-MRI 0.2.1 is run: all of it works here, or is refused in one sentence."""

import numpy as np
import pytest
from datasets import Dataset, load_dataset

from llm_mri_store import Store
from llm_mri_store.activation_areas import PCA, UMAP, ActivationAreas, Metrics
from llm_mri_store.analysis.correlations import correlate_layers
from llm_mri_store.analysis.edge_selection import select_edges
from llm_mri_store.errors import CorpusError, InvalidInput, ReductionError, UnknownName
from tests.conftest import make_records
from tests.models import save_tiny_bert, save_tiny_t5


def processed(store, model, corpus, method=None, **options):
    areas = ActivationAreas(str(model), corpus, method or PCA(), store=store, **options)
    areas.process_activation_areas()
    return areas


@pytest.fixture
def own(tmp_path):
    """A store of one's own."""
    return Store(tmp_path / "store")


def is_one_sentence(error):
    message = str(error.value)
    return "\n" not in message and "Traceback" not in message and len(message) < 300


def test_a_category_that_is_not_there_is_answered_with_those_that_are(areas, component_areas):
    for ask in (
        lambda: areas.get_graph("nope"),
        lambda: areas.get_graph(["a", "nope"]),
        lambda: component_areas.get_graph("nope"),
        lambda: areas.get_grid(1, "nope"),
    ):
        with pytest.raises(UnknownName, match=r"label 'nope' is not in .*a, b, c") as error:
            ask()
        assert is_one_sentence(error)


@pytest.mark.parametrize("fixed", [True, False])
def test_a_graph_of_components_without_edges_is_drawn_and_measured(component_areas, fixed):
    graph = component_areas.get_graph("a", threshold=1.0)
    assert (graph.number_of_edges(), graph.number_of_nodes()) == (0, 4 * 4)
    drawing = component_areas.get_graph_image(graph, fix_node_positions=fixed).to_dict()
    assert "no edges to draw" in drawing["title"]["subtitle"]
    metrics = Metrics(graph)
    assert metrics.get_basic_metrics()["mean_degree"] == 0
    assert metrics.get_projection_metrics_even()["n_edges"] == 0
    assert metrics.get_projection_metrics_odd()["n_edges"] == 0


def test_a_graph_of_cells_without_edges_is_drawn_and_measured(own, tiny_bert):
    areas = processed(own, tiny_bert, [{"text": "river", "label": "a"}, {"text": "river", "label": "b"}] * 3)
    assert areas.reduction.degenerate_layers == areas.reduction.layers
    graph = areas.get_graph("a")
    assert (graph.number_of_edges(), graph.number_of_nodes()) == (0, 4)
    assert "no edges to draw" in areas.get_graph_image(graph).to_dict()["title"]["subtitle"]
    assert Metrics(graph).get_basic_metrics()["n_nodes"] == 4


def test_one_text_is_refused_in_a_sentence(own, tiny_bert):
    with pytest.raises(CorpusError, match="has one sample; a scan needs at least 2") as error:
        processed(own, tiny_bert, [{"text": "river", "label": "a"}])
    assert is_one_sentence(error)


def test_a_umap_of_three_texts_is_refused_in_a_sentence(own, tiny_bert):
    with pytest.raises(ReductionError, match=r"UMAP .* needs at least 4 samples, got 3") as error:
        processed(own, tiny_bert, make_records(3), UMAP(2), pooling="mean")
    assert is_one_sentence(error)


def test_more_components_than_texts_are_refused_in_a_sentence(own, tiny_bert):
    with pytest.raises(ReductionError, match="10 components were asked for, but 6 samples") as error:
        processed(own, tiny_bert, make_records(6), PCA(10), pooling="mean")
    assert is_one_sentence(error)


def test_two_heatmaps_are_two_charts(areas):
    first, second = areas.get_grid(1, "a"), areas.get_grid(1, "b")
    assert first is not second
    assert "label 'a'" in " ".join(first.to_dict()["title"]["text"])
    assert areas.get_grid(1, "a").to_dict() == first.to_dict()


def test_a_heatmap_of_more_than_two_components_is_refused_in_a_sentence(component_areas):
    with pytest.raises(ReductionError, match=r"4 components and no grid.*reduce to 2 components") as error:
        component_areas.get_grid(1, "a")
    assert is_one_sentence(error)


def test_a_grid_of_another_size_is_cut_where_it_is_asked_for(areas):
    coarse = areas.get_graph("a", gridsize=3)
    assert {max(node["cell"]) for _, node in coarse.nodes(data=True)} <= {0, 1, 2}
    assert sum(weight for *_, weight in coarse.edges(data="weight")) == 10 * 3
    assert areas.get_graph_image(coarse).to_dict()["layer"]
    assert areas.get_graph("a").graph["grid"] == 10


def test_a_graph_of_all_categories_needs_no_list_of_them(areas, component_areas):
    for one in (areas, component_areas):
        assert one.get_graph().graph["labels"] == one.get_graph(None).graph["labels"] == ("a", "b", "c")


def test_an_encoder_decoder_is_read_by_its_encoder(own, tmp_path):
    areas = processed(own, save_tiny_t5(tmp_path / "t5"), make_records())
    assert areas.num_layers == 3
    assert np.isfinite(areas.reduction.scan().activations(2)).all()


def test_a_model_of_64_positions_reads_the_first_64_tokens(own, tiny_bert):
    words = "river stone cloud " * 100
    records = [{"text": words, "label": "a"}, {"text": "stone " + words, "label": "b"}, *make_records(4)]
    samples = processed(own, tiny_bert, records).reduction.scan().samples()
    assert samples["n_tokens"][:2] == [64, 64]
    assert samples["truncated"] == [True, True] + [False] * 4


def test_a_tokenizer_that_pads_left_is_read_at_its_first_real_token(tmp_path):
    activations = {}
    for side in ("left", "right"):
        store = Store(tmp_path / f"store-{side}")
        model = save_tiny_bert(tmp_path / side, padding_side=side)
        activations[side] = processed(store, model, make_records()).reduction.scan().activations(2)
    np.testing.assert_array_equal(activations["left"], activations["right"])


def test_a_decoder_and_texts_that_begin_alike_give_as_many_places_as_texts(own, tiny_gpt2):
    records = [{"text": f"river {word}", "label": "ab"[i % 2]} for i, word in enumerate("abcdefghij")]
    areas = processed(own, tiny_gpt2, records)
    assert areas.reduction.degenerate_layers == ()
    assert len(np.unique(np.round(areas.reduction.points(2), 4), axis=0)) == 10


def test_a_csv_loaded_as_the_documentation_says_needs_no_class_labels(own, tmp_path, tiny_bert):
    path = tmp_path / "corpus.csv"
    path.write_text("text,label\n" + "".join(f"{r['text']},{r['label']}\n" for r in make_records()))
    splits = load_dataset("csv", data_files=str(path), cache_dir=str(tmp_path / "cache"))
    areas = processed(own, tiny_bert, splits)
    assert areas.class_names == ["a", "b", "c"]
    assert areas.get_graph("b").number_of_edges() > 0


def test_splits_of_which_none_is_named_are_refused_and_one_can_be_named(own, tmp_path, tiny_bert):
    rows = Dataset.from_list(make_records())
    splits = rows.train_test_split(test_size=0.25, seed=0)
    with pytest.raises(CorpusError, match="splits train, test") as error:
        processed(own, tiny_bert, splits)
    assert is_one_sentence(error)
    areas = processed(own, tiny_bert, splits, options={"split": "train"})
    assert len(areas.reduced_dataset) == 18


@pytest.mark.parametrize("names", [[0, 1, 2], [True, False]])
def test_labels_may_be_whole_numbers_or_booleans(own, tiny_bert, names):
    records = [
        {"text": record["text"], "label": names[i % len(names)]} for i, record in enumerate(make_records())
    ]
    areas = processed(own, tiny_bert, records)
    name = str(names[0]).lower()
    assert areas.get_graph(names[0]).graph["labels"] == (name,)
    assert areas.get_graph([names[0], str(names[1]).lower()]).number_of_edges() > 0
    assert areas.get_grid(2, names[0]).to_dict() == areas.get_grid(2, name).to_dict()


def test_a_null_text_is_refused_in_a_sentence_or_kept_unread(own, tiny_bert):
    records = [*make_records(8), {"text": None, "label": "a", "source": "s0"}]
    with pytest.raises(CorpusError, match=r"1 of 9 values .* are null, the first in row 8") as error:
        processed(own, tiny_bert, records)
    assert is_one_sentence(error)
    areas = processed(own, tiny_bert, records, options={"keep_invalid": True})
    assert areas.reduction.scan().samples()["status"][-1] == "null_text"
    assert sum(areas.reduction.heatmap(2)["n"]) == 8


def test_three_categories_are_drawn(areas, component_areas):
    for one, fixed in ((areas, True), (component_areas, False)):
        graph = one.get_graph(["a", "b", "c"])
        assert "leading label" in str(one.get_graph_image(graph, "coolwarm", fixed).to_dict())


def test_the_weights_of_two_labels_add_up(areas):
    both, one, other = areas.get_graph(["a", "b"]), areas.get_graph("a"), areas.get_graph("b")
    assert set(both.edges) == set(one.edges) | set(other.edges)
    for source, target, weight in both.edges(data="weight"):
        parts = (graph.get_edge_data(source, target, {}).get("weight", 0) for graph in (one, other))
        assert weight == sum(parts)


def test_a_category_named_twice_counts_once_and_none_at_all_is_refused(areas, component_areas):
    for one in (areas, component_areas):
        assert one.get_graph(["a", "a"]).graph["labels"] == ("a",)
        with pytest.raises(InvalidInput, match="the list of categories is empty"):
            one.get_graph([])


def test_edges_of_components_do_not_depend_on_arbitrary_signs(component_areas):
    reduction = component_areas.reduction
    labels = component_areas.reduced_dataset["label"]
    points = [(layer, reduction.points(layer)) for layer in reduction.layers]
    flipped = [(layer, here * np.where(np.arange(4) % 2, -1, 1)) for layer, here in points]
    tables = [select_edges(correlate_layers(one, labels), threshold=0.3) for one in (points, flipped)]
    chosen = [table.select(["label", "source", "target"]).to_pylist() for table in tables]
    assert chosen[0] == chosen[1]
    assert chosen[0]


def test_a_layer_is_named_by_its_number_or_its_state(areas):
    assert areas.get_grid("hidden_state_2").to_dict() == areas.get_grid(2).to_dict()
    with pytest.raises(InvalidInput, match="'first' is no layer"):
        areas.get_grid("first")
    with pytest.raises(UnknownName, match=r"layer 9 is not in .*0, 1, 2, 3"):
        areas.get_grid(9)


def test_what_needs_processing_says_so_before_it(tiny_bert, own):
    areas = ActivationAreas(str(tiny_bert), make_records(), store=own)
    for ask in (areas.get_graph, lambda: areas.get_grid(0), lambda: areas.num_layers):
        with pytest.raises(InvalidInput, match=r"call process_activation_areas\(\) first"):
            ask()
