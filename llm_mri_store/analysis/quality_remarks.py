"""What is worth saying of a scan's quality, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llm_mri_store.records.scans import ScanSpec
from llm_mri_store.records.words import span_words

ONE_WAY: Final = 0.95
"""Mean cosine similarity from which the vectors of a layer are said to point one way."""

DOMINANT: Final = 0.5
"""Share of the variance from which one dimension is said to hold it."""

Row = Mapping[str, Any]


def quality_remarks(spec: ScanSpec, total: Row, layers: Sequence[Row]) -> list[str]:
    """Sentences on what a reader of a scan's maps should know first; none where there is nothing.

    Args:
        spec: the scan's spec.
        total: the row over all labels of the query ``scan_summary``.
        layers: rows of the table ``layer_quality``; none where they are not known.
    """
    remarks = [*_on_samples(total), *_on_texts(spec, total), *_on_degenerate(layers)]
    varying = [row for row in layers if row["is_degenerate"] is False]
    # In a scan of tokens a sample's text is its token, and a token may well have one vector.
    n_texts = 0 if spec.token_step is not None else total["n_ok"] - total["n_duplicate_texts"]
    return [*remarks, *_on_shared_vectors(varying, n_texts), *_on_shape(varying)]


def _on_samples(total: Row) -> Iterator[str]:
    n_left_out = total["n"] - total["n_ok"]
    if n_left_out:
        kinds = {"empty": "n_empty", "without text or label": "n_null", "not finite": "n_not_finite"}
        parts = [f"{total[column]:,} {words}" for words, column in kinds.items() if total[column]]
        take = "takes" if n_left_out == 1 else "take"
        yield f"{n_left_out:,} of {total['n']:,} samples {take} no part: {', '.join(parts)}"


def _on_texts(spec: ScanSpec, total: Row) -> Iterator[str]:
    n_repeated, n_cut = total["n_duplicate_texts"], total["n_truncated"]
    if n_repeated and spec.token_step is None:
        yield (
            "1 text repeats an earlier one"
            if n_repeated == 1
            else f"{n_repeated:,} texts repeat earlier ones"
        )
    if n_cut:
        unit = "sample" if spec.token_step is not None else "text"
        were = f"{unit} was" if n_cut == 1 else f"{unit}s were"
        yield f"{n_cut:,} {were} cut at {spec.max_tokens:,} tokens"


def _on_degenerate(layers: Sequence[Row]) -> Iterator[str]:
    found = [row for row in layers if row["is_degenerate"]]
    if found:
        are, their = ("is", "its") if len(found) == 1 else ("are", "their")
        yield f"{_names(found)} {are} degenerate: {their} activations do not vary beyond rounding"


def _on_shared_vectors(varying: Sequence[Row], n_texts: int) -> Iterator[str]:
    found = [row for row in varying if row["n_distinct"] < n_texts]
    if found:
        fewest = min(row["n_distinct"] for row in found)
        give = "gives" if len(found) == 1 else "give"
        counts = f"{n_texts:,} texts, as few as {fewest:,} vectors"
        yield f"{_names(found)} {give} different texts the same vector: {counts}"


def _on_shape(varying: Sequence[Row]) -> Iterator[str]:
    one_way = [row for row in varying if (row["anisotropy"] or 0.0) >= ONE_WAY]
    if one_way:
        yield f"at {_names(one_way)} vectors point nearly one way: mean cosine similarity above {ONE_WAY}"
    for row in varying:
        if row["top_dimension_share"] >= DOMINANT:
            held = f"holds {row['top_dimension_share']:.0%} of the variance"
            yield f"at layer {row['layer']} dimension {row['top_dimension']} alone {held}"


def _names(rows: Sequence[Row]) -> str:
    layers = tuple(row["layer"] for row in rows)
    return f"layer{'s' if len(layers) > 1 else ''} {span_words(layers)}"
