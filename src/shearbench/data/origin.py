"""The source and the reference dataset of a dataset, from the entries in records."""

from collections.abc import Mapping
from typing import Any

Entry = Mapping[str, Any]
"""An entry of ``datasets`` in ``params.yaml``, as stored in cards and records."""


def origin_of(entry: Entry) -> str:
    """Return the source of the samples of a dataset."""
    return str(entry.get("of", "mnist") if "load" in entry else entry["source"])


def reference_of(name: str, entries: Mapping[str, Entry]) -> str:
    """Return the reference dataset: the first image dataset of the same source, or the dataset itself."""
    same = (
        each for each, entry in entries.items() if origin_of(entry) == origin_of(entries[name]) and "load" not in entry
    )
    return next(same, name)
