"""Tiny random models of real architectures, saved as ``save_pretrained`` does."""

import string
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoConfig,
    AutoModel,
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2Model,
    LlamaConfig,
    LlamaModel,
    OPTConfig,
    OPTModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
    T5Config,
    T5Model,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = [
    *SPECIAL,
    *"river stone cloud engine paper garden window signal copper thunder harvest lantern".split(),
    *"one two three four five six".split(),
    *string.ascii_lowercase,
]


def word_tokenizer(
    *, padding_side: str, with_ends: bool, model_max_length: int = 64
) -> PreTrainedTokenizerFast:
    """A tokenizer of whole words; ``with_ends`` puts [CLS] and [SEP] around a text."""
    ids = {word: place for place, word in enumerate(VOCABULARY)}
    backend = Tokenizer(WordLevel(ids, unk_token="[UNK]"))
    backend.pre_tokenizer = Whitespace()
    if with_ends:
        backend.post_processor = TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
        )
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"} if with_ends else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        pad_token="[PAD]",
        padding_side=padding_side,
        model_max_length=model_max_length,
        **names,
    )


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Path:
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_bert(folder: Path, *, padding_side: str = "right", seed: int = 0) -> Path:
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        # The default range of 0.02 leaves a random model's layers almost alike.
        initializer_range=0.5,
    )
    return save(BertModel(config), word_tokenizer(padding_side=padding_side, with_ends=True), folder)


def save_tiny_gpt2(folder: Path, *, padding_side: str = "left", seed: int = 0) -> Path:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=len(VOCABULARY),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=64,
        initializer_range=0.5,
        bos_token_id=0,
        eos_token_id=0,
    )
    return save(GPT2Model(config), word_tokenizer(padding_side=padding_side, with_ends=False), folder)


def save_tiny_roberta(folder: Path) -> Path:
    """Counts positions from padding_idx + 1: of 34 positions a text may use 32."""
    torch.manual_seed(0)
    config = RobertaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=34,
        pad_token_id=1,
        bos_token_id=2,
        eos_token_id=3,
        initializer_range=0.5,
    )
    return save(RobertaModel(config), word_tokenizer(padding_side="right", with_ends=True), folder)


def save_tiny_llama(folder: Path) -> Path:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=32,
        max_position_embeddings=64,
        initializer_range=0.5,
        bos_token_id=2,
        eos_token_id=3,
    )
    return save(LlamaModel(config), word_tokenizer(padding_side="left", with_ends=False), folder)


def save_tiny_opt(folder: Path) -> Path:
    torch.manual_seed(0)
    config = OPTConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        word_embed_proj_dim=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        ffn_dim=32,
        max_position_embeddings=48,
        init_std=0.5,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
    )
    return save(OPTModel(config), word_tokenizer(padding_side="right", with_ends=False), folder)


def save_tiny_t5(folder: Path) -> Path:
    """An encoder-decoder, without positions of its own and without token types."""
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(VOCABULARY),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        initializer_factor=2.0,
        decoder_start_token_id=0,
    )
    return save(T5Model(config), word_tokenizer(padding_side="right", with_ends=True), folder)


SAVE_TINY = {
    "bert": save_tiny_bert,
    "gpt2": save_tiny_gpt2,
    "roberta": save_tiny_roberta,
    "llama": save_tiny_llama,
    "opt": save_tiny_opt,
    "t5": save_tiny_t5,
}
"""Saves a tiny model of each family into a folder."""


# --- every family ----------------------------------------------------------------------------------------

_GROUPED: dict[str, Any] = {"num_key_value_heads": 1, "head_dim": 8}
_HALVES: dict[str, Any] = {
    "d_model": 16,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 24,
    "init_std": 0.5,
}
_T5: dict[str, Any] = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 2,
    "initializer_factor": 2.0,
    "decoder_start_token_id": 0,
    "max_position_embeddings": None,
}
_OPT: dict[str, Any] = {"ffn_dim": 32, "init_std": 0.5}

ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    # name: model type, settings that differ from the common ones
    "bert": ("bert", {}),
    "roberta": ("roberta", {"pad_token_id": 1, "max_position_embeddings": 42}),
    "distilbert": ("distilbert", {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 32}),
    "deberta-v2": (
        "deberta-v2",
        {
            "relative_attention": True,
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "pos_att_type": ["c2p", "p2c"],
            "share_att_key": True,
            "position_biased_input": False,
            "type_vocab_size": 0,
        },
    ),
    # The larger of the released ones change the stream behind their first block.
    "deberta-v2-conv": (
        "deberta-v2",
        {"relative_attention": True, "pos_att_type": ["c2p"], "conv_kernel_size": 3, "conv_act": "gelu"},
    ),
    "modernbert": (
        "modernbert",
        {"local_attention": 4, "global_attn_every_n_layers": 3, "cls_token_id": 2, "sep_token_id": 3},
    ),
    "albert": ("albert", {"embedding_size": 8}),
    "albert-groups": ("albert", {"num_hidden_layers": 4, "num_hidden_groups": 2}),
    "electra": ("electra", {"embedding_size": 8}),
    "gpt2": ("gpt2", {"n_positions": 40}),
    "gpt_neox": ("gpt_neox", {}),
    "gpt_neox-serial": ("gpt_neox", {"use_parallel_residual": False}),
    "llama": ("llama", _GROUPED),
    "mistral": ("mistral", {"sliding_window": 4, **_GROUPED}),
    "qwen2": (
        "qwen2",
        {"num_key_value_heads": 1, "use_sliding_window": True, "sliding_window": 4, "max_window_layers": 1},
    ),
    "qwen3": ("qwen3", _GROUPED),
    "gemma2": ("gemma2", {"sliding_window": 4, **_GROUPED}),
    "gemma3": ("gemma3_text", {"sliding_window": 4, "layer_types": None, **_GROUPED}),
    "phi": ("phi", {}),
    "opt": ("opt", {**_OPT, "word_embed_proj_dim": 16}),
    "opt-projected": ("opt", {**_OPT, "word_embed_proj_dim": 8}),
    # As OPT-350m: norms behind each sum, no final norm, a narrower embedding.
    "opt-post-norm": ("opt", {**_OPT, "word_embed_proj_dim": 8, "do_layer_norm_before": False}),
    "falcon": ("falcon", {}),
    "falcon-alibi": ("falcon", {"alibi": True, "parallel_attn": False, "multi_query": False}),
    "falcon-new": ("falcon", {"new_decoder_architecture": True, "num_kv_heads": 1}),
    "bloom": ("bloom", {"n_layer": 3, "n_head": 2, "max_position_embeddings": None}),
    "mixtral": ("mixtral", {"num_local_experts": 4, **_GROUPED}),
    "qwen2_moe": (
        "qwen2_moe",
        {
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 8,
            "shared_expert_intermediate_size": 16,
            "num_key_value_heads": 1,
        },
    ),
    "mamba": ("mamba", {"state_size": 4, "max_position_embeddings": None}),
    "t5": ("t5", _T5),
    "t5-gated": ("t5", {**_T5, "feed_forward_proj": "gated-gelu"}),
    "bart": ("bart", _HALVES),
    "fnet": ("fnet", {}),
}


def tiny_architecture(name: str, **own: Any) -> PreTrainedModel:
    """A random model of one of ``ARCHITECTURES``: 3 blocks of width 16, unless it says otherwise.

    Settings of one's own replace those of the architecture, its ``model_type`` too; None leaves one out.
    """
    kind, settings = ARCHITECTURES[name]
    kind = own.pop("model_type", kind)
    common = {
        "vocab_size": len(VOCABULARY),
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 40,
        # The default range of 0.02 leaves a random model's layers almost alike.
        "initializer_range": 0.5,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    given = {**common, **settings, **own}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **{key: value for key, value in given.items() if value is not None})
    model: PreTrainedModel = AutoModel.from_config(config)
    return model.eval()


def save_architecture(name: str, folder: Path, **own: Any) -> Path:
    """Saves one of ``ARCHITECTURES``."""
    return save(tiny_architecture(name, **own), word_tokenizer(padding_side="left", with_ends=False), folder)
