"""Which correlations are edges: by size, by percentile, by false discovery rate."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import LABEL

_Floats = npt.NDArray[np.float64]
_Flags = npt.NDArray[np.bool_]

DEFAULT_THRESHOLD: Final = 0.3
"""LLM-MRI's threshold of |rho|."""


def select_edges(
    correlations: pa.Table, *, threshold: float | str | None = None, fdr: float | None = None
) -> pa.Table:
    """The rows strong or certain enough to be edges.

    The sign of rho does not count: the direction of a component is arbitrary. (LLM-MRI keeps positive
    ones alone.) A rho that is NULL or 0 is never an edge. Where both a threshold and an FDR level
    are given, an edge meets both.

    Args:
        correlations: the table of ``correlate_layers``; used are label, rho, q.
        threshold: least |rho|, in [0, 1], as a number or its text; or a percentile of the |rho| of the row's
            label, such as ``"95%"``, which keeps the strongest 5 %. None: 0.3, or no threshold where
            ``fdr`` is given.
        fdr: largest q, in (0, 1]; None for any.

    Returns:
        Rows of ``correlations``, in their order.

    Raises:
        InvalidInput: the threshold or the level is none of these.

    >>> from llm_mri_store.analysis.correlations import correlate_layers
    >>> points = np.array([[1.0, 5.0], [2.0, 3.0], [3.0, 4.0], [4.0, 1.0]])
    >>> table = correlate_layers([(0, points), (1, points[:, :1])], ["a"] * 4)
    >>> select_edges(table, threshold=0.9)["source"].to_pylist()
    ['0_0']
    """
    return correlations.filter(pa.array(edge_mask(correlations, threshold=threshold, fdr=fdr)))


def edge_mask(
    correlations: pa.Table, *, threshold: float | str | None = None, fdr: float | None = None
) -> _Flags:
    """Which rows ``select_edges`` keeps: bool (n_rows,).

    Raises:
        InvalidInput: as ``select_edges``.

    >>> edge_mask(pa.table({"label": ["a", "a"], "rho": [0.5, 0.1], "q": [0.01, 0.9]})).tolist()
    [True, False]
    """
    least, percentile = _parsed_threshold(threshold, fdr)
    size = np.abs(_float_column(correlations, "rho"))
    kept = size > 0
    if least is not None:
        kept &= size >= least
    if percentile is not None:
        codes = pc.rank(correlations[LABEL], tiebreaker="dense").to_numpy()
        for code in range(1, codes.max(initial=0) + 1):
            of_label = codes == code
            known = size[of_label & np.isfinite(size)]
            if known.size:
                kept &= ~of_label | (size >= np.percentile(known, percentile))
    if fdr is not None:
        kept &= _float_column(correlations, "q") <= fdr
    return kept


def selection_words(*, threshold: float | str | None = None, fdr: float | None = None) -> str:
    """What ``select_edges`` keeps with these arguments, in words.

    Raises:
        InvalidInput: as ``select_edges``.

    >>> selection_words(threshold="95%")
    '|rho| in the strongest 5% of its label'
    >>> selection_words(threshold=0.3, fdr=0.05)
    '|rho| >= 0.3 and q <= 0.05'
    """
    least, percentile = _parsed_threshold(threshold, fdr)
    words = []
    if least is not None:
        words.append(f"|rho| >= {least:g}")
    if percentile is not None:
        words.append(f"|rho| in the strongest {100 - percentile:g}% of its label")
    if fdr is not None:
        words.append(f"q <= {fdr:g}")
    return " and ".join(words)


def _parsed_threshold(threshold: float | str | None, fdr: float | None) -> tuple[float | None, float | None]:
    """The least |rho| and the percentile; one or both are None."""
    if fdr is not None and (isinstance(fdr, bool) or not 0 < fdr <= 1):
        raise InvalidInput(f"fdr is {fdr!r}; it must be above 0 and at most 1, such as 0.05")
    if threshold is None:
        return (DEFAULT_THRESHOLD if fdr is None else None), None
    is_percentile = isinstance(threshold, str) and threshold.strip().endswith("%")
    try:
        number = (
            float(threshold.strip().removesuffix("%")) if isinstance(threshold, str) else float(threshold)
        )
    except ValueError:
        number = math.nan
    if isinstance(threshold, bool) or not 0 <= number <= (100 if is_percentile else 1):
        raise InvalidInput(
            f"threshold is {threshold!r}; it must be a |rho| in 0-1, such as 0.3, or a percentile in 0-100, "
            "such as '95%'"
        )
    return (None, number) if is_percentile else (number, None)


def _float_column(table: pa.Table, name: str) -> _Floats:
    """A column as float64 (n_rows,), NaN for NULL."""
    values: _Floats = table[name].to_numpy()
    return values.astype(np.float64)
