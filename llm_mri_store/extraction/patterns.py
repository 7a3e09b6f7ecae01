"""Sites of a user's own: a module path pattern such as ``h.{layer}.mlp``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import torch

from llm_mri_store.errors import InvalidInput, ModelError, UnknownName
from llm_mri_store.extraction.anatomy import Probe
from llm_mri_store.extraction.points import CapturePoint, Site
from llm_mri_store.extraction.sites import Points, make_site, try_points

PLACEHOLDER: Final = "{layer}"
"""Stands for the 0-based number of a block; block k is layer k + 1."""

_NUMBER: Final = re.compile(r"(?<![^.])\d+(?![^.])")


class _Pattern(NamedTuple):
    """A pattern's parts: which end of the modules, and the path before and behind the block's number."""

    end: Literal["input", "output"]
    before: str
    behind: str


def is_pattern(name: str, reader: torch.nn.Module) -> bool:
    """True when a site's name is meant as a module path: by its braces or dots, or because it is one."""
    return bool(set(name) & set("{}.")) or name in dict(reader.named_children())


def pattern_site(name: str, reader: torch.nn.Module, probe: Probe, *, known: Iterable[str]) -> Site:
    """The site that a module path pattern describes, tried on a probe.

    Args:
        name: a module path below the reader with ``{layer}`` where the block's 0-based number stands: its
            output is read; ``input of h.{layer}.mlp.c_proj`` reads what goes in. Block k is layer k + 1;
            modules that are called several times in a pass, because blocks share them, are layers
            1, 2, ... in the order of their calls.
        reader: the model.
        probe: what the site is tried on.
        known: names of the sites there are, for the message.

    Raises:
        InvalidInput: the pattern has no ``{layer}``, or more than one.
        UnknownName: no module's path is like that.
        ModelError: its modules do not give one vector per token of the same width in every layer.
    """
    pattern = _parse(name, known)
    blocks = _matching(pattern, reader)
    if not blocks:
        every = [*known, *_patterns(reader)]
        raise UnknownName("site", name, known=every, where=f"this {type(reader).__name__}")
    calls = _calls(blocks, reader, probe)
    if not calls:
        raise ModelError(f"no forward pass gets to {name}, so there is nothing to read")
    points: Points = {}
    if len(calls) == len(set(calls)):
        for path, block in blocks.items():
            points[block + 1] = CapturePoint(module=path, end=pattern.end)
    else:
        for place, path in enumerate(calls):
            points[place + 1] = CapturePoint(module=path, end=pattern.end, call=calls[:place].count(path))
    tried = try_points(reader, set(points.values()), probe)
    return make_site(name, points, tried, what=f"{pattern.end} of a module, by its path")


def _parse(name: str, known: Iterable[str]) -> _Pattern:
    first, of, path = name.partition(" of ")
    end: Literal["input", "output"] = "input" if of and first == "input" else "output"
    if not of or first not in {"input", "output"}:
        path = name
    before, placeholder, behind = path.strip().partition(PLACEHOLDER)
    if not placeholder or set(behind + before) & set("{}"):
        raise InvalidInput(
            f"site {name!r} is neither one of {', '.join(known) or 'none'} nor a module path pattern, which "
            f"has {PLACEHOLDER} once, where the block's number stands, as in h.{PLACEHOLDER}.mlp"
        )
    return _Pattern(end, before, behind)


def _matching(pattern: _Pattern, reader: torch.nn.Module) -> dict[str, int]:
    """Path of each module that the pattern describes -> the block's 0-based number, ascending."""
    shape = re.compile(f"{re.escape(pattern.before)}(\\d+){re.escape(pattern.behind)}")
    found = {
        path: int(match[1])
        for path, _ in reader.named_modules(remove_duplicate=False)
        if (match := shape.fullmatch(path))
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _patterns(reader: torch.nn.Module) -> list[str]:
    """Every pattern that describes some module."""
    paths = (path for path, _ in reader.named_modules(remove_duplicate=False))
    return list(
        dict.fromkeys(_NUMBER.sub(PLACEHOLDER, path, count=1) for path in paths if _NUMBER.search(path))
    )


def _calls(blocks: dict[str, int], reader: torch.nn.Module, probe: Probe) -> list[str]:
    """Paths of the modules in the order in which one pass calls them."""
    calls: list[str] = []
    handles = [
        reader.get_submodule(path).register_forward_pre_hook(lambda *_, path=path: calls.append(path))
        for path in blocks
    ]
    try:
        with torch.inference_mode():
            reader(**probe.inputs)
    finally:
        for handle in handles:
            handle.remove()
    return calls
