"""The peaks of a contrast: where it is largest, and what lies there, in words and texts."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from llm_mri_store.api.table import Table

if TYPE_CHECKING:
    from llm_mri_store.api.reduction import Reduction

PEAKS_SCHEMA: Final = pa.schema(
    [
        ("cluster", pa.int32()),
        ("layer", pa.int32()),
        ("more_of", pa.string()),
        ("size", pa.int32()),
        ("cell_x", pa.int32()),
        ("cell_y", pa.int32()),
        ("share_a", pa.float64()),
        ("share_b", pa.float64()),
        ("score", pa.float64()),
        ("p", pa.float64()),
        ("q", pa.float64()),
        ("p_fwe", pa.float64()),
        ("p_tfce", pa.float64()),
        ("p_cluster", pa.float64()),
        ("also_in_twin", pa.bool_()),
        ("words", pa.list_(pa.string())),
        ("texts", pa.list_(pa.string())),
    ]
)

_EVERY: Final = 2**31 - 1


def peak_table(
    reduction: Reduction,
    cells: Table,
    clusters: Table,
    sides: tuple[Collection[str], Collection[str]],
    *,
    alpha: float,
    limit: int | None,
    n_words: int,
    n_texts: int,
) -> Table:
    """A row per cluster that passes, the heaviest first, see ``ContrastResult.peaks``.

    Args:
        reduction: whose texts lie in the cells.
        cells: of the contrast.
        clusters: of the contrast.
        sides: labels of A and of B.
        alpha: level of the family-wise p.
        limit: clusters to list; None for all.
        n_words: words of each peak.
        n_texts: texts of each peak.
    """
    at = {(row["layer"], row["cell_x"], row["cell_y"]): row for row in cells.rows()}
    passing = [
        one for one in clusters.rows() if min(one["p_fwe"], one["peak_p_fwe"], one["peak_p_tfce"]) <= alpha
    ]
    rows = []
    for one in passing[:limit]:
        peak = at[one["layer"], one["peak_x"], one["peak_y"]]
        is_of_a = one["sign"] > 0
        place = {name: peak[name] for name in ("layer", "cell_x", "cell_y")}
        rows.append(
            {
                **{name: peak[name] for name in PEAKS_SCHEMA.names if name in peak},
                "cluster": one["cluster"],
                "more_of": one["a"] if is_of_a else one["b"],
                "size": one["size"],
                "words": _words(reduction, place, n_words),
                "texts": _texts(reduction, place, sides[0 if is_of_a else 1], n_texts),
            }
        )
    return Table(pa.Table.from_pylist(rows, schema=PEAKS_SCHEMA))


def _words(reduction: Reduction, place: dict[str, int], n_words: int) -> list[str]:
    """The words most typical of a cell against the layer's other cells.

    Of a few short texts the plain score would put "it" and "with" first, hence ``reduce_frequent``.
    """
    if n_words < 1:
        return []
    return reduction.ask("cell_terms", **place, limit=n_words, reduce_frequent=True)["term"]


def _texts(reduction: Reduction, place: dict[str, int], labels: Collection[str], n_texts: int) -> list[str]:
    """The first texts of a cell that have one of some labels."""
    if n_texts < 1:
        return []
    if len(labels) == 1:
        (label,) = labels
        rows = reduction.ask("cell_texts", **place, label=label, limit=n_texts).rows()
    else:
        rows = reduction.ask("cell_texts", **place, limit=_EVERY).rows()
    return [row["text"] for row in rows if row["label"] in labels][:n_texts]
