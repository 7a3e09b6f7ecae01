"""Which layers the arrays of a file are: by their names, or by the numbers that were given for them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from llm_mri_store.errors import InvalidInput, UnknownName

MOST_LAYER: Final = 2**15 - 1
"""A points file keeps the layer in 16 bits."""

_LAYER_NUMBERS: Final = (
    re.compile(r"(?:(?:layer|block)s?|\bh\b)[^a-z0-9]*([0-9]{1,9})", re.IGNORECASE),
    re.compile(r"(?<![A-Za-z0-9])([0-9]{1,9})(?![A-Za-z0-9])"),
    re.compile(r"([0-9]{1,9})"),
)
"""Where a name tells its layer, the likeliest first."""


def place_block(n_layers: int, layers: Sequence[int] | None, *, where: str) -> dict[int, int]:
    """Layer -> place along the layer axis of one array, layers ascending.

    Raises:
        InvalidInput: there are more layers than can be, or not as many as were named.
    """
    if n_layers > MOST_LAYER + 1:
        raise InvalidInput(f"{where} would be {n_layers:,} layers; is its --layout another one?")
    return place_layers([None] * n_layers, layers, default=range(n_layers), where=where)


def place_layers(
    names: Sequence[str | None], layers: Sequence[int] | None, *, default: Sequence[int] | None, where: str
) -> dict[int, int]:
    """Layer -> place among ``names``, layers ascending.

    Args:
        names: what each array or column is called; None for one without a name of its own.
        layers: the layers asked for (see ``ArrayChoices.layers``).
        default: numbers of arrays without names, where no layers were asked for; None: they must be.
        where: what to call their file in a message.

    Raises:
        InvalidInput: a name tells no layer, two tell the same, or the layers asked for are not as many as
            there are arrays without names.
        UnknownName: a layer asked for is not there.

    >>> place_layers(["layer_12", "layer_00", "layer_06"], None, default=None, where="x.npz")
    {0: 1, 6: 2, 12: 0}
    """
    for layer in layers or ():
        if not 0 <= layer <= MOST_LAYER:
            raise InvalidInput(f"layer {layer} is not a number from 0 to {MOST_LAYER}")
    if layers is not None and (not layers or len(set(layers)) < len(layers)):
        raise InvalidInput(f"--layers must name one or more layers, each once, got {list(layers)}")
    numbers = [None if name is None else layer_of_name(name) for name in names]
    if all(number is None for number in numbers):
        return _number_layers(names, layers, default=default, where=where)
    placed: dict[int, int] = {}
    for place, number in enumerate(numbers):
        if number is None and layers is None:
            raise InvalidInput(
                f"{called(names[place], where)} does not say of which layer it is; name it such as "
                "layer_06, or choose the layers with --layers"
            )
        if number is None or (layers is not None and number not in layers):
            continue
        if number in placed:
            raise InvalidInput(
                f"{where} holds layer {number} twice, as {names[placed[number]]!r} and {names[place]!r}; "
                "rename one"
            )
        if number > MOST_LAYER:
            raise InvalidInput(f"{called(names[place], where)} is of no layer from 0 to {MOST_LAYER}")
        placed[number] = place
    for layer in layers or ():
        if layer not in placed:
            known = sorted({number for number in numbers if number is not None})
            raise UnknownName("layer", layer, known=known, where=where)
    return dict(sorted(placed.items()))


def _number_layers(
    names: Sequence[str | None], layers: Sequence[int] | None, *, default: Sequence[int] | None, where: str
) -> dict[int, int]:
    if len(names) > 1 and any(name is not None for name in names):
        raise InvalidInput(
            f"{', '.join(repr(name) for name in names[:4])} in {where} do not say of which layers they are; "
            "name them such as layer_00, layer_06"
        )
    layers = default if layers is None else layers
    if layers is None:
        raise InvalidInput(f"{where} does not say of which layer it is; say so with --layer")
    if len(layers) != len(names):
        raise InvalidInput(
            f"{where} holds {len(names):,} layers, but --layers names {len(layers):,}; name one for each"
        )
    return dict(sorted((layer, place) for place, layer in enumerate(layers)))


def layer_of_name(name: str) -> int | None:
    """The layer that a name tells: the number behind layer, block or h, else its last number.

    A number that stands by itself is preferred to one that ends a word. None where there is none.

    >>> layer_of_name("layer_06"), layer_of_name("blocks.6.ln1.hook_normalized"), layer_of_name("resid_6")
    (6, 6, 6)
    """
    for pattern in _LAYER_NUMBERS:
        if found := pattern.findall(name):
            return int(found[-1])
    return None


def called(name: str | None, where: str) -> str:
    """What to call an array in a message."""
    return where if name is None else f"{name!r} in {where}"
