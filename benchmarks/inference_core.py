"""A contrast's permutation test beside a plain numpy loop over the same labels, and TFCE beside MNE."""

from __future__ import annotations

import argparse

import numpy as np
from mne.stats import permutation_cluster_1samp_test
from timing import in_turn, report

from llm_mri_store.analysis.clusters_tfce import enhance
from llm_mri_store.analysis.contrast import contrast
from llm_mri_store.analysis.contrast_cells import LabelledCells
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.permutation_design import plan_exchange
from llm_mri_store.analysis.permutation_maps import make_maps
from llm_mri_store.analysis.permutation_null import ClusterChoice, permute_maps

GRID = 10
N_CELLS = GRID * GRID


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--layers", type=int, default=13)
    parser.add_argument("--permutations", type=int, default=1000)
    options = parser.parse_args()
    n, n_layers, n_permutations = options.samples, options.layers, options.permutations
    rng = np.random.default_rng(0)
    codes = rng.integers(0, N_CELLS, size=(n_layers, n), dtype=np.int32)
    labels = (np.arange(n) >= n // 2).astype(np.int64)
    cells = LabelledCells(
        layers=tuple(range(n_layers)),
        grid=GRID,
        codes=codes,
        labels=("a", "b"),
        label_codes=labels.astype(np.int32),
        sample_ids=np.arange(n),
    )
    spec = ContrastSpec(n_permutations=n_permutations)

    def plain_loop() -> object:
        """Counts of A in every cell, z, and the largest: what has to be done at least."""
        flat = codes.astype(np.int64) + N_CELLS * np.arange(n_layers)[:, None]
        size = n_layers * N_CELLS
        inside = np.bincount(flat.ravel(), minlength=size)
        share = (labels == 0).mean()
        deviation = np.sqrt(np.maximum(share * (1 - share) * inside * (n - inside) / (n - 1), 1e-12))
        shuffled = labels.copy()
        shuffler = np.random.default_rng(0)
        largest = np.empty(n_permutations)
        for index in range(n_permutations):
            shuffler.shuffle(shuffled)
            counts = np.bincount(flat[:, shuffled == 0].ravel(), minlength=size)
            largest[index] = np.abs((counts - share * inside) / deviation).max()
        return largest

    def largest_scores(clusters: ClusterChoice | None = None) -> object:
        exchange = plan_exchange(labels, strata=np.zeros(n, dtype=np.int64), n_labels=2)
        maps = make_maps(exchange, codes, grid=GRID)
        observed = maps.scores(exchange.unit_labels[None])[0]
        return permute_maps(
            exchange, maps.scores, observed, n_permutations=n_permutations, seed=0, clusters=clusters
        )

    title = f"{n_permutations:,} permutations x {n:,} samples x {n_layers} layers x {N_CELLS} cells"
    reference = "numpy: shuffle and bincount in a loop"
    ways = {
        reference: plain_loop,
        "largest score": largest_scores,
        "with cluster mass and TFCE": lambda: largest_scores(ClusterChoice(grid=GRID, threshold=2.0)),
        "contrast(): with effects, p, tables": lambda: contrast(cells, "a", "b", spec=spec),
    }
    report(title, in_turn(ways, rounds=5), reference=reference)

    maps = rng.normal(size=(20, GRID, GRID))

    def of_mne() -> object:
        return [
            permutation_cluster_1samp_test(
                np.stack([one, one]),
                threshold={"start": 0.0, "step": 0.1},
                stat_fun=lambda _, one=one: one.ravel(),
                n_permutations=1,
                out_type="mask",
                verbose="error",
            )[0]
            for one in maps
        ]

    reference = "MNE: steps of 0.1"
    both = {reference: of_mne, "ours: exact": lambda: enhance(maps.reshape(20, -1), grid=GRID)}
    report(f"TFCE of 20 maps of {N_CELLS} cells", in_turn(both, rounds=5), reference=reference)


if __name__ == "__main__":
    main()
