"""The source of a dataset's samples, and its reference dataset; from entries of records."""

from collections.abc import Mapping
from typing import Any

Entry = Mapping[str, Any]
"""An entry of ``datasets`` in ``params.yaml``, as cards and records hold it."""


def origin_of(entry: Entry) -> str:
    """Return the source whose samples a dataset holds."""
    return str(entry.get("of", "mnist") if "load" in entry else entry["source"])


def reference_of(name: str, entries: Mapping[str, Entry]) -> str:
    """Return the dataset that another is held against: the first of images of the same source, or itself."""
    same = (
        each for each, entry in entries.items() if origin_of(entry) == origin_of(entries[name]) and "load" not in entry
    )
    return next(same, name)
