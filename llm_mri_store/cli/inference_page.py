"""How results of tests are shown: sentences and a table, rows for programs, a file, or a chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

import llm_mri_store
from llm_mri_store.cli.output import print_rows, say, say_written, tell
from llm_mri_store.errors import ExportError

if TYPE_CHECKING:
    from llm_mri_store.api.agreement import AgreementResult
    from llm_mri_store.api.inference_results import (
        ComparisonResult,
        ContrastResult,
        EdgeTestResult,
        InformationResult,
        LabelContrastResult,
    )
    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.api.table import Table

    Result = (
        AgreementResult
        | ComparisonResult
        | ContrastResult
        | EdgeTestResult
        | InformationResult
        | LabelContrastResult
    )

ROWS: Final = (".csv", ".json", ".parquet")
CHARTS: Final = (".html", ".svg", ".png")
"""Endings of files for rows, and for charts."""

_LONGEST_TEXT: Final = 110
_MOST_PEAKS: Final = 20

_BRIEF: Final = {
    "peaks": "cluster layer more_of size cell_x cell_y score p q p_fwe p_cluster also_in_twin words",
    "cells": "layer cell_x cell_y n_a n_b share_a share_b difference score p q p_fwe p_tfce cluster",
    "clusters": "cluster layer sign size mass p_fwe n_a n_b difference peak_x peak_y peak_score peak_p_fwe",
    "layers": "layer n_tested n_cells n_cells_tfce n_clusters largest_score smallest_p_fwe twin_n_cells "
    "twin_n_clusters twin_largest_score also_in_twin",
    "edges": "source target weight_a weight_b share_a share_b expected_a lift_a score p q p_fwe component",
    "components": "component sign n_edges n_nodes first_layer last_layer size p_fwe peak_source peak_target",
    "distances": "distance value value_low value_high by_chance excess rarefied p p_fwe",
    "metrics": "metric value_a value_b difference difference_low difference_high by_chance rarefied_a "
    "rarefied_b p p_fwe",
    "agreement": "a_layer b_layer ami ami_low ami_high ami_p_fwe cka cka_low cka_high cka_by_chance "
    "cka_excess cka_p_fwe activation_cka activation_cka_by_chance",
    "beside": "graph metric value_a value_a_low value_a_high value_b value_b_low value_b_high",
    "information": "layer n_cells information by_chance excess excess_low excess_high excess_share p_fwe "
    "is_peak may_be_peak twin_excess twin_p_fwe also_in_twin",
    "steps": "layer next_layer n_cells information by_chance excess excess_low excess_high p_fwe twin_excess "
    "also_in_twin",
}
"""What a page shows of a table; files, csv and json have every column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which rows of a result are shown, how and where.

    Attributes:
        rows: which table; None for the first a command offers.
        methods: add the paragraph on what was done.
        form: ``table`` for people, ``csv`` or ``json``.
        output: file to write instead.
        quiet: no talk on stderr.
    """

    rows: str | None
    methods: bool
    form: str
    output: Path | None
    quiet: bool

    @classmethod
    def of(cls, options: dict[str, Any], *, charts: bool = True) -> Page:
        """The page that a command's options ask for; they are taken out of the others.

        Raises:
            ExportError: the file is of no kind that can be written, which shows before anything is computed.
        """
        page = cls(**{name: options.pop(name) for name in ("rows", "methods", "form", "output", "quiet")})
        known = [*ROWS, *(CHARTS if charts else ())]
        if page.output is not None and page.output.suffix.lower() not in known:
            raise ExportError(f"this cannot be written to {page.output.name}; use {', '.join(known)}")
        return page

    @property
    def is_for_people(self) -> bool:
        """True when it is printed as sentences and a table."""
        return self.form == "table" and self.output is None

    def require(self, rows: Sequence[str], of: str) -> None:
        """Refuses rows that a result does not have, before it is made."""
        if self.rows is not None and self.rows not in rows:
            raise click.UsageError(f"--rows {self.rows} is not there of {of}: choose {', '.join(rows)}")

    def show_contrast(self, found: ContrastResult) -> None:
        """A contrast of two sides."""
        rows = self.rows or "peaks"
        if rows == "peaks":
            table, brief = found.peaks(limit=_MOST_PEAKS if self.is_for_people else None), rows
        else:
            table, brief = (found.found(), "cells") if rows == "found" else (getattr(found, rows), rows)
        texts = _peak_texts(table) if rows == "peaks" else []
        self._show(found, table, brief, chart=lambda: found.reduction.plot.contrast(found), below=texts)
        if not self.quiet and found.twin is None and found.facts["n_found"]:
            _say_twin(found.reduction)

    def show_labels(self, found: LabelContrastResult) -> None:
        """A contrast of all labels."""
        self._show(found, found.cells if self.rows == "cells" else found.pairs, "")

    def show_edges(self, found: EdgeTestResult) -> None:
        """A test of edges."""
        if self.rows == "components":
            self._show(found, found.components, self.rows)
        else:
            self._show(found, found.edges if self.rows == "edges" else found.found(), "edges")

    def show_comparison(self, found: ComparisonResult) -> None:
        """A comparison of graphs."""
        rows = self.rows or "distances"
        self._show(found, getattr(found, rows), rows, chart=lambda: found.reduction.plot.comparison(found))

    def show_information(self, found: InformationResult) -> None:
        """What cells tell of labels."""
        is_steps = self.rows == "steps"
        table, brief = (found.steps, "steps") if is_steps else (found.layers, "information")
        self._show(found, table, brief, chart=lambda: found.reduction.plot.information(found))
        if not self.quiet and found.twin is None and found.facts["n_found"]:
            _say_twin(found.reduction)

    def show_agreement(self, found: AgreementResult) -> None:
        """A comparison of two reductions."""
        rows = self.rows or ("layers" if found.n_samples is not None else "metrics")
        brief = {"layers": "agreement", "metrics": "beside"}.get(rows, "")
        self._show(found, getattr(found, rows), brief, chart=lambda: found.reduction.plot.agreement(found))

    def _show(
        self,
        found: Result,
        table: Table,
        brief: str,
        *,
        chart: Callable[[], Any] | None = None,
        below: Sequence[str] = (),
    ) -> None:
        """Sentences and rows; the sentences go to stderr where stdout is for programs."""
        if self.is_for_people or not self.quiet:
            for sentence in found.sentences:
                tell(sentence, err=not self.is_for_people)
        if chart is not None and self.output is not None and self.output.suffix.lower() in CHARTS:
            say_written(llm_mri_store.save_chart(chart(), self.output))
        elif self.is_for_people:
            if len(table):
                print_rows(_brief(table, brief), self.form)
            for line in below:
                tell(line)
        else:
            print_rows(table, self.form, self.output)
        if self.methods:
            tell(found.methods(), err=not self.is_for_people)


def _brief(table: Table, name: str) -> Table:
    """The columns that fit on a page, without those that say nothing."""
    from llm_mri_store.api.table import Table

    wanted = _BRIEF.get(name, " ".join(table.columns)).split()
    arrow = table.arrow
    columns = [
        column for column in wanted if not table.arrow.num_rows or arrow[column].null_count < arrow.num_rows
    ]
    return Table(arrow.select(columns))


def _peak_texts(peaks: Table) -> list[str]:
    """Each peak's texts below where it lies, a line each."""
    lines = []
    if len(peaks) == _MOST_PEAKS:
        lines.append(f"(the {_MOST_PEAKS} heaviest clusters; all of them: --format csv, or --rows clusters)")
    for row in peaks.rows():
        where = f"layer {row['layer']}, cell ({row['cell_x']}, {row['cell_y']})"
        lines.append(f"cluster {row['cluster']}, {where}, more of {row['more_of']}:")
        for text in row["texts"]:
            words = " ".join(text.split())
            lines.append(
                f"  - {words if len(words) <= _LONGEST_TEXT else words[: _LONGEST_TEXT - 3] + '...'}"
            )
    return lines


def _say_twin(reduction: Reduction) -> None:
    """How to ask whether random weights show the same."""
    spec = reduction.scan().spec
    if spec.random_weights is not None or spec.pooling == "imported":
        return
    twins = reduction.twin_names()
    if twins:
        say(f"would random weights show it as well? add --twin {twins[0]}")
    else:
        scan, reduce = reduction.twin_commands()
        say("would random weights show it as well? make a twin, and name it with --twin:")
        say(f"  {scan}\n  {reduce}")
