"""What a probe gives back: a file of its own, so that who reads answers loads no torch with a Subject."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Measured:
    """What a probe found: named arrays of one network, and facts that go into the record of the evaluation."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
