"""Tests of edges, graphs and information: their speed, and what their intervals hold.

``speed`` times each beside a plain numpy loop over the same labels. ``intervals`` draws corpora from
one source and counts how often the jackknife's and the bootstrap's intervals hold the mean over many.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from timing import in_turn, report

from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.edge_couplings import edge_couplings
from llm_mri_store.analysis.edge_differences import edge_differences
from llm_mri_store.analysis.graph_blocks import BLOCK_METRICS
from llm_mri_store.analysis.graph_comparison import compare_graphs
from llm_mri_store.analysis.graph_distances import DISTANCES
from llm_mri_store.analysis.graph_numbers import numbers_of
from llm_mri_store.analysis.information import label_information
from llm_mri_store.analysis.jackknife import jackknife_interval, leave_parts_out
from llm_mri_store.analysis.step_edges import step_edges

GRID = 10


def clouds(rng: np.random.Generator, n: int, *, apart: float, n_layers: int = 7) -> LabelledCells:
    """Two labels of ``n`` samples: clouds that move from layer to layer and grow apart with depth."""
    labels = np.repeat([0, 1], n)
    points = rng.normal(size=(2 * n, 2))
    codes = np.empty((n_layers, 2 * n), dtype=np.int32)
    for layer in range(n_layers):
        points = 0.8 * points + 0.6 * rng.normal(size=points.shape)
        shift = (labels[:, None] - 0.5) * apart * layer / (n_layers - 1) * np.array([1.0, 0.3])
        cells = np.clip(((points + shift) / 6 + 0.5) * GRID, 0, GRID - 1).astype(np.int32)
        codes[layer] = cells[:, 0] * GRID + cells[:, 1]
    return LabelledCells(
        layers=tuple(range(n_layers)),
        grid=GRID,
        codes=codes,
        labels=("a", "b"),
        label_codes=labels.astype(np.int32),
        sample_ids=np.arange(2 * n),
    )


def speed(n_samples: int, n_layers: int, n_permutations: int) -> None:
    cells = clouds(np.random.default_rng(0), n_samples // 2, apart=1.0, n_layers=n_layers)
    spec = ContrastSpec(n_permutations=n_permutations)
    edges = step_edges(cells)
    edge_of = np.stack(
        [edges.incidence[edges.place == place].argmax(axis=0) for place in range(n_layers - 1)]
    )
    offsets = np.cumsum([0, *np.bincount(edges.place)[:-1]])[:, None]

    def plain_loop() -> object:
        """Samples of A on every edge, and nothing else: what has to be done at least."""
        flat, labels, shuffler = edge_of + offsets, cells.label_codes.copy(), np.random.default_rng(0)
        for _ in range(n_permutations):
            shuffler.shuffle(labels)
            np.bincount(flat[:, labels == 0].ravel(), minlength=edges.n_edges)

    reference = "numpy: shuffle and bincount in a loop"
    quick = [name for name in DISTANCES if name != "spectral"]
    ways = {
        reference: plain_loop,
        "edge_differences()": lambda: edge_differences(cells, "a", "b", spec=spec),
        "edge_differences(given='source')": lambda: edge_differences(
            cells, "a", "b", spec=spec, given="source"
        ),
        "edge_couplings() of one label": lambda: edge_couplings(cells, "a", spec=spec),
        "label_information()": lambda: label_information(cells, spec=spec),
        "compare_graphs() without spectra": lambda: compare_graphs(
            cells, "a", "b", spec=spec, distances=quick
        ),
    }
    title = f"{n_permutations:,} permutations x {n_samples:,} samples x {n_layers} layers"
    report(f"{title}, {edges.n_edges:,} edges", in_turn(ways, rounds=3), reference=reference)


def intervals(n_runs: int) -> None:
    names = [*DISTANCES, *BLOCK_METRICS, *(f"difference of {name}" for name in BLOCK_METRICS)]
    for n, apart in ((60, 0.0), (60, 2.0), (60, 6.0), (400, 2.0)):
        rng, labels = np.random.default_rng(0), np.repeat([0, 1], n)

        def numbers(cells: LabelledCells, counted: np.ndarray, labels: np.ndarray = labels) -> np.ndarray:
            sides = (counted * (labels == side)[:, None] for side in (0, 1))
            found = numbers_of(step_edges(cells), *sides, wanted=DISTANCES)
            return np.concatenate([found.distances, found.metrics_a, found.differences])

        plain = np.ones((2 * n, 1), dtype=int)
        means = np.mean([numbers(clouds(rng, n, apart=apart), plain)[:, 0] for _ in range(300)], axis=0)
        held = np.zeros((2, len(names)))
        for run in range(n_runs):
            cells = clouds(rng, n, apart=apart)
            kept = leave_parts_out(labels, None, seed=run)
            assert kept is not None
            one = jackknife_interval(
                numbers(cells, plain)[:, 0], numbers(cells, kept), lowest=-np.inf, highest=np.inf
            )
            resampled = [rng.multinomial(n, np.full(n, 1 / n), size=100).T for _ in (0, 1)]
            low, high = np.quantile(numbers(cells, np.concatenate(resampled)), [0.025, 0.975], axis=1)
            held += [(one.low <= means) & (means <= one.high), (low <= means) & (means <= high)]
        _print_held(f"2 x {n} samples, {apart:g} apart", names, held / n_runs)


def _print_held(title: str, names: Sequence[str], held: np.ndarray) -> None:
    jackknife, bootstrap = (dict(zip(names, row.tolist(), strict=True)) for row in held)
    least = min(jackknife, key=lambda name: jackknife[name])
    shown = ("n_nodes", "n_edges", "mean_degree", "mean_reachable", "jaccard", "jensen_shannon")
    print(f"\n{title}: 95 % intervals that hold the mean over corpora")
    print(f"  jackknife: {jackknife[least]:.2f} ({least}) to 1.00, median {np.median(held[0]):.2f}")
    print("  bootstrap: " + ", ".join(f"{name} {bootstrap[name]:.2f}" for name in shown))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["speed", "intervals"])
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--layers", type=int, default=13)
    parser.add_argument("--permutations", type=int, default=1000)
    options = parser.parse_args()
    if options.what == "speed":
        speed(options.samples, options.layers, options.permutations)
    else:
        intervals(options.runs)


if __name__ == "__main__":
    main()
