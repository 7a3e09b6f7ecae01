"""A scan of any size written without a model: four clouds that move from layer to layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.records.scans import ChunkRecord, ScanSpec
from llm_mri_store.store.catalogue import begin_scan, ensure_store, versions
from llm_mri_store.store.commit import commit_folder
from llm_mri_store.store.files import file_digests, write_json, write_parquet
from llm_mri_store.store.lock import scan_lock

LABELS = ("a", "b", "c", "d")
HIDDEN = 4
CHUNK = 50_000


def write_scan(
    root: Path,
    *,
    n_samples: int,
    n_layers: int,
    name: str = "synthetic",
    seed: int = 0,
    hidden_size: int = HIDDEN,
    n_words: int = 0,
) -> None:
    """Writes a complete scan with the store's own functions; texts of about ``n_words`` words, if any."""
    rng = np.random.default_rng(seed)
    layers = tuple(range(n_layers))
    spec = ScanSpec(
        model="synthetic",
        revision=None,
        model_fingerprint=f"seed {seed}",
        random_weights=None,
        corpus="synthetic",
        corpus_fingerprint=f"seed {seed}",
        split=None,
        text_column="text",
        label_column="label",
        covariates=(),
        labels=LABELS,
        n_samples=n_samples,
        site="residual",
        pooling="mean",
        layers=layers,
        hidden_size=hidden_size,
        max_tokens=512,
        dtype="float32",
        chunk_samples=CHUNK,
        batch_tokens=2048,
    )
    centres = rng.normal(scale=2.0, size=(len(LABELS), hidden_size))
    turn = np.linalg.qr(rng.normal(size=(hidden_size, hidden_size)))[0]
    store = ensure_store(root)
    with scan_lock(store, name) as staging:
        begin_scan(store, name, spec, staging=staging, notes=())
        for index in range(spec.n_chunks):
            ids = spec.chunk_range(index)
            codes = rng.integers(len(LABELS), size=len(ids))
            state = centres[codes] + rng.normal(size=(len(ids), hidden_size))
            samples = {
                schema.SAMPLE_ID: pa.array(ids, pa.int64()),
                schema.TEXT: pa.array(_texts(ids, codes, n_words=n_words, rng=rng)),
                schema.LABEL: pa.array(np.asarray(LABELS)[codes]),
                schema.N_TOKENS: pa.array(rng.integers(5, 200, size=len(ids)), pa.int32()),
                schema.TRUNCATED: pa.array(np.zeros(len(ids), bool)),
                schema.STATUS: pa.array(["ok"] * len(ids)),
            }
            columns = [samples[schema.SAMPLE_ID]]
            for _ in layers:
                columns.append(
                    pa.FixedSizeListArray.from_arrays(pa.array(state.astype(np.float32).ravel()), hidden_size)
                )
                state = state @ turn + 0.3 * rng.normal(size=state.shape)
            with commit_folder(store.scan(name).chunk(index), staging=staging) as folder:
                write_parquet(
                    folder / schema.SAMPLES_FILE,
                    pa.table(samples, schema=schema.samples_schema(pa.schema([]))),
                )
                write_parquet(
                    folder / schema.ACTIVATIONS_FILE,
                    pa.table(columns, schema=schema.activations_schema(layers, hidden_size)),
                )
                record = ChunkRecord(
                    index=index,
                    first_sample=ids.start,
                    n_samples=len(ids),
                    n_tokens=0,
                    files=file_digests(folder),
                    device="none",
                    versions=versions(),
                )
                write_json(folder / schema.CHUNK_FILE, record)


def _texts(ids: range, codes: np.ndarray, *, n_words: int, rng: np.random.Generator) -> list[str]:
    """Texts of words whose frequencies fall as those of a language do, a few of them a label's own."""
    if not n_words:
        return [f"text {one}" for one in ids]
    lengths = rng.integers(n_words // 2, 3 * n_words // 2, size=len(ids))
    drawn = np.minimum(rng.zipf(1.3, size=lengths.sum()), 20_000)
    ends = np.cumsum(lengths)
    return [
        " ".join([f"of{LABELS[code]}{drawn[start] % 40}", *(f"word{one}" for one in drawn[start:end])])
        for start, end, code in zip(ends - lengths, ends, codes, strict=True)
    ]
