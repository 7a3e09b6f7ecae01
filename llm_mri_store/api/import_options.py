"""What an import may be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict


class ImportOptions(TypedDict, total=False):
    """What an import may be told.

    Attributes:
        name: name of the scan.
        model: what to call the model the activations are of; by default their file name.
        site: where in the model they were read, in words.
        pooling: where there is a vector per token: first, last, mean or max; tokens makes each a sample.
        layers: numbers of the layers, where the file does not name them; where it does, the ones to keep.
        layout: of an array of three axes: samples-first (by default) or layers-first.
        dtype: precision in which they were computed: float32, bfloat16, float16; by default the one they are
            kept in. It decides what counts as rounding.
        text_column, label_column: columns of the samples.
        split: split of a dataset of samples.
        keep_invalid: keep samples with a null text or label, with a status.
        chunk_samples: samples per commit.
    """

    name: str | None
    model: str | None
    site: str
    pooling: str | None
    layers: Sequence[int] | None
    layout: str
    dtype: str | None
    text_column: str
    label_column: str
    split: str | None
    keep_invalid: bool
    chunk_samples: int | None
