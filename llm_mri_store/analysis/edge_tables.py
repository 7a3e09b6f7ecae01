"""The tables of edges that differ, and of connected sets of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store.analysis.contrast_effects import design_effect, share_difference
from llm_mri_store.analysis.contrast_tables import as_column
from llm_mri_store.analysis.edge_nulls import EdgeNull, Given
from llm_mri_store.analysis.step_edges import EDGE_NAME_FIELDS, StepEdges, weigh

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

DIFFERENCES_SCHEMA: Final = pa.schema(
    [
        *EDGE_NAME_FIELDS,
        *((name, pa.int64()) for name in ("weight_a", "weight_b", "n_a", "n_b")),
        *((name, pa.float64()) for name in ("share_a", "share_b", "difference", "difference_low")),
        *((name, pa.float64()) for name in ("difference_high", "expected_a", "lift_a", "z")),
        ("is_tested", pa.bool_()),
        *((name, pa.float64()) for name in ("score", "p", "q", "p_fwe")),
        ("component", pa.int64()),
        ("p_component", pa.float64()),
    ]
)
COMPONENTS_SCHEMA: Final = pa.schema(
    [
        *((name, pa.int64()) for name in ("component", "sign", "n_edges", "n_nodes")),
        *((name, pa.int64()) for name in ("first_layer", "last_layer")),
        ("size", pa.float64()),
        ("p_fwe", pa.float64()),
        ("peak_source", pa.string()),
        ("peak_target", pa.string()),
        ("peak_score", pa.float64()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EdgeTests:
    """What tests said of edges, and of components.

    Attributes:
        p, q, p_fwe: float64 (n_edges,); NaN where there is none.
        component: int64 (n_edges,), number from 1, the largest first; 0 for none.
        size, p_component: float64 (n_components,), in that order.
    """

    p: Float64
    q: Float64
    p_fwe: Float64
    component: Int64
    size: Float64
    p_component: Float64


def difference_table(
    edges: StepEdges,
    labels: Int64,
    null: EdgeNull,
    tests: EdgeTests,
    *,
    given: Given,
    groups: Int64 | None,
) -> pa.Table:
    """A row per edge, see ``edge_differences``.

    Args:
        edges: the edges.
        labels: int64 (n_samples,), 0 for side A and 1 for B.
        null: their null.
        tests: what tests said.
        given: what shares are of.
        groups: int64 (n_samples,), what samples were drawn in; None where each stands for itself.
    """
    sides = np.stack([labels == 0, labels == 1], axis=1)
    weights = weigh(edges.incidence, sides).astype(np.int64)
    if given == "source":
        at_source = np.zeros((edges.n_nodes, 2), dtype=np.int64)
        np.add.at(at_source, edges.source, weights)
        n = at_source[edges.source]
    else:
        n = np.broadcast_to(sides.sum(axis=0), weights.shape)
    both = (n > 0).all(axis=1)
    counts, of = np.where(both, weights.T, 0), np.where(both, n.T, 1)
    inflation = _design_effects(edges, labels, groups, given=given)
    effect = share_difference(counts[0], of[0], counts[1], of[1], inflation=inflation)
    share = np.divide(weights, n, out=np.full(weights.shape, np.nan), where=n > 0)
    apart = weights[:, 0] - null.expected
    z = np.divide(apart, null.sd, out=np.zeros_like(apart), where=null.sd > 0)
    lift = np.divide(weights[:, 0], null.expected, out=np.full(apart.shape, np.nan), where=null.expected > 0)
    columns = {
        "weight_a": weights[:, 0],
        "weight_b": weights[:, 1],
        "n_a": n[:, 0],
        "n_b": n[:, 1],
        "share_a": share[:, 0],
        "share_b": share[:, 1],
        "difference": np.where(both, effect.value, np.nan),
        "difference_low": np.where(both, effect.low, np.nan),
        "difference_high": np.where(both, effect.high, np.nan),
        "expected_a": null.expected,
        "lift_a": lift,
        "z": np.where(np.isnan(null.expected), np.nan, z),
        "is_tested": null.is_tested,
        "score": null.score,
        "p": tests.p,
        "q": tests.q,
        "p_fwe": tests.p_fwe,
        "p_component": np.append(tests.p_component, np.nan)[tests.component - 1],
    }
    named = edges.names() | {"component": pa.array(tests.component, mask=tests.component == 0)}
    return pa.table(
        [
            named[field.name] if field.name in named else as_column(columns[field.name], field.type)
            for field in DIFFERENCES_SCHEMA
        ],
        schema=DIFFERENCES_SCHEMA,
    )


def _design_effects(edges: StepEdges, labels: Int64, groups: Int64 | None, *, given: Given) -> Float64:
    """How many samples are worth one on each edge, float64 (n_edges,); NaN where that is not known."""
    if groups is None:
        return np.ones(edges.n_edges)
    effects = np.full(edges.n_edges, np.nan)
    for place in np.unique(edges.place).tolist() if given == "nothing" else ():
        rows, edge = edges.taken(place)
        effects[rows] = design_effect(edge, labels, groups, n_cells=rows.size)
    return effects


def component_table(edges: StepEdges, score: Float64, tests: EdgeTests) -> pa.Table:
    """A row per component, the largest first, see ``edge_differences``.

    Args:
        edges: the edges.
        score: float64 (n_edges,), their scores.
        tests: what tests said.
    """
    names = edges.names()
    layers = np.asarray(edges.layers, dtype=np.int64)
    rows = []
    for number, (size, p) in enumerate(zip(tests.size, tests.p_component, strict=True), start=1):
        members = np.flatnonzero(tests.component == number)
        peak = int(members[np.abs(score[members]).argmax()])
        rows.append(
            {
                "component": number,
                "sign": int(np.sign(score[peak])),
                "n_edges": members.size,
                "n_nodes": np.unique(np.concatenate([edges.source[members], edges.target[members]])).size,
                "first_layer": int(layers[edges.place[members].min()]),
                "last_layer": int(layers[edges.place[members].max() + 1]),
                "size": float(size),
                "p_fwe": float(p),
                "peak_source": names["source"][peak].as_py(),
                "peak_target": names["target"][peak].as_py(),
                "peak_score": float(score[peak]),
            }
        )
    return pa.Table.from_pylist(rows, schema=COMPONENTS_SCHEMA)


def spread(values: Int64, where: Bool) -> Int64:
    """Values put where a flag is, int64 like ``where``; 0 elsewhere."""
    whole = np.zeros(where.shape, dtype=np.int64)
    whole[where] = values
    return whole
