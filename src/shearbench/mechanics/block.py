"""The block under a load: node numbers, connectivity, held degrees of freedom and the order of the band.

A block of `height` x `width` pixels has (2 width + 1) x (2 height + 1) nodes, half a pixel apart, numbered
column by column from the bottom left: node = ix (2 height + 1) + iy. A nodal field is an array (nodes, 2).
Element e is the pixel in column e // height and, from the bottom, row e % height.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from shearbench.mechanics.kernels import CENTRE, NODES
from shearbench.mechanics.loads import Load

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Block:
    """What every sample of one shape under one load shares. Arrays are read-only by convention.

    Attributes:
        height, width: size in pixels.
        connectivity: (9, elements) nodes of each element, in the order of kernels.NODES.
        free: (nodes, 2) 1.0 where no support holds, else 0.0.
        lift: (nodes, 2) the load's homogeneous field for d = 1.
        grip: (nodes, 2) 1.0 on the components that the support of the top edge holds, else 0.0.
        position: (elements, 16) place in the band of an element's edge degrees of freedom, -1 where held.
        order: (unknowns,) flat degree of freedom of each place in the band.
        bandwidth: number of diagonals above the main one.
    """

    height: int
    width: int
    connectivity: Ints
    free: Floats
    lift: Floats
    grip: Floats
    position: Ints
    order: Ints
    bandwidth: int


@lru_cache(maxsize=8)
def build_block(height: int, width: int, load: Load) -> Block:
    """Number a block of height x width pixels under a load."""
    ix, iy = (grid.ravel() for grid in np.mgrid[: 2 * width + 1, : 2 * height + 1])
    connectivity = _connectivity(height, width)
    on_edge = {"bottom": iy == 0, "top": iy == 2 * height, "left": ix == 0, "right": ix == 2 * width}
    free = np.ones((len(ix), 2))
    grip = np.zeros((len(ix), 2))
    for edge, component in load.held:
        free[on_edge[edge], component] = 0.0
        if edge == "top":
            grip[on_edge[edge], component] = 1.0
    reduced = np.stack([ix / (2 * width), iy / (2 * height)], axis=1)
    lift = np.asarray(load.origin) + reduced @ np.asarray(load.gradient, dtype=np.float64).T
    position, order = _band_order(connectivity, free)
    return Block(height, width, connectivity, free, lift, grip, position, order, _bandwidth(position))


def _connectivity(height: int, width: int) -> Ints:
    column, row = np.divmod(np.arange(height * width), height)
    ax, ay = NODES.T
    nodes: Ints = (2 * column + ax[:, None]) * (2 * height + 1) + 2 * row + ay[:, None]
    return nodes


def _band_order(connectivity: Ints, free: Floats) -> tuple[Ints, Ints]:
    """Free degrees of freedom, centre nodes left out, in the order of their nodes: column by column."""
    eliminated = np.zeros(free.shape, dtype=bool)
    eliminated[connectivity[CENTRE]] = True
    order = np.flatnonzero((free > 0) & ~eliminated)
    place = np.full(free.size, -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    edge_nodes = np.delete(connectivity, CENTRE, axis=0).T  # (elements, 8)
    flat = (2 * edge_nodes[:, :, None] + np.arange(2)).reshape(len(edge_nodes), 16)
    return place[flat], order


def _bandwidth(position: Ints) -> int:
    lowest = np.where(position < 0, np.iinfo(np.int64).max, position).min(axis=1)
    return int((position.max(axis=1) - lowest).max())
