"""Read, check and compare the published displacements of Mechanical MNIST.

Published files (OpenBU, Lejeune 2020): `FEA_displacement_results_step<k>.zip` with `summary_dispx_train_step<k>.txt`,
`summary_dispy_train_step<k>.txt` and the same for `test`. A line has the 784 numbers of one digit, in the order of
MNIST, with rows from the *bottom* of the block. The functions return image orientation, like the simulator.

The archive is never unpacked to disk. An archive with links, special files or unsafe paths is refused.
"""

import itertools
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shearbench.data.config import PublishedDataset
from shearbench.data.dataset import Fields, Samples, Split
from shearbench.data.download import download
from shearbench.errors import InputError
from shearbench.mechanics.loads import displacements_of
from shearbench.records import sha256_of

SIDE = 28  # pixels of MNIST
MAX_MEMBERS = 1000
MAX_MEMBER_BYTES = 1 << 31  # the largest published member, 60,000 lines of 784 numbers, is about half of that
AGREEMENT = 0.2  # relative to the difference between the fields with and without digits; wrong fields are far above
_MAX_LINE = 64 * SIDE * SIDE
_AGAIN = "take the archive from its source again"


def read_published(archive: Path, *, step: int, split: Split) -> NDArray[np.float32]:
    """Return displacements (n, 2, 28, 28) of a split, u_x and u_y (up) in pixels, row 0 at the top.

    Raises:
        InputError: on an archive that cannot be read, is unsafe, lacks a file, or has a line that is not 784 finite
            numbers; the message names the member and the line.
    """
    with _opened(archive) as members:
        x, y = (_read_member(members, f"summary_disp{axis}_{split}_step{step}.txt") for axis in "xy")
    if len(x) != len(y):
        raise InputError(f"{archive} has u_x of {len(x)} samples but u_y of {len(y)}; {_AGAIN}")
    from_bottom = np.stack([x, y], axis=1).reshape(-1, 2, SIDE, SIDE)
    return np.ascontiguousarray(from_bottom[:, :, ::-1])


def published_fields(entry: PublishedDataset, digits: Samples, *, split: Split, folder: Path) -> Fields:
    """Return the published fields of the digits, with hash and orientation checked; a URL is downloaded to `folder`.

    Raises:
        InputError: if the archive is missing, has another hash, or holds fields of other digits.
    """
    archive = _fetch(entry, folder)
    displacement = read_published(archive, step=entry.step, split=split)
    if not digits.grey or digits.images.shape[1:] != (SIDE, SIDE):
        raise InputError(
            f"{digits.name} must hold MNIST, of which {archive} has the fields; got images {digits.images.shape[1:]}"
        )
    if len(displacement) != len(digits.ids):
        raise InputError(
            f"{archive} has fields of {len(displacement)} {split} digits, but there are {len(digits.ids)}; the archive "
            "holds all of MNIST: set sources.mnist to download or to a path, and run `shearbench data --adopt`"
        )
    check_orientation(displacement, digits.images, load=entry.load, step=entry.step)
    return Fields(str(archive), digits.ids, np.array([entry.step]), displacement[:, None])


def _fetch(entry: PublishedDataset, folder: Path) -> Path:
    if "://" in entry.archive:
        return download(entry.archive, folder, sha256=entry.sha256)
    archive = Path(entry.archive)
    if not archive.is_file():
        raise InputError(f"{archive} is missing; correct `archive` in params.yaml, or give the URL to take it from")
    found = sha256_of(archive)
    if found != entry.sha256.lower():
        raise InputError(f"{archive} has SHA-256 {found}, but params.yaml says {entry.sha256}; {_AGAIN}")
    return archive


def check_orientation(published: NDArray[np.float32], bitmaps: NDArray[np.uint8], *, load: str, step: int) -> float:
    """Check digits and orientation of published fields against a simulation of the first three.

    Each field is compared with the simulated one unchanged, upside down, mirrored, transposed, and in all combinations.
    The unchanged one must fit best, within `AGREEMENT`. The difference (L2) is relative to the contribution of the
    digits, that is, simulated fields minus the field of an empty block, because the latter dominates the fields.

    ``published`` is (n, 2, 28, 28) in image orientation, ``bitmaps`` uint8 (n, 28, 28) in the same order. Returns the
    relative difference over these three.

    Raises:
        InputError: if another orientation fits better, or none fits; the message names the best one.
    """
    from shearbench.mechanics.simulation import simulate  # imported only here, because the simulator compiles

    digits = bitmaps[:3]
    blocks = np.concatenate([digits, np.zeros_like(digits[:1])])
    *simulated, empty = simulate(blocks, load=load, displacements=[displacements_of(load)[step]]).displacement[:, 0]
    added = max(float(np.linalg.norm(np.stack(simulated) - empty)), 1e-12)  # 0 for blank digits
    turned = _orientations(published[: len(digits)])
    errors = {name: float(np.linalg.norm(fields - np.stack(simulated))) / added for name, fields in turned}
    best = min(errors, key=errors.__getitem__)
    if best != "as it is" or errors[best] > AGREEMENT:
        raise InputError(
            f"published fields must be those of the digits under {load} at step {step}: they differ by "
            f"{errors['as it is']:.1%} as they are, and least ({errors[best]:.1%}) {best}; check that the archive, "
            "load, step and digits belong together"
        )
    return errors[best]


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file; raise InputError if a member is a link, a special file or has an unsafe path."""
    try:
        with zipfile.ZipFile(archive) as members:
            _check_members(archive, members.infolist())
            yield members
    except FileNotFoundError:
        raise InputError(f"{archive} is missing; download FEA_displacement_results_step<k>.zip from OpenBU") from None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise InputError(f"{archive} is not a whole zip file ({error}); {_AGAIN}") from None


def _check_members(archive: Path, members: Sequence[zipfile.ZipInfo]) -> None:
    if len(members) > MAX_MEMBERS:
        raise InputError(f"{archive} must have at most {MAX_MEMBERS} members; got {len(members)}")
    names = [member.filename for member in members]
    for member in members:
        fault = _fault(member, names)
        if fault:
            raise InputError(f"{archive} is refused: its member {member.filename!r} {fault}")
    ordered = sorted(members, key=lambda member: member.header_offset)
    for one, following in itertools.pairwise(ordered):
        if one.header_offset + one.compress_size >= following.header_offset:
            raise InputError(f"{archive} is refused: {one.filename!r} and {following.filename!r} overlap")


def _fault(member: zipfile.ZipInfo, names: Sequence[str]) -> str | None:
    path, kind = PurePosixPath(member.filename), stat.S_IFMT(member.external_attr >> 16)
    # zipfile cuts a name at a NUL and converts backslashes on Windows; orig_filename is the name in the archive.
    if path.is_absolute() or ".." in path.parts or set(member.orig_filename) & set("\0\\:"):
        return "lies outside of the archive or has a name that means different things on different systems"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link, a device or another special file"
    if names.count(member.filename) > 1:
        return "is there twice"
    if member.file_size > MAX_MEMBER_BYTES:
        return f"unpacks to {member.file_size} bytes, the most is {MAX_MEMBER_BYTES}"
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "is encrypted, or packed in another way than deflate"
    return None


def _read_member(members: zipfile.ZipFile, name: str) -> NDArray[np.float32]:
    """Return the numbers (n, 784) of the text file of that name, in any folder of the archive."""
    found = [member for member in members.infolist() if PurePosixPath(member.filename).name == name]
    if len(found) != 1:
        raise InputError(f"{members.filename} must have one file {name}; got {[member.filename for member in found]}")
    with members.open(found[0]) as file:
        lines = enumerate(iter(partial(file.readline, _MAX_LINE), b""), start=1)
        rows = [_parse(line, f"{name} line {number}") for number, line in lines if line.strip()]
    if not rows:
        raise InputError(f"{name} in {members.filename} is empty; {_AGAIN}")
    return np.stack(rows)


def _parse(line: bytes, place: str) -> NDArray[np.float32]:
    try:
        row = np.array(line.split(), dtype=np.float32)
    except ValueError as error:
        raise InputError(f"{place} must be numbers: {error}; {_AGAIN}") from None
    if row.shape != (SIDE * SIDE,) or not np.isfinite(row).all():
        raise InputError(f"{place} must be {SIDE * SIDE} finite numbers; got {len(row)}; {_AGAIN}")
    return row


def _orientations(fields: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the eight orientations of a square grid by name; components are unchanged."""
    for transposed, flipped, mirrored in itertools.product((False, True), repeat=3):
        grid = fields.swapaxes(2, 3) if transposed else fields
        grid = grid[:, :, ::-1] if flipped else grid
        grid = grid[..., ::-1] if mirrored else grid
        done = [("transposed", transposed), ("upside down", flipped), ("mirrored", mirrored)]
        yield " and ".join(name for name, applies in done if applies) or "as it is", grid
