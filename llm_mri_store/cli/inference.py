"""``llm-mri contrast``, ``edges``, ``compare`` and ``information``: whether a difference is real."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from llm_mri_store.cli.inference_page import CHARTS, ROWS, Page
from llm_mri_store.cli.options import (
    CommandT,
    format_option,
    open_reduction,
    open_store,
    output_option,
    quiet_option,
    reduction_option,
    scan_argument,
    store_option,
    twin_option,
)
from llm_mri_store.cli.output import showing_progress
from llm_mri_store.errors import UnknownName

if TYPE_CHECKING:
    from llm_mri_store.api.reduction import Reduction
    from llm_mri_store.api.scan import Scan

_MOST_LABELS: Final = 2


def options_of(*options: Callable[[CommandT], CommandT]) -> Callable[[CommandT], CommandT]:
    """Several options as one decorator, shown in their order."""

    def decorate(command: CommandT) -> CommandT:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def words_argument(metavar: str) -> Callable[[CommandT], CommandT]:
    """Labels, and before them a scan where it needs naming."""
    return click.argument("words", nargs=-1, metavar=metavar)


def design_options(*, permutations: int) -> Callable[[CommandT], CommandT]:
    """What is exchanged within what, how often, and what the result is called."""
    return options_of(
        click.option(
            "--strata",
            multiple=True,
            metavar="COLUMN[:BINS]",
            help="Hold a covariate constant, such as n_tokens, the length of texts; a number is cut into 5 "
            "quantile bins, or as many as stand behind the colon. Repeat it for several.",
        ),
        click.option("--groups", help="Covariate whose groups of samples move together."),
        click.option(
            "--permutations",
            "n_permutations",
            type=int,
            default=permutations,
            show_default=True,
            help="How often labels are handed out again.",
        ),
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of that."),
        click.option("--name", help="Name of the result in the store.  [default: made of the labels]"),
    )


def page_options(*rows: str, charts: bool = True) -> Callable[[CommandT], CommandT]:
    """Which rows are shown, how, and where."""
    endings = f"{' '.join(CHARTS)} (charts) {' '.join(ROWS)} (rows)" if charts else " ".join(ROWS)
    return options_of(
        click.option("--rows", type=click.Choice(rows), help=f"Which rows to show.  [default: {rows[0]}]"),
        click.option("--methods", is_flag=True, help="Add a paragraph on what was done, ready to paste."),
        format_option,
        output_option(endings),
        quiet_option,
    )


_PLACE: Final = options_of(store_option, reduction_option)
_THRESHOLD: Final = click.option(
    "--cluster-threshold",
    type=float,
    help="Score that neighbours must exceed to be taken together.  [default: 2]",
)


def split_words(path: Path | None, words: Sequence[str]) -> tuple[str | None, Sequence[str]]:
    """The scan that words begin with, if they do, and the labels behind it.

    The first word is the scan where a scan has its name, and where more words follow than there can be
    labels; but a label of a store's only scan is that label, were it called as its reduction.
    """
    scan, labels = None, words
    scans = open_store(path).scans
    is_label = (
        bool(words) and "/" in words[0] and len(words) <= _MOST_LABELS and _is_only_label(scans, words[0])
    )
    if words and not is_label and (words[0].partition("/")[0] in scans or len(words) > _MOST_LABELS):
        scan, labels = words[0], words[1:]
    if len(labels) > _MOST_LABELS:
        raise click.UsageError(f"expected a scan and at most {_MOST_LABELS} labels, got: {' '.join(words)}")
    return scan, labels


def _is_only_label(scans: Mapping[str, Scan], word: str) -> bool:
    """Whether the word is a label of the store's only scan."""
    return len(scans) == 1 and word in next(iter(scans.values())).labels


def find_reductions(
    path: Path | None, words: Sequence[str], reduction: str | None
) -> tuple[Reduction, Reduction] | None:
    """The two reductions that two words name; None where they name labels.

    They are SCAN or SCAN/REDUCTION each. A second word that is a label of the first one's scan is that label,
    and so are both of a store's only scan.

    Args:
        path: of the store.
        words: what stands behind the command.
        reduction: that of the first word's scan where an option names it; then words are labels.

    Raises:
        UnknownName: the first word is a reduction, and the second one, which has a slash, nothing there is.
        InvalidInput: a scan is named that has several reductions.
    """
    store = open_store(path)
    scans = store.scans
    if reduction is not None or len(words) != 2 or words[0].partition("/")[0] not in scans:
        return None
    if all(_is_only_label(scans, word) for word in words):
        return None
    labels = scans[words[0].partition("/")[0]].labels
    if words[1] in labels:
        return None
    if words[1].partition("/")[0] in scans:
        return store.reduction(words[0]), store.reduction(words[1])
    if "/" not in words[1]:
        return None
    named = [f"{name}/{one}" for name, scan in scans.items() for one in scan.reductions]
    where = f"scan {words[0].partition('/')[0]!r} or among the store's reductions"
    raise UnknownName("label or reduction", words[1], known=[*labels, *named], where=where)


def open_words(words: Sequence[str], options: dict[str, Any]) -> tuple[Reduction, Sequence[str]]:
    """The reduction and the labels that a command is about."""
    path, reduction = options.pop("store_path"), options.pop("reduction")
    scan, labels = split_words(path, words)
    return open_reduction(path, scan, reduction), labels


def design(options: dict[str, Any]) -> dict[str, Any]:
    """Options as the library takes them; those that were not given are left out."""
    columns, bins = [], set()
    for words in options.pop("strata"):
        column, _, n_bins = words.rpartition(":")
        has_bins = bool(column) and n_bins.isdecimal()
        columns.append(column if has_bins else words)
        bins.update([int(n_bins)] if has_bins else [])
    if len(bins) > 1:
        raise click.UsageError("all numbers are cut into as many bins: give --strata one number of bins")
    chosen = {name: value for name, value in options.items() if value is not None}
    return {**chosen, "strata": tuple(columns), **({"n_bins": bins.pop()} if bins else {})}


@click.command()
@words_argument("[SCAN] [A [B]]")
@_PLACE
@design_options(permutations=4999)
@click.option(
    "--alternative",
    type=click.Choice(["two-sided", "greater", "less"]),
    help="greater: only where A has more; less: only where it has fewer.  [default: two-sided]",
)
@_THRESHOLD
@click.option("--min-samples", type=int, help="Samples a cell must hold to be tested.  [default: 1]")
@twin_option
@page_options("peaks", "found", "cells", "clusters", "layers", "balance", "nulls", "pairs")
def contrast(words: tuple[str, ...], **options: Any) -> None:
    """Where labels A and B lie in different cells beyond chance, and what lies there.

    Without B, A is held against all other labels; without A, all labels are tested at once and then in
    pairs. SCAN may be SCAN/REDUCTION; the first word is SCAN where a scan is called so. The result is kept
    as rows: the same command again reads them, and SQL has them as the views tests, contrasts,
    contrast_clusters, contrast_layers and nulls.
    """
    chosen, labels = open_words(words, options)
    page = Page.of(options, charts=bool(labels))
    if not labels:
        if options.pop("twin") is not None:
            raise click.UsageError("a twin is for two sides: name A, or leave --twin out")
        page.require(("pairs", "cells"), "all labels at once; name A for more")
        with showing_progress(quiet=page.quiet) as progress:
            page.show_labels(chosen.contrast_labels(progress=progress, **design(options)))
        return
    page.require(("peaks", "found", "cells", "clusters", "layers", "balance", "nulls"), "two sides")
    with showing_progress(quiet=page.quiet) as progress:
        found = chosen.contrast(*labels, progress=progress, **design(options))
    page.show_contrast(found)


@click.command()
@words_argument("[SCAN] [A [B]]")
@_PLACE
@design_options(permutations=4999)
@click.option(
    "--given",
    type=click.Choice(["nothing", "source"]),
    help="What an edge's share is of: all samples of a side, or those in the source's cell.  "
    "[default: nothing]",
)
@_THRESHOLD
@click.option(
    "--min-samples",
    type=int,
    help="Samples an edge must hold to be tested, or, without B, the cells at its ends.  [default: 1, or 5]",
)
@page_options("found", "edges", "components", charts=False)
def edges(words: tuple[str, ...], **options: Any) -> None:
    """Which edges more samples take than chance allows, or fewer.

    Of A and B: where they differ; B may be rest. Of A alone, or of all samples: what neighbouring layers have
    to do with each other. SCAN may be SCAN/REDUCTION. The result is kept as rows: SQL has them as the views
    tests, edge_tests and edge_components.
    """
    chosen, labels = open_words(words, options)
    page = Page.of(options, charts=False)
    with showing_progress(quiet=page.quiet) as progress:
        found = chosen.edge_tests(*labels, progress=progress, **design(options))
    page.show_edges(found)


@click.command()
@words_argument("[SCAN] A [B] | SCAN[/REDUCTION] SCAN[/REDUCTION]")
@_PLACE
@design_options(permutations=999)
@click.option(
    "--rarefied",
    "n_rarefied",
    type=int,
    help="Samples of each side to compare values by.  [default: the fewer]",
)
@click.option("--activations", is_flag=True, help="Of two reductions: compare whole activations as well.")
@page_options("distances", "metrics", "layers")
def compare(words: tuple[str, ...], **options: Any) -> None:
    """Whether the graphs of labels A and B differ, or how far two reductions agree.

    Labels: by distances between their graphs and by the metrics of these. Without B, A is held against all
    other labels. SCAN may be SCAN/REDUCTION. The result is kept as rows: SQL has them as the views tests,
    graph_distances and graph_metric_tests.

    Two reductions, of two models or sites or of random weights: over the same texts, how far each layer of
    one agrees with each of the other, beyond chance (--rows layers, the default); in any case the metrics of
    their graphs side by side. Nothing is kept. A second word that is a label of the first one's scan is that
    label; with -r words are labels.
    """
    page = Page.of(options)
    both = find_reductions(options["store_path"], words, options["reduction"])
    if both is not None:
        _compare_reductions(both, page, options)
        return
    if options.pop("activations"):
        raise click.UsageError("--activations is for two reductions: name them SCAN/REDUCTION")
    page.require(("distances", "metrics"), "two labels")
    chosen, labels = open_words(words, options)
    if not labels:
        raise click.UsageError("name the label whose graph is compared: llm-mri compare [SCAN] A [B]")
    with showing_progress(quiet=page.quiet) as progress:
        found = chosen.compare(*labels, progress=progress, **design(options))
    page.show_comparison(found)


def _compare_reductions(both: tuple[Reduction, Reduction], page: Page, options: dict[str, Any]) -> None:
    """Compares two reductions by the options that are for them; the others are refused."""
    of_labels = ("strata", "groups", "name", "n_rarefied")
    for option in of_labels:
        if options[option]:
            flag = "--rarefied" if option == "n_rarefied" else f"--{option}"
            raise click.UsageError(f"{flag} is for two labels, not for two reductions: leave it out")
    chosen = {name: options[name] for name in ("n_permutations", "seed", "activations")}
    with showing_progress(quiet=page.quiet) as progress:
        found = both[0].compare_with(both[1], progress=progress, **chosen)
    page.show_agreement(found)


@click.command()
@scan_argument
@_PLACE
@click.option(
    "--label", "labels", multiple=True, help="Which label; may be given several times; all by default."
)
@click.option("--rest", is_flag=True, help="Whether a sample has one of these labels or any other.")
@design_options(permutations=4999)
@twin_option
@page_options("layers", "steps")
def information(scan_name: str | None, labels: tuple[str, ...], **options: Any) -> None:
    """How much a sample's cell tells of its label, layer by layer.

    In bits, beyond what labels handed out at random give: where the category is computed. SCAN may be
    SCAN/REDUCTION. The result is kept as rows: SQL has them as the views tests and information.
    """
    chosen = open_reduction(options.pop("store_path"), scan_name, options.pop("reduction"))
    page = Page.of(options)
    with showing_progress(quiet=page.quiet) as progress:
        found = chosen.information(list(labels) or None, progress=progress, **design(options))
    page.show_information(found)
