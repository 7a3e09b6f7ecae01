"""The extraction loop: a chunk's texts through the model in batches, read where it was asked, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from llm_mri_store.errors import LlmMriError, ModelError
from llm_mri_store.extraction.batching import plan_batches
from llm_mri_store.extraction.capture import Reading, capture
from llm_mri_store.extraction.choices import AUTOCAST_DTYPES
from llm_mri_store.extraction.encoding import EncodedText
from llm_mri_store.extraction.landing import Landing
from llm_mri_store.extraction.memory import Heap
from llm_mri_store.extraction.models import LoadedModel

CPU_BATCH_TOKENS: Final = 2048
GPU_BATCH_TOKENS: Final = 16_384

BatchCallback = Callable[[Sequence[int], int], None]
"""Told after each batch: positions of its texts among those given, and their real tokens."""

Float32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


def extract(
    model: LoadedModel,
    texts: Sequence[EncodedText],
    readings: Sequence[Reading],
    *,
    batch_tokens: int,
    kept_tokens: Sequence[Ints] | None = None,
    on_batch: BatchCallback | None = None,
) -> list[Float32]:
    """Activations of texts, one forward pass for all readings.

    The result of a text does not depend on the others beyond rounding: padding is masked, always on
    the right (where no position of a real token shifts), whatever side the tokenizer prefers; a model
    that sees the padding all the same (it takes no mask, say) gets texts of one length at a time. Layers
    behind the last one wanted are not run.

    Args:
        model: the model.
        texts: the texts as token ids; one without tokens is not read.
        readings: where and how activations are taken.
        batch_tokens: most padded tokens in one forward pass.
        kept_tokens: for readings of tokens: per text the positions of the tokens that are kept.
        on_batch: told after each batch.

    Returns:
        Per reading float32 (rows, layers, width): a row per text, NaN for one that is not read; of a reading
        of tokens a row per kept token, in the order of texts and positions.

    Raises:
        ModelError: the model fails on a batch, for lack of memory or otherwise.
    """
    kept = kept_tokens or [np.empty(0, dtype=np.int64)] * len(texts)
    row_ends = np.cumsum([0, *map(len, kept)])
    landing = Landing(
        [
            np.full(
                (
                    row_ends[-1] if reading.pooling == "tokens" else len(texts),
                    len(reading.layers),
                    reading.site.width,
                ),
                np.nan,
                dtype=np.float32,
            )
            for reading in readings
        ]
    )
    lengths = [text.n_tokens for text in texts]
    batches = plan_batches(lengths, batch_tokens=batch_tokens, equal_lengths=not model.traits.ignores_padding)
    heap = Heap()
    with _precision(model):
        for batch in batches:
            tokens = [
                (row, position, row_ends[place] + offset)
                for row, place in enumerate(batch)
                for offset, position in enumerate(kept[place])
            ]
            buffers = _forward(model, readings, [texts[place] for place in batch], tokens, batch_tokens)
            of_tokens = np.asarray([one[2] for one in tokens], dtype=np.intp)
            landing.take(
                buffers, [of_tokens if reading.pooling == "tokens" else batch for reading in readings]
            )
            heap.tidy()
            if on_batch is not None:
                on_batch(batch.tolist(), sum(lengths[place] for place in batch))
    return landing.finish()


@contextmanager
def _precision(model: LoadedModel) -> Iterator[None]:
    autocast = AUTOCAST_DTYPES.get(model.dtype)
    with (
        torch.inference_mode(),
        torch.autocast(torch.device(model.device).type, dtype=autocast, enabled=autocast is not None),
    ):
        yield


def _forward(
    model: LoadedModel,
    readings: Sequence[Reading],
    texts: list[EncodedText],
    tokens: list[tuple[int, int, int]],
    batch_tokens: int,
) -> list[torch.Tensor]:
    """One forward pass: per reading float32 (rows, layers, width) on the model's device."""
    longest = max(text.n_tokens for text in texts)
    ids = _padded([text.ids for text in texts], longest, model.traits.padding_id, model.device)
    mask = _padded([np.ones(text.n_tokens, dtype=np.int64) for text in texts], longest, 0, model.device)
    types = None
    if all(text.token_types is not None for text in texts):
        rows = [text.token_types for text in texts if text.token_types is not None]
        types = _padded(rows, longest, 0, model.device)
    where = None
    if tokens:
        pairs = torch.tensor([one[:2] for one in tokens], device=model.device)
        where = (pairs[:, 0], pairs[:, 1])
    try:
        inputs = model.forward_inputs(ids, mask, types)
        return capture(model.module, readings, inputs, mask=mask, tokens=where)
    except LlmMriError:
        raise
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"{model.device} has too little memory for a batch of {batch_tokens} tokens; use a smaller "
            "--batch-tokens"
        ) from error
    except (RuntimeError, IndexError, ValueError, TypeError, NotImplementedError) as error:
        raise ModelError(
            f"model {model.name!r} failed on a batch of {mask.shape[0]} texts of up to {longest} tokens: "
            f"{str(error).strip().splitlines()[0]}"
        ) from error


def _padded(rows: list[Ints], length: int, value: int, device: str) -> torch.Tensor:
    """Rows of different lengths as one tensor, filled on the right, on its way to the device."""
    filled = np.full((len(rows), length), value, dtype=np.int64)
    for place, row in enumerate(rows):
        filled[place, : len(row)] = row
    tensor = torch.from_numpy(filled)
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
