"""Sites of models that are not as others are: found by what flows, believed only where it adds up."""

import pytest
import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, T5EncoderModel, T5ForConditionalGeneration
from transformers.modeling_outputs import BaseModelOutput

from llm_mri_store.errors import InvalidInput, ModelError, UnknownName
from llm_mri_store.extraction.models import ModelRequest, load_model
from llm_mri_store.extraction.points import (
    CapturePoint,
    Site,
    captured_tensor,
    first_argument,
    reading,
)
from tests.models import VOCABULARY, tiny_architecture, word_tokenizer

WIDTH, N_BLOCKS = 8, 3


class OwnConfig(PreTrainedConfig):
    model_type = "own"

    def __init__(self, **settings):
        super().__init__(**settings)
        self.vocab_size = len(VOCABULARY)


class Mixing(nn.Module):
    """Stands for attention: each token gets the mean of all."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.outer = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden_states):
        return self.outer(self.inner(hidden_states).mean(dim=1, keepdim=True).expand_as(hidden_states)), None


class OwnBlock(nn.Module):
    """Pre-norm block whose modules no known family names so."""

    def __init__(self, config):
        super().__init__()
        self.scale = config.scale
        self.token_attention = Mixing()
        self.wide = nn.Linear(WIDTH, 3 * WIDTH)
        self.narrow = nn.Linear(3 * WIDTH, WIDTH)
        self.pooled = nn.AdaptiveAvgPool1d(1)
        self.unused = nn.Linear(WIDTH, WIDTH)

    def forward(self, hidden_states):
        hidden_states = hidden_states + self.token_attention(hidden_states)[0]
        self.pooled(hidden_states)
        return hidden_states + self.scale * self.narrow(torch.tanh(self.wide(hidden_states)))


class OwnModel(PreTrainedModel):
    """A model whose ``forward`` knows neither masks nor, unless asked to, hidden states."""

    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.words = nn.Embedding(config.vocab_size, WIDTH)
        self.stages = nn.ModuleList(OwnBlock(config) for _ in range(N_BLOCKS))
        self.last_norm = nn.LayerNorm(WIDTH)
        self.post_init()

    def _init_weights(self, module):
        for parameter in module.parameters(recurse=False):
            nn.init.normal_(parameter, std=0.5)

    def forward(self, input_ids):
        stream = self.words(input_ids)
        for stage in self.stages:
            stream = stage(hidden_states=stream)
        return self.last_norm(stream)


class TellingModel(OwnModel):
    """One that returns hidden states: as they are, or made to differ from what its blocks give."""

    def forward(self, input_ids, output_hidden_states=False):
        stream = self.words(input_ids)
        states = [stream]
        for stage in self.stages:
            stream = stage(hidden_states=stream)
            states.append(stream * self.config.told)
        states[-1] = last = self.last_norm(stream)
        return BaseModelOutput(last_hidden_state=last, hidden_states=tuple(states))


def own(kind=OwnModel, *, scale=1.0, told=1.0):
    torch.manual_seed(0)
    return kind(OwnConfig(scale=scale, told=told))


def load(module, **options):
    tokenizer = word_tokenizer(padding_side="right", with_ends=False)
    return load_model(ModelRequest(model=module, tokenizer=tokenizer, **options))


# --- blocks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [OwnModel, TellingModel])
def test_blocks_of_a_model_of_one_s_own_are_found_by_what_flows_through_them(kind):
    model = load(own(kind))
    assert [str(point) for point in model.site("residual").points.values()] == [
        "input of stages.0",
        "output of stages.0",
        "output of stages.1",
        "output of stages.2",
    ]
    assert model.site("final_norm").points == {3: CapturePoint(module="last_norm", end="output")}
    assert (model.traits.n_layers, model.traits.hidden_size, model.traits.is_causal) == (4, WIDTH, False)
    assert not model.traits.ignores_padding
    ids = torch.tensor([[5, 6]])
    assert set(model.forward_inputs(ids, torch.ones_like(ids), None)) == {"input_ids"}


def test_blocks_that_give_other_than_the_hidden_states_are_not_believed():
    model = load(own(TellingModel, told=2.0))
    assert model.sites == {}
    assert (model.traits.n_layers, model.traits.hidden_size) == (0, WIDTH)
    with pytest.raises(ModelError, match="has no site 'residual': what leaves its blocks is not what it ret"):
        model.site("residual")
    with pytest.raises(
        ModelError, match=r"no site 'mlp': .* pattern such as h\.\{layer\}\.mlp reads any module"
    ):
        model.site("mlp")
    assert model.site("stages.{layer}").layers == (1, 2, 3)


def test_sublayers_of_unknown_names_are_found_where_they_add_up():
    model = load(own())
    assert model.site("attention").read_at == "output of stages.{layer}.token_attention.outer"
    assert model.site("mlp").read_at == "output of stages.{layer}.narrow"
    assert model.site("neurons").read_at == "input of stages.{layer}.narrow"
    assert model.site("neurons").width == 3 * WIDTH


def test_sublayers_of_unknown_names_that_do_not_add_up_are_not_believed():
    model = load(own(scale=0.5))
    assert set(model.sites) == {"residual", "final_norm"}
    with pytest.raises(
        ModelError, match="no site 'mlp': no module of its blocks is known to give it; it has"
    ):
        model.site("mlp")


def test_a_mixture_of_experts_says_why_it_has_no_neurons():
    model = load(tiny_architecture("mixtral"))
    assert model.site("mlp").read_at == "output of layers.{layer}.mlp"
    with pytest.raises(ModelError, match="no site 'neurons': its feed-forward sublayer is a mixture of exp"):
        model.site("neurons")


def test_a_layer_s_width_of_its_own_leaves_a_site_out():
    module = tiny_architecture("llama")
    mlp = module.layers[1].mlp
    mlp.gate_proj, mlp.up_proj = nn.Linear(16, 24), nn.Linear(16, 24)
    mlp.down_proj = nn.Linear(24, 16)
    model = load(module)
    assert "mlp" in model.sites
    with pytest.raises(ModelError, match="must be of one width, but are 32 at input of layers"):
        model.site("neurons")


def test_a_model_without_vectors_per_token_is_refused():
    module = own()
    module.last_norm = nn.Flatten()
    with pytest.raises(ModelError, match="OwnModel does not return one vector per token"):
        load(module)


# --- names and patterns --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpt2():
    return load(tiny_architecture("gpt2"))


@pytest.mark.parametrize("pattern", ["h.{layer}.mlp", "output of h.{layer}.mlp"])
def test_a_pattern_reads_what_modules_give(gpt2, pattern):
    site = gpt2.site(pattern)
    assert (site.name, site.width, site.layers) == (pattern, 16, (1, 2, 3))
    assert site.points[1] == CapturePoint(module="h.0.mlp", end="output")
    assert site.read_at == "output of h.{layer}.mlp"


def test_a_pattern_can_read_what_goes_in(gpt2):
    site = gpt2.site("input of h.{layer}.mlp.c_proj")
    assert site.points == gpt2.site("neurons").points
    assert (site.width, site.read_at) == (64, "input of h.{layer}.mlp.c_proj")


def test_where_a_site_is_read_is_a_pattern_that_reads_it(gpt2):
    for site in gpt2.sites.values():
        if site.name not in {"residual", "final_norm"}:
            assert gpt2.site(site.read_at).points == site.points


def test_a_pattern_over_shared_blocks_takes_their_calls_as_layers():
    model = load(tiny_architecture("albert-groups"))
    site = model.site("encoder.albert_layer_groups.{layer}.albert_layers.0.attention.dense")
    assert site.points == model.site("attention").points
    assert site.points[2] == CapturePoint(module=site.points[1].module, end="output", call=1)
    assert site.layers == (1, 2, 3, 4)


def test_a_pattern_reads_either_side_of_an_encoder_decoder():
    model = load(tiny_architecture("t5"), side="decoder")
    assert model.site("encoder.block.{layer}").layers == (1, 2, 3)
    assert model.site("decoder.block.{layer}.layer.1.EncDecAttention.o").points == (
        model.site("cross_attention").points
    )


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("residul", UnknownName, "site 'residul' is not in model 'GPT2Model'; did you mean 'residual'"),
        (
            "h.{layer}.mpl",
            UnknownName,
            r"site 'h.\{layer\}.mpl' is not .*; did you mean 'h.\{layer\}.mlp'",
        ),
        (
            "h.0.mlp",
            InvalidInput,
            r"is neither one of residual, .* nor a module path pattern, which has \{layer\} once",
        ),
        (
            "h",
            InvalidInput,
            r"is neither one of residual, .* nor a module path pattern, which has \{layer\} once",
        ),
        (
            "h.{block}.mlp",
            InvalidInput,
            r"is neither one of residual, .* nor a module path pattern, which has \{layer\} once",
        ),
        (
            "h.{layer}.{layer}",
            InvalidInput,
            r"is neither one of residual, .* nor a module path pattern, which has \{layer\} once",
        ),
        ("h.{layer}.attn.resid", UnknownName, r"did you mean 'h.\{layer\}.attn.resid_dropout'"),
        (
            "mixer",
            ModelError,
            "has no site 'mixer': no module of its blocks is known to give it; it has resid",
        ),
    ],
)
def test_a_site_that_there_is_not(gpt2, name, error, message):
    with pytest.raises(error, match=message) as caught:
        gpt2.site(name)
    assert "\n" not in str(caught.value)


def test_a_pattern_of_a_module_that_is_not_called():
    with pytest.raises(ModelError, match=r"no forward pass gets to stages\.\{layer\}\.unused"):
        load(own()).site("stages.{layer}.unused")


def test_a_pattern_of_something_else_than_a_vector_per_token():
    class Halved(nn.Module):
        def forward(self, states):
            return states[:, ::2]

    module = own()
    for stage in module.stages:
        stage.pooled = Halved()
    with pytest.raises(
        ModelError, match=r"stages\.0\.pooled gives float32 numbers of shape \(2, 3, 8\) for 2"
    ):
        load(module).site("stages.{layer}.pooled")


# --- sides -----------------------------------------------------------------------------------------------


def test_a_decoder_reads_the_text_one_position_later():
    model = load(tiny_architecture("bart", decoder_start_token_id=3), side="decoder")
    ids = torch.tensor([[6, 7, 8], [9, 10, 0]])
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]])
    inputs = model.forward_inputs(ids, mask, None)
    assert inputs["decoder_input_ids"].tolist() == [[3, 6, 7], [3, 9, 10]]
    assert inputs["decoder_attention_mask"].tolist() == mask.tolist()
    assert inputs["input_ids"].tolist() == ids.tolist()
    assert inputs["use_cache"] is False


def test_an_encoder_decoder_is_read_by_its_encoder_unless_asked():
    module = tiny_architecture("t5")
    encoder, decoder = load(module), load(module, side="decoder")
    assert (encoder.side, decoder.side) == ("encoder", "decoder")
    assert load(module, side="encoder").fingerprint == encoder.fingerprint != decoder.fingerprint
    assert encoder.module is module.encoder
    assert decoder.module is module


def test_heads_and_halves_that_are_loaded_already_are_read_like_the_whole():
    body = tiny_architecture("t5")
    ids = torch.tensor([[6, 9, 12]])
    with_head = T5ForConditionalGeneration(body.config).eval()
    half = T5EncoderModel(body.config).eval()
    for module in (with_head, half):
        module.load_state_dict(body.state_dict(), strict=False)
    encoder, decoder = load(body), load(body, side="decoder")
    assert load(with_head).sites == encoder.sites
    assert load(with_head, side="decoder").sites == decoder.sites
    assert load(half).side is None
    assert load(half).site("mlp").points[1].module == "encoder." + encoder.site("mlp").points[1].module
    with torch.inference_mode():
        inputs = decoder.forward_inputs(ids, torch.ones_like(ids), None)
        states = decoder.module(**inputs).last_hidden_state
        (point,) = decoder.sites["final_norm"].points.values()
        seen = []
        with reading(with_head, [point], lambda _, value: seen.append(value)):
            with_head(**inputs)
    assert torch.equal(seen[0], states)


def test_sides_are_of_encoder_decoders_only():
    with pytest.raises(InvalidInput, match="model 'GPT2Model' is no encoder-decoder, so it has no sides"):
        load(tiny_architecture("gpt2"), side="decoder")
    with pytest.raises(InvalidInput, match="side 'both' is not one of encoder, decoder"):
        load(tiny_architecture("t5"), side="both")


# --- what is captured ----------------------------------------------------------------------------------


def test_what_a_captured_value_holds():
    states = torch.arange(24.0).reshape(2, 3, 4)
    for value in (states, (states, "weights"), [None, states], BaseModelOutput(last_hidden_state=states)):
        assert torch.equal(captured_tensor(value, 2, 3), states)
    assert torch.equal(captured_tensor(states.reshape(6, 4), 2, 3), states)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "gives NoneType, not a tensor"),
        ((1, "two"), "gives tuple, not a tensor"),
        (torch.zeros(2, 4), r"shape \(2, 4\) for 2 texts of 3 tokens"),
        (torch.zeros(2, 5, 3, 4), r"shape \(2, 5, 3, 4\)"),
        (torch.zeros(2, 3, dtype=torch.long), "gives int64 numbers"),
        (torch.zeros(2, 3, 4, dtype=torch.long), "gives int64 numbers"),
    ],
)
def test_what_holds_no_vector_per_token(value, message):
    with pytest.raises(ModelError, match=message):
        captured_tensor(value, 2, 3)


def test_a_module_s_first_argument_however_it_is_called():
    assert first_argument((1, 2), {"hidden_states": 3}) == 1
    assert first_argument((), {"mask": 2, "hidden_states": 3}) == 3
    assert first_argument((), {"x": 2, "mask": 3}) == 2
    assert first_argument((), {}) is None


def test_hooks_are_gone_after_reading_even_when_it_fails():
    module = nn.Sequential(nn.Linear(2, 2))
    points = [CapturePoint(module="0", end=end) for end in ("input", "output")]

    def fail(*_):
        raise ValueError

    with pytest.raises(ValueError), reading(module, points, fail):  # noqa: PT011
        module(torch.zeros(1, 2))
    assert not module[0]._forward_hooks
    assert not module[0]._forward_pre_hooks


def test_where_a_site_is_read_in_words():
    def site(*paths, call=0):
        points = {
            layer: CapturePoint(module=path, end="output", call=call * layer)
            for layer, path in enumerate(paths, start=1)
        }
        return Site(name="mlp", points=points, width=1, what="").read_at

    assert site("h.0.mlp", "h.1.mlp") == "output of h.{layer}.mlp"
    assert site("block.0.layer.1", "block.1.layer.1") == "output of block.{layer}.layer.1"
    assert site("h.0.a", "h.1.b") == "output of h.{layer}.a; output of h.{layer}.b"
    assert site("g.0.ffn", "g.0.ffn", call=1) == "output of g.0.ffn, each call"
    assert site("norm") == "output of norm"
