"""Atomic writes, content hashes, and records: results with their provenance.

A *record* is a folder with a ``record.json``, which is written last. It holds the result, its origin (config,
data, seed, code, versions, hardware), the SHA-256 of every file beside it, and the digest of all this. A folder without
``record.json`` is unfinished work.
"""

import csv
import fcntl
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from shearbench.errors import NEXT_STEPS, InputError, NotWritten

SCHEMA = 2
RECORD = "record.json"
DIGEST = "digest"
_TEMPORARY = ".tmp"
_PATIENCE = 3.0  # seconds
_TELL_AFTER, _LONGEST_WAIT = 10.0, 1800.0
_UMASK = os.umask(0o077)  # reading the umask requires setting it
os.umask(_UMASK)
_VERSIONS = ("numpy", "scipy", "torch", "torchvision", "scikit-learn", "shearbench")


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` for writing; it is renamed to ``path`` only if the block succeeds.

    Temporary files of the same path left by killed processes are removed.

    Raises:
        NotWritten: if the disk does not accept the file; ``path`` is then unchanged.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        descriptor, temporary = _temporary(path)
    except OSError as error:
        raise NotWritten(error.errno, error.strerror, str(path)) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            # Before the rename, because after a power failure the new name must not point to an empty file.
            os.fsync(file.fileno())
            temporary.chmod(0o666 & ~_UMASK)
            temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in NEXT_STEPS:
            raise NotWritten(error.errno, error.strerror, str(path)) from error
        raise


def _temporary(path: Path) -> tuple[int, Path]:
    """Return a new temporary file of ``path``, open and locked, which marks it as in use."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_TEMPORARY, dir=path.parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)  # another writer of the same path removed it before it was locked


def _sweep(path: Path) -> None:
    """Remove temporary files of ``path`` that no process uses."""
    for name in os.listdir(path.parent):
        if name.startswith(f".{path.name}.") and name.endswith(_TEMPORARY):
            with suppress(OSError), (path.parent / name).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                (path.parent / name).unlink()


@contextmanager
def locked(path: Path, *, busy: str | None = None) -> Iterator[None]:
    """Hold the lock file ``path``; wait for another holder, or with ``busy`` raise an error.

    Raises:
        InputError: with the text ``busy`` if it is given; otherwise after a long wait, naming the holder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        if busy and not _flocked(file.fileno()):
            raise InputError(busy)
        _wait_for(path, file.fileno())
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _wait_for(path: Path, descriptor: int) -> None:
    """Wait until the lock is free; after a while print the holder."""
    began, reported = time.monotonic(), False
    while not _flocked(descriptor):
        waited = time.monotonic() - began
        holder = path.read_text(errors="replace").strip() or "unknown"
        if waited > _LONGEST_WAIT:
            raise InputError(
                f"process {holder} has held {path} for {waited / 60:.0f} minutes; wait for it or end it, then run again"
            )
        if waited > _TELL_AFTER and not reported:
            print(f"shearbench: waiting for process {holder}, which holds {path}", file=sys.stderr)
            reported = True
        time.sleep(0.1)


@contextmanager
def locked_folder(folder: Path, *, busy: str) -> Iterator[None]:
    """Lock a folder without a lock file; an ending process gets a few seconds to release it.

    Raises:
        InputError: with the text ``busy`` if another process holds the folder.
    """
    descriptor, patience = os.open(folder, os.O_RDONLY), time.monotonic() + _PATIENCE
    try:
        while not _flocked(descriptor):
            if time.monotonic() > patience:
                raise InputError(busy)
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _flocked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    with atomic_file(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write ``content`` to ``path`` as UTF-8, atomically."""
    write_bytes(path, content.encode())


def csv_of(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as the text of a CSV file, with text as :func:`csv_cell` writes it."""
    text = io.StringIO()
    cells = ([csv_cell(value) if isinstance(value, str) else value for value in row] for row in rows)
    csv.writer(text, lineterminator="\n").writerows(cells)
    return text.getvalue()


def csv_cell(text: str) -> str:
    """Escape control characters and a leading formula sign, so that a spreadsheet shows the text."""
    shown = "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys; NaN and infinity raise an error, because JSON lacks them."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: if the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run `dvc repro` to make it") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); remove it and run `dvc repro`") from None


def write_npz(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays, uncompressed, so that equal arrays give equal bytes on every machine."""
    with atomic_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Read named arrays; pickled objects are never loaded.

    Raises:
        InputError: if the file is missing, truncated or not an archive of arrays.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError:
        raise InputError(f"{path} is missing; run `dvc repro` to make it") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it and run `dvc repro`") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy returns other members as bytes
            raise InputError(f"{path} is damaged ({name} in it is no array); remove it and run `dvc repro`")
    return arrays


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def hash_arrays(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of the types, shapes and values of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def provenance() -> dict[str, Any]:
    """Return the origin of a result: commit of the code, time, versions of libraries, and the machine."""
    return {
        "commit": _commit(),
        "written": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _VERSIONS},
        "machine": {
            "system": platform.platform(),
            "processor": processor(),
            "cores": os.cpu_count(),
        },
    }


def write_record(folder: Path, result: Mapping[str, Any], files: Mapping[str, Callable[[Path], None]]) -> None:
    """Write a record: first each of ``files`` (name -> writer of that path), then ``record.json`` with their hashes."""
    for name, write in files.items():
        write(folder / name)
    hashes = {name: sha256_of(folder / name) for name in files}
    write_sealed(folder / RECORD, {"schema": SCHEMA, **result, "files": hashes, "provenance": provenance()})


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Write ``record.json`` with the digest of its content, so that edits are detected."""
    write_json(path, {**content, DIGEST: _digest(content)})  # replaces an older digest


def _digest(record: Mapping[str, Any]) -> str:
    """Return the hash of a record as JSON, without its digest."""
    content_without_digest = {key: value for key, value in record.items() if key != DIGEST}
    # A round trip through JSON makes lists of tuples and text of integer keys, as in the file.
    return hash_of(json.loads(json.dumps(content_without_digest, allow_nan=False)))


def read_record(folder: Path) -> dict[str, Any]:
    """Read a record and check the hashes of its files.

    Raises:
        InputError: if the record is missing, invalid or of another schema, or if it or a file beside it has changed.
    """
    record = read_json(folder / RECORD)
    if not isinstance(record, dict):
        raise InputError(f"{folder / RECORD} holds no record; remove {folder} and run `dvc repro`")
    if record.get("schema") != SCHEMA:
        raise InputError(
            f"{folder / RECORD} has schema {record.get('schema')!r} but this version reads {SCHEMA}; "
            "use the version of shearbench that wrote it, or remove the folder and run `dvc repro`"
        )
    if record.get(DIGEST) != _digest(record):
        raise InputError(
            f"{folder / RECORD} was changed after it was written: its digest is of other content; "
            f"remove {folder} and run `dvc repro`"
        )
    require_shape(record, {"files": dict}, folder / RECORD, f"remove {folder} and")
    for name, expected in record["files"].items():
        if not (folder / name).is_file() or sha256_of(folder / name) != expected:
            raise InputError(
                f"{folder / name} is not the file that its record was written with; remove {folder} and run `dvc repro`"
            )
    return record


def require_shape(value: Any, shape: Any, path: Path, step: str = "") -> None:
    """Raise InputError for JSON of another shape than the pipeline writes.

    Args:
        value: the value as read.
        shape: a type or types; a mapping of required keys to their shapes; or a list with the one shape of all
            items.
        path: the file.
        step: the step before ``dvc repro``, for the message.

    Raises:
        InputError: with the first place that differs.
    """
    place = _misshapen(value, shape)
    if place is not None:
        raise InputError(f"{path} is not what the pipeline wrote{place and f' at {place}'}; {step} run `dvc repro`")


def _misshapen(value: Any, shape: Any) -> str | None:
    """Return the first place with another shape, "" for the whole value, or None."""
    if not isinstance(shape, Mapping | list):
        return None if isinstance(value, shape) else ""
    if not isinstance(value, dict if isinstance(shape, Mapping) else list):
        return ""
    parts = shape if isinstance(shape, Mapping) else dict.fromkeys(range(len(value)), shape[0])
    for key, wanted in parts.items():
        place = "" if isinstance(shape, Mapping) and key not in value else _misshapen(value[key], wanted)
        if place is not None:
            return f"{key}.{place}".rstrip(".")
    return None


def is_finished(folder: Path) -> bool:
    """Return True if a folder has a finished record; :func:`read_record` checks if it is damaged."""
    return (folder / RECORD).is_file()


def _commit() -> str:
    """Return the commit of the code, with ``+`` if files differ from it, or ``unknown`` outside a repository."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "--short=12", "HEAD")
        changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.CalledProcessError) as error:
        refused = isinstance(error, subprocess.CalledProcessError) and "dubious ownership" in error.stderr
        return "unknown: git refuses a folder of another owner" if refused else "unknown"
    return commit + ("+" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
