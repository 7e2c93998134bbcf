"""The cost of an epoch: time, CPU time and memory."""

import resource
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

_UNIT = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes


class EpochCost(NamedTuple):
    """Wall-clock seconds, CPU seconds of the process, and its peak memory so far in bytes."""

    seconds: float
    cpu_seconds: float
    memory: int


class Meter:
    """Measure the cost of consecutive epochs; the first starts with the constructor."""

    def __init__(self) -> None:
        """Start the first epoch."""
        self.restart()

    def restart(self) -> None:
        """Start an epoch now."""
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def cost(self) -> EpochCost:
        """Return the cost of the epoch since its start."""
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT
        return EpochCost(time.monotonic() - self._wall, time.process_time() - self._cpu, memory)


def facts_of(cost: Sequence[EpochCost], epochs: Sequence[EpochCost]) -> dict[str, Any]:
    """Return the cost of a fold for its record.

    The keys are the total ``seconds`` and ``cpu_seconds``, the largest ``memory`` in bytes, and a list of each per
    epoch, which is empty for a classifier.
    """
    return {
        "seconds": sum(one.seconds for one in cost),
        "cpu_seconds": sum(one.cpu_seconds for one in cost),
        "memory": max(one.memory for one in cost),
        **{f"epoch_{name}": [getattr(one, name) for one in epochs] for name in EpochCost._fields},
    }
