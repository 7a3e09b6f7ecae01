"""A brain scanner for transformers that remembers.

>>> import llm_mri_store as mri
>>> store = mri.Store("llm-mri-store")

Everything heavy (torch, transformers, altair) is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_mri_store.analysis.graph_files import write_graph as write_graph
    from llm_mri_store.analysis.graph_metrics import degree_by_layer as degree_by_layer
    from llm_mri_store.analysis.graph_metrics import graph_metrics as graph_metrics
    from llm_mri_store.analysis.node_metrics import node_metrics as node_metrics
    from llm_mri_store.analysis.projections import projection_metrics as projection_metrics
    from llm_mri_store.api.reduction import Reduction as Reduction
    from llm_mri_store.api.scan import Scan as Scan
    from llm_mri_store.api.store import Store as Store
    from llm_mri_store.api.table import Table as Table
    from llm_mri_store.charts import save_chart as save_chart
    from llm_mri_store.errors import LlmMriError as LlmMriError
    from llm_mri_store.records.jobs import Progress as Progress

__version__ = "0.1.0"

_HOMES = {
    "LlmMriError": "llm_mri_store.errors",
    "Progress": "llm_mri_store.records.jobs",
    "Reduction": "llm_mri_store.api.reduction",
    "Scan": "llm_mri_store.api.scan",
    "Store": "llm_mri_store.api.store",
    "Table": "llm_mri_store.api.table",
    "degree_by_layer": "llm_mri_store.analysis.graph_metrics",
    "graph_metrics": "llm_mri_store.analysis.graph_metrics",
    "node_metrics": "llm_mri_store.analysis.node_metrics",
    "projection_metrics": "llm_mri_store.analysis.projections",
    "save_chart": "llm_mri_store.charts",
    "write_graph": "llm_mri_store.analysis.graph_files",
}

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'llm_mri_store' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
