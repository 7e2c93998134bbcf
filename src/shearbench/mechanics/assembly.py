"""Sums over the elements of the block, compiled: energy, internal forces, tangent times vector.

Elements are taken in packs of `PACK` laid side by side in memory, so that the innermost loops run over
elements and become vector instructions. No fast-math: a sample gives the same bits whatever was computed
before it.

Nodal fields are (nodes, 2); `connectivity` is (9, elements); mu and lam are (elements,). H_iJ = du_i/dX_J.
"""

import math

import numpy as np
from numba import njit

from shearbench.mechanics.element import GRADIENTS, WEIGHTS
from shearbench.mechanics.material import energy_density, stress, tangent_factors

PACK = 56


@njit(cache=True)
def _gather(u, connectivity, first, count, ue):  # type: ignore[no-untyped-def]
    for a in range(9):
        for e in range(count):
            node = connectivity[a, first + e]
            ue[a, 0, e] = u[node, 0]
            ue[a, 1, e] = u[node, 1]


@njit(cache=True)
def _scatter(fe, connectivity, first, count, f):  # type: ignore[no-untyped-def]
    for a in range(9):
        for e in range(count):
            node = connectivity[a, first + e]
            f[node, 0] += fe[a, 0, e]
            f[node, 1] += fe[a, 1, e]


@njit(cache=True)
def _gradient(ue, q, count, h):  # type: ignore[no-untyped-def]
    """Displacement gradients h (4, PACK) = H11, H12, H21, H22 at Gauss point q of a pack of elements."""
    for i in range(2):
        for e in range(count):
            dx = 0.0
            dy = 0.0
            for a in range(9):
                dx += ue[a, i, e] * GRADIENTS[q, a, 0]
                dy += ue[a, i, e] * GRADIENTS[q, a, 1]
            h[2 * i, e] = dx
            h[2 * i + 1, e] = dy


@njit(cache=True)
def _add_divergence(p, q, count, fe):  # type: ignore[no-untyped-def]
    """Add the nodal forces of the weighted stresses p (4, PACK) at Gauss point q."""
    for a in range(9):
        gx = GRADIENTS[q, a, 0]
        gy = GRADIENTS[q, a, 1]
        for i in range(2):
            for e in range(count):
                fe[a, i, e] += p[2 * i, e] * gx + p[2 * i + 1, e] * gy


@njit(cache=True)
def strain_energy(u, connectivity, mu, lam):  # type: ignore[no-untyped-def]
    """Strain energy of the block per unit thickness; +inf where det F <= 0 (or is NaN) at a Gauss point."""
    elements = connectivity.shape[1]
    ue = np.empty((9, 2, PACK))
    h = np.empty((4, PACK))
    energy = 0.0
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        _gather(u, connectivity, first, count, ue)
        for q in range(9):
            _gradient(ue, q, count, h)
            for e in range(count):
                if not h[0, e] + h[3, e] + h[0, e] * h[3, e] - h[1, e] * h[2, e] > -1.0:
                    return math.inf
                energy += WEIGHTS[q] * energy_density(h[0, e], h[1, e], h[2, e], h[3, e], mu[first + e], lam[first + e])
    return energy


@njit(cache=True)
def internal_forces(u, connectivity, mu, lam):  # type: ignore[no-untyped-def]
    """Gradient of the strain energy with respect to the nodal displacements, (nodes, 2)."""
    elements = connectivity.shape[1]
    ue = np.empty((9, 2, PACK))
    h = np.empty((4, PACK))
    f = np.zeros_like(u)
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        _gather(u, connectivity, first, count, ue)
        fe = np.zeros((9, 2, PACK))
        for q in range(9):
            _gradient(ue, q, count, h)
            for e in range(count):
                p11, p12, p21, p22 = stress(h[0, e], h[1, e], h[2, e], h[3, e], mu[first + e], lam[first + e])
                h[0, e] = WEIGHTS[q] * p11
                h[1, e] = WEIGHTS[q] * p12
                h[2, e] = WEIGHTS[q] * p21
                h[3, e] = WEIGHTS[q] * p22
            _add_divergence(h, q, count, fe)
        _scatter(fe, connectivity, first, count, f)
    return f


@njit(cache=True)
def linearise(u, connectivity, mu, lam):  # type: ignore[no-untyped-def]
    """What the tangent at u needs of the Gauss points, (9, 6, elements): cof F 11, 12, 21, 22, w g, w g'."""
    elements = connectivity.shape[1]
    ue = np.empty((9, 2, PACK))
    h = np.empty((4, PACK))
    state = np.empty((9, 6, elements))
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        _gather(u, connectivity, first, count, ue)
        for q in range(9):
            _gradient(ue, q, count, h)
            for e in range(count):
                j = h[0, e] + h[3, e] + h[0, e] * h[3, e] - h[1, e] * h[2, e]
                g, slope = tangent_factors(j, mu[first + e], lam[first + e])
                state[q, 0, first + e] = 1.0 + h[3, e]
                state[q, 1, first + e] = -h[2, e]
                state[q, 2, first + e] = -h[1, e]
                state[q, 3, first + e] = 1.0 + h[0, e]
                state[q, 4, first + e] = WEIGHTS[q] * g
                state[q, 5, first + e] = WEIGHTS[q] * slope
    return state


@njit(cache=True)
def tangent_times(v, state, connectivity, mu):  # type: ignore[no-untyped-def]
    """Tangent stiffness at the linearised state times the nodal field v: (nodes, 2)."""
    elements = connectivity.shape[1]
    ve = np.empty((9, 2, PACK))
    h = np.empty((4, PACK))
    f = np.zeros_like(v)
    for first in range(0, elements, PACK):
        count = min(PACK, elements - first)
        _gather(v, connectivity, first, count, ve)
        fe = np.zeros((9, 2, PACK))
        for q in range(9):
            _gradient(ve, q, count, h)
            for e in range(count):
                c11 = state[q, 0, first + e]
                c12 = state[q, 1, first + e]
                c21 = state[q, 2, first + e]
                c22 = state[q, 3, first + e]
                g = state[q, 4, first + e]
                h11, h12, h21, h22 = h[0, e], h[1, e], h[2, e], h[3, e]
                dj = state[q, 5, first + e] * (c11 * h11 + c12 * h12 + c21 * h21 + c22 * h22)
                m = WEIGHTS[q] * mu[first + e]
                h[0, e] = m * h11 + dj * c11 + g * h22
                h[1, e] = m * h12 + dj * c12 - g * h21
                h[2, e] = m * h21 + dj * c21 - g * h12
                h[3, e] = m * h22 + dj * c22 + g * h11
            _add_divergence(h, q, count, fe)
        _scatter(fe, connectivity, first, count, f)
    return f
