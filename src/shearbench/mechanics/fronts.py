"""Sparse Cholesky factor of a block's stiffness: nested dissection (George 1973), multifrontal (Duff and Reid 1983).

In: the condensed stiffness of each element. Out: a factor in single precision, and solutions with it.

`dissect` halves the block again and again. Each part has a *front*, a dense symmetric matrix over some degrees of
freedom: first those that it eliminates, which no element outside of the part shares, then those on its edge. It is the
sum of its elements, or of what its two halves leave after elimination (their Schur complements).

A front that eliminates n of its m degrees of freedom is stored by rows, of which the upper triangle counts:
`u` (n, width) becomes the factor, `c` (m - n, width - n0) the Schur complement. Rows are cut into strips of `STRIP`
columns: `width` is m rounded up, n0 is n rounded down. Loops over whole strips compute unused numbers too, but are
vector instructions.

Everything compiled here calls functions of this file alone, because numba's cache looks for changes in one file.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

STRIP = 8  # single-precision numbers in a vector of AVX2, half of one of AVX-512
LEAF = 8  # elements of a part that is not halved; more waste work on zeros, fewer on small matrices
ROWS = 4  # that are eliminated together; rows of zeros make their number a multiple

Ints = NDArray[np.int64]
Part = tuple[int, int, int, int]
"""First and last column of elements, first and last row; the last ones are outside."""


class Plan(NamedTuple):
    """The fronts of a block, each after its halves; arrays of the fronts' parts one after the other.

    Attributes:
        dofs: flat degrees of freedom of each front; `dofs_at` (fronts + 1,) where those of a front begin.
        eliminated: (fronts,) how many of them, the first ones, it eliminates.
        pivots_at, factor_at: (fronts + 1,) where its pivots and its rows `u` begin in the factor.
        schur_at: (fronts,) where its `c` begins in a workspace of `room` numbers, which halves free for others.
        elements: of each leaf; `elements_at` (fronts + 1,) where they begin.
        places: (elements, 16) place in the front of their edge degrees of freedom, -1 where held.
        halves: (fronts, 2) numbers of the halves, -1 for a leaf.
        up: place in the front it is half of, ascending, of each degree of freedom left over; `up_at` (fronts + 1,).
    """

    dofs: Ints
    dofs_at: Ints
    eliminated: Ints
    pivots_at: Ints
    factor_at: Ints
    schur_at: Ints
    room: int
    elements: Ints
    elements_at: Ints
    places: Ints
    halves: Ints
    up: Ints
    up_at: Ints


def dissect(rows: int, columns: int, edge_dofs: Ints, free: NDArray[np.bool_]) -> Plan:
    """Plan the elimination of a block of rows x columns elements, numbered as in block.py.

    Args:
        rows, columns: of elements.
        edge_dofs: (elements, 16) flat degrees of freedom of the edge nodes of each element.
        free: (dofs,) False where a support holds.
    """
    parts, halves = _parts((0, columns, 0, rows))
    whole = np.full(len(halves), -1)
    whole[halves[halves >= 0]] = np.repeat(np.arange(len(halves)), 2)[(halves >= 0).ravel()]
    inner, edge = _eliminations(parts, rows, columns, edge_dofs, free)
    fronts = _fronts(inner, edge, whole, free.size)
    sizes, eliminated = np.array([len(each) for each in fronts]), np.array([len(each) for each in inner])
    width, skipped, rows_of = -(-sizes // STRIP) * STRIP, eliminated // STRIP * STRIP, -(-eliminated // ROWS) * ROWS
    schur_at, room = _workspace((sizes - eliminated) * (width - skipped), halves)
    place, up, elements, places = np.full(free.size, -1), [], [], []
    for number, front in enumerate(fronts):
        if whole[number] >= 0:
            place[fronts[whole[number]]] = np.arange(sizes[whole[number]])
        up.append(place[front[eliminated[number] :]])
        place[front] = np.arange(sizes[number])
        own = _elements(parts[number], rows) if halves[number, 0] < 0 else np.empty(0, np.int64)
        elements.append(own)
        places.append(np.where(free[edge_dofs[own]], place[edge_dofs[own]], -1))
    return Plan(
        *(np.concatenate(fronts), _starts(fronts), eliminated, _sums(eliminated), _sums(rows_of * width)),
        *(schur_at, room, np.concatenate(elements), _starts(elements), np.concatenate(places)),
        *(halves, np.concatenate(up), _starts(up)),
    )


def _parts(block: Part) -> tuple[list[Part], Ints]:
    """Return the parts of a block, each after its halves, and the numbers of these, (parts, 2), -1 for none."""
    parts, halves = list[Part](), list[tuple[int, int]]()

    def visit(part: Part) -> int:
        left, right, bottom, top = part
        across, up = right - left, top - bottom
        if across * up <= LEAF:
            numbers = (-1, -1)
        elif across >= up:
            numbers = visit((left, left + across // 2, bottom, top)), visit((left + across // 2, right, bottom, top))
        else:
            numbers = visit((left, right, bottom, bottom + up // 2)), visit((left, right, bottom + up // 2, top))
        parts.append(part)
        halves.append(numbers)
        return len(parts) - 1

    visit(block)
    return parts, np.array(halves)


def _elements(part: Part, rows: int) -> Ints:
    left, right, bottom, top = part
    numbers: Ints = (np.arange(left, right)[:, None] * rows + np.arange(bottom, top)).ravel()
    return numbers


def _eliminations(
    parts: list[Part], rows: int, columns: int, edge_dofs: Ints, free: NDArray[np.bool_]
) -> tuple[list[Ints], list[Ints]]:
    """Return for each part what it eliminates, and what elements outside share with it."""
    height, done = 2 * rows + 1, ~free
    inner, edge = [], []
    for part in parts:
        left, right, bottom, top = part
        dofs = np.unique(edge_dofs[_elements(part, rows)])
        x, y = np.divmod(dofs // 2, height)
        shared = ((x == 2 * left) & (left > 0)) | ((x == 2 * right) & (right < columns))
        shared |= ((y == 2 * bottom) & (bottom > 0)) | ((y == 2 * top) & (top < rows))
        inner.append(dofs[~shared & ~done[dofs]])
        edge.append(dofs[shared & free[dofs]])
        done[inner[-1]] = True
    return inner, edge


def _fronts(inner: list[Ints], edge: list[Ints], whole: Ints, count: int) -> list[Ints]:
    """Return the degrees of freedom of each front; those on an edge in the order of the front that it is half of."""
    fronts, place = [np.empty(0, np.int64)] * len(inner), np.empty(count, np.int64)
    for number in reversed(range(len(inner))):
        left_over = edge[number]
        if whole[number] >= 0:
            above = fronts[whole[number]]
            place[above] = np.arange(len(above))
            left_over = left_over[np.argsort(place[left_over])]
        fronts[number] = np.concatenate([inner[number], left_over])
    return fronts


def _workspace(sizes: Ints, halves: Ints) -> tuple[Ints, int]:
    """Return where each front's `c` lies, the first gap between those that wait, and the room for all."""
    at, waiting, room = np.zeros(len(sizes), np.int64), dict[int, tuple[int, int]](), 0
    for number, size in enumerate(sizes.tolist()):
        start = 0
        for begin, end in sorted(waiting.values()):
            if begin - start >= size:
                break
            start = max(start, end)
        at[number], room = start, max(room, start + size)
        for half in halves[number].tolist():
            waiting.pop(half, None)
        waiting[number] = (start, start + size)
    return at, room


def _sums(counts: Ints) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)])


def _starts(arrays: list[Ints]) -> Ints:
    return _sums(np.array([len(each) for each in arrays]))


@njit(cache=True)
def factorise_fronts(plan, stiffness, factor, pivots):  # type: ignore[no-untyped-def]
    """Fill `factor` and `pivots`, float32; False where the sum of the elements is not positive definite.

    `stiffness` is that of the elements, (elements, 16, 16), of which the lower triangles count.
    """
    workspace = np.empty(plan.room, dtype=np.float32)
    for front in range(len(plan.eliminated)):
        n = plan.eliminated[front]
        u, c = _factor_of(plan, front, factor), _schur_of(plan, front, workspace)
        u[:] = 0.0
        c[:] = 0.0
        _add_elements(plan, front, stiffness, u, c)
        for half in plan.halves[front]:
            if half >= 0:
                up = plan.up[plan.up_at[half] : plan.up_at[half + 1]]
                _add_half(_schur_of(plan, half, workspace), plan.eliminated[half] % STRIP, up, n, u, c)
        if not _eliminate(u, c, pivots[plan.pivots_at[front] : plan.pivots_at[front] + n]):
            return False
    return True


@njit(cache=True)
def _width(plan, front):  # type: ignore[no-untyped-def]
    return (plan.dofs_at[front + 1] - plan.dofs_at[front] + STRIP - 1) // STRIP * STRIP


@njit(cache=True)
def _factor_of(plan, front, factor):  # type: ignore[no-untyped-def]
    """Return the rows `u` of a front, a view."""
    width = _width(plan, front)
    rows = factor[plan.factor_at[front] : plan.factor_at[front + 1]]
    return rows.reshape(len(rows) // width, width)


@njit(cache=True)
def _schur_of(plan, front, workspace):  # type: ignore[no-untyped-def]
    """Return `c` of a front, a view."""
    n, at = plan.eliminated[front], plan.schur_at[front]
    rows = plan.dofs_at[front + 1] - plan.dofs_at[front] - n
    columns = _width(plan, front) - n // STRIP * STRIP
    return workspace[at : at + rows * columns].reshape(rows, columns)


@njit(cache=True)
def _add_elements(plan, front, stiffness, u, c):  # type: ignore[no-untyped-def]
    n = plan.eliminated[front]
    skipped = n // STRIP * STRIP
    for t in range(plan.elements_at[front], plan.elements_at[front + 1]):
        element = plan.elements[t]
        for p in range(16):
            for r in range(p + 1):
                row, column = plan.places[t, p], plan.places[t, r]
                if row >= 0 and column >= 0:
                    i, j = min(row, column), max(row, column)
                    if i < n:
                        u[i, j] += stiffness[element, p, r]
                    else:
                        c[i - n, j - skipped] += stiffness[element, p, r]


@njit(cache=True)
def _add_half(left_over, skipped, up, n, u, c):  # type: ignore[no-untyped-def]
    """Add the Schur complement of a half, at the places `up` of the front; its first `skipped` columns are unused."""
    for a in range(len(up)):
        if up[a] < n:
            row, first = u[up[a]], 0
        else:
            row, first = c[up[a] - n], n // STRIP * STRIP
        for b in range(a, len(up)):
            row[up[b] - first] += left_over[a, skipped + b]


@njit(cache=True, fastmath={"contract"})
def _eliminate(u, c, pivots):  # type: ignore[no-untyped-def]
    """Cholesky of `u`, and its update of `c`; `pivots` become the inverse diagonal. False where one is not positive."""
    n = len(pivots)
    skipped = n // STRIP * STRIP
    for k in range(0, n, ROWS):
        rows = u[k : k + ROWS]
        if not _eliminate_together(rows, k, pivots[k : k + ROWS]):
            return False
        _update(u[:n], rows, k + ROWS, 0, 0)
        _update(c, rows, 0, n, skipped)
    return True


@njit(cache=True, fastmath={"contract"})
def _update(targets, rows, first, row_of, skipped):  # type: ignore[no-untyped-def]
    """Take from each target, from `first` on, four rows times their entries in its column."""
    count = len(targets)
    for t in range(first, count - 1, 2):
        i = row_of + t
        start = i // STRIP * STRIP
        a0, a1, a2, a3 = rows[0, i], rows[1, i], rows[2, i], rows[3, i]
        b0, b1, b2, b3 = rows[0, i + 1], rows[1, i + 1], rows[2, i + 1], rows[3, i + 1]
        r0, r1, r2, r3 = rows[0, start:], rows[1, start:], rows[2, start:], rows[3, start:]
        a, b = targets[t, start - skipped :], targets[t + 1, start - skipped :]
        for j in range(len(a)):
            a[j] -= a0 * r0[j] + a1 * r1[j] + a2 * r2[j] + a3 * r3[j]
            b[j] -= b0 * r0[j] + b1 * r1[j] + b2 * r2[j] + b3 * r3[j]
    if first < count and (count - first) % 2:
        i = row_of + count - 1
        start = i // STRIP * STRIP
        _subtract(targets[count - 1, start - skipped :], rows, start, rows[:, i])


@njit(cache=True, fastmath={"contract"})
def _eliminate_together(rows, k, pivots):  # type: ignore[no-untyped-def]
    """Cholesky of a few rows, the first of which is row k; on the diagonal and left of it they become zero."""
    start = k // STRIP * STRIP
    for q in range(len(pivots)):
        row = rows[q, start:]
        for p in range(q):
            factor = rows[p, k + q]
            other = rows[p, start:]
            for j in range(len(row)):
                row[j] -= factor * other[j]
        if not rows[q, k + q] > 0.0:
            return False
        pivots[q] = np.float32(1.0) / math.sqrt(rows[q, k + q])
        for j in range(len(row)):
            row[j] *= pivots[q]
    for q in range(len(pivots)):
        rows[q, start : k + q + 1] = 0.0
    return True


@njit(cache=True, fastmath={"contract"})
def _subtract(target, rows, start, factors):  # type: ignore[no-untyped-def]
    """Take four rows, each times its factor, from another that begins at column `start`."""
    f0, f1, f2, f3 = factors[0], factors[1], factors[2], factors[3]
    r0, r1, r2, r3 = rows[0, start:], rows[1, start:], rows[2, start:], rows[3, start:]
    for j in range(len(target)):
        target[j] -= f0 * r0[j] + f1 * r1[j] + f2 * r2[j] + f3 * r3[j]


@njit(cache=True, fastmath={"contract", "reassoc"})
def _multiply(rows, start, vector, products):  # type: ignore[no-untyped-def]
    """Fill `products` with those of four rows and a vector that begins at column `start`."""
    p0, p1, p2, p3 = np.float32(0.0), np.float32(0.0), np.float32(0.0), np.float32(0.0)
    r0, r1, r2, r3 = rows[0, start:], rows[1, start:], rows[2, start:], rows[3, start:]
    for j in range(len(vector)):
        p0 += r0[j] * vector[j]
        p1 += r1[j] * vector[j]
        p2 += r2[j] * vector[j]
        p3 += r3[j] * vector[j]
    products[0], products[1], products[2], products[3] = p0, p1, p2, p3


@njit(cache=True)
def solve_fronts(plan, factor, pivots, x):  # type: ignore[no-untyped-def]
    """Solve with the factor, in place: x (dofs,) float32 holds the right side, then the solution; held entries stay."""
    fronts = len(plan.eliminated)
    local = np.zeros((plan.dofs_at[1:] - plan.dofs_at[:-1]).max() + STRIP, dtype=np.float32)
    few, more = np.empty(ROWS, dtype=np.float32), np.empty(ROWS, dtype=np.float32)
    for step in range(2 * fronts):
        front = min(step, 2 * fronts - 1 - step)
        own = plan.dofs[plan.dofs_at[front] : plan.dofs_at[front + 1]]
        inverse = pivots[plan.pivots_at[front] : plan.pivots_at[front + 1]]
        u = _factor_of(plan, front, factor)
        for j in range(len(own)):
            local[j] = x[own[j]]
        if step < fronts:
            _forward(u, inverse, local, few)
        else:
            _backward(u, inverse, local, few, more)
        for j in range(len(own)):
            x[own[j]] = local[j]


@njit(cache=True)
def _forward(u, pivots, local, solved):  # type: ignore[no-untyped-def]
    for k in range(0, len(pivots), ROWS):
        rows, count = u[k : k + ROWS], min(ROWS, len(pivots) - k)
        solved[:] = 0.0
        for q in range(count):
            value = local[k + q]
            for p in range(q):
                value -= rows[p, k + q] * solved[p]
            solved[q] = value * pivots[k + q]
        start = k // STRIP * STRIP
        _subtract(local[start : u.shape[1]], rows, start, solved)
        local[k : k + count] = solved[:count]


@njit(cache=True)
def _backward(u, pivots, local, right, products):  # type: ignore[no-untyped-def]
    for k in range((len(pivots) - 1) // ROWS * ROWS, -1, -ROWS):
        rows, count = u[k : k + ROWS], min(ROWS, len(pivots) - k)
        right[:count] = local[k : k + count]
        local[k : k + count] = 0.0
        start = k // STRIP * STRIP
        _multiply(rows, start, local[start : u.shape[1]], products)
        for q in range(count - 1, -1, -1):
            value = right[q] - products[q]
            for p in range(q + 1, count):
                value -= rows[q, k + p] * local[k + p]
            local[k + q] = value * pivots[k + q]
