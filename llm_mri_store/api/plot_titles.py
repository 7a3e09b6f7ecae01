"""Titles and notes of charts of tests: who was compared, how many, by which permutations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_mri_store.api.agreement import AgreementResult

_NBSP = "\u00a0"


def contrast_title(facts: Mapping[str, Any]) -> str:
    """Title of a contrast, from its row of the view ``tests``.

    >>> facts = {"a": "true", "b": "rest", "n_a": 60, "n_b": 1240, "n_permutations": 999, "seed": 0}
    >>> contrast_title(facts | {"is_exact": False}).replace("\u00a0", " ")
    "'true' (n = 60) minus rest (n = 1,240): max-statistic test, 999 permutations, seed 0"
    """
    return f"{_side(facts, 'a')} minus {_side(facts, 'b')}: max-statistic test, {_permutations(facts)}"


def comparison_title(facts: Mapping[str, Any]) -> str:
    """Title of a comparison of graphs."""
    return f"Graphs of {_side(facts, 'a')} and {_side(facts, 'b')}, against chance: {_permutations(facts)}"


def agreement_title(found: AgreementResult) -> str:
    """Title of a comparison of two reductions."""
    drawn = f"{found.n_permutations:,}{_NBSP}permutations, seed{_NBSP}{found.seed}"
    return f"Layers of {found.a} and {found.b} ({_n(found.n_samples or 0)}), against chance: {drawn}"


def information_title(facts: Mapping[str, Any]) -> str:
    """Title of what cells tell of labels."""
    labels = facts["labels"]
    who = f"{len(labels)} labels" if len(labels) > 2 else " and ".join(_quoted(name) for name in labels)
    return f"What the cell tells of {who} ({_n(facts['n_samples'])}), against chance: {_permutations(facts)}"


def design_notes(facts: Mapping[str, Any]) -> list[str]:
    """What was held constant, what moved together, and which differences counted, where it is unusual."""
    notes = []
    if facts["strata"]:
        notes.append(f"labels permuted among samples alike in {' and '.join(facts['strata'])}")
    if facts["groups"]:
        notes.append(f"samples of one {facts['groups']} moved together")
    if facts["alternative"] == "greater":
        notes.append("one-sided: only a larger share of A counts")
    if facts["alternative"] == "less":
        notes.append("one-sided: only a smaller share of A counts")
    return ["; ".join(notes)] if notes else []


def degenerate_note(layers: Sequence[int]) -> list[str]:
    """Which layers were left out."""
    if not layers:
        return []
    return [f"degenerate {listed(layers)} left out: activations do not vary between texts there"]


def twin_note(facts: Mapping[str, Any], also: Sequence[int]) -> list[str]:
    """At which layers the random twin differs as well; nothing where there was none."""
    if facts["twin"] is None:
        return []
    where = (
        f"A and B differ as well at {listed(also)}" if also else "no layer that differs here differs there"
    )
    return [f"random twin {facts['twin']} (same architecture, fresh weights): {where}"]


def listed(layers: Sequence[int]) -> str:
    """Layers in words: ``layers 0, 3``."""
    return f"layer{'s' * (len(layers) > 1)} {', '.join(map(str, layers))}"


def who(labels: Sequence[str]) -> str:
    """Labels in words: their names, or how many where there are more than two.

    >>> who(["true"]), who(["fake", "true"]), who(["a", "b", "c"])
    ("'true'", "'fake' and 'true'", '3 labels')
    """
    return " and ".join(map(repr, labels)) if len(labels) <= 2 else f"{len(labels):,} labels"


def _side(facts: Mapping[str, Any], side: str) -> str:
    return f"{_quoted(facts[side])} ({_n(facts[f'n_{side}'])})"


def _quoted(name: str) -> str:
    return name if name == "rest" else repr(name)


def _n(n: int) -> str:
    return f"n{_NBSP}={_NBSP}{n:,}"


def _permutations(facts: Mapping[str, Any]) -> str:
    n = f"{facts['n_permutations']:,}{_NBSP}permutations"
    return f"all {n}" if facts["is_exact"] else f"{n}, seed{_NBSP}{facts['seed']}"
