"""A reduction of another scan, found and read so that it can be applied to this one."""

from __future__ import annotations

from dataclasses import dataclass, replace

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput, ReductionError, StoreCorrupt
from llm_mri_store.pipeline.reducer_file import read_reducers
from llm_mri_store.records.reductions import LayerDiagnostics, ReductionSpec
from llm_mri_store.records.words import span_words
from llm_mri_store.reduction.reducers import Reducer
from llm_mri_store.store.catalogue import ReductionEntry, ScanEntry, find_reduction, find_scan
from llm_mri_store.store.files import sha256_of
from llm_mri_store.store.paths import StorePaths


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A fitted reduction to be applied.

    Attributes:
        spec: its choices, with the name it is applied by.
        layers: layer -> what was found there, its bin edges included.
        reducers: layer -> its reducer.
    """

    spec: ReductionSpec
    layers: dict[int, LayerDiagnostics]
    reducers: dict[int, Reducer]


def find_template(store: StorePaths, name: str, scan: ScanEntry) -> Template:
    """The reduction named ``scan/reduction``, fit to be applied to a scan.

    Raises:
        UnknownName: it is not there.
        InvalidInput: the name is not of that form.
        ReductionError: it is a UMAP reduction, or of another architecture than the scan.
        StoreCorrupt: its reducers are damaged.
    """
    scan_name, slash, reduction_name = name.partition("/")
    if not slash:
        raise InvalidInput(f"a template is named SCAN/REDUCTION, got {name[:200]!r}")
    of_scan = find_scan(store, scan_name)
    entry = find_reduction(of_scan, reduction_name)
    if entry.record.spec.method == "umap":
        raise ReductionError(
            f"{name} is a UMAP reduction, which cannot place the samples of another scan; use pca or svd"
        )
    mine, other = scan.spec, of_scan.spec
    if other.hidden_size != mine.hidden_size or not set(mine.layers) <= set(entry.layers):
        raise ReductionError(
            f"{name} holds layers {span_words(entry.layers)} of width {other.hidden_size}, scan "
            f"{scan.name!r} layers {span_words(mine.layers)} of width {mine.hidden_size}; a template must be "
            "of the same architecture"
        )
    return Template(
        spec=replace(entry.record.spec, template=name),
        layers={one.layer: one for one in entry.record.layers},
        reducers=_read_whole(entry),
    )


def _read_whole(entry: ReductionEntry) -> dict[int, Reducer]:
    path = entry.folder / schema.REDUCER_FILE
    reducers = read_reducers(path)
    if set(reducers) != set(entry.layers) or sha256_of(path) != entry.record.files.get(schema.REDUCER_FILE):
        raise StoreCorrupt(f"{path} is not as it was committed; run 'llm-mri verify'")
    return reducers
