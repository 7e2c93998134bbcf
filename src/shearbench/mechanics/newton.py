"""Equilibrium of one sample: inexact Newton, conjugate gradients, line search, load halving.

Inputs are a `Sample` (block and moduli) and an `Equilibrium` to start from. The result is the `Equilibrium` at
another displacement, within the tolerance; otherwise `NotConverged` is raised.

Residuals and energies are in double precision. The Newton equations are solved by preconditioned conjugate gradients
in single precision (about 10 iterations in total at d = 1). The preconditioner is one factor for all Newton steps. When
starting from rest it is the factor of the undeformed block, rotated by the load's mean rotation; when starting from
another state it is the factor of that state's tangent. The tolerance of each Newton step follows Eisenstat and Walker
(1996), choice 2.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from shearbench.mechanics.block import Block, Floats, Singles
from shearbench.mechanics.kernels import descend, internal_forces, linearise, strain_energy, tangent_times
from shearbench.mechanics.preconditioner import Factor, factorise, factorise_at_rest

TOLERANCE = 1e-9  # |free residual| / |forces on the supports|
MAX_NEWTON = 50
MAX_CG = 200
MAX_BACKTRACKS = 12
MAX_HALVINGS = 6
TURNS_PER_HEIGHT = 28  # displacements for which the block at rest is turned and factorised
_SAME_RATIO = 1e-9  # of lambda to mu, between elements
FIRST_FORCING, LARGEST_FORCING = 0.01, 0.1
SMALLEST_FORCING = 1e-5  # single precision cannot solve much more accurately


class NotConverged(ArithmeticError):
    """Raised if a sample has no equilibrium; the message has the displacement and the reason."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A block with the Lame parameters (elements,) in the order of its elements (see block.py)."""

    block: Block
    mu: Floats
    lam: Floats

    @cached_property
    def single_mu(self) -> Singles:
        """`mu` in single precision."""
        return self.mu.astype(np.float32)

    def energy(self, u: Floats) -> float:
        """Return the strain energy per unit thickness; +inf if det F <= 0 at a Gauss point."""
        return float(strain_energy(u, *self.block.mesh, self.mu, self.lam))

    def forces(self, u: Floats) -> Floats:
        """Return the internal nodal forces (nodes, 2); on held degrees of freedom, the forces of the supports."""
        forces: Floats = internal_forces(u, *self.block.mesh, self.mu, self.lam)
        return forces

    def linearised(self, u: Floats) -> Singles:
        """Return the state of the tangent at u, for `tangent` and `factorise`."""
        state = np.empty((9, 6, len(self.mu)), dtype=np.float32)
        linearise(u, *self.block.mesh, self.mu, self.lam, state)
        return state

    def tangent(self, state: Singles, v: Singles) -> Singles:
        """Return the tangent at `state` times v, on the free degrees of freedom; zero on held ones."""
        product: Singles = tangent_times(v, state, *self.block.single_mesh, self.single_mu)
        product *= self.block.single_free
        return product


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A converged state: displacement parameter d (pixels), displacements u and forces (nodes, 2), energy."""

    sample: Sample
    d: float
    u: Floats
    energy: float
    forces: Floats
    rotated_factors: dict[int, Factor] = field(default_factory=dict)

    @cached_property
    def factor(self) -> Factor:
        """Factor of the tangent at this state, computed once; NotConverged if the state is not stable."""
        factor = factorise(self.sample.linearised(self.u), self.sample.block, self.sample.mu)
        if factor is None:
            raise NotConverged(f"the tangent at d = {self.d:g} is not positive definite")
        return factor

    @cached_property
    def rate(self) -> Singles:
        """du/dd (nodes, 2), the change of the field with the displacement of the supports."""
        homogeneous = self.sample.block.homogeneous_rate.astype(np.float32)
        return homogeneous - self.factor.solve(self.sample.tangent(self.sample.linearised(self.u), homogeneous))

    def factor_towards(self, d: float) -> Factor:
        """Return the factor for a step to d; NotConverged if this state is not stable.

        From rest it is that of the block after the mean rotation of the load, computed once for each rotation.
        """
        block, ratios = self.sample.block, self.sample.lam / self.sample.mu
        if self.u.any() or float(np.ptp(ratios)) >= _SAME_RATIO:
            return self.factor
        turn = round(d * TURNS_PER_HEIGHT / block.height) if block.turns else 0
        if turn not in self.rotated_factors:
            at = turn * block.height / TURNS_PER_HEIGHT
            self.rotated_factors[turn] = factorise_at_rest(block, self.sample.mu, round(float(ratios[0]), 9), at)
        return self.rotated_factors[turn]


def undeformed(sample: Sample) -> Equilibrium:
    """Return the state at rest, d = 0."""
    still = np.zeros_like(sample.block.homogeneous_rate)
    return Equilibrium(sample, 0.0, still, 0.0, still)


def reach(start: Equilibrium, d: float, halvings: int = MAX_HALVINGS) -> Equilibrium:
    """Return the equilibrium at displacement d, reached from `start`; the interval is halved if Newton fails.

    Raises NotConverged after `halvings` unsuccessful halvings.
    """
    try:
        return _newton(start, d)
    except NotConverged:
        if halvings == 0:
            raise
    middle = reach(start, 0.5 * (start.d + d), halvings - 1)
    return reach(middle, d, halvings - 1)


def _newton(start: Equilibrium, d: float) -> Equilibrium:
    sample, free, factor = start.sample, start.sample.block.free, start.factor_towards(d)
    u = _guess(start, d, factor)
    forces = sample.forces(u)
    previous = np.inf
    for _ in range(MAX_NEWTON):
        residual = forces * free
        size, target = _norm(residual), TOLERANCE * _norm(forces - residual)
        if size <= target:
            return Equilibrium(sample, d, u, _finite_energy(sample, u, start.d, d), forces)
        # A tighter solve than the last Newton step needs would cost iterations without a benefit.
        forcing = max(_forcing(size, previous), 0.3 * target / size, SMALLEST_FORCING)
        step, convex = _newton_step(sample, u, residual, factor, forcing)
        trial = u + step
        forces = sample.forces(trial)
        if convex and _norm(forces * free) <= 0.5 * size:
            u = trial
        else:
            u = _line_search(sample, u, _finite_energy(sample, u, start.d, d), residual, step.astype(np.float64))
            forces = sample.forces(u)
        previous = size
    raise NotConverged(f"no equilibrium at d = {d:g} after {MAX_NEWTON} Newton steps")


def _guess(start: Equilibrium, d: float, factor: Factor) -> Floats:
    """Return the field at d by one step of Newton's method from `start`; from rest, from the homogeneous field."""
    sample, block = start.sample, start.sample.block
    if start.u.any():
        return start.u + (d - start.d) * start.rate.astype(np.float64)
    u = d * block.homogeneous_rate
    residual = sample.forces(u) * block.free
    return u - factor.solve(residual.astype(np.float32))


def _finite_energy(sample: Sample, u: Floats, start: float, d: float) -> float:
    energy = sample.energy(u)
    if not np.isfinite(energy):
        raise NotConverged(f"the step from d = {start:g} to {d:g} turns an element inside out")
    return energy


def _forcing(size: float, previous: float) -> float:
    """Return the reduction of the linear residual, from the norms of this and the previous Newton residual."""
    if not np.isfinite(previous):
        return FIRST_FORCING
    return min(0.9 * (size / previous) ** 2, LARGEST_FORCING)


def _newton_step(sample: Sample, u: Floats, residual: Floats, factor: Factor, forcing: float) -> tuple[Singles, bool]:
    """Solve K(u) step = -residual by conjugate gradients until the linear residual is reduced by `forcing`.

    Returns the step, and False if K(u) is indefinite: the step then ends along the direction of negative curvature,
    which is still downhill.
    """
    state = sample.linearised(u)
    r = -residual.astype(np.float32)
    goal = (forcing * _norm(r)) ** 2
    step = np.zeros_like(r)
    z = factor.solve(r)
    p = z
    rz = _dot(r, z)
    for _ in range(MAX_CG):
        kp = sample.tangent(state, p)
        curvature = _dot(p, kp)
        if curvature == 0.0:
            return step, True
        # abs: with negative curvature the plain quotient is negative, and the step would go uphill.
        size = descend(step, r, p, kp, np.float32(rz / abs(curvature)))
        if curvature < 0.0 or size <= goal:
            return step, curvature > 0.0
        z = factor.solve(r)
        rz, previous = _dot(r, z), rz
        p = z + (rz / previous) * p
    raise NotConverged(f"conjugate gradients did not converge in {MAX_CG} iterations")


def _line_search(sample: Sample, u: Floats, energy: float, residual: Floats, step: Floats) -> Floats:
    """Return the first of u + step, u + step/2, ... with lower energy (Armijo, 1e-4) and det F > 0."""
    slope = _dot(residual, step)
    # Near convergence the decrease is below the rounding error of the energy's 7,056 terms; allow for it.
    slack = 1e-12 * abs(energy)
    for _ in range(MAX_BACKTRACKS):
        trial = u + step
        if sample.energy(trial) <= energy + 1e-4 * slope + slack:
            return trial
        step = 0.5 * step
        slope *= 0.5
    raise NotConverged("the line search found no lower energy")


def _dot(a: Floats | Singles, b: Floats | Singles) -> float:
    return float(np.dot(a.reshape(-1), b.reshape(-1)))


def _norm(a: Floats | Singles) -> float:
    return float(np.sqrt(_dot(a, a)))
