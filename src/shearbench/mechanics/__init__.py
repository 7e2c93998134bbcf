"""Finite elements on arrays: the simulator of Mechanical MNIST.

The door is simulation.py; docs/mechanics.md derives what is solved, in the notation of the code.
"""

from shearbench.mechanics.loads import LOADS, displacements_of
from shearbench.mechanics.newton import TOLERANCE, NotConverged
from shearbench.mechanics.simulation import (
    LOAD_STEPPING,
    SOLVER_VERSION,
    Failure,
    Fields,
    check_bitmaps,
    check_refinement,
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
    "check_refinement",
    "displacements_of",
    "simulate",
]
