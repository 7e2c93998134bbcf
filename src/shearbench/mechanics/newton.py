"""Equilibrium of one sample: inexact Newton, conjugate gradients, line search on the energy, load halving.

Inputs are a `Sample` (block and moduli) and an `Equilibrium` to start from. The result is the `Equilibrium` at
another displacement, within the tolerance; otherwise `NotConverged` is raised.

The Newton equations are solved by conjugate gradients in double precision, preconditioned by the factor of
the tangent at the *starting* state: one factorisation serves all Newton steps (about 15 iterations in total
at d = 1). The tolerance of each Newton step follows Eisenstat and Walker (1996), choice 2.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shearbench.mechanics.block import Block, Floats
from shearbench.mechanics.kernels import internal_forces, linearise, strain_energy, tangent_times
from shearbench.mechanics.preconditioner import Factor, factorise

TOLERANCE = 1e-9  # |free residual| / |forces on the supports|
MAX_NEWTON = 50
MAX_CG = 200
MAX_BACKTRACKS = 12
MAX_HALVINGS = 6
_SAME_RATIO = 1e-9  # of lambda to mu, between elements
FIRST_FORCING, LARGEST_FORCING = 0.01, 0.1


class NotConverged(ArithmeticError):
    """Raised if a sample has no equilibrium; the message has the displacement and the reason."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A block with the Lame parameters (elements,) in the order of its elements (see block.py)."""

    block: Block
    mu: Floats
    lam: Floats

    def energy(self, u: Floats) -> float:
        """Return the strain energy per unit thickness; +inf if det F <= 0 at a Gauss point."""
        return float(strain_energy(u, *self.block.mesh, self.mu, self.lam))

    def forces(self, u: Floats) -> Floats:
        """Return the internal nodal forces (nodes, 2); on held degrees of freedom, the forces of the supports."""
        forces: Floats = internal_forces(u, *self.block.mesh, self.mu, self.lam)
        return forces

    def linearised(self, u: Floats) -> Floats:
        """Return the state of the tangent at u, for `tangent_times` and `factorise`."""
        state: Floats = linearise(u, *self.block.mesh, self.mu, self.lam)
        return state

    def tangent(self, state: Floats, v: Floats) -> Floats:
        """Return the tangent at `state` times v, on the free degrees of freedom; zero on held ones."""
        product: Floats = tangent_times(v, state, *self.block.mesh, self.mu)
        product *= self.block.free
        return product


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A converged state: displacement parameter d (pixels), displacements u and forces (nodes, 2), energy."""

    sample: Sample
    d: float
    u: Floats
    energy: float
    forces: Floats

    @cached_property
    def state(self) -> Floats:
        """State of the tangent here."""
        return self.sample.linearised(self.u)

    @cached_property
    def factor(self) -> Factor:
        """Factor of the tangent at this state, computed once; NotConverged if the state is not stable."""
        sample = self.sample
        alike = not self.u.any() and float(np.ptp(sample.lam / sample.mu)) < _SAME_RATIO
        factor = factorise(self.state, sample.block, sample.mu, alike=alike)
        if factor is None:
            raise NotConverged(f"the tangent at d = {self.d:g} is not positive definite")
        return factor

    @cached_property
    def rate(self) -> Floats:
        """du/dd (nodes, 2), the change of the field with the displacement of the supports, to single precision."""
        lift = self.sample.block.lift
        return lift - self.factor.solve(self.sample.tangent(self.state, lift))


def undeformed(sample: Sample) -> Equilibrium:
    """Return the state at rest, d = 0."""
    still = np.zeros_like(sample.block.lift)
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
    sample, free = start.sample, start.sample.block.free
    # The predictor follows the tangent of the path, so most steps start where Newton converges.
    u = start.u + (d - start.d) * start.rate
    energy = sample.energy(u)
    if not np.isfinite(energy):
        raise NotConverged(f"the step from d = {start.d:g} to {d:g} turns an element inside out")
    previous = np.inf
    for _ in range(MAX_NEWTON):
        forces = sample.forces(u)
        residual = forces * free
        size, target = _norm(residual), TOLERANCE * _norm(forces - residual)
        if size <= target:
            return Equilibrium(sample, d, u, energy, forces)
        # A tighter solve than the last Newton step needs would cost iterations without a benefit.
        forcing = max(_forcing(size, previous), 0.3 * target / size)
        step = _newton_step(sample, u, residual, start.factor, forcing)
        u, energy = _line_search(sample, u, energy, residual, step)
        previous = size
    raise NotConverged(f"no equilibrium at d = {d:g} after {MAX_NEWTON} Newton steps")


def _forcing(size: float, previous: float) -> float:
    """Return the reduction of the linear residual, from the norms of this and the previous Newton residual."""
    if not np.isfinite(previous):
        return FIRST_FORCING
    return min(0.9 * (size / previous) ** 2, LARGEST_FORCING)


def _newton_step(sample: Sample, u: Floats, residual: Floats, factor: Factor, forcing: float) -> Floats:
    """Solve K(u) step = -residual by conjugate gradients until the linear residual is reduced by `forcing`.

    If K(u) is indefinite, the step ends along the direction of negative curvature, which is still downhill.
    """
    state = sample.linearised(u)
    goal = forcing * _norm(residual)
    step = np.zeros_like(u)
    r = -residual
    z = factor.solve(r)
    p = z
    rz = _dot(r, z)
    for _ in range(MAX_CG):
        kp = sample.tangent(state, p)
        curvature = _dot(p, kp)
        if curvature == 0.0:
            return step
        # abs: with negative curvature the plain quotient is negative, and the step would go uphill.
        alpha = rz / abs(curvature)
        step += alpha * p
        r -= alpha * kp
        if curvature < 0.0 or _norm(r) <= goal:
            return step
        z = factor.solve(r)
        rz, previous = _dot(r, z), rz
        p = z + (rz / previous) * p
    raise NotConverged(f"conjugate gradients did not converge in {MAX_CG} iterations")


def _line_search(sample: Sample, u: Floats, energy: float, residual: Floats, step: Floats) -> tuple[Floats, float]:
    """Return the first of u + step, u + step/2, ... with lower energy (Armijo, 1e-4) and det F > 0, and its energy."""
    slope = _dot(residual, step)
    # Near convergence the decrease is below the rounding error of the energy's 7,056 terms; allow for it.
    slack = 1e-12 * abs(energy)
    for _ in range(MAX_BACKTRACKS):
        trial = u + step
        trial_energy = sample.energy(trial)
        if trial_energy <= energy + 1e-4 * slope + slack:
            return trial, trial_energy
        step = 0.5 * step
        slope *= 0.5
    raise NotConverged("the line search found no lower energy")


def _dot(a: Floats, b: Floats) -> float:
    return float(np.dot(a.reshape(-1), b.reshape(-1)))


def _norm(a: Floats) -> float:
    return float(np.sqrt(_dot(a, a)))
