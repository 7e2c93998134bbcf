"""The field of the block without a digit, which a digit disturbs."""

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import Load
from shearbench.mechanics.loads import displacements_of


def homogeneous_field(load: Load, step: int) -> NDArray[np.float64]:
    """Return the displacement (2, 28, 28) of the block without a digit at a step of a load, in pixels.

    It is solved, not the affine map of the load: under shear the free sides bulge.
    """
    from shearbench.mechanics.simulation import simulate  # compiles: only for who needs it

    blank = np.zeros((1, 28, 28), np.uint8)
    solved = simulate(blank, load=load, displacements=[displacements_of(load)[step]])
    field: NDArray[np.float64] = solved.displacement[0, 0]
    return field
