"""What a loss of power may leave of a folder: a model of a disk that keeps only what was flushed.

A file that was written keeps its content only from its next flush on; a name that was made, taken away or
moved is sure only when its folder was flushed behind it. Which of the unsure ones a real disk keeps is
chance, so that both ends are tried: all and none.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

Call = tuple[str, str, str]
"""What was called, on which path, and the path it moves to; both relative to the folder."""

WORLDS = ("names kept, content lost", "names kept, content garbled", "names undone")


@dataclass
class Node:
    """A file, or a folder with its names as the process sees them and as the disk surely has them."""

    is_folder: bool
    source: Path | None = None
    is_flushed: bool = True
    names: dict[str, "Node"] = field(default_factory=dict)
    sure_names: dict[str, "Node"] = field(default_factory=dict)


def load(folder: Path) -> Node:
    """A folder that lies safely on the disk."""
    node = Node(is_folder=True)
    for path in sorted(folder.iterdir()):
        node.names[path.name] = load(path) if path.is_dir() else Node(is_folder=False, source=path)
    node.sure_names = dict(node.names)
    return node


def read_log(path: Path, root: Path) -> list[Call]:
    """The calls that the shim wrote down."""
    calls = []
    for line in path.read_text().splitlines():
        call, one, other = line.split("\t")
        calls.append((call, *(str(Path(part).relative_to(root)) if part else "" for part in (one, other))))
    return calls


def find(disk: Node, path: str) -> tuple[Node | None, str]:
    """The folder a path lies in, and its name there."""
    *folders, name = Path(path).parts or (".",)
    node: Node | None = disk
    for part in folders:
        node = node.names.get(part) if node is not None else None
    return node, name


def apply(disk: Node, call: Call) -> Node | None:
    """Does a call on the disk; gives the file that it made. One that fails on a real disk does nothing."""
    what, path, target = call
    if path == ".":
        disk.sure_names = dict(disk.names) if what == "fsync" else disk.sure_names
        return None
    folder, name = find(disk, path)
    if folder is None:
        return None
    node = folder.names.get(name)
    if what in {"create", "mkdir"} and node is None:
        folder.names[name] = made = Node(is_folder=what == "mkdir", is_flushed=False)
        return made if what == "create" else None
    if what == "remove":
        folder.names.pop(name, None)
    elif node is not None and what == "rename":
        to, new_name = find(disk, target)
        if to is not None:
            to.names[new_name] = folder.names.pop(name)
    elif node is not None and what == "fsync":
        node.is_flushed, node.sure_names = True, dict(node.names)
    elif node is not None and what in {"write", "create"}:
        node.is_flushed = False
    return None


def disks(before: Path, calls: list[Call], after: Path) -> Iterator[Node]:
    """The disk after no call, one, two, ...; the same object, to be used before the next."""
    disk = load(before)
    made = [node for call in calls if (node := apply(disk, call)) is not None]
    sources = iter(final_sources(disk, made, after))
    disk = load(before)
    yield disk
    for call in calls:
        node = apply(disk, call)
        if node is not None:
            node.source = next(sources)
        yield disk


def final_sources(disk: Node, made: list[Node], after: Path) -> list[Path | None]:
    """Where the final content of each file that was made lies; None for one that is gone in the end."""
    places: dict[int, Path] = {}

    def walk(node: Node, path: Path) -> None:
        places[id(node)] = path
        for name, inner in node.names.items():
            walk(inner, path / name)

    walk(disk, after)
    found = [places.get(id(node)) for node in made]
    return [path if path is not None and path.is_file() else None for path in found]


def write_world(disk: Node, world: str, folder: Path) -> None:
    """Makes the folder that is found when power is back."""
    shutil.rmtree(folder, ignore_errors=True)
    _write(disk, world, folder)


def _write(node: Node, world: str, path: Path) -> None:
    if node.is_folder:
        path.mkdir()
        for name, inner in (node.sure_names if world == "names undone" else node.names).items():
            _write(inner, world, path / name)
        return
    content = b"" if node.source is None else node.source.read_bytes()
    if not node.is_flushed:
        content = bytes(len(content)) if world == "names kept, content garbled" else b""
    path.write_bytes(content)
