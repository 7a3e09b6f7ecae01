"""What the live page says and answers: named queries of one reduction, each asked when it is wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.api.explorer import (
    explorer_data,
    points_of_layer,
    refuse_no_grid,
    terms_of_cell,
    texts_of_cell,
)
from llm_mri_store.errors import QueryError, StoreCorrupt, StoreError, UnknownName
from llm_mri_store.records.results import result_source
from llm_mri_store.report.explorer import point_columns
from llm_mri_store.store.clock import Clock

if TYPE_CHECKING:
    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.report.content import PageContent

AnswerT = TypeVar("AnswerT")


class LiveSource:
    """What the page's server answers with: named queries of one reduction, each asked when it is wanted.

    The page is made when it is first asked for, and again when the reduction or its kept tests have changed.

    Args:
        reduction: with a grid.
        clock: stops queries.

    Raises:
        ReductionError: there is no grid.
    """

    def __init__(self, reduction: Reduction, clock: Clock) -> None:
        refuse_no_grid(reduction)
        self._reduction = reduction
        self._clock = clock
        self._lock = threading.Lock()
        self._shown = ""
        self._made_of: tuple[str, ...] = ()
        self._page = ""

    def page(self) -> str:
        """The page as HTML.

        Raises:
            StoreError: the reduction is no longer there, or a file is damaged.
        """
        from llm_mri_store.report.page import build_page

        with self._lock, self._still_there():
            made_of = (self._digest(), *self._kept_tests())
            if made_of != self._made_of:
                self._page = build_page(live_content(self._reduction))
                self._made_of, self._shown = made_of, made_of[0]
            return self._page

    def texts(self, layer: int, cell: int, label: str | None, offset: int, limit: int) -> dict[str, Any]:
        """Texts of a cell as the page reads them; see ``texts_of_cell``."""
        ask = partial(texts_of_cell, label=label, offset=offset, limit=limit)
        n, rows = self._asked(ask, layer, cell)
        texts = [
            {"id": row[schema.SAMPLE_ID], "label": row[schema.LABEL], "text": row[schema.TEXT]}
            for row in rows.to_pylist()
        ]
        return {"n": n, "n_shown": n, "rows": texts}

    def terms(self, layer: int, cell: int) -> list[str]:
        """The words most typical of a cell; see ``terms_of_cell``."""
        return self._asked(terms_of_cell, layer, cell)

    def points(self, layer: int) -> dict[str, Any]:
        """Points of a layer as the page reads them; see ``points_of_layer``."""
        rows = self._asked(points_of_layer, layer)
        columns = point_columns(rows, self._reduction.spec.grid or 0)
        names = {"label": schema.LABEL, "id": schema.SAMPLE_ID}
        return {**columns, **{name: rows[column].to_pylist() for name, column in names.items()}}

    def _asked(self, ask: Callable[..., AnswerT], *place: int) -> AnswerT:
        with self._still_there():
            if self._digest() != self._shown:
                raise StoreError(
                    f"reduction {self._name} was made anew since this page was loaded; reload the page"
                )
            return ask(self._reduction, *place, clock=self._clock)

    @contextmanager
    def _still_there(self) -> Iterator[None]:
        """Says so where the reduction has gone, whatever a question about it came to.

        Raises:
            StoreError: it has.
        """
        try:
            yield
        except (StoreCorrupt, UnknownName) as error:
            try:
                self._digest()
            except UnknownName:
                raise StoreError(f"reduction {self._name} is no longer in the store") from error
            raise

    @property
    def _name(self) -> str:
        return f"{self._reduction.scan_name}/{self._reduction.name}"

    def _digest(self) -> str:
        place = self._reduction._place()
        return result_source(place.scan.chunks, place.reduction.record)

    def _kept_tests(self) -> tuple[str, ...]:
        (opened,) = self._reduction._selection().opened
        return tuple(one.address for one in opened.results if one.record is not None)


def live_content(reduction: Reduction) -> PageContent:
    """What the live page says: the explorer first, then the scan, its maps, and the tests that were kept.

    Nothing is tested or kept for it.

    Args:
        reduction: with a grid.

    Raises:
        ReductionError: there is no grid.
    """
    from llm_mri_store.api.report_request import ReportRequest
    from llm_mri_store.api.report_sections import explorer_section, layers_section
    from llm_mri_store.api.report_words import made_with
    from llm_mri_store.report.content import Facts, PageContent, Paragraphs, Rows, Section

    data = explorer_data(reduction, live=True)
    request = ReportRequest(reduction=reduction, has_probe=False)
    tests = _tests(reduction)
    return PageContent(
        title=f"Scan {reduction.scan_name}, live",
        subtitle=data.subtitle,
        figures=(),
        sections=(
            explorer_section(request, data),
            Section(id="scan", title="What was scanned", blocks=(Facts(facts=reduction.scan().facts()),)),
            layers_section(request),
            Section(
                id="tests",
                title="Tests that were kept",
                blocks=(
                    Rows(table=tests, caption="Each test, and what it came to.", headings={"p": "smallest p"})
                    if tests.num_rows
                    else Paragraphs(sentences=("No test of this reduction was kept yet.",)),
                ),
            ),
        ),
        made_with=made_with(),
    )


def _tests(reduction: Reduction) -> pa.Table:
    columns = ["result", "kind", "n_tested", "n_found", "p", "sentences"]
    try:
        return reduction.ask("tests").arrow.select(columns)
    except QueryError:
        return pa.table({column: [] for column in columns})
