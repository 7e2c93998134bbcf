"""The same mechanics by another hand: scikit-fem's mesh, basis and assembly, full Newton, scipy's `spsolve`.

Written from the textbook and sharing no line with src/shearbench/mechanics, so that it can serve as its judge (tests)
and as the usual way to do it (benchmarks/simulate.py). Textbook tensors: F, J = det F, F^-T, and

    P = mu (F - F^-T) + lambda/2 (J^2 - 1) F^-T
    A : dF = mu dF + lambda J^2 (F^-T : dF) F^-T + (mu - lambda/2 (J^2 - 1)) F^-T dF^T F^-T
"""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from scipy.sparse.linalg import spsolve
from skfem import Basis, BilinearForm, ElementQuad2, ElementVector, Functional, LinearForm, MeshQuad, condense
from skfem.helpers import ddot, det, grad, inv, mul, transpose

# load -> (edge, component, displacement at d = 1); spelt out here and not read from the code under test
SUPPORTS = {
    "uniaxial": [("bottom", 0, 0), ("bottom", 1, 0), ("top", 0, 0), ("top", 1, 1)],
    "shear": [("bottom", 0, 0), ("bottom", 1, 0), ("top", 0, 1), ("top", 1, 0)],
    "equibiaxial": [("bottom", 1, -0.5), ("top", 1, 0.5), ("left", 0, -0.5), ("right", 0, 0.5)],
    "confined": [("bottom", 1, 0), ("top", 1, -1), ("left", 0, 0), ("right", 0, 0)],
}


def deformation(w):
    F = grad(w["u"]) + np.eye(2)[:, :, None, None]
    return F, det(F), transpose(inv(F))


@Functional
def energy(w):
    F, J, _ = deformation(w)
    return w.mu / 2 * (ddot(F, F) - 2 - 2 * np.log(J)) + w.lam / 2 * ((J**2 - 1) / 2 - np.log(J))


@LinearForm
def residual(v, w):
    F, J, FinvT = deformation(w)
    return ddot(w.mu * (F - FinvT) + w.lam / 2 * (J**2 - 1) * FinvT, grad(v))


@BilinearForm
def stiffness(du, v, w):
    _, J, FinvT = deformation(w)
    dF = grad(du)
    dP = w.mu * dF + w.lam * J**2 * ddot(FinvT, dF) * FinvT
    dP += (w.mu - w.lam / 2 * (J**2 - 1)) * mul(mul(FinvT, transpose(dF)), FinvT)
    return ddot(dP, grad(v))


@dataclass
class Model:
    """One bitmap as a block of Q2 elements, so many a pixel in x and in y; seconds spent are kept by kind of work."""

    bitmap: np.ndarray
    elements: tuple = (1, 1)
    seconds: dict = field(default_factory=lambda: defaultdict(float))

    def __post_init__(self):
        height, width = self.bitmap.shape
        lines = (np.linspace(0, n, n * count + 1) for n, count in zip((width, height), self.elements, strict=True))
        mesh = MeshQuad.init_tensor(*lines).with_boundaries(
            {
                "left": lambda x: x[0] == 0,
                "right": lambda x: x[0] == width,
                "bottom": lambda x: x[1] == 0,
                "top": lambda x: x[1] == height,
            }
        )
        self.basis = Basis(mesh, ElementVector(ElementQuad2()), intorder=5)  # 3 x 3 Gauss points
        x, y = self.basis.mesh.p[:, self.basis.mesh.t].mean(axis=1)
        young = 1 + self.bitmap[height - 1 - y.astype(int), x.astype(int)] / 255 * 99
        points = np.ones(self.basis.dx.shape)
        self.mu = (young / 2.6)[:, None] * points
        self.lam = (young * 0.3 / (1.3 * 0.4))[:, None] * points

    def timed(self, what, work):
        start = time.process_time()
        result = work()
        self.seconds[what] += time.process_time() - start
        return result

    def assemble(self, form, u):
        return form.assemble(self.basis, u=self.basis.interpolate(u), mu=self.mu, lam=self.lam)

    def solve(self, load, d, parts=1, tolerance=1e-10):
        """Full Newton to displacement d, in equal parts; returns energy, displacement (2, h, w) and reaction (2,)."""
        u = np.zeros(self.basis.N)
        for part in range(1, parts + 1):
            u = self.newton(u, load, d * part / parts, tolerance)
        height, width = self.bitmap.shape
        places, dofs = self.basis.doflocs, self.basis.dofs
        image = np.empty((2, height, width))
        for i in range(2):
            ours = np.concatenate([kind[i] for kind in (dofs.nodal_dofs, dofs.facet_dofs, dofs.interior_dofs)])
            centres = ours[np.isclose(places[:, ours] % 1, 0.5).all(axis=0)]
            x, y = places[:, centres].astype(int)
            image[i, height - 1 - y, x] = u[centres]
        forces = self.assemble(residual, u)
        reaction = np.zeros(2)
        for edge, i, _ in SUPPORTS[load]:
            if edge == "top":
                reaction[i] = forces[self.held(edge, i)].sum()
        return SimpleNamespace(energy=self.assemble(energy, u), displacement=image, reaction=reaction)

    def held(self, edge, component):
        dofs, name = self.basis.get_dofs(edge), f"u^{component + 1}"
        return np.concatenate([dofs.nodal[name], dofs.facet[name]])

    def newton(self, u, load, d, tolerance):
        u = u.copy()
        held = np.unique(np.concatenate([self.held(edge, i) for edge, i, _ in SUPPORTS[load]]))
        step = np.zeros_like(u)
        for edge, i, factor in SUPPORTS[load]:
            step[self.held(edge, i)] = factor * d - u[self.held(edge, i)]
        r = self.timed("assembly", lambda: self.assemble(residual, u))
        for _ in range(20):
            K = self.timed("assembly", lambda u=u: self.assemble(stiffness, u))
            A, b, x, free = condense(K, -r, x=step, D=held)
            x[free] = self.timed("linear solves", lambda A=A, b=b: spsolve(A.tocsc(), b))
            u += x
            step[:] = 0
            r = self.timed("assembly", lambda u=u: self.assemble(residual, u))
            if np.linalg.norm(r[free]) <= tolerance * np.linalg.norm(r[held]):
                return u
        raise ArithmeticError(f"no convergence under {load} at d = {d}")
