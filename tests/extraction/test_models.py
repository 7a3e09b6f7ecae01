"""Which models can be loaded, what is known of them, and what is refused."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, BertForSequenceClassification, GPT2LMHeadModel

from llm_mri_store.errors import InvalidInput, ModelError
from llm_mri_store.extraction.choices import resolve_dtype, resolve_pooling
from llm_mri_store.extraction.models import ModelRequest, find_model_sites, load_model
from tests.models import save_tiny_bert, word_tokenizer

FAMILIES = {
    # family: is causal, layers, most tokens, takes token types
    "bert": (False, 4, 64, True),
    "roberta": (False, 3, 32, True),
    "t5": (False, 3, 64, False),
    "gpt2": (True, 3, 64, True),
    "llama": (True, 3, 64, False),
    "opt": (True, 3, 48, False),
}


@pytest.fixture
def bert_copy(tiny_bert, tmp_path):
    """A test's own copy of the tiny BERT, to be damaged."""
    return shutil.copytree(tiny_bert, tmp_path / "bert")


def load(folder, **options):
    return load_model(ModelRequest(model=folder, device="cpu", **options))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_known_of_each_family(tiny_models, family):
    is_causal, n_layers, max_tokens, takes_types = FAMILIES[family]
    traits = load(tiny_models[family]).traits
    assert traits.is_causal == is_causal
    assert traits.n_layers == n_layers
    assert traits.hidden_size == 16
    assert traits.max_tokens == max_tokens
    assert ("token_type_ids" in traits.inputs) == takes_types


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_causality_is_seen_in_every_precision(tiny_models, family, dtype):
    assert load(tiny_models[family], dtype=dtype).traits.is_causal == FAMILIES[family][0]


def test_causality_is_seen_under_a_huge_outlier_dimension(bert_copy):
    weights = load_file(bert_copy / "model.safetensors")
    weights["encoder.layer.2.output.LayerNorm.bias"][3] = 1000.0
    save_file(weights, bert_copy / "model.safetensors", metadata={"format": "pt"})
    assert not load(bert_copy, dtype="bfloat16").traits.is_causal


def test_a_family_is_read_to_its_last_token(tiny_models):
    for family, (_, _, max_tokens, _) in FAMILIES.items():
        model = load(tiny_models[family])
        with torch.inference_mode():
            model.module(input_ids=torch.full((1, max_tokens), 7))
            if family not in {"t5", "llama"}:
                with pytest.raises((IndexError, RuntimeError)):
                    model.module(input_ids=torch.full((1, max_tokens + 1), 7))


def test_loading_says_nothing(tiny_models, capfd):
    for folder in tiny_models.values():
        load(folder)
    load(tiny_models["bert"], random_weights=1)
    assert capfd.readouterr() == ("", "")


def test_the_library_s_own_chatter_comes_back_after_loading(tiny_bert):
    import transformers

    before = transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()
    load(tiny_bert)
    with pytest.raises(ModelError):
        load("nobody/nothing")
    assert (transformers.logging.get_verbosity(), transformers.logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize("address", ["/no/such/folder", "./nowhere", "~/no-such-model", "a/b/c"])
def test_a_folder_that_is_not_there(address):
    with pytest.raises(ModelError, match="there is no such folder"):
        load(address)


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ModelError, match=r"holds no model: expected a config\.json"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["nobody/nothing", "no-such-model"])
def test_a_hub_model_that_is_not_given_is_one_sentence(name, capfd):
    with pytest.raises(ModelError, match=f"model '{name}' cannot be loaded: it is no folder here") as caught:
        load(name)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_damaged_weights_are_one_sentence(bert_copy):
    (bert_copy / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        load(bert_copy)
    assert "\n" not in str(caught.value)


def test_a_model_without_weights_or_tokenizer_is_one_sentence(bert_copy):
    (bert_copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(bert_copy)
    for file in bert_copy.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(bert_copy)


def test_a_damaged_config_is_one_sentence(bert_copy):
    (bert_copy / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(bert_copy)


def test_missing_weights_are_refused_but_for_a_head_that_is_not_read(bert_copy):
    path = bert_copy / "model.safetensors"
    weights = load_file(path)
    without_head = {name: one for name, one in weights.items() if not name.startswith("pooler.")}
    save_file(without_head, path, metadata={"format": "pt"})
    prints = {load(bert_copy).fingerprint for _ in range(2)}
    assert len(prints) == 1
    del without_head["encoder.layer.1.output.dense.weight"]
    save_file(without_head, path, metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 parameters \(such as encoder\.layer\.1\.output\.dense"):
        load(bert_copy)


@pytest.mark.parametrize("device", ["cuda:77", "tpu", "meta", "nonsense"])
def test_a_device_that_is_not_there(tiny_bert, device):
    with pytest.raises(ModelError, match=f"device '{device}' is not there"):
        load_model(ModelRequest(model=tiny_bert, device=device))


def test_a_dtype_that_is_not_known(tiny_bert):
    with pytest.raises(InvalidInput, match="dtype 'int8' is not one of auto, float32, bfloat16, float16"):
        load(tiny_bert, dtype="int8")


def test_auto_means_float32_but_on_cuda_the_model_s_own():
    assert resolve_dtype("auto", "cpu", torch.bfloat16) == "float32"
    assert resolve_dtype("auto", "cuda:0", torch.bfloat16) == "bfloat16"
    assert resolve_dtype("auto", "cuda", torch.float64) == "float32"
    assert resolve_dtype("float16", "cpu", None) == "float16"


def test_poolings():
    assert resolve_pooling("auto", is_causal=False, force=False) == "first"
    assert resolve_pooling("auto", is_causal=True, force=False) == "last"
    assert resolve_pooling("mean", is_causal=True, force=False) == "mean"
    assert resolve_pooling("first", is_causal=True, force=True) == "first"
    with pytest.raises(InvalidInput, match="sees only itself"):
        resolve_pooling("first", is_causal=True, force=False)
    with pytest.raises(InvalidInput, match="'median' is not one of auto, first"):
        resolve_pooling("median", is_causal=False, force=False)


def test_random_weights_follow_their_seed_alone(tiny_bert):
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    one, again, other = (load(tiny_bert, random_weights=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert one.fingerprint == again.fingerprint
    assert len({one.fingerprint, other.fingerprint, load(tiny_bert).fingerprint}) == 3
    name = "encoder.layer.0.output.dense.weight"
    assert torch.equal(one.module.state_dict()[name], again.module.state_dict()[name])


# --- halves of an encoder-decoder, and sites without weights -----------------------------------------------


def test_an_encoder_is_read_from_weights_that_lack_the_decoder(tiny_models, tmp_path):
    folder = shutil.copytree(tiny_models["t5"], tmp_path / "t5")
    weights = load_file(folder / "model.safetensors")
    encoder = {name: one for name, one in weights.items() if not name.startswith("decoder.")}
    assert len(encoder) < len(weights)
    save_file(encoder, folder / "model.safetensors", metadata={"format": "pt"})
    assert load(folder).fingerprint == load(tiny_models["t5"]).fingerprint
    with pytest.raises(ModelError, match=r"lack \d+ parameters \(such as decoder\.block\.0"):
        load(folder, side="decoder")


def test_a_side_that_is_not_there_is_refused_before_weights_are_read(bert_copy):
    (bert_copy / "model.safetensors").unlink()
    with pytest.raises(InvalidInput, match="model 'bert' is no encoder-decoder, so it has no sides"):
        load(bert_copy, side="encoder")


@pytest.mark.parametrize("family", [*FAMILIES, "t5-decoder"])
def test_the_sites_of_a_model_are_found_without_its_weights(tiny_models, tmp_path, family):
    side = "decoder" if family == "t5-decoder" else None
    folder = tiny_models[family.partition("-")[0]]
    trained = load(folder, side=side)
    bare = shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    state = torch.random.get_rng_state()
    name, found = find_model_sites(ModelRequest(model=bare, side=side))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert name == "bare"
    assert found.sites == trained.sites
    assert found.absent == trained.absent


# --- a model that is loaded already ----------------------------------------------------------------


@pytest.fixture
def loaded(tiny_bert):
    return AutoModel.from_pretrained(tiny_bert), AutoTokenizer.from_pretrained(tiny_bert)


def test_float32_weights_serve_autocast(loaded):
    model, tokenizer = loaded
    taken = load_model(ModelRequest(model=model, tokenizer=tokenizer, dtype="bfloat16-autocast"))
    assert taken.dtype == "bfloat16-autocast"
    assert taken.module.dtype == torch.float32


def test_a_model_is_the_same_from_its_folder_and_as_an_object(tiny_bert, loaded):
    model, tokenizer = loaded
    taken = load_model(ModelRequest(model=model, tokenizer=tokenizer))
    assert taken.fingerprint == load(tiny_bert).fingerprint
    assert taken.name == "BertModel"
    assert taken.device == "cpu"
    assert load_model(ModelRequest(model=model, name="mine")).name == "mine"


def test_a_tokenizer_s_last_call_does_not_change_the_fingerprint(loaded):
    model, tokenizer = loaded
    request = ModelRequest(model=model, tokenizer=tokenizer)
    before = load_model(request).fingerprint
    tokenizer(["river stone cloud"], truncation=True, max_length=3, padding="max_length")
    assert load_model(request).fingerprint == before


def test_the_caller_s_tokenizer_is_left_as_it_is(loaded):
    model, tokenizer = loaded
    tokenizer.pad_token = None
    load_model(ModelRequest(model=model, tokenizer=tokenizer))
    assert tokenizer.pad_token is None


def test_a_loaded_model_is_read_in_evaluation_mode(loaded):
    model, tokenizer = loaded
    model.train()
    assert not load_model(ModelRequest(model=model, tokenizer=tokenizer)).module.training


def test_of_a_model_with_a_head_only_its_body_is_read(tiny_models):
    for family, kind in (("bert", BertForSequenceClassification), ("gpt2", GPT2LMHeadModel)):
        body = load(tiny_models[family])
        with_head = kind(AutoModel.from_pretrained(tiny_models[family]).config)
        with_head.base_model.load_state_dict(
            {name: one for name, one in body.module.state_dict().items() if "pooler" not in name},
            strict=False,
        )
        request = ModelRequest(model=with_head, tokenizer=body.tokenizer)
        assert load_model(request).fingerprint == body.fingerprint


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"random_weights": 1}, InvalidInput, "loaded already"),
        ({"revision": "main"}, InvalidInput, "loaded already"),
        ({"dtype": "bfloat16"}, InvalidInput, "the loaded model is in float32, not bfloat16"),
        ({"device": "meta"}, ModelError, "is not there"),
    ],
)
def test_what_cannot_be_had_of_a_loaded_model(loaded, options, error, message):
    model, tokenizer = loaded
    with pytest.raises(error, match=message):
        load_model(ModelRequest(model=model, tokenizer=tokenizer, **options))


def test_a_loaded_model_that_does_not_know_its_tokenizer(loaded):
    model, _ = loaded
    unnamed = type(model)(model.config)
    unnamed.name_or_path = unnamed.config._name_or_path = ""
    with pytest.raises(ModelError, match="give tokenizer="):
        load_model(ModelRequest(model=unnamed))


@pytest.mark.parametrize("model", [7, None, torch.nn.Linear(2, 2)])
def test_what_is_no_model(model):
    with pytest.raises(ModelError, match="a model is a Hub id, a folder or a loaded transformers model"):
        load_model(ModelRequest(model=model))


# --- fingerprints ------------------------------------------------------------------------------------


def test_a_fingerprint_is_of_the_content_not_of_the_folder(tiny_bert, bert_copy):
    (bert_copy / "README.txt").write_text("a note")
    (bert_copy / "trainer_state.json").write_text("{}")
    assert load(bert_copy).fingerprint == load(tiny_bert).fingerprint


def test_a_fingerprint_changes_with_one_weight(tiny_bert, bert_copy):
    weights = load_file(bert_copy / "model.safetensors")
    weights["encoder.layer.0.output.dense.weight"][0, 0] += 1e-3
    save_file(weights, bert_copy / "model.safetensors", metadata={"format": "pt"})
    assert load(bert_copy).fingerprint != load(tiny_bert).fingerprint


def test_a_fingerprint_changes_with_a_setting(tiny_bert, bert_copy):
    config = json.loads((bert_copy / "config.json").read_text())
    (bert_copy / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-3}))
    assert load(bert_copy).fingerprint != load(tiny_bert).fingerprint


def test_a_fingerprint_changes_with_the_tokenizer(tiny_bert):
    plain = load(tiny_bert).fingerprint
    bare = load(tiny_bert, tokenizer=word_tokenizer(padding_side="right", with_ends=False))
    cut_left = AutoTokenizer.from_pretrained(tiny_bert, truncation_side="left")
    assert len({plain, bare.fingerprint, load(tiny_bert, tokenizer=cut_left).fingerprint}) == 3


def test_a_fingerprint_does_not_depend_on_the_padding_side(tmp_path, tiny_bert):
    left = save_tiny_bert(tmp_path / "left", padding_side="left")
    assert load(left).fingerprint == load(tiny_bert).fingerprint


@pytest.mark.model
def test_the_trained_minilm(minilm):
    model = load(minilm)
    traits = model.traits
    assert (traits.n_layers, traits.hidden_size, traits.max_tokens) == (7, 384, 512)
    assert not traits.is_causal
    assert not load(minilm, dtype="bfloat16").traits.is_causal
