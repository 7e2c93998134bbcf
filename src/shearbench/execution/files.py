"""Transfer of files between machines, by hash and written atomically."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from shearbench.errors import InputError
from shearbench.records import sha256_of, write_bytes

T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """A file: its path on the machine of the command, and the SHA-256 of its content."""

    path: Path
    sha256: str


@dataclass(frozen=True, eq=False)
class FileContent:
    item: Item
    content: bytes


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Return the files among ``paths`` and in the folders among them, in order and without duplicates.

    A file that is listed separately keeps its own place. Missing paths and hidden files in folders are skipped.
    """
    named = [path.absolute() for path in paths]
    found: list[Path] = []
    for path in named:
        if path.is_file():
            found.append(path)
        else:
            inside = (each for each in sorted(path.rglob("*")) if each.is_file() and not each.name.startswith("."))
            found += [each for each in inside if each not in named]
    return list(dict.fromkeys(found))


def moved(task: T, root: Path) -> T:
    """Return a task with its paths moved under ``root``: a path itself, or the path fields of a dataclass."""
    if isinstance(task, Path):
        return below(root, task)  # type: ignore[return-value]
    if not is_dataclass(task) or isinstance(task, type):
        return task
    values = {field.name: getattr(task, field.name) for field in fields(task)}
    return replace(task, **{name: below(root, value) for name, value in values.items() if isinstance(value, Path)})


def below(root: Path, path: Path) -> Path:
    """Return the absolute form of a path moved under ``root``."""
    absolute = path.absolute()
    return root / absolute.relative_to(absolute.anchor)


def packed(paths: Iterable[Path], root: Path) -> list[FileContent]:
    """Return the files that a task has written under ``root``, in the order of ``paths``."""
    files = []
    for path in files_of(below(root, path) for path in paths):
        content = path.read_bytes()
        files.append(FileContent(Item(Path("/") / path.relative_to(root), sha256(content).hexdigest()), content))
    return files


def put_in_place(files: Sequence[FileContent], allowed: Iterable[Path]) -> None:
    """Write received files in order, each atomically.

    Raises:
        InputError: if a file was damaged in transfer, or is not among the outputs of the task.
    """
    folders = [path.absolute() for path in allowed]
    for file in files:
        path = file.item.path
        if ".." in path.parts or not any(path == folder or folder in path.parents for folder in folders):
            raise InputError(f"a worker sent {path}, which its task does not write; check who can reach the scheduler")
        if sha256(file.content).hexdigest() != file.item.sha256:
            raise InputError(f"{path} was damaged on its way from a worker; run the same command again")
    for file in files:
        write_bytes(file.item.path, file.content)


class Manifest:
    """Hashes of files, each computed once; the files must not change."""

    def __init__(self) -> None:
        self._known: dict[Path, str] = {}
        self.by_hash: dict[str, Path] = {}

    def of(self, paths: Iterable[Path]) -> tuple[Item, ...]:
        """Return the files among ``paths`` and in the folders among them."""
        items = []
        for path in files_of(paths):
            if path not in self._known:
                self._known[path] = sha256_of(path)
            items.append(Item(path, self._known[path]))
            self.by_hash[self._known[path]] = path
        return tuple(items)
