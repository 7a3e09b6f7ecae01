"""What stands for a corpus and for a model in a scan's identity: digests of their content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

_HASHED_ROWS: Final = 65_536
_VOLATILE_SETTINGS: Final = frozenset(
    {"_name_or_path", "architectures", "dtype", "torch_dtype", "transformers_version", "use_cache"}
)
_UNREAD_WEIGHTS: Final = "pooler."
"""Weights behind the last hidden state; a checkpoint often lacks them, and they are then random."""


def fingerprint_rows(rows: pa.Table) -> str:
    """Hex sha256 of a table's column names, types and values, in order, whatever its chunks.

    Args:
        rows: columns of strings, integers, floats, booleans, dates and timestamps.

    >>> one = pa.table({"text": ["a", "b"]})
    >>> fingerprint_rows(one) == fingerprint_rows(pa.concat_tables([one[:1], one[1:]]))
    True
    """
    whole = hashlib.sha256()
    for field in rows.schema:
        # Lengths, validity and values go into digests of their own, so that where one chunk ends
        # and the next begins leaves no trace.
        parts = (hashlib.sha256(), hashlib.sha256(), hashlib.sha256())
        for chunk in rows[field.name].chunks:
            for start in range(0, len(chunk), _HASHED_ROWS):
                for part, content in zip(parts, _contents(chunk[start : start + _HASHED_ROWS]), strict=True):
                    part.update(content)
        whole.update(f"{field.name}:{field.type}:{len(rows)}\n".encode())
        for part in parts:
            whole.update(part.digest())
    return whole.hexdigest()


def _contents(values: pa.Array) -> tuple[bytes, bytes, bytes]:
    """Which values are there, how long each is, and their bytes."""
    is_there = _bytes_of(pc.is_valid(values))
    if pa.types.is_string(values.type):
        texts = pc.fill_null(values, "")
        return is_there, _bytes_of(pc.binary_length(texts)), "".join(texts.to_pylist()).encode()
    if pa.types.is_date32(values.type):
        values = values.cast(pa.int32())
    elif pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return is_there, b"", _bytes_of(pc.fill_null(values, pa.scalar(0).cast(values.type)))


def _bytes_of(values: pa.Array) -> bytes:
    return np.ascontiguousarray(values.to_numpy(zero_copy_only=False)).tobytes()


def fingerprint_model(reader: torch.nn.Module, tokenizer: PreTrainedTokenizerBase) -> str:
    """Hex sha256 of a model's weights, settings and tokenizer.

    The same whether the model came from a folder, from the Hub or as an object; weights that no hidden
    state depends on are left out.
    """
    digest = hashlib.sha256(_settings(reader).encode())
    for words in _tokenizer_words(tokenizer):
        digest.update(hashlib.sha256(words.encode()).digest())
    for name, content in _weights(reader):
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()


def _settings(reader: torch.nn.Module) -> str:
    config = getattr(reader, "config", None)
    settings = {} if config is None else config.to_dict()
    kept = {name: value for name, value in settings.items() if name not in _VOLATILE_SETTINGS}
    return json.dumps(kept, sort_keys=True, default=str)


def _tokenizer_words(tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    yield f"{tokenizer.truncation_side} {tokenizer.special_tokens_map}"
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        yield repr(sorted(tokenizer.get_vocab().items()))
    else:
        # How it was last called to cut and pad stays in a tokenizer, but is no part of what it is.
        parts = json.loads(backend.to_str())
        yield json.dumps(
            {name: part for name, part in parts.items() if name not in {"truncation", "padding"}}
        )


def _weights(reader: torch.nn.Module) -> Iterator[tuple[str, memoryview]]:
    import torch

    for name, tensor in sorted(reader.state_dict().items()):
        if not name.startswith(_UNREAD_WEIGHTS):
            raw = tensor.detach().contiguous().cpu().flatten().view(torch.uint8).numpy()
            yield f"{name} {tuple(tensor.shape)} {tensor.dtype}\n", memoryview(raw)
