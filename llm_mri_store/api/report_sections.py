"""Sections of a report that count and draw: the scan, its maps, its graph, the quality of its layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from llm_mri_store.api.explorer import explorer_data, refuse_no_grid
from llm_mri_store.api.report_request import tried_section
from llm_mri_store.records.words import span_words
from llm_mri_store.report.content import Block, Chart, Explorer, Facts, Paragraphs, Remarks, Rows, Section

if TYPE_CHECKING:
    from llm_mri_store.api.report_request import ReportRequest
    from llm_mri_store.report.explorer import ExplorerData

MOST_MAP_CELLS: Final = 12_000
"""Cells that the maps of all layers and labels draw; of more labels than fit the largest are shown."""

MOST_EDGES: Final = 1_500
"""Edges that the graph's drawing keeps: the heaviest."""

MOST_GRAPH_LABELS: Final = 10


def scan_section(request: ReportRequest) -> Section:
    """What was scanned and how, and what to know first."""
    reduction = request.reduction
    scan = reduction.scan()

    def facts() -> Iterator[Block]:
        entry = scan._entry()
        devices = sorted({chunk.device for chunk in entry.chunks})
        made_by = ", ".join(f"{name} {version}" for name, version in sorted(entry.record.versions.items()))
        yield Facts(
            facts={
                **scan.facts(),
                "computed on": ", ".join(devices) or "not recorded",
                "computed with": made_by or "not recorded",
                "reduction": _reduction_words(request),
            }
        )

    def remarks() -> Iterator[Block]:
        sentences = scan.remarks()
        if sentences:
            yield Remarks(sentences=tuple(f"{one[:1].upper()}{one[1:]}." for one in sentences))

    def samples() -> Iterator[Block]:
        summary = scan.summary().arrow
        names = ["all" if row["is_total"] else row["label"] for row in summary.to_pylist()]
        place = summary.schema.get_field_index("label")
        named = summary.set_column(place, "label", pa.array(names, pa.string()))
        columns = ["label", "n", "n_ok", "n_truncated", "n_duplicate_texts", "min_tokens", "mean_tokens"]
        yield Rows(
            table=named.select([*columns, "max_tokens"]),
            caption="Samples by label, and their lengths in tokens.",
            headings={
                "n": "samples",
                "n_ok": "with an activation",
                "n_truncated": "texts cut",
                "n_duplicate_texts": "repeated texts",
                "min_tokens": "fewest tokens",
                "mean_tokens": "mean tokens",
                "max_tokens": "most tokens",
            },
        )

    return tried_section(
        remarks,
        facts,
        samples,
        id="scan",
        title="What was scanned, and how",
        short="Scan",
    )


def _reduction_words(request: ReportRequest) -> str:
    (words,) = request.reduction.plot.provenance()
    return f"{request.reduction.name}: {words.rpartition('; ')[2]}"


def explorer_section(request: ReportRequest, explorer: ExplorerData | None) -> Section:
    """The linked views."""

    def views() -> Iterator[Block]:
        refuse_no_grid(request.reduction)
        data = explorer if explorer is not None else explorer_data(request.reduction)
        request.terms.update(data.terms)
        n_shown = data.texts.num_rows
        if not data.is_live and n_shown < data.n_texts:
            yield Paragraphs(
                sentences=(
                    f"{n_shown:,} of {data.n_texts:,} texts are in this page, drawn by a hash of their "
                    "number, with at least one of each occupied cell; counts, shares and words are of all "
                    "of them.",
                )
            )
        yield Explorer(data=data)

    return tried_section(
        views,
        id="explore",
        title="Explore",
        lead="Choose a layer, a label or a cell in any view: the others follow. The address of this page "
        "keeps what is chosen.",
    )


def layers_section(request: ReportRequest) -> Section:
    """Every layer and label side by side, and what to know of each map."""
    reduction = request.reduction

    def maps() -> Iterator[Block]:
        refuse_no_grid(request.reduction)
        grid = reduction.spec.grid or 1
        most = max(1, MOST_MAP_CELLS // (grid * grid * len(reduction.layers)))
        labels, note = request.chosen_labels(most)
        shown = labels[:most]
        yield request.drawn(
            reduction.plot.heatmaps(list(shown)),
            "Maps, a row for each label and a column for each layer",
            caption=note or (f"The first {most} labels asked for." if len(shown) < len(labels) else ""),
        )

    def table() -> Iterator[Block]:
        refuse_no_grid(request.reduction)
        columns = ["layer", "explained", "n_cells_used", "largest_share", "evenness", "n_clipped"]
        yield Rows(
            table=reduction.map_quality().arrow.select(columns),
            caption="What to know of a layer before its map is read. Evenness: entropy of the cells over its "
            "largest value, 100 % = samples spread evenly.",
            headings={
                "explained": "variance kept",
                "n_cells_used": "cells used",
                "largest_share": "in the fullest cell",
                "n_clipped": "points outside the grid",
            },
            percent=frozenset({"explained", "largest_share", "evenness"}),
            most=40,
        )

    return tried_section(
        maps,
        table,
        id="layers",
        title="Every layer and label",
        short="Layers",
        lead="Where the texts of each label lie, layer by layer, on one scale of colours. A map is a picture "
        "until it is tested: the sections below do that.",
    )


def graph_section(request: ReportRequest) -> Section:
    """The graph of regions, and its metrics."""
    reduction = request.reduction
    labels, note = request.chosen_labels(MOST_GRAPH_LABELS)

    def drawing() -> Iterator[Block]:
        graph = reduction.graph(list(labels))
        weights = [abs(weight) for _, _, weight in graph.edges(data="weight", default=1.0)]
        percentile = 0
        if len(weights) > MOST_EDGES:
            # One step above the weight that too many edges share, so that no more than that are drawn.
            least = np.sort(weights)[-MOST_EDGES - 1]
            percentile = min(math.ceil(100 * np.mean(np.asarray(weights) <= least)), 99)
        yield request.drawn(
            reduction.plot.drawing(graph, min_weight_percentile=percentile),
            "Graph, layers from top to bottom",
            caption=note,
            shows=f"It has {len(graph):,} nodes and {len(weights):,} edges.",
        )

    def metrics() -> Iterator[Block]:
        chart = request.drawn(reduction.plot.metrics(list(labels)), "Metrics of graphs side by side")
        yield chart
        yield Rows(
            table=_drawn_metrics(chart),
            caption="The same as numbers. They grow with the number of samples, so labels of unlike size are "
            "compared by the test of their graphs.",
            headings={
                "n_nodes": "nodes",
                "n_edges": "edges",
                "var_degree": "variance of degree",
                "n_communities": "communities",
            },
        )

    def flow() -> Iterator[Block]:
        yield request.drawn(reduction.plot.flow(list(labels)), "Flow of labels through the layers")

    return tried_section(
        flow,
        drawing,
        metrics,
        id="graph",
        title="How labels travel through the layers",
        short="Graph",
        lead="First the largest regions of each layer and the samples that go from one to the next; then "
        "the neural region activation graph, whose nodes are all regions and whose edges count those "
        "samples.",
    )


def _drawn_metrics(chart: Chart) -> pa.Table:
    """The numbers of a chart of metrics, a row for each graph: they were computed once, for the chart."""
    drawn = [
        row
        for rows in chart.specification["datasets"].values()
        for row in rows
        if {"graph", "metric"} <= set(row)
    ]
    names = dict.fromkeys(row["metric"] for row in drawn)
    graphs = dict.fromkeys(row["graph"] for row in drawn)
    values = {(row["graph"], row["metric"]): row.get("value") for row in drawn}
    columns = {
        name: pa.array([values.get((graph, name)) for graph in graphs], pa.float64()) for name in names
    }
    return pa.table({"graph": pa.array(list(graphs), pa.string()), **columns})


def quality_section(request: ReportRequest) -> Section:
    """How good the activations of each layer are."""

    def curves() -> Iterator[Block]:
        yield request.drawn(
            request.reduction.plot.quality(progress=request.progress), "Curves of quality by layer"
        )

    def table() -> Iterator[Block]:
        scan = request.reduction.scan()
        found = scan.quality(progress=request.progress).arrow
        columns = [
            "layer",
            "n_ok",
            "n_distinct",
            "is_degenerate",
            "effective_rank",
            "anisotropy",
            "mean_norm",
        ]
        yield Rows(
            table=found.select([*columns, "n_outlier_dimensions", "top_dimension_share"]),
            caption=f"Layers {span_words(request.reduction.layers)}, width {scan.spec.hidden_size}. "
            "Effective rank: dimensions that the covariance fills. Anisotropy: mean cosine similarity of "
            "two samples. Outlier dimension: its mean is more than 3 standard deviations off.",
            headings={
                "n_ok": "samples",
                "n_distinct": "distinct vectors",
                "is_degenerate": "degenerate",
                "mean_norm": "mean length",
                "n_outlier_dimensions": "outlier dimensions",
                "top_dimension_share": "variance in one dimension",
            },
            percent=frozenset({"top_dimension_share"}),
            most=40,
        )

    return tried_section(
        curves,
        table,
        id="quality",
        title="How good each layer's activations are",
        short="Quality",
    )
