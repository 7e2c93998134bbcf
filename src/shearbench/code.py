"""The code of a result: all sources that a module reaches by imports, with a hash of what each source does.

It is used by the stages of ``dvc.yaml`` (each depends on a text of these hashes), the records of folds, and the
machines of a cluster. Comments, docstrings, formatting and blocks under ``TYPE_CHECKING`` change no hash. Imports
inside functions are included. A user's network includes the helper modules beside it, an installed one its whole
distribution. Only the standard library is imported here, because every ``dvc repro`` starts with this module.
"""

import ast
import hashlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent
NETWORKS = Path("networks")
"""The folder of the user's networks, relative to the project's folder."""
FOLDER = Path("build") / "code"
"""The folder of texts that stages depend on; stage ``code`` writes them."""
PARSED = Path("build") / "parsed.json"
"""A cache of parsed sources by the SHA-256 of their bytes; :func:`remember` writes it."""
_IN_FRONT = ("", "cli", "code", "commands", "errors", "params", "strict", "warm", "yaml12")
INERT = frozenset({*_IN_FRONT, "execution", "stages", "tracking"})
"""Parts of the package that cannot change a result; DVC tracks parameters through ``params:``."""
_OURS = PACKAGE.name
TRAINING = f"{_OURS}.training.crossval"
TREND = f"{_OURS}.data.trend"
_ON_DEMAND = {f"{_OURS}.data.normalise": TREND}  # an import that only some parameters need; they pass it as `also`
_PARSED_HERE: set[str] = set()


@dataclass(frozen=True)
class Source:
    """A Python file: the hash of its code (empty for no code), the names that it imports, and whether it opens files.

    A name is that of a module or of an object in it. Relative names keep their dots.
    """

    does: str
    imports: Sequence[str]
    opens_files: bool


def closure(module: str, architectures: Iterable[str] = (), also: Iterable[str] = ()) -> dict[str, str]:
    """Return the sources that a module of this package runs, as ``{path: hash}``, sorted by path.

    Parts of the package in ``INERT`` are omitted, except stages that other stages import. ``architectures`` are the
    networks that the module builds, by name or, for a user's networks, by path, because it does not import them
    directly. A missing network has a line too, so that the stage that needs it runs and reports it. ``also`` are
    further modules, such as ``TREND`` if data is detrended.
    """
    own = [architecture.rpartition(".")[0] for architecture in architectures if "." in architecture]
    ours = [f"{_OURS}.models.{architecture}" for architecture in architectures if "." not in architecture]
    roots = {name.partition(".")[0]: _root(name.partition(".")[0]) for name in own}
    folders = list(dict.fromkeys([NETWORKS, *filter(None, roots.values())]))
    found = {f"{name} {_distribution(name)}": "" for name, root in roots.items() if root is None}
    todo, seen = [module, *also, *ours, *(name for top in own for name in _with_packages(top))], set[str]()
    while todo:
        name = todo.pop()
        # Beside an installed package lie torch and all other libraries: only ours is looked for there.
        place = None if name in seen else _file(name, [PACKAGE.parent] if name.partition(".")[0] == _OURS else folders)
        seen.add(name)
        if place:
            path, folder = place
            source = parse(path)
            if source.does:
                found[path.relative_to(folder).as_posix()] = source.does
            if source.opens_files:
                found |= _beside(path.parent, folder)
            package = name if path.name == "__init__.py" else name.rpartition(".")[0]
            reached = (each for imported in source.imports for each in _with_packages(imported, package))
            todo += [each for each in reached if each != _ON_DEMAND.get(name)]
    return dict(sorted(found.items()))


def hash_of_folder(folder: Path) -> str:
    """Return one hash of the code of all Python files in a folder."""
    found = {path.relative_to(folder).as_posix(): parse(path).does for path in sorted(folder.rglob("*.py"))}
    return hash_of(found)


def hash_of(sources: Mapping[str, str]) -> str:
    """Return one hash of sources, given as paths with hashes."""
    return hashlib.sha256(text(sources).encode()).hexdigest()


def text(sources: Mapping[str, str]) -> str:
    """Return one line per source: its hash and its path."""
    return "".join(f"{does} {path}\n" for path, does in sources.items())


def parse(path: Path) -> Source:
    """Return the facts about a Python file; if it cannot be parsed, its bytes are hashed."""
    content = path.read_bytes()
    key = hashlib.sha256(f"{sys.version_info[:2]}".encode() + content).hexdigest()
    _PARSED_HERE.add(key)
    if key not in _parsed():
        try:
            _parsed()[key] = _facts(ast.parse(content))
        except (SyntaxError, ValueError, RecursionError):
            _parsed()[key] = Source(key, (), opens_files=False)
    return _parsed()[key]


def remember() -> None:
    """Write the facts about the sources parsed by this process to ``PARSED``, for later processes."""
    PARSED.parent.mkdir(exist_ok=True)
    partial = PARSED.with_suffix(".partial")
    partial.write_text(json.dumps({key: asdict(source) for key, source in _parsed().items() if key in _PARSED_HERE}))
    partial.replace(PARSED)


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a syntax tree imports as a dotted path; relative names keep their dots."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            separator = "." if node.module else ""
            yield from (f"{module}{separator}{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(each.value) for each in node.args[:1] if isinstance(each, ast.Constant))


@cache
def _parsed() -> dict[str, Source]:
    try:
        return {key: Source(**facts) for key, facts in json.loads(PARSED.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # without a valid cache, sources are parsed again


def _facts(tree: ast.Module) -> Source:
    for node in ast.walk(tree):
        for name, block in ast.iter_fields(node):
            if isinstance(block, list):
                # Docstrings are removed before hashing, so that an edit of one reruns nothing.
                setattr(node, name, [each for each in block if not _has_no_effect(each)])
    does = hashlib.sha256(_normal(tree).encode()).hexdigest() if tree.body else ""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    found = dict.fromkeys(imports(tree))
    return Source(does, tuple(found), "__file__" in names or any(name.startswith("importlib.res") for name in found))


def _has_no_effect(node: Any) -> bool:
    """Return True for a statement without effect: a string, or a block for type checkers."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and not node.orelse


def _normal(node: Any) -> str:
    """Return a syntax tree as text without positions and empty fields, equal for all versions of Python."""
    if isinstance(node, list):
        return f"[{','.join(map(_normal, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if name not in ("ctx", "kind", "type_comment"))
    inside = ",".join(f"{name}={_normal(value)}" for name, value in fields if value is not None and value != [])
    return f"{type(node).__name__}({inside})"


def _with_packages(name: str, package: str = "") -> Iterator[str]:
    """Yield a module and its parent packages, because their ``__init__`` runs first, except inert ones."""
    if name.startswith("."):
        name = importlib.util.resolve_name(name, package)
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        # `stages` is inert because it only dispatches, but a stage that imports another one depends on it.
        inert = parts[0] == _OURS and "".join(parts[1:2]) in INERT
        if not inert or (parts[1:2] == ["stages"] and count > 2):
            yield ".".join(parts[:count])


def _file(name: str, folders: Iterable[Path]) -> tuple[Path, Path] | None:
    """Return the file of a module and its folder among ``folders``, or None."""
    relative = name.replace(".", os.sep)
    for folder in folders:
        for candidate in (f"{folder}{os.sep}{relative}{os.sep}__init__.py", f"{folder}{os.sep}{relative}.py"):
            if os.path.isfile(candidate):  # ten times as fast as pathlib for thousands of candidates
                return Path(candidate), folder
    return None


def _beside(package: Path, folder: Path) -> dict[str, str]:
    """Return the hashes of the data files of a package, such as the style of a page."""
    found: dict[str, str] = {}
    for path in package.iterdir():
        if path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").is_file():
            found |= _beside(path, folder)
        elif path.is_file() and path.suffix not in (".py", ".pyc", ".typed"):
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _root(top: str) -> Path | None:
    """Return the folder that a user's module is imported from, or None if it is installed or missing."""
    places = _places(top)
    root = Path(places[0]).parent if places else None
    installed = root is None or root.name in ("site-packages", "dist-packages") or root == Path(os.__file__).parent
    return None if installed else root


def _places(top: str) -> list[str]:
    """Return the folders or the file that a top-level module is imported from; empty if it is missing."""
    try:
        spec = importlib.util.find_spec(top) or PathFinder.find_spec(top, [str(NETWORKS.absolute())])
    except (ImportError, ValueError):
        return []
    return [] if spec is None else list(spec.submodule_search_locations or filter(None, [spec.origin]))


def _distribution(top: str) -> str:
    """Return the version of an installed top-level module and the hash of its list of files, or "missing".

    If its list of files is beside it, which is usual, the metadata of other distributions is not read.
    """
    beside = [path for place in _places(top) for path in Path(place).parent.glob("*.dist-info") if _lists(path, top)]
    found: list[metadata.Distribution] = [metadata.Distribution.at(path) for path in beside] or [
        metadata.distribution(name) for name in metadata.packages_distributions().get(top, [])
    ]
    records = (f"{each.version} {hashlib.sha256(str(each.read_text('RECORD')).encode()).hexdigest()}" for each in found)
    return " ".join(records) or "missing"


def _lists(distribution: Path, top: str) -> bool:
    """Return True if the list of files of a distribution contains a module."""
    try:
        record = "\n" + (distribution / "RECORD").read_text(encoding="utf-8")
    except OSError:
        return False
    return f"\n{top}/" in record or f"\n{top}." in record
