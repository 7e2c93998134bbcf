"""Sparse Cholesky factor of a block's stiffness, front by front (dissection.py).

In: the condensed stiffness of each element. Out: a factor in single precision, and solutions with it.

A front that eliminates n of its m degrees of freedom is stored by rows, of which the upper triangle counts:
`u` (n, width) becomes the factor, `c` (m - n, width - n0) the Schur complement. Rows are cut into strips of `STRIP`
columns: `width` is m rounded up, n0 is n rounded down. Loops over whole strips compute unused numbers too, but are
vector instructions.

`STRIP` rows are eliminated together. With D their diagonal block and R the columns after it, D^-1 is kept as one of the
`inverses` and D^-1 R in `u`. So solutions need no triangular solve.

Everything compiled here calls functions of this file alone, because numba's cache looks for changes in one file.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from shearbench.mechanics.dissection import STRIP

# A function that others call is inlined before it is compiled: otherwise it would be compiled alone and again with each
# caller. Its products and sums are then contracted as in the caller. The two sums that must not be are compiled alone.
inlined = njit(inline="always")
compiled = njit(cache=True, error_model="numpy", fastmath={"contract"})


class Shared(NamedTuple):
    """The elimination for uniform modulus 1.

    A part of another block with one modulus everywhere copies it, scaled by that modulus.

    Attributes:
        factor, inverses: as `factorise_fronts` fills them.
        schur: `c` of each front; empty if elements differ by more than their modulus, so nothing is shared.
    """

    factor: NDArray[np.float32]
    inverses: NDArray[np.float32]
    schur: NDArray[np.float32]


@compiled
def factorise_fronts(plan, stiffness, moduli, shared, share, factor, inverses):  # type: ignore[no-untyped-def]
    """Fill `factor` and `inverses` (float32). Return False if the assembled matrix is not positive definite.

    `stiffness` is that of the elements for modulus 1, (elements, 16, 16), or (1, 16, 16) of each of them; the lower
    triangles count. Parts with one modulus are copied from `shared`. With `share`, it is filled instead.
    """
    halves, eliminated, elements_at, blocks_at = plan.halves, plan.eliminated, plan.elements_at, plan.blocks_at
    sizes, widths, factor_at, shared_at = plan.sizes, plan.widths, plan.factor_at, plan.shared_at
    room = np.empty((2 * STRIP + 1, plan.widest), factor.dtype)
    room[2 * STRIP] = 0.0
    waiting, waiting_at = np.empty(plan.room, factor.dtype), plan.schur_at
    if share:
        waiting, waiting_at = shared.schur, shared_at
    alike = _moduli_of_parts(halves, plan.elements, elements_at, moduli)
    if share or len(shared.schur) == 0:
        alike[:] = 0.0
    for front in range(len(eliminated)):
        rows, blocks = slice(factor_at[front], factor_at[front + 1]), slice(blocks_at[front], blocks_at[front + 1])
        u, inverse = factor[rows].reshape(-1, widths[front]), inverses[blocks]
        if alike[front] > 0.0:
            _copy_front(shared.factor[rows], shared.inverses[blocks], alike[front], factor[rows], inverse)
            continue
        n = eliminated[front]
        c = _schur_of(waiting[waiting_at[front] :], n, sizes[front], widths[front])
        u[:] = 0.0
        c[:] = 0.0
        own = slice(elements_at[front], elements_at[front + 1])
        _add_elements(plan.elements[own], plan.places[own], stiffness, moduli, n, u, c)
        for half in halves[front]:
            if half >= 0:
                scale, matrices, at = np.float32(1.0), waiting, waiting_at[half]
                if alike[half] > 0.0:
                    scale, matrices, at = alike[half], shared.schur, shared_at[half]
                left_over = _schur_of(matrices[at:], eliminated[half], sizes[half], widths[half])
                runs = plan.runs[plan.runs_at[half] : plan.runs_at[half + 1]]
                _add_half(left_over, scale, eliminated[half] % STRIP, runs, n, u, c)
        if not _eliminate(u, c, n, inverse, room):
            return False
    return True


@inlined
def _moduli_of_parts(halves, elements, elements_at, moduli):  # type: ignore[no-untyped-def]
    """Return the modulus of all elements of each part, (fronts,), 0 if they differ."""
    parts = np.empty(len(halves), moduli.dtype)
    parts[:] = 0.0
    for front in range(len(parts)):
        left, right = halves[front]
        if left < 0:
            modulus = moduli[elements[elements_at[front]]]
            for t in range(elements_at[front], elements_at[front + 1]):
                if moduli[elements[t]] != modulus:
                    modulus = np.float32(0.0)
            parts[front] = modulus
        elif parts[left] == parts[right]:
            parts[front] = parts[left]
    return parts


@inlined
def _copy_front(shared_rows, shared_inverses, modulus, rows, inverses):  # type: ignore[no-untyped-def]
    """Copy a front of the shared elimination: its rows do not depend on the modulus, inverses are divided by it."""
    scale = np.float32(1.0) / modulus
    for i in range(len(rows)):
        rows[i] = shared_rows[i]
    for block in range(len(inverses)):
        for p in range(STRIP):
            for q in range(STRIP):
                inverses[block, p, q] = scale * shared_inverses[block, p, q]


@inlined
def _schur_of(matrices, n, size, width):  # type: ignore[no-untyped-def]
    """Return `c` of a front that eliminates n of `size`, a view of the matrices that begin with it."""
    rows, columns = size - n, width - n // STRIP * STRIP
    return matrices[: rows * columns].reshape(rows, columns)


@njit(cache=True, fastmath=False)
def _add_elements(elements, places, stiffness, moduli, n, u, c):  # type: ignore[no-untyped-def]
    skipped = n // STRIP * STRIP
    for t in range(len(elements)):
        own, modulus = stiffness[elements[t] % len(stiffness)], moduli[elements[t]]
        for p in range(16):
            for r in range(p + 1):
                row, column = places[t, p], places[t, r]
                if row >= 0 and column >= 0:
                    i, j = min(row, column), max(row, column)
                    if i < n:
                        u[i, j] += modulus * own[p, r]
                    else:
                        c[i - n, j - skipped] += modulus * own[p, r]


@njit(cache=True, fastmath=False)
def _add_half(left_over, scale, skipped, runs, n, u, c):  # type: ignore[no-untyped-def]
    """Add a half's Schur complement times `scale` to the front, run by run; its first `skipped` columns are unused."""
    for own in range(len(runs)):
        for a in range(runs[own, 0], runs[own, 1]):
            place = a + runs[own, 2]
            row, first = (u[place], 0) if place < n else (c[place - n], n // STRIP * STRIP)
            for other in range(own, len(runs)):
                begin = max(a, runs[other, 0])
                source = left_over[a, skipped + begin : skipped + runs[other, 1]]
                target = row[begin + runs[other, 2] - first :]
                for j in range(len(source)):
                    target[j] += scale * source[j]


@inlined
def _eliminate(u, c, n, inverses, room):  # type: ignore[no-untyped-def]
    """Eliminate the first n rows of `u`, and update `c`. False where a diagonal block is not positive definite.

    `room` has 2 `STRIP` + 1 rows. It is one loop over three updates, so that `_update` is inlined once.
    """
    before, minus = room[:STRIP], room[STRIP:]
    for block in range(len(inverses)):
        k = block * STRIP
        rows, count = u[k : k + STRIP], min(STRIP, n - k)
        if not _invert(rows, k, count, inverses[block]):
            return False
        for q in range(STRIP):
            for p in range(STRIP):
                minus[q, k + p] = -inverses[block, q, p]
            for j in range(k, rows.shape[1]):
                before[q, j] = rows[q, j]
                rows[q, j] = 0.0
        for step in range(3):
            targets, factors, source, first, row_of, skipped = rows, minus, before, 0, k, 0  # rows times the inverse
            if step == 1:
                targets, factors, source, first, row_of, skipped = u[:n], before, rows, k + STRIP, 0, 0
            elif step == 2:
                targets, factors, source, first, row_of, skipped = c, before, rows, 0, n, n // STRIP * STRIP
            _update(targets, factors, source, first, row_of, skipped, room[2 * STRIP])
        for q in range(STRIP):
            for j in range(count):
                rows[q, k + j] = 0.0
    return True


@inlined
def _invert(rows, k, count, inverse):  # type: ignore[no-untyped-def]
    """Fill the inverse of the diagonal block in `count` columns of rows, from k on; the rest is that of the identity.

    Gauss-Jordan without pivoting: the pivots are those of Cholesky's method, squared.
    """
    for p in range(STRIP):
        for q in range(STRIP):
            inverse[p, q] = np.float32(p == q)
    for p in range(count):
        for q in range(p, count):
            inverse[p, q] = inverse[q, p] = rows[p, k + q]
    for p in range(count):
        if not inverse[p, p] > 0.0:
            return False
        pivot = np.float32(1.0) / inverse[p, p]
        inverse[p, p] = np.float32(1.0)
        for q in range(STRIP):
            inverse[p, q] *= pivot
        for i in range(STRIP):
            if i != p:
                factor = inverse[i, p]
                inverse[i, p] = np.float32(0.0)
                for q in range(STRIP):
                    inverse[i, q] -= factor * inverse[p, q]
    return True


@inlined
def _update(targets, factors, rows, first, row_of, skipped, spare):  # type: ignore[no-untyped-def]
    """Take from each target, from `first` on, eight rows times the factors in its column, two targets at a time.

    The last target of an odd number is paired with `spare`.
    """
    count = len(targets)
    for start in range((row_of + first) // STRIP * STRIP, row_of + count, STRIP):
        begin, end = max(first, start - row_of), min(count, start + STRIP - row_of)
        r0, r1, r2, r3 = rows[0, start:], rows[1, start:], rows[2, start:], rows[3, start:]
        r4, r5, r6, r7 = rows[4, start:], rows[5, start:], rows[6, start:], rows[7, start:]
        for t in range(begin, end, 2):
            a, b, other = targets[t, start - skipped :], spare[start - skipped :], t
            if t + 1 < end:
                b, other = targets[t + 1, start - skipped :], t + 1
            a0, a1, a2, a3, a4, a5, a6, a7 = _column(factors, row_of + t)
            b0, b1, b2, b3, b4, b5, b6, b7 = _column(factors, row_of + other)
            for j in range(len(a)):
                x = a0 * r0[j] + a1 * r1[j] + a2 * r2[j] + a3 * r3[j]
                a[j] -= x + a4 * r4[j] + a5 * r5[j] + a6 * r6[j] + a7 * r7[j]
                x = b0 * r0[j] + b1 * r1[j] + b2 * r2[j] + b3 * r3[j]
                b[j] -= x + b4 * r4[j] + b5 * r5[j] + b6 * r6[j] + b7 * r7[j]


@inlined
def _column(rows, i):  # type: ignore[no-untyped-def]
    return rows[0, i], rows[1, i], rows[2, i], rows[3, i], rows[4, i], rows[5, i], rows[6, i], rows[7, i]


@inlined
def _subtract(target, rows, start, factors):  # type: ignore[no-untyped-def]
    """Take eight rows, each times its factor, from another that begins at column `start`."""
    f0, f1, f2, f3, f4, f5, f6, f7 = factors
    r0, r1, r2, r3 = rows[0, start:], rows[1, start:], rows[2, start:], rows[3, start:]
    r4, r5, r6, r7 = rows[4, start:], rows[5, start:], rows[6, start:], rows[7, start:]
    for j in range(len(target)):
        x = f0 * r0[j] + f1 * r1[j] + f2 * r2[j] + f3 * r3[j]
        target[j] -= x + f4 * r4[j] + f5 * r5[j] + f6 * r6[j] + f7 * r7[j]


@njit(cache=True, fastmath={"contract", "reassoc"})
def _multiply(rows, start, vector):  # type: ignore[no-untyped-def]
    """Return the products of eight rows and a vector that begins at column `start`."""
    zero = np.float32(0.0)
    p0, p1, p2, p3, p4, p5, p6, p7 = zero, zero, zero, zero, zero, zero, zero, zero
    r0, r1, r2, r3 = rows[0, start:], rows[1, start:], rows[2, start:], rows[3, start:]
    r4, r5, r6, r7 = rows[4, start:], rows[5, start:], rows[6, start:], rows[7, start:]
    for j in range(len(vector)):
        p0 += r0[j] * vector[j]
        p1 += r1[j] * vector[j]
        p2 += r2[j] * vector[j]
        p3 += r3[j] * vector[j]
        p4 += r4[j] * vector[j]
        p5 += r5[j] * vector[j]
        p6 += r6[j] * vector[j]
        p7 += r7[j] * vector[j]
    return p0, p1, p2, p3, p4, p5, p6, p7


@compiled
def solve_fronts(plan, factor, inverses, x):  # type: ignore[no-untyped-def]
    """Solve with the factor, in place: x (dofs,) float32 holds the right side, then the solution; held entries stay."""
    dofs, dofs_at, blocks_at, factor_at = plan.dofs, plan.dofs_at, plan.blocks_at, plan.factor_at
    fronts = len(plan.eliminated)
    local = np.empty(plan.widest + STRIP, x.dtype)
    local[:] = 0.0
    for step in range(2 * fronts):
        front = min(step, 2 * fronts - 1 - step)
        n, own = plan.eliminated[front], dofs[dofs_at[front] : dofs_at[front + 1]]
        u = factor[factor_at[front] : factor_at[front + 1]].reshape(-1, plan.widths[front])
        for j in range(len(own)):
            local[j] = x[own[j]]
        if step < fronts:
            _forward(u, n, local)
            for j in range(len(own)):
                x[own[j]] = local[j]
        else:
            _backward(u, n, inverses[blocks_at[front] : blocks_at[front + 1]], local)
            for j in range(n):
                x[own[j]] = local[j]


@inlined
def _forward(u, n, local):  # type: ignore[no-untyped-def]
    for k in range(0, n, STRIP):
        x = local[k : k + STRIP]
        values = x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]
        _subtract(local[k : u.shape[1]], u[k : k + STRIP], k, values)


@inlined
def _backward(u, n, inverses, local):  # type: ignore[no-untyped-def]
    for block in range(len(inverses) - 1, -1, -1):
        k = block * STRIP
        x0, x1, x2, x3, x4, x5, x6, x7 = _multiply(u[k : k + STRIP], k, local[k : u.shape[1]])
        x0, x1, x2, x3, x4, x5, x6, x7 = -x0, -x1, -x2, -x3, -x4, -x5, -x6, -x7
        inverse = inverses[block]
        for p in range(min(STRIP, n - k)):
            right = local[k + p]
            x0 += inverse[p, 0] * right
            x1 += inverse[p, 1] * right
            x2 += inverse[p, 2] * right
            x3 += inverse[p, 3] * right
            x4 += inverse[p, 4] * right
            x5 += inverse[p, 5] * right
            x6 += inverse[p, 6] * right
            x7 += inverse[p, 7] * right
        solved = x0, x1, x2, x3, x4, x5, x6, x7
        for q in range(min(STRIP, n - k)):
            local[k + q] = solved[q]
