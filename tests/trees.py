"""What a folder holds, to see that nothing changed."""

import hashlib
from pathlib import Path


def tree(folder: Path) -> dict[str, str]:
    """Path below the folder -> sha256 of its bytes; staging, which readers never see, left out."""
    if not folder.exists():
        return {}
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "_staging" not in path.parts
    }
