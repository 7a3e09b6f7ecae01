"""Twins: scans of the same texts by a model of the same build whose weights were drawn at random."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from llm_mri_store.analysis.kept_results import TWIN_SOURCE, Place
from llm_mri_store.errors import InvalidInput, LlmMriError
from llm_mri_store.records.jobs import Progress, ProgressCallback
from llm_mri_store.records.reductions import ReductionSpec
from llm_mri_store.records.results import Choices
from llm_mri_store.records.scans import ScanSpec
from llm_mri_store.records.words import span_words, spec_differences
from llm_mri_store.store.catalogue import ScanEntry, find_reduction, find_scan, reduction_names, scan_names
from llm_mri_store.store.selection import why_no_reduction

_SAME: Final = (
    "labels", "n_samples", "site", "pooling", "hidden_size", "max_tokens", "side", "chat_template",
    "token_step", "token_label_column",
)  # fmt: skip
"""Fields of a scan's spec in which a twin is like its original."""

_SUFFIX: Final = "-random"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Twin:
    """A twin of a reduction that is tested.

    Attributes:
        place: where it is.
        tables: gives the tables of the same test of the twin; asked when the test itself has been made.
    """

    place: Place
    tables: Callable[[], Mapping[str, pa.Table]]


def find_twin(place: Place, twin: str) -> Place:
    """The twin of a reduction.

    Args:
        place: the reduction.
        twin: ``scan`` or ``scan/reduction``; without a reduction the one of the same name, or the only one.

    Raises:
        UnknownName: there is no such scan or reduction.
        InvalidInput: it is no twin: of trained weights, of other texts, or made otherwise.
    """
    name, _, of_name = twin.partition("/")
    scan = find_scan(place.store, name)
    if place.scan.spec.random_weights is not None:
        raise InvalidInput(
            f"scan {place.scan.name!r} has random weights itself; ask for a scan of the trained model, and "
            "name this one as its twin"
        )
    if scan.spec.random_weights is None:
        raise InvalidInput(
            f"scan {name!r} has trained weights and is no twin of {place.scan.name!r}; {_way(place.scan)}"
        )
    _refuse_other_scan(place.scan, scan)
    names = reduction_names(scan.paths)
    own = place.reduction.name
    chosen = of_name or (own if own in names else names[0] if len(names) == 1 else None)
    if chosen is None:
        if not names:
            raise InvalidInput(
                f"scan {name!r} has no reduction yet; make one with '{reduce_command(place, name)}'"
            )
        raise InvalidInput(why_no_reduction(scan))
    found = Place(store=place.store, scan=scan, reduction=find_reduction(scan, chosen))
    _refuse_other_reduction(place, found)
    return found


def _refuse_other_scan(scan: ScanEntry, twin: ScanEntry) -> None:
    why = None
    if scan.spec.corpus_fingerprint != twin.spec.corpus_fingerprint:
        why = "their texts, labels or covariates differ"
    else:
        for field in _SAME:
            here, there = getattr(scan.spec, field), getattr(twin.spec, field)
            if here != there:
                why = f"{field} is {there!r} there and {here!r} here"
                break
    if why is not None:
        raise InvalidInput(f"scan {twin.name!r} is no twin of {scan.name!r}: {why}; {_way(scan)}")


def _way(scan: ScanEntry) -> str:
    if scan.spec.pooling == "imported":
        return "activations that were imported have no twin, as no scan can pool as their maker did"
    return f"make one with '{scan_command(scan)}'"


def _refuse_other_reduction(place: Place, twin: Place) -> None:
    here, there = place.reduction.record, twin.reduction.record
    differences = spec_differences(there.spec, here.spec, ignore=frozenset({"seed"}))
    if place.reduction.layers != twin.reduction.layers:
        differences = (
            f"layers {span_words(twin.reduction.layers)} there, {span_words(place.reduction.layers)} asked"
        )
    elif here.n_samples != there.n_samples:
        differences = f"{there.n_samples:,} samples there, {here.n_samples:,} asked"
    if differences:
        raise InvalidInput(
            f"reduction {twin.address} is not made as {place.address} ({differences}), so their maps cannot "
            f"be held against each other; make it with '{reduce_command(place, twin.scan.name)}'"
        )


def twin_names(place: Place) -> list[str]:
    """Scans of the store that can stand as a reduction's twin, sorted."""
    found = []
    for name in scan_names(place.store):
        try:
            find_twin(place, name)
        except LlmMriError:
            continue
        found.append(name)
    return found


def twin_parameters(twin: Twin | None) -> dict[str, Choices]:
    """What a test says of its twin: which it was, the seed of its weights, and what it held."""
    if twin is None:
        return {"twin": None}
    place = twin.place
    return {
        "twin": place.address,
        "twin_seed": place.scan.spec.random_weights,
        TWIN_SOURCE: place.source,
    }


def as_twin(progress: ProgressCallback) -> ProgressCallback:
    """The same callback for work on the twin, told as a job of its own."""

    def told(one: Progress) -> None:
        progress(replace(one, job="twin"))

    return told


def twin_commands(place: Place) -> tuple[str, str]:
    """The commands that make a twin of a reduction: the scan, and its reduction.

    Raises:
        InvalidInput: its activations were imported.
    """
    if place.scan.spec.pooling == "imported":
        raise InvalidInput(f"scan {place.scan.name!r}: {_way(place.scan)}")
    return scan_command(place.scan), reduce_command(place, f"{place.scan.name}{_SUFFIX}")


def scan_command(scan: ScanEntry, *, seed: int = 0) -> str:
    """The command that makes a scan's twin.

    Model and corpus stand there as the scan names them: a Hub id as it is, a folder or file by its name.

    Args:
        scan: the original.
        seed: of the twin's weights.
    """
    spec = scan.spec
    words = ["llm-mri", "scan", spec.model, spec.corpus, "--name", f"{scan.name}{_SUFFIX}"]
    words += ["--random-weights", str(seed), *scan_options(spec)]
    return shlex.join(words)


def scan_options(spec: ScanSpec) -> list[str]:
    """Options of the command that makes a scan, without its name, weights, store and device."""
    options = {
        "--text-column": (spec.text_column, "text"),
        "--label-column": (spec.label_column, "label"),
        "--split": (spec.split, None),
        "--revision": (spec.revision, None),
        "--site": (spec.site, "residual"),
        "--pooling": (spec.pooling, None),
        "--every": (spec.token_step, None),
        "--token-label-column": (spec.token_label_column, None),
        "--side": (spec.side, None),
        "--max-tokens": (spec.max_tokens, None),
    }
    words = [
        word for name, (value, usual) in options.items() if value != usual for word in (name, str(value))
    ]
    return [
        *words,
        "--layers",
        span_words(spec.layers).replace(" ", ""),
        *(["--chat-template"] * spec.chat_template),
    ]


def reduce_command(place: Place, twin_scan: str) -> str:
    """The command that reduces a twin as its original was."""
    spec = place.reduction.record.spec
    usual = ReductionSpec(method=spec.method)
    words = ["llm-mri", "reduce", twin_scan, "--name", place.reduction.name, "--method", spec.method]
    words += ["--components", str(spec.n_components)]
    if spec.grid is not None:
        words += ["--grid", str(spec.grid)]
    for option in ("bins", "n_neighbors", "min_dist"):
        if getattr(spec, option) != getattr(usual, option):
            words += [f"--{option.replace('_', '-')}", str(getattr(spec, option))]
    words += [*(["--no-scale"] * (not spec.scale)), *(["--no-center"] * (not spec.center))]
    return shlex.join(words + (["--like", spec.template] if spec.template is not None else []))
