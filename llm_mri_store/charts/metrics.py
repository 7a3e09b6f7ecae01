"""Graph metrics of labels side by side, with intervals where there are any."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.expressions import estimate, word_fields, word_tooltip
from llm_mri_store.charts.metric_names import metric_name
from llm_mri_store.charts.tables import Row, drawn_rows
from llm_mri_store.charts.theme import CATEGORICAL, INK, LABEL_SIZE, QUIET_INK, apply_theme, short_names
from llm_mri_store.errors import InvalidInput

_COLUMNS: Final = ("graph", "metric", "value")
_ENDS: Final = ("value_low", "value_high", "n")

_PER_LINE: Final = 4
_WIDTH_PX: Final = 170
_ROW_PX: Final = 20
_CHARACTER_PX: Final = 6
_LONGEST_NAME: Final = 22


def metrics_chart(metrics: pa.Table, *, title: str, subtitle: Sequence[str] = ()) -> alt.FacetChart:
    """A panel for each metric with a line for each graph; every metric has a scale of its own.

    Args:
        metrics: graph, metric, value, and where they are known value_low and value_high (95 % interval) and n
            (samples of the graph); a row per graph and metric, NULL where a metric is not defined.
        title: one sentence.
        subtitle: further lines; what bars are is added to them.

    Raises:
        InvalidInput: a column is missing or there is no row.

    >>> metrics = pa.table({"graph": ["true", "fake"], "metric": ["density"] * 2, "value": [0.1, 0.2]})
    >>> metrics_chart(metrics, title="t").to_dict()["title"]["subtitle"]
    ['No intervals are known of these values.']
    """
    rows = drawn_rows(metrics, _COLUMNS, what="metrics of graphs", optional=_ENDS)
    if not rows:
        raise InvalidInput("the table of metrics has no rows, so there is nothing to draw")
    names = _graph_names(rows)
    order = list(dict.fromkeys(row["metric"] for row in rows))
    for row in rows:
        row["line"] = names[row["graph"]]
        row["panel"] = metric_name(row["metric"])
        row["order"] = order.index(row["metric"])
    lines = list(names.values())
    margin_px = _CHARACTER_PX * max(len(name) for name in lines) + 8
    columns = min(_PER_LINE, len(order))
    chart: alt.FacetChart = (
        alt.LayerChart(layer=_marks(lines, margin_px), width=_WIDTH_PX, height=_ROW_PX * len(lines))
        .facet(
            alt.Facet(
                "panel:N",
                sort=alt.EncodingSortField(field="order", op="min"),
                title=None,
                header=alt.Header(labelPadding=5, labelLimit=_WIDTH_PX + 40, labelFontWeight=600),
            ),
            data=alt.InlineData(values=rows),
            columns=columns,
            spacing={"row": 58, "column": 30},
            bounds="flush",
        )
        .resolve_scale(x="independent")
    )
    has_bars = any("value_low" in row for row in rows)
    note = "Bars: 95\u00a0% intervals." if has_bars else "No intervals are known of these values."
    return apply_theme(
        chart,
        title=title,
        subtitle=[*subtitle, note],
        width_px=margin_px + columns * (_WIDTH_PX + 30),
    )


def _graph_names(rows: Sequence[Row]) -> dict[str, str]:
    """Graph -> its name beside its line: short, and with its samples where they are known."""
    short = short_names(list(dict.fromkeys(row["graph"] for row in rows)), _LONGEST_NAME)
    names: dict[str, str] = {}
    for row in rows:
        name = short[row["graph"]]
        names[row["graph"]] = f"{name} (n = {row['n']:,})" if "n" in row else name
    return names


def _marks(lines: Sequence[str], margin_px: int) -> list[alt.Chart]:
    y = alt.Y(
        "line:N",
        sort=list(lines),
        scale=alt.Scale(domain=list(lines)),
        axis=alt.Axis(
            title=None,
            ticks=False,
            labelColor=INK,
            labelPadding=8,
            labelLimit=margin_px,
            minExtent=margin_px,
            maxExtent=margin_px,
        ),
    )
    words = {
        "graph": "datum.graph",
        "metric": "datum.metric",
        "value (95\u00a0% interval)": estimate("value", ".4~g", missing="not defined"),
    }
    base = alt.Chart().transform_calculate(**word_fields(words))
    tooltip = word_tooltip(words)
    bars = base.transform_filter("isValid(datum.value_low)").mark_rule(color=CATEGORICAL[0], strokeWidth=1.8)
    points = base.transform_filter("isValid(datum.value)").mark_point(
        filled=True, color=CATEGORICAL[0], opacity=1, size=56, shape="circle"
    )
    undefined = base.transform_filter("!isValid(datum.value)").mark_text(
        text="not defined", fontSize=LABEL_SIZE, color=QUIET_INK
    )
    return [
        bars.encode(x=_x("value_low"), x2="value_high:Q", y=y, tooltip=tooltip),
        points.encode(x=_x("value"), y=y, tooltip=tooltip),
        undefined.encode(x=alt.value(_WIDTH_PX / 2), y=y, tooltip=tooltip),
    ]


def _x(column: str) -> alt.X:
    """A scale of each panel's own."""
    return alt.X(
        f"{column}:Q",
        scale=alt.Scale(zero=False, nice=True, padding=8),
        axis=alt.Axis(title=None, grid=True, tickCount=3, labelOverlap="greedy", labelFlush=False),
    )
