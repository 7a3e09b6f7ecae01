"""Small stores written with the store's own functions: no model runs, every number is given by hand."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.api.reduction import Reduction
from llm_mri_store.errors import LlmMriError
from llm_mri_store.records.reductions import LayerDiagnostics, ReductionRecord, ReductionSpec
from llm_mri_store.records.results import ResultSpec
from llm_mri_store.records.scans import ChunkRecord, Covariate, ScanSpec, chunks_digest
from llm_mri_store.store.catalogue import begin_scan, ensure_store, find_reduction, find_scan, now
from llm_mri_store.store.commit import commit_folder
from llm_mri_store.store.files import file_digests, write_json, write_parquet
from llm_mri_store.store.lock import scan_lock
from llm_mri_store.store.paths import StorePaths
from llm_mri_store.store.result_commit import save_result
from llm_mri_store.store.results import ResultEntry

WORDS = "river stone cloud engine paper garden window signal copper thunder harvest lantern".split()


def make_spec(n_samples: int = 6, *, n_layers: int = 2, width: int = 3, chunk_samples: int = 4) -> ScanSpec:
    return ScanSpec(
        model="model",
        revision=None,
        model_fingerprint="m",
        random_weights=None,
        corpus="corpus",
        corpus_fingerprint="c",
        split=None,
        text_column="text",
        label_column="label",
        covariates=(Covariate(name="source", type="string"),),
        labels=("a", "b"),
        n_samples=n_samples,
        site="residual",
        pooling="mean",
        layers=tuple(range(n_layers)),
        hidden_size=width,
        max_tokens=64,
        dtype="float32",
        chunk_samples=chunk_samples,
        batch_tokens=256,
    )


def write_scan(
    root: Path,
    name: str,
    *,
    labels: Sequence[str | None],
    vectors: np.ndarray | None = None,
    texts: Sequence[str | None] | None = None,
    status: Sequence[str] | None = None,
    n_layers: int = 2,
    width: int = 3,
    chunk_samples: int = 4,
    n_chunks: int | None = None,
    present: Sequence[str] = ("ok",),
    **spec_fields: object,
) -> StorePaths:
    """A scan whose activations are ``vectors`` (samples, layers, width), those of ``present`` status.

    Fields of its spec may be given: ``random_weights=0``. Chunks that are there already stay as they are.
    """
    n = len(labels)
    if vectors is None:
        vectors = np.random.default_rng(0).normal(size=(n, n_layers, width)).astype(np.float32)
    status = status or ["ok"] * n
    spec = make_spec(n, n_layers=vectors.shape[1], width=vectors.shape[2], chunk_samples=chunk_samples)
    spec = ScanSpec(
        **{field: getattr(spec, field) for field in spec.__dataclass_fields__ if field != "labels"},
        labels=tuple(sorted({label for label in labels if label is not None})),
    )
    spec = replace(spec, **spec_fields)
    store = ensure_store(root)
    with scan_lock(store, name) as staging:
        begin_scan(store, name, spec, staging=staging, notes=())
        for index in range(spec.n_chunks if n_chunks is None else n_chunks):
            if store.scan(name).chunk(index).exists():
                continue
            ids = spec.chunk_range(index)
            part = slice(ids.start, ids.stop)
            samples = pa.table(
                {
                    "sample_id": pa.array(ids, pa.int64()),
                    "text": pa.array(
                        (texts or [f"text {i}" for i in range(n)])[part],
                        pa.string(),
                    ),
                    "label": pa.array(labels[part], pa.string()),
                    "n_tokens": pa.array([i % 7 + 1 for i in ids], pa.int32()),
                    "truncated": pa.array([i % 5 == 0 for i in ids]),
                    "status": pa.array(status[part], pa.string()),
                    "source": pa.array([f"s{i % 2}" for i in ids], pa.string()),
                },
                schema=schema.samples_schema(pa.schema([pa.field("source", pa.string())])),
            )
            absent = pa.array([one not in present for one in status[part]])
            columns = [pa.array(ids, pa.int64())] + [
                pa.FixedSizeListArray.from_arrays(
                    pa.array(np.ascontiguousarray(vectors[part, layer], dtype=np.float32).reshape(-1)),
                    spec.hidden_size,
                    mask=absent,
                )
                for layer in spec.layers
            ]
            activations = pa.table(columns, schema=schema.activations_schema(spec.layers, spec.hidden_size))
            with commit_folder(store.scan(name).chunk(index), staging=staging) as folder:
                write_parquet(folder / schema.SAMPLES_FILE, samples)
                write_parquet(folder / schema.ACTIVATIONS_FILE, activations)
                record = ChunkRecord(
                    index=index,
                    first_sample=ids.start,
                    n_samples=len(ids),
                    n_tokens=7,
                    files=file_digests(folder),
                    device="cpu",
                    versions={},
                )
                write_json(folder / schema.CHUNK_FILE, record)
    return store


def write_reduction(
    store: StorePaths,
    scan_name: str,
    *,
    cells: np.ndarray,
    coordinates: np.ndarray | None = None,
    grid: int | None = 4,
    name: str = "pca-2",
    degenerate: Sequence[int] = (),
    explained: Sequence[float] = (0.5, 0.25),
    n_clipped: int = 0,
) -> None:
    """A reduction whose cells are ``cells`` (samples, layers, 2), -1 where a sample has none."""
    scan = find_scan(store, scan_name)
    n, n_layers, _ = cells.shape
    points = cells.astype(np.float32) if coordinates is None else coordinates.astype(np.float32)
    k = points.shape[2]
    edges = tuple(float(edge) for edge in range((grid or 0) + 1)) if grid else ()
    layers = []
    with (
        scan_lock(store, scan_name) as staging,
        commit_folder(scan.paths.reduction(name), staging=staging) as folder,
    ):
        (folder / schema.POINTS_FOLDER).mkdir()
        for place, layer in enumerate(scan.spec.layers[:n_layers]):
            absent = cells[:, place, 0] < 0
            no_cell = absent if grid else np.ones(n, dtype=bool)
            table = pa.table(
                [
                    pa.array(np.arange(n), pa.int64()),
                    pa.array(np.full(n, layer), pa.int16()),
                    pa.FixedSizeListArray.from_arrays(
                        pa.array(np.ascontiguousarray(points[:, place]).reshape(-1)), k, mask=pa.array(absent)
                    ),
                    pa.array(cells[:, place, 0].astype(np.int16), mask=no_cell),
                    pa.array(cells[:, place, 1].astype(np.int16), mask=no_cell),
                ],
                schema=schema.points_schema(k),
            )
            write_parquet(folder / schema.POINTS_FOLDER / schema.points_file(layer), table)
            layers.append(
                LayerDiagnostics(
                    layer=layer,
                    is_degenerate=layer in degenerate,
                    n_fitted=int((~absent).sum()),
                    n_excluded=int(absent.sum()),
                    n_clipped=n_clipped,
                    relative_spread=1.0,
                    spread_tolerance=1e-6,
                    total_variance=3.0,
                    explained_variance=tuple(3 * one for one in explained),
                    explained_variance_ratio=tuple(explained),
                    edges_x=edges,
                    edges_y=edges,
                )
            )
        (folder / schema.REDUCER_FILE).write_bytes(b"reducer")
        record = ReductionRecord(
            created=now(),
            versions={},
            source=chunks_digest(scan.chunks),
            n_samples=n,
            spec=ReductionSpec(method="pca", n_components=k, grid=grid),
            layers=tuple(layers),
            files=file_digests(folder),
        )
        write_json(folder / schema.REDUCTION_FILE, record)


TRIAL_KIND = schema.ResultKind(
    tables={"trials": {"layer": "int32", "p": "double"}, "draws": {"draw": "int64", "label": "string"}},
    of_reduction=True,
    way="llm-mri trial {scan}/{reduction}",
)
"""A kind of results for tests, of two tables, made from a reduction; see ``trials``."""

TRIAL = ResultSpec(kind="trial", name="first", parameters={"n_draws": 2, "side": "both"}, seed=7)
"""A result of that kind."""


def trials(n: int = 3) -> dict[str, pa.Table]:
    """The tables of a result of kind ``trial``."""
    return {
        "trials": pa.table({"layer": list(range(n)), "p": [one / n for one in range(n)]}),
        "draws": pa.table({"draw": [0, 1], "label": ["a", None]}),
    }


def made_from(store: StorePaths, reduction: str) -> dict[str, object]:
    """What a result of a reduction of scan ``big`` is made from, as it stands."""
    scan = find_scan(store, "big")
    return {"scan": scan, "reduction": find_reduction(scan, reduction)}


def write_trial(store: StorePaths, name: str = "first", *, reduction: str = "pca-2") -> ResultEntry:
    """A result of kind ``trial`` of scan ``big``; the kind must be among ``schema.RESULT_KINDS``."""
    spec = replace(TRIAL, name=name)
    return save_result(store, spec=spec, tables=trials(), **made_from(store, reduction))


def write_quality(store: StorePaths, scan_name: str, name: str = "default") -> ResultEntry:
    """A result of kind ``layer_quality`` whose numbers are those of two layers, written by hand."""
    columns = schema.RESULT_KINDS["layer_quality"].tables["layer_quality"]
    values = {"int32": [0, 1], "int64": [5, 6], "double": [0.5, None], "bool": [True, False]}
    rows = pa.table({column: values[kind] for column, kind in columns.items()})
    spec = ResultSpec(kind="layer_quality", name=name, parameters={"by": "hand"})
    return save_result(store, find_scan(store, scan_name), spec, {"layer_quality": rows})


def write_tests(store: StorePaths, reduction: str = "pca-2") -> None:
    """Tests of every kind of a reduction of scan ``big``, each with more than one row in every table."""
    chosen = Reduction(store, "big", reduction)
    few = {"n_permutations": 39, "strata": "n_tokens", "n_bins": 2}
    for b in ("b", "c"):
        chosen.contrast("a", b, cluster_threshold=0.5, **few)
    chosen.contrast_labels(**few)
    chosen.edge_tests("a", "b", cluster_threshold=0.5, **few)
    chosen.information(**few)
    chosen.compare("a", "b", **few)


def write_planted(
    root: Path, name: str = "sky", *, planted: Sequence[int] = (1,), seed: int = 0, **fields: object
) -> StorePaths:
    """A scan of 90 samples of labels a, b, c in turn, cells at random but for 20 of a's at planted layers.

    Those lie in cell (3, 3), and a's texts are about stars. Its reduction ``pca-2`` has 3 layers, of which
    layer 0 is degenerate, and a grid of 4 x 4 cells.
    """
    rng, texts = np.random.default_rng(seed), np.random.default_rng(0)
    labels = ["abc"[place % 3] for place in range(90)]
    words = [" ".join(texts.choice(WORDS, size=4)) for _ in labels]
    spoken = [
        f"star {word} comet" if label == "a" else word for label, word in zip(labels, words, strict=True)
    ]
    cells = rng.integers(0, 4, size=(90, 3, 2))
    of_a = [place for place, label in enumerate(labels) if label == "a"]
    for layer in planted:
        cells[of_a[:20], layer] = 3
    vectors = rng.normal(size=(90, 3, 3)).astype(np.float32)
    store = write_scan(root, name, labels=labels, texts=spoken, vectors=vectors, chunk_samples=64, **fields)
    write_reduction(store, name, cells=cells, degenerate=[0])
    return store


def random_store(root: Path, *, n: int = 200, n_layers: int = 3, seed: int = 0, grid: int = 4) -> StorePaths:
    """Scan ``big`` of random labels, cells and vectors; a tenth of the samples have status ``empty``."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(["a", "b", "c"], size=n, p=[0.5, 0.3, 0.2]).tolist()
    status = ["empty" if flag else "ok" for flag in rng.random(n) < 0.1]
    vectors = rng.normal(size=(n, n_layers, 3)).astype(np.float32)
    cells = rng.integers(0, grid, size=(n, n_layers, 2))
    cells[np.asarray(status) != "ok"] = -1
    texts = [" ".join(rng.choice(WORDS, size=4)) for _ in range(n)]
    store = write_scan(
        root, "big", labels=labels, vectors=vectors, texts=texts, status=status, chunk_samples=64
    )
    write_reduction(store, "big", cells=cells, grid=grid)
    return store


def error_of(act: Callable[[], object]) -> LlmMriError | None:
    """The error of ours that a call ends in, or None; any other error comes through."""
    try:
        act()
    except LlmMriError as error:
        return error
    return None


def tree_digest(folder: Path) -> dict[str, str]:
    """Path -> sha256 of every file below a folder, but for the locks."""
    return {name: digest for name, digest in file_digests(folder).items() if "_locks" not in name}
