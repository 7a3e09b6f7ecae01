"""What the explorer of a page is given: cells, words, texts and points, and their form inside the page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_mri_store import schema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplorerData:
    """Everything the linked views of layers, labels, cells and texts show.

    Attributes:
        layers: the layers, ascending.
        degenerate_layers: those with one cell, because their activations do not vary.
        grid: cells per axis.
        labels: the labels, sorted.
        label_totals: samples that have a cell, label by label.
        cells: layer, cell_x, cell_y, label, n: samples of a label in a cell; occupied cells only.
        terms: (layer, cell_x, cell_y) -> its most typical words; empty on a live page.
        texts: sample_id, label, text: the page's sample of texts, by sample_id; empty on a live page.
        points: layer, sample_id, x, y, cell_x, cell_y of those texts; empty on a live page.
        n_texts: samples that have a cell, of all labels.
        title: the page's heading.
        subtitle: a line below it.
        is_live: words, texts and points are asked of the server instead.
    """

    layers: tuple[int, ...]
    degenerate_layers: tuple[int, ...]
    grid: int
    labels: tuple[str, ...]
    label_totals: tuple[int, ...]
    cells: pa.Table
    terms: Mapping[tuple[int, int, int], tuple[str, ...]]
    texts: pa.Table
    points: pa.Table
    n_texts: int
    title: str
    subtitle: str
    is_live: bool = False


def explorer_json(data: ExplorerData) -> dict[str, Any]:
    """The explorer's data as it stands in the page: columns of numbers, each name written once.

    A cell is one number, ``cell_x * grid + cell_y``; a label is its place among the labels, -1 for none;
    coordinates have 4 significant digits. Words are looked up by layer and cell, points by layer, in the
    order of the texts. The same data give the same words.

    Args:
        data: what is shown.
    """
    cells, texts = data.cells, data.texts
    return {
        "mode": "live" if data.is_live else "static",
        "title": data.title,
        "subtitle": data.subtitle,
        "layers": list(data.layers),
        "degenerate": list(data.degenerate_layers),
        "grid": data.grid,
        "labels": list(data.labels),
        "totals": list(data.label_totals),
        "cells": {
            "layer": cells[schema.LAYER].to_pylist(),
            "cell": cell_numbers(cells, data.grid),
            "label": label_places(cells[schema.LABEL].to_pylist(), data.labels),
            "n": cells["n"].to_pylist(),
        },
        "terms": _terms_by_layer(data),
        "texts": {
            "id": texts[schema.SAMPLE_ID].to_pylist(),
            "label": label_places(texts[schema.LABEL].to_pylist(), data.labels),
            "text": texts[schema.TEXT].to_pylist(),
        },
        "is_sample": not data.is_live and texts.num_rows < data.n_texts,
        "n_texts": data.n_texts,
        "points": _points_by_layer(data),
    }


def cell_numbers(rows: pa.Table, grid: int) -> list[int]:
    """The cell of each row as one number, ``cell_x * grid + cell_y``."""
    columns = (rows[schema.CELL_X].to_pylist(), rows[schema.CELL_Y].to_pylist())
    return [x * grid + y for x, y in zip(*columns, strict=True)]


def label_places(labels: Sequence[str | None], known: Sequence[str]) -> list[int]:
    """The place of each label among those known; -1 for none.

    >>> label_places(["b", None, "a"], ["a", "b"])
    [1, -1, 0]
    """
    places = {label: place for place, label in enumerate(known)}
    return [-1 if label is None else places[label] for label in labels]


def short_number(number: float | None) -> float | None:
    """A number to 4 significant digits; None for what is none.

    >>> [short_number(one) for one in (0.123456, -1234.56, 2.0, float("nan"))]
    [0.1235, -1235.0, 2.0, None]
    """
    return None if number is None or not math.isfinite(number) else float(f"{number:.4g}")


def point_columns(rows: pa.Table, grid: int) -> dict[str, list[Any]]:
    """Points as the page reads them: x, y and cell, row by row."""
    return {
        "x": [short_number(one) for one in rows["x"].to_pylist()],
        "y": [short_number(one) for one in rows["y"].to_pylist()],
        "cell": cell_numbers(rows, grid),
    }


def _terms_by_layer(data: ExplorerData) -> dict[str, dict[str, list[str]]]:
    terms: dict[str, dict[str, list[str]]] = {}
    for layer, x, y in sorted(data.terms):
        terms.setdefault(str(layer), {})[str(x * data.grid + y)] = list(data.terms[layer, x, y])
    return terms


def _points_by_layer(data: ExplorerData) -> dict[str, dict[str, list[Any]]]:
    import pyarrow.compute as pc

    points = {}
    for layer in data.layers if data.points.num_rows else ():
        rows = data.points.filter(pc.equal(data.points[schema.LAYER], layer))
        points[str(layer)] = point_columns(rows.sort_by(schema.SAMPLE_ID), data.grid)
    return points
