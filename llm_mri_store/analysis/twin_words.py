"""What random weights say of a finding, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_mri_store.analysis.contrast_spec import ALPHA
from llm_mri_store.analysis.kept_results import Place
from llm_mri_store.schema import LAYER


def contrast_twin_sentences(layers: Sequence[Mapping[str, Any]], twin: Place) -> list[str]:
    """Which layers of a contrast differ in the twin as well, and which do not.

    Args:
        layers: rows of the table ``contrast_layers``.
        twin: the twin.
    """
    found = [row for row in layers if row["n_cells"] or row["n_cells_tfce"] or row["n_clusters"]]
    sizes = {
        row[LAYER]: f"{row['largest_score']:.1f} and {row['twin_largest_score']:.1f}"
        for row in found
        if row["twin_largest_score"] is not None
    }
    return _sentences(found, sizes, twin, size="largest absolute score")


def information_twin_sentences(layers: Sequence[Mapping[str, Any]], twin: Place) -> list[str]:
    """At which layers the twin's cell tells of the label as well, and how much.

    Args:
        layers: rows of the table ``information`` that are about layers.
        twin: the twin.
    """
    found = [row for row in layers if row["p_fwe"] is not None and row["p_fwe"] <= ALPHA]
    sizes = {
        row[LAYER]: f"{row['excess']:.2f} and {row['twin_excess']:.2f}"
        for row in found
        if row["twin_excess"] is not None
    }
    return _sentences(found, sizes, twin, size="bits more than chance")


def _sentences(
    found: Sequence[Mapping[str, Any]], sizes: Mapping[int, str], twin: Place, *, size: str
) -> list[str]:
    who = f"Random weights ({twin.address}, drawn with seed {twin.scan.spec.random_weights})"
    if not found:
        return [f"{who} were asked as well; there is no finding to hold against them."]
    also = [row[LAYER] for row in found if row["also_in_twin"]]
    alone = [row[LAYER] for row in found if row["also_in_twin"] is False]
    unknown = [row[LAYER] for row in found if row["also_in_twin"] is None]
    sentences = []
    if also:
        sentences.append(
            f"{who} show it as well at {_layers(also)}, so that much needs no training; {size} here and "
            f"there: {_sizes(also, sizes)}."
        )
    if alone:
        sentences.append(
            f"{who} show nothing at {_layers(alone)}; {size} here and there: {_sizes(alone, sizes)}. A test "
            "can miss: compare these before saying that training made the difference."
        )
    if unknown:
        sentences.append(f"{who} could not be tested at {_layers(unknown)}.")
    return sentences


def _layers(layers: Sequence[int]) -> str:
    return f"layer{'s' * (len(layers) > 1)} {', '.join(map(str, layers))}"


def _sizes(layers: Sequence[int], sizes: Mapping[int, str]) -> str:
    return ", ".join(f"layer {layer} {sizes[layer]}" for layer in layers)
