"""Simulate displacement fields of bitmaps: the entry point of the finite element simulator.

Inputs are uint8 bitmaps (n, height, width), a load and its displacements. The result is `Fields`. Every sample is
solved separately, in double precision and one thread. Its numbers depend only on its bitmap, the load and the
displacement, not on other samples, their order, or other requested displacements.

    from shearbench.mechanics.simulation import simulate
    fields = simulate(bitmaps, load="shear", displacements=[0.0, 1.0])
"""

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from shearbench.errors import InputError
from shearbench.mechanics.block import Block, Floats, build_block
from shearbench.mechanics.loads import load_named
from shearbench.mechanics.material import lame_parameters, young_modulus
from shearbench.mechanics.newton import Equilibrium, NotConverged, Sample, reach, undeformed

SOLVER_VERSION = 3  # increased by every change of the solver that changes results
LOAD_STEPPING = (
    "waypoints every 1/14 of the height (2 pixels), the first from rest, each from the one below; "
    "d in one step from the waypoint below it; a step that fails is halved"
)
_WAYPOINTS_PER_HEIGHT = 14
_FINEST = 4  # elements per pixel and direction; memory and time of a factorisation grow with their third power


@dataclass(frozen=True)
class Failure:
    """The indexes of a sample and a step without equilibrium, and the reason."""

    sample: int
    step: int
    reason: str


@dataclass(frozen=True, eq=False)
class Fields:
    """Equilibria of n samples at each of `displacements`, lengths in pixels.

    Attributes:
        load: name of the load.
        displacements: imposed displacement d of each step.
        displacement: (n, steps, 2, height, width) displacement (u_x, u_y) at the pixel centres, in image
            orientation: row 0 is the top of the block. u_x points to the right, u_y *up*, against the
            direction of the rows.
        strain_energy: (n, steps) per unit thickness, in (unit of E) pixel^2; zero at rest.
        reaction: (n, steps, 2) force (x, y) of the support of the top edge on the block, per
            unit thickness, in (unit of E) pixel; zero in a component that this support does not hold.
        converged: (n, steps) False where no equilibrium was found; the values there are NaN.
        failures: samples and steps without equilibrium, with reasons.
    """

    load: str
    displacements: tuple[float, ...]
    displacement: Floats
    strain_energy: Floats
    reaction: Floats
    converged: NDArray[np.bool_]
    failures: tuple[Failure, ...]


def compile_kernels() -> None:
    """Fill numba's cache with the kernels of :func:`simulate` by a small block, for all later processes.

    Without the garbage collector, which takes a tenth of the compiler's time.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        simulate(np.zeros((1, 2, 2), np.uint8), load="shear", displacements=[0.1])
    finally:
        if collected:
            gc.enable()


def simulate(
    bitmaps: NDArray[np.uint8],
    *,
    load: str,
    displacements: Sequence[float],
    failures: Literal["raise", "record"] = "raise",
    shape: tuple[int, int] | None = None,
    elements: tuple[int, int] = (1, 1),
    advance: Callable[[int], None] = lambda _: None,
) -> Fields:
    """Solve finite elasticity for every bitmap under one load, at each of the displacements.

    Each pixel is a unit square of compressible neo-Hookean material (material.py), E = value/255 * 99 + 1,
    nu = 0.3, plane strain; 9-node quadratic elements with 3 x 3 Gauss points. Loads and published
    displacements: loads.py. At convergence, the free residual is below 1e-9 of the forces of the supports.

    Args:
        bitmaps: uint8, (n, height, width), n >= 1; row 0 is the top of the block.
        load: "uniaxial", "shear", "equibiaxial" or "confined".
        displacements: imposed d in pixels, 0 <= d < height; `displacements_of(load)` is the published list.
        failures: for a sample without equilibrium, "raise" stops, "record" stores NaN and converged = False.
        shape: required (height, width) of the bitmaps; by default any, of at least one pixel per side.
        elements: number of elements per pixel in x and in y, 1 to 4 each. Datasets use (1, 1). More elements resolve
            the corners between stiff and soft pixels better; the time grows with the first and with the third power of
            the second (docs/mechanics.md).
        advance: called with 1 after each sample.

    Raises:
        InputError: (a ValueError) on input that breaks a rule above, with parameter, rule and value.
        NotConverged: if a sample has no equilibrium; the message has its index, the load and the displacement.
    """
    check_bitmaps(bitmaps, shape)
    height, width = bitmaps.shape[1:]
    _check_displacements(displacements, height)
    if failures not in ("raise", "record"):
        raise InputError(f"failures must be 'raise' or 'record'; got {failures!r}")
    check_elements(elements)
    block = build_block(height, width, load_named(load), elements)
    fields = _empty_fields(len(bitmaps), load, tuple(float(d) for d in displacements), (height, width))
    failed: list[Failure] = []
    # BLAS uses one thread, because its vectors are short, and more threads would change the rounding.
    with threadpool_limits(limits=1, user_api="blas"):
        for index, bitmap in enumerate(bitmaps):
            failed += _solve(fields, index, _sample_of(bitmap, block))
            if failed and failures == "raise":
                place = f"sample {index}, load {load}, d = {displacements[failed[0].step]:g}"
                raise NotConverged(f"{place}: {failed[0].reason}")
            advance(1)
    return replace(fields, failures=tuple(failed))


def _solve(fields: Fields, index: int, sample: Sample) -> list[Failure]:
    """Store the equilibria of one sample in `fields`; return its failures."""
    failed = []
    for d, result in _path(sample, fields.displacements):
        steps = [step for step, requested in enumerate(fields.displacements) if requested == d]
        if isinstance(result, Equilibrium):
            _store(fields, index, steps, result)
        else:
            failed += [Failure(index, step, str(result)) for step in steps]
    return failed


def _path(sample: Sample, displacements: Sequence[float]) -> Iterator[tuple[float, Equilibrium | NotConverged]]:
    """Yield each waypoint and each displacement in ascending order, with its equilibrium or the failure.

    Every d starts from the last waypoint below it, whatever the other displacements, so its bits are always equal.
    """
    spacing = sample.block.height / _WAYPOINTS_PER_HEIGHT
    waypoints = {spacing * k for k in range(1, math.ceil(max(displacements) / spacing))}
    start = undeformed(sample)
    for d in sorted(waypoints | set(displacements)):
        try:
            result = reach(start, d) if d > 0 else start
        except NotConverged as error:
            yield d, error
            continue
        yield d, result
        if d in waypoints:
            start = result


def _sample_of(bitmap: NDArray[np.uint8], block: Block) -> Sample:
    """Return the block with the moduli of the bitmap, column by column from the bottom like its elements."""
    across, up = block.elements
    columns = bitmap[::-1].T.repeat(across, axis=0).repeat(up, axis=1)
    return Sample(block, *lame_parameters(young_modulus(columns.ravel())))


def _pixel_centres(block: Block, u: Floats) -> Floats:
    """Return a nodal field at pixel centres (2, height, width), image orientation; 2 across x 2 up nodes per pixel."""
    across, up = block.elements
    nodes = u.reshape(2 * block.columns + 1, 2 * block.rows + 1, 2)
    centres: Floats = nodes[across :: 2 * across, up :: 2 * up]
    return centres.transpose(2, 1, 0)[:, ::-1]


def _empty_fields(n: int, load: str, displacements: tuple[float, ...], shape: tuple[int, int]) -> Fields:
    steps = len(displacements)
    return Fields(
        load,
        displacements,
        displacement=np.full((n, steps, 2, *shape), np.nan),
        strain_energy=np.full((n, steps), np.nan),
        reaction=np.full((n, steps, 2), np.nan),
        converged=np.zeros((n, steps), dtype=bool),
        failures=(),
    )


def _store(fields: Fields, index: int, steps: list[int], equilibrium: Equilibrium) -> None:
    block = equilibrium.sample.block
    fields.displacement[index, steps] = _pixel_centres(block, equilibrium.u)
    fields.strain_energy[index, steps] = equilibrium.energy
    fields.reaction[index, steps] = (equilibrium.forces * block.loaded_support).sum(axis=0)
    fields.converged[index, steps] = True


def check_bitmaps(bitmaps: NDArray[np.uint8], shape: tuple[int, int] | None = None) -> None:
    """Raise InputError unless bitmaps are uint8 (n, height, width) with n >= 1, and of ``shape`` if given."""
    if not isinstance(bitmaps, np.ndarray) or bitmaps.dtype != np.uint8:
        got = getattr(bitmaps, "dtype", type(bitmaps).__name__)
        raise InputError(f"bitmaps must be an array of uint8 (grey values 0 to 255); got {got}")
    if bitmaps.ndim != 3 or 0 in bitmaps.shape or (shape is not None and bitmaps.shape[1:] != tuple(shape)):
        rule = "(n, height, width), none of them 0" if shape is None else f"(n, {shape[0]}, {shape[1]}) with n >= 1"
        raise InputError(f"bitmaps must be {rule}; got shape {bitmaps.shape}")


def check_elements(elements: tuple[int, int]) -> None:
    """InputError unless the numbers of elements along a pixel's sides can be solved."""
    if len(elements) != 2 or not all(isinstance(count, int) and 1 <= count <= _FINEST for count in elements):
        raise InputError(f"elements must be two whole numbers from 1 to {_FINEST}, in x and in y; got {elements!r}")


def _check_displacements(displacements: Sequence[float], height: int) -> None:
    values = np.asarray(displacements)
    if values.ndim != 1 or len(values) == 0 or values.dtype.kind not in "iuf":
        raise InputError(f"displacements must be a list of at least one number; got {displacements!r}")
    for d in displacements:
        if not 0 <= d < height:  # NaN fails this too
            raise InputError(f"displacements must be at least 0 and below the height {height}; got {d}")
