"""Where in a forward pass activations are read: capture points, and the sites that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


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
