"""What must be known of a model before it is read, measured on a handful of tokens."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Final

import torch
from transformers import PreTrainedTokenizerBase

from llm_mri_store.errors import ModelError

_UNLIMITED: Final = 1_000_000
_PROBE_TOKENS: Final = 6
_POSITION_SETTINGS: Final = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTraits:
    """What a model is like.

    Attributes:
        n_layers: hidden states, the embedding output included.
        hidden_size: length of a hidden state.
        max_tokens: most tokens a text may have, special ones included.
        n_special_tokens: tokens that the tokenizer puts around a text.
        is_causal: a token sees only those before it.
        padding_id: token id that fills a batch's shorter rows; the mask hides it.
        inputs: arguments of its forward pass that a tokenizer may give.
    """

    n_layers: int
    hidden_size: int
    max_tokens: int
    n_special_tokens: int
    is_causal: bool
    padding_id: int
    inputs: frozenset[str]


def measure_traits(reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> ModelTraits:
    """Runs the model twice on a handful of tokens: how many layers, how wide, causal or not.

    Raises:
        ModelError: it takes no token ids, gives no hidden states, or layers of different widths.
    """
    accepted = frozenset(inspect.signature(reader.forward).parameters)
    if "input_ids" not in accepted:
        raise ModelError(f"{type(reader).__name__} takes no token ids, so it cannot read texts")
    first, *others = _probe_ids(reader, tokenizer)
    with torch.inference_mode():
        states = _all_states(reader, [first, *others], accepted)
        changed = _all_states(reader, [first] * _PROBE_TOKENS, accepted)
    return ModelTraits(
        n_layers=len(states),
        hidden_size=states[0].shape[-1],
        max_tokens=_most_tokens(reader, tokenizer),
        n_special_tokens=tokenizer.num_special_tokens_to_add(),
        is_causal=_is_rounding(states[-1][0, 0], changed[-1][0, 0]),
        padding_id=_padding_id(reader, tokenizer),
        inputs=accepted & {"input_ids", "attention_mask", "token_type_ids"},
    )


def _probe_ids(reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of tokens that are ordinary and all different, spread over the vocabulary."""
    size = len(tokenizer)
    known = getattr(getattr(reader, "config", None), "vocab_size", None)
    if isinstance(known, int):
        size = min(size, known)
    special = set(tokenizer.all_special_ids)
    ordinary = [token for token in range(size) if token not in special]
    if len(ordinary) < _PROBE_TOKENS:
        raise ModelError(f"the tokenizer knows only {len(ordinary)} tokens; is it the model's own?")
    return ordinary[:: len(ordinary) // _PROBE_TOKENS][:_PROBE_TOKENS]


def _all_states(
    reader: torch.nn.Module, ids: list[int], accepted: frozenset[str]
) -> tuple[torch.Tensor, ...]:
    tokens = torch.tensor([ids], device=next(reader.parameters()).device)
    mask = {"attention_mask": torch.ones_like(tokens)} if "attention_mask" in accepted else {}
    states = reader(input_ids=tokens, **mask, output_hidden_states=True).hidden_states
    if not states:
        raise ModelError("the model gives no hidden states, so it cannot be scanned")
    if len({state.shape[-1] for state in states}) > 1:
        raise ModelError("the model's layers have different widths, which a scan cannot hold")
    return tuple(states)


def _is_rounding(state: torch.Tensor, changed: torch.Tensor) -> bool:
    """True when two states of one token differ by no more than rounding in most of their entries.

    Entry by entry: a few entries of trained models are a thousand times the size of the others, and
    their rounding alone would hide that all others have changed.
    """
    epsilon = torch.finfo(state.dtype).eps
    first, second = state.double(), changed.double()
    return bool(((first - second).abs() <= 4 * epsilon * first.abs()).double().mean() > 0.5)


def _padding_id(reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> int:
    config = getattr(reader, "config", None)
    size = getattr(config, "vocab_size", None) or len(tokenizer)
    for token in (tokenizer.pad_token_id, getattr(config, "pad_token_id", None)):
        if isinstance(token, int) and 0 <= token < size:
            return token
    return 0


def _most_tokens(reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> int:
    """Most tokens the tokenizer and the position embeddings allow."""
    config = getattr(reader, "config", None)
    limits = [tokenizer.model_max_length]
    for name in _POSITION_SETTINGS:
        positions = getattr(config, name, None)
        if isinstance(positions, int) and positions > 0:
            limits.append(positions - _reserved_positions(reader))
    return int(min(*limits, _UNLIMITED))


def _reserved_positions(reader: torch.nn.Module) -> int:
    """Positions before the first token's: RoBERTa and its kin count from padding_idx + 1."""
    embeddings = getattr(reader, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return padding + 1 if isinstance(padding, int) and hasattr(embeddings, "padding_idx") else 0
