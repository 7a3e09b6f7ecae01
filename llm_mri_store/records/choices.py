"""What may be chosen of a scan and a reduction, by the names it is stored under."""

from __future__ import annotations

from typing import Final, Literal

Pooling = Literal["first", "last", "mean", "max"]
POOLINGS: Final[tuple[Pooling, ...]] = ("first", "last", "mean", "max")

StoredPooling = Literal["first", "last", "mean", "max", "tokens", "imported"]
"""How a stored vector came about: pooled over a text, of one token by itself, or by who made the file."""

Side = Literal["encoder", "decoder"]
SIDES: Final[tuple[Side, ...]] = ("encoder", "decoder")

Method = Literal["pca", "svd", "umap"]
METHODS: Final[tuple[Method, ...]] = ("pca", "svd", "umap")

Bins = Literal["width", "quantile"]
BINS: Final[tuple[Bins, ...]] = ("width", "quantile")

DType = Literal["float32", "bfloat16", "float16", "bfloat16-autocast"]
DTYPES: Final[tuple[DType, ...]] = ("float32", "bfloat16", "float16", "bfloat16-autocast")
"""Precision of the forward pass; autocast: float32 weights, products in bfloat16."""
