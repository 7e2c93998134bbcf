"""An approximate inverse of a tangent: centre nodes eliminated, then a sparse Cholesky factor in single precision.

The input is the state of a linearisation (kernels.linearise). The result is a `Factor`; its `solve` maps a nodal
residual to a nodal correction, exact at that state except for single-precision rounding.

Each centre node belongs to one element, so it is eliminated inside that element (static condensation), a quarter of
the unknowns. The rest is eliminated in the order of nested dissection (fronts.py). The outer conjugate gradients
restore the digits that single precision loses.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from shearbench.mechanics.block import Block, Floats, Singles
from shearbench.mechanics.dissection import STRIP
from shearbench.mechanics.fronts import Shared, factorise_fronts, solve_fronts
from shearbench.mechanics.kernels import assemble, linearise, prolong, restrict


@dataclass(frozen=True, eq=False)
class Factor:
    """Cholesky factor, with the condensation of the centre node of each element.

    Attributes:
        block: numbering and plan of the elimination.
        rows, inverses: the factor, see fronts.py.
        coupling: (elements, 2, 16) K_cc^-1 K_cb, c the centre and b the edges.
        centre: (3, elements) K_cc^-1 as 11, 12, 22.
    """

    block: Block
    rows: Singles
    inverses: Singles
    coupling: Singles
    centre: Singles

    def solve(self, r: Singles) -> Singles:
        """Return z (nodes, 2) with K z = r on the free degrees of freedom; zero on held ones."""
        block = self.block
        edges = restrict(r, self.coupling, block.connectivity)
        solve_fronts(block.plan, self.rows, self.inverses, edges.reshape(-1))
        z: Singles = edges * block.single_free
        prolong(r, z, self.coupling, self.centre, block.connectivity)
        return z


def factorise(state: Singles, block: Block, mu: Floats) -> Factor | None:
    """Return the factor of the tangent at a linearised state; None if the tangent is not positive definite."""
    elements = len(mu)
    stiffness, coupling, centre = _condensed(state, block, mu)
    moduli, nothing = np.ones(elements, np.float32), np.empty(0, np.float32)
    rows, inverses = _room(block)
    shared = Shared(rows, inverses, nothing)
    if not factorise_fronts(block.plan, stiffness, moduli, shared, False, rows, inverses):
        return None
    return Factor(block, rows, inverses, coupling, centre) if np.isfinite(centre).all() else None


def factorise_at_rest(block: Block, mu: Floats, ratio: float, d: float) -> Factor:
    """Return the factor at rest of a block that is turned by the mean rotation of the load at d.

    The elements differ by their mu alone; `ratio` is that of lambda to mu. The tangent of a turned block is the turned
    tangent, so it is positive definite.
    """
    stiffness, coupling, centre, shared = _shared(block, ratio, d)
    rows, inverses = _room(block)
    moduli = mu.astype(np.float32)
    stable = factorise_fronts(block.plan, stiffness, moduli, shared, False, rows, inverses)
    assert stable, "a block at rest is stable"
    return Factor(block, rows, inverses, coupling, centre / moduli)


@lru_cache(maxsize=8)
def _shared(block: Block, ratio: float, d: float) -> tuple[Singles, Singles, Singles, Shared]:
    """Return one element's stiffness, the couplings and centres of all, and the elimination, for mu = 1."""
    elements = block.connectivity.shape[1]
    ones = np.ones(elements)
    state = np.empty((9, 6, elements), np.float32)
    linearise(block.turned(d), *block.mesh, ones, ratio * ones, state)
    stiffness, coupling, centre = _condensed(np.ascontiguousarray(state[:, :, :1]), block, ones[:1])
    shared = Shared(*_room(block), np.empty(block.plan.shared_at[-1], np.float32))
    moduli = ones.astype(np.float32)
    stable = factorise_fronts(block.plan, stiffness, moduli, shared, True, shared.factor, shared.inverses)
    assert stable, "a block at rest is stable"
    return stiffness, coupling.repeat(elements, axis=0), centre, shared


def _condensed(state: Singles, block: Block, mu: Floats) -> tuple[Singles, Singles, Singles]:
    """Return the stiffness of the elements of a state without their centre nodes, and the condensation."""
    elements = len(mu)
    stiffness = np.zeros((elements, 16, 16), dtype=np.float32)
    coupling = np.empty((elements, 2, 16), dtype=np.float32)
    centre = np.empty((3, elements), dtype=np.float32)
    assemble(state, block.gradients, block.weights, mu, stiffness, coupling, centre)
    return stiffness, coupling, centre


def _room(block: Block) -> tuple[Singles, Singles]:
    plan = block.plan
    return np.empty(plan.factor_at[-1], np.float32), np.empty((plan.blocks_at[-1], STRIP, STRIP), np.float32)
