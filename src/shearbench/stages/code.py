"""Stage ``code``: what each stage of ``dvc.yaml`` and ``tuned/dvc.yaml`` runs, ``build/code/<stage>.txt``.

A text has a line for each source that its stage reaches by imports, with a hash of what that source does. A stage with
a model or an ablation in its name has a text for each, so that an edit of one user's own network concerns that
network alone. ``dvc repro`` always begins with this stage, so it imports no library but YAML's.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from shearbench import code
from shearbench.errors import InputError
from shearbench.params_base import with_bases
from shearbench.stages import OF_ABLATION, OF_DATASET, PLAIN

OF_MODEL = ("train", "evaluate", "tune")
OF_ALL_MODELS = ("transfer", "handwriting")
_NAME = re.compile(r"[a-z0-9_]+")  # others are left out: `prepare` refuses them
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def main(root: Path) -> None:
    """Write the text of each stage; one that is as it was is left alone, that of a stage that is no more goes.

    Raises:
        InputError: if ``params.yaml`` is no YAML, or has no models and ablations.
    """
    folder = root / code.FOLDER
    written = {folder / f"{name}.txt": text for name, text in texts(root / "params.yaml")}
    for path in set(folder.rglob("*.txt")) - set(written):
        path.unlink()
    for path, text in written.items():
        if not path.is_file() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    code.remember()


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield for each stage that ``params.yaml`` asks for its name, as ``train/mlp``, and its text.

    Raises:
        InputError: as :func:`main`.
    """
    try:
        params, _ = with_bases(yaml.load(path.read_bytes(), _LOADER))
        models, ablations = _used(params), {name: _used(each) for name, each in params["ablations"].items()}
        also = {name: _also(each) for name, each in params["ablations"].items()}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be used ({error}); `shearbench check` lists its faults") from None
    every = {*models.values(), *(each for used in ablations.values() for each in used.values())}
    for stage in (*PLAIN, *OF_DATASET):
        yield stage, _text(stage, every if stage in OF_ALL_MODELS else ())
    for stage in OF_MODEL:
        for name, architecture in models.items():
            yield f"{stage}/{name}", _text(stage, [architecture], _also(params))
    for stage in OF_ABLATION:
        for name, used in ablations.items():
            if _NAME.fullmatch(name):
                yield f"{stage}/{name}", _text(stage, set(used.values()), also[name])


def _text(stage: str, architectures: Iterable[str], also: Sequence[str] = ()) -> str:
    return code.text(code.closure(f"shearbench.stages.{stage}", architectures, also))


def _used(part: Mapping[str, Any]) -> dict[str, str]:
    """Return the architecture of each model."""
    return {name: str(model["architecture"]) for name, model in part["models"].items() if _NAME.fullmatch(name)}


def _also(part: Mapping[str, Any]) -> list[str]:
    """Return what is run for some datasets only."""
    detrended = any(dataset.get("normalise") == "detrend" for dataset in part["datasets"].values())
    return [code.TREND] if detrended else []
