"""The extraction loop: texts through the model in batches, each layer pooled, nothing else kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from llm_mri_store.errors import ModelError
from llm_mri_store.extraction.batching import plan_batches
from llm_mri_store.extraction.models import LoadedModel
from llm_mri_store.extraction.pooling import pool
from llm_mri_store.records import Pooling
from llm_mri_store.schema import Status

CPU_BATCH_TOKENS: Final = 2048
GPU_BATCH_TOKENS: Final = 16_384

BatchCallback = Callable[[Sequence[int], int], None]
"""Told after each batch: positions of its texts in the chunk, and their real tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPlan:
    """How a model is read.

    Attributes:
        layers: 0-based layers kept, ascending.
        pooling: how a text's tokens become one vector.
        max_tokens: longer texts are truncated to this many tokens, special ones included.
        batch_tokens: most padded tokens in one forward pass.
    """

    layers: tuple[int, ...]
    pooling: Pooling
    max_tokens: int
    batch_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkActivations:
    """What a chunk of texts became.

    Attributes:
        vectors: float32 (texts, layers, hidden); NaN rows where ``is_read`` is false.
        n_tokens: int32 (texts,), real tokens after truncation, special ones included.
        truncated: bool (texts,).
        status: one per text.
    """

    vectors: npt.NDArray[np.float32]
    n_tokens: npt.NDArray[np.int32]
    truncated: npt.NDArray[np.bool_]
    status: tuple[Status, ...]


def extract(
    model: LoadedModel,
    texts: Sequence[str | None],
    status: Sequence[Status],
    plan: ReadingPlan,
    *,
    on_batch: BatchCallback | None = None,
) -> ChunkActivations:
    """Pooled activations of a chunk of texts.

    The result of a text does not depend on the others beyond rounding: padding is masked, always on
    the right (where no position of a real token shifts), whatever side the tokenizer prefers.

    Args:
        model: the model.
        texts: the texts.
        status: what is known of each before it is read; null and empty texts are not read.
        plan: layers, pooling and limits.
        on_batch: told after each batch.

    Raises:
        ModelError: the model fails on a batch, for lack of memory or otherwise.
    """
    readable = [place for place, one in enumerate(status) if one in {Status.OK, Status.NULL_LABEL}]
    encoded, truncated = _tokenize(model, [texts[place] or "" for place in readable], plan.max_tokens)
    vectors = np.full((len(texts), len(plan.layers), model.traits.hidden_size), np.nan, dtype=np.float32)
    lengths = [len(ids) for ids in encoded["input_ids"]]
    for batch in plan_batches(lengths, batch_tokens=plan.batch_tokens):
        places = [readable[one] for one in batch]
        vectors[places] = _forward(
            model, {key: [rows[i] for i in batch] for key, rows in encoded.items()}, plan
        )
        if on_batch is not None:
            on_batch(places, int(sum(lengths[i] for i in batch)))
    n_tokens = np.zeros(len(texts), dtype=np.int32)
    n_tokens[readable] = lengths
    was_truncated = np.zeros(len(texts), dtype=np.bool_)
    was_truncated[readable] = truncated
    final = _final_status(status, n_tokens, vectors)
    # A label may be missing while the activation is sound; every other blemish leaves no vector.
    for place, one in enumerate(final):
        if one not in {Status.OK, Status.NULL_LABEL}:
            vectors[place] = np.nan
    return ChunkActivations(vectors=vectors, n_tokens=n_tokens, truncated=was_truncated, status=final)


def _tokenize(
    model: LoadedModel, texts: list[str], max_tokens: int
) -> tuple[dict[str, list[list[int]]], list[bool]]:
    """Token ids (and token types, where the model takes them) per text, and which were cut."""
    if not texts:
        return {"input_ids": []}, []
    try:
        encoding = model.tokenizer(texts, truncation=True, max_length=max_tokens, return_attention_mask=False)
        if model.tokenizer.is_fast:
            truncated = [bool(one.overflowing) for one in encoding.encodings]
        else:
            whole = model.tokenizer(texts, return_attention_mask=False, verbose=False)["input_ids"]
            truncated = [len(ids) > max_tokens for ids in whole]
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelError(f"the tokenizer cannot read these texts: {error}") from error
    keys = model.traits.inputs & {"input_ids", "token_type_ids"} & set(encoding)
    return {key: encoding[key] for key in sorted(keys)}, truncated


def _forward(
    model: LoadedModel, encoded: dict[str, list[list[int]]], plan: ReadingPlan
) -> npt.NDArray[np.float32]:
    """One forward pass: float32 (texts, layers, hidden)."""
    longest = max(len(ids) for ids in encoded["input_ids"])
    filler = model.traits.padding_id
    inputs = {
        key: _padded(rows, longest, filler if key == "input_ids" else 0).to(model.device)
        for key, rows in encoded.items()
    }
    mask = _padded([[1] * len(ids) for ids in encoded["input_ids"]], longest, 0).to(model.device)
    if "attention_mask" in model.traits.inputs:
        inputs["attention_mask"] = mask
    try:
        with torch.inference_mode():
            states = model.module(**inputs, output_hidden_states=True).hidden_states
            pooled = torch.stack([pool(states[layer], mask, plan.pooling) for layer in plan.layers], dim=1)
            vectors: npt.NDArray[np.float32] = pooled.cpu().numpy()
            return vectors
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{model.device} has too little memory for a batch of {plan.batch_tokens} tokens; use a smaller "
            "--batch-tokens"
        ) from error
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        raise ModelError(
            f"model {model.name!r} failed on a batch of {mask.shape[0]} texts of up to {longest} tokens: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error


def _padded(rows: list[list[int]], length: int, value: int) -> torch.Tensor:
    return torch.tensor([row + [value] * (length - len(row)) for row in rows], dtype=torch.long)


def _final_status(
    status: Sequence[Status], n_tokens: npt.NDArray[np.int32], vectors: npt.NDArray[np.float32]
) -> tuple[Status, ...]:
    finite = np.asarray(np.isfinite(vectors).all(axis=(1, 2)))
    final = []
    for place, one in enumerate(status):
        if one in {Status.OK, Status.NULL_LABEL} and n_tokens[place] == 0:
            final.append(Status.EMPTY)
        elif one in {Status.OK, Status.NULL_LABEL} and not finite[place]:
            final.append(Status.NOT_FINITE)
        else:
            final.append(one)
    return tuple(final)
