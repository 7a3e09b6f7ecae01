"""Heatmaps and edges of all layers and labels: our SQL beside pandas and numpy over the same files.

And what it costs that each file is held against the digest of its commit, once in a process.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from synthetic import write_scan
from timing import in_turn, report

from llm_mri_store import Store
from llm_mri_store.store import digests

GRID = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200_000)
    parser.add_argument("--layers", type=int, default=13)
    parser.add_argument("--words", type=int, default=40, help="words of each text, which are hashed as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        write_scan(Path(folder), n_samples=options.samples, n_layers=options.layers, n_words=options.words)
        reduction = Store(folder).find().reduce("pca", grid=GRID)
        points = sorted(
            (reduction.scan().folder / "reductions" / reduction.name / "points").glob("*.parquet")
        )
        labels = np.asarray(reduction.scan().samples()["label"])

        def columns() -> list[tuple[np.ndarray, np.ndarray]]:
            tables = [pq.read_table(path, columns=["cell_x", "cell_y"], partitioning=None) for path in points]
            return [(table["cell_x"].to_numpy(), table["cell_y"].to_numpy()) for table in tables]

        def pandas_heatmaps() -> object:
            return [
                pd.crosstab(pd.Series(y[labels == label]), pd.Series(x[labels == label]))
                for x, y in columns()
                for label in np.unique(labels)
            ]

        def pandas_edges() -> object:
            cells = columns()
            names = [
                pd.Series(x).astype(str).str.cat(pd.Series(y).astype(str), sep="_").radd(f"{layer}_")
                for layer, (x, y) in enumerate(cells)
            ]
            frames = [pd.DataFrame({"a": a, "b": b, "label": labels}) for a, b in pairwise(names)]
            return [frame.groupby(["label", "a", "b"]).size() for frame in frames]

        def numpy_edges() -> object:
            codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
            flat = [x.astype(np.int64) * GRID + y for x, y in columns()]
            size = GRID**2
            return [
                np.bincount((codes * size + a) * size + b, minlength=(codes.max() + 1) * size * size)
                for a, b in pairwise(flat)
            ]

        words = f"{options.samples:,} samples x {options.layers} layers, 4 labels, {GRID} x {GRID} cells"
        heat = {"SQL: heatmap_all_layers": reduction.heatmaps, "pandas: a crosstab each": pandas_heatmaps}
        report(f"Heatmaps, {words}", in_turn(heat, rounds=3), reference="pandas: a crosstab each")
        edges = {
            "SQL: edges_all_labels": lambda: reduction.ask("edges_all_labels"),
            "pandas: node names and a group-by": pandas_edges,
            "numpy: bincount (no names, no lift)": numpy_edges,
        }
        report(f"Edges, {words}", in_turn(edges, rounds=3), reference="pandas: node names and a group-by")

        def hashed_first() -> object:
            # As in a new process, which has held no file against its digest.
            digests._seen.clear()
            return reduction.ask("edges_all_labels")

        known = "SQL: edges_all_labels, its files known"
        checks = {
            known: lambda: reduction.ask("edges_all_labels"),
            "SQL: edges_all_labels, its files hashed first": hashed_first,
        }
        scan = reduction.scan().folder
        read = [*points, *scan.glob("chunks/*/samples.parquet")]
        n_bytes = sum(path.stat().st_size for path in read)
        report(f"Digests, {words}: {n_bytes / 2**20:.0f} MiB", in_turn(checks, rounds=5), reference=known)


if __name__ == "__main__":
    main()
