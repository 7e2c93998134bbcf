"""How much of the difference to the published strain energies is the published mesh?

Mechanical MNIST was computed on unstructured triangles (about 0.28 pixel, quadratic, three quadrature points) that do
not follow the edges of the pixels: each quadrature point takes the modulus of the pixel it lies in. That mesh itself is
not published. This script makes one of its kind, at random, with scikit-fem, and puts both meshes' differences side by
side.

The effect of the mesh is taken from linear elasticity, which is the limit of the model for small d, as the ratio of two
energies on the same digit, and applied to our energy at d = 0.1. In: full MNIST's test images (gzipped IDX) and the
published energies (one row a digit, 13 columns). Out: a table, and JSON with --json.

    python benchmarks/published_mesh.py DATA/mnist/t10k-images-idx3-ubyte.gz DATA/uniaxial_psi_test_first500.txt
"""

import argparse
import json
from itertools import permutations
from pathlib import Path

import numpy as np
from scipy.sparse.linalg import splu
from scipy.spatial import Delaunay
from skfem import Basis, BilinearForm, ElementQuad2, ElementTriP2, ElementVector, MeshQuad, MeshTri
from skfem.helpers import ddot, eye, sym_grad, trace

from shearbench.data.idx import read_images
from shearbench.mechanics.simulation import simulate

SIDE = 28
STEP, D = 3, 0.1  # column of the published table, and its displacement
EDGE = 0.25  # of a triangle, in pixels: 28,900 triangles
WORST = [92, 403, 431]  # the digits on which one element a pixel is furthest off


@BilinearForm
def stiffness(u, v, w):
    strain = sym_grad(u)
    return ddot(2 * w.mu * strain + w.lam * eye(trace(strain), 2), sym_grad(v))


class Stretched:
    """The block on a mesh: bottom fixed, top moved up by 1, linear elasticity."""

    def __init__(self, mesh, element, intorder, *, pixel_of_point):
        self.basis = Basis(mesh, ElementVector(element), intorder=intorder)
        points = np.asarray(self.basis.global_coordinates())  # (2, elements, points)
        if not pixel_of_point:  # one modulus an element: that of the pixel it lies in
            points = np.repeat(mesh.p[:, mesh.t].mean(axis=1)[:, :, None], points.shape[2], axis=2)
        self.column, row = np.clip(points, 0, SIDE - 1).astype(int)
        self.row = SIDE - 1 - row
        top = self.basis.get_dofs(lambda x: x[1] > SIDE - 1e-9)
        bottom = self.basis.get_dofs(lambda x: x[1] < 1e-9)
        self.free = self.basis.complement_dofs(top, bottom)
        self.held = np.zeros(self.basis.N)
        self.held[top.all("u^2")] = 1

    def energy(self, bitmap):
        """Strain energy of a digit (28, 28)."""
        young = 1 + bitmap[self.row, self.column] / 255 * 99
        matrix = stiffness.assemble(self.basis, mu=young / 2.6, lam=young * 0.3 / (1.3 * 0.4)).tocsc()
        factor = splu(matrix[self.free][:, self.free], permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        u = self.held.copy()
        u[self.free] = factor.solve(-(matrix @ self.held)[self.free])
        return u @ (matrix @ u) / 2


def unstructured(edge, seed, smoothings=5):
    """A Delaunay triangulation of jittered points, smoothed, that ignores the pixels."""
    rng = np.random.default_rng(seed)
    line = np.linspace(0, SIDE, round(SIDE / edge) + 1)
    zero, inner = np.zeros_like(line), line[1:-1]
    border = np.hstack(
        [[line, zero], [line, zero + SIDE], [zero[1:-1], inner], [zero[1:-1] + SIDE, inner]]
    ).T  # (points, 2)
    x, y = np.meshgrid(np.arange(edge / 2, SIDE, edge), np.arange(0.75 * edge, SIDE - edge / 2, edge * np.sqrt(0.75)))
    x[1::2] += edge / 2
    points = np.stack([x.ravel(), y.ravel()], axis=1) + rng.uniform(-0.35, 0.35, (x.size, 2)) * edge
    points = points[((points > 0.4 * edge) & (points < SIDE - 0.4 * edge)).all(axis=1)]
    for _ in range(smoothings):
        points = (points + mean_of_neighbours(np.vstack([border, points]))[len(border) :]) / 2
    everything = np.vstack([border, points])
    triangles = Delaunay(everything).simplices
    a, b, c = everything[triangles].transpose(1, 2, 0)
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return MeshTri(np.ascontiguousarray(everything.T), np.ascontiguousarray(triangles[np.abs(area) > 1e-8].T))


def mean_of_neighbours(points):
    total, count = np.zeros_like(points), np.zeros(len(points))
    triangles = Delaunay(points).simplices
    for start, end in permutations(triangles.T, 2):
        np.add.at(total, start, points[end])
        np.add.at(count, start, 1)
    return total / count[:, None]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("energies", type=Path)
    parser.add_argument("--digits", type=int, default=20, help="the first so many, besides the three worst")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    chosen = WORST + [i for i in range(options.digits) if i not in WORST]
    images, published = read_images(options.images)[chosen], np.loadtxt(options.energies)[chosen, STEP]
    ours = simulate(images, load="uniaxial", displacements=[D]).strain_energy[:, 0]
    line = np.linspace(0, SIDE, SIDE + 1)
    pixels = Stretched(MeshQuad.init_tensor(line, line), ElementQuad2(), 5, pixel_of_point=False)
    mesh = unstructured(EDGE, seed=0)
    triangles = Stretched(mesh, ElementTriP2(), 2, pixel_of_point=True)
    ratio = np.array([triangles.energy(image) / pixels.energy(image) for image in images])
    rows = {"one element a pixel": ours / published - 1, "unstructured triangles": ours * ratio / published - 1}
    print(f"relative difference to the published energy, uniaxial, d = {D}, %; {mesh.nelements} triangles")
    print(f"{'digit':>7}" + "".join(f"{name:>25}" for name in rows))
    for index, values in zip(chosen, zip(*rows.values(), strict=True), strict=True):
        print(f"{index:>7}" + "".join(f"{100 * value:>25.3f}" for value in values))
    for name, function in (("median", np.median), ("largest", np.max)):
        print(f"{name:>7}" + "".join(f"{100 * function(np.abs(values)):>25.3f}" for values in rows.values()))
    if options.json:
        facts = {"digits": chosen, "triangles": mesh.nelements} | {name: list(v) for name, v in rows.items()}
        options.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
