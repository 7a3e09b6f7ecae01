"""Tables and graphs as Altair charts; computes no statistic."""

from llm_mri_store.charts.agreement import agreement_chart
from llm_mri_store.charts.comparison import comparison_chart
from llm_mri_store.charts.contrast import contrast_chart
from llm_mri_store.charts.export import (
    OFFLINE_POLICY,
    TOOLTIP_STYLE,
    chart_page,
    chart_specification,
    inert_json,
    save_chart,
    vega_library,
)
from llm_mri_store.charts.flow import flow_chart
from llm_mri_store.charts.graph import nrag_chart
from llm_mri_store.charts.graph_colours import node_colours
from llm_mri_store.charts.graph_layout import count_crossings, layered_positions
from llm_mri_store.charts.graph_scales import EDGE_WIDTH_PX
from llm_mri_store.charts.heatmap import heatmap_chart, heatmap_layers_chart
from llm_mri_store.charts.information import information_chart
from llm_mri_store.charts.metrics import metrics_chart
from llm_mri_store.charts.points import points_chart
from llm_mri_store.charts.probe import probe_chart
from llm_mri_store.charts.quality import quality_chart
from llm_mri_store.charts.regions import regions_chart
from llm_mri_store.charts.theme import apply_theme, on_ground, theme_config

__all__ = [
    "EDGE_WIDTH_PX",
    "OFFLINE_POLICY",
    "TOOLTIP_STYLE",
    "agreement_chart",
    "apply_theme",
    "chart_page",
    "chart_specification",
    "comparison_chart",
    "contrast_chart",
    "count_crossings",
    "flow_chart",
    "heatmap_chart",
    "heatmap_layers_chart",
    "inert_json",
    "information_chart",
    "layered_positions",
    "metrics_chart",
    "node_colours",
    "nrag_chart",
    "on_ground",
    "points_chart",
    "probe_chart",
    "quality_chart",
    "regions_chart",
    "save_chart",
    "theme_config",
    "vega_library",
]
