"""Compressible neo-Hookean material in plane strain, and how a pixel's grey value sets its stiffness.

The law (Lejeune 2020, Mechanical MNIST), with F the 3 x 3 deformation gradient, F33 = 1, J = det F:

    psi = mu/2 (F:F - 3 - 2 ln J) + lambda/2 ((J^2 - 1)/2 - ln J)

Everything is written in the 2 x 2 displacement gradient H = F - I and in j = J - 1 = tr H + det H, because at
the smallest published displacement (strain 4e-5) the textbook form loses half of its digits to cancellation:

    F:F - 3 - 2 ln J   = H:H - 2 det H + 2 (j - ln(1 + j))
    (J^2 - 1)/2 - ln J = j^2/2 + (j - ln(1 + j))

The numba functions take scalars and are inlined into the loops of assembly.py.
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

POISSON = 0.3
SOFT, STIFF = 1.0, 100.0  # Young's modulus of a black (0) and of a white (255) pixel


def lame_parameters(young: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shear modulus mu and first Lame parameter lambda, in the unit of `young` (any shape), at nu = 0.3."""
    mu = young / (2 * (1 + POISSON))
    lam = young * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))
    return mu, lam


def young_modulus(bitmap: NDArray[np.uint8]) -> NDArray[np.float64]:
    """E = value/255 * 99 + 1 of each pixel: 1 in the background, 100 on the stroke."""
    return bitmap / 255.0 * (STIFF - SOFT) + SOFT


@njit(cache=True)
def energy_density(h11, h12, h21, h22, mu, lam):  # type: ignore[no-untyped-def]
    """psi, energy per reference area, from H_iJ = du_i/dX_J."""
    det_h = h11 * h22 - h12 * h21
    j = h11 + h22 + det_h
    bulk = j - math.log1p(j)
    return (
        0.5 * mu * (h11 * h11 + h12 * h12 + h21 * h21 + h22 * h22 - 2.0 * det_h)
        + (mu + 0.5 * lam) * bulk
        + 0.25 * lam * j * j
    )


@njit(cache=True)
def stress(h11, h12, h21, h22, mu, lam):  # type: ignore[no-untyped-def]
    """First Piola-Kirchhoff stress dpsi/dF as P11, P12, P21, P22.

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


@njit(cache=True)
def tangent_factors(j, mu, lam):  # type: ignore[no-untyped-def]
    """The two scalars g, g' of the tangent dP = mu dF + g' (cof F : dF) cof F + g cof(dF).

    P = mu F + g(J) cof F with g = lambda J / 2 - (mu + lambda/2) / J; in two dimensions cof is linear, so
    this is the derivative of P and not an approximation.
    """
    inverse = 1.0 / (1.0 + j)
    bulk = (mu + 0.5 * lam) * inverse
    return 0.5 * lam * (1.0 + j) - bulk, 0.5 * lam + bulk * inverse
