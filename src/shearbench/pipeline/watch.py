"""Check that the inputs of a stage have not changed while it ran.

DVC hashes parameters, code and data after a command has ended. It would lock edits made during the command as inputs
of results that were computed without them. So a stage records its inputs at the start and compares them at the end.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shearbench import yaml12
from shearbench.code import FOLDER as CODE
from shearbench.errors import InputError, few
from shearbench.pipeline.texts import texts
from shearbench.records import sha256_of

PIPELINE, PARAMS = "dvc.yaml", "params.yaml"
_STAGE = "DVC_STAGE"  # set by DVC for the commands of its stages
_SMALL = (".yaml", ".json")  # compared by content; data is compared by size and modification time
_TEMPLATE = re.compile(r"\$\{([^}]+)\}")
_POLL_SECONDS = 0.5


@contextmanager
def unchanged_inputs(root: Path, name: str, of: str | None) -> Iterator[None]:
    """Run a stage in the block, and raise InputError with the inputs that changed meanwhile, so that DVC locks nothing.

    ``of`` is the run, dataset or ablation of the stage, if it has one. Without ``dvc.yaml`` in ``root``, all of
    ``params.yaml`` is the input.
    """
    # Within DVC, compare with the code that DVC hashed, to detect edits between its check and this line.
    before = state(root, name, of, noted=_STAGE in os.environ)
    yield
    after = state(root, name, of)
    changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    if changed:
        raise InputError(
            f"stage {name}{f'@{of}' if of else ''} is refused, as its inputs changed while it ran: "
            f"{few(changed)}. Run the same command again; do not edit what it reads meanwhile"
        )


def end_with_dvc() -> None:
    """Stop this stage soon after its DVC process has ended, for example by a kill.

    Otherwise DVC could start the stage a second time beside it. A stage started directly by a user outlives its
    shell.
    """
    if _STAGE in os.environ:
        end_with_parent()


def end_with_parent() -> None:
    """Stop this process soon after its parent has ended for any reason."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def state(root: Path, name: str, of: str | None, *, noted: bool = False) -> dict[str, Any]:
    """Return the inputs of a stage by name: values of parameters, hashes of code, size and time of data.

    With ``noted`` the code is that recorded by the stage ``code`` for DVC, not the present code.
    """
    _, document = yaml12.read(root / PARAMS)
    entry = _entry(root, name, of, document)
    if entry is None:
        return {f"{PARAMS}: {key}": value for key, value in document.items()}
    found = {f"{PARAMS}: {key}": _value(document, key) for key in entry.get("params", ()) if isinstance(key, str)}
    for dep in entry.get("deps", ()):
        if Path(dep).is_relative_to(CODE):
            found.update(_code(root, dep, noted=noted))
            continue
        found.update((path.relative_to(root).as_posix(), _file_state(path)) for path in _files(root / dep))
    return found


def _code(root: Path, dep: str, *, noted: bool) -> dict[str, str]:
    """Return the hash of each source that a stage runs, by its path."""
    if noted and (root / dep).is_file():
        text = (root / dep).read_text(encoding="utf-8")
    else:
        name = Path(dep).relative_to(CODE).with_suffix("").as_posix()
        text = dict(texts(root / PARAMS, name)).get(name, "")
    lines = (line.partition(" ") for line in text.splitlines())
    return {f"code: {path}": does for does, _, path in lines}


def _entry(root: Path, name: str, of: str | None, document: Mapping[str, Any]) -> Any:
    """Return the entry of a stage in ``dvc.yaml`` with templates filled in; None without ``dvc.yaml``."""
    if not (root / PIPELINE).is_file():
        return None
    stages = yaml12.construct(yaml12.SafeLoader((root / PIPELINE).read_bytes()))["stages"]
    entry = stages.get(name, {})
    if "do" not in entry:
        return entry
    each = _value(document, str(entry["foreach"]).strip("${}"))
    item = each.get(of) if isinstance(each, Mapping) else of
    return _filled(entry["do"], {"key": of, "item": item})


def _filled(value: Any, names: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {key: _filled(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, names) for inner in value]
    return _TEMPLATE.sub(lambda found: str(_value(names, found[1])), value) if isinstance(value, str) else value


def _value(document: Any, key: str) -> Any:
    for part in key.split("."):
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _files(path: Path) -> Iterator[Path]:
    """Yield a file, or the files of a folder except hidden ones."""
    if path.is_file():
        yield path
    for folder, _, names in os.walk(path):
        yield from (Path(folder) / each for each in names if not each.startswith("."))


def _file_state(path: Path) -> object:
    try:
        if path.suffix in _SMALL:
            return sha256_of(path)
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
