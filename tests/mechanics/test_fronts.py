"""The sparse factor against dense linear algebra, on blocks of many shapes."""

import numpy as np
import pytest

from shearbench.mechanics import dissection, fronts
from shearbench.mechanics.block import build_block
from shearbench.mechanics.fronts import factorise_fronts, solve_fronts
from shearbench.mechanics.kernels import CENTRE
from shearbench.mechanics.loads import LOADS, load_named
from shearbench.mechanics.material import lame_parameters
from shearbench.mechanics.newton import Sample, undeformed
from shearbench.mechanics.preconditioner import factorise, factorise_at_rest

SHAPES = [(1, 1), (1, 7), (6, 1), (2, 4), (5, 3), (8, 8), (9, 13)]


def edge_dofs(block):
    nodes = np.delete(block.connectivity, CENTRE, axis=0).T
    return (2 * nodes[:, :, None] + np.arange(2)).reshape(-1, 16)


def dense(block, stiffness):
    """The sum of the elements over the free degrees of freedom that are no centre's, and which those are."""
    count = block.free.size
    matrix = np.zeros((count, count))
    for dofs, own in zip(edge_dofs(block), stiffness, strict=True):
        matrix[np.ix_(dofs, dofs)] += own
    free = block.free.ravel() > 0
    free[(2 * block.connectivity[CENTRE][:, None] + np.arange(2)).ravel()] = False
    return matrix[np.ix_(free, free)], free


@pytest.fixture(params=SHAPES, ids=str)
def shaped(request):
    return build_block(*request.param, load_named("shear"))


def random_stiffness(block, rng):
    """Positive definite matrices of elements that differ a hundredfold."""
    made = rng.normal(size=(len(edge_dofs(block)), 16, 24))
    return (made @ made.transpose(0, 2, 1)) * rng.uniform(1, 100, size=(len(made), 1, 1))


def factor_of(block, stiffness):
    rows = np.empty(block.plan.factor_at[-1], np.float32)
    inverses = np.empty((block.plan.blocks_at[-1], dissection.STRIP, dissection.STRIP), np.float32)
    one, nothing = np.ones(len(stiffness), np.float32), fronts.Shared(rows, inverses, np.empty(0, np.float32))
    good = factorise_fronts(block.plan, stiffness.astype(np.float32), one, nothing, False, rows, inverses)
    return good, rows, inverses


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("leaf", [1, 3, dissection.LEAF])
def test_solutions_are_those_of_a_dense_solver(shaped, load, leaf, rng, monkeypatch):
    monkeypatch.setattr(dissection, "LEAF", leaf)
    block = build_block.__wrapped__(shaped.height, shaped.width, load_named(load))
    stiffness = random_stiffness(block, rng)
    matrix, free = dense(block, stiffness)
    stiffness[:, *np.triu_indices(16, 1)] = np.nan  # the lower triangles count
    good, rows, inverses = factor_of(block, stiffness)
    assert good
    right = rng.normal(size=block.free.size).astype(np.float32)
    x = right.copy()
    solve_fronts(block.plan, rows, inverses, x)
    wanted = np.linalg.solve(matrix, right[free].astype(np.float64))
    assert x[free] == pytest.approx(wanted, abs=1e-3 * np.abs(wanted).max())
    np.testing.assert_array_equal(x[~free], right[~free])
    log = -np.linalg.slogdet(inverses.astype(np.float64))[1].sum()
    assert log == pytest.approx(np.linalg.slogdet(matrix)[1], abs=1e-3 * len(matrix))


def test_each_unknown_is_eliminated_once_and_waiting_matrices_do_not_overlap(shaped):
    plan = shaped.plan
    ends = plan.dofs_at[:-1] + plan.eliminated
    own = np.concatenate([plan.dofs[a:b] for a, b in zip(plan.dofs_at[:-1], ends, strict=True)])
    assert sorted(own) == np.flatnonzero(dense(shaped, np.zeros((len(edge_dofs(shaped)), 16, 16)))[1]).tolist()
    assert sorted(plan.elements) == list(range(len(edge_dofs(shaped))))
    waiting = {}
    for front, halves in enumerate(plan.halves.tolist()):
        n, m = plan.eliminated[front], plan.dofs_at[front + 1] - plan.dofs_at[front]
        width = -(-m // dissection.STRIP) * dissection.STRIP - n // dissection.STRIP * dissection.STRIP
        mine = range(plan.schur_at[front], plan.schur_at[front] + (m - n) * width)
        assert all(mine.stop <= other.start or other.stop <= mine.start for other in waiting.values() if len(other))
        assert mine.stop <= plan.room
        for half in halves:
            waiting.pop(half, None)
        waiting[front] = mine
    assert list(waiting) == [len(plan.halves) - 1], "the last front is the whole block"


def test_a_matrix_that_is_not_positive_definite_is_refused(shaped, rng):
    stiffness = random_stiffness(shaped, rng)
    stiffness[-1] -= 2e4 * np.eye(16)
    assert not factor_of(shaped, stiffness)[0]
    stiffness[-1] = np.nan
    assert not factor_of(shaped, stiffness)[0]


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("d", [0.0, 2.0])
def test_a_block_at_rest_shares_the_elimination_of_its_uniform_parts(load, d, rng):
    """The factor is that of the turned block, whether a part is copied (two moduli in blots) or computed (noise)."""
    block = build_block(16, 12, load_named(load))
    blots = np.kron(rng.integers(0, 2, (4, 4)), np.ones((3, 4))).ravel() * 99 + 1
    r = (rng.normal(size=block.free.shape) * block.free).astype(np.float32)
    for moduli in (blots, rng.uniform(1, 100, 192), np.full(192, 7.0)):
        sample = Sample(block, *lame_parameters(moduli))
        own = factorise(sample.linearised(block.turned(d)), block, sample.mu).solve(r)
        shared = factorise_at_rest(block, sample.mu, 1.5, d).solve(r)
        assert shared == pytest.approx(own, abs=2e-4 * float(np.abs(own).max()))


def test_the_turned_block_is_rigid_and_follows_the_load():
    shear, stretch = (build_block(5, 3, load_named(load)) for load in ("shear", "uniaxial"))
    assert not stretch.turned(2.0).any()
    u = shear.turned(1.0)
    sample = Sample(shear, *lame_parameters(np.full(15, 7.0)))
    assert sample.energy(u) == pytest.approx(0.0, abs=1e-12)
    assert u[10, 0] == pytest.approx(5 * 0.1, rel=0.02), "the top left corner moves by half of d, the mean rotation"


@pytest.mark.parametrize("load", LOADS)
def test_from_rest_a_state_is_factorised_once(load):
    """A load that does not turn the block has one factor for all displacements; shear has one for each rotation."""
    block = build_block(28, 3, load_named(load))
    rest = undeformed(Sample(block, *lame_parameters(np.full(84, 7.0))))
    factors = [rest.factor_towards(d) for d in (0.001, 0.5, 1.0, 2.0)]
    assert len({id(factor) for factor in factors}) == (3 if load == "shear" else 1)
    for d, factor in zip((0.5, 1.0, 2.0), factors[1:], strict=True):
        np.testing.assert_array_equal(factor.rows, factorise_at_rest(block, rest.sample.mu, 1.5, round(d)).rows)


def test_two_poissons_ratios_share_nothing(rng):
    block = build_block(5, 3, load_named("shear"))
    mu, lam = lame_parameters(rng.uniform(1, 100, 15))
    r = (rng.normal(size=block.free.shape) * block.free).astype(np.float32)
    other = Sample(block, mu, lam * rng.uniform(1, 2, 15))
    own = factorise(other.linearised(undeformed(other).u), block, other.mu).solve(r)
    np.testing.assert_array_equal(undeformed(other).factor_towards(1.0).solve(r), own)
