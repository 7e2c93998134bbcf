"""A disk that is full, read-only or broken at any write: a clear error, what was there is untouched, nothing half."""

import errno
import io
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from patterns import config_with, make_dataset
from shearbench import records
from shearbench.data.dataset import FOLDS, write_dataset
from shearbench.data.folds import FoldTable, write_folds
from shearbench.errors import InputError, NotWritten
from shearbench.training.crossval import fold_task, train_fold


class Disk:
    """A disk that fails at one operation of ours, counted from 0: making, writing, flushing or naming a file."""

    def __init__(self, fails_at: int, code: int) -> None:
        self.left, self.code, self.count = fails_at, code, 0

    def act(self) -> None:
        """Count an operation; fail at the one that was asked for."""
        self.count += 1
        self.left -= 1
        if self.left == -1:
            raise OSError(self.code, os.strerror(self.code))


class File(io.FileIO):
    """An open file on such a disk."""

    disk: Disk

    def write(self, content: Any) -> int:
        """Write, unless the disk fails."""
        self.disk.act()
        return super().write(content)


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, disk: Disk) -> Iterator[None]:
    """Let all files that the block writes through ``shearbench.records`` lie on a disk."""
    kind = type("FileOnDisk", (File,), {"disk": disk})
    make, sync, rename = records.tempfile.mkstemp, os.fsync, Path.replace

    def acting(function: Callable[..., Any]) -> Callable[..., Any]:
        def act(*args: Any, **named: Any) -> Any:
            disk.act()
            return function(*args, **named)

        return act

    with monkeypatch.context() as patch:
        patch.setattr(records.tempfile, "mkstemp", acting(make))
        patch.setattr(os, "fdopen", lambda descriptor, mode: io.BufferedWriter(kind(descriptor, mode)))
        patch.setattr(os, "fsync", acting(sync))
        patch.setattr(Path, "replace", acting(rename))
        yield


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_fold_that_cannot_be_written_leaves_nothing_half_and_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    train, test = make_dataset(60, seed=1), make_dataset(20, seed=2, first_id=60)
    write_dataset(tmp_path / "data", {"train": train, "test": test}, {})
    write_folds(tmp_path / "data" / FOLDS, FoldTable(train.ids, train.ids[None] % 3))
    sources = _files(tmp_path)
    config = config_with(architecture="mlp", width=0.02, epochs=1)

    def make(name: str) -> Path:
        out = tmp_path / name
        task = fold_task(config, 0, dataset=tmp_path / "data", out=out)
        train_fold(task, lambda _: None)
        return out

    whole = _files(make("whole"))
    for operation in itertools.count():
        disk = Disk(operation, code)
        with failing(monkeypatch, disk):
            try:
                make("out")
                break
            except NotWritten as error:
                said = error
        assert str(tmp_path / "out") in str(said)
        assert "Nothing that was finished is lost" in str(said)
        assert isinstance(said, InputError), "workers tell it in a sentence"
        found = _files(tmp_path / "out")
        assert "record.json" not in found
        assert {name: whole[name] for name in found} == found, "no file is half, none is temporary"
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert operation == disk.count > 15, "every operation has failed once"
    again = _files(make("out"))
    assert {name: again[name] for name in whole if name != "record.json"} == {
        name: whole[name] for name in whole if name != "record.json"
    }
    assert {name: content for name, content in _files(tmp_path).items() if name in sources} == sources


def test_what_a_killed_process_left_of_a_file_goes_with_the_next_write(tmp_path: Path) -> None:
    left = tmp_path / ".a.json.abc.tmp"
    left.write_text("half")
    with records.atomic_file(tmp_path / "a.json") as file:
        file.write(b"1")
        (held,) = tmp_path.glob(".a.json.*.tmp")
        with records.atomic_file(tmp_path / "a.json") as other:
            other.write(b"2")
        assert held.exists(), "somebody is writing it"
    assert os.listdir(tmp_path) == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "1"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB of its own, which only root can make."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here ({mounted.stderr.strip()}); run as root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_step_on_a_disk_that_is_read_only_and_then_full_goes_on_to_the_same_results(
    small_disk: Path, tmp_path: Path
) -> None:
    """With real processes on a real file system; a program of its own, as it forks."""
    (tmp_path / "elsewhere").mkdir()
    program = [sys.executable, str(Path(__file__).with_name("full_disk.py"))]
    command = [*program, "--disk", str(small_disk), "--folder", str(tmp_path / "elsewhere")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.findall(r"^(\S+): read-only once, full (\d+) times$", done.stdout, re.MULTILINE)
    assert len(told) == 15
    assert all(int(times) > 0 for _, times in told), "each step has met the full disk"


def test_an_array_on_a_full_disk_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    records.write_npz(path, {"a": np.arange(9)})
    before = path.read_bytes()
    for operation in range(4):
        with failing(monkeypatch, Disk(operation, errno.ENOSPC)), pytest.raises(NotWritten, match="No space left"):
            records.write_npz(path, {"a": np.zeros(100_000)})
        assert os.listdir(tmp_path) == ["a.npz"]
        assert path.read_bytes() == before
