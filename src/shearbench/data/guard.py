"""Check that ``data/`` has the content whose hash is recorded in ``data.dvc``.

DVC accepts changed data silently: it rewrites ``md5`` in ``data.dvc`` and goes on. It does not change ``meta``,
so the adopted hash is stored there, with the sources of the data. Only ``shearbench data --adopt``
changes it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shearbench.data.config import Sources
from shearbench.errors import InputError, few
from shearbench.records import read_json, write_text

ADOPT = "`shearbench data --adopt`"
CACHE = Path(".dvc") / "cache"
"""DVC's cache, unless it is configured elsewhere; the file lists of folders that a stage reads are always here."""
OBJECTS = Path("files") / "md5"
LITTER = (".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized")


@dataclass(frozen=True)
class Tree:
    """The content of a folder: the MD5 of each file by its path in the folder, and the total size in bytes."""

    files: Mapping[str, str]
    size: int

    @property
    def hash(self) -> str:
        """DVC's hash of the folder: the MD5 of its sorted list of files, as JSON, and ``.dir``."""
        entries = [{"md5": self.files[name], "relpath": name} for name in sorted(self.files)]
        return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


def tree_of(folder: Path) -> Tree:
    """Hash every file in a folder except those of file managers, which ``.dvcignore`` excludes too."""
    paths = [path for path in folder.rglob("*") if path.is_file() and not is_litter(path.name)]
    files = {path.relative_to(folder).as_posix(): md5_of(path) for path in paths}
    return Tree(files, sum(path.stat().st_size for path in paths))


def is_litter(name: str) -> bool:
    """Return True for files that file managers and archivers create."""
    return name.startswith("._") or name.lower() in LITTER


def write_adopted(data_dvc: Path, data_name: str, tree: Tree, sources: Sources) -> None:
    """Write ``data.dvc`` in DVC's format, with the adopted hash and sources under ``meta``."""
    out = {"md5": tree.hash, "size": tree.size, "nfiles": len(tree.files), "hash": "md5", "path": data_name}
    document = {"outs": [out], "meta": {"adopted": tree.hash, "sources": _described(sources)}}
    write_text(data_dvc, yaml.safe_dump(document, sort_keys=False))


def adopted_hash(data_dvc: Path, sources: Sources) -> str:
    """Return the hash of the adopted data.

    Raises:
        InputError: if ``data_dvc`` is missing, is not YAML or has no adopted data, or if the data was made from other
            sources than those in ``params.yaml``.
    """
    try:
        meta = yaml.safe_load(data_dvc.read_text())["meta"]
        adopted, recorded = str(meta["adopted"]), dict(meta["sources"])
    except FileNotFoundError:
        raise InputError(f"{data_dvc} is missing; restore it with git, or run {ADOPT} to write it") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{data_dvc} must say `meta: {{adopted: HASH, sources: ...}}`, but does not ({error}); "
            f"restore it with git, or run {ADOPT} to write it"
        ) from None
    declared = _described(sources)
    if declared != recorded:
        raise InputError(
            f"sources in params.yaml is {declared}, but the data recorded in data.dvc was made from {recorded}; run "
            f"{ADOPT} to replace data/ on purpose, or undo the change in params.yaml"
        )
    return adopted


def _described(sources: Sources) -> dict[str, Any]:
    return sources.model_dump(mode="json", exclude_defaults=True)


def verify(data: Path, data_dvc: Path, sources: Sources) -> Tree:
    """Return the content of ``data`` if it has the hash and the sources recorded in ``data_dvc``.

    Raises:
        InputError: if the folder is missing or differs, naming both hashes, what differs, and the ways out.
    """
    if not data.is_dir():
        raise InputError(f"{data} is missing; run `shearbench data` to make it")
    adopted, tree = adopted_hash(data_dvc, sources), tree_of(data)
    if tree.hash != adopted:
        raise InputError(
            f"{data} has hash {tree.hash}, but {data_dvc.name} records {adopted}"
            f"{_difference(data_dvc, adopted, tree)}.\n"
            "To restore the recorded data: `shearbench data` (the present folder is kept as data.old).\n"
            "To use other data: put it in a folder of its own, name that folder under sources in params.yaml, and run "
            f"{ADOPT}"
        )
    return tree


def _difference(data_dvc: Path, adopted: str, tree: Tree) -> str:
    """Return a list of the files that differ as text; empty if DVC's cache lacks the list of adopted files."""
    before = listing(data_dvc.parent / CACHE, adopted)
    if not before:
        return ""
    kinds = {
        "changed": [name for name in tree.files if name in before and tree.files[name] != before[name]],
        "added": [name for name in tree.files if name not in before],
        "missing": [name for name in before if name not in tree.files],
    }
    return "".join(f"; {kind}: {few(sorted(names))}" for kind, names in kinds.items() if names)


def listing(cache: Path, tree: str) -> dict[str, str]:
    """Return path -> MD5 of a folder with the hash ``tree`` from DVC's cache; empty if that list is lost or damaged."""
    try:
        return {entry["relpath"]: entry["md5"] for entry in read_json(cache / OBJECTS / tree[:2] / tree[2:])}
    except (InputError, KeyError, TypeError, OSError):
        return {}


def md5_of(path: Path) -> str:
    """Return the MD5 of a file, which is its name in DVC's cache."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
