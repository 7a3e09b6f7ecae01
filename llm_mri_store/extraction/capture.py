"""Hooks that pool activations where they arise, so that no full hidden state is kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import torch

from llm_mri_store.errors import ModelError
from llm_mri_store.extraction.points import CapturePoint, Site, captured_tensor, first_argument
from llm_mri_store.extraction.pooling import pool
from llm_mri_store.records import Pooling


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


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a captured vector goes: which reading's buffer, and which layer of it."""

    reading: int
    layer: int


class _AllCaptured(Exception):
    """Ends a forward pass when everything wanted has been seen: no later layer is run."""


class Capture:
    """Pools what passes chosen points of a model into a buffer per reading, on the model's device.

    As a context manager it puts its hooks into the model and takes them out again.

    Args:
        module: the model.
        readings: what is wanted.
    """

    def __init__(self, module: torch.nn.Module, readings: Sequence[Reading]) -> None:
        self._module = module
        self._readings = tuple(readings)
        self._targets: dict[CapturePoint, list[_Target]] = defaultdict(list)
        for place, reading in enumerate(self._readings):
            for layer_place, layer in enumerate(reading.layers):
                self._targets[reading.site.points[layer]].append(_Target(place, layer_place))
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        self._calls: Counter[tuple[str, str]] = Counter()
        self._waiting: set[CapturePoint] = set()
        self._buffers: list[torch.Tensor] = []
        self._mask = torch.empty(0)
        self._tokens: tuple[torch.Tensor, torch.Tensor] | None = None

    def __enter__(self) -> Self:
        for path, end in sorted({(point.module, point.end) for point in self._targets}):
            module = self._module.get_submodule(path)
            if end == "output":
                hook = module.register_forward_hook(self._output_hook(path), with_kwargs=True)
            else:
                hook = module.register_forward_pre_hook(self._input_hook(path), with_kwargs=True)
            self._hooks.append(hook)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._hooks:
            self._hooks.pop().remove()

    def run(
        self,
        inputs: dict[str, Any],
        mask: torch.Tensor,
        tokens: tuple[torch.Tensor, torch.Tensor] | None = None,
    ) -> list[torch.Tensor]:
        """One forward pass, up to the last point that is wanted.

        Args:
            inputs: arguments of the model's forward.
            mask: (texts, tokens), 1 on real tokens; on the model's device.
            tokens: for readings of tokens, the row and the position of each one kept, (kept,) each.

        Returns:
            Per reading a float32 tensor (texts or kept tokens, layers, width) on the model's device.

        Raises:
            ModelError: a wanted point was not passed, or gave no vector per token.
        """
        self._mask, self._tokens = mask, tokens
        self._buffers = [
            torch.empty(
                (self._n_rows(reading), len(reading.layers), reading.site.width),
                dtype=torch.float32,
                device=mask.device,
            )
            for reading in self._readings
        ]
        self._calls.clear()
        self._waiting = set(self._targets)
        with suppress(_AllCaptured):
            self._module(**inputs)
        if self._waiting:
            raise ModelError(
                f"nothing came by at {', '.join(sorted(map(str, self._waiting)))}: the model did not run "
                "this module; choose another site (see 'llm-mri sites')"
            )
        buffers, self._buffers = self._buffers, []
        return buffers

    def _n_rows(self, reading: Reading) -> int:
        if reading.pooling == "tokens":
            return 0 if self._tokens is None else len(self._tokens[0])
        return len(self._mask)

    def _output_hook(self, path: str) -> Callable[..., None]:
        def hook(_: torch.nn.Module, __: Any, ___: Any, output: Any) -> None:
            self._take(path, "output", output)

        return hook

    def _input_hook(self, path: str) -> Callable[..., None]:
        def hook(_: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            self._take(path, "input", first_argument(args, kwargs))

        return hook

    def _take(self, path: str, end: Literal["input", "output"], value: Any) -> None:
        point = CapturePoint(module=path, end=end, call=self._calls[path, end])
        self._calls[path, end] += 1
        if point not in self._waiting:
            return
        states = captured_tensor(value, *self._mask.shape)
        # Whatever the model computes in, pooling is float32.
        with torch.autocast(states.device.type, enabled=False):
            for target in self._targets[point]:
                reading = self._readings[target.reading]
                self._buffers[target.reading][:, target.layer] = self._pooled(states, reading)
        self._waiting.discard(point)
        if not self._waiting:
            raise _AllCaptured

    def _pooled(self, states: torch.Tensor, reading: Reading) -> torch.Tensor:
        if reading.pooling != "tokens":
            return pool(states, self._mask, reading.pooling)
        if self._tokens is None:
            raise ModelError("a reading of tokens needs to be told which tokens are kept")
        return states[self._tokens].float()
