"""Things looked up by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


class Named(Mapping[str, ItemT], Generic[ItemT]):
    """Things by name, listed anew at each look; a name that is not there is answered with the nearest."""

    def __init__(self, names: Callable[[], tuple[str, ...]], make: Callable[[str], ItemT]) -> None:
        self._names = names
        self._make = make

    def __getitem__(self, name: str) -> ItemT:
        return self._make(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def __contains__(self, name: object) -> bool:
        return name in self._names()

    def __repr__(self) -> str:
        return f"<{', '.join(self._names()) or 'none yet'}>"
