"""What each region of a layer holds: shares of labels in its largest cells, beside those of all samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import altair as alt
import pyarrow as pa

from llm_mri_store.charts.labels import LabelColours, label_colours
from llm_mri_store.charts.tables import Row, drawn_rows
from llm_mri_store.charts.theme import INK, LABEL_SIZE, PAPER, QUIET_INK, apply_theme, readable_on
from llm_mri_store.errors import InvalidInput
from llm_mri_store.schema import CELL_X, CELL_Y, LABEL, LAYER

_COLUMNS: Final = (LAYER, CELL_X, CELL_Y, LABEL, "n")

_WIDTH_PX: Final = 460
_BAR_PX: Final = 22
_LEAST_PRINTED: Final = 0.09
"""Share from which a number fits into its part of a bar."""

ALL_REGIONS: Final = "all samples"


def regions_chart(
    shares: pa.Table, *, title: str, subtitle: Sequence[str] = (), most_regions: int = 15
) -> alt.LayerChart:
    """Shares of labels in the largest cells of one layer, the fullest on top; above them all samples.

    A bar is a region, its parts are labels, the number behind it is its samples. Cells beyond the largest
    are one bar at the bottom.

    Args:
        shares: layer, cell_x, cell_y, label, n: a row for each occupied cell and label of one layer, as the
            named query ``label_shares`` gives them.
        title: one sentence.
        subtitle: further lines.
        most_regions: cells that have a bar of their own, at least 1.

    Raises:
        InvalidInput: a column is missing, there is no row, there are several layers, or ``most_regions`` is
            below 1.

    >>> cells = {"layer": [3, 3], "cell_x": [0, 0], "cell_y": [1, 1], "label": ["a", "b"], "n": [1, 3]}
    >>> bars = regions_chart(pa.table(cells), title="t").to_dict()["datasets"]
    >>> [row["share"] for rows in bars.values() for row in rows if row.get("label") == "a"]
    [0.25, 0.25]
    """
    if most_regions < 1:
        raise InvalidInput(f"most_regions is {most_regions}; it must be at least 1 bar")
    rows = drawn_rows(shares, _COLUMNS, what="samples of labels in cells")
    if not rows:
        raise InvalidInput("no sample of this layer has a cell, so there is nothing to draw")
    if len({row[LAYER] for row in rows}) > 1:
        raise InvalidInput("these shares are of several layers; choose one")
    totals: Counter[str] = Counter()
    for row in rows:
        totals[row[LABEL]] += row["n"]
    colours = label_colours(totals)
    parts, bars = _parts(rows, colours, most_regions)
    order = [bar["region"] for bar in bars]
    y = alt.Y(
        "region:N",
        sort=order,
        scale=alt.Scale(domain=order, paddingInner=0.18, paddingOuter=0.1),
        axis=alt.Axis(title="region (cell: component 1, component 2)", ticks=False, labelColor=INK),
    )
    chart: alt.LayerChart = alt.LayerChart(
        layer=[*_bar_marks(parts, y, colours), _sample_numbers(bars, y), *_overall_lines(parts, y)]
    ).properties(width=_WIDTH_PX, height=_BAR_PX * len(bars), view=alt.ViewBackground(stroke=None))
    return apply_theme(chart, title=title, subtitle=[*subtitle, *colours.notes], width_px=_WIDTH_PX + 260)


def _parts(rows: Sequence[Row], colours: LabelColours, most_regions: int) -> tuple[list[Row], list[Row]]:
    """A row for each part of a bar, and one for each bar, from the top."""
    cells: dict[str, Counter[str]] = {}
    sizes: Counter[str] = Counter()
    for row in rows:
        cell = f"{row[CELL_X]}, {row[CELL_Y]}"
        cells.setdefault(cell, Counter())[colours.drawn_as[row[LABEL]]] += row["n"]
        sizes[cell] += row["n"]
    largest = sorted(sizes, key=lambda cell: (-sizes[cell], cell))
    kept = largest if len(largest) <= most_regions + 1 else largest[:most_regions]
    held = {ALL_REGIONS: sum(cells.values(), Counter()), **{cell: cells[cell] for cell in kept}}
    if len(kept) < len(largest):
        rest = largest[len(kept) :]
        held[f"{len(rest):,} other cells"] = sum((cells[cell] for cell in rest), Counter())
    parts: list[Row] = []
    bars: list[Row] = []
    for region, counts in held.items():
        n = counts.total()
        bars.append({"region": region, "n": n, "is_all": region == ALL_REGIONS})
        reached = 0
        for label in colours.names:
            if counts[label]:
                parts.append(
                    {
                        "region": region,
                        "label": label,
                        "n": counts[label],
                        "n_region": n,
                        "share": counts[label] / n,
                        "from": reached / n,
                        "to": (reached + counts[label]) / n,
                        "middle": (reached + counts[label] / 2) / n,
                        "overall": held[ALL_REGIONS][label] / held[ALL_REGIONS].total(),
                    }
                )
                reached += counts[label]
    return parts, bars


def _x(field: str) -> alt.X:
    return alt.X(
        f"{field}:Q",
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(title="share of the region's samples", format=".0%", tickCount=5),
    )


def _bar_marks(parts: Sequence[Row], y: alt.Y, colours: LabelColours) -> list[alt.Chart]:
    bars = (
        alt.Chart(alt.InlineData(values=list(parts)))
        .mark_bar(stroke=PAPER, strokeWidth=0.8)
        .encode(
            x=_x("from"),
            x2="to:Q",
            y=y,
            color=alt.Color(
                f"{LABEL}:N",
                scale=colours.scale,
                legend=alt.Legend(
                    title=LABEL,
                    labelExpr=colours.label_expr,
                    symbolType="square",
                    symbolStrokeWidth=0,
                    offset=64,
                ),
            ),
            tooltip=[
                alt.Tooltip("region:N"),
                alt.Tooltip(f"{LABEL}:N"),
                alt.Tooltip("n:Q", title="samples", format=",d"),
                alt.Tooltip("n_region:Q", title="of", format=",d"),
                alt.Tooltip("share:Q", title="share of the region", format=".1%"),
                alt.Tooltip("overall:Q", title="share of all samples", format=".1%"),
            ],
        )
    )
    numbers = (
        alt.Chart(alt.InlineData(values=list(parts)))
        .transform_filter(f"datum.share >= {_LEAST_PRINTED}")
        .mark_text(fontSize=10, baseline="middle")
        .encode(
            x=_x("middle"),
            y=y,
            text=alt.Text("share:Q", format=".0%"),
            color=alt.value(readable_on(f"scale('color', datum.{LABEL})")),
        )
    )
    return [bars, numbers]


def _sample_numbers(bars: Sequence[Row], y: alt.Y) -> alt.Chart:
    """Each bar's samples, behind it."""
    numbers: alt.Chart = (
        alt.Chart(alt.InlineData(values=list(bars)))
        .transform_calculate(printed="'n = ' + format(datum.n, ',d')")
        .mark_text(align="left", baseline="middle", fontSize=LABEL_SIZE, color=QUIET_INK)
        .encode(x=alt.value(_WIDTH_PX + 8), y=y, text="printed:N")
    )
    return numbers


def _overall_lines(parts: Sequence[Row], y: alt.Y) -> list[alt.Chart]:
    """A line below the bar of all samples, which the others are read against."""
    reference = [row for row in parts if row["region"] == ALL_REGIONS][:1]
    line: alt.Chart = (
        alt.Chart(alt.InlineData(values=[{"region": reference[0]["region"]}]))
        .mark_rule(color=QUIET_INK, strokeWidth=1, yOffset=0.5 * _BAR_PX)
        .encode(x=alt.value(0), x2=alt.value(_WIDTH_PX), y=y)
    )
    return [line]
