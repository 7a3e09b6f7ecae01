"""What is read of each family, against the model's own words and against its arithmetic.

Random models of the real architectures, 2 to 4 blocks of width 16, read through ``load_model``.
"""

from functools import cache

import pytest
import torch

from llm_mri_store.extraction.models import LoadedModel, ModelRequest, load_model
from llm_mri_store.extraction.points import captured_tensor, reading
from tests.models import ARCHITECTURES, save_architecture, tiny_architecture, word_tokenizer

PAIRS = ["t5", "t5-gated", "bart"]
SIDES = [f"{name}-{side}" for name in PAIRS for side in ("encoder", "decoder")]
EVERY = [name for name in ARCHITECTURES if name not in PAIRS] + SIDES

CAUSAL = {
    *("gpt2", "gpt_neox", "gpt_neox-serial", "llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3", "phi"),
    *("opt", "opt-projected", "opt-post-norm", "falcon", "falcon-alibi", "falcon-new", "bloom"),
    *("mixtral", "qwen2_moe", "mamba"),
}
N_LAYERS = dict.fromkeys(EVERY, 4) | {
    "albert-groups": 5,
    "t5-decoder": 3,
    "t5-gated-decoder": 3,
    "bart-decoder": 3,
}
WITHOUT_LIMIT = {"mamba", "bloom", *(name for name in SIDES if name.startswith("t5"))}
SEES_PADDING = {"fnet"}
MIXTURES = {"mixtral", "qwen2_moe"}
WITHOUT_ATTENTION = {"mamba", "fnet"}
WITHOUT_FINAL_NORM = {
    *("bert", "roberta", "distilbert", "deberta-v2", "deberta-v2-conv", "albert", "albert-groups", "electra"),
    *("opt-post-norm", "bart-encoder", "bart-decoder", "fnet"),
}

POST_NORMS = {
    # family: the norms, below the block, of what attention, attention to the encoder, and the feed-forward
    # sublayer add to the stream
    "bert": ("attention.output.LayerNorm", "output.LayerNorm"),
    "roberta": ("attention.output.LayerNorm", "output.LayerNorm"),
    "electra": ("attention.output.LayerNorm", "output.LayerNorm"),
    "deberta-v2": ("attention.output.LayerNorm", "output.LayerNorm"),
    "distilbert": ("sa_layer_norm", "output_layer_norm"),
    "albert": ("attention.LayerNorm", "full_layer_layer_norm"),
    "albert-groups": ("attention.LayerNorm", "full_layer_layer_norm"),
    "opt-post-norm": ("self_attn_layer_norm", "final_layer_norm"),
    "bart-encoder": ("self_attn_layer_norm", "final_layer_norm"),
    "bart-decoder": ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"),
}
SANDWICHED = {"gemma2", "gemma3"}
PLAIN_SUMS = [name for name in EVERY if name not in {*POST_NORMS, *SANDWICHED, "deberta-v2-conv", "fnet"}]

IDS = torch.tensor([[6, 9, 12, 15, 7, 20, 11, 30, 8, 25, 17]])
LENGTHS = (11, 3, 7, 1)


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """Loads a family, once."""
    root = tmp_path_factory.mktemp("architectures")

    @cache
    def load(name: str) -> LoadedModel:
        side = name.rpartition("-")[2] if name in SIDES else None
        architecture = name.removesuffix(f"-{side}")
        folder = root / architecture
        if not folder.exists():
            save_architecture(architecture, folder)
        return load_model(ModelRequest(model=folder, device="cpu", side=side))

    return load


def read(
    model: LoadedModel, ids: torch.Tensor, mask: torch.Tensor | None = None
) -> dict[tuple[str, int], torch.Tensor]:
    """What one forward pass gives at each site and layer: float32 (texts, tokens, width)."""
    places = {}
    for site in model.sites.values():
        for layer, point in site.points.items():
            places.setdefault(point, []).append((site.name, layer))
    vectors = {}

    def receive(point, value):
        for place in places[point]:
            vectors[place] = captured_tensor(value, *ids.shape).clone()

    mask = torch.ones_like(ids) if mask is None else mask
    with reading(model.module, tuple(places), receive):
        model.module(**model.forward_inputs(ids, mask, None))
    return vectors


def hidden_states(model: LoadedModel) -> tuple[torch.Tensor, ...]:
    """What the model itself says its hidden states are."""
    inputs = model.forward_inputs(IDS, torch.ones_like(IDS), None)
    output = model.module(**inputs, output_hidden_states=True)
    return output.decoder_hidden_states if model.side == "decoder" else output.hidden_states


def close(one, other, tolerance=1e-5):
    """Equal but for rounding, which goes by the size of what was summed."""
    size = max(1.0, float(other.abs().max()))
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance * size)


@pytest.mark.parametrize("name", EVERY)
def test_what_is_known_of_each_family(families, name):
    model = families(name)
    assert model.traits.n_layers == N_LAYERS[name]
    assert model.traits.hidden_size == 16
    assert model.traits.is_causal == (name in CAUSAL)
    assert model.traits.max_tokens == (64 if name in WITHOUT_LIMIT else 40)
    assert model.traits.ignores_padding == (name not in SEES_PADDING)
    assert model.side == (name.rpartition("-")[2] if name in SIDES else None)


@pytest.mark.parametrize("name", EVERY)
def test_which_sites_each_family_has(families, name):
    model = families(name)
    expected = {"residual", "final_norm", "mlp", "neurons", "attention"}
    expected -= {"final_norm"} if name in WITHOUT_FINAL_NORM else set()
    expected -= {"attention"} if name in WITHOUT_ATTENTION else set()
    expected -= {"neurons"} if name in MIXTURES else set()
    if name == "mamba":
        expected = {"residual", "final_norm", "mixer"}
    if model.side == "decoder":
        expected |= {"cross_attention"}
    assert set(model.sites) == expected
    assert next(iter(model.sites)) == "residual"
    last = N_LAYERS[name] - 1
    for site in model.sites.values():
        layers = {"residual": range(last + 1), "final_norm": [last]}.get(site.name, range(1, last + 1))
        assert site.layers == tuple(layers)
        assert site.width == (site.width if site.name == "neurons" else 16)


@pytest.mark.parametrize("name", EVERY)
def test_the_residual_stream_is_what_the_model_calls_its_hidden_states(families, name):
    model, states = families(name), hidden_states(families(name))
    vectors = read(model, IDS)
    residual = [vectors["residual", layer] for layer in range(N_LAYERS[name])]
    # Mamba's hidden states begin behind its first block.
    for layer, state in zip(range(1 if name == "mamba" else 0, N_LAYERS[name]), states[:-1], strict=False):
        close(residual[layer], state)
    last = residual[-1]
    if name not in WITHOUT_FINAL_NORM:
        (point,) = model.sites["final_norm"].points.values()
        last = model.module.get_submodule(point.module)(last)
        close(vectors["final_norm", N_LAYERS[name] - 1], last)
    if name in {"opt-projected", "opt-post-norm"}:
        last = model.module.decoder.project_out(last)
    close(last, states[-1])


@pytest.mark.parametrize("name", PLAIN_SUMS)
def test_a_block_adds_its_attention_and_its_feed_forward_output_to_the_stream(families, name):
    model = families(name)
    vectors = read(model, IDS)
    parts = [one for one in ("attention", "cross_attention", "mlp", "mixer") if one in model.sites]
    for layer in range(1, N_LAYERS[name]):
        added = vectors["residual", layer] - vectors["residual", layer - 1]
        close(added, sum(vectors[part, layer] for part in parts), 1e-4)


@pytest.mark.parametrize("name", sorted(SANDWICHED))
def test_gemma_norms_what_attention_and_feed_forward_give_before_adding_them(families, name):
    model = families(name)
    vectors = read(model, IDS)
    for layer in range(1, N_LAYERS[name]):
        block = model.module.layers[layer - 1]
        added = vectors["residual", layer] - vectors["residual", layer - 1]
        attention = block.post_attention_layernorm(vectors["attention", layer])
        close(added, attention + block.post_feedforward_layernorm(vectors["mlp", layer]), 1e-4)


@pytest.mark.parametrize("name", POST_NORMS)
def test_a_post_norm_block_norms_each_sum(families, name):
    model = families(name)
    vectors = read(model, IDS)
    for layer in range(1, N_LAYERS[name]):
        block = model.module.get_submodule(model.sites["residual"].points[layer].module)
        parts = [one for one in ("attention", "cross_attention", "mlp") if one in model.sites]
        stream = vectors["residual", layer - 1]
        for part, norm in zip(parts, POST_NORMS[name], strict=True):
            stream = block.get_submodule(norm)(stream + vectors[part, layer])
        close(vectors["residual", layer], stream, 1e-4)


def test_deberta_s_second_block_takes_what_its_convolution_gives(families):
    model = families("deberta-v2-conv")
    points = model.sites["residual"].points
    assert str(points[1]) == "input of encoder.layer.1"
    assert str(points[2]) == "output of encoder.layer.1"
    of_block = read(model, IDS)
    assert not torch.allclose(of_block["residual", 1], first_output(model, "encoder.layer.0"))


def first_output(model: LoadedModel, path: str) -> torch.Tensor:
    seen = []
    hook = model.module.get_submodule(path).register_forward_hook(lambda _, __, output: seen.append(output))
    model.module(**model.forward_inputs(IDS, torch.ones_like(IDS), None))
    hook.remove()
    return captured_tensor(seen[0], *IDS.shape)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in MIXTURES and name != "mamba"])
def test_neurons_through_the_down_projection_are_the_feed_forward_output(families, name):
    model = families(name)
    vectors = read(model, IDS)
    for layer, point in model.sites["neurons"].points.items():
        down = model.module.get_submodule(point.module)
        close(down(vectors["neurons", layer]), vectors["mlp", layer], 1e-4)


@pytest.mark.parametrize("name", ["llama", "t5-gated-encoder"])
def test_neurons_of_a_gated_feed_forward_are_gate_times_up(families, name):
    model = families(name)
    for layer, point in model.sites["neurons"].points.items():
        mlp = model.module.get_submodule(point.module.rpartition(".")[0])
        gate, up = ("gate_proj", "up_proj") if name == "llama" else ("wi_0", "wi_1")
        act = mlp.act_fn if name == "llama" else mlp.act
        entered = []
        hook = mlp.register_forward_pre_hook(lambda _, args, seen=entered: seen.append(args[0]))
        vectors = read(model, IDS)
        hook.remove()
        product = act(getattr(mlp, gate)(entered[0])) * getattr(mlp, up)(entered[0])
        close(vectors["neurons", layer], product)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in SEES_PADDING])
def test_a_padded_batch_gives_each_text_what_it_gives_alone(families, name):
    model = families(name)
    ids = IDS.repeat(len(LENGTHS), 1)
    mask = torch.zeros_like(ids)
    for row, length in enumerate(LENGTHS):
        ids[row] = ids[row].roll(row)
        mask[row, :length] = 1
        ids[row, length:] = model.traits.padding_id
    together = read(model, ids, mask)
    for row, length in enumerate(LENGTHS):
        alone = read(model, ids[row : row + 1, :length])
        for place, vectors in alone.items():
            close(together[place][row, :length], vectors[0], 1e-4)


def test_falcon_s_feed_forward_is_read_before_attention_is_added_to_it_in_place(families):
    model = families("falcon")
    kept = []
    hook = model.module.h[0].mlp.register_forward_hook(lambda _, __, output: kept.append(output))
    vectors = read(model, IDS)
    hook.remove()
    assert not torch.allclose(kept[0], vectors["mlp", 1])
    close(kept[0], vectors["mlp", 1] + vectors["attention", 1])


@pytest.mark.parametrize("name", [name for name in EVERY if name != "fnet"])
def test_each_family_is_found_in_16_bits_as_well(families, name):
    exact = families(name)
    with torch.inference_mode(mode=False):
        architecture = name.removesuffix(f"-{exact.side}")
        module = tiny_architecture(architecture).to(torch.bfloat16)
        model = load_model(ModelRequest(model=module, tokenizer=exact.tokenizer, side=exact.side))
    assert model.dtype == "bfloat16"
    assert model.sites == exact.sites
    assert model.traits == exact.traits


# --- positions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "most"),
    [
        ("bert", {"max_position_embeddings": 128}, 128),
        ("bert", {"max_position_embeddings": 100_000}, 100_000),
        ("roberta", {"max_position_embeddings": 130}, 128),
        ("roberta", {"max_position_embeddings": 100_002}, 100_000),
        ("gpt2", {"n_positions": 128}, 128),
        ("opt", {"max_position_embeddings": 128}, 128),
        ("bart", {"max_position_embeddings": 128}, 128),
        ("llama", {"max_position_embeddings": 100_000}, 100_000),
        ("t5", {}, 1_000_000),
        ("mamba", {}, 1_000_000),
        ("bloom", {}, 1_000_000),
    ],
)
def test_how_long_a_text_may_be(name, settings, most):
    tokenizer = word_tokenizer(padding_side="right", with_ends=False, model_max_length=10**30)
    own = {"max_position_embeddings": None, **settings}
    module = tiny_architecture(name, **own)
    model = load_model(ModelRequest(model=module, tokenizer=tokenizer))
    assert model.traits.max_tokens == most
    if most == 128:
        ids = torch.full((1, most), 9)
        model.module(**model.forward_inputs(ids, torch.ones_like(ids), None))
        with pytest.raises((IndexError, RuntimeError)):
            model.module(input_ids=torch.full((1, most + 1), 9))


# --- without a mask ------------------------------------------------------------------------------------


def test_a_model_that_takes_no_mask_is_given_none(families):
    model = families("fnet")
    inputs = model.forward_inputs(IDS, torch.ones_like(IDS), torch.zeros_like(IDS))
    assert set(inputs) == {"input_ids", "token_type_ids"}
    assert not model.traits.ignores_padding
