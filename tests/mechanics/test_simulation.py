"""What `simulate` promises: closed forms, balance, symmetry, orientation, the same bits, and clear errors."""

import numpy as np
import pytest

from shearbench.mechanics import newton, simulation
from shearbench.mechanics.kernels import energy_density, stress
from shearbench.mechanics.loads import LOADS, displacements_of
from shearbench.mechanics.material import lame_parameters
from shearbench.mechanics.newton import NotConverged
from shearbench.mechanics.simulation import simulate


def solve_one(bitmap, load, d):
    fields = simulate(bitmap[None], load=load, displacements=[d])
    return fields.displacement[0, 0], fields.strain_energy[0, 0], fields.reaction[0, 0]


def grey(value):
    return np.full((28, 28), value, dtype=np.uint8)


@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize(("load", "sign"), [("equibiaxial", 1), ("confined", -1)])
def test_homogeneous_block_has_its_closed_form(load, sign, value):
    """Both loads allow the homogeneous deformation F = diag(a, 1 + sign d/28): energy and force follow from one F."""
    d = 3.0
    h22 = sign * d / 28
    h11 = h22 if load == "equibiaxial" else 0.0
    mu, lam = (float(x) for x in lame_parameters(np.float64(1 + 99 * value / 255)))
    displacement, energy, reaction = solve_one(grey(value), load, d)
    assert energy == pytest.approx(784 * energy_density(h11, 0.0, 0.0, h22, mu, lam), rel=1e-12)
    assert reaction == pytest.approx([0.0, 28 * stress(h11, 0.0, 0.0, h22, mu, lam)[3]], rel=1e-10)
    x, y = np.arange(28) + 0.5, 27.5 - np.arange(28)
    origin = 14 if load == "equibiaxial" else 0
    assert displacement[0] == pytest.approx(np.broadcast_to(h11 * (x - 14), (28, 28)), abs=1e-9)
    assert displacement[1] == pytest.approx(np.broadcast_to((h22 * (y - origin))[:, None], (28, 28)), abs=1e-9)


@pytest.mark.parametrize("size", [(8, 8), (20, 36), (64, 24)])
@pytest.mark.parametrize(("load", "sign"), [("equibiaxial", 1), ("confined", -1)])
def test_a_homogeneous_block_of_any_size_has_its_closed_form(load, sign, size):
    """F = diag(1 + d/width, 1 + d/height) under equal stretch, diag(1, 1 - d/height) confined; d is step 5."""
    height, width = size
    d = displacements_of(load, height)[5]
    assert d == pytest.approx(height / 28)
    h11, h22 = (d / width if load == "equibiaxial" else 0.0), sign * d / height
    mu, lam = (float(x) for x in lame_parameters(np.float64(1 + 99 * 77 / 255)))
    fields = simulate(np.full((1, *size), 77, np.uint8), load=load, displacements=[d])
    expected = height * width * energy_density(h11, 0.0, 0.0, h22, mu, lam)
    assert fields.strain_energy[0, 0] == pytest.approx(expected, rel=1e-12)
    assert fields.reaction[0, 0] == pytest.approx([0.0, width * stress(h11, 0.0, 0.0, h22, mu, lam)[3]], rel=1e-10)
    x, y = np.arange(width) + 0.5 - width / 2, height - 0.5 - np.arange(height)
    origin = height / 2 if load == "equibiaxial" else 0
    assert fields.displacement[0, 0, 0] == pytest.approx(np.broadcast_to(h11 * x, size), abs=1e-9)
    assert fields.displacement[0, 0, 1] == pytest.approx(np.broadcast_to((h22 * (y - origin))[:, None], size), abs=1e-9)


def test_odd_bitmaps_are_solved(load, rng):
    """One white pixel, noise, and a chessboard whose squares meet in corners only."""
    odd = np.zeros((3, 28, 28), np.uint8)
    odd[0, 14, 9] = 255
    odd[1] = rng.integers(0, 256, (28, 28))
    odd[2] = np.indices((28, 28)).sum(axis=0) % 2 * 255
    assert simulate(odd, load=load, displacements=displacements_of(load)[-1:]).converged.all()


def test_nothing_moves_at_zero(digits, load):
    fields = simulate(digits, load=load, displacements=[0.0])
    assert not fields.displacement.any()
    assert not fields.strain_energy.any()
    assert not fields.reaction.any()
    assert fields.converged.all()


def test_all_forces_of_the_supports_balance(digits, load):
    """No force is left on any free node, and those of the supports add up to nothing, moments included."""
    block = simulation.build_block(28, 28, LOADS[load])
    sample = simulation._sample_of(digits[0], block)
    u = newton.reach(newton.undeformed(sample), 1.0).u
    forces = sample.forces(u)
    scale = np.abs(forces).sum()
    assert np.abs(forces * block.free).max() <= 1e-9 * scale
    assert np.abs(forces.sum(axis=0)).max() <= 1e-12 * scale
    ix, iy = np.divmod(np.arange(len(u)), 57)
    x, y = (np.stack([ix, iy], axis=1) / 2 + u).T
    assert abs(np.sum(x * forces[:, 1] - y * forces[:, 0])) <= 1e-11 * 28 * scale


@pytest.mark.parametrize(("load", "component", "sign"), [("shear", 0, 1), ("uniaxial", 1, 1), ("confined", 1, -1)])
def test_the_reaction_is_the_slope_of_the_energy(digits, load, component, sign):
    """Only the top edge moves under these loads, so dW/dd is its force along the way it goes."""
    d, step = 1.0, 1e-3
    fields = simulate(digits, load=load, displacements=[d - step, d, d + step])
    slope = (fields.strain_energy[:, 2] - fields.strain_energy[:, 0]) / (2 * step)
    assert sign * fields.reaction[:, 1, component] == pytest.approx(slope, rel=1e-6)


def test_mirror_images_deform_as_mirror_images(digits):
    left, right = digits[0], digits[0][:, ::-1]
    u, energy, reaction = solve_one(left, "uniaxial", 2.0)
    mirrored, energy_too, reaction_too = solve_one(right, "uniaxial", 2.0)
    assert mirrored[0] == pytest.approx(-u[0, :, ::-1], abs=1e-8)
    assert mirrored[1] == pytest.approx(u[1, :, ::-1], abs=1e-8)
    assert energy_too == pytest.approx(energy, rel=1e-12)
    assert reaction_too == pytest.approx(reaction * [-1, 1], rel=1e-8)


def test_row_0_is_the_top_and_y_points_up():
    """A stiff upper half is carried along by the top edge almost as one; the soft lower half takes the rest."""
    bitmap = grey(0)
    bitmap[:14] = 255
    sheared, _, _ = solve_one(bitmap, "shear", 1.0)
    assert sheared[0, :12].min() > 0.9
    assert sheared[0, -1].max() < 0.1
    stretched, _, _ = solve_one(bitmap, "uniaxial", 1.0)
    assert stretched[1, :12].min() > 0.9
    assert stretched[1, -1].max() < 0.1
    pressed, _, _ = solve_one(bitmap, "confined", 1.0)
    assert pressed[1, :12].max() < -0.9


def test_columns_run_to_the_right():
    """The right edge moves to the right: a stiff right half keeps almost all of its displacement."""
    bitmap = grey(0)
    bitmap[:, 14:] = 255
    displacement, _, _ = solve_one(bitmap, "equibiaxial", 1.0)
    assert displacement[0, :, 16:].min() > 0.4
    assert displacement[0, :, 0].max() < -0.4


def test_a_sample_has_the_same_bits_whatever_is_solved_with_it(digits):
    together = simulate(digits, load="shear", displacements=[0.1, 1.0, 3.5])
    for index, digit in enumerate(digits):
        for step, d in enumerate([0.1, 1.0, 3.5]):
            alone, energy, reaction = solve_one(digit, "shear", d)
            assert alone.tobytes() == together.displacement[index, step].tobytes()
            assert energy == together.strain_energy[index, step]
            assert reaction.tobytes() == together.reaction[index, step].tobytes()


def test_any_order_of_displacements_and_samples(digits):
    one = simulate(digits, load="uniaxial", displacements=[0.0, 0.5, 3.0])
    other = simulate(digits[::-1], load="uniaxial", displacements=[3.0, 0.0, 0.5, 3.0])
    assert other.displacement[::-1][:, [1, 2, 0]].tobytes() == one.displacement.tobytes()
    assert other.displacement[:, 3].tobytes() == other.displacement[:, 0].tobytes()


def test_the_way_does_not_matter(digits, load, monkeypatch):
    """Equilibria reached through twice as many waypoints are the same ones."""
    d = displacements_of(load)[-1]
    usual = simulate(digits, load=load, displacements=[d])
    monkeypatch.setattr(simulation, "_WAYPOINTS_PER_HEIGHT", 28)
    other = simulate(digits, load=load, displacements=[d])
    assert np.abs(other.displacement - usual.displacement).max() <= 1e-8 * d
    assert other.strain_energy == pytest.approx(usual.strain_energy, rel=1e-12)


def test_a_step_that_fails_is_halved(digits, monkeypatch):
    usual = simulate(digits[:1], load="shear", displacements=[2.0])
    solve, lengths = newton._newton, []

    def faint(start, d):
        lengths.append(d - start.d)
        if d - start.d > 0.6:
            raise NotConverged("too far for me")
        return solve(start, d)

    monkeypatch.setattr(newton, "_newton", faint)
    halved = simulate(digits[:1], load="shear", displacements=[2.0])
    assert lengths == [2.0, 1.0, 0.5, 0.5, 1.0, 0.5, 0.5]
    assert np.abs(halved.displacement - usual.displacement).max() <= 1e-8


def test_failure_is_raised_with_index_load_and_displacement(digits, monkeypatch):
    monkeypatch.setattr(newton, "MAX_NEWTON", 0)
    with pytest.raises(NotConverged, match=r"sample 0, load shear, d = 1: no equilibrium at d = 0.015625"):
        simulate(digits, load="shear", displacements=[1.0])


def test_failure_is_recorded_when_asked(digits, monkeypatch):
    solve = newton._newton

    def refuses_the_second(start, d):
        if start.sample.energy(0.01 * start.sample.block.homogeneous_rate) == energy_of_the_second:
            raise NotConverged("not this one")
        return solve(start, d)

    block = simulation.build_block(28, 28, LOADS["shear"])
    energy_of_the_second = simulation._sample_of(digits[1], block).energy(0.01 * block.homogeneous_rate)
    monkeypatch.setattr(newton, "_newton", refuses_the_second)
    fields = simulate(digits, load="shear", displacements=[0.0, 1.0], failures="record")
    assert fields.converged.tolist() == [[True, True], [True, False], [True, True]]
    assert np.isnan(fields.displacement[1, 1]).all()
    assert np.isnan(fields.strain_energy[1, 1])
    assert np.isnan(fields.reaction[1, 1]).all()
    assert [(f.sample, f.step, f.reason) for f in fields.failures] == [(1, 1, "not this one")]
    assert np.isfinite(fields.displacement[[0, 2]]).all()


def test_a_block_crushed_flat_fails_and_says_so(rng):
    """A millionth of the height is left: noise at contrast 100 cannot get there."""
    noise = rng.integers(0, 256, (1, 7, 7)).astype(np.uint8)
    fields = simulate(noise, load="confined", displacements=[6.99999], failures="record", shape=(7, 7))
    assert not fields.converged.any()
    assert np.isnan(fields.displacement).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bitmaps": np.zeros((1, 28, 28))}, "bitmaps must be an array of uint8"),
        ({"bitmaps": [[0] * 28] * 28}, "bitmaps must be an array of uint8 .* got list"),
        ({"bitmaps": np.zeros((28, 28), np.uint8)}, r"bitmaps must be \(n, height, width\), .* got shape \(28, 28\)"),
        ({"bitmaps": np.zeros((1, 27, 28), np.uint8), "shape": (28, 28)}, r"\(n, 28, 28\) .* got shape \(1, 27, 28\)"),
        ({"bitmaps": np.zeros((0, 28, 28), np.uint8)}, r"none of them 0; got shape \(0, 28, 28\)"),
        ({"load": "torsion"}, "load must be one of uniaxial, shear, equibiaxial, confined; got 'torsion'"),
        ({"displacements": []}, r"displacements must be a list of at least one number; got \[\]"),
        ({"displacements": 1.0}, "displacements must be a list .* got 1.0"),
        ({"displacements": ["one"]}, "displacements must be a list .* got .'one'."),
        ({"displacements": [1.0, float("nan")]}, "displacements must be at least 0 and below the height 28; got nan"),
        ({"displacements": [-1.0]}, "got -1.0"),
        ({"displacements": [28.0]}, "got 28.0"),
        ({"elements": (0, 1)}, "elements must be two whole numbers from 1 to 4, in x and in y; got .0, 1."),
        ({"elements": (1, 1.5)}, "elements must be two whole numbers from 1 to 4, in x and in y; got .1, 1.5."),
        ({"failures": "ignore"}, "failures must be 'raise' or 'record'; got 'ignore'"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"bitmaps": np.zeros((1, 28, 28), np.uint8), "load": "shear", "displacements": [1.0]} | change
    with pytest.raises(ValueError, match=message):
        simulate(arguments.pop("bitmaps"), **arguments)


def test_progress_counts_samples(digits):
    seen = []
    simulate(digits, load="shear", displacements=[0.5], advance=seen.append)
    assert seen == [1, 1, 1]
