"""The order of elimination of a block: nested dissection (George 1973) into fronts (Duff and Reid 1983).

`dissect` halves the block again and again. Each part has a *front*, a dense symmetric matrix over some degrees of
freedom: first those that it eliminates, which no element outside of the part shares, then those on its edge. It is the
sum of its elements, or of what its two halves leave after elimination (their Schur complements). fronts.py computes
them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Columns in a strip, and rows that are eliminated together; rows of zeros make their number a multiple. That many
# single-precision numbers are a vector of AVX2, and half of one of AVX-512.
STRIP = 8
LEAF = 8  # elements of a part that is not halved; more waste work on zeros, fewer on small matrices

Ints = NDArray[np.int64]
Part = tuple[int, int, int, int]
"""First and last column of elements, first and last row; the last ones are outside."""


class Plan(NamedTuple):
    """The fronts of a block, each after its halves; arrays of the fronts' parts one after the other.

    Attributes:
        dofs: flat degrees of freedom of each front; `dofs_at` (fronts + 1,) where those of a front begin.
        sizes, widths: (fronts,) degrees of freedom of each front; columns of its rows, a whole number of strips.
        widest: the largest width.
        eliminated: (fronts,) number of degrees of freedom that the front eliminates; they come first in `dofs`.
        blocks_at, factor_at: (fronts + 1,) where its inverses of diagonal blocks and its rows `u` begin in the factor.
        schur_at: (fronts,) where its `c` begins in a workspace of `room` numbers, which halves free for others.
        shared_at: (fronts + 1,) where its `c` begins in `Shared.schur`.
        elements: of each leaf; `elements_at` (fronts + 1,) where they begin.
        places: (elements, 16) place in the front of their edge degrees of freedom, -1 where held.
        halves: (fronts, 2) numbers of the halves, -1 for a leaf.
        runs: (runs, 3) begin, end, shift. Rows begin..end of a half's Schur complement are added to its parent front at
            begin + shift..end + shift; `runs_at` (fronts + 1,) where those of a half begin.
    """

    dofs: Ints
    dofs_at: Ints
    sizes: Ints
    widths: Ints
    widest: int
    eliminated: Ints
    blocks_at: Ints
    factor_at: Ints
    schur_at: Ints
    room: int
    shared_at: Ints
    elements: Ints
    elements_at: Ints
    places: Ints
    halves: Ints
    runs: Ints
    runs_at: Ints


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
    widths, skipped, rows_of = -(-sizes // STRIP) * STRIP, eliminated // STRIP * STRIP, -(-eliminated // STRIP) * STRIP
    areas = (sizes - eliminated) * (widths - skipped)
    schur_at, room = _workspace(areas, halves)
    place, runs, elements, places = np.full(free.size, -1), [], [], []
    for number, front in enumerate(fronts):
        if whole[number] >= 0:
            place[fronts[whole[number]]] = np.arange(sizes[whole[number]])
        runs.append(_runs(place[front[eliminated[number] :]]))
        place[front] = np.arange(sizes[number])
        own = _elements(parts[number], rows) if halves[number, 0] < 0 else np.empty(0, np.int64)
        elements.append(own)
        places.append(np.where(free[edge_dofs[own]], place[edge_dofs[own]], -1))
    return Plan(
        dofs=np.concatenate(fronts),
        dofs_at=_starts(fronts),
        sizes=sizes,
        widths=widths,
        widest=int(widths.max()),
        eliminated=eliminated,
        blocks_at=_sums(rows_of // STRIP),
        factor_at=_sums(rows_of * widths),
        schur_at=schur_at,
        room=room,
        shared_at=_sums(areas),
        elements=np.concatenate(elements),
        elements_at=_starts(elements),
        places=np.concatenate(places),
        halves=halves,
        runs=np.concatenate(runs),
        runs_at=_starts(runs),
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


def _runs(places: Ints) -> Ints:
    """Return begin, end and shift (runs, 3) of the runs of consecutive numbers in ascending places."""
    begin = np.flatnonzero(np.diff(places, prepend=-2) != 1)
    end = np.append(begin[1:], len(places))[: len(begin)]
    return np.stack([begin, end, places[begin] - begin], axis=1)


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
