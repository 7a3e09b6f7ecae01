"""One forward pass whose activations are pooled where they arise, so that no full hidden state is kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

import torch

from llm_mri_store.errors import ModelError
from llm_mri_store.extraction.points import CapturePoint, Site, captured_tensor, reading
from llm_mri_store.extraction.pooling import pool
from llm_mri_store.records.choices import Pooling


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one scan takes from a forward pass.

    Attributes:
        site: where in a block.
        layers: which layers, ascending.
        pooling: how a text's tokens become one vector; ``tokens``: each kept token by itself.
    """

    site: Site
    layers: tuple[int, ...]
    pooling: Pooling | Literal["tokens"]


class _AllCaptured(Exception):
    """Ends a forward pass when everything wanted has been seen: no later layer is run."""


def capture(
    module: torch.nn.Module,
    readings: Sequence[Reading],
    inputs: dict[str, Any],
    *,
    mask: torch.Tensor,
    tokens: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> list[torch.Tensor]:
    """One forward pass, up to the last point that is wanted.

    Args:
        module: the model.
        readings: what is wanted.
        inputs: arguments of the model's forward.
        mask: (texts, tokens), 1 on real tokens; on the model's device.
        tokens: for readings of tokens, the row and the position of each one kept, (kept,) each.

    Returns:
        Per reading a float32 tensor (texts or kept tokens, layers, width) on the model's device.

    Raises:
        ModelError: a wanted point was not passed, or gave no vector per token.
    """
    n_kept = 0 if tokens is None else len(tokens[0])
    buffers = [
        torch.empty(
            (n_kept if one.pooling == "tokens" else len(mask), len(one.layers), one.site.width),
            dtype=torch.float32,
            device=mask.device,
        )
        for one in readings
    ]
    targets: dict[CapturePoint, list[tuple[Reading, torch.Tensor]]] = defaultdict(list)
    for one, buffer in zip(readings, buffers, strict=True):
        for place, layer in enumerate(one.layers):
            targets[one.site.points[layer]].append((one, buffer[:, place]))
    waiting = set(targets)

    def receive(point: CapturePoint, value: object) -> None:
        states = captured_tensor(value, *mask.shape)
        # Whatever the model computes in, pooling is float32.
        with torch.autocast(states.device.type, enabled=False):
            for one, target in targets[point]:
                target.copy_(_pooled(states, one, mask, tokens))
        waiting.discard(point)
        if not waiting:
            raise _AllCaptured

    with reading(module, list(targets), receive), suppress(_AllCaptured):
        module(**inputs)
    if waiting:
        raise ModelError(
            f"nothing came by at {', '.join(sorted(map(str, waiting)))}: the model did not run this module; "
            "choose another site (see 'llm-mri sites')"
        )
    return buffers


def _pooled(
    states: torch.Tensor, one: Reading, mask: torch.Tensor, tokens: tuple[torch.Tensor, torch.Tensor] | None
) -> torch.Tensor:
    if one.pooling != "tokens":
        return pool(states, mask, one.pooling)
    if tokens is None:
        raise ModelError("a reading of tokens needs to be told which tokens are kept")
    return states[tokens].float()
