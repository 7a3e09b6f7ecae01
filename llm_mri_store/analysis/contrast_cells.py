"""Which cell each sample lies in at every layer, and its label: what contrasts are computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput, ReductionError, StoreCorrupt, UnknownName
from llm_mri_store.schema import Status
from llm_mri_store.store.catalogue import ReductionEntry, ScanEntry
from llm_mri_store.store.tables import points_table, samples_table

Int32 = npt.NDArray[np.int32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledCells:
    """The cell and the label of every sample that has both, in the order of ``sample_ids``.

    Attributes:
        layers: the layers, ascending.
        grid: cells per axis.
        codes: int32 (n_layers, n_samples), ``cell_x * grid + cell_y``, in 0 .. grid**2 - 1.
        labels: the labels' names; one may have no sample.
        label_codes: int32 (n_samples,), position of each sample's label in ``labels``.
        sample_ids: int64 (n_samples,), ascending.
        degenerate_layers: layers whose activations do not vary beyond rounding.
        covariates: column -> its values, a ``pyarrow.Array`` of n_samples; NULL where one is missing.
        where: what they are of, for messages.

    Raises:
        InvalidInput: the arrays are not of these shapes, or a code is out of range.
    """

    layers: tuple[int, ...]
    grid: int
    codes: Int32
    labels: tuple[str, ...]
    label_codes: Int32
    sample_ids: Int64
    degenerate_layers: tuple[int, ...] = ()
    covariates: Mapping[str, pa.Array] = field(default_factory=dict)
    where: str = "these samples"

    def __post_init__(self) -> None:
        n_samples = len(self.sample_ids)
        if self.codes.shape != (len(self.layers), n_samples) or self.label_codes.shape != (n_samples,):
            raise InvalidInput(
                f"codes have shape {self.codes.shape} and labels {self.label_codes.shape}; expected "
                f"({len(self.layers)}, {n_samples}) and ({n_samples},): a code per layer and sample, a label "
                "per sample"
            )
        for name, codes, limit in (
            ("cell", self.codes, self.grid**2),
            ("label", self.label_codes, len(self.labels)),
        ):
            if codes.size and not 0 <= codes.min() <= codes.max() < limit:
                raise InvalidInput(
                    f"{name} codes run from {codes.min()} to {codes.max()}; expected 0 to {limit - 1}"
                )
        for column, values in self.covariates.items():
            if len(values) != n_samples:
                raise InvalidInput(f"covariate {column!r} has {len(values)} values for {n_samples} samples")

    @property
    def n_samples(self) -> int:
        """Samples that have a cell and a label."""
        return len(self.sample_ids)

    @property
    def varying_layers(self) -> tuple[int, ...]:
        """Layers that are not degenerate."""
        return tuple(layer for layer in self.layers if layer not in self.degenerate_layers)

    def label_counts(self) -> dict[str, int]:
        """Label -> its samples."""
        counts = np.bincount(self.label_codes, minlength=len(self.labels))
        return dict(zip(self.labels, counts.tolist(), strict=True))

    def covariate(self, name: str) -> pa.Array:
        """A covariate's values.

        Raises:
            UnknownName: it was not read.
        """
        if name not in self.covariates:
            raise UnknownName("covariate", name, known=self.covariates, where=self.where)
        return self.covariates[name]


def read_cells(
    scan: ScanEntry, reduction: ReductionEntry, *, covariates: Sequence[str] = ()
) -> LabelledCells:
    """The cells of a reduction with their samples' labels, read from the store's files.

    Samples whose status is not ``ok`` have no cell and are left out, and so are samples that were scanned
    after the reduction was made.

    Args:
        scan: the scan.
        reduction: one of its reductions, with a grid.
        covariates: columns of the samples to be had beside: the store's own, such as ``n_tokens``, or the
            corpus's.

    Raises:
        ReductionError: the reduction has no grid.
        UnknownName: the scan has no such column.
        StoreCorrupt: a file is damaged, or a sample has a cell at one layer and none at another.
    """
    spec = reduction.record.spec
    if spec.grid is None:
        raise ReductionError(
            f"reduction {reduction.name!r} has {spec.n_components} components and no grid, so there are no "
            "cells to compare; reduce to 2 components"
        )
    known = [*schema.SAMPLE_COLUMNS, *(one.name for one in scan.spec.covariates)]
    for name in covariates:
        if name not in known:
            raise UnknownName("column", name, known=known, where=f"scan {scan.name!r}")
    samples = _read_samples(scan, [schema.LABEL, schema.STATUS, *covariates])
    positions = _positions(reduction, samples)
    aligned = samples.take(pa.array(positions))
    is_ok = pc.equal(aligned[schema.STATUS], Status.OK.value).to_numpy()
    kept = aligned.filter(pa.array(is_ok))
    codes = np.empty((len(reduction.layers), kept.num_rows), dtype=np.int32)
    for place, layer in enumerate(reduction.layers):
        codes[place] = _layer_codes(reduction, layer, grid=spec.grid, n_points=len(positions))[is_ok]
        if codes[place].min(initial=0) < 0:
            raise StoreCorrupt(
                f"{reduction.points_file(layer)} lacks the cell of a sample whose status is 'ok'; run "
                "'llm-mri verify'"
            )
    labels = scan.spec.labels
    label_codes = pc.index_in(kept[schema.LABEL], value_set=pa.array(labels, pa.string()))
    return LabelledCells(
        layers=reduction.layers,
        grid=spec.grid,
        codes=codes,
        labels=labels,
        label_codes=pc.fill_null(label_codes, -1).to_numpy().astype(np.int32),
        sample_ids=kept[schema.SAMPLE_ID].to_numpy().astype(np.int64),
        degenerate_layers=tuple(one.layer for one in reduction.record.layers if one.is_degenerate),
        covariates={name: kept[name].combine_chunks() for name in covariates},
        where=f"scan {scan.name!r}",
    )


def _read_samples(scan: ScanEntry, columns: Sequence[str]) -> pa.Table:
    names = list(dict.fromkeys([schema.SAMPLE_ID, *columns]))
    tables = [samples_table(scan, chunk, names) for chunk in scan.chunks]
    if not tables:
        raise StoreCorrupt(f"scan {scan.name!r} has a reduction and no chunk; run 'llm-mri verify'")
    return pa.concat_tables(tables).select(names)


def _positions(reduction: ReductionEntry, samples: pa.Table) -> Int64:
    """Row of the samples table that each point belongs to, int64 (n_points,)."""
    first = reduction.layers[0]
    with_point = points_table(reduction, first, [schema.SAMPLE_ID])[schema.SAMPLE_ID].to_numpy()
    stored = samples[schema.SAMPLE_ID].to_numpy()
    if np.array_equal(with_point, stored[: len(with_point)]):
        return np.arange(len(with_point), dtype=np.int64)
    positions = np.searchsorted(stored, with_point)
    if not np.array_equal(stored[np.minimum(positions, len(stored) - 1)], with_point):
        path = reduction.points_file(first)
        raise StoreCorrupt(f"{path} holds points of samples that the scan lacks; run 'llm-mri verify'")
    found: Int64 = positions.astype(np.int64)
    return found


def _layer_codes(reduction: ReductionEntry, layer: int, *, grid: int, n_points: int) -> Int32:
    """Cell codes of a layer's points, int32 (n_points,); negative where a sample has no cell."""
    table = points_table(reduction, layer, [schema.CELL_X, schema.CELL_Y])
    if table.num_rows != n_points:
        path = reduction.points_file(layer)
        raise StoreCorrupt(
            f"{path} holds {table.num_rows} points and another layer {n_points}; run 'llm-mri verify'"
        )
    x, y = (
        pc.fill_null(table[name], -grid).to_numpy().astype(np.int32)
        for name in (schema.CELL_X, schema.CELL_Y)
    )
    return np.where((x < 0) | (y < 0), np.int32(-1), x * np.int32(grid) + y)
