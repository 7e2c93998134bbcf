"""An approximate inverse of a tangent: centre nodes eliminated, then a single-precision band Cholesky factor.

In: the state of a linearisation (assembly.linearise). Out: a `Factor` whose `solve` maps a nodal residual to
a nodal correction, exact but for single-precision rounding at the state it was made of.

Each centre node meets one element only, so it goes out inside that element (static condensation): 2 of 8
unknowns less, and a band of 169 instead of 225 for the 28 x 28 block. LAPACK's band Cholesky takes no
symbolic analysis and no ordering. Single precision halves its time; the conjugate gradients around it restore
the lost digits.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.linalg import lapack

from shearbench.mechanics.assembly import PACK
from shearbench.mechanics.block import Block, Floats
from shearbench.mechanics.element import GRADIENTS, WEIGHTS

Singles = NDArray[np.float32]


@dataclass(frozen=True)
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
        reduced = _restrict(r, self.coupling, block.connectivity)
        edges, info = lapack.spbtrs(self.band, reduced.reshape(-1)[block.order].astype(np.float32))
        assert info == 0, f"spbtrs was called wrongly: argument {-info}"
        z = np.zeros(r.shape)
        z.reshape(-1)[block.order] = edges
        _prolong(r, z, self.coupling, self.centre, block.connectivity)
        return z


def factorise(state: Floats, block: Block, mu: Floats) -> Factor | None:
    """Factor of the tangent at a linearised state; None where that tangent is not positive definite."""
    elements = block.connectivity.shape[1]
    band = np.zeros((len(block.order), block.bandwidth + 1), dtype=np.float32)
    coupling = np.empty((2, 16, elements), dtype=np.float32)
    centre = np.empty((3, elements), dtype=np.float32)
    _assemble_band(state, mu, block.position, band, coupling, centre)
    # rows of `band` are LAPACK's columns: the transpose is in Fortran's order and is overwritten in place
    factor, info = lapack.spbtrf(band.T, lower=0, overwrite_ab=1)
    if info != 0 or not np.isfinite(centre).all():
        return None
    return Factor(block, factor, coupling, centre)


@njit(cache=True)
def _assemble_band(state, mu, position, band, coupling, centre):  # type: ignore[no-untyped-def]
    elements = state.shape[2]
    moduli = np.empty((10, PACK), dtype=np.float32)
    ke = np.empty((18, 18, PACK), dtype=np.float32)
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        ke[:] = 0.0
        for q in range(9):
            _tangent_moduli(state, mu, q, first, count, moduli)
            _add_stiffness(moduli, q, count, ke)
        _condense(ke, first, count, coupling, centre)
        _add_to_band(ke, position, first, count, band)


@njit(cache=True)
def _tangent_moduli(state, mu, q, first, count, moduli):  # type: ignore[no-untyped-def]
    """A_iJkL = mu d_ik d_JL + g' c_iJ c_kL + g d(cof F)_iJ/dF_kL, times the weight of the Gauss point.

    moduli (10, PACK): ik = 11 (JL = 11, 12, 22), ik = 22 (the same), ik = 12 (JL = 11, 12, 21, 22).
    """
    for e in range(count):
        c11 = state[q, 0, first + e]
        c12 = state[q, 1, first + e]
        c21 = state[q, 2, first + e]
        c22 = state[q, 3, first + e]
        g = state[q, 4, first + e]
        s = state[q, 5, first + e]
        m = WEIGHTS[q] * mu[first + e]
        moduli[0, e] = m + s * c11 * c11
        moduli[1, e] = s * c11 * c12
        moduli[2, e] = m + s * c12 * c12
        moduli[3, e] = m + s * c21 * c21
        moduli[4, e] = s * c21 * c22
        moduli[5, e] = m + s * c22 * c22
        moduli[6, e] = s * c11 * c21
        moduli[7, e] = s * c11 * c22 + g
        moduli[8, e] = s * c12 * c21 - g
        moduli[9, e] = s * c12 * c22


@njit(cache=True)
def _add_stiffness(moduli, q, count, ke):  # type: ignore[no-untyped-def]
    """Add a Gauss point to the element matrices ke (18, 18, PACK), row 2a + i; node blocks a >= b only."""
    for a in range(9):
        for b in range(a + 1):
            xx = np.float32(GRADIENTS[q, a, 0] * GRADIENTS[q, b, 0])
            xy = np.float32(GRADIENTS[q, a, 0] * GRADIENTS[q, b, 1])
            yx = np.float32(GRADIENTS[q, a, 1] * GRADIENTS[q, b, 0])
            yy = np.float32(GRADIENTS[q, a, 1] * GRADIENTS[q, b, 1])
            for e in range(count):
                both = xx * moduli[6, e] + yy * moduli[9, e]
                ke[2 * a, 2 * b, e] += xx * moduli[0, e] + (xy + yx) * moduli[1, e] + yy * moduli[2, e]
                ke[2 * a, 2 * b + 1, e] += both + xy * moduli[7, e] + yx * moduli[8, e]
                ke[2 * a + 1, 2 * b, e] += both + yx * moduli[7, e] + xy * moduli[8, e]
                ke[2 * a + 1, 2 * b + 1, e] += xx * moduli[3, e] + (xy + yx) * moduli[4, e] + yy * moduli[5, e]


@njit(cache=True)
def _condense(ke, first, count, coupling, centre):  # type: ignore[no-untyped-def]
    """Eliminate the centre node (rows 16, 17): K_bb - K_bc K_cc^-1 K_cb, keeping K_cc^-1 and K_cc^-1 K_cb."""
    for e in range(count):
        k11 = ke[16, 16, e]
        k12 = ke[17, 16, e]
        k22 = ke[17, 17, e]
        inverse = np.float32(1.0) / (k11 * k22 - k12 * k12)
        centre[0, first + e] = inverse * k22
        centre[1, first + e] = -inverse * k12
        centre[2, first + e] = inverse * k11
    for p in range(16):
        for e in range(count):
            x = ke[16, p, e]
            y = ke[17, p, e]
            coupling[0, p, first + e] = centre[0, first + e] * x + centre[1, first + e] * y
            coupling[1, p, first + e] = centre[1, first + e] * x + centre[2, first + e] * y
    for p in range(16):
        for r in range(p + 1):
            for e in range(count):
                ke[p, r, e] -= ke[16, p, e] * coupling[0, r, first + e] + ke[17, p, e] * coupling[1, r, first + e]


@njit(cache=True)
def _add_to_band(ke, position, first, count, band):  # type: ignore[no-untyped-def]
    """Add to LAPACK's upper band: entry (i, j), i <= j, stands at band[j, bandwidth + i - j]."""
    last = band.shape[1] - 1
    for e in range(count):
        for p in range(16):
            row = position[first + e, p]
            for r in range(p + 1):
                column = position[first + e, r]
                if row >= 0 and column >= 0:
                    band[max(row, column), last - abs(row - column)] += ke[p, r, e]


@njit(cache=True)
def _restrict(r, coupling, connectivity):  # type: ignore[no-untyped-def]
    """Move the residual of each centre node to the edges of its element: r_b - K_bc K_cc^-1 r_c."""
    reduced = r.copy()
    for e in range(connectivity.shape[1]):
        node = connectivity[8, e]
        x, y = r[node, 0], r[node, 1]
        for a in range(8):
            edge = connectivity[a, e]
            reduced[edge, 0] -= coupling[0, 2 * a, e] * x + coupling[1, 2 * a, e] * y
            reduced[edge, 1] -= coupling[0, 2 * a + 1, e] * x + coupling[1, 2 * a + 1, e] * y
    return reduced


@njit(cache=True)
def _prolong(r, z, coupling, centre, connectivity):  # type: ignore[no-untyped-def]
    """Fill the centre nodes of z: K_cc^-1 r_c - K_cc^-1 K_cb z_b."""
    for e in range(connectivity.shape[1]):
        node = connectivity[8, e]
        x = centre[0, e] * r[node, 0] + centre[1, e] * r[node, 1]
        y = centre[1, e] * r[node, 0] + centre[2, e] * r[node, 1]
        for a in range(8):
            edge = connectivity[a, e]
            zx, zy = z[edge, 0], z[edge, 1]
            x -= coupling[0, 2 * a, e] * zx + coupling[0, 2 * a + 1, e] * zy
            y -= coupling[1, 2 * a, e] * zx + coupling[1, 2 * a + 1, e] * zy
        z[node, 0] = x
        z[node, 1] = y
