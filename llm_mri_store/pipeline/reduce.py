"""Reduce: a scan's activations, layer by layer, to points and cells in the store."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from llm_mri_store import schema
from llm_mri_store.errors import AlreadyThere, InvalidInput
from llm_mri_store.pipeline.activations import layer_activations, read_is_ok, refuse_unreducible
from llm_mri_store.pipeline.reducer_file import write_reducers
from llm_mri_store.pipeline.tables import points_table
from llm_mri_store.pipeline.template import Template, find_template
from llm_mri_store.records.choices import BINS, METHODS
from llm_mri_store.records.jobs import Progress, ProgressCallback, no_progress
from llm_mri_store.records.reductions import LayerDiagnostics, ReductionRecord, ReductionSpec
from llm_mri_store.records.scans import chunks_digest
from llm_mri_store.records.words import spec_differences
from llm_mri_store.reduction.layers import apply_layer, fit_layer
from llm_mri_store.reduction.reducers import Reducer
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
from llm_mri_store.store.files import file_digests, write_json, write_parquet
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths, as_name, check_name

_LOGGER: Final = logging.getLogger("llm_mri_store")


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
        spec: method and choices; with ``template`` the other reduction's choices, reducers and edges.
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
    template = None if spec.template is None else find_template(store, spec.template, scan)
    if template is not None:
        spec = template.spec
    name = check_name("reduction", name or _default_name(spec))
    source = chunks_digest(scan.chunks)
    with scan_lock(store, scan_name) as staging:
        if name in reduction_names(scan.paths):
            return _existing(find_reduction(scan, name), spec, source)
        refuse_unreducible(scan)
        is_ok = read_is_ok(scan)
        if spec.method == "umap":
            _LOGGER.warning(
                "UMAP repeats with its seed (%d), for which it runs on one thread: expect some seconds a "
                "layer and thousand samples, and up to a minute before the first; pca is exact and quick",
                spec.seed,
            )
        with commit_folder(scan.paths.reduction(name), staging=staging) as folder:
            _write_reduction(
                folder, scan, spec, is_ok=is_ok, template=template, source=source, progress=progress
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
    return as_name(f"{name}-like-{spec.template}") if spec.template else name


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


def _write_reduction(
    folder: Path,
    scan: ScanEntry,
    spec: ReductionSpec,
    *,
    is_ok: npt.NDArray[np.bool_],
    template: Template | None,
    source: str,
    progress: ProgressCallback,
) -> None:
    """Fills the folder of a reduction, a layer at a time."""
    points_folder = folder / schema.POINTS_FOLDER
    points_folder.mkdir()
    found: list[LayerDiagnostics] = []
    reducers: dict[int, Reducer] = {}
    total = len(scan.spec.layers)
    n_excluded = int((~is_ok).sum())
    for place, layer in enumerate(scan.spec.layers):
        progress(Progress(job="reduce", done=place, total=total, note=f"layer {layer}"))
        activations = layer_activations(scan, layer, is_ok)
        reduced = (
            fit_layer(activations, spec, n_excluded=n_excluded)
            if template is None
            else apply_layer(
                activations, template.reducers[layer], template.layers[layer], n_excluded=n_excluded
            )
        )
        found.append(reduced.diagnostics)
        reducers[layer] = reduced.reducer
        write_parquet(points_folder / schema.points_file(layer), points_table(reduced, is_ok))
    write_reducers(folder / schema.REDUCER_FILE, reducers)
    record = ReductionRecord(
        created=now(),
        versions=versions(),
        source=source,
        n_samples=len(is_ok),
        spec=spec,
        layers=tuple(found),
        files=file_digests(folder),
    )
    write_json(folder / schema.REDUCTION_FILE, record)
    progress(Progress(job="reduce", done=total, total=total, note=f"{total} layers"))
