"""Sections of a report that test: information, probes, contrasts, graphs as wholes. What is kept is shown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.api.report_request import tried_section
from llm_mri_store.charts.theme import shortened
from llm_mri_store.errors import InvalidInput
from llm_mri_store.report.content import Block, Missing, Paragraphs, Rows, Section

if TYPE_CHECKING:
    from llm_mri_store.api.inference_results import ContrastResult, LabelContrastResult
    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.api.report_request import ReportRequest
    from llm_mri_store.api.table import Table

MOST_TESTED_LABELS: Final = 8
"""Labels that are tested in pairs where none are named: the largest."""

MANY_POINTS: Final = 500_000
FEWER_RELABELINGS: Final = 499
"""Relabelings of information where there are that many points: each takes a look at all of them."""

MOST_PEAKS: Final = 12
WORDS_A_PEAK: Final = 5
TEXTS_A_PEAK: Final = 2
LONGEST_TEXT: Final = 160
"""Characters of a text in the table of peaks; the explorer has all of it."""

PROBED_NUMBERS: Final = 2_000_000
"""Activations (samples x layers x width) up to which a probe takes all samples, in 5 repeats of 5 folds."""

FEWER_PROBED_NUMBERS: Final = 4_000_000
"""Activations that a probe of a larger scan takes, in one repeat: some ten seconds' work."""

MOST_PROBED: Final = 5_000
FEWEST_PROBED: Final = 300

_PEAK_HEADINGS: Final = {
    "more_of": "more of",
    "size": "cells",
    "share_a": "share of A",
    "share_b": "share of B",
    "p_fwe": "family-wise p",
    "p_cluster": "p of the cluster",
    "words": "typical words",
}


def information_section(request: ReportRequest) -> Section:
    """What the cell tells of the label."""
    reduction = request.reduction

    def curve() -> Iterator[Block]:
        labels, note = request.chosen_labels(2**31)
        wanted = None if request.labels is None else labels
        if len(request.label_sizes if wanted is None else labels) < 2:
            raise InvalidInput("there is one label, so nothing that a cell could tell of it")
        n_points = sum(request.label_sizes.values()) * len(reduction.layers)
        most = FEWER_RELABELINGS if n_points > MANY_POINTS else request.n_permutations
        kept = _kept_options(
            request,
            schema.INFORMATION,
            {"labels": wanted, "rest": False},
            n_permutations=min(request.n_permutations, most),
        )
        found = reduction.information(wanted, progress=request.progress, **kept)
        request.tests.append(found)
        yield Paragraphs(sentences=(" ".join(found.sentences),))
        yield request.drawn(
            reduction.plot.information(found),
            "Curve of bits by layer",
            caption=note,
            shows=_peak_words(found.layers),
        )

    return tried_section(
        curve,
        id="information",
        title="Where the label is computed",
        short="Information",
        lead="How much a text's cell tells of its label, in bits, beyond what labels handed out at random "
        "would tell.",
    )


def _peak_words(layers: Table) -> str:
    told = [row for row in layers.rows() if row["excess"] is not None]
    if not told:
        return "No layer was tested."
    most = max(told, key=lambda row: row["excess"])
    return f"The most is told at layer {most['layer']}: {most['excess']:.2f} bits beyond chance."


def probe_section(request: ReportRequest) -> Section:
    """What linear probes read."""
    reduction = request.reduction

    def scores() -> Iterator[Block]:
        if not request.has_probe:
            raise InvalidInput("probes were left out of this report; llm-mri probe trains them")
        if len(request.label_sizes) < 2:
            raise InvalidInput("there is one label, so nothing for a probe to read")
        scan = reduction.scan()
        n = sum(request.label_sizes.values())
        a_sample = len(reduction.layers) * scan.spec.hidden_size
        options: dict[str, Any] = {"seed": request.seed}
        caption = "5 repeats of 5 folds."
        if n * a_sample > PROBED_NUMBERS:
            most = min(MOST_PROBED, max(FEWEST_PROBED, FEWER_PROBED_NUMBERS // a_sample), n)
            options |= {"n_repeats": 1, "most_samples": most}
            caption = (
                f"One repeat of 5 folds on {most:,} of {n:,} samples, drawn with seed {request.seed}; "
                "llm-mri probe takes all."
            )
        found = reduction.probe(progress=request.progress, metrics=["balanced_accuracy"], **options)
        yield request.drawn(reduction.plot.probe(found), "Curve of scores by layer", caption=caption)

    return tried_section(
        scores,
        id="probe",
        title="What a linear probe reads",
        short="Probe",
        lead="How well the label is read from a layer's activations, and from what the map keeps of them: "
        "points and cells. A score is worth what it is above the baselines.",
    )


def contrast_section(request: ReportRequest) -> Section:
    """Where labels differ beyond chance, and what lies there."""

    def of_sides() -> Iterator[Block]:
        labels, note = request.chosen_labels(MOST_TESTED_LABELS)
        if len(request.label_sizes) < 2:
            raise InvalidInput("there is one label, so nothing to compare it with")
        if len(labels) <= 2:
            yield from _sides(request, labels[0], labels[1] if len(labels) == 2 else None)
        else:
            yield from _pairs(request, labels, note)

    return tried_section(
        of_sides,
        id="contrast",
        title="Where labels differ",
        short="Contrast",
        lead="Every cell of every layer is tested at once; what is called a difference passes a family-wise "
        "p.",
    )


def _sides(request: ReportRequest, a: str, b: str | None, *, note: str = "") -> Iterator[Block]:
    reduction = request.reduction
    choices = {"a": (a,), "b": None if b is None else (b,)}
    kept = _kept_options(request, schema.CONTRAST, choices)
    found = reduction.contrast(a, b, progress=request.progress, **kept)
    request.tests.append(found)
    yield Paragraphs(sentences=(*([note] if note else []), " ".join(found.sentences)))
    n_found = found.facts["n_found"]
    yield request.drawn(
        reduction.plot.contrast(found),
        "Maps of differences, a panel for each layer",
        shows=f"{n_found:,} of {found.facts['n_tested']:,} cells tested differ by themselves.",
    )
    yield _peaks(request, found)


def _peaks(request: ReportRequest, found: ContrastResult) -> Block:
    n_words = 0 if request.terms else WORDS_A_PEAK
    peaks = found.peaks(limit=MOST_PEAKS, n_words=n_words, n_texts=TEXTS_A_PEAK).arrow
    if not peaks.num_rows:
        return Missing(why="No cluster of cells passes, so there is no peak to describe.")
    cells, links = _places(found.reduction, peaks)
    texts = [[shortened(text, LONGEST_TEXT) for text in row] for row in peaks["texts"].to_pylist()]
    peaks = _with_lists(peaks, "texts", texts)
    if request.terms:
        places = peaks.select([schema.LAYER, schema.CELL_X, schema.CELL_Y]).to_pylist()
        words = [request.terms.get(tuple(place.values()), ())[:WORDS_A_PEAK] for place in places]
        peaks = _with_lists(peaks, "words", words)
    columns = ["layer", "more_of", "size", "share_a", "share_b", "p_fwe", "p_cluster", "also_in_twin"]
    if found.twin is None:
        columns.remove("also_in_twin")
    table = peaks.select([*columns, "words", "texts"]).add_column(1, "cell", pa.array(cells))
    n_peaks = sum(
        1 for row in found.clusters.rows() if min(row["p_fwe"], row["peak_p_fwe"], row["peak_p_tfce"]) <= 0.05
    )
    which = f"The {len(cells)} heaviest of {n_peaks:,}" if n_peaks > len(cells) else "All"
    return Rows(
        table=table,
        caption=f"{which} clusters that pass a family-wise p of 0.05, each by its peak: A is {found.a}, B is "
        f"{found.b}. Texts are the first of that side that lie in the cell.",
        headings=_PEAK_HEADINGS,
        percent=frozenset({"share_a", "share_b"}),
        most=8,
        links={"cell": links},
    )


def _with_lists(rows: pa.Table, column: str, values: Sequence[Sequence[str]]) -> pa.Table:
    filled = pa.array([list(one) for one in values], pa.list_(pa.string()))
    return rows.set_column(rows.schema.get_field_index(column), column, filled)


def _places(reduction: Reduction, rows: pa.Table) -> tuple[list[str | None], list[str]]:
    """The cell of each row in words, and where the page shows it."""
    grid = reduction.spec.grid or 1
    cells: list[str | None] = []
    links = []
    for row in rows.select([schema.LAYER, schema.CELL_X, schema.CELL_Y]).to_pylist():
        x, y = row[schema.CELL_X], row[schema.CELL_Y]
        cells.append(None if x is None else f"{x}, {y}")
        links.append("" if x is None else f"layer={row[schema.LAYER]}&cell={x * grid + y}")
    return cells, links


def _pairs(request: ReportRequest, labels: tuple[str, ...], note: str) -> Iterator[Block]:
    """All labels at once, the pairs, and the contrast of the pair that is told apart best."""
    is_all = set(labels) == set(request.label_sizes)
    wanted = None if is_all else labels
    kept = _kept_options(request, schema.LABEL_CONTRAST, {"labels": wanted})
    found = request.reduction.contrast_labels(wanted, progress=request.progress, **kept)
    request.tests.append(found)
    yield Paragraphs(sentences=(" ".join(filter(None, [note, *found.sentences])),))
    pairs = found.pairs.arrow.sort_by([("p_holm", "ascending"), ("a", "ascending"), ("b", "ascending")])
    cells, links = _places(request.reduction, pairs)
    columns = ["a", "b", "n_a", "n_b", "p_holm", "n_cells", "layer", "difference"]
    columns += ["remark"] * (pairs["remark"].null_count < pairs.num_rows)
    table = pairs.select(columns).add_column(columns.index("layer") + 1, "cell", pa.array(cells, pa.string()))
    yield Rows(
        table=table,
        caption=f"The {pairs.num_rows:,} pairs of labels. p is adjusted over layers, cells and pairs "
        "(Holm); a cell counts as different over cells and pairs by Bonferroni, which is stricter. The place "
        "is that of the largest score.",
        headings={
            "a": "A", "b": "B", "n_a": "samples of A", "n_b": "samples of B", "p_holm": "p over pairs",
            "n_cells": "cells that differ", "difference": "share of A minus share of B",
        },
        percent=frozenset({"difference"}),
        links={"cell": links},
    )  # fmt: skip
    yield from _strongest(request, found)


def _strongest(request: ReportRequest, found: LabelContrastResult) -> Iterator[Block]:
    tested = [row for row in found.pairs.rows() if row["p_holm"] is not None]
    if not tested:
        raise InvalidInput("no pair of labels could be tested, so no pair is mapped")
    best = min(tested, key=lambda row: (row["p_holm"], -row["n_cells"], -abs(row["z"]), row["a"], row["b"]))
    note = (
        f"Mapped below: {best['a']!r} against {best['b']!r}, the pair with the strongest evidence of these "
        f"{len(tested):,}. It was chosen by looking at all of them, so its evidence is the p over pairs "
        f"above ({_p_words(best['p_holm'])}); the family-wise p of the map and the table below are those of "
        "this pair alone, as if it had been chosen beforehand."
    )
    yield from _sides(request, best["a"], best["b"], note=note)


def _p_words(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def comparison_section(request: ReportRequest) -> Section | None:
    """Whether the graphs of two sides differ as wholes; only where there are two sides."""
    labels, _ = request.chosen_labels(3)
    if len(labels) != 2:
        return None
    a, b = labels
    reduction = request.reduction

    def compared() -> Iterator[Block]:
        n_permutations = min(request.n_permutations, FEWER_RELABELINGS)
        choices = {"a": (a,), "b": (b,), "n_rarefied": None}
        kept = _kept_options(request, schema.COMPARISON, choices, n_permutations=n_permutations)
        found = reduction.compare(a, b, progress=request.progress, **kept)
        request.tests.append(found)
        yield Paragraphs(sentences=(" ".join(found.sentences),))
        passing = pc.sum(pc.less_equal(found.distances.arrow["p_fwe"], 0.05)).as_py() or 0
        yield request.drawn(
            reduction.plot.comparison(found),
            "Distances between two graphs and their metrics side by side",
            shows=f"{passing} of {len(found.distances)} distances are larger than chance gives.",
        )

    return tried_section(
        compared,
        id="comparison",
        title="Whether the graphs differ as wholes",
        short="Comparison",
    )


def _kept_options(
    request: ReportRequest,
    kind: str,
    choices: Mapping[str, Any],
    *,
    n_permutations: int | None = None,
) -> dict[str, Any]:
    """Options of a test that is kept with at least as many relabelings and otherwise the same choices.

    One beside a twin is preferred, then the one of most relabelings; options of a new test where there is
    none.
    """
    from llm_mri_store.analysis.contrast_spec import ContrastSpec
    from llm_mri_store.store.results import find_results

    least = n_permutations or request.n_permutations
    usual = {
        name: value
        for name, value in asdict(ContrastSpec()).items()
        if name not in ("seed", "n_permutations")
    }
    place = request.reduction._place()
    found = []
    for one in find_results(place.scan, place.reduction):
        if one.kind != kind or not one.is_current or one.record is None:
            continue
        spec = one.record.spec
        there = spec.parameters
        is_same = all(
            there.get(name) == value for name, value in {**usual, **choices}.items() if name in there
        )
        if is_same and int(str(there.get("n_permutations", 0))) >= least:
            found.append((there.get("twin") is not None, int(str(there["n_permutations"])), spec))
    if not found:
        return {"n_permutations": least, "seed": request.seed}
    *_, spec = max(found, key=lambda one: one[:2])
    kept = {"n_permutations": spec.parameters["n_permutations"], "seed": spec.seed, "name": spec.name}
    twin = spec.parameters.get("twin")
    return {**kept, "twin": twin} if twin is not None else kept
