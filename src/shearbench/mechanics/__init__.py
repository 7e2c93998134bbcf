"""The finite element simulator of Mechanical MNIST, on arrays.

The entry point is simulation.py; docs/mechanics.md derives the equations in the notation of the code. The module is
imported on first use, because its compiler takes a third of a second to load and most processes need only the list of
loads.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shearbench.mechanics.loads import LOADS, displacements_of

if TYPE_CHECKING:
    from shearbench.mechanics.newton import TOLERANCE, NotConverged
    from shearbench.mechanics.simulation import (
        LOAD_STEPPING,
        SOLVER_VERSION,
        Failure,
        Fields,
        check_bitmaps,
        check_elements,
        simulate,
    )

__all__ = [
    "LOADS",
    "LOAD_STEPPING",
    "SOLVER_VERSION",
    "TOLERANCE",
    "Failure",
    "Fields",
    "NotConverged",
    "check_bitmaps",
    "check_elements",
    "displacements_of",
    "simulate",
]


def __getattr__(name: str) -> Any:
    """Return a name of the simulator."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "newton" if name in ("TOLERANCE", "NotConverged") else "simulation"
    return getattr(import_module(f"{__name__}.{module}"), name)
