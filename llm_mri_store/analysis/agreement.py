"""How far two reductions agree: layers sample by sample over the same texts, graphs side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from llm_mri_store.analysis.agreement_words import agreement_sentences
from llm_mri_store.analysis.contrast_cells import read_cells
from llm_mri_store.analysis.contrast_spec import ContrastSpec
from llm_mri_store.analysis.contrast_tables import as_table
from llm_mri_store.analysis.graphs_beside import APART_SCHEMA, BESIDE_SCHEMA, graphs_beside
from llm_mri_store.analysis.jackknife import jackknife_interval, leave_parts_out
from llm_mri_store.analysis.kept_results import Place
from llm_mri_store.analysis.linear_cka import activation_cka, aligned, block_cka
from llm_mri_store.analysis.matched_samples import (
    MatchedSamples,
    match_samples,
    matched_points,
    why_unmatched,
)
from llm_mri_store.analysis.null_statistics import distances_from_chance, joint_p, own_p
from llm_mri_store.analysis.partition_agreement import CellPairs
from llm_mri_store.records.jobs import Progress, ProgressCallback, no_progress

Bool = npt.NDArray[np.bool_]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

_TESTED: Final = ("ami", "cka")

AGREEMENT_SCHEMA: Final = pa.schema(
    [
        ("a_layer", pa.int32()),
        ("b_layer", pa.int32()),
        ("n", pa.int64()),
        *(
            (f"{measure}{end}", pa.float64())
            for measure in _TESTED
            for end in ("", "_low", "_high", "_by_chance", "_excess", "_p", "_p_fwe")
        ),
        *((f"activation_cka{end}", pa.float64()) for end in ("", "_by_chance", "_excess")),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReductionAgreement:
    """Two reductions compared.

    Attributes:
        n_samples: samples that were matched one by one; None where they cannot be.
        layers: a row per pair of layers; without rows where samples cannot be matched.
        metrics, distances: of graphs, see ``graphs_beside``; without rows where a reduction has no grid.
        sentences: what was done and found.
    """

    n_samples: int | None
    layers: pa.Table
    metrics: pa.Table
    distances: pa.Table
    sentences: tuple[str, ...]


def compare_reductions(
    a: Place,
    b: Place,
    *,
    n_permutations: int = 999,
    seed: int = 0,
    activations: bool = False,
    progress: ProgressCallback = no_progress,
) -> ReductionAgreement:
    """How far two reductions agree, as of two models, two sites, or trained and random weights.

    Where both scans read the same texts, or tokens, every layer of A is held against every layer of B, sample
    by sample. Chance is what is left when the samples of B change places: those of texts all among each
    other, tokens by whole texts of as many tokens.

    Args:
        a: a reduction.
        b: another one, of the same store or not.
        n_permutations: how often samples change places.
        seed: of that, and of which samples are left out together for intervals.
        activations: hold whole activations against each other as well; time grows with the product of the
            numbers of layers and of the widths.
        progress: told after each step.

    Returns:
        Its table ``layers`` has a row per pair of layers, a_layer and b_layer, of ``n`` samples:

        * ``ami``: adjusted mutual information of the partitions into cells (``CellPairs``), at most 1; NULL
          without a grid, and where a layer lies in one cell.
        * ``cka``: linear CKA of points (``linear_cka``), in [0, 1]; NULL where a layer does not vary.
        * ``_low``, ``_high``: their 95 % intervals (``jackknife_interval``): what as many other texts give.
        * ``_by_chance``, ``_excess``: mean over permutations, and value - mean.
        * ``_p``: share of permutations that reach the value; ``_p_fwe``: of which any pair of layers does,
          each pair in standard deviations from its mean (``null_statistics``).
        * ``activation_cka``: the same of activations, without p: a thousand permutations of them would take
          hours. Its mean by chance is exact, and NULL for tokens.

    Raises:
        InvalidInput: a choice cannot be used, samples are too few, or activations were removed.
        StoreCorrupt: a file is damaged.
    """
    ContrastSpec(n_permutations=n_permutations, seed=seed)
    reason = why_unmatched(a.scan, b.scan)
    samples = None if reason is not None else match_samples(a, b)
    layers = AGREEMENT_SCHEMA.empty_table()
    if samples is not None:
        found = _LayerPairs(a, b, samples)
        columns = found.tested(n_permutations=n_permutations, seed=seed, progress=progress)
        if activations:
            columns |= found.of_activations(progress)
        layers = as_table(columns, AGREEMENT_SCHEMA)
    has_grids = all(one.reduction.record.spec.grid is not None for one in (a, b))
    metrics, distances = BESIDE_SCHEMA.empty_table(), APART_SCHEMA.empty_table()
    if has_grids:
        cells = [read_cells(one.scan, one.reduction) for one in (a, b)]
        metrics, distances = graphs_beside(*cells, seed=seed, progress=progress)
    return ReductionAgreement(
        n_samples=None if samples is None else samples.n,
        layers=layers,
        metrics=metrics,
        distances=distances,
        sentences=agreement_sentences(
            a,
            b,
            samples,
            layers,
            reason=reason,
            n_permutations=n_permutations,
            seed=seed,
            has_grids=has_grids,
        ),
    )


class _LayerPairs:
    """What either reduction holds of matched samples."""

    def __init__(self, a: Place, b: Place, samples: MatchedSamples) -> None:
        self._places = (a, b)
        self._samples = samples
        self._layers = (a.reduction.layers, b.reduction.layers)
        self._degenerate = [
            np.array([one.is_degenerate for one in place.reduction.record.layers]) for place in (a, b)
        ]
        self._codes = [self._codes_of(place) for place in (a, b)]
        self._points = [
            [matched_points(place.reduction, layer, samples.sample_ids) for layer in place.reduction.layers]
            for place in (a, b)
        ]

    def _codes_of(self, place: Place) -> npt.NDArray[np.integer] | None:
        if place.reduction.record.spec.grid is None:
            return None
        cells = read_cells(place.scan, place.reduction)
        return cells.codes[:, np.searchsorted(cells.sample_ids, self._samples.sample_ids)]

    def tested(
        self, *, n_permutations: int, seed: int, progress: ProgressCallback
    ) -> dict[str, npt.NDArray[np.generic]]:
        """Columns of what is tested."""
        pairs = self._cell_pairs(None)
        points = self._aligned(None)
        observed = self._values(pairs, points, None)
        by_chance = np.empty((*observed.shape, n_permutations))
        # Threads that wait for each other take longer than one alone for products as small as points give.
        with threadpool_limits(1, user_api="blas"):
            for done, order in enumerate(self._samples.shuffles(n_permutations, seed=seed), start=1):
                by_chance[:, :, done - 1] = self._values(pairs, points, order)
                progress(Progress(job="chance", done=done, total=n_permutations))
        left_out = self._left_out(seed, progress)
        grid = np.meshgrid(*self._layers, indexing="ij")
        columns: dict[str, npt.NDArray[np.generic]] = {
            "a_layer": grid[0].ravel(),
            "b_layer": grid[1].ravel(),
            "n": np.full(grid[0].size, self._samples.n),
        }
        for place, measure in enumerate(_TESTED):
            value, chance = observed[place], by_chance[place]
            interval = jackknife_interval(
                value,
                None if left_out is None else left_out[place],
                lowest=-1.0 if measure == "ami" else 0.0,
                highest=1.0,
            )
            scaled = distances_from_chance(value, chance, is_exact=False)
            columns |= {
                measure: value,
                f"{measure}_low": interval.low,
                f"{measure}_high": interval.high,
                f"{measure}_by_chance": chance.mean(axis=1),
                f"{measure}_excess": value - chance.mean(axis=1),
                f"{measure}_p": own_p(value, chance, is_exact=False),
                f"{measure}_p_fwe": joint_p(scaled, is_exact=False, two_sided=False),
            }
        return columns

    def of_activations(self, progress: ProgressCallback) -> dict[str, npt.NDArray[np.generic]]:
        """Columns of whole activations."""
        (a, b), layers = self._places, self._layers
        value, by_chance = activation_cka(a.scan, b.scan, layers, self._samples.sample_ids, progress=progress)
        value = np.where(self._is_degenerate(), np.nan, value)
        columns: dict[str, npt.NDArray[np.generic]] = {"activation_cka": value.ravel()}
        if not self._samples.is_of_tokens:
            by_chance = np.where(self._is_degenerate(), np.nan, by_chance)
            columns["activation_cka_by_chance"] = by_chance.ravel()
            columns["activation_cka_excess"] = (value - by_chance).ravel()
        return columns

    def _is_degenerate(self) -> Bool:
        """Pairs of which a layer does not vary, bool (n_layers, n_other_layers)."""
        pairs: Bool = self._degenerate[0][:, None] | self._degenerate[1]
        return pairs

    def _left_out(self, seed: int, progress: ProgressCallback) -> Float64 | None:
        """Values without each part of the texts, float64 (2, n_pairs, n_parts)."""
        labels = np.zeros(self._samples.n, dtype=np.int64)
        stays = leave_parts_out(labels, self._samples.texts, seed=seed)
        if stays is None:
            return None
        parts = []
        for done, kept in enumerate(stays.T, start=1):
            parts.append(self._values(self._cell_pairs(kept), self._aligned(kept), None))
            progress(Progress(job="intervals", done=done, total=stays.shape[1]))
        return np.stack(parts, axis=2)

    def _cell_pairs(self, kept: Bool | None) -> CellPairs | None:
        codes_a, codes_b = self._codes
        if codes_a is None or codes_b is None:
            return None
        some = slice(None) if kept is None else kept
        return CellPairs(codes_a[:, some], codes_b[:, some])

    def _aligned(self, kept: Bool | None) -> tuple[Float64, Float64]:
        some = slice(None) if kept is None else kept
        one, other = (np.concatenate([aligned(layer[some]) for layer in of], axis=1) for of in self._points)
        return one, other

    def _values(
        self, pairs: CellPairs | None, points: tuple[Float64, Float64], order: Int64 | None
    ) -> Float64:
        """Both measures of every pair of layers, float64 (2, n_pairs); NaN where undefined."""
        degenerate = self._is_degenerate()
        ami = np.full(degenerate.shape, np.nan) if pairs is None else pairs.values(order)
        one, other = points
        dimensions = (self._points[0][0].shape[1], self._points[1][0].shape[1])
        cka = block_cka(one, other if order is None else other[order], dimensions)
        measures = [np.where(degenerate, np.nan, values).ravel() for values in (ami, cka)]
        return np.stack(measures)
