"""The base class of all parameters: frozen, and unknown keys are errors; and the faults of a document by its keys."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

Key = tuple[str, ...]
_INPUT = "Input should be "
_WORDS = (
    ("[Tt]uple", "list"),
    ("a valid boolean", "true or false"),
    (r"a valid dictionary or instance of \w+", "a mapping"),
    ("Unable to extract tag using discriminator", "must have the key"),
    (r"Input tag ('.*') found using ('\w+') does not match any of the expected tags: ", r"must have as \2 one of "),
)


class Strict(BaseModel):
    """A frozen pydantic model that forbids unknown keys, type coercion and NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def faults_of(error: ValidationError, document: Any) -> list[tuple[Key, ErrorDetails]]:
    """Return the faults of a document with their keys, one for each key.

    pydantic reports a value once for each member of a union, and puts the member into the key. Here the keys are those
    of the document, the messages on one value are joined, and a fault within a value replaces those on the whole value.
    """
    found: dict[Key, list[ErrorDetails]] = {}
    for fault in error.errors():
        parts = fault["loc"]
        missing = [str(parts[-1])] if fault["type"] == "missing" else []
        key = (*_present(parts[: len(parts) - len(missing)], document), *missing)
        found.setdefault(key, []).append(fault)
    innermost = [key for key in found if not any(key == other[: len(key)] for other in found.keys() - {key})]
    return [(key, {**found[key][0], "msg": _joined([fault["msg"] for fault in found[key]])}) for key in innermost]


def _present(parts: Sequence[int | str], node: Any) -> Key:
    """Return the parts of pydantic's error location that are keys of the document.

    pydantic inserts names of union members, which are left out; of two possible readings the longer one is taken.
    """
    if not parts:
        return ()
    first, *rest = parts
    inside = dict(enumerate(node)) if isinstance(node, list) else node if isinstance(node, Mapping) else {}
    without = _present(rest, node)
    with_first = (str(first), *_present(rest, inside[first])) if first in inside else ()
    return with_first if len(with_first) > len(without) else without


def _joined(messages: Sequence[str]) -> str:
    """Return the messages on one value as one, in the words of YAML."""
    texts = list(dict.fromkeys(messages))
    for pydantics, ours in _WORDS:
        texts = [re.sub(pydantics, ours, text) for text in texts]
    return " or ".join([texts[0], *(text.removeprefix(_INPUT) for text in texts[1:])])
