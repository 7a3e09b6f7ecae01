"""Where in a forward pass activations are read: capture points, and the sites that are made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from llm_mri_store.errors import ModelError


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePoint:
    """One place in a forward pass that gives a vector per token.

    Attributes:
        module: dotted path of the module below the reader; ``""`` is the reader itself.
        end: what goes into the module (its first argument) or what comes out of it.
        call: which call of the module in one forward pass, 0-based; more than one where blocks share weights.
    """

    module: str
    end: Literal["input", "output"]
    call: int = 0

    def __str__(self) -> str:
        again = f", call {self.call + 1}" if self.call else ""
        return f"{self.end} of {self.module or 'the model'}{again}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where in each block activations are read.

    Attributes:
        name: ``residual``, ``final_norm``, ``mlp``, ``neurons``, ``attention``, or a module path pattern.
        points: layer -> where it is read, ascending; 0 is the embedding output, i belongs to block i.
        width: length of a vector.
        what: the site in words.
    """

    name: str
    points: Mapping[int, CapturePoint]
    width: int
    what: str

    @property
    def layers(self) -> tuple[int, ...]:
        """Layers that can be read, ascending."""
        return tuple(self.points)

    @property
    def read_at(self) -> str:
        """Where the layers are read, such as ``input of h.0; output of h.{layer}``.

        ``{layer}`` is the block's 0-based number; each part that has it is a site's name for
        ``LoadedModel.site`` as well.
        """
        is_shared = any(point.call for point in self.points.values())
        places: dict[str, None] = {}
        for layer, point in self.points.items():
            parts = point.module.split(".")
            if not is_shared and str(layer - 1) in parts:
                parts[parts.index(str(layer - 1))] = "{layer}"
            again = ", each call" if is_shared and layer else ""
            places[f"{point.end} of {'.'.join(parts)}{again}"] = None
        return "; ".join(places)


@contextmanager
def reading(
    reader: torch.nn.Module,
    points: Sequence[CapturePoint],
    receive: Callable[[CapturePoint, object], None],
) -> Iterator[None]:
    """Hands over what passes the points during one forward pass of the reader.

    A value belongs to the model, which may go on to change it in place (Falcon adds its attention to its
    feed-forward output so): ``receive`` must take what it wants of it, or copy it, before it returns.

    Args:
        reader: the module that the points' paths start from.
        points: where to read; each a module that the reader has.
        receive: told point and raw value, in the order of the forward pass; a point that is not
            passed is not told of.
    """
    wanted: dict[str, list[CapturePoint]] = {}
    for point in points:
        wanted.setdefault(point.module, []).append(point)
    n_calls: Counter[tuple[str, str]] = Counter()

    def passed(module: str, end: str, value: object) -> None:
        call = n_calls[module, end]
        n_calls[module, end] += 1
        for point in wanted[module]:
            if point.end == end and point.call == call:
                receive(point, value)

    handles = []
    try:
        for path, there in wanted.items():
            module = reader.get_submodule(path)
            ends = {point.end for point in there}
            if "input" in ends:
                handles.append(module.register_forward_pre_hook(_on_entry(path, passed), with_kwargs=True))
            if "output" in ends:
                handles.append(module.register_forward_hook(_on_exit(path, passed)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _on_entry(path: str, passed: Callable[[str, str, object], None]) -> Callable[..., None]:
    def hook(_: torch.nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        passed(path, "input", first_argument(args, kwargs))

    return hook


def _on_exit(path: str, passed: Callable[[str, str, object], None]) -> Callable[..., None]:
    def hook(_: torch.nn.Module, __: tuple[object, ...], output: object) -> None:
        passed(path, "output", output)

    return hook


def first_argument(args: tuple[object, ...], kwargs: Mapping[str, object]) -> object:
    """What a module is called with: its first positional argument, else ``hidden_states``, else the first.

    >>> first_argument((), {"mask": 1, "hidden_states": 2})
    2
    """
    if args:
        return args[0]
    return kwargs.get("hidden_states", next(iter(kwargs.values()), None))


def captured_tensor(value: object, n_texts: int, n_tokens: int) -> torch.Tensor:
    """The vectors in a captured value: float (texts, tokens, width), the model's own tensor.

    Args:
        value: what went into a module or came out of it: a tensor, or what holds tensors, of which
            the first counts. One row for each token of all texts is unfolded.
        n_texts: texts in the batch.
        n_tokens: tokens of each, padding included.

    Raises:
        ModelError: it does not hold one vector per token.

    >>> captured_tensor((torch.zeros(6, 4), None), 2, 3).shape
    torch.Size([2, 3, 4])
    """
    tensor = first_tensor(value)
    if tensor is None:
        raise ModelError(f"gives {type(value).__name__}, not a tensor with one vector per token")
    shape = tuple(tensor.shape)
    if tensor.is_floating_point() and shape[:2] == (n_texts, n_tokens) and len(shape) == 3:
        return tensor
    if tensor.is_floating_point() and shape[:1] == (n_texts * n_tokens,) and len(shape) == 2:
        return tensor.reshape(n_texts, n_tokens, shape[1])
    kind = str(tensor.dtype).removeprefix("torch.")
    raise ModelError(
        f"gives {kind} numbers of shape {shape} for {n_texts} texts of {n_tokens} tokens, not one vector per "
        f"token, which is a float tensor of shape ({n_texts}, {n_tokens}, width)"
    )


def first_tensor(value: Any) -> torch.Tensor | None:
    """A tensor itself, or the first one in a tuple, list or model output; None where there is none."""
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple | list):
        return next((one for one in value if isinstance(one, torch.Tensor)), None)
    return None
