"""The four published loads: held components of the edges, homogeneous deformations, published displacements.

x points right and y up; the bottom edge of the block is the last row of the image. A load is the homogeneous
deformation u = d (origin + gradient (x/width, y/height)), imposed on the held components of its edges;
all others are free.

Source: Lejeune (2020), "Mechanical MNIST: a benchmark dataset for mechanical metamodels", Extreme Mechanics
Letters 36, 100659, and the code published with it.
"""

from dataclasses import dataclass
from typing import Literal

from shearbench.errors import InputError

Edge = Literal["bottom", "top", "left", "right"]
X, Y = 0, 1
PUBLISHED_HEIGHT = 28  # pixels


@dataclass(frozen=True)
class Load:
    """Held (edge, component) pairs, the homogeneous deformation, the displacements of the steps in pixels."""

    held: tuple[tuple[Edge, int], ...]
    gradient: tuple[tuple[float, float], tuple[float, float]]
    origin: tuple[float, float]
    displacements: tuple[float, ...]


_CLAMPED_ENDS: tuple[tuple[Edge, int], ...] = (("bottom", X), ("bottom", Y), ("top", X), ("top", Y))
_SLIDING_EDGES: tuple[tuple[Edge, int], ...] = (("bottom", Y), ("top", Y), ("left", X), ("right", X))
_OUTWARDS = ((1.0, 0.0), (0.0, 1.0))
_LONG_LIST = (0.0, 0.001, 0.01, 0.1, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0)
_SHORT_LIST = (0.0, 0.001, 0.01, 0.1, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5)

LOADS: dict[str, Load] = {
    "uniaxial": Load(_CLAMPED_ENDS, gradient=((0, 0), (0, 1)), origin=(0, 0), displacements=_LONG_LIST),
    "shear": Load(_CLAMPED_ENDS, gradient=((0, 1), (0, 0)), origin=(0, 0), displacements=_SHORT_LIST),
    "equibiaxial": Load(_SLIDING_EDGES, gradient=_OUTWARDS, origin=(-0.5, -0.5), displacements=_LONG_LIST),
    "confined": Load(_SLIDING_EDGES, gradient=((0, 0), (0, -1)), origin=(0, 0), displacements=_SHORT_LIST),
}


def load_named(name: str) -> Load:
    """Return a load by name; InputError lists the known ones."""
    if name not in LOADS:
        raise InputError(f"load must be one of {', '.join(LOADS)}; got {name!r}")
    return LOADS[name]


def displacements_of(load: str, height: int = PUBLISHED_HEIGHT) -> tuple[float, ...]:
    """Return the displacements of a load in pixels; the index is the step, step 0 is d = 0.

    They are published for a block of 28 pixels. For another ``height`` they are scaled in proportion, so that a step
    has the same mean strain.
    """
    return tuple(d * (height / PUBLISHED_HEIGHT) for d in load_named(load).displacements)
