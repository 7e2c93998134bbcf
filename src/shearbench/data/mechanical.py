"""Simulate the displacement fields of many digits on all cores, in shards that survive a kill.

Input: bitmaps, a load and steps of its published list. Output: `SimulatedFields`, or one npz file of any number of
digits, written with constant memory. A shard holds `SHARD` digits. Its name is a hash of its inputs (bitmaps, load,
displacements, solver version), so a killed run continues with the finished shards. The bytes do not depend on the
number of workers or on interruptions. A shard with a wrong SHA-256 is computed again.

    fields = simulate_dataset(bitmaps, load="shear", steps=[5], shard_folder=Path("build/shards"))
"""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shearbench.data.idx import read_images
from shearbench.errors import InputError, TasksFailed
from shearbench.execution import Workers, run_tasks
from shearbench.mechanics.loads import displacements_of
from shearbench.mechanics.newton import TOLERANCE
from shearbench.mechanics.simulation import LOAD_STEPPING, SOLVER_VERSION, check_bitmaps, check_elements, simulate
from shearbench.records import atomic_file, hash_arrays, hash_of, read_json, read_npz, sha256_of, write_json, write_npz

SHARD = 250  # images: two seconds of work, 1.6 MB per step
Failures = Literal["raise", "record"]
_ARRAYS = ("displacement", "strain_energy", "reaction", "converged")
_NAMED = 5  # failed samples in a message


@dataclass(frozen=True, eq=False)
class SimulatedFields:
    """Fields of n digits at s steps of a load, as `mechanics.Fields` defines them.

    Attributes:
        load: name of the load.
        steps: (s,) indexes into the load's published displacements.
        displacement: float32 (n, s, 2, height, width), u_x and u_y (up) in pixels at the pixel centres, row 0
            at the top.
        strain_energy: float64 (n, s).
        reaction: float64 (n, s, 2) force on the top edge.
        converged: bool (n, s); False where the values are NaN because no equilibrium was found.
    """

    load: str
    steps: tuple[int, ...]
    displacement: NDArray[np.float32]
    strain_energy: NDArray[np.float64]
    reaction: NDArray[np.float64]
    converged: NDArray[np.bool_]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return every array by its name, as written to files."""
        return {
            **_step_arrays(self.load, self.steps, self.displacement.shape[3]),
            **{name: getattr(self, name) for name in _ARRAYS},
        }

    def card(self) -> dict[str, Any]:
        """Return the metadata of the fields, for a JSON file beside them."""
        return card_of(
            self.load,
            self.steps,
            height=self.displacement.shape[3],
            samples=len(self.converged),
            failed=int((~self.converged).sum()),
        )


@dataclass(frozen=True, eq=False)
class _Shard:
    """One task: digits first ... first + len(bitmaps) - 1 of a simulation, and the files of their fields."""

    first: int
    bitmaps: NDArray[np.uint8]
    load: str
    steps: tuple[int, ...]
    elements: tuple[int, int]
    path: Path

    @property
    def card_path(self) -> Path:
        """The file written last: SHA-256 of the arrays, and the reasons of failures."""
        return self.path.with_suffix(".json")

    def writes(self) -> tuple[Path, ...]:
        """Return the files of the shard, the card last."""
        return (self.path, self.card_path)


def simulate_dataset(
    bitmaps: NDArray[np.uint8],
    *,
    load: str,
    steps: Sequence[int],
    shard_folder: Path,
    workers: Workers = "auto",
    failures: Failures = "raise",
) -> SimulatedFields:
    """Simulate digits under one load at some of its published steps, in parallel processes.

    Args:
        bitmaps: uint8 (n, height, width), row 0 at the top.
        load: "uniaxial", "shear", "equibiaxial" or "confined".
        steps: indexes into `displacements_of(load)`; step 5 is d = 1. The solver's own load
            stepping (mechanics.LOAD_STEPPING) makes the bytes of a step independent of the other requested
            steps.
        shard_folder: folder of finished shards, which are reused.
        workers: number of processes, or "auto" for one per core.
        failures: "raise", or "record" to store NaN and converged = False for a digit without equilibrium.

    Raises:
        InputError: on bad bitmaps, load, steps or failures.
        TasksFailed: a digit found no equilibrium (named, with load and reason), or a worker failed.
    """
    shards = _run(bitmaps, load, steps, shard_folder, workers=workers, failures=failures)
    return SimulatedFields(load, tuple(steps), **_merged(shards))


def simulate_file(
    source: Path,
    output: Path,
    *,
    load: str,
    steps: Sequence[int],
    workers: Workers = "auto",
    failures: Failures = "raise",
    elements: tuple[int, int] = (1, 1),
) -> dict[str, Any]:
    """Simulate the digits of a file into `output`, an npz file, with a JSON file of metadata beside it.

    Memory use is constant: shards are copied one by one. They stay in `output`.shards until the user deletes them.

    Args:
        source: IDX file of images (gzipped or not), or .npy file of a uint8 array, (n, height, width).
        output: .npz file with `steps`, `displacements` and the arrays of `SimulatedFields`.
        load, steps, workers, failures: as for `simulate_dataset`.
        elements: number of elements per pixel in x and in y, as for `mechanics.simulate`.

    Returns:
        The content of the JSON file: load, steps, solver, counts, and the SHA-256 of `output`.

    Raises:
        InputError, TasksFailed: as `simulate_dataset`, and on a source that cannot be read.
    """
    if output.suffix != ".npz":
        raise InputError(f"output must be a file named *.npz; got {output}")
    bitmaps = read_bitmaps(source)
    folder = output.with_suffix(".shards")
    shards = _run(bitmaps, load, steps, folder, workers=workers, failures=failures, elements=elements)
    failed = _write_merged(output, shards, load, tuple(steps))
    height = bitmaps.shape[1]
    card = card_of(load, steps, height=height, samples=len(bitmaps), failed=failed, elements=elements)
    card |= {
        "elements": list(elements),
        "source": source.name,
        "bitmaps": hash_arrays(bitmaps),
        "sha256": sha256_of(output),
    }
    write_json(output.with_suffix(".json"), card)
    return card


def read_bitmaps(source: Path) -> NDArray[np.uint8]:
    """Return bitmaps (n, height, width) of an IDX file, gzipped or not, or of a .npy file; InputError otherwise."""
    if source.suffix != ".npy":
        return read_images(source, None)
    try:
        # Mapped first, so that a header that declares more than the file holds fails before memory is allocated.
        bitmaps = np.load(source, allow_pickle=False, mmap_mode="r")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{source} cannot be read as an array ({error}); write it with numpy.save") from None
    if not isinstance(bitmaps, np.ndarray):
        raise InputError(f"{source} holds several arrays; write one with numpy.save")
    check_bitmaps(bitmaps)
    return np.array(bitmaps)


def card_of(
    load: str, steps: Sequence[int], *, height: int, samples: int, failed: int, elements: tuple[int, int] = (1, 1)
) -> dict[str, Any]:
    """Return the metadata of fields: load, displacements, solver and its parameters, units and orientation."""
    return {
        "load": load,
        "steps": list(steps),
        "displacements": [displacements_of(load, height)[step] for step in steps],
        "samples": samples,
        "failed": failed,
        "solver": {
            "name": "shearbench.mechanics",
            "version": SOLVER_VERSION,
            "element": "9-node quadratic, 3 x 3 Gauss points, plane strain",
            "elements_a_pixel": elements[0] * elements[1],
            "backend": "conjugate gradients preconditioned by a sparse Cholesky factor in single precision",
            "tolerance": TOLERANCE,
            "load_stepping": LOAD_STEPPING,
        },
        "units": "displacement in pixels; E = value/255 * 99 + 1",
        "orientation": "row 0 at the top; u_x to the right, u_y up",
    }


def _run(
    bitmaps: NDArray[np.uint8],
    load: str,
    steps: Sequence[int],
    folder: Path,
    *,
    workers: Workers,
    failures: Failures,
    elements: tuple[int, int] = (1, 1),
) -> list[_Shard]:
    """Compute the missing shards of a simulation; return all shards in the order of the digits."""
    check_bitmaps(bitmaps)
    _check_steps(load, steps)
    if failures not in ("raise", "record"):
        raise InputError(f"failures must be 'raise' or 'record'; got {failures!r}")
    check_elements(elements)
    shards = list(_plan(bitmaps, load, tuple(steps), elements, folder))
    missing = {shard.path: shard for shard in shards if not _is_whole(shard)}
    run_tasks(
        _solve,
        list(missing.values()),
        workers=workers,
        label=f"simulate {load}",
        name=lambda shard: f"digits {shard.first} to {shard.first + len(shard.bitmaps) - 1}",
        units=lambda shard: len(shard.bitmaps),
        writes=_Shard.writes,
    )
    if failures == "raise":
        _raise_on_failures(shards)
    return shards


def _check_steps(load: str, steps: Sequence[int]) -> None:
    last = len(displacements_of(load)) - 1
    values = np.asarray(steps)
    if (
        values.ndim != 1
        or values.dtype.kind not in "iu"
        or len(values) == 0
        or not (0 <= values.min() <= values.max() <= last)
    ):
        raise InputError(f"steps must be a list of at least one index from 0 to {last} for load {load}; got {steps!r}")


def _plan(
    bitmaps: NDArray[np.uint8], load: str, steps: tuple[int, ...], elements: tuple[int, int], folder: Path
) -> Iterator[_Shard]:
    for first in range(0, len(bitmaps), SHARD):
        part = np.ascontiguousarray(bitmaps[first : first + SHARD])
        displacements = [displacements_of(load, bitmaps.shape[1])[step] for step in steps]
        content = [hash_arrays(part), load, displacements, elements, SOLVER_VERSION]
        yield _Shard(first, part, load, steps, elements, folder / f"{load}-{hash_of(content)[:24]}.npz")


def damaged_shards(folder: Path) -> list[Path]:
    """Return the shards in a folder that differ from the hash in their card; a shard without a card is unfinished."""
    paths = (card.with_suffix(".npz") for card in sorted(folder.glob("*.json")))
    return [path for path in paths if not _has_recorded_hash(path)]


def _is_whole(shard: _Shard) -> bool:
    return shard.path.is_file() and shard.card_path.is_file() and _has_recorded_hash(shard.path)


def _has_recorded_hash(path: Path) -> bool:
    """Return True if a shard has the hash in its card."""
    try:
        card = read_json(path.with_suffix(".json"))
        return isinstance(card, dict) and card.get("sha256") == sha256_of(path)
    except (InputError, FileNotFoundError):  # truncated or missing
        return False


def _solve(shard: _Shard, advance: Callable[[int], None]) -> None:
    """Worker: solve a shard, write its arrays, then its card with their hash."""
    height = shard.bitmaps.shape[1]
    displacements = [displacements_of(shard.load, height)[step] for step in shard.steps]
    fields = simulate(
        shard.bitmaps,
        load=shard.load,
        displacements=displacements,
        failures="record",
        elements=shard.elements,
        advance=advance,
    )
    arrays = {name: getattr(fields, name) for name in _ARRAYS}
    write_npz(shard.path, {**arrays, "displacement": fields.displacement.astype(np.float32)})
    reasons = [[failure.sample, failure.step, failure.reason] for failure in fields.failures]
    write_json(shard.card_path, {"sha256": sha256_of(shard.path), "failures": reasons})


def _raise_on_failures(shards: Sequence[_Shard]) -> None:
    found = [
        f"digit {shard.first + sample} at step {shard.steps[step]}: {reason}"
        for shard in shards
        for sample, step, reason in read_json(shard.card_path)["failures"]
    ]
    if found:
        more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
        raise TasksFailed(
            f"no equilibrium under load {shards[0].load}; pass failures='record' to keep the other digits\n- "
            + "\n- ".join(found[:_NAMED] + more)
        )


def _step_arrays(load: str, steps: Sequence[int], height: int) -> dict[str, NDArray[Any]]:
    displacements = np.array([displacements_of(load, height)[step] for step in steps])
    return {"steps": np.array(steps, dtype=np.int64), "displacements": displacements}


def _merged(shards: Sequence[_Shard]) -> dict[str, NDArray[Any]]:
    """Return the arrays of all shards, filled one shard at a time; concatenation would need twice the memory."""
    samples = sum(len(shard.bitmaps) for shard in shards)
    first = read_npz(shards[0].path)
    merged = {name: np.empty((samples, *first[name].shape[1:]), first[name].dtype) for name in _ARRAYS}
    for shard in shards:
        part = read_npz(shard.path)
        for name in _ARRAYS:
            merged[name][shard.first : shard.first + len(shard.bitmaps)] = part[name]
    return merged


def _write_merged(path: Path, shards: Sequence[_Shard], load: str, steps: tuple[int, ...]) -> int:
    """Write the npz file of all shards, one shard in memory at a time; return the number of failures."""
    failed = 0
    with atomic_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in _step_arrays(load, steps, shards[0].bitmaps.shape[1]).items():
            _write_member(archive, name, array.shape, iter([array]))
        samples = sum(len(shard.bitmaps) for shard in shards)
        for name in _ARRAYS:
            parts = (read_npz(shard.path)[name] for shard in shards)
            first = next(parts)
            _write_member(archive, name, (samples, *first.shape[1:]), _chain(first, parts))
        for shard in shards:
            failed += len(read_json(shard.card_path)["failures"])
    return failed


def _chain(first: NDArray[Any], rest: Iterator[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    yield first
    yield from rest


def _write_member(archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], parts: Iterator[NDArray[Any]]) -> None:
    """Append an array, given in parts along its first axis, as numpy.savez writes it, without a time stamp."""
    first = next(parts)
    header = {"descr": np.lib.format.dtype_to_descr(first.dtype), "fortran_order": False, "shape": shape}
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for part in _chain(first, parts):
            member.write(np.ascontiguousarray(part).data)
