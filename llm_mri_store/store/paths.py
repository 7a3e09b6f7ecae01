"""Where things lie in a store, and which names they may have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llm_mri_store import schema
from llm_mri_store.errors import InvalidInput

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CHUNK_NAME: Final = re.compile(r"[0-9]{6,12}")
_DEVICE_NAMES: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"com{i}" for i in range(1, 10)), *(f"lpt{i}" for i in range(1, 10))}
)


def check_name(kind: str, name: str) -> str:
    """The name itself, when it can name a folder on any system.

    Args:
        kind: what is named, for the message: ``"scan"``, ``"reduction"`` or ``"result"``.
        name: 1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first.

    Raises:
        InvalidInput: it has other characters, ends in a dot, or is a device's name on Windows.
    """
    if not is_name(name):
        shown = name if len(name) <= 80 else name[:77] + "..."
        raise InvalidInput(
            f"{shown!r} cannot name a {kind}: use 1 to 64 letters, digits, '.', '_' and '-', beginning with "
            "a letter or digit and not ending in a dot (and no device name such as CON)"
        )
    return name


def is_name(name: str) -> bool:
    """True when ``check_name`` takes the name."""
    return bool(_NAME.fullmatch(name)) and not name.endswith(".") and not _is_device(name)


def _is_device(name: str) -> bool:
    return name.split(".")[0].lower() in _DEVICE_NAMES


def as_name(words: str) -> str:
    """A valid name made of any words: what does not fit becomes a hyphen.

    >>> as_name("sentence-transformers/all MiniLM")
    'sentence-transformers-all-MiniLM'
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", words).strip("-._")
    if not name or _is_device(name):
        name = f"scan-{name}"
    return name[:64].rstrip("-._")


@dataclass(frozen=True, slots=True)
class ScanPaths:
    """Paths of one scan."""

    folder: Path

    @property
    def record(self) -> Path:
        """``scan.json``."""
        return self.folder / schema.SCAN_FILE

    @property
    def pruned(self) -> Path:
        """``pruned.json``: there where the activations were removed."""
        return self.folder / schema.PRUNED_FILE

    @property
    def chunks(self) -> Path:
        """Folder of the chunks."""
        return self.folder / schema.CHUNKS_FOLDER

    @property
    def reductions(self) -> Path:
        """Folder of the reductions."""
        return self.folder / schema.REDUCTIONS_FOLDER

    def chunk_folders(self) -> list[Path]:
        """Folders of the committed chunks, in order; what else lies there is for ``verify``."""
        if not self.chunks.is_dir():
            return []
        folders = [path for path in self.chunks.iterdir() if _CHUNK_NAME.fullmatch(path.name)]
        return sorted(folders, key=lambda folder: int(folder.name))

    def chunk(self, index: int) -> Path:
        """Folder of one chunk."""
        return self.chunks / schema.chunk_folder(index)

    def reduction(self, name: str) -> Path:
        """Folder of one reduction."""
        return self.reductions / check_name("reduction", name)

    def results(self, reduction: str | None = None) -> Path:
        """Folder of the results made of the scan itself, or of one of its reductions."""
        owner = self.folder if reduction is None else self.reduction(reduction)
        return owner / schema.RESULTS_FOLDER


@dataclass(frozen=True, slots=True)
class StorePaths:
    """Paths of a store."""

    root: Path

    @property
    def record(self) -> Path:
        """``store.json``."""
        return self.root / schema.STORE_FILE

    @property
    def scans(self) -> Path:
        """Folder of the scans."""
        return self.root / schema.SCANS_FOLDER

    @property
    def staging(self) -> Path:
        """Folder of work in progress and of the scans' locks."""
        return self.root / schema.STAGING_FOLDER

    def scan(self, name: str) -> ScanPaths:
        """Paths of one scan."""
        return ScanPaths(self.scans / check_name("scan", name))

    def scan_staging(self, name: str) -> Path:
        """Folder of one scan's work in progress; whoever holds the scan's lock owns it."""
        return self.staging / check_name("scan", name)

    def lock(self, name: str) -> Path:
        """Lock file of one scan's writer; no scan can be called ``_locks``."""
        return self.staging / "_locks" / f"{check_name('scan', name)}.lock"

    def relative(self, path: Path) -> str:
        """A path as messages show it: relative to the store, with forward slashes."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return path.as_posix()
