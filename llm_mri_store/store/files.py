"""Files of a store: JSON records and Parquet tables, written durably, read with their checks."""

from __future__ import annotations

import errno
import hashlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import pyarrow as pa

from llm_mri_store import schema
from llm_mri_store.errors import StoreCorrupt, StoreError, WriteFailed
from llm_mri_store.records.json_files import from_json, to_json

RecordT = TypeVar("RecordT")

_DIGEST: Final = "digest"
_UNFLUSHABLE: Final = frozenset({errno.EINVAL, errno.ENOTSUP})
_DICTIONARY_COLUMNS = (
    schema.LABEL,
    schema.STATUS,
    schema.CELL_X,
    schema.CELL_Y,
    schema.LAYER,
    schema.RESULT,
)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turns the operating system's refusals into one sentence.

    Args:
        target: what is being written, for the message.

    Raises:
        WriteFailed: no space, no permission, or another failure of the file system.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise WriteFailed(_why_write_failed(error, target)) from error


def _why_write_failed(error: OSError, target: Path) -> str:
    code = error.errno
    if code in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return (
            f"no space left to write {target}; what was there before is intact: free some space and try again"
        )
    if code in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"no permission to write {target}; choose a folder you may write to"
    if code in {errno.ENOTDIR, errno.EEXIST}:
        return f"{target} cannot be made: a file is in the way; choose another folder"
    return f"cannot write {target}: {error.strerror or error}"


@contextmanager
def reading(target: Path) -> Iterator[None]:
    """Turns the operating system's refusals to list a folder into one sentence.

    Raises:
        StoreError: no permission, a name too long, or another failure of the file system.
    """
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            f"cannot read {target}: {error.strerror or error}; choose a folder you may read"
        ) from error


def sealed_json(record: object) -> bytes:
    """Bytes of a record's JSON file, which ends in a digest of all that stands before it."""
    fields: dict[str, Any] = msgspec.json.decode(to_json(record))
    return to_json({**fields, _DIGEST: _fields_digest(fields)})


def _fields_digest(fields: dict[str, Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()


def write_json(path: Path, record: object) -> None:
    """Writes a record's JSON file."""
    path.write_bytes(sealed_json(record))


def read_json(path: Path, record_type: type[RecordT], *, may_lack_digest: bool = False) -> RecordT:
    """Reads a record's JSON file, which must be as it was committed.

    Args:
        path: the file.
        record_type: the record it holds.
        may_lack_digest: take one that was written by hand, without a digest.

    Raises:
        StoreCorrupt: it is missing, malformed, or not what its digest is of.
        StoreTooNew: a later version wrote it.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreCorrupt(f"{path} cannot be read: {error.strerror}; run 'llm-mri verify'") from error
    try:
        record = from_json(content, record_type, where=str(path))
        fields: dict[str, Any] = msgspec.json.decode(content)
    except (UnicodeDecodeError, RecursionError) as error:
        raise StoreCorrupt(f"{path} is damaged: {error}; restore it, or run 'llm-mri repair'") from error
    if may_lack_digest and _DIGEST not in fields:
        return record
    if fields.pop(_DIGEST, None) != _fields_digest(fields):
        raise StoreCorrupt(
            f"{path} was changed after its commit (its digest differs); restore it, or run 'llm-mri repair'"
        )
    return record


def write_parquet(path: Path, table: pa.Table) -> None:
    """Writes a table as the store keeps it: zstd, page checksums, split bytes for floats."""
    import pyarrow.parquet as pq

    names = set(table.schema.names)
    dictionary = [name for name in _DICTIONARY_COLUMNS if name in names]
    pq.write_table(
        table,
        path,
        compression="zstd",
        write_page_checksum=True,
        use_dictionary=dictionary,
        use_byte_stream_split=_float_columns(table.schema),
        row_group_size=131_072,
    )


def _float_columns(fields: pa.Schema) -> list[str]:
    """Parquet paths of the columns that hold floats, plain or in fixed-size lists."""
    columns = []
    for field in fields:
        if pa.types.is_floating(field.type) and not pa.types.is_float16(field.type):
            columns.append(field.name)
        elif pa.types.is_fixed_size_list(field.type) and pa.types.is_floating(field.type.value_type):
            columns.append(f"{field.name}.list.element")
    return columns


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Reads a table of the store, checking each page's checksum.

    Raises:
        StoreCorrupt: it is missing or damaged.
    """
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=columns, page_checksum_verification=True, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise StoreCorrupt(
            f"{path} is damaged or missing; run 'llm-mri verify' to see what else is"
        ) from error


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_digests(folder: Path) -> dict[str, str]:
    """Path below the folder -> sha256, of every file in it, sorted."""
    return {
        path.relative_to(folder).as_posix(): sha256_of(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def flush_tree(folder: Path) -> None:
    """Flushes every file and folder below, and the folder itself, to the disk (fsync)."""
    for path in sorted(folder.rglob("*"), reverse=True):
        flush(path)
    flush(folder)


def flush(path: Path) -> None:
    """Flushes one file or folder to the disk (fsync); a file system may not know it for folders."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (error.errno in _UNFLUSHABLE and path.is_dir()):
            raise
    finally:
        os.close(descriptor)


def replace_file(target: Path, content: bytes) -> None:
    """Writes a file that is no part of a store: a reader sees the old one or the new one, whole.

    Raises:
        WriteFailed: there is no such folder, or the operating system refused the write.
    """
    if not target.parent.is_dir():
        raise WriteFailed(f"cannot write {target}: there is no folder {target.parent}; make it first")
    if target.is_dir():
        raise WriteFailed(f"cannot write {target}: a folder is in the way; choose another name")
    staged = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    with writing(target):
        try:
            staged.write_bytes(content)
            # Else a loss of power could leave the new name with nothing in it, and the old file gone.
            flush(staged)
            os.replace(staged, target)
            flush(target.parent)
        finally:
            staged.unlink(missing_ok=True)
