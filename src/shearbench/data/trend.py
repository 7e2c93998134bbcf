"""The displacement field of the block without a digit."""

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import Load
from shearbench.mechanics.loads import displacements_of


def homogeneous_field(load: Load, step: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """Return the displacement (2, *size) of the block of ``size`` (height, width) without an image at a step of a load.

    It is simulated, because it is not the affine map of the load: under shear the free sides bulge.
    """
    from shearbench.mechanics.simulation import simulate  # imported only here, because the simulator compiles

    blank = np.zeros((1, *size), np.uint8)
    solved = simulate(blank, load=load, displacements=[displacements_of(load, size[0])[step]])
    field: NDArray[np.float64] = solved.displacement[0, 0]
    return field
