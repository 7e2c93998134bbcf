"""The sparse factor against dense linear algebra, on blocks of many shapes."""

import numpy as np
import pytest

from shearbench.mechanics import fronts
from shearbench.mechanics.block import build_block
from shearbench.mechanics.fronts import factorise_fronts, solve_fronts
from shearbench.mechanics.kernels import CENTRE
from shearbench.mechanics.loads import LOADS, load_named
from shearbench.mechanics.material import lame_parameters
from shearbench.mechanics.newton import Sample, undeformed
from shearbench.mechanics.preconditioner import factorise

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
    pivots = np.empty(block.plan.pivots_at[-1], np.float32)
    return factorise_fronts(block.plan, stiffness.astype(np.float32), rows, pivots), rows, pivots


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("leaf", [1, 3, fronts.LEAF])
def test_solutions_are_those_of_a_dense_solver(shaped, load, leaf, rng, monkeypatch):
    monkeypatch.setattr(fronts, "LEAF", leaf)
    block = build_block.__wrapped__(shaped.height, shaped.width, load_named(load))
    stiffness = random_stiffness(block, rng)
    matrix, free = dense(block, stiffness)
    stiffness[:, *np.triu_indices(16, 1)] = np.nan  # the lower triangles count
    good, rows, pivots = factor_of(block, stiffness)
    assert good
    right = rng.normal(size=block.free.size).astype(np.float32)
    x = right.copy()
    solve_fronts(block.plan, rows, pivots, x)
    wanted = np.linalg.solve(matrix, right[free].astype(np.float64))
    assert x[free] == pytest.approx(wanted, abs=1e-3 * np.abs(wanted).max())
    np.testing.assert_array_equal(x[~free], right[~free])
    log = 2 * -np.log(pivots.astype(np.float64)).sum()
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
        width = -(-m // fronts.STRIP) * fronts.STRIP - n // fronts.STRIP * fronts.STRIP
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


def test_at_rest_one_element_stands_for_all(rng):
    block = build_block(5, 3, load_named("shear"))
    sample = Sample(block, *lame_parameters(rng.uniform(1, 100, 15)))
    state = sample.linearised(undeformed(sample).u)
    r = rng.normal(size=block.free.shape) * block.free
    each, one = (factorise(state, block, sample.mu, alike=alike).solve(r) for alike in (False, True))
    assert one == pytest.approx(each, abs=1e-5 * np.abs(each).max())
    other = Sample(block, sample.mu, sample.lam * rng.uniform(1, 2, 15))
    own = factorise(other.linearised(undeformed(other).u), block, other.mu).solve(r)
    np.testing.assert_array_equal(undeformed(other).factor.solve(r), own, "two Poisson's ratios are not alike")
