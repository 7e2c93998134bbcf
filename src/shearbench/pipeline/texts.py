"""The texts of the code that each stage runs."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from shearbench import code
from shearbench.errors import InputError
from shearbench.params_base import with_bases
from shearbench.pipeline.names import OF_ABLATION, OF_DATASET, PLAIN
from shearbench.yaml12 import construct

OF_MODEL = ("train", "evaluate", "tune")
OF_ALL_MODELS = ("transfer", "handwriting")
_NAME = re.compile(r"[a-z0-9_]+")  # others are left out: `prepare` refuses them
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield for each stage that ``params.yaml`` asks for its name, as ``train/mlp``, and its text.

    Raises:
        InputError: if the file is no YAML, or has no models and ablations.
    """
    try:
        params, _ = with_bases(construct(_LOADER(path.read_bytes())))
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
