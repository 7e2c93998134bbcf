"""Finite elements on arrays: the simulator of Mechanical MNIST. See simulation.py, and docs/mechanics.md for the derivation."""

from shearbench.mechanics.loads import LOADS, displacements_of
from shearbench.mechanics.newton import NotConverged
from shearbench.mechanics.simulation import LOAD_STEPPING, SOLVER_VERSION, Fields, simulate

__all__ = ["LOADS", "LOAD_STEPPING", "SOLVER_VERSION", "Fields", "NotConverged", "displacements_of", "simulate"]
