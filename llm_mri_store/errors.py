"""Every exception of llm_mri_store.

::

    LlmMriError
    ├── InvalidInput        (ValueError)     an argument has a wrong value
    │   ├── CorpusError                      the corpus cannot be read or used
    │   ├── ModelError                       the model cannot be loaded or run
    │   ├── ReductionError                   a reduction cannot be fitted or applied
    │   └── ExportError                      a table or chart cannot be written so
    ├── UnknownName         (KeyError)       a scan, label, layer, ... that is not there
    ├── StoreError          (OSError)        the folder on disk
    │   ├── StoreCorrupt                     a file is damaged or missing
    │   │   └── StoreTooNew                  a file of a newer version
    │   ├── StoreBusy                        another process writes this scan
    │   ├── AlreadyThere                     the name is taken by something else
    │   └── WriteFailed                      no space, no permission
    └── QueryError          (ValueError)     SQL that DuckDB refuses
        ├── QueryForbidden                   SQL that would leave the store's views
        └── QueryTimeout                     SQL that ran too long

A message says what was wrong, what was expected and what to do.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class LlmMriError(Exception):
    """Base of every error this package raises on purpose."""


class InvalidInput(LlmMriError, ValueError):
    """An argument has a value that cannot be used."""


class CorpusError(InvalidInput):
    """The corpus cannot be read, or lacks what a scan needs."""


class ModelError(InvalidInput):
    """The model cannot be loaded, or cannot be read as asked."""


class ReductionError(InvalidInput):
    """A reduction cannot be fitted, or cannot be applied to these samples."""


class ExportError(InvalidInput):
    """A table, chart or graph cannot be written to this file."""


class UnknownName(LlmMriError, KeyError):
    """A name that was looked up is not there.

    Args:
        kind: what was looked up, such as ``"scan"``.
        name: the name asked for.
        known: the names there are; the nearest one is suggested.
        where: where it was looked for, such as ``"scan 'news'"``.
    """

    def __init__(self, kind: str, name: object, *, known: Iterable[object], where: str) -> None:
        names = [str(one) for one in known]
        # A number is not a misspelling of another.
        asked = str(name) if len(str(name)) <= 200 else f"{str(name)[:197]}..."
        near = [] if isinstance(name, int) else get_close_matches(asked, names, n=1)
        if near:
            hint = f"did you mean {near[0]!r}?"
        elif not names:
            hint = "there are none"
        elif len(names) <= 12:
            hint = f"there are: {', '.join(names)}"
        else:
            hint = f"there are {len(names)}, such as: {', '.join(names[:8])}"
        shown = asked if isinstance(name, int) else repr(asked)
        super().__init__(f"{kind} {shown} is not in {where}; {hint}")

    def __str__(self) -> str:
        # A KeyError would show its message quoted, as if it were a key.
        return str(self.args[0])


class StoreError(LlmMriError, OSError):
    """The store's folder cannot be used."""


class StoreCorrupt(StoreError):
    """A file of the store is damaged or missing."""


class StoreTooNew(StoreCorrupt):
    """A file of the store was written by a newer version: nothing is wrong with it."""


class StoreBusy(StoreError):
    """Another process is writing this scan."""


class AlreadyThere(StoreError):
    """The name is taken by something made from other inputs."""


class WriteFailed(StoreError):
    """The operating system refused a write: no space, no permission."""


class QueryError(LlmMriError, ValueError):
    """DuckDB refused the SQL."""


class QueryForbidden(QueryError):
    """The SQL asks for more than reading the store's views."""


class QueryTimeout(QueryError):
    """The SQL ran longer than allowed and was interrupted."""
