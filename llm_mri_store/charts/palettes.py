"""The colours of charts on light and on dark ground, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Ground = Literal["light", "dark"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours on one ground, each ``"#rrggbb"``.

    Attributes:
        ink: titles, numbers, lines that are read.
        quiet_ink: subtitles and axis labels.
        paper: the ground.
        grid: grid lines and frames.
        empty: a cell without samples.
        chance: the band of what chance alone gives.
        chance_line: the middle of that band.
        unknown: a cell that holds samples but has no difference: the one cell of a degenerate layer.
        others: what stands for the rest of something that is drawn in part.
        sequential: counts and shares, small to large.
        weights: sizes in one hue, small to large, each of which shows on the ground.
        balance: two labels, the first blue, the second orange; the middle is a grey that shows.
        difference: A minus B, the first label's blue where A has more, the second's orange where B has.
        category: more labels; repeated past ten.
    """

    ink: str
    quiet_ink: str
    paper: str
    grid: str
    empty: str
    chance: str
    chance_line: str
    unknown: str
    others: str
    sequential: tuple[str, ...]
    weights: tuple[str, ...]
    balance: tuple[str, ...]
    difference: tuple[str, ...]
    category: tuple[str, ...]


LIGHT: Final = Palette(
    ink="#1f2328",
    quiet_ink="#57606a",
    paper="#ffffff",
    grid="#e4e6e8",
    empty="#f6f7f8",
    chance="#d3d7dc",
    chance_line="#8a929b",
    unknown="#a3a8ad",
    others="#c4c9cf",
    sequential=(
        "#b2ece3", "#78d6d8", "#37bed1", "#05a2c5", "#0085b5", "#0068a5", "#164c8f", "#22336c", "#1e1e47",
    ),
    weights=("#37bed1", "#05a2c5", "#0085b5", "#0068a5", "#164c8f"),
    balance=(
        "#005a9e", "#2e70af", "#5a87b5", "#839db8", "#b1b1b1", "#bf9883", "#c2805a", "#c2672e", "#b75400",
    ),
    difference=(
        "#772e00", "#9b4602", "#b46731", "#c18e69", "#ccb39f", "#d6d8d9",
        "#a1bace", "#6c9bc4", "#367bba", "#025aa3", "#013c79",
    ),
    category=(
        "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00",
        "#56b4e9", "#832db6", "#717581", "#a96b59", "#1f2328",
    ),
)  # fmt: skip
"""On white paper.

``sequential``: OKLCH (Ottosson 2020) with lightness falling in equal steps from 0.90 to 0.26 and hue turning
from 185 to 280 degrees: equal differences look equal, in grey too, and the smallest differs from ``empty``.
``difference``: lightness falling from 0.88 in the middle in equal steps to 0.36 (hue 255) and 0.40 (hue 45),
so that the size of a difference shows in grey too; the sides stay apart in protanopia, deuteranopia and
tritanopia, as those of ``balance`` do. ``category``: Okabe & Ito (2008) without its yellow, then four of
Petroff (2021).
"""

DARK: Final = Palette(
    ink="#e6e9ed",
    quiet_ink="#a7b0ba",
    paper="#14171c",
    grid="#343a42",
    empty="#1d2127",
    chance="#3f4751",
    chance_line="#8a929b",
    unknown="#7d838a",
    others="#4b525b",
    sequential=(
        "#313974", "#2f5092", "#226aac", "#0686bf", "#07a1cb", "#16bcd7", "#4fd6dc", "#88ebe2", "#bdffec",
    ),
    weights=("#226aac", "#0686bf", "#07a1cb", "#16bcd7", "#4fd6dc"),
    balance=(
        "#89c3fe", "#70b3f7", "#73a3d5", "#7892ad", "#747474", "#a98774", "#cc8e6b", "#eb9666", "#ffa571",
    ),
    difference=(
        "#ffae81", "#f18c4e", "#ca7848", "#9f6748", "#72584b", "#33363a",
        "#4e6175", "#4f7aa7", "#5294d6", "#5eaffe", "#96c9fe",
    ),
    category=(
        "#4aa3e0", "#e69f00", "#12b886", "#d68fb8", "#f07838",
        "#8fd0f5", "#b98ae6", "#8f96a3", "#c99583", "#e6e9ed",
    ),
)  # fmt: skip
"""On nearly black paper: more is brighter, the middle of a difference is dark.

OKLCH as on light ground: ``sequential`` with lightness rising from 0.37 to 0.95 and hue turning from 275 to
175 degrees, ``difference`` with lightness rising from 0.33 in the middle to 0.82 at hues 250 and 50.
"""

PALETTES: Final[dict[Ground, Palette]] = {"light": LIGHT, "dark": DARK}
