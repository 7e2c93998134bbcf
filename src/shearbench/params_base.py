"""Resolve ``base: NAME`` in a model of an ablation: the model NAME of the same ablation with the given changes.

An ablation is self-contained, so DVC sees every change that affects it. YAML's merges (``<<: *anchor``) do not work,
because DVC rewrites the file in ``dvc exp run -S`` and expands them, and a later edit of the anchor has no effect.
"""

from collections.abc import Mapping
from typing import Any

Fault = tuple[tuple[str, ...], str]
NAME = r"[a-z0-9][a-z0-9_]{0,40}"
RUN_NAME = r"[a-z0-9][a-z0-9_-]{0,82}"
"""Patterns of the names in ``params.yaml``, which become parts of paths and commands."""
_BASE = "base"


def with_bases(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Return ``params.yaml`` with every base resolved, and the faults: (key, rule)."""
    ablations, faults = document.get("ablations"), list[Fault]()
    if not isinstance(ablations, Mapping):
        return dict(document), faults
    written = {name: _with_resolved_models(str(name), ablation, faults) for name, ablation in ablations.items()}
    return {**document, "ablations": written}, faults


def _with_resolved_models(name: str, ablation: Any, faults: list[Fault]) -> Any:
    if not isinstance(ablation, Mapping) or not isinstance(ablation.get("models"), Mapping):
        return ablation
    models, written = ablation["models"], {}
    for model in models:
        try:
            written[model] = _whole(models, model, ())
        except _NoBaseError as error:
            faults.append((("ablations", name, "models", str(model), _BASE), str(error)))
            written[model] = _without_base(models[model])
    return {**ablation, "models": written}


class _NoBaseError(Exception):
    """The named base does not exist or refers to itself."""


def _whole(models: Mapping[Any, Any], name: Any, visited: tuple[Any, ...]) -> Any:
    """Return a model merged with its base, recursively."""
    model = models[name]
    if not isinstance(model, Mapping) or _BASE not in model:
        return model
    base = model[_BASE]
    if not isinstance(base, str) or base not in models or base in (*visited, name):
        others = ", ".join(str(each) for each in models if each != name)
        raise _NoBaseError(f"must be another model of this ablation, not based on this one ({others}); got {base!r}")
    return _merged(_whole(models, base, (*visited, name)), _without_base(model))


def _without_base(model: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in model.items() if key != _BASE}


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, Mapping) and isinstance(above, Mapping)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}
