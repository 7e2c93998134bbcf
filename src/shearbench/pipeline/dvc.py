"""The stages of ``dvc.yaml``: names, texts with the hashes of the code of each, and a check of inputs while one runs.

DVC hashes parameters, code and data after a command has ended. It would lock edits made during the command as inputs
of results that were computed without them. So a stage records its inputs at the start and compares them at the end.
"""

import hashlib
import os
import re
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from shearbench import code, yaml12
from shearbench.errors import InputError, few
from shearbench.yaml12 import NAME, RUN_NAME, SafeLoader, construct, with_bases

CODE = "code"
PLAIN = (
    *("prepare", "simulate", "datasets", "training_configs", "severity", "transfer", "handwriting", "compare"),
    *("report", "track"),
)
OF_DATASET, OF_RUN, OF_ABLATION = ("explore",), ("train", "evaluate"), ("ablation", "ablation_result")
NAMES = (CODE, *PLAIN, *OF_RUN, *OF_DATASET, *OF_ABLATION)
"""All stages; those ``OF_...`` have an argument."""
_OF_MODEL = (*OF_RUN, "tune")
_OF_ALL_MODELS = ("transfer", "handwriting")
_NAMED = {"datasets": NAME, "models": NAME, "runs": RUN_NAME, "ablations": NAME}
"""Parts of ``params.yaml`` with names that DVC inserts unchanged into commands and paths."""
PIPELINE, PARAMS = "dvc.yaml", "params.yaml"
_STAGE = "DVC_STAGE"  # set by DVC for the commands of its stages
_SMALL = (".yaml", ".json")  # compared by content; data is compared by size and modification time
_TEMPLATE = re.compile(r"\$\{([^}]+)\}")


def texts(path: Path, only: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield name, as ``train/mlp``, and text of each stage of ``params.yaml``, or of the stage ``only``.

    Raises:
        InputError: if the file is not YAML, lacks models or ablations, or has an invalid name.
    """
    try:
        params, _ = with_bases(construct(SafeLoader(path.read_bytes())))
        _refuse_names(path, params)
        models, ablations = _used(params), {name: _used(each) for name, each in params["ablations"].items()}
        also = {name: _also(each) for name, each in params["ablations"].items()}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be used ({error}); `shearbench check` lists its faults") from None
    every = {*models.values(), *(each for used in ablations.values() for each in used.values())}
    plans: list[tuple[str, str, Iterable[str], Sequence[str]]] = [
        (stage, stage, every if stage in _OF_ALL_MODELS else (), ()) for stage in (*PLAIN, *OF_DATASET)
    ]
    for stage in _OF_MODEL:
        plans += [(f"{stage}/{name}", stage, [each], _also(params)) for name, each in models.items()]
    for stage in OF_ABLATION:
        plans += [(f"{stage}/{name}", stage, set(used.values()), also[name]) for name, used in ablations.items()]
    for name, stage, architectures, more in plans:
        if only in (None, name):
            yield name, code.text(code.closure(f"shearbench.stages.{stage}", architectures, more))


def _refuse_names(path: Path, params: Mapping[str, Any]) -> None:
    """Raise InputError for names that a shell would split. ``dvc repro`` reads ``params.yaml`` here first."""
    bad = [
        f"{part}.{name}"
        for part, rule in _NAMED.items()
        for name in params.get(part, ())
        if not re.fullmatch(rule, str(name))
    ]
    if bad:
        shown = ", ".join(repr(name)[:60] for name in bad[:5])
        raise InputError(
            f"{path}: a name must be lower-case letters, digits and underscores; got {shown}; `shearbench check` lists "
            "all faults"
        )


def _used(part: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(model["architecture"]) for name, model in part["models"].items()}


def _also(part: Mapping[str, Any]) -> list[str]:
    """Return the modules that only some datasets need."""
    detrended = any(dataset.get("normalise") == "detrend" for dataset in part["datasets"].values())
    return [code.TREND] if detrended else []


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
        from shearbench.execution.calls import end_with_parent  # loads rich, which no other function here needs

        end_with_parent(os.getppid(), signal.SIGTERM)


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
        if Path(dep).is_relative_to(code.FOLDER):
            found.update(_code(root, dep, noted=noted))
            continue
        found.update((path.relative_to(root).as_posix(), _file_state(path)) for path in _files(root / dep))
    return found


def _code(root: Path, dep: str, *, noted: bool) -> dict[str, str]:
    """Return the hash of each source that a stage runs, by its path."""
    if noted and (root / dep).is_file():
        text = (root / dep).read_text(encoding="utf-8")
    else:
        name = Path(dep).relative_to(code.FOLDER).with_suffix("").as_posix()
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
            return hashlib.sha256(path.read_bytes()).hexdigest()
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
