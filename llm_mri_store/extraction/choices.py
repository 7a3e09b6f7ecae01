"""What ``auto`` comes to: the device, precision and pooling of a scan."""

from __future__ import annotations

from typing import Final, Literal

import torch

from llm_mri_store.errors import InvalidInput, ModelError
from llm_mri_store.records.choices import DTYPES, POOLINGS, DType, Pooling

TORCH_DTYPES: Final[dict[DType, torch.dtype]] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "bfloat16-autocast": torch.float32,
}
"""Dtype of the weights by the name of a precision."""

AUTOCAST_DTYPES: Final[dict[DType, torch.dtype]] = {"bfloat16-autocast": torch.bfloat16}
"""Dtype that products are computed in, of a precision in which it is not the weights'."""

TOKENS: Final = "tokens"
"""The pooling that is none: each token is a sample of its own."""


def resolve_device(device: str) -> str:
    """The device itself; for ``auto`` the first CUDA device, else Apple's, else the CPU.

    Raises:
        ModelError: the device is not there, or torch does not know it.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ModelError(
            f"device {device!r} is not there ({str(error).splitlines()[0]}); use --device cpu or auto"
        ) from error
    return device


def resolve_dtype(dtype: str, device: str, of_model: object) -> DType:
    """The dtype itself; for ``auto`` float32, on CUDA the model's own 16-bit one.

    Raises:
        InvalidInput: it is none of ``DTYPES``.

    >>> resolve_dtype("auto", "cpu", torch.bfloat16)
    'float32'
    """
    for known in DTYPES:
        if dtype == known:
            return known
    if dtype != "auto":
        raise InvalidInput(f"dtype {dtype!r} is not one of auto, {', '.join(DTYPES)}")
    if device.startswith("cuda") and of_model in {torch.bfloat16, torch.float16}:
        return dtype_name(of_model)
    return "float32"


def dtype_name(dtype: object) -> DType:
    """Our name of a torch dtype.

    Raises:
        ModelError: it is none of ``DTYPES``.

    >>> dtype_name(torch.float16)
    'float16'
    """
    for name, of_weights in TORCH_DTYPES.items():
        if of_weights == dtype:
            return name
    raise ModelError(f"the model's dtype {dtype} is not one of {', '.join(DTYPES)}")


def resolve_pooling(pooling: str, *, is_causal: bool, force: bool) -> Pooling | Literal["tokens"]:
    """The pooling itself; for ``auto`` ``last`` of a causal model, else ``first``.

    Raises:
        InvalidInput: it is unknown, or ``first`` for a causal model and not forced.

    >>> resolve_pooling("auto", is_causal=True, force=False)
    'last'
    """
    check_pooling(pooling)
    if pooling == "first" and is_causal and not force:
        raise InvalidInput(
            "the first token of a causal model sees only itself, so pooling 'first' says nothing of the "
            "text; use last, mean or max (or --force)"
        )
    if pooling == TOKENS:
        return "tokens"
    for known in POOLINGS:
        if pooling == known:
            return known
    return "last" if is_causal else "first"


def check_pooling(pooling: str) -> None:
    """Refuses a pooling that there is not.

    Raises:
        InvalidInput: it is neither ``auto`` nor ``tokens`` nor one of ``POOLINGS``.
    """
    if pooling not in {"auto", *POOLINGS, TOKENS}:
        raise InvalidInput(f"pooling {pooling!r} is not one of auto, {', '.join(POOLINGS)}, {TOKENS}")
