"""An approximate inverse of a tangent: centre nodes eliminated, then a single-precision band Cholesky factor.

In: the state of a linearisation (kernels.linearise). Out: a `Factor` whose `solve` maps a nodal residual to
a nodal correction, exact but for single-precision rounding at the state it was made of.

Each centre node meets one element only, so it goes out inside that element (static condensation): a quarter of
the unknowns and of the band less. LAPACK's band Cholesky takes no symbolic analysis and no ordering. Single precision
halves its time; the conjugate gradients around it restore the lost digits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from shearbench.mechanics.block import Block, Floats
from shearbench.mechanics.kernels import assemble_band, prolong, restrict

Singles = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Factor:
    """Upper band Cholesky factor, and how the centre node of each element follows its edges.

    Attributes:
        block: numbering.
        band: (bandwidth + 1, unknowns) in LAPACK's storage.
        coupling: (2, 16, elements) K_cc^-1 K_cb, c the centre and b the edges.
        centre: (3, elements) K_cc^-1 as 11, 12, 22.
    """

    block: Block
    band: Singles
    coupling: Singles
    centre: Singles

    def solve(self, r: Floats) -> Floats:
        """z (nodes, 2) with K z = r on the free degrees of freedom, in single precision; zero on the held."""
        block = self.block
        reduced = restrict(r, self.coupling, block.connectivity)
        # `order` sorts the unknowns by column of the block, which keeps the band narrow; held ones are not in it.
        edges, info = lapack.spbtrs(self.band, reduced.reshape(-1)[block.order].astype(np.float32))
        assert info == 0, f"spbtrs was called wrongly: argument {-info}"
        z = np.zeros(r.shape)
        z.reshape(-1)[block.order] = edges
        prolong(r, z, self.coupling, self.centre, block.connectivity)
        return z


def factorise(state: Floats, block: Block, mu: Floats) -> Factor | None:
    """Factor of the tangent at a linearised state; None where that tangent is not positive definite."""
    elements = block.connectivity.shape[1]
    band = np.zeros((len(block.order), block.bandwidth + 1), dtype=np.float32)
    coupling = np.empty((2, 16, elements), dtype=np.float32)
    centre = np.empty((3, elements), dtype=np.float32)
    assemble_band(state, block.gradients, block.weights, mu, block.position, band, coupling, centre)
    # rows of `band` are LAPACK's columns: the transpose is in Fortran's order and is overwritten in place
    factor, info = lapack.spbtrf(band.T, lower=0, overwrite_ab=1)
    if info != 0 or not np.isfinite(centre).all():
        return None
    return Factor(block, factor, coupling, centre)
