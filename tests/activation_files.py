"""Activations in files, in every form that ``llm-mri import`` reads, written by the forms' own libraries."""

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

LAYERS = (0, 6, 12)


def make_vectors(n=24, *, n_layers=3, width=8, seed=0) -> np.ndarray:
    """float32 (n, n_layers, width); numbers that bfloat16 can hold, so that every form gives the same."""
    drawn = np.random.default_rng(seed).normal(size=(n, n_layers, width)).astype(np.float32)
    return torch.from_numpy(drawn).bfloat16().float().numpy()


def list_column(matrix: np.ndarray, kind: str = "list") -> pa.Array:
    """Rows of a matrix as an Arrow column of lists."""
    value = pa.from_numpy_dtype(matrix.dtype)
    if kind == "fixed":
        return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
    return pa.array(list(matrix), pa.large_list(value) if kind == "large" else pa.list_(value))


def by_layer(vectors: np.ndarray, name: str = "layer_{:02d}") -> dict[str, np.ndarray]:
    return {name.format(layer): np.ascontiguousarray(vectors[:, place]) for place, layer in enumerate(LAYERS)}


def wide_table(vectors: np.ndarray, *, first: int = 0, kind: str = "fixed") -> pa.Table:
    columns = {name: list_column(matrix, kind) for name, matrix in by_layer(vectors).items()}
    return pa.table({"sample_id": np.arange(first, first + len(vectors)), **columns})


def long_table(vectors: np.ndarray, *, samples_first: bool = False) -> pa.Table:
    n, n_layers, width = vectors.shape
    ids, layers = np.meshgrid(np.arange(n), LAYERS, indexing="ij")
    if not samples_first:
        vectors, ids, layers = vectors.transpose(1, 0, 2), ids.T, layers.T
    rows = np.ascontiguousarray(vectors).reshape(n * n_layers, width)
    return pa.table({"layer": layers.ravel(), "sample_id": ids.ravel(), "embedding": list_column(rows)})


def write_npy(folder, vectors):
    np.save(folder / "acts.npy", vectors)
    return folder / "acts.npy", {"layers": LAYERS}


def write_npy_layers_first(folder, vectors):
    np.save(folder / "acts.npy", np.ascontiguousarray(vectors.transpose(1, 0, 2)))
    return folder / "acts.npy", {"layers": LAYERS, "layout": "layers-first"}


def write_npy_fortran(folder, vectors):
    np.save(folder / "acts.npy", np.asfortranarray(vectors.astype(np.float64)))
    return folder / "acts.npy", {"layers": LAYERS}


def write_npy_big_endian(folder, vectors):
    np.save(folder / "acts.npy", vectors.astype(">f4"))
    return folder / "acts.npy", {"layers": LAYERS}


def write_npz(folder, vectors):
    np.savez(folder / "acts.npz", **by_layer(vectors, "layer{}"))
    return folder / "acts.npz", {}


def write_npz_compressed(folder, vectors):
    np.savez_compressed(folder / "acts.npz", **by_layer(vectors))
    return folder / "acts.npz", {}


def write_npz_unnamed(folder, vectors):
    np.savez(folder / "acts.npz", *by_layer(vectors).values())
    return folder / "acts.npz", {"layers": LAYERS}


def write_npz_block_layers_first(folder, vectors):
    np.savez_compressed(folder / "acts.npz", hidden=np.ascontiguousarray(vectors.transpose(1, 0, 2)))
    return folder / "acts.npz", {"layers": LAYERS, "layout": "layers-first"}


def write_safetensors(folder, vectors):
    save_file(by_layer(vectors, "blocks.{}.hook_resid_post"), folder / "acts.safetensors")
    return folder / "acts.safetensors", {}


def write_safetensors_bfloat16(folder, vectors):
    tensors = {name: torch.from_numpy(matrix).bfloat16() for name, matrix in by_layer(vectors, "{}").items()}
    save_tensors(tensors, folder / "acts.safetensors")
    return folder / "acts.safetensors", {}


def write_safetensors_block(folder, vectors):
    # A neighbour of an odd number of bytes, so that the block begins off the usual boundaries.
    save_tensors({"hidden_states": torch.from_numpy(vectors).bfloat16()}, folder / "acts.safetensors")
    return folder / "acts.safetensors", {"layers": LAYERS}


def write_parquet_wide(folder, vectors):
    pq.write_table(wide_table(vectors), folder / "acts.parquet", row_group_size=7)
    return folder / "acts.parquet", {}


def write_parquet_dotted(folder, vectors):
    names = by_layer(vectors, "blocks.{}.hook_resid_post")
    table = pa.table({name: list_column(matrix, "large") for name, matrix in names.items()})
    pq.write_table(table, folder / "acts.parquet", row_group_size=5)
    return folder / "acts.parquet", {}


def write_parquet_long(folder, vectors):
    pq.write_table(long_table(vectors), folder / "acts.parquet", row_group_size=10)
    return folder / "acts.parquet", {}


def write_parquet_long_by_sample(folder, vectors):
    pq.write_table(long_table(vectors, samples_first=True), folder / "acts.parquet")
    return folder / "acts.parquet", {}


def write_hdf5(folder, vectors):
    with h5py.File(folder / "acts.h5", "w") as file:
        for name, matrix in by_layer(vectors, "activations/layer_{}").items():
            file.create_dataset(name, data=matrix, chunks=(5, 8), compression="gzip")
    return folder / "acts.h5", {}


def write_npy_parts(folder, vectors):
    (folder / "acts").mkdir()
    for place, part in enumerate(np.array_split(vectors, 11)):
        np.save(folder / "acts" / f"part-{place}.npy", part)
    (folder / "acts" / "README.md").write_text("twelve parts, of which part-10 is the last")
    return folder / "acts", {"layers": LAYERS}


def write_parquet_parts(folder, vectors):
    """As the chunks of a scan are: sample_id counts on from file to file."""
    (folder / "acts").mkdir()
    for first in range(0, len(vectors), 10):
        table = wide_table(vectors[first : first + 10], first=first)
        pq.write_table(table, folder / "acts" / f"{first:06d}.parquet")
    return folder / "acts", {}


def write_layer_files(folder, vectors):
    (folder / "acts").mkdir()
    for name, matrix in by_layer(vectors, "gpt-2-layer{}").items():
        np.save(folder / "acts" / f"{name}.npy", matrix)
    return folder / "acts", {}


def write_saved_dataset(folder, vectors):
    save_dataset(
        folder / "acts", {name: list(matrix) for name, matrix in by_layer(vectors).items()}, shards=3
    )
    return folder / "acts", {}


FORMS = {
    name.removeprefix("write_"): write for name, write in list(globals().items()) if name.startswith("write_")
}
"""Each form: a function of a folder and vectors that gives a path and the options it needs."""


def save_dataset(folder: Path, columns: dict, *, features=None, shards: int = 1) -> Path:
    """A folder as ``save_to_disk`` of the datasets library writes it."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    Dataset.from_dict(columns, features=features).save_to_disk(str(folder), num_shards=shards)
    return folder


def make_tokens(n=7, *, n_layers=3, width=8, seed=0) -> list[np.ndarray]:
    """Per text float32 (n_layers, tokens, width), of 1 to 6 tokens; more texts than one digit counts."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(n_layers, 1 + int(rng.integers(6)), width)).astype(np.float32) for _ in range(n)]


def write_neurox(path: Path, texts: list[np.ndarray], *, with_map: bool = True) -> Path:
    """An HDF5 file as NeuroX's ActivationsWriter writes it: a dataset per sentence, then the map of them."""
    with h5py.File(path, "w") as file:
        for place, states in enumerate(texts):
            file.create_dataset(str(place), states.shape, dtype=states.dtype, data=states)
        if with_map:
            sentences = file.create_dataset("sentence_to_index", (1,), dtype=h5py.special_dtype(vlen=str))
            sentences[0] = json.dumps({f"the {place} th": str(place) for place in range(len(texts))})
    return path


def write_saelens(folder: Path, contexts: dict[str, np.ndarray], *, shards: int = 2) -> Path:
    """A dataset as SAELens' CacheActivationsRunner writes it.

    A column of (context_size, d_in) per hook, and token_ids.
    """
    from datasets import Array2D, Features, Sequence, Value

    (n, context_size, width) = next(iter(contexts.values())).shape
    features = Features(
        {
            **{hook: Array2D(shape=(context_size, width), dtype="float32") for hook in contexts},
            "token_ids": Sequence(Value("int32"), length=context_size),
        }
    )
    token_ids = np.arange(n * context_size, dtype=np.int32).reshape(n, context_size)
    return save_dataset(folder, {**contexts, "token_ids": token_ids}, features=features, shards=shards)
