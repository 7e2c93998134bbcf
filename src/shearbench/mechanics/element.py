"""The 9-node quadratic element (Q2) on a unit square, and its 3 x 3 Gauss rule.

Every pixel of a bitmap is one such element, unit side, edges along the axes; so the gradients of the shape
functions are the same numbers in every element and stand here as constants.

kernels.py freezes the tables into its compiled code, which numba caches by that file alone: touch it after a
change here.

Out: `NODES` (9, 2) the places of the nodes in half sides, `GRADIENTS` (9 points, 9 nodes, 2), `WEIGHTS`
(9 points), `CENTRE` the local number of the node at the pixel centre.
"""

import numpy as np
from numpy.typing import NDArray

# The centre node comes last: it meets no other element and is eliminated inside its own (preconditioner.py).
NODES: NDArray[np.int64] = np.array(
    [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1), (2, 2), (1, 1)], dtype=np.int64
)
CENTRE = 8


def lagrange(x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and derivatives, each (len(x), 3), of the quadratic Lagrange functions on nodes 0, 1/2, 1."""
    values = np.stack([(1 - x) * (1 - 2 * x), 4 * x * (1 - x), x * (2 * x - 1)], axis=1)
    slopes = np.stack([4 * x - 3, 4 - 8 * x, 4 * x - 1], axis=1)
    return values, slopes


def gauss_points() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The three Gauss points and weights on [0, 1]; exact for polynomials up to degree 5."""
    points, weights = np.polynomial.legendre.leggauss(3)
    return (points + 1) / 2, weights / 2


def gradient_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gradients (9, 9, 2) of the shape functions at the Gauss points, and the weights (9,) of the points."""
    points, weights = gauss_points()
    values, slopes = lagrange(points)
    ax, ay = NODES.T
    gx = slopes[:, None, ax] * values[None, :, ay]
    gy = values[:, None, ax] * slopes[None, :, ay]
    table = np.stack([gx, gy], axis=-1).reshape(9, 9, 2)
    # numba freezes a global array into the compiled code, and caches that, only where the array is contiguous
    return np.ascontiguousarray(table), np.outer(weights, weights).ravel()


GRADIENTS, WEIGHTS = gradient_table()
