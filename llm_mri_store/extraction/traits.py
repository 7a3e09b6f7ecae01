"""What must be known of a model before it is read, measured on a handful of tokens."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, Final

import torch
from transformers import PreTrainedTokenizerBase

from llm_mri_store.errors import ModelError
from llm_mri_store.extraction.anatomy import Probe, find_anatomy, returned_vectors, trace_pass
from llm_mri_store.extraction.sites import FoundSites, find_sites, no_sites, try_points

_UNLIMITED: Final = 1_000_000
_PROBE_TOKENS: Final = 6
_REAL_TOKENS: Final = 4
_POSITION_SETTINGS: Final = (
    "max_position_embeddings",
    "n_positions",
    "max_sequence_length",
    "max_seq_len",
    "seq_length",
    "max_encoder_position_embeddings",
)
_DECODER_SETTINGS: Final = ("decoder_start_token_id", "bos_token_id", "pad_token_id")
_INPUTS: Final = frozenset(
    {
        "input_ids",
        "attention_mask",
        "token_type_ids",
        "use_cache",
        "decoder_input_ids",
        "decoder_attention_mask",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTraits:
    """What a model is like.

    Attributes:
        n_layers: layers of its residual stream, the embedding output included; 0 where it was not found.
        hidden_size: width of the residual stream; where that was not found, of what the model returns.
        max_tokens: most tokens a text may have, special ones included.
        n_special_tokens: tokens that the tokenizer puts around a text.
        is_causal: a token sees only those before it. Not so of a decoder that attends to an encoder, which
            has seen the whole text.
        ignores_padding: what stands behind a text in a batch does not change how the text is read; where
            it does, only texts of one length can be read together.
        padding_id: token id that fills a batch's shorter rows; the mask hides it.
        decoder_start_id: token that the decoder of an encoder-decoder begins with; None for any other.
        inputs: arguments of its forward pass, of those that ``forward_inputs`` can give.
    """

    n_layers: int
    hidden_size: int
    max_tokens: int
    n_special_tokens: int
    is_causal: bool
    ignores_padding: bool
    padding_id: int
    decoder_start_id: int | None
    inputs: frozenset[str]


def measure_traits(
    reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase
) -> tuple[ModelTraits, FoundSites]:
    """Runs the model twice on a handful of tokens: what it is like, and where it can be read.

    A model whose blocks are not found has no named sites; module path patterns still read it.

    Raises:
        ModelError: it takes no token ids, or does not return one vector per token.
    """
    parameters = inspect.signature(reader.forward).parameters
    inputs = _INPUTS & set(parameters)
    if "input_ids" not in inputs:
        raise ModelError(f"{type(reader).__name__} takes no token ids, so it cannot read texts")
    start = _decoder_start(reader) if "decoder_input_ids" in inputs else None
    can_be_asked = "output_hidden_states" in parameters or any(
        one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()
    )
    first, *others = _probe_ids(reader, tokenizer)
    whole = _probe(reader, [[first, *others], [first] * _PROBE_TOKENS], _PROBE_TOKENS, inputs, start)
    with torch.inference_mode():
        trace = trace_pass(reader, whole, with_states=can_be_asked)
    if trace.last is None:
        raise ModelError(f"{type(reader).__name__} does not return one vector per token")
    padded = padded_probe(reader, tokenizer, inputs, start)
    try:
        anatomy = find_anatomy(trace)
    except ModelError as error:
        found, tried = no_sites(str(error)), try_points(reader, set(), padded)
    else:
        found, tried = find_sites(reader, anatomy, trace, padded)
    residual = found.sites.get("residual")
    again = returned_vectors(tried.output, padded.n_texts, padded.n_tokens)
    traits = ModelTraits(
        n_layers=len(residual.points) if residual else 0,
        hidden_size=residual.width if residual else trace.last.shape[-1],
        max_tokens=_most_tokens(reader, tokenizer),
        n_special_tokens=tokenizer.num_special_tokens_to_add(),
        is_causal=_is_rounding(trace.last[0, 0], trace.last[1, 0]),
        ignores_padding=again is not None and _is_rounding(again[0, :_REAL_TOKENS], again[1, :_REAL_TOKENS]),
        padding_id=_padding_id(reader, tokenizer),
        decoder_start_id=start,
        inputs=inputs,
    )
    return traits, found


def forward_inputs(
    inputs: frozenset[str],
    decoder_start_id: int | None,
    *,
    ids: torch.Tensor,
    mask: torch.Tensor,
    token_types: torch.Tensor | None = None,
) -> dict[str, Any]:
    """Arguments of a forward pass for a batch padded on the right.

    A decoder reads the same text as its encoder, one position later: it begins with its start token.

    Args:
        inputs: arguments that the forward pass takes.
        decoder_start_id: token that a decoder begins with.
        ids: int64 (texts, tokens).
        mask: int64 (texts, tokens), 1 on real tokens.
        token_types: int64 (texts, tokens), where the tokenizer gives them.
    """
    given: dict[str, Any] = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
    if token_types is not None:
        given["token_type_ids"] = token_types
    if decoder_start_id is not None:
        shifted = ids.roll(1, dims=1)
        shifted[:, 0] = decoder_start_id
        # As many positions are real as before: the last token makes room for the start.
        given |= {"decoder_input_ids": shifted, "decoder_attention_mask": mask}
    return {name: value for name, value in given.items() if name in inputs}


def padded_probe(
    reader: torch.nn.Module,
    tokenizer: PreTrainedTokenizerBase,
    inputs: frozenset[str],
    decoder_start_id: int | None,
) -> Probe:
    """A text twice, with different tokens behind it that the mask hides."""
    ids = _probe_ids(reader, tokenizer)
    n_hidden = _PROBE_TOKENS - _REAL_TOKENS
    rows = [ids, ids[:_REAL_TOKENS] + ids[:n_hidden]]
    return _probe(reader, rows, _REAL_TOKENS, inputs, decoder_start_id)


def _probe(
    reader: torch.nn.Module,
    rows: list[list[int]],
    n_real: int,
    inputs: frozenset[str],
    decoder_start_id: int | None,
) -> Probe:
    ids = torch.tensor(rows, device=next(reader.parameters()).device)
    mask = torch.zeros_like(ids)
    mask[:, :n_real] = 1
    given = forward_inputs(inputs, decoder_start_id, ids=ids, mask=mask)
    return Probe(inputs=given, n_texts=len(rows), n_tokens=_PROBE_TOKENS)


def _probe_ids(reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids of tokens that are ordinary and all different, spread over the vocabulary."""
    size = len(tokenizer)
    known = _setting(reader, "vocab_size")
    if known is not None:
        size = min(size, known)
    special = set(tokenizer.all_special_ids)
    ordinary = [token for token in range(size) if token not in special]
    if len(ordinary) < _PROBE_TOKENS:
        raise ModelError(f"the tokenizer knows only {len(ordinary)} tokens; is it the model's own?")
    return ordinary[:: len(ordinary) // _PROBE_TOKENS][:_PROBE_TOKENS]


def _is_rounding(state: torch.Tensor, changed: torch.Tensor) -> bool:
    """True when two readings of the same tokens differ by no more than rounding in most of their entries.

    Entry by entry: a few entries of trained models are a thousand times the size of the others, and
    their rounding alone would hide that all others have changed.
    """
    epsilon = torch.finfo(state.dtype).eps
    tolerance = (64 if state.dtype == torch.float32 else 4) * epsilon
    first, second = state.float(), changed.float()
    return bool(((first - second).abs() <= tolerance * first.abs()).float().mean() > 0.5)


def _setting(reader: torch.nn.Module, name: str) -> int | None:
    """A whole number of the model's configuration; of one with several parts, of its text part."""
    config = getattr(reader, "config", None)
    value = getattr(getattr(config, "text_config", None) or config, name, None)
    return value if isinstance(value, int) else None


def _decoder_start(reader: torch.nn.Module) -> int:
    for name in _DECODER_SETTINGS:
        token = _setting(reader, name)
        if token is not None:
            return token
    raise ModelError("its configuration does not say which token its decoder begins with")


def _padding_id(reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> int:
    size = _setting(reader, "vocab_size") or len(tokenizer)
    for token in (tokenizer.pad_token_id, _setting(reader, "pad_token_id")):
        if isinstance(token, int) and 0 <= token < size:
            return token
    return 0


def _most_tokens(reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> int:
    """Most tokens the tokenizer and the position embeddings allow."""
    limits = [tokenizer.model_max_length]
    for name in _POSITION_SETTINGS:
        positions = _setting(reader, name)
        if positions is not None and positions > 0:
            limits.append(positions - _reserved_positions(reader))
    decoder_positions = _setting(reader, "max_decoder_position_embeddings")
    if decoder_positions is not None and hasattr(reader, "decoder"):
        limits.append(decoder_positions)
    return int(min(*limits, _UNLIMITED))


def _reserved_positions(reader: torch.nn.Module) -> int:
    """Positions before the first token's: RoBERTa and its kin count from padding_idx + 1."""
    embeddings = getattr(reader, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return padding + 1 if isinstance(padding, int) and hasattr(embeddings, "padding_idx") else 0
