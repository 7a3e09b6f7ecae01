"""How often the tests err, and how often they find what is there: the figures of docs/validation.md.

``calibration`` permutes the labels of a scan's cells, so that nothing is there to be found, and counts how
often each test finds something at 0.05. ``power`` plants an odds ratio in one cell of one of seven layers and
counts how often the test finds that cell. ``confounding`` lets the length of a text drive its cell and its
label. Every run has a seed of its own, so that the figures repeat.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.optimize import brentq
from scipy.stats import binomtest

from llm_mri_store.analysis.contrast import contrast
from llm_mri_store.analysis.contrast_cells import LabelledCells, read_cells
from llm_mri_store.analysis.contrast_labels import compare_labels
from llm_mri_store.analysis.contrast_pairs import compare_pairs
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.edge_couplings import edge_couplings
from llm_mri_store.analysis.edge_differences import edge_differences
from llm_mri_store.analysis.graph_comparison import compare_graphs
from llm_mri_store.analysis.information import label_information
from llm_mri_store.store.catalogue import find_reduction, find_scan, open_store, reduction_names, scan_names

ALPHA = 0.05
N_PERMUTATIONS = 199
GRID = 10
N_LAYERS = 7
PLANTED_LAYER = 3
SHARE = 0.1
"""Share of all samples that the planted cell holds."""
ODDS = (1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
SIZES = (50, 100, 200, 400, 800)
TOLD_RUNS = 200
"""Runs of each point of the power curve."""


def smallest(table: pa.Table, column: str) -> float:
    """The smallest p of a table, 1 where it has none."""
    return min((p for p in table[column].to_pylist() if p is not None), default=1.0)


def run_all(one: Callable[[int], dict[str, bool]], runs: Iterable[int], processes: int) -> Counter[str]:
    """How many runs found what."""
    found: Counter[str] = Counter()
    with ProcessPoolExecutor(processes) as pool:
        for hits in pool.map(one, runs, chunksize=5):
            found.update({name: int(hit) for name, hit in hits.items()})
    return found


def print_rates(title: str, found: Counter[str], n_runs: int) -> None:
    print(f"\n{title}\n\n| test | found in | 95 % interval |\n|---|---|---|")
    for name, hits in found.items():
        low, high = binomtest(hits, n_runs).proportion_ci(method="wilson")
        print(f"| {name} | {hits / n_runs:.1%} | {low:.1%} to {high:.1%} |", flush=True)


# Calibration


def null_run(cells: LabelledCells, run: int) -> dict[str, bool]:
    """What every test finds when labels are permuted."""
    rng = np.random.default_rng([20, run])
    order = rng.permutation(cells.n_samples)
    permuted = replace(cells, label_codes=cells.label_codes[order])
    spec = ContrastSpec(n_permutations=N_PERMUTATIONS, seed=run)
    a, b = cells.labels[:2]
    half = cells.labels[: len(cells.labels) // 2]
    hits = {}
    for words, found in (
        ("A vs B", contrast(permuted, a, b, spec=spec)),
        ("A vs rest", contrast(permuted, a, spec=spec)),
        ("A vs B within n_tokens", contrast(permuted, a, b, spec=replace(spec, strata=("n_tokens",)))),
    ):
        hits[f"contrast {words}: largest score"] = smallest(found.cells, "p_fwe") <= ALPHA
        hits[f"contrast {words}: cluster mass"] = smallest(found.clusters, "p_fwe") <= ALPHA
        hits[f"contrast {words}: TFCE"] = smallest(found.cells, "p_tfce") <= ALPHA
        hits[f"contrast {words}: any q (BH)"] = smallest(found.cells, "q") <= ALPHA
    together = compare_labels(permuted, None, spec=spec)
    hits["all labels together: largest score"] = smallest(together.cells, "p_fwe") <= ALPHA
    pairs = compare_pairs(permuted, together.labels, spec=spec)
    hits["all pairs of labels: any pair"] = smallest(pairs.pairs, "p_holm") <= ALPHA
    for given, words in (("nothing", "shares"), ("source", "given where they start")):
        edges = edge_differences(permuted, half, spec=spec, given=given)
        hits[f"edges, {words}: largest score"] = smallest(edges.edges, "p_fwe") <= ALPHA
        hits[f"edges, {words}: connected sets"] = smallest(edges.components, "p_fwe") <= ALPHA
        hits[f"edges, {words}: any q (BH)"] = smallest(edges.edges, "q") <= ALPHA
    # Each layer's samples in another order: no layer knows of the next.
    codes = np.stack([layer[rng.permutation(cells.n_samples)] for layer in cells.codes])
    uncoupled = edge_couplings(replace(cells, codes=codes), None, spec=spec)
    hits["edges of all samples against chance: largest score"] = smallest(uncoupled.edges, "p_fwe") <= ALPHA
    hits["edges of all samples against chance: any q (BH)"] = smallest(uncoupled.edges, "q") <= ALPHA
    graphs = compare_graphs(permuted, half, spec=spec)
    hits["graph distances"] = smallest(graphs.distances, "p_fwe") <= ALPHA
    hits["graph metrics"] = smallest(graphs.metrics, "p_fwe") <= ALPHA
    told = label_information(permuted, spec=spec)
    hits["information of layers"] = smallest(told.layers, "p_fwe") <= ALPHA
    hits["information of steps"] = smallest(told.steps, "p_fwe") <= ALPHA
    return hits


def calibration(store: Path, n_runs: int, grids: Iterable[int], processes: int) -> None:
    opened = open_store(store)
    scan = find_scan(opened, scan_names(opened)[0])
    reduction = find_reduction(scan, reduction_names(scan.paths)[0])
    cells = read_cells(scan, reduction, covariates=("n_tokens",))
    for grid in grids:
        x, y = (axis * grid // cells.grid for axis in divmod(cells.codes, cells.grid))
        coarse = replace(cells, grid=grid, codes=(x * grid + y).astype(np.int32))
        found = run_all(partial(null_run, coarse), range(n_runs), processes)
        print_rates(
            f"{n_runs} permutations of the labels of {cells.n_samples} samples, {grid} x {grid} cells, "
            f"{len(cells.layers)} layers, {N_PERMUTATIONS} relabelings a test",
            found,
            n_runs,
        )


# Power


def cloud_codes(rng: np.random.Generator, n: int) -> np.ndarray:
    """Cells of a cloud that moves a little from layer to layer."""
    points = rng.normal(size=(n, 2))
    codes = np.empty((N_LAYERS, n), dtype=np.int32)
    for layer in range(N_LAYERS):
        points = 0.9 * points + np.sqrt(1 - 0.9**2) * rng.normal(size=(n, 2))
        low, high = points.min(axis=0), points.max(axis=0)
        x, y = np.minimum((points - low) / (high - low) * GRID, GRID - 1).astype(np.int32).T
        codes[layer] = x * GRID + y
    return codes


def shares_of(odds: float) -> tuple[float, float]:
    """The cell's share of A and of B, of that odds ratio and ``SHARE`` on average."""

    def excess(share: float) -> float:
        other = 2 * SHARE - share
        return share / (1 - share) - odds * other / (1 - other)

    share = brentq(excess, SHARE, 2 * SHARE - 1e-9) if odds > 1 else SHARE
    return share, 2 * SHARE - share


def planted(rng: np.random.Generator, n: int, odds: float) -> tuple[LabelledCells, int]:
    """Two labels of n samples that differ in one cell of one layer, and that cell."""
    labels = np.repeat([0, 1], n).astype(np.int32)
    codes = cloud_codes(rng, 2 * n)
    at = codes[PLANTED_LAYER]
    cell = int(np.bincount(at).argmax())
    others = at[at != cell]
    at[at == cell] = rng.choice(others, size=int((at == cell).sum()))
    at[rng.random(2 * n) < np.where(labels == 0, *shares_of(odds))] = cell
    cells = LabelledCells(
        layers=tuple(range(N_LAYERS)),
        grid=GRID,
        codes=codes,
        labels=("a", "b"),
        label_codes=labels,
        sample_ids=np.arange(2 * n),
    )
    return cells, cell


def power_run(n: int, odds: float, min_samples: int, run: int) -> dict[str, bool]:
    """Whether the planted cell is found by each test, and whether another one passes as well."""
    cells, cell = planted(np.random.default_rng([30, n, int(10 * odds), run]), n, odds)
    spec = ContrastSpec(n_permutations=N_PERMUTATIONS, seed=run, min_samples=min_samples)
    found = contrast(cells, "a", "b", spec=spec)
    is_there = (
        (found.cells["layer"].to_numpy() == PLANTED_LAYER)
        & (found.cells["cell_x"].to_numpy() == cell // GRID)
        & (found.cells["cell_y"].to_numpy() == cell % GRID)
    )
    p = {
        name: np.array([1.0 if one is None else one for one in found.cells[name].to_pylist()])
        for name in ("p_fwe", "p_cluster", "p_tfce")
    }
    return {
        "found": bool(p["p_fwe"][is_there][0] <= ALPHA),
        "found by cluster mass": bool(p["p_cluster"][is_there][0] <= ALPHA),
        "found by TFCE": bool(p["p_tfce"][is_there][0] <= ALPHA),
        "another cell of p_fwe": bool((p["p_fwe"][~is_there] <= ALPHA).any()),
    }


def power_rows(processes: int) -> Iterator[dict[str, float]]:
    for n, odds in product(SIZES, ODDS):
        found = run_all(partial(power_run, n, odds, 1), range(TOLD_RUNS), processes)
        yield {"n": n, "odds": odds, **{name: hits / TOLD_RUNS for name, hits in found.items()}}


def power(picture: Path | None, processes: int) -> None:
    print(
        f"\nFound in {TOLD_RUNS} runs (by cluster mass, by TFCE); a cell of a tenth of the samples, one of "
        f"{N_LAYERS} layers, {GRID} x {GRID} cells, {N_PERMUTATIONS} relabelings"
    )
    print("\n| samples of each label | " + " | ".join(f"odds ratio {odds:g}" for odds in ODDS) + " |")
    print("|---" * (1 + len(ODDS)) + "|")
    rows: list[dict[str, float]] = []
    for row in power_rows(processes):
        rows.append(row)
        if row["odds"] == ODDS[-1]:
            told = [
                f"{one['found']:.0%} ({one['found by cluster mass']:.0%}, {one['found by TFCE']:.0%})"
                for one in rows[-len(ODDS) :]
            ]
            print(f"| {row['n']} | " + " | ".join(told) + " |", flush=True)
    print(f"\nanother cell passed as well in {np.mean([row['another cell of p_fwe'] for row in rows]):.1%}")
    narrowed(processes)
    if picture is not None:
        draw_power(rows, picture)


def narrowed(processes: int) -> None:
    """The same with fewer cells in the family: those of some size, which does not depend on the labels."""
    print("\n| cells tested hold at least | odds ratio 3, 400 samples of each label: found |\n|---|---|")
    for least in (1, 20, 40):
        found = run_all(partial(power_run, 400, 3.0, least), range(TOLD_RUNS), processes)
        print(f"| {least} samples | {found['found'] / TOLD_RUNS:.0%} |", flush=True)


def draw_power(rows: list[dict[str, float]], picture: Path) -> None:
    """The power curve as a picture."""
    import altair as alt

    from llm_mri_store.charts import apply_theme, save_chart

    shown = [{"odds": row["odds"], "n": f"{row['n']}", "found": row["found"]} for row in rows]
    frame = alt.Chart(alt.InlineData(values=shown))
    lines = frame.mark_line(point=True).encode(
        x=alt.X("odds:Q", title="odds ratio in the planted cell", scale=alt.Scale(type="log")),
        y=alt.Y(
            "found:Q", title="runs that find it", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
        ),
        color=alt.Color(
            "n:O",
            title="samples of each label",
            sort=[f"{n}" for n in SIZES],
            scale=alt.Scale(range=["#78d6d8", "#05a2c5", "#0068a5", "#22336c", "#1e1e47"]),
        ),
    )
    wanted = (
        alt.Chart(alt.InlineData(values=[{"found": 0.8}])).mark_rule(strokeDash=[4, 4]).encode(y="found:Q")
    )
    chart = apply_theme(
        (lines + wanted).properties(width=420, height=260),
        title="Power of the family-wise test of cells",
        subtitle=[
            f"one cell of a tenth of the samples, one of {N_LAYERS} layers, {GRID} x {GRID} cells; "
            f"{TOLD_RUNS} runs a point, level {ALPHA}; dashed: 80 %"
        ],
    )
    save_chart(chart, picture)


# Confounding


def confounded_run(n: int, run: int) -> dict[str, bool]:
    """Length drives cells and labels; the label itself does nothing."""
    rng = np.random.default_rng([40, run])
    length = rng.normal(size=2 * n)
    labels = (length + rng.normal(size=2 * n) > 0).astype(np.int32)
    points = np.stack([length + rng.normal(size=2 * n), rng.normal(size=2 * n)], axis=1)
    x, y = np.clip((points / 7 + 0.5) * GRID, 0, GRID - 1).astype(np.int32).T
    cells = LabelledCells(
        layers=(0,),
        grid=GRID,
        codes=(x * GRID + y)[None],
        labels=("long", "short"),
        label_codes=labels,
        sample_ids=np.arange(2 * n),
        covariates={"n_tokens": pa.array(np.round(40 * np.exp(0.5 * length)).astype(int))},
    )
    hits = {}
    for words, spec in (
        ("length not held constant", ContrastSpec(n_permutations=N_PERMUTATIONS, seed=run)),
        *(
            (
                f"length held constant, {n_bins} bins",
                ContrastSpec(n_permutations=N_PERMUTATIONS, seed=run, strata=("n_tokens",), n_bins=n_bins),
            )
            for n_bins in (5, 10, 20)
        ),
    ):
        found = contrast(cells, "long", "short", spec=spec)
        hits[f"{words}: largest score"] = smallest(found.cells, "p_fwe") <= ALPHA
        hits[f"{words}: cluster mass"] = smallest(found.clusters, "p_fwe") <= ALPHA
    return hits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["calibration", "power", "confounding"])
    parser.add_argument("--store", type=Path, default=Path("llm-mri-demo/store"))
    parser.add_argument("--grids", type=int, nargs="+", default=[10, 5])
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--samples", type=int, default=200, help="of each label, for confounding")
    parser.add_argument("--picture", type=Path, help="where the power curve is drawn")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if options.what == "calibration":
        calibration(options.store, options.runs, options.grids, options.processes)
    elif options.what == "power":
        power(options.picture, options.processes)
    else:
        found = run_all(partial(confounded_run, options.samples), range(options.runs), options.processes)
        title = f"{options.runs} corpora of 2 x {options.samples} texts whose length drives cell and label"
        print_rates(title, found, options.runs)


if __name__ == "__main__":
    main()
