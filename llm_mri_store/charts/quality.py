"""Measures of each layer as small multiples: how good its activations are, or what its map shows of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.tables import Row, drawn_rows
from llm_mri_store.charts.theme import CATEGORICAL, PAPER, QUIET_INK, apply_theme
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import LAYER


class _Measure(NamedTuple):
    """How a measure is called, in which unit, and in which format of d3."""

    name: str
    unit: str
    form: str


MEASURES: Final[Mapping[str, _Measure]] = {
    "effective_rank": _Measure("effective rank", "dimensions", ".1f"),
    "anisotropy": _Measure("anisotropy", "mean cosine", ".3f"),
    "relative_spread": _Measure("relative spread", "ratio", ".3~g"),
    "n_distinct": _Measure("distinct vectors", "count", ",d"),
    "n_outlier_dimensions": _Measure("outlier dimensions", "count", ",d"),
    "top_dimension_share": _Measure("largest dimension", "share of variance", ".1%"),
    "explained": _Measure("variance kept by the map", "share", ".1%"),
    "n_cells_used": _Measure("occupied cells", "count", ",d"),
    "largest_share": _Measure("fullest cell", "share of samples", ".1%"),
    "evenness": _Measure("evenness over cells", "0 to 1", ".2f"),
    "n_clipped": _Measure("clipped samples", "count", ",d"),
}
"""Columns of ``layer_quality`` and ``map_quality`` that are drawn, in their order."""

_IS_FLAT: Final = "is_degenerate"
_COLUMNS: Final = 3
_WIDTH_PX: Final = 230
_HEIGHT_PX: Final = 110
_COLUMN_PX: Final = 56
"""Between panels, for the numbers of an axis."""


def quality_chart(quality: pa.Table, *, title: str, subtitle: Sequence[str] = ()) -> alt.FacetChart:
    """A panel for each measure, layer by layer, on a scale of its own that begins at zero.

    Degenerate layers are crosses: at their value, or at the foot of the panel where there is none.

    Args:
        quality: layer, is_degenerate, and any of the columns in ``MEASURES``; a row per layer.
        title: one sentence.
        subtitle: further lines.

    Raises:
        InvalidInput: a column is missing, there is no row, or no measure has a value.

    >>> quality = {"layer": [0], "is_degenerate": [True], "effective_rank": [None], "anisotropy": [1.0]}
    >>> quality_chart(pa.table(quality), title="t").to_dict()["title"]["subtitle"]
    ['× degenerate layer 0: its activations do', 'not vary between texts.']
    """
    rows = drawn_rows(quality, (LAYER, _IS_FLAT), what="quality of layers", optional=tuple(MEASURES))
    measures = [name for name in MEASURES if any(name in row for row in rows)]
    if not measures:
        raise InvalidInput(
            f"the table of quality holds nothing that could be drawn; expected some of {', '.join(MEASURES)}"
        )
    rows.sort(key=lambda row: int(row[LAYER]))
    layers = [row[LAYER] for row in rows]
    drawn = [_value(row, name) for name in measures for row in rows]
    panel = alt.LayerChart(layer=_marks(layers), width=_WIDTH_PX, height=_HEIGHT_PX)
    columns = min(_COLUMNS, len(measures))
    chart: alt.FacetChart = (
        panel.facet(
            alt.Facet(
                "panel:N",
                sort=alt.EncodingSortField(field="order", op="min"),
                title=None,
                header=alt.Header(labelPadding=4, labelFontWeight=600, labelLimit=_WIDTH_PX + _COLUMN_PX),
            ),
            data=alt.InlineData(values=drawn),
            columns=columns,
            spacing={"row": 82, "column": _COLUMN_PX},
            bounds="flush",
        )
        .resolve_scale(y="independent")
        .resolve_axis(x="independent")
    )
    return apply_theme(
        chart,
        title=title,
        subtitle=[*subtitle, *_flat_note(rows)],
        width_px=columns * (_WIDTH_PX + _COLUMN_PX),
    )


def _value(row: Row, name: str) -> Row:
    measure = MEASURES[name]
    value = {"value": float(row[name])} if name in row else {}
    return {
        LAYER: row[LAYER],
        _IS_FLAT: bool(row[_IS_FLAT]),
        "measure": name,
        "panel": f"{measure.name} ({measure.unit})",
        "order": list(MEASURES).index(name),
        "form": measure.form,
        **value,
    }


def _marks(layers: Sequence[int]) -> list[alt.Chart]:
    step = math.ceil(len(layers) / 12)
    first, last = layers[0], layers[-1]
    margin = 0.04 * (last - first) or 0.5
    x = alt.X(
        f"{LAYER}:Q",
        scale=alt.Scale(domain=[first - margin, last + margin], nice=False, zero=False),
        axis=alt.Axis(title="layer", values=list(layers[::step]), format="d"),
    )
    extent = _COLUMN_PX - 16
    axis = alt.Axis(title=None, grid=True, tickCount=4, minExtent=extent, maxExtent=extent)
    y = alt.Y("value:Q", scale=alt.Scale(zero=True), axis=axis)
    tooltip = [
        alt.Tooltip(f"{LAYER}:Q", title="layer"),
        alt.Tooltip("panel:N", title="measure"),
        alt.Tooltip("printed:N", title="value"),
    ]
    base = alt.Chart().transform_calculate(
        printed="isValid(datum.value) ? format(datum.value, datum.form) : 'none: the layer is degenerate'"
    )
    varying = base.transform_filter(f"!datum.{_IS_FLAT}")
    flat = base.transform_filter(f"datum.{_IS_FLAT}")
    cross: dict[str, Any] = {"shape": "cross", "angle": 45, "size": 70, "opacity": 1, "filled": True}
    return [
        varying.mark_line(color=CATEGORICAL[0], strokeWidth=2).encode(x=x, y=y),
        varying.mark_point(
            color=CATEGORICAL[0],
            fill=CATEGORICAL[0],
            opacity=1,
            size=36 if len(layers) <= 20 else 16,
        ).encode(x=x, y=y, tooltip=tooltip),
        flat.transform_filter("isValid(datum.value)")
        .mark_point(color=QUIET_INK, stroke=PAPER, **cross)
        .encode(x=x, y=y, tooltip=tooltip),
        flat.transform_filter("!isValid(datum.value)")
        .mark_point(color=QUIET_INK, stroke=PAPER, **cross)
        .encode(x=x, y=alt.value(_HEIGHT_PX - 6), tooltip=tooltip),
    ]


def _flat_note(rows: Sequence[Row]) -> list[str]:
    flat = [str(row[LAYER]) for row in rows if row[_IS_FLAT]]
    if not flat:
        return []
    return [
        f"× degenerate layer{'s' * (len(flat) > 1)} {', '.join(flat)}: "
        f"{'their' if len(flat) > 1 else 'its'} activations do not vary between texts."
    ]
