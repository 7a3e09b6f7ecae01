"""Finds a transformer's blocks and its final norm by what flows through them in one forward pass.

No family's module names are known here. Blocks are modules with a number at the end of their path; they
are believed only where what leaves them is what the model itself returns as its hidden states.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import torch

from llm_mri_store.errors import ModelError
from llm_mri_store.extraction.points import CapturePoint, captured_tensor, first_argument

_NUMBER: Final = re.compile(r"(^|\.)\d+(?=\.|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A small batch that a model is tried on.

    Attributes:
        inputs: arguments of the reader's forward pass.
        n_texts, n_tokens: the batch's size, padding included.
    """

    inputs: Mapping[str, Any]
    n_texts: int
    n_tokens: int


@dataclass(slots=True, kw_only=True)
class ModuleCall:
    """One call of a module.

    Attributes:
        path: the module below the reader.
        kind: its class.
        call: which call of it in the pass, 0-based.
        entered, left: copies of its first argument and of its output, float (texts, tokens, width);
            None where there is not one vector per token, or where no block or norm can be.
    """

    path: str
    kind: str
    call: int
    entered: torch.Tensor | None = None
    left: torch.Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One forward pass.

    Attributes:
        calls: every module's calls, in the order in which they began.
        last: its last hidden state, or else what it returns for each token, float (texts, tokens, width);
            None where it returns no such thing.
        states: the hidden states it says it has; empty where it gives none.
    """

    calls: tuple[ModuleCall, ...]
    last: torch.Tensor | None
    states: tuple[torch.Tensor, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """A model's blocks and what follows them.

    Attributes:
        blocks: block i is entry i - 1: path and which call of it.
        residual: where layers 0 .. n of the residual stream are read.
        final_norm: where the final norm is read; None where there is none behind the last block.
    """

    blocks: tuple[CapturePoint, ...]
    residual: tuple[CapturePoint, ...]
    final_norm: CapturePoint | None


@dataclass(slots=True)
class _Tracer:
    """Hooks of one pass."""

    n_texts: int
    n_tokens: int
    calls: list[ModuleCall] = field(default_factory=list)
    of_module: dict[str, list[ModuleCall]] = field(default_factory=dict)

    def on_entry(
        self, path: str, module: torch.nn.Module, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> None:
        before = self.of_module.setdefault(path, [])
        entered = self._copy(path, first_argument(args, kwargs))
        call = ModuleCall(path=path, kind=type(module).__name__, call=len(before), entered=entered)
        before.append(call)
        self.calls.append(call)

    def on_exit(self, path: str, output: object) -> None:
        self.of_module[path][-1].left = self._copy(path, output)

    def _copy(self, path: str, value: object) -> torch.Tensor | None:
        """A copy, because a later step may work in place; only of modules that can be a block or a norm."""
        if _NUMBER.search(path) and not _ends_in_number(path):
            return None
        try:
            return captured_tensor(value, self.n_texts, self.n_tokens).detach().clone()
        except ModelError:
            return None


def trace_pass(reader: torch.nn.Module, probe: Probe, *, with_states: bool) -> Trace:
    """Runs the reader once and notes what flows through its modules.

    Args:
        reader: the model.
        probe: what it reads.
        with_states: ask the model for its hidden states as well.
    """
    tracer = _Tracer(probe.n_texts, probe.n_tokens)
    handles = []
    try:
        for path, module in reader.named_modules():
            if path:
                handles.append(
                    module.register_forward_pre_hook(
                        lambda module, args, kwargs, path=path: tracer.on_entry(path, module, args, kwargs),
                        with_kwargs=True,
                    )
                )
                handles.append(
                    module.register_forward_hook(
                        lambda _, __, output, path=path: tracer.on_exit(path, output)
                    )
                )
        asked = {"output_hidden_states": True} if with_states else {}
        output = reader(**probe.inputs, **asked)
    finally:
        for handle in handles:
            handle.remove()
    name = "decoder_hidden_states" if "decoder_input_ids" in probe.inputs else "hidden_states"
    states = tuple(getattr(output, name, None) or ())
    # A model with a head returns something else; its last hidden state is then what comes nearest.
    last = states[-1] if states and not hasattr(output, "last_hidden_state") else output
    return Trace(
        calls=tuple(tracer.calls),
        last=returned_vectors(last, probe.n_texts, probe.n_tokens),
        states=states,
    )


def returned_vectors(output: object, n_texts: int, n_tokens: int) -> torch.Tensor | None:
    """What a model returns for each token, float (texts, tokens, width); None where it returns no such."""
    try:
        return captured_tensor(getattr(output, "last_hidden_state", output), n_texts, n_tokens)
    except ModelError:
        return None


def find_anatomy(trace: Trace) -> Anatomy:
    """The blocks whose inputs and outputs are the model's hidden states, and the norm behind the last one.

    Every hidden state but the last must be what enters the first block or leaves a block; the last must
    be what leaves the last block, or what the final norm makes of that. Of a model that gives no hidden
    states, what leaves each block must be what enters the next one.

    Raises:
        ModelError: no modules fulfil this.
    """
    n_blocks = len(trace.states) - 1
    groups = [one for one in _numbered(trace.calls) if not trace.states or len(one) == n_blocks]
    # Blocks may be wrapped in numbered modules that hold one block each: the innermost lie nearest to
    # the sublayers.
    for calls in reversed(groups):
        residual = _residual(calls, trace.states)
        if residual is None:
            continue
        tail = _tail(trace, calls[-1])
        if tail is None:
            continue
        norms = [call for call in tail if "norm" in call.kind.lower()]
        return Anatomy(
            blocks=tuple(_output(call) for call in calls),
            residual=residual,
            final_norm=_output(norms[0]) if norms else None,
        )
    if not trace.states:
        raise ModelError("it returns no hidden states, and no modules that follow one another were found")
    if not groups:
        raise ModelError(f"it returns {len(trace.states)} hidden states but has no {n_blocks} blocks")
    raise ModelError("what leaves its blocks is not what it returns as its hidden states")


def _numbered(calls: Sequence[ModuleCall]) -> list[list[ModuleCall]]:
    """Calls of modules whose paths differ only in their numbers and end in one, such as ``h.0``, ``h.1``."""
    groups: dict[str, list[ModuleCall]] = {}
    for call in calls:
        if _ends_in_number(call.path):
            groups.setdefault(_NUMBER.sub(r"\1*", call.path), []).append(call)
    return list(groups.values())


def _residual(calls: Sequence[ModuleCall], states: Sequence[torch.Tensor]) -> tuple[CapturePoint, ...] | None:
    """Where the stream before the first and behind each block is read; None if these are no blocks."""
    is_chain = all(_same(one.left, after.entered) for one, after in pairwise(calls))
    whole = (_input(calls[0]), *(_output(call) for call in calls))
    if not states:
        return whole if is_chain and len(calls) > 1 else None
    # Mamba's first hidden state is what leaves the first block, not what enters it.
    if is_chain and all(_same(call.left, state) for call, state in zip(calls, states, strict=False)):
        return whole
    points = [_input(calls[0])]
    if not _same(calls[0].entered, states[0]):
        return None
    for (call, after), state in zip(pairwise(calls), states[1:], strict=False):
        # DeBERTa changes the stream between its first and its second block.
        if _same(call.left, state):
            points.append(_output(call))
        elif _same(after.entered, state):
            points.append(_input(after))
        else:
            return None
    return (*points, _output(calls[-1]))


def _tail(trace: Trace, last_block: ModuleCall) -> list[ModuleCall] | None:
    """Modules that take the last block's output on to what the model returns; None if that is not reached."""
    tail: list[ModuleCall] = []
    current = last_block.left
    last_state = trace.states[-1] if trace.states else current
    reached = _same(current, last_state)
    behind = trace.calls[_place(trace.calls, last_block) + 1 :]
    for call in (one for one in behind if not _NUMBER.search(one.path)):
        if _same(current, trace.last):
            break
        if call.left is not None and _same(call.entered, current):
            tail.append(call)
            current = call.left
            reached = reached or _same(current, last_state)
    return tail if reached and _same(current, trace.last) else None


def _place(calls: Sequence[ModuleCall], wanted: ModuleCall) -> int:
    return next(place for place, call in enumerate(calls) if call is wanted)


def _ends_in_number(path: str) -> bool:
    return path.rpartition(".")[2].isdigit()


def _input(call: ModuleCall) -> CapturePoint:
    return CapturePoint(module=call.path, end="input", call=call.call)


def _output(call: ModuleCall) -> CapturePoint:
    return CapturePoint(module=call.path, end="output", call=call.call)


def _same(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    """True when each entry is the other's but for a change of precision; what is not a number is alike."""
    if one is None or other is None or one.shape != other.shape:
        return False
    epsilon = max(torch.finfo(one.dtype).eps, torch.finfo(other.dtype).eps)
    here, there = one.float(), other.to(one.device).float()
    return bool(torch.allclose(here, there, rtol=4 * epsilon, atol=0.0, equal_nan=True))
