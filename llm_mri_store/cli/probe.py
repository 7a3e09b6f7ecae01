"""``llm-mri probe``."""

from __future__ import annotations

from pathlib import Path

import click

import llm_mri_store
from llm_mri_store.cli.options import (
    format_option,
    open_reduction,
    output_option,
    quiet_option,
    reduction_option,
    scan_argument,
    store_option,
    twin_option,
)
from llm_mri_store.cli.output import print_rows, say_written, showing_progress
from llm_mri_store.cli.questions import CHART_ENDINGS


@click.command()
@scan_argument
@store_option
@reduction_option
@click.option("--target", default="label", show_default=True, help="What to read: the label or a covariate.")
@click.option("--groups", help="Covariate whose values stay together in one fold.")
@click.option("--splits", "n_splits", type=int, default=5, show_default=True, help="Folds of a repeat.")
@click.option("--repeats", "n_repeats", type=int, default=5, show_default=True, help="Repeats of the folds.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of folds and shuffled labels.")
@click.option("--metric", default="balanced_accuracy", show_default=True, help="Which score to show.")
@twin_option
@format_option
@output_option(".html .svg .png (charts) .csv .json .parquet (rows)")
@quiet_option
def probe(
    scan_name: str | None,
    store_path: Path | None,
    reduction: str | None,
    target: str,
    groups: str | None,
    n_splits: int,
    n_repeats: int,
    seed: int,
    metric: str,
    twin: str | None,
    form: str,
    output: Path | None,
    quiet: bool,
) -> None:
    """How well a linear probe reads the label from each layer, from its points and from its cells.

    Beside the scores stand baselines: the most frequent label, shuffled labels, the number of tokens.
    """
    chosen = open_reduction(store_path, scan_name, reduction)
    with showing_progress(quiet=quiet) as progress:
        scores = chosen.probe(
            target=target,
            groups=groups,
            n_splits=n_splits,
            n_repeats=n_repeats,
            seed=seed,
            metrics=[metric],  # type: ignore[list-item]
            twin=twin,
            progress=progress,
        )
    if output is not None and output.suffix.lower() in CHART_ENDINGS - {".json"}:
        chart = chosen.plot.probe(scores, metric=metric, target=target)
        say_written(llm_mri_store.save_chart(chart, output))
    else:
        print_rows(scores, form, output)
