"""Parquet files as relations of a DuckDB connection, in the two ways a store reads them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from llm_mri_store.errors import StoreCorrupt

Relation = Callable[[duckdb.DuckDBPyConnection, Sequence[Path], pa.Schema | None], duckdb.DuckDBPyRelation]
"""Makes a relation over Parquet files of one table; where their schema is given they need not be opened."""


def parquet_files(
    con: duckdb.DuckDBPyConnection, files: Sequence[Path], _: pa.Schema | None = None
) -> duckdb.DuckDBPyRelation:
    """Files that DuckDB reads itself: fastest, and blind to a flipped bit (``digests`` sees it)."""
    return con.read_parquet([str(path) for path in files], hive_partitioning=False)


def arrow_dataset(
    con: duckdb.DuckDBPyConnection, files: Sequence[Path], declared: pa.Schema | None = None
) -> duckdb.DuckDBPyRelation:
    """Files that Arrow reads, each page against the checksum that was written with it.

    Raises:
        StoreCorrupt: a file whose schema is asked for cannot be opened.
    """
    import pyarrow.dataset as ds

    checks = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    form = ds.ParquetFileFormat(default_fragment_scan_options=checks)
    name = f"files_{uuid.uuid4().hex}"
    try:
        con.register(name, ds.dataset([str(path) for path in files], format=form, schema=declared))
        return con.table(name)
    # DuckDB's Python side has a RuntimeError for a column whose name is no text.
    except (OSError, pa.ArrowException, RuntimeError) as error:
        raise StoreCorrupt(
            f"{files[0].parent} holds a damaged or missing file; run 'llm-mri verify' to see which"
        ) from error
