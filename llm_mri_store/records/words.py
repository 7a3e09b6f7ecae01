"""Records in words that people read."""

from __future__ import annotations

import re
from typing import Final

import msgspec


def spec_differences(recorded: object, asked: object, *, ignore: frozenset[str] = frozenset()) -> str:
    """Words on the fields in which two specs differ, such as ``"pooling: 'mean' there, 'last' asked"``."""
    there, here = msgspec.to_builtins(recorded), msgspec.to_builtins(asked)
    return "; ".join(
        f"{name}: {_short(there[name])} there, {_short(here[name])} asked"
        for name in there
        if name not in ignore and there[name] != here[name]
    )


def _short(value: object) -> str:
    words = repr(value)
    return words if len(words) <= 40 else words[:37] + "..."


_UNSEEN: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def visible(words: str) -> str:
    r"""Words that a terminal shows as they are: control characters and turned writing are spelled out.

    >>> print(visible("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), words)


def span_words(layers: tuple[int, ...]) -> str:
    """Layers in words.

    >>> span_words((0, 1, 2)), span_words((0, 3)), span_words((6,))
    ('0-2', '0, 3', '6')
    """
    is_gapless = len(layers) > 1 and layers == tuple(range(layers[0], layers[-1] + 1))
    return f"{layers[0]}-{layers[-1]}" if is_gapless else ", ".join(map(str, layers))
