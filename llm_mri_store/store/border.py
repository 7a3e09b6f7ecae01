"""The one border where DuckDB's and Arrow's errors become ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import duckdb
import pyarrow as pa

from llm_mri_store.errors import LlmMriError, QueryError, QueryForbidden, QueryTimeout, StoreCorrupt

_PARQUET_WORDS: Final = re.compile(
    r"parquet|snappy|zstd|thrift|tprotocol|magic bytes|page header|decompress", re.IGNORECASE
)
_FILE_ERRORS: Final = (duckdb.IOException, duckdb.SerializationException, duckdb.InternalException)
# Words of DuckDB 2 and 1 on an Arrow dataset that fails while it is read.
_STREAM_WORDS: Final = re.compile(r"^[\w ]*Error: (reading the stream|arrow_scan: get_next failed)")


@contextmanager
def translated_errors(absent: Mapping[str, str], *, reads_files: bool) -> Iterator[None]:
    """Turns errors of DuckDB and Arrow into ours.

    Args:
        absent: view -> why it is not there.
        reads_files: DuckDB itself reads the store's Parquet files. Where it does not (a user's SQL),
            words about files in its errors are the user's own, and only Arrow's errors are the store's.

    Raises:
        QueryForbidden: the SQL asked for a file, the network, an extension or a setting.
        QueryTimeout: it was interrupted.
        StoreCorrupt: a file of the store cannot be read.
        QueryError: anything else DuckDB refuses.
    """
    try:
        yield
    except LlmMriError:
        raise
    except duckdb.InterruptException as error:
        raise QueryTimeout("the query ran longer than allowed and was stopped; see --timeout") from error
    except duckdb.PermissionException as error:
        raise QueryForbidden(
            "SQL here reads the store's views and nothing else: no file, network, extension or setting "
            f"({first_line(error)})"
        ) from error
    except duckdb.CatalogException as error:
        raise QueryError(_missing_words(error, absent)) from error
    except duckdb.OutOfMemoryException as error:
        raise QueryError(f"the query needs more memory than it is allowed ({first_line(error)})") from error
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        # DuckDB's Parquet reader has errors of no class of their own, such as "Out of buffer".
        is_of_file = (
            isinstance(error, _FILE_ERRORS)
            or type(error) is duckdb.Error
            or _PARQUET_WORDS.search(str(error)) is not None
        )
        if _STREAM_WORDS.match(str(error)) or (reads_files and is_of_file):
            raise StoreCorrupt(
                f"a file of the store is damaged or missing ({first_line(error)}); "
                "run 'llm-mri verify' to see which"
            ) from error
        raise QueryError(_sql_words(error)) from error


def _missing_words(error: duckdb.Error, absent: Mapping[str, str]) -> str:
    words = str(error)
    for view, why in absent.items():
        if re.search(rf"(Table|View) with name {view} does not exist", words, re.IGNORECASE):
            return f"view {view!r} is not there: {why}"
    return _sql_words(error)


def first_line(error: BaseException) -> str:
    """The first line of an error's words."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _sql_words(error: BaseException) -> str:
    """DuckDB's message without its blank lines: it points at the place in the SQL."""
    return "\n".join(line for line in str(error).splitlines() if line.strip()) or type(error).__name__
