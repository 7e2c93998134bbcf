"""The compiled sums: rigid motions, patch test, residual against energy, tangent against residual, the factor."""

import numpy as np
import pytest

from shearbench.mechanics.block import build_block
from shearbench.mechanics.kernels import (
    NODES,
    element_table,
    energy_density,
    internal_forces,
    linearise,
    strain_energy,
    tangent_times,
)
from shearbench.mechanics.loads import LOADS
from shearbench.mechanics.material import lame_parameters
from shearbench.mechanics.newton import Sample
from shearbench.mechanics.preconditioner import factorise


def nodes_of(block):
    ix, iy = np.divmod(np.arange(len(block.free)), 2 * block.rows + 1)
    return np.stack([ix, iy], axis=1) / (2 * np.array(block.elements))


@pytest.fixture
def sample(block, rng):
    """A block whose elements differ up to a hundredfold."""
    return Sample(block, *lame_parameters(rng.uniform(1, 100, block.rows * block.columns)))


@pytest.fixture
def state(block, rng):
    """A deformed state: a fifth of shear, stretch, and something at every node."""
    X = nodes_of(block)
    some = 0.02 * rng.standard_normal(X.shape) / np.array(block.elements)
    return X @ np.array([[0.05, -0.1], [0.2, 0.1]]).T + some


def linearised(sample, u):
    """The state of the tangent in double precision, as differences need it."""
    state = np.empty((9, 6, len(sample.mu)))
    linearise(u, *sample.block.mesh, sample.mu, sample.lam, state)
    return state


def test_shape_functions_add_up():
    """To one everywhere; and the gradients of x and y are one."""
    gradients, weights = element_table(2, 3)
    assert weights.sum() == pytest.approx(1 / 6)
    assert gradients.sum(axis=1) == pytest.approx(np.zeros((9, 2)), abs=1e-14)
    corners = NODES / [4, 6]
    assert np.einsum("qaj,ai->qij", gradients, corners) == pytest.approx(np.tile(np.eye(2), (9, 1, 1)), abs=1e-14)


@pytest.mark.parametrize("angle", [0.1, 1.0, 3.0])
def test_a_rigid_motion_costs_nothing(sample, angle):
    R = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    u = nodes_of(sample.block) @ (R - np.eye(2)).T + [3.0, -2.0]
    assert sample.energy(u) == pytest.approx(0.0, abs=1e-11)
    assert sample.forces(u) == pytest.approx(np.zeros_like(u), abs=1e-11)


def test_patch(block):
    """Any homogeneous deformation of one material is in equilibrium inside, at area times the energy density."""
    mu, lam = lame_parameters(np.full(block.rows * block.columns, 7.0))
    H = np.array([[0.1, 0.3], [-0.2, 0.15]])
    X = nodes_of(block)
    u = X @ H.T
    inside = np.all((X > 0) & (X[:, :1] < block.width) & (X[:, 1:] < block.height), axis=1)
    assert inside.sum() == (2 * block.columns - 1) * (2 * block.rows - 1)
    assert internal_forces(u, *block.mesh, mu, lam)[inside] == pytest.approx(0.0, abs=1e-13)
    exact = 20 * energy_density(*H.ravel(), mu[0], lam[0])
    assert strain_energy(u, *block.mesh, mu, lam) == pytest.approx(exact, rel=1e-14)


def test_an_element_inside_out_has_infinite_energy(sample, state):
    state[0] = [5.0, 5.0]
    assert sample.energy(state) == np.inf
    state[0] = np.nan
    assert sample.energy(state) == np.inf


def test_residual_is_the_derivative_of_the_energy(sample, state, rng):
    for _ in range(3):
        v, step = rng.standard_normal(state.shape), 1e-6
        slope = (sample.energy(state + step * v) - sample.energy(state - step * v)) / (2 * step)
        assert np.sum(sample.forces(state) * v) == pytest.approx(slope, rel=1e-7)


def test_tangent_is_the_derivative_of_the_residual(sample, state, rng):
    block, v, step = sample.block, rng.standard_normal(state.shape), 1e-6
    slope = (sample.forces(state + step * v) - sample.forces(state - step * v)) / (2 * step)
    product = tangent_times(v, linearised(sample, state), *block.mesh, sample.mu)
    assert np.abs(product - slope).max() <= 1e-7 * np.abs(slope).max()


def test_tangent_is_symmetric(sample, state, rng):
    block, linear = sample.block, linearised(sample, state)
    v, w = rng.standard_normal((2, *state.shape))
    Kv, Kw = (tangent_times(x, linear, *block.mesh, sample.mu) for x in (v, w))
    assert np.sum(w * Kv) == pytest.approx(np.sum(v * Kw), rel=1e-12)


@pytest.mark.parametrize("elements", [(1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("name", sorted(LOADS))
def test_the_factor_inverts_the_tangent(name, elements, rng):
    """Under every set of supports, to single precision; more elements than one pack, and not a multiple of it."""
    block = build_block(9, 7, LOADS[name], elements)
    sample = Sample(block, *lame_parameters(rng.uniform(1, 100, block.rows * block.columns)))
    state = 0.5 * block.homogeneous_rate + 0.005 * rng.standard_normal(block.homogeneous_rate.shape)
    linear = sample.linearised(state)
    factor = factorise(linear, block, sample.mu)
    assert factor is not None
    z = (rng.standard_normal(state.shape) * block.free).astype(np.float32)
    error = factor.solve(sample.tangent(linear, z)) - z
    assert np.abs(error).max() <= 1e-4
    assert np.all(error[block.free == 0] == 0)


def test_an_unstable_state_has_no_factor(block):
    mu, lam = lame_parameters(np.ones(block.rows * block.columns))
    squeezed = nodes_of(block) * np.array([0.0, -0.7])
    assert factorise(Sample(block, mu, lam).linearised(squeezed), block, mu) is None
