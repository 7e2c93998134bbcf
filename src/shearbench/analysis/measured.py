"""The result of a measurement, in a file of its own, so that code that uses results does not load torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Measured:
    """The result of a measurement: named arrays of one network, and facts for the record of the evaluation."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
