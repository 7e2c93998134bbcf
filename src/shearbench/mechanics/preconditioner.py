"""An approximate inverse of a tangent: centre nodes eliminated, then a sparse Cholesky factor in single precision.

The input is the state of a linearisation (kernels.linearise). The result is a `Factor`; its `solve` maps a nodal
residual to a nodal correction, exact at that state except for single-precision rounding.

Each centre node belongs to one element, so it is eliminated inside that element (static condensation), a quarter of
the unknowns. The rest is eliminated in the order of nested dissection (fronts.py). The outer conjugate gradients
restore the digits that single precision loses.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shearbench.mechanics.block import Block, Floats
from shearbench.mechanics.fronts import factorise_fronts, solve_fronts
from shearbench.mechanics.kernels import assemble, prolong, restrict

Singles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Factor:
    """Cholesky factor, with the condensation of the centre node of each element.

    Attributes:
        block: numbering and plan of the elimination.
        rows, pivots: the factor, see fronts.py.
        coupling: (2, 16, elements) K_cc^-1 K_cb, c the centre and b the edges.
        centre: (3, elements) K_cc^-1 as 11, 12, 22.
    """

    block: Block
    rows: Singles
    pivots: Singles
    coupling: Singles
    centre: Singles

    def solve(self, r: Floats) -> Floats:
        """Return z (nodes, 2) with K z = r on the free degrees of freedom, in single precision; zero on held ones."""
        block = self.block
        edges = restrict(r, self.coupling, block.connectivity)
        solve_fronts(block.plan, self.rows, self.pivots, edges.reshape(-1))
        z: Floats = edges * block.free
        prolong(r, z, self.coupling, self.centre, block.connectivity)
        return z


def factorise(state: Floats, block: Block, mu: Floats, *, alike: bool = False) -> Factor | None:
    """Return the factor of the tangent at a linearised state; None if the tangent is not positive definite.

    With ``alike``, the tangents of all elements are multiples by their mu, as at rest with one Poisson's ratio, and
    only one is computed.
    """
    elements, plan = len(mu), block.plan
    made = 1 if alike else elements
    stiffness = np.zeros((made, 16, 16), dtype=np.float32)
    coupling = np.empty((2, 16, made), dtype=np.float32)
    centre = np.empty((3, made), dtype=np.float32)
    given = np.ascontiguousarray(state[:, :, :made]), block.gradients, block.weights, mu[:made]
    assemble(*given, stiffness, coupling, centre)
    if alike:
        scale = (mu / mu[0]).astype(np.float32)
        stiffness = stiffness * scale[:, None, None]
        coupling, centre = coupling.repeat(elements, axis=2), centre / scale
    rows, pivots = np.empty(plan.factor_at[-1], np.float32), np.empty(plan.pivots_at[-1], np.float32)
    if not factorise_fronts(plan, stiffness, rows, pivots) or not np.isfinite(centre).all():
        return None
    return Factor(block, rows, pivots, coupling, centre)
