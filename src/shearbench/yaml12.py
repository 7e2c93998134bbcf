"""YAML 1.2, as read and written by DVC: ``5e-05`` is a number, ``off`` is text, ``010`` is ten.

PyYAML reads version 1.1, where ``5e-05`` and ``1e-3`` are text. DVC writes such numbers into ``params.yaml``.
Source: YAML 1.2.2, section 10.3.2, core schema.

:func:`with_bases` resolves ``base: NAME`` in a model of an ablation: the model NAME of the same ablation with the given
changes. An ablation is self-contained, so DVC sees every change that affects it. YAML's merges (``<<: *anchor``) do not
work: DVC expands them where it rewrites the file (``dvc exp run -S``), and later edits of the anchor have no effect.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from shearbench.errors import InputError

Fault = tuple[tuple[str, ...], str]
NAME = r"[a-z0-9][a-z0-9_]{0,40}"
RUN_NAME = r"[a-z0-9][a-z0-9_-]{0,82}"
"""Patterns of the names in ``params.yaml``, which become parts of paths and commands."""
_BASE = "base"
_MOST_NODES = 100_000  # with aliases expanded; a few lines of YAML can expand to billions
_MOST_BYTES = 1_000_000  # reading takes seconds per megabyte

if TYPE_CHECKING:
    from yaml import SafeLoader as SafeLoader
else:
    SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times as fast


class Loader(SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""


Loader.yaml_implicit_resolvers = {}  # without those of PyYAML
_SCALARS = {
    "tag:yaml.org,2002:null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "tag:yaml.org,2002:bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "tag:yaml.org,2002:int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "tag:yaml.org,2002:float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "tag:yaml.org,2002:merge": (r"<<", ["<"]),  # from version 1.1, which DVC accepts too
}
for tag, (pattern, first) in _SCALARS.items():
    Loader.add_implicit_resolver(tag, re.compile(f"(?:{pattern})$"), first)


def _integer(loader: Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


Loader.add_constructor("tag:yaml.org,2002:int", _integer)


def parse(text: str) -> Any:
    """Return the value of a document; yaml.YAMLError or ValueError if it is invalid."""
    return construct(Loader(text))


def construct(loader: Any) -> Any:
    """Return the value of the document of a loader, a safe loader of PyYAML or a subclass."""
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def read(path: Path) -> tuple[yaml.Node, dict[str, Any]]:
    """Return the mapping in a file as nodes, which have line numbers, and as values.

    Raises:
        InputError: if the file is missing, not a mapping, too large, or not valid YAML.
    """
    try:
        size = path.stat().st_size
        if size > _MOST_BYTES:
            raise InputError(f"{path} has {size:,} bytes, and may have {_MOST_BYTES:,}; restore it with git")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run this command in the project's folder") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason} at byte {error.start}); save it as UTF-8") from None
    try:
        node = yaml.compose(text, Loader=Loader)
        if not isinstance(node, yaml.MappingNode):
            raise InputError(f"{path} must hold a mapping of parameters; the README shows one")
        if _size(node, {}) > _MOST_NODES:
            raise InputError(f"{path} has aliases (*name) that repeat or hold themselves without end; write them out")
        document = parse(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is not valid YAML: {error}") from None
    return node, document


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Return the number of values of a document with aliases expanded; infinity if one contains itself."""
    if id(node) not in known:
        known[id(node)] = float("inf")  # found again during the recursion only if the node contains itself
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def leaves(value: Any, key: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted keys."""
    if not isinstance(value, Mapping):
        return {key: value}
    return {
        name: leaf for part, inner in value.items() for name, leaf in leaves(inner, f"{key}.{part}".lstrip(".")).items()
    }


def lines_of(node: yaml.Node, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the line, counted from 1, of each key in the document."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield (*key, str(name.value)), name.start_mark.line + 1
            yield from lines_of(value, (*key, str(name.value)))


def duplicates(node: yaml.Node) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield keys that occur twice in one mapping; YAML would silently use the last."""
    seen = set()
    for key, line in lines_of(node):
        if key in seen:
            yield key, line
        seen.add(key)


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
