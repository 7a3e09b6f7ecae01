"""Tiny random models of real architectures, saved as ``save_pretrained`` does."""

import string
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
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


def word_tokenizer(*, padding_side: str, with_ends: bool) -> PreTrainedTokenizerFast:
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
        model_max_length=64,
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
