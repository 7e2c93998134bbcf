"""The stages of ``dvc.yaml``, and texts with the hashes of the code that each one runs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from shearbench import code
from shearbench.errors import InputError
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
