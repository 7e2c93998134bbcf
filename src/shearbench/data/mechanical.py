"""Simulate the displacement fields of many samples on all cores, in shards that survive a kill.

Input: bitmaps, a load and steps of its published list. Output: one npz file of any number of samples, written with
constant memory. A shard holds `SHARD` fields, so that few samples with many steps keep all cores busy too. Its name is
a hash of its inputs (bitmaps, load, displacements, solver version), so a killed run continues with the finished shards.
The bytes do not depend on the number of workers or on interruptions. A shard with a wrong SHA-256 is computed again.

    card = simulate_dataset(bitmaps, Path("shear.npz"), load="shear", steps=[5], shard_folder=Path("build/shards"))
"""

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.idx import read_images
from shearbench.errors import InputError, TasksFailed, few
from shearbench.execution import Workers, run_tasks
from shearbench.mechanics.loads import displacements_of
from shearbench.mechanics.newton import TOLERANCE
from shearbench.mechanics.simulation import LOAD_STEPPING, SOLVER_VERSION, check_bitmaps, check_elements, simulate
from shearbench.records import atomic_file, hash_arrays, hash_of, read_json, read_npz, sha256_of, write_json, write_npz

SHARD = 250  # fields: one or two seconds of work, 1.6 MB
_ARRAYS = ("displacement", "strain_energy", "reaction", "converged")


@dataclass(frozen=True, eq=False)
class _Shard:
    """One task: samples first ... first + len(bitmaps) - 1 of a simulation, and the files of their fields."""

    first: int
    bitmaps: NDArray[np.uint8]
    load: str
    steps: tuple[int, ...]
    displacements: tuple[float, ...]
    elements: tuple[int, int]
    path: Path

    @property
    def card_path(self) -> Path:
        """The file written last: SHA-256 of the arrays, and the reasons of failures."""
        return self.path.with_suffix(".json")


def simulate_dataset(
    bitmaps: NDArray[np.uint8],
    output: Path,
    *,
    load: str,
    steps: Sequence[int],
    shard_folder: Path,
    ids: NDArray[np.int64] | None = None,
    workers: Workers = "auto",
    keep_failed: bool = False,
    elements: tuple[int, int] = (1, 1),
) -> dict[str, Any]:
    """Simulate samples under one load at some of its published steps, in parallel processes, into an npz file.

    The file has `ids` (n,), if given; `steps` (s,) and their `displacements` (s,); `displacement` float32
    (n, s, 2, height, width), u_x and u_y (up) in pixels at the pixel centres, row 0 at the top; `strain_energy` float64
    (n, s); `reaction` float64 (n, s, 2), the force on the top edge; `converged` bool (n, s), False where the values are
    NaN because no equilibrium was found.

    Args:
        bitmaps: uint8 (n, height, width), row 0 at the top.
        output: the npz file. Memory use is constant: shards are copied one by one.
        load: "uniaxial", "shear", "equibiaxial" or "confined".
        steps: indexes into `displacements_of(load)`; step 5 is d = 1. The solver's own load stepping
            (mechanics.LOAD_STEPPING) makes the bytes of a step independent of the other requested steps.
        shard_folder: folder of finished shards, which are reused.
        keep_failed: store a sample without equilibrium as NaN instead of raising an error.
        elements: number of elements per pixel in x and in y, as for `mechanics.simulate`.

    Returns:
        The metadata of the fields, for a JSON file beside them.

    Raises:
        InputError: on bad bitmaps, load, steps or elements.
        TasksFailed: a sample found no equilibrium (named, with load and reason), or a worker failed.
    """
    check_bitmaps(bitmaps)
    _check_steps(load, steps)
    check_elements(elements)
    shards = list(_plan(bitmaps, load, tuple(steps), elements, shard_folder))
    missing = {shard.path: shard for shard in shards if not _has_recorded_hash(shard.path)}
    run_tasks(
        _solve,
        list(missing.values()),
        workers=workers,
        label=f"simulate {load}",
        name=lambda shard: f"samples {shard.first} to {shard.first + len(shard.bitmaps) - 1}",
        units=lambda shard: len(shard.bitmaps),
        writes=lambda shard: (shard.path, shard.card_path),
    )
    failed = _failures(shards)
    if failed and not keep_failed:
        keep = "`shearbench simulate --keep-failed` keeps the other samples"
        raise TasksFailed(f"no equilibrium under load {load}; {keep}: {few(failed)}")
    head = {"steps": np.array(steps, np.int64), "displacements": np.array(shards[0].displacements)}
    _write_merged(output, head if ids is None else {"ids": ids, **head}, shards)
    return {
        "load": load,
        "steps": list(steps),
        "displacements": list(shards[0].displacements),
        "samples": len(bitmaps),
        "failed": len(failed),
        **_facts(elements),
    }


def _facts(elements: tuple[int, int]) -> dict[str, Any]:
    """Return solver, units and orientation of fields, for the JSON file beside them."""
    return {
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


def simulate_file(source: Path, output: Path, *, elements: tuple[int, int] = (1, 1), **options: Any) -> dict[str, Any]:
    """Simulate the samples of a file into `output`, an npz file; write and return its metadata, a JSON file beside it.

    `source` is an IDX file of images (gzipped or not), or a .npy file of a uint8 array, (n, height, width). `options`
    are load, steps, workers and keep_failed of `simulate_dataset`. Shards stay in `output`.shards until the user
    deletes them.

    Raises:
        InputError, TasksFailed: as `simulate_dataset`, and on a source that cannot be read.
    """
    if output.suffix != ".npz":
        raise InputError(f"output must be a file named *.npz; got {output}")
    bitmaps = read_bitmaps(source)
    shards = output.with_suffix(".shards")
    card = simulate_dataset(bitmaps, output, shard_folder=shards, elements=elements, **options)
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


def damaged_shards(folder: Path) -> list[Path]:
    """Return the shards in a folder that differ from the hash in their card; a shard without a card is unfinished."""
    paths = (card.with_suffix(".npz") for card in sorted(folder.glob("*.json")))
    return [path for path in paths if not _has_recorded_hash(path)]


def _has_recorded_hash(path: Path) -> bool:
    try:
        card = read_json(path.with_suffix(".json"))
        return isinstance(card, dict) and card.get("sha256") == sha256_of(path)
    except (InputError, FileNotFoundError):  # truncated or missing
        return False


def _check_steps(load: str, steps: Sequence[int]) -> None:
    last = len(displacements_of(load)) - 1
    values = np.asarray(steps)
    whole = values.ndim == 1 and values.dtype.kind in "iu" and len(values) > 0
    if not whole or not 0 <= values.min() <= values.max() <= last:
        raise InputError(f"steps must be a list of at least one index from 0 to {last} for load {load}; got {steps!r}")


def _plan(
    bitmaps: NDArray[np.uint8], load: str, steps: tuple[int, ...], elements: tuple[int, int], folder: Path
) -> Iterator[_Shard]:
    displacements = tuple(displacements_of(load, bitmaps.shape[1])[step] for step in steps)
    size = max(1, SHARD // len(steps))
    for first in range(0, len(bitmaps), size):
        part = np.ascontiguousarray(bitmaps[first : first + size])
        content = [hash_arrays(part), load, displacements, elements, SOLVER_VERSION]
        path = folder / f"{load}-{hash_of(content)[:24]}.npz"
        yield _Shard(first, part, load, steps, displacements, elements, path)


def _solve(shard: _Shard, advance: Callable[[int], None]) -> None:
    """Worker: solve a shard, write its arrays, then its card with their hash."""
    fields = simulate(
        shard.bitmaps,
        load=shard.load,
        displacements=shard.displacements,
        failures="record",
        elements=shard.elements,
        advance=advance,
    )
    arrays = {name: getattr(fields, name) for name in _ARRAYS}
    write_npz(shard.path, {**arrays, "displacement": fields.displacement.astype(np.float32)})
    reasons = [[failure.sample, failure.step, failure.reason] for failure in fields.failures]
    write_json(shard.card_path, {"sha256": sha256_of(shard.path), "failures": reasons})


def _failures(shards: Sequence[_Shard]) -> list[str]:
    return [
        f"sample {shard.first + sample} at step {shard.steps[step]}: {reason}"
        for shard in shards
        for sample, step, reason in read_json(shard.card_path)["failures"]
    ]


def _write_merged(path: Path, head: Mapping[str, NDArray[Any]], shards: Sequence[_Shard]) -> None:
    """Write the npz file of all shards, one in memory at a time."""
    samples = sum(len(shard.bitmaps) for shard in shards)
    with atomic_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in head.items():
            _write_member(archive, name, len(array), [array])
        for name in _ARRAYS:
            _write_member(archive, name, samples, (read_npz(shard.path)[name] for shard in shards))


def _write_member(archive: zipfile.ZipFile, name: str, length: int, parts: Iterable[NDArray[Any]]) -> None:
    """Append an array, given in parts along its first axis, as numpy.savez writes it, without a time stamp."""
    with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
        for place, part in enumerate(parts):
            if place == 0:
                header = {"descr": np.lib.format.dtype_to_descr(part.dtype), "fortran_order": False}
                np.lib.format.write_array_header_1_0(member, {**header, "shape": (length, *part.shape[1:])})
            member.write(np.ascontiguousarray(part).data)
