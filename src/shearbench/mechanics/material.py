"""Compressible neo-Hookean material in plane strain, with stiffness from the grey value of a pixel.

The law (Lejeune 2020, Mechanical MNIST), with F the 3 x 3 deformation gradient, F33 = 1, J = det F:

    psi = mu/2 (F:F - 3 - 2 ln J) + lambda/2 ((J^2 - 1)/2 - ln J)

All formulas use the 2 x 2 displacement gradient H = F - I and in j = J - 1 = tr H + det H, because at
the smallest published displacement (strain 4e-5) the textbook form loses half of its digits to cancellation:

    F:F - 3 - 2 ln J   = H:H - 2 det H + 2 (j - ln(1 + j))
    (J^2 - 1)/2 - ln J = j^2/2 + (j - ln(1 + j))

The law is compiled in `energy_density`, `stress` and `tangent_factors` in kernels.py.
"""

import numpy as np
from numpy.typing import NDArray

POISSON = 0.3
SOFT, STIFF = 1.0, 100.0  # Young's modulus of a black (0) and of a white (255) pixel


def lame_parameters(young: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shear modulus mu and the first Lame parameter lambda, in the unit of `young` (any shape), nu = 0.3."""
    mu = young / (2 * (1 + POISSON))
    lam = young * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))
    return mu, lam


def young_modulus(bitmap: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return E = value/255 * 99 + 1 of each pixel: 1 in the background, 100 on the stroke."""
    return bitmap / 255.0 * (STIFF - SOFT) + SOFT
