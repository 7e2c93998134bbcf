"""The block under a load: node numbers, connectivity, held degrees of freedom and the plan of the elimination.

A block of `height` x `width` pixels, each of `elements` = (across, up) elements, has `rows` = height up rows and
`columns` = width across columns of elements and (2 columns + 1) x (2 rows + 1) nodes, numbered column by column from
the bottom left: node = ix (2 rows + 1) + iy. A nodal field is an array (nodes, 2), in pixels. Element e is in
column e // rows and, counted from the bottom, row e % rows.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from shearbench.mechanics.dissection import Plan, dissect
from shearbench.mechanics.kernels import CENTRE, NODES, element_table
from shearbench.mechanics.loads import Load

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Block:
    """Shared data of all samples of one shape under one load. Arrays are read-only by convention.

    Attributes:
        height, width: size in pixels.
        elements: number of elements per pixel in x and in y.
        gradients, weights: tables of an element, see kernels.element_table.
        connectivity: (9, elements) nodes of each element, in the order of kernels.NODES.
        free: (nodes, 2) 1.0 on free degrees of freedom, 0.0 on held ones.
        homogeneous_rate: (nodes, 2) the homogeneous field of the load for d = 1.
        loaded_support: (nodes, 2) 1.0 on components held by the support of the top edge, else 0.0.
        plan: the elimination order of a tangent without centre nodes.
    """

    height: int
    width: int
    elements: tuple[int, int]
    gradients: Floats
    weights: Floats
    connectivity: Ints
    free: Floats
    homogeneous_rate: Floats
    loaded_support: Floats
    plan: Plan

    @property
    def mesh(self) -> tuple[Ints, Floats, Floats]:
        """The arguments of the kernels: connectivity, gradients and weights."""
        return self.connectivity, self.gradients, self.weights

    @cached_property
    def single_mesh(self) -> tuple[Ints, Singles, Singles]:
        """`mesh` in single precision."""
        return self.connectivity, self.gradients.astype(np.float32), self.weights.astype(np.float32)

    @cached_property
    def single_free(self) -> Singles:
        """`free` in single precision."""
        return self.free.astype(np.float32)

    @cached_property
    def turns(self) -> bool:
        """Whether the mean rotation of the load is not zero."""
        return self._rotation(1.0) != 0.0

    def _rotation(self, d: float) -> float:
        """Return the angle of the mean rotation of the load at d."""
        corner = self.homogeneous_rate[[0, -1, 2 * self.rows]] * d  # bottom left, top right, top left
        across, up = (corner[1] - corner[2]) / self.width, (corner[2] - corner[0]) / self.height
        return float(np.arctan2(across[1] - up[0], 2 + across[0] + up[1]))

    def turned(self, d: float) -> Floats:
        """Return the rigid displacement (nodes, 2) of the block that turns by the mean rotation of the load at d."""
        angle = self._rotation(d)
        rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        ix, iy = np.divmod(np.arange(len(self.free)), 2 * self.rows + 1)
        places = np.stack([ix * (self.width / (2 * self.columns)), iy * (self.height / (2 * self.rows))], axis=1)
        moved: Floats = places @ (rotation - np.eye(2)).T
        return moved

    @property
    def columns(self) -> int:
        """The number of elements in a row."""
        return self.width * self.elements[0]

    @property
    def rows(self) -> int:
        """The number of elements in a column."""
        return self.height * self.elements[1]


@lru_cache(maxsize=8)
def build_block(height: int, width: int, load: Load, elements: tuple[int, int] = (1, 1)) -> Block:
    """Return a block of height x width pixels, with across x up elements per pixel, under a load."""
    across, up = elements
    columns, rows = width * across, height * up
    ix, iy = (grid.ravel() for grid in np.mgrid[: 2 * columns + 1, : 2 * rows + 1])
    connectivity = _connectivity(rows, columns)
    on_edge = {"bottom": iy == 0, "top": iy == 2 * rows, "left": ix == 0, "right": ix == 2 * columns}
    free = np.ones((len(ix), 2))
    loaded_support = np.zeros((len(ix), 2))
    for edge, component in load.held:
        free[on_edge[edge], component] = 0.0
        if edge == "top":
            loaded_support[on_edge[edge], component] = 1.0
    reduced = np.stack([ix / (2 * columns), iy / (2 * rows)], axis=1)
    homogeneous_rate = np.asarray(load.origin) + reduced @ np.asarray(load.gradient, dtype=np.float64).T
    edge_nodes = np.delete(connectivity, CENTRE, axis=0).T  # (elements, 8)
    edge_dofs = (2 * edge_nodes[:, :, None] + np.arange(2)).reshape(-1, 16)
    plan = dissect(rows, columns, edge_dofs, free.ravel() > 0)
    table = element_table(across, up)
    return Block(height, width, elements, *table, connectivity, free, homogeneous_rate, loaded_support, plan)


def _connectivity(rows: int, columns: int) -> Ints:
    column, row = np.divmod(np.arange(rows * columns), rows)
    ax, ay = NODES.T
    nodes: Ints = (2 * column + ax[:, None]) * (2 * rows + 1) + 2 * row + ay[:, None]
    return nodes
