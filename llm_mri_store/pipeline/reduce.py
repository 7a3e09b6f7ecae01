"""Reduce: a scan's activations, layer by layer, to points and cells in the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import AlreadyThere, InvalidInput, ReductionError, StoreCorrupt
from llm_mri_store.pipeline.reducer_file import read_reducers, write_reducers
from llm_mri_store.records import (
    BINS,
    METHODS,
    LayerDiagnostics,
    Progress,
    ProgressCallback,
    ReductionRecord,
    ReductionSpec,
    chunks_digest,
    no_progress,
    spec_differences,
)
from llm_mri_store.reduction.grid import assign_cells, bin_edges
from llm_mri_store.reduction.linear import fit_linear
from llm_mri_store.reduction.moments import Moments, add_samples, begin_moments, relative_spread
from llm_mri_store.reduction.reducers import LinearReducer, Reducer, UmapReducer
from llm_mri_store.reduction.umap import fit_umap
from llm_mri_store.schema import Status
from llm_mri_store.store.catalogue import (
    ReductionEntry,
    ScanEntry,
    find_reduction,
    find_scan,
    now,
    reduction_names,
    versions,
)
from llm_mri_store.store.commit import commit_folder
from llm_mri_store.store.files import file_digests, read_parquet, write_json, write_parquet
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths, check_name

Float32 = npt.NDArray[np.float32]

_EPSILON: Final = {"float32": 2.0**-23, "bfloat16": 2.0**-7, "float16": 2.0**-10}
_TOLERATED_EPSILONS: Final = 16


def run_reduction(
    store: StorePaths,
    scan_name: str,
    spec: ReductionSpec,
    *,
    name: str | None = None,
    progress: ProgressCallback = no_progress,
) -> ReductionEntry:
    """Fits a reduction on every layer of a scan (or applies another's) and commits it.

    Args:
        store: the store.
        scan_name: the scan, complete.
        spec: method and choices; with ``template`` the other reduction's reducers and edges are applied.
        name: name of the reduction; by default such as ``pca-2``.
        progress: told how far it is, in layers.

    Returns:
        The reduction; one of that name made with the same choices is returned as it is.

    Raises:
        UnknownName: there is no such scan or template.
        InvalidInput, ReductionError: the choices do not fit each other or the scan.
        AlreadyThere: the name is taken by a reduction made otherwise.
        StoreBusy: the scan is being written.
    """
    check_spec(spec)
    scan = find_scan(store, scan_name)
    if not scan.is_complete:
        raise ReductionError(
            f"scan {scan_name!r} is not complete ({scan.n_stored:,} of {scan.spec.n_samples:,} samples); run its "
            "scan command again to finish it"
        )
    template = _find_template(store, spec, scan)
    if template is not None:
        spec = _template_spec(template.record.spec, spec)
    name = check_name("reduction", name or _default_name(spec))
    source = chunks_digest(scan.chunks)
    with scan_lock(store, scan_name) as staging:
        if name in reduction_names(scan.paths):
            return _existing(find_reduction(scan, name), spec, source)
        status = _read_status(scan)
        with commit_folder(scan.paths.reduction(name), staging=staging) as folder:
            _reduce_layers(
                folder, scan, spec, status=status, template=template, source=source, progress=progress
            )
    return find_reduction(scan, name)


def check_spec(spec: ReductionSpec) -> None:
    """Refuses choices that do not fit each other.

    Raises:
        InvalidInput: a choice is unknown or out of range.
    """
    if spec.method not in METHODS:
        raise InvalidInput(f"method {spec.method!r} is not one of {', '.join(METHODS)}")
    if spec.bins not in BINS:
        raise InvalidInput(f"bins {spec.bins!r} is not one of {', '.join(BINS)}")
    if spec.n_components < 1:
        raise InvalidInput(f"a reduction needs at least 1 component, got {spec.n_components}")
    if spec.grid is not None and not 1 <= spec.grid <= 1000:
        raise InvalidInput(f"a grid has 1 to 1000 cells an axis, got {spec.grid}")
    if spec.grid is not None and spec.n_components != 2:
        raise InvalidInput(f"a grid needs 2 components, got {spec.n_components}; leave the grid out")
    if spec.method == "pca" and not spec.center:
        raise InvalidInput("a PCA is centred by definition; use svd without centring")
    if not 0 <= spec.seed < 2**32:
        raise InvalidInput(f"a seed is a whole number from 0 to 4294967295, got {spec.seed}")
    if spec.n_neighbors < 2:
        raise InvalidInput(f"UMAP needs at least 2 neighbours, got {spec.n_neighbors}")


def _default_name(spec: ReductionSpec) -> str:
    name = f"{spec.method}-{spec.n_components}"
    return f"{name}-like-{spec.template.replace('/', '-')}"[:64] if spec.template else name


def _existing(entry: ReductionEntry, spec: ReductionSpec, source: str) -> ReductionEntry:
    differences = spec_differences(entry.record.spec, spec)
    if differences:
        raise AlreadyThere(
            f"reduction {entry.name!r} exists with other choices ({differences}); choose another --name"
        )
    if entry.record.source != source:
        raise AlreadyThere(
            f"reduction {entry.name!r} was made from activations that are no longer there; remove it with "
            f"'llm-mri rm SCAN/{entry.name}' and reduce again"
        )
    return entry


@dataclass(frozen=True, slots=True, kw_only=True)
class _Template:
    record: ReductionRecord
    reducers: dict[int, Reducer]


def _find_template(store: StorePaths, spec: ReductionSpec, scan: ScanEntry) -> _Template | None:
    if spec.template is None:
        return None
    scan_name, slash, name = spec.template.partition("/")
    if not slash:
        raise InvalidInput(f"a template is named SCAN/REDUCTION, got {spec.template!r}")
    of_scan = find_scan(store, scan_name)
    entry = find_reduction(of_scan, name)
    if entry.record.spec.method == "umap":
        raise ReductionError(
            f"{spec.template} is a UMAP reduction, which cannot place the samples of another scan; use pca or svd"
        )
    if of_scan.spec.hidden_size != scan.spec.hidden_size or not set(scan.spec.layers) <= set(entry.layers):
        raise ReductionError(
            f"{spec.template} holds layers {_span(entry.layers)} of width {of_scan.spec.hidden_size}, scan "
            f"{scan.name!r} layers {_span(scan.spec.layers)} of width {scan.spec.hidden_size}; a template must be "
            "of the same architecture"
        )
    return _Template(record=entry.record, reducers=read_reducers(entry.folder / schema.REDUCER_FILE))


def _template_spec(of_template: ReductionSpec, asked: ReductionSpec) -> ReductionSpec:
    return ReductionSpec(
        method=of_template.method,
        n_components=of_template.n_components,
        grid=of_template.grid,
        bins=of_template.bins,
        seed=of_template.seed,
        scale=of_template.scale,
        center=of_template.center,
        n_neighbors=of_template.n_neighbors,
        min_dist=of_template.min_dist,
        metric=of_template.metric,
        template=asked.template,
    )


def _span(layers: tuple[int, ...]) -> str:
    return f"{layers[0]}-{layers[-1]}"


def _read_status(scan: ScanEntry) -> npt.NDArray[np.bool_]:
    """Which samples of the scan are ``ok``, bool (samples,)."""
    parts = []
    for chunk in scan.chunks:
        table = read_parquet(scan.paths.chunk(chunk.index) / schema.SAMPLES_FILE, [schema.STATUS])
        parts.append(np.asarray(table[schema.STATUS].to_pylist(), dtype=object) == Status.OK)
    is_ok = np.concatenate(parts)
    if is_ok.sum() < 2:
        raise ReductionError(
            f"scan {scan.name!r} has {int(is_ok.sum())} samples with an activation; a reduction needs at least 2"
        )
    return is_ok


def _reduce_layers(
    folder: Path,
    scan: ScanEntry,
    spec: ReductionSpec,
    *,
    status: npt.NDArray[np.bool_],
    template: _Template | None,
    source: str,
    progress: ProgressCallback,
) -> None:
    (folder / schema.POINTS_FOLDER).mkdir()
    diagnostics: list[LayerDiagnostics] = []
    reducers: dict[int, Reducer] = {}
    total = len(scan.spec.layers)
    for place, layer in enumerate(scan.spec.layers):
        progress(Progress(job="reduce", done=place, total=total, note=f"layer {layer}"))
        fitted = (
            _fit_layer(scan, layer, spec, status)
            if template is None
            else _apply_layer(scan, layer, template, status)
        )
        found, cells = _grid_layer(fitted, layer, spec, status)
        diagnostics.append(found)
        reducers[layer] = fitted.reducer
        points = _points_table(layer, fitted.points, cells, status, spec.n_components)
        write_parquet(folder / schema.POINTS_FOLDER / schema.points_file(layer), points)
    write_reducers(folder / schema.REDUCER_FILE, reducers)
    record = ReductionRecord(
        created=now(),
        versions=versions(),
        source=source,
        n_samples=len(status),
        spec=spec,
        layers=tuple(diagnostics),
        files=file_digests(folder),
    )
    write_json(folder / schema.REDUCTION_FILE, record)
    progress(Progress(job="reduce", done=total, total=total, note=f"{total} layers"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _FittedLayer:
    """One layer's reducer, its points (of the samples that are ok) and what was found."""

    reducer: Reducer
    points: Float32
    n_fitted: int
    is_degenerate: bool
    spread: float
    tolerance: float
    total_variance: float | None = None
    explained: tuple[float, ...] = ()
    edges: tuple[tuple[float, ...], tuple[float, ...]] | None = None


def _activations(scan: ScanEntry, layer: int, is_ok: npt.NDArray[np.bool_]) -> Iterator[Float32]:
    """The activations of samples that are ok, chunk by chunk, float32 (samples, hidden)."""
    column = schema.layer_column(layer)
    for chunk in scan.chunks:
        path = scan.paths.chunk(chunk.index) / schema.ACTIVATIONS_FILE
        table = read_parquet(path, [column])
        if table.num_rows != chunk.n_samples:
            raise StoreCorrupt(
                f"{path} has {table.num_rows} rows, not {chunk.n_samples}; run 'llm-mri verify'"
            )
        vectors = table[column].combine_chunks()
        flat = vectors.values.to_numpy(zero_copy_only=False)
        ids = slice(chunk.first_sample, chunk.first_sample + chunk.n_samples)
        yield flat.reshape(chunk.n_samples, scan.spec.hidden_size)[is_ok[ids]]


def _layer_moments(scan: ScanEntry, layer: int, is_ok: npt.NDArray[np.bool_]) -> Moments:
    moments: Moments | None = None
    for part in _activations(scan, layer, is_ok):
        if len(part):
            moments = add_samples(moments or begin_moments(part), part)
    if moments is None:
        raise ReductionError(f"scan {scan.name!r} has no sample with an activation")
    return moments


def _fit_layer(
    scan: ScanEntry, layer: int, spec: ReductionSpec, is_ok: npt.NDArray[np.bool_]
) -> _FittedLayer:
    epsilon = _EPSILON[scan.spec.dtype]
    moments = _layer_moments(scan, layer, is_ok)
    spread, tolerance = relative_spread(moments), _TOLERATED_EPSILONS * epsilon
    size = scan.spec.hidden_size
    if spread <= tolerance:
        nothing = np.zeros(size)
        reducer: Reducer = (
            UmapReducer(minimum=moments.mean, weight=nothing)
            if spec.method == "umap"
            else LinearReducer(
                mean=moments.mean, weight=nothing, components=np.zeros((spec.n_components, size))
            )
        )
        points = np.zeros((moments.n, spec.n_components), dtype=np.float32)
        return _FittedLayer(
            reducer=reducer,
            points=points,
            n_fitted=moments.n,
            is_degenerate=True,
            spread=spread,
            tolerance=tolerance,
        )
    if spec.method == "umap":
        embedding = fit_umap(np.concatenate(list(_activations(scan, layer, is_ok))), spec)
        return _FittedLayer(
            reducer=embedding.reducer,
            points=embedding.points,
            n_fitted=moments.n,
            is_degenerate=False,
            spread=spread,
            tolerance=tolerance,
        )
    fit = fit_linear(moments, spec.n_components, scale=spec.scale, center=spec.center, epsilon=epsilon)
    parts = [fit.reducer.transform(part) for part in _activations(scan, layer, is_ok)]
    return _FittedLayer(
        reducer=fit.reducer,
        points=np.concatenate(parts),
        n_fitted=moments.n,
        is_degenerate=False,
        spread=spread,
        tolerance=tolerance,
        total_variance=fit.total_variance,
        explained=tuple(float(one) for one in fit.explained_variance),
    )


def _apply_layer(
    scan: ScanEntry, layer: int, template: _Template, is_ok: npt.NDArray[np.bool_]
) -> _FittedLayer:
    found = next(one for one in template.record.layers if one.layer == layer)
    reducer = template.reducers[layer]
    parts = [reducer.transform(part) for part in _activations(scan, layer, is_ok)]
    return _FittedLayer(
        reducer=reducer,
        points=np.concatenate(parts),
        n_fitted=0,
        is_degenerate=found.is_degenerate,
        spread=found.relative_spread,
        tolerance=found.spread_tolerance,
        edges=(found.edges_x, found.edges_y) if found.edges_x else None,
    )


def _grid_layer(
    fitted: _FittedLayer, layer: int, spec: ReductionSpec, is_ok: npt.NDArray[np.bool_]
) -> tuple[LayerDiagnostics, npt.NDArray[np.int16] | None]:
    """Diagnostics, and cells int16 (samples that are ok, 2) where there is a grid."""
    cells = None
    edges: list[tuple[float, ...]] = [(), ()]
    clipped = np.zeros(len(fitted.points), dtype=np.bool_)
    if spec.grid is not None:
        axes = []
        for axis in (0, 1):
            values = fitted.points[:, axis]
            along = (
                bin_edges(values, spec.grid, bins=spec.bins)
                if fitted.edges is None
                else np.asarray(fitted.edges[axis])
            )
            on_axis, outside = assign_cells(values, along)
            axes.append(on_axis)
            clipped |= outside
            edges[axis] = tuple(float(edge) for edge in along)
        cells = np.stack(axes, axis=1)
    total = fitted.total_variance
    return (
        LayerDiagnostics(
            layer=layer,
            is_degenerate=fitted.is_degenerate,
            n_fitted=fitted.n_fitted,
            n_excluded=int((~is_ok).sum()),
            n_clipped=int(clipped.sum()),
            relative_spread=fitted.spread,
            spread_tolerance=fitted.tolerance,
            total_variance=total,
            explained_variance=fitted.explained,
            explained_variance_ratio=tuple(one / total for one in fitted.explained) if total else (),
            edges_x=edges[0],
            edges_y=edges[1],
        ),
        cells,
    )


def _points_table(
    layer: int,
    points: Float32,
    cells: npt.NDArray[np.int16] | None,
    is_ok: npt.NDArray[np.bool_],
    n_components: int,
) -> pa.Table:
    n = len(is_ok)
    coordinates = np.zeros((n, n_components), dtype=np.float32)
    coordinates[is_ok] = points
    absent = pa.array(~is_ok)
    placed = np.zeros((n, 2), dtype=np.int16)
    if cells is not None:
        placed[is_ok] = cells
    no_cell = ~is_ok if cells is not None else np.ones(n, dtype=np.bool_)
    return pa.table(
        [
            pa.array(np.arange(n), pa.int64()),
            pa.array(np.full(n, layer), pa.int16()),
            pa.FixedSizeListArray.from_arrays(pa.array(coordinates.reshape(-1)), n_components, mask=absent),
            pa.array(placed[:, 0], mask=no_cell),
            pa.array(placed[:, 1], mask=no_cell),
        ],
        schema=schema.points_schema(n_components),
    )
