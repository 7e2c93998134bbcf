"""Compiled kernels: material law, sums over elements, element stiffness, centre nodes.

They are in one file, because numba's cache detects changes in the file of a function, but not in the functions
it calls. The factor (fronts.py) calls none of them.

Elements are 9-node quadratic rectangles (Q2) of equal size, with sides along the axes and 3 x 3 Gauss points, so
the gradients of the shape functions are equal in all elements. `NODES` (9, 2) are the places of the nodes in half
sides, `CENTRE` is the local number of the centre node. `element_table` returns `gradients` (9 points, 9 nodes, 2) and
`weights` (9 points).

Elements are processed in packs of `PACK` that are adjacent in memory, so the innermost loops run over elements and
become vector instructions. Fast-math is off, so the bits of a sample do not depend on earlier computations.

Sums that run in conjugate gradients (tangent_times, restrict, prolong, descend) have the precision of their arguments.

Nodal fields are (nodes, 2); `connectivity` is (9, elements); mu and lam are (elements,). H_iJ = du_i/dX_J.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

# A function that others call is inlined before it is compiled: otherwise it would be compiled alone and again with each
# caller. A division by zero gives inf, as in NumPy, without a check. Arrays come from np.empty with the dtype of an
# argument, because each other way to make one would be compiled too.
inlined = njit(inline="always", error_model="numpy")
compiled = njit(cache=True, error_model="numpy")

PACK = 56
# The centre node comes last. It belongs to one element and is eliminated inside it (preconditioner.py).
NODES: NDArray[np.int64] = np.array(
    [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2), (1, 1)], dtype=np.int64
)
CENTRE = 8


def lagrange(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return values and derivatives, each (len(x), 3), of the quadratic Lagrange functions on nodes 0, 1/2, 1."""
    values = np.stack([(1 - x) * (1 - 2 * x), 4 * x * (1 - x), x * (2 * x - 1)], axis=1)
    slopes = np.stack([4 * x - 3, 4 - 8 * x, 4 * x - 1], axis=1)
    return values, slopes


def gauss_points() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the three Gauss points and weights on [0, 1], exact for polynomials up to degree 5."""
    points, weights = np.polynomial.legendre.leggauss(3)
    return (points + 1) / 2, weights / 2


def element_table(across: int = 1, up: int = 1) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return gradients (9, 9, 2) of the shape functions at the Gauss points, and weights (9,), the areas of the points.

    Args:
        across, up: number of elements per unit length in x and in y.
    """
    points, weights = gauss_points()
    values, slopes = lagrange(points)
    ax, ay = NODES.T
    gx = slopes[:, None, ax] * values[None, :, ay] * across
    gy = values[:, None, ax] * slopes[None, :, ay] * up
    table = np.stack([gx, gy], axis=-1).reshape(9, 9, 2)
    return np.ascontiguousarray(table), np.outer(weights, weights).ravel() / (across * up)


@inlined
def energy_density(h11, h12, h21, h22, mu, lam):  # type: ignore[no-untyped-def]
    """Return psi, the energy per reference area, from H_iJ = du_i/dX_J."""
    det_h = h11 * h22 - h12 * h21
    j = h11 + h22 + det_h
    bulk = j - math.log1p(j)
    return (
        0.5 * mu * (h11 * h11 + h12 * h12 + h21 * h21 + h22 * h22 - 2.0 * det_h)
        + (mu + 0.5 * lam) * bulk
        + 0.25 * lam * j * j
    )


@inlined
def stress(h11, h12, h21, h22, mu, lam):  # type: ignore[no-untyped-def]
    """Return the first Piola-Kirchhoff stress dpsi/dF as P11, P12, P21, P22.

    P = mu (F - cof F / J) + lambda/2 (J - 1/J) cof F, cof F = I + cof H, cof H = [[h22, -h21], [-h12, h11]].
    """
    j = h11 + h22 + h11 * h22 - h12 * h21
    a = mu / (1.0 + j)
    b = 0.5 * lam * j * (2.0 + j) / (1.0 + j)
    # F - cof F / J = (H - cof H + j F) / J, which takes no difference of two numbers near one
    return (
        a * (h11 - h22 + j * (1.0 + h11)) + b * (1.0 + h22),
        a * (h12 + h21 + j * h12) - b * h21,
        a * (h21 + h12 + j * h21) - b * h12,
        a * (h22 - h11 + j * (1.0 + h22)) + b * (1.0 + h11),
    )


@inlined
def tangent_factors(j, mu, lam):  # type: ignore[no-untyped-def]
    """Return the scalars g, g' of the tangent dP = mu dF + g' (cof F : dF) cof F + g cof(dF).

    P = mu F + g(J) cof F with g = lambda J / 2 - (mu + lambda/2) / J; in two dimensions cof is linear, so
    this is the exact derivative of P.
    """
    inverse = 1.0 / (1.0 + j)
    bulk = (mu + 0.5 * lam) * inverse
    return 0.5 * lam * (1.0 + j) - bulk, 0.5 * lam + bulk * inverse


@inlined
def _gather(u, connectivity, first, count, ue):  # type: ignore[no-untyped-def]
    for a in range(9):
        for e in range(count):
            node = connectivity[a, first + e]
            ue[a, 0, e] = u[node, 0]
            ue[a, 1, e] = u[node, 1]


@inlined
def _scatter(fe, connectivity, first, count, f):  # type: ignore[no-untyped-def]
    for a in range(9):
        for e in range(count):
            node = connectivity[a, first + e]
            f[node, 0] += fe[a, 0, e]
            f[node, 1] += fe[a, 1, e]


@inlined
def _gradient(ue, gradients, q, count, h):  # type: ignore[no-untyped-def]
    """Compute the displacement gradients h (4, PACK) = H11, H12, H21, H22 at Gauss point q of a pack of elements."""
    zero = ue.dtype.type(0)
    for i in range(2):
        for e in range(count):
            dx = zero
            dy = zero
            for a in range(9):
                dx += ue[a, i, e] * gradients[q, a, 0]
                dy += ue[a, i, e] * gradients[q, a, 1]
            h[2 * i, e] = dx
            h[2 * i + 1, e] = dy


@inlined
def _add_divergence(p, gradients, q, count, fe):  # type: ignore[no-untyped-def]
    """Add the nodal forces of the weighted stresses p (4, PACK) at Gauss point q."""
    for a in range(9):
        gx = gradients[q, a, 0]
        gy = gradients[q, a, 1]
        for i in range(2):
            for e in range(count):
                fe[a, i, e] += p[2 * i, e] * gx + p[2 * i + 1, e] * gy


@compiled
def strain_energy(u, connectivity, gradients, weights, mu, lam):  # type: ignore[no-untyped-def]
    """Return the strain energy of the block per unit thickness; +inf if det F <= 0 or NaN at a Gauss point."""
    elements = connectivity.shape[1]
    ue = np.empty((9, 2, PACK), u.dtype)
    h = np.empty((4, PACK), u.dtype)
    energy = 0.0
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        _gather(u, connectivity, first, count, ue)
        for q in range(9):
            _gradient(ue, gradients, q, count, h)
            for e in range(count):
                # `not ... > -1` instead of `... <= -1` refuses NaN too: every comparison with NaN is false.
                if not h[0, e] + h[3, e] + h[0, e] * h[3, e] - h[1, e] * h[2, e] > -1.0:
                    return math.inf
                energy += weights[q] * energy_density(h[0, e], h[1, e], h[2, e], h[3, e], mu[first + e], lam[first + e])
    return energy


@compiled
def internal_forces(u, connectivity, gradients, weights, mu, lam):  # type: ignore[no-untyped-def]
    """Return the gradient of the strain energy with respect to the nodal displacements, (nodes, 2)."""
    elements = connectivity.shape[1]
    ue = np.empty((9, 2, PACK), u.dtype)
    h = np.empty((4, PACK), u.dtype)
    fe = np.empty((9, 2, PACK), u.dtype)
    f = np.empty(u.shape, u.dtype)
    f[:] = 0
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        _gather(u, connectivity, first, count, ue)
        fe[:] = 0
        for q in range(9):
            _gradient(ue, gradients, q, count, h)
            for e in range(count):
                # The stresses overwrite the gradients in `h`, which are not needed any more.
                p11, p12, p21, p22 = stress(h[0, e], h[1, e], h[2, e], h[3, e], mu[first + e], lam[first + e])
                h[0, e] = weights[q] * p11
                h[1, e] = weights[q] * p12
                h[2, e] = weights[q] * p21
                h[3, e] = weights[q] * p22
            _add_divergence(h, gradients, q, count, fe)
        _scatter(fe, connectivity, first, count, f)
    return f


@compiled
def linearise(u, connectivity, gradients, weights, mu, lam, state):  # type: ignore[no-untyped-def]
    """Fill `state` (9, 6, elements), the data of the tangent at the Gauss points: cof F 11, 12, 21, 22, w g, w g'."""
    elements = connectivity.shape[1]
    ue = np.empty((9, 2, PACK), u.dtype)
    h = np.empty((4, PACK), u.dtype)
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        _gather(u, connectivity, first, count, ue)
        for q in range(9):
            _gradient(ue, gradients, q, count, h)
            for e in range(count):
                j = h[0, e] + h[3, e] + h[0, e] * h[3, e] - h[1, e] * h[2, e]
                g, slope = tangent_factors(j, mu[first + e], lam[first + e])
                state[q, 0, first + e] = 1.0 + h[3, e]
                state[q, 1, first + e] = -h[2, e]
                state[q, 2, first + e] = -h[1, e]
                state[q, 3, first + e] = 1.0 + h[0, e]
                state[q, 4, first + e] = weights[q] * g
                state[q, 5, first + e] = weights[q] * slope


@compiled
def tangent_times(v, state, connectivity, gradients, weights, mu):  # type: ignore[no-untyped-def]
    """Return the tangent stiffness at the linearised state times the nodal field v, (nodes, 2)."""
    elements = connectivity.shape[1]
    ve = np.empty((9, 2, PACK), v.dtype)
    fe = np.empty((9, 2, PACK), v.dtype)
    h = np.empty((4, PACK), v.dtype)
    f = np.empty(v.shape, v.dtype)
    f[:] = 0
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        _gather(v, connectivity, first, count, ve)
        fe[:] = 0
        for q in range(9):
            _gradient(ve, gradients, q, count, h)
            for e in range(count):
                c11 = state[q, 0, first + e]
                c12 = state[q, 1, first + e]
                c21 = state[q, 2, first + e]
                c22 = state[q, 3, first + e]
                g = state[q, 4, first + e]
                h11, h12, h21, h22 = h[0, e], h[1, e], h[2, e], h[3, e]
                dj = state[q, 5, first + e] * (c11 * h11 + c12 * h12 + c21 * h21 + c22 * h22)
                m = weights[q] * mu[first + e]
                h[0, e] = m * h11 + dj * c11 + g * h22
                h[1, e] = m * h12 + dj * c12 - g * h21
                h[2, e] = m * h21 + dj * c21 - g * h12
                h[3, e] = m * h22 + dj * c22 + g * h11
            _add_divergence(h, gradients, q, count, fe)
        _scatter(fe, connectivity, first, count, f)
    return f


@compiled
def assemble(state, gradients, weights, mu, stiffness, coupling, centre):  # type: ignore[no-untyped-def]
    """Fill the condensed stiffness of each element (elements, 16, 16), rows >= columns, and its condensation."""
    elements = state.shape[2]
    moduli = np.empty((10, PACK), state.dtype)
    ke = np.empty((18, 18, PACK), state.dtype)
    kc = np.empty((2, 16, PACK), state.dtype)
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        ke[:] = 0.0
        for q in range(9):
            _tangent_moduli(state, weights, mu, q, first, count, moduli)
            _add_stiffness(moduli, gradients, q, count, ke)
        _condense(ke, first, count, kc, centre)
        for e in range(count):
            for p in range(16):
                coupling[first + e, 0, p] = kc[0, p, e]
                coupling[first + e, 1, p] = kc[1, p, e]
            for p in range(16):
                for r in range(p + 1):
                    stiffness[first + e, p, r] = ke[p, r, e]


@inlined
def _tangent_moduli(state, weights, mu, q, first, count, moduli):  # type: ignore[no-untyped-def]
    """Compute A_iJkL = mu d_ik d_JL + g' c_iJ c_kL + g d(cof F)_iJ/dF_kL, times the weight of the Gauss point.

    moduli (10, PACK): ik = 11 (JL = 11, 12, 22), ik = 22 (the same), ik = 12 (JL = 11, 12, 21, 22).
    """
    for e in range(count):
        c11 = state[q, 0, first + e]
        c12 = state[q, 1, first + e]
        c21 = state[q, 2, first + e]
        c22 = state[q, 3, first + e]
        g = state[q, 4, first + e]
        s = state[q, 5, first + e]
        m = weights[q] * mu[first + e]
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


@inlined
def _add_stiffness(moduli, gradients, q, count, ke):  # type: ignore[no-untyped-def]
    """Add a Gauss point to the element matrices ke (18, 18, PACK), row 2a + i; only node blocks a >= b."""
    for a in range(9):
        # The tangent is symmetric: only the blocks a >= b are computed and read.
        for b in range(a + 1):
            xx = np.float32(gradients[q, a, 0] * gradients[q, b, 0])
            xy = np.float32(gradients[q, a, 0] * gradients[q, b, 1])
            yx = np.float32(gradients[q, a, 1] * gradients[q, b, 0])
            yy = np.float32(gradients[q, a, 1] * gradients[q, b, 1])
            for e in range(count):
                both = xx * moduli[6, e] + yy * moduli[9, e]
                ke[2 * a, 2 * b, e] += xx * moduli[0, e] + (xy + yx) * moduli[1, e] + yy * moduli[2, e]
                ke[2 * a, 2 * b + 1, e] += both + xy * moduli[7, e] + yx * moduli[8, e]
                ke[2 * a + 1, 2 * b, e] += both + yx * moduli[7, e] + xy * moduli[8, e]
                ke[2 * a + 1, 2 * b + 1, e] += xx * moduli[3, e] + (xy + yx) * moduli[4, e] + yy * moduli[5, e]


@inlined
def _condense(ke, first, count, kc, centre):  # type: ignore[no-untyped-def]
    """Eliminate the centre node (rows 16, 17): K_bb - K_bc K_cc^-1 K_cb, keeping K_cc^-1 and K_cc^-1 K_cb."""
    for e in range(count):
        k11 = ke[16, 16, e]
        k12 = ke[17, 16, e]
        k22 = ke[17, 17, e]
        # The 2 x 2 inverse is written out, so that the loop over the pack becomes vector instructions.
        inverse = np.float32(1.0) / (k11 * k22 - k12 * k12)
        centre[0, first + e] = inverse * k22
        centre[1, first + e] = -inverse * k12
        centre[2, first + e] = inverse * k11
    for p in range(16):
        for e in range(count):
            x = ke[16, p, e]
            y = ke[17, p, e]
            kc[0, p, e] = centre[0, first + e] * x + centre[1, first + e] * y
            kc[1, p, e] = centre[1, first + e] * x + centre[2, first + e] * y
    for p in range(16):
        for r in range(p + 1):
            for e in range(count):
                ke[p, r, e] -= ke[16, p, e] * kc[0, r, e] + ke[17, p, e] * kc[1, r, e]


@compiled
def restrict(r, coupling, connectivity):  # type: ignore[no-untyped-def]
    """Return r with each centre node condensed to its element: r_b - K_bc K_cc^-1 r_c."""
    reduced = r.copy()
    for e in range(connectivity.shape[1]):
        node = connectivity[8, e]
        x, y = r[node, 0], r[node, 1]
        for a in range(8):
            edge = connectivity[a, e]
            reduced[edge, 0] -= coupling[e, 0, 2 * a] * x + coupling[e, 1, 2 * a] * y
            reduced[edge, 1] -= coupling[e, 0, 2 * a + 1] * x + coupling[e, 1, 2 * a + 1] * y
    return reduced


@compiled
def prolong(r, z, coupling, centre, connectivity):  # type: ignore[no-untyped-def]
    """Compute the centre nodes of z in place: K_cc^-1 r_c - K_cc^-1 K_cb z_b."""
    for e in range(connectivity.shape[1]):
        node = connectivity[8, e]
        x = centre[0, e] * r[node, 0] + centre[1, e] * r[node, 1]
        y = centre[1, e] * r[node, 0] + centre[2, e] * r[node, 1]
        for a in range(8):
            edge = connectivity[a, e]
            zx, zy = z[edge, 0], z[edge, 1]
            x -= coupling[e, 0, 2 * a] * zx + coupling[e, 0, 2 * a + 1] * zy
            y -= coupling[e, 1, 2 * a] * zx + coupling[e, 1, 2 * a + 1] * zy
        z[node, 0] = x
        z[node, 1] = y


@njit(cache=True, error_model="numpy", fastmath={"contract", "reassoc"})
def descend(step, r, p, kp, alpha):  # type: ignore[no-untyped-def]
    """Add alpha p to `step` and take alpha kp from r, in place; return r . r."""
    size = r.dtype.type(0)
    for i in range(r.shape[0]):
        for k in range(2):
            step[i, k] += alpha * p[i, k]
            r[i, k] -= alpha * kp[i, k]
            size += r[i, k] * r[i, k]
    return size
