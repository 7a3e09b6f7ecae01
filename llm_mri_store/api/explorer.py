"""What a page's explorer shows of a reduction: all of its cells, and words, texts and points of them.

Every number comes from a named query; texts of a token scan are its tokens with the words around them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.analysis import questions
from llm_mri_store.errors import InvalidInput, ReductionError
from llm_mri_store.report.explorer import ExplorerData
from llm_mri_store.store import catalogue
from llm_mri_store.store.arrays import sample_values

if TYPE_CHECKING:
    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.store.clock import Clock

TERMS_PER_CELL: Final = 10
POINTS_PER_PAGE: Final = 60_000
"""Points of all layers that a page holds, beside those of the first text of every cell."""
LIVE_POINTS: Final = 5_000
LIVE_CHARS: Final = 4_000
MOST_TEXTS: Final = 200
"""Texts that are given at once."""

_TEXT_COLUMNS: Final = (schema.SAMPLE_ID, schema.LABEL, schema.TEXT)
_POINT_TYPES: Final = {
    schema.LAYER: pa.int32(),
    schema.SAMPLE_ID: pa.int64(),
    "x": pa.float32(),
    "y": pa.float32(),
    schema.CELL_X: pa.int32(),
    schema.CELL_Y: pa.int32(),
}


def explorer_data(
    reduction: Reduction, *, max_text_bytes: int = 1_500_000, max_chars: int = 400, live: bool = False
) -> ExplorerData:
    """Cells of every layer and label, and a sample of texts with their points and the cells' words.

    All texts are there where they fit. Else they are a sample, and the first of every cell in its order is
    there beside it, so that no cell is without a text.

    Args:
        reduction: with a grid.
        max_text_bytes: most bytes of texts; only the first texts of many cells may exceed it.
        max_chars: longer texts are cut to this many characters.
        live: leave out words, texts and points: the page will ask for them.

    Raises:
        ReductionError: there is no grid.
        InvalidInput: a limit is negative.
    """
    refuse_no_grid(reduction)
    cells = reduction.ask("label_shares").arrow
    labels = reduction.scan().labels
    totals = dict.fromkeys(labels, 0)
    first = cells.filter(pc.equal(cells[schema.LAYER], min(reduction.layers)))
    for label, n in zip(first[schema.LABEL].to_pylist(), first["n_label"].to_pylist(), strict=True):
        totals[label] = n
    texts = _no_rows({name: pa.string() for name in _TEXT_COLUMNS} | {schema.SAMPLE_ID: pa.int64()})
    points = _no_rows(_POINT_TYPES)
    if not live:
        texts = _page_texts(reduction, max_text_bytes, max_chars)
        points = _page_points(reduction, texts[schema.SAMPLE_ID])
    spec = reduction.spec
    return ExplorerData(
        layers=reduction.layers,
        degenerate_layers=reduction.degenerate_layers,
        grid=spec.grid or 0,
        labels=labels,
        label_totals=tuple(totals[label] for label in labels),
        cells=cells.select([schema.LAYER, schema.CELL_X, schema.CELL_Y, schema.LABEL, "n"]),
        terms={} if live else _terms_of_layers(reduction),
        texts=texts,
        points=points,
        n_texts=sum(totals.values()),
        title=f"{reduction.scan_name}/{reduction.name}",
        subtitle=f"{spec.method.upper()}, {spec.grid} x {spec.grid} cells, {len(reduction.layers)} layers",
        is_live=live,
    )


def refuse_no_grid(reduction: Reduction) -> None:
    """Refuses a reduction without cells.

    Raises:
        ReductionError: there is no grid.
    """
    if reduction.spec.grid is None:
        raise ReductionError(
            f"reduction {reduction.name!r} has {reduction.spec.n_components} components and no grid, so "
            "there are no cells to explore; reduce to 2 components"
        )


def texts_of_cell(
    reduction: Reduction,
    layer: int,
    cell: int,
    *,
    label: str | None = None,
    offset: int = 0,
    limit: int = 50,
    clock: Clock | None = None,
) -> tuple[int, pa.Table]:
    """Texts of a cell by their sample_id, and how many it has in all.

    Args:
        reduction: with a grid.
        layer: the layer.
        cell: ``cell_x * grid + cell_y``.
        label: only this label's; all by default.
        offset: texts to pass over.
        limit: texts to give, at most ``MOST_TEXTS``.
        clock: stops it.

    Returns:
        Texts in all, of the label where one is given; sample_id, label, text, cut to ``LIVE_CHARS``.

    Raises:
        UnknownName: there is no such layer or label.
        InvalidInput: there is no such cell, or a number is out of its bounds.
        QueryTimeout: the clock stopped it.
    """
    if not 1 <= limit <= MOST_TEXTS:
        raise InvalidInput(f"limit must be from 1 to {MOST_TEXTS}, got {limit}")
    asked = {"layer": layer, **_cell(reduction, cell), "label": label}
    rows = _ask(reduction, "cell_texts", clock, **asked, offset=offset, limit=limit)
    counted = rows
    if offset and not rows.num_rows:
        counted = _ask(reduction, "cell_texts", clock, **asked, limit=1)
    n = counted["n_cell"][0].as_py() if counted.num_rows else 0
    return n, _shortened(_in_context(reduction, rows.select(_TEXT_COLUMNS)), LIVE_CHARS)


def terms_of_cell(reduction: Reduction, layer: int, cell: int, *, clock: Clock | None = None) -> list[str]:
    """The words most typical of a cell, the most typical first; none where a degenerate layer has one cell.

    Args:
        reduction: with a grid.
        layer: the layer.
        cell: ``cell_x * grid + cell_y``.
        clock: stops it.

    Raises:
        UnknownName, InvalidInput, QueryTimeout: as ``texts_of_cell``.
    """
    asked = {"layer": layer, **_cell(reduction, cell), **_TERMS}
    if layer in reduction.degenerate_layers:
        return []
    terms: list[str] = _ask(reduction, "cell_terms", clock, **asked)["term"].to_pylist()
    return terms


def points_of_layer(
    reduction: Reduction, layer: int, *, limit: int = LIVE_POINTS, clock: Clock | None = None
) -> pa.Table:
    """Points of a layer's samples, or of as many drawn at random, the same at every layer.

    Args:
        reduction: with a grid.
        layer: the layer.
        limit: most points.
        clock: stops it.

    Returns:
        layer, sample_id, label, x, y, cell_x, cell_y, by sample_id.

    Raises:
        UnknownName, InvalidInput, QueryTimeout: as ``texts_of_cell``.
    """
    return _ask(reduction, "layer_points", clock, layer=layer, limit=limit)


_TERMS: Final = {"limit": TERMS_PER_CELL, "reduce_frequent": True}


def _ask(reduction: Reduction, query: str, clock: Clock | None, **parameters: object) -> pa.Table:
    return questions.ask(reduction._selection(), query, parameters, clock=clock)


def _cell(reduction: Reduction, cell: int) -> dict[str, int]:
    refuse_no_grid(reduction)
    grid = reduction.spec.grid or 0
    if not 0 <= cell < grid * grid:
        raise InvalidInput(f"cell must be from 0 to {grid * grid - 1}, got {cell}")
    return dict(zip((schema.CELL_X, schema.CELL_Y), divmod(cell, grid), strict=True))


def _no_rows(types: dict[str, pa.DataType]) -> pa.Table:
    return pa.schema(list(types.items())).empty_table()


def _page_texts(reduction: Reduction, max_bytes: int, max_chars: int) -> pa.Table:
    asked = {"max_bytes": max_bytes, "max_chars": max_chars}
    most = POINTS_PER_PAGE // len(reduction.layers)
    rows = reduction.ask("page_texts", **asked, max_texts=most).arrow.select(_TEXT_COLUMNS)
    return _shortened(_in_context(reduction, rows), max_chars)


def _page_points(reduction: Reduction, sample_ids: pa.ChunkedArray) -> pa.Table:
    wanted = sample_ids.combine_chunks()
    asked = [{"layer": layer} for layer in reduction.layers]
    parts = []
    for rows in questions.ask_each(reduction._selection(), "layer_points", asked):
        parts.append(rows.filter(pc.is_in(rows[schema.SAMPLE_ID], wanted)).select(list(_POINT_TYPES)))
    return pa.concat_tables(parts)


def _terms_of_layers(reduction: Reduction) -> dict[tuple[int, int, int], tuple[str, ...]]:
    flat = reduction.degenerate_layers
    asked = [{"layer": layer, **_TERMS} for layer in reduction.layers if layer not in flat]
    terms: dict[tuple[int, int, int], list[str]] = {}
    for rows in questions.ask_each(reduction._selection(), "cell_terms", asked):
        columns = (rows[name].to_pylist() for name in (schema.LAYER, schema.CELL_X, schema.CELL_Y, "term"))
        for layer, x, y, term in zip(*columns, strict=True):
            terms.setdefault((layer, x, y), []).append(term)
    return {place: tuple(words) for place, words in terms.items()}


def _in_context(reduction: Reduction, texts: pa.Table) -> pa.Table:
    """Tokens with the words around them instead of by themselves; texts as they are."""
    scan = catalogue.find_scan(reduction._store, reduction.scan_name)
    if scan.spec.pooling != "tokens":
        return texts
    contexts = sample_values(scan, schema.CONTEXT, texts[schema.SAMPLE_ID].to_pylist())
    return _with_texts(texts, contexts)


def _shortened(texts: pa.Table, max_chars: int) -> pa.Table:
    words = texts[schema.TEXT].to_pylist()
    return _with_texts(
        texts,
        [one[: max_chars - 1] + "…" if one is not None and len(one) > max_chars else one for one in words],
    )


def _with_texts(texts: pa.Table, words: list[Any]) -> pa.Table:
    place = texts.schema.names.index(schema.TEXT)
    return texts.set_column(place, schema.TEXT, pa.array(words, pa.string()))
