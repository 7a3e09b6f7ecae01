"""Records as the bytes of their JSON files, and back."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from llm_mri_store.errors import StoreCorrupt, StoreTooNew
from llm_mri_store.schema import FORMAT_VERSION

RecordT = TypeVar("RecordT")


def to_json(record: object) -> bytes:
    """Bytes of a record's JSON file, indented, with a final newline."""
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"


def from_json(content: bytes, record_type: type[RecordT], *, where: str) -> RecordT:
    """Record of a JSON file.

    Args:
        content: the file's bytes.
        record_type: the record it must be.
        where: the file's name, for the message.

    Raises:
        StoreCorrupt: it is not JSON, lacks a field, has one of a wrong type, or is of a newer format.
    """
    try:
        written = msgspec.json.decode(content, type=dict[str, Any])
        if isinstance(written.get("format"), int) and written["format"] > FORMAT_VERSION:
            raise StoreTooNew(
                f"{where} was written by a newer version (format {written['format']}, this version reads up "
                f"to {FORMAT_VERSION}); upgrade llm-mri-store"
            )
        return msgspec.convert(written, record_type, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise StoreCorrupt(f"{where} is damaged: {error}; restore it, or run 'llm-mri repair'") from error
