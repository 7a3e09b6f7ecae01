"""What a comparison of two reductions was and found, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from llm_mri_store.analysis.contrast_spec import ALPHA
from llm_mri_store.analysis.kept_results import Place
from llm_mri_store.analysis.matched_samples import MatchedSamples
from llm_mri_store.records.words import span_words

_NAMES: Final = {
    "ami": ("Cells", "adjusted mutual information"),
    "cka": ("Points", "linear CKA"),
    "activation_cka": ("Activations", "linear CKA"),
}
_OF_SCAN: Final = ("model_fingerprint", "random_weights", "site", "side", "pooling", "max_tokens")
_OF_REDUCTION: Final = ("method", "n_components", "grid", "bins", "scale", "center", "template")


def agreement_sentences(
    a: Place,
    b: Place,
    samples: MatchedSamples | None,
    layers: pa.Table,
    *,
    reason: str | None,
    n_permutations: int,
    seed: int,
    has_grids: bool,
) -> tuple[str, ...]:
    """What was done and found.

    Args:
        a: a reduction.
        b: the other one.
        samples: those that both hold; None where they cannot be matched.
        layers: a row per pair of layers.
        reason: why they cannot be matched.
        n_permutations: how often samples changed places.
        seed: of that.
        has_grids: both reductions have cells.
    """
    sentences = [
        f"{_words(a)} was compared with {_words(b)}.",
        *_differences(a, b),
    ]
    if samples is None:
        sentences.append(
            f"Layers cannot be matched sample by sample, as {reason}: no agreement of layers is given."
        )
    else:
        sentences += [
            *_matching(samples, n_permutations, seed),
            *_left_out(a, b),
            *([] if has_grids else ["There is no agreement of cells: a reduction has no grid."]),
            *(_finding(layers, measure) for measure in ("ami", "cka")),
            *_activations(layers),
            "Adjusted mutual information is 1 for the same partition and 0 as by chance. CKA is 1 for points "
            "that can be turned and scaled into each other, and above 0 by chance: read excess.",
            "Agreement beyond chance says that both tell the same texts apart, be it by their length or "
            "their words alone, not that they compute the same.",
        ]
    if has_grids:
        sentences += _graphs(a, b)
    return tuple(sentences)


def _words(place: Place) -> str:
    spec = place.scan.spec
    weights = "" if spec.random_weights is None else f", random weights of seed {spec.random_weights}"
    return (
        f"{place.address} ({spec.model}{weights}, site {spec.site}, layers "
        f"{span_words(place.reduction.layers)}, {place.reduction.record.n_samples:,} samples)"
    )


def _differences(a: Place, b: Place) -> list[str]:
    """In what they differ beside their layers."""
    names = [name for name in _OF_SCAN if getattr(a.scan.spec, name) != getattr(b.scan.spec, name)]
    specs = [one.reduction.record.spec for one in (a, b)]
    names += [name for name in _OF_REDUCTION if getattr(specs[0], name) != getattr(specs[1], name)]
    if not names:
        return []
    if "random_weights" in names and "model_fingerprint" in names:
        # Other weights are another fingerprint; which model it is, is said before.
        names.remove("model_fingerprint")
    called = {"model_fingerprint": "model", "random_weights": "weights"}
    words = [called.get(name, name.replace("_", " ")) for name in names]
    return [f"They differ in {', '.join(words)}."]


def _matching(samples: MatchedSamples, n_permutations: int, seed: int) -> list[str]:
    unit = "tokens" if samples.is_of_tokens else "texts"
    how = (
        "Texts of B changed places with texts of as many tokens"
        if samples.is_of_tokens
        else "The texts of B changed places"
    )
    sentences = [
        f"Both read the same {unit}; {samples.n:,} that have a point in both were matched one by one.",
        f"{how} {n_permutations:,} times, drawn with seed {seed}; no p by that can be below "
        f"{1 / (n_permutations + 1):.2g}. Family-wise p is over all pairs of layers.",
    ]
    if samples.n_fixed:
        sentences.append(
            f"{samples.n_fixed:,} tokens stayed in place, as no other text has as many: p errs to the safe "
            "side, and what is there by chance is above 0."
        )
    return sentences


def _left_out(a: Place, b: Place) -> list[str]:
    parts = []
    for name, place in (("A", a), ("B", b)):
        layers = tuple(one.layer for one in place.reduction.record.layers if one.is_degenerate)
        if layers:
            parts.append(f"layer{'s' * (len(layers) > 1)} {span_words(layers)} of {name}")
    return [f"NULL, because activations do not vary there: {' and '.join(parts)}."] if parts else []


def _finding(layers: pa.Table, measure: str) -> str:
    what, name = _NAMES[measure]
    columns = ("a_layer", "b_layer", measure, f"{measure}_by_chance", f"{measure}_p_fwe")
    rows = [row for row in layers.select(columns).to_pylist() if row[measure] is not None]
    if not rows:
        return f"{what}: no pair of layers has a {name}."
    found = [row for row in rows if row[f"{measure}_p_fwe"] is not None and row[f"{measure}_p_fwe"] <= ALPHA]
    if not found:
        return f"{what}: none of {len(rows):,} pairs of layers agrees beyond chance ({name})."
    best = max(found, key=lambda row: row[measure] - row[f"{measure}_by_chance"])
    verb = "agrees" if len(found) == 1 else "agree"
    return (
        f"{what}: {len(found):,} of {len(rows):,} pairs of layers {verb} beyond chance, most layer "
        f"{best['a_layer']} of A and layer {best['b_layer']} of B: {name} {best[measure]:.3g} where chance "
        f"gives {best[f'{measure}_by_chance']:.2g} (family-wise p = {best[f'{measure}_p_fwe']:.2g})."
    )


def _activations(layers: pa.Table) -> list[str]:
    rows = [row for row in layers.to_pylist() if row["activation_cka"] is not None]
    if not rows:
        return []
    best = max(rows, key=lambda row: row["activation_cka"])
    chance = best["activation_cka_by_chance"]
    beside = "" if chance is None else f" where chance gives {chance:.2g} on average"
    return [
        f"Activations: linear CKA is largest between layer {best['a_layer']} of A and layer "
        f"{best['b_layer']} of B, {best['activation_cka']:.3g}{beside}; it is not tested."
    ]


def _graphs(a: Place, b: Place) -> list[str]:
    unlike: Sequence[str] = [
        name
        for name, differs in (
            ("grids", a.reduction.record.spec.grid != b.reduction.record.spec.grid),
            ("numbers of layers", len(a.reduction.layers) != len(b.reduction.layers)),
            ("numbers of samples", a.reduction.record.n_samples != b.reduction.record.n_samples),
        )
        if differs
    ]
    sentences = [
        "Metrics of graphs stand side by side, each with its own interval, and distances between graphs "
        "without one; neither is tested across reductions."
    ]
    if unlike:
        sentences.append(
            f"Their {' and '.join(unlike)} differ, which by itself makes other nodes, edges and distances."
        )
    return sentences
