"""What a measurement of information found, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.analysis.contrast_spec import ALPHA
from llm_mri_store.analysis.jackknife import FEWEST_PARTS
from llm_mri_store.schema import LAYER


def information_sentences(
    layers: pa.Table, steps: pa.Table, *, entropy: float, strata: Sequence[str], has_intervals: bool
) -> list[str]:
    """Where the cell tells of the label, where most, and where the next layer adds to it."""
    sentences = [*_layers(layers, entropy), *_steps(steps)]
    if strata:
        sentences.append(
            f"What {' and '.join(strata)} alone tells is in by_chance, so excess is what the cell tells "
            "beyond it."
        )
    if not has_intervals:
        sentences.append(
            f"There are no intervals: a label has fewer than {FEWEST_PARTS} samples or groups to leave out "
            "in turn."
        )
    sentences.append(
        "A cell is a square of a two-dimensional map, so this is the least that the activations tell; where "
        "the next layer adds, the map may show what it hid before."
    )
    return sentences


def _layers(layers: pa.Table, entropy: float) -> list[str]:
    flat = layers.filter(pc.is_valid(layers["note"]))[LAYER].to_pylist()
    notes = [f"Degenerate, so that the cell tells nothing: {_named(flat)}."] if flat else []
    tested = layers.filter(pc.is_valid(layers["p_fwe"]))
    if not tested.num_rows:
        return [*notes, "No layer varies, so nothing was tested."]
    found = tested.filter(pc.less_equal(tested["p_fwe"], ALPHA))
    if not found.num_rows:
        least = pc.min(tested["p_fwe"]).as_py()
        return [
            *notes,
            f"At no layer does the cell tell more of the label than chance; the smallest family-wise p is "
            f"{least:.2g}.",
        ]
    peak = layers.filter(layers["is_peak"]).to_pylist()[0]
    also = layers.filter(pc.fill_null(layers["may_be_peak"], False))[LAYER].to_pylist()
    rivals = [layer for layer in also if layer != peak[LAYER]]
    words = (
        f"At {found.num_rows} of {tested.num_rows} layers the cell tells of the label (family-wise p <= "
        f"{ALPHA}); most at layer {peak[LAYER]}: {peak['excess']:.2f} bits more than chance, "
        f"{peak['excess_share']:.0%} of the {entropy:.2f} bits there are to tell."
    )
    if peak["may_be_peak"] is None:
        return [*notes, words]
    if not rivals:
        return [*notes, words, "No other layer may be the peak (95 % confidence set)."]
    return [
        *notes,
        words,
        f"{_named(rivals).capitalize()} may be the peak as well (95 % confidence set).",
    ]


def _named(layers: Sequence[int]) -> str:
    return f"layer{'s' * (len(layers) > 1)} {', '.join(map(str, layers))}"


def _steps(steps: pa.Table) -> list[str]:
    tested = steps.filter(pc.is_valid(steps["p_fwe"]))
    if not tested.num_rows:
        return []
    found = tested.filter(pc.less_equal(tested["p_fwe"], ALPHA)).to_pylist()
    if not found:
        least = pc.min(tested["p_fwe"]).as_py()
        return [
            f"No layer's cell tells more of the label than the cell before it; the smallest family-wise p is "
            f"{least:.2g}."
        ]
    names = ", ".join(f"{row[LAYER]} to {row['next_layer']} ({row['excess']:.2f} bits)" for row in found)
    return [f"The next cell tells more of the label than the cell alone (family-wise p <= {ALPHA}): {names}."]
