"""A disk that is full, read-only or broken at any write: a clear error, what was there is untouched, nothing half."""

import errno
import io
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from patterns import experiment_with, make_dataset
from shearbench import records
from shearbench.data.dataset import write_dataset
from shearbench.data.folds import FoldTable, write_folds
from shearbench.errors import InputError, NotWritten
from shearbench.training.crossval import fold_task, train_fold

PROGRAM = (sys.executable, "-m", "shearbench.cli")


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
    write_folds(tmp_path / "folds.npz", FoldTable(train.ids, train.ids[None] % 3))
    sources = _files(tmp_path)
    experiment = experiment_with(architecture="mlp", width=0.02, epochs=1)

    def make(name: str) -> Path:
        out = tmp_path / name
        task = fold_task(experiment, 0, dataset=tmp_path / "data", folds=tmp_path / "folds.npz", out=out)
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
    """A file system of 48 MB of its own, which only root can make."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here ({mounted.stderr.strip()}); run as root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*PROGRAM, *words], cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done


def _fill(disk: Path, leave: int) -> None:
    """Write a file that leaves so many bytes free."""
    (disk / "filler").unlink(missing_ok=True)
    free = shutil.disk_usage(disk).free - leave
    with (disk / "filler").open("wb") as file:
        for start in range(0, free, 1 << 20):
            file.write(b"\0" * min(1 << 20, free - start))


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [("stage", "train", "mnist-mlp"), ("stage", "evaluate", "mnist-mlp"), ("stage", "compare")]
)
def test_a_full_disk_stops_a_stage_with_a_sentence_and_the_same_command_goes_on(
    finished_once: Path, small_disk: Path, words: tuple[str, ...]
) -> None:
    root = small_disk / "project"
    shutil.copytree(finished_once, root)
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("uri: default", "uri: 'off'"))
    made = {
        "train": "build/runs/mnist/mlp", "evaluate": "build/evaluation/mnist/mlp", "compare": "build/comparison"
    }[words[1]]  # fmt: skip
    before = _files(root)
    stopped = 0
    for leave in (0, 4096, 65_536, 131_072, 1 << 19):
        shutil.rmtree(root / made)
        _fill(small_disk, leave)
        done = _run(root, *words)
        (small_disk / "filler").unlink()
        now = _files(root)
        assert not [name for name in now if name.endswith(".tmp")]
        assert {name for name, content in before.items() if name in now and now[name] != content} <= {
            name for name in before if name.endswith(("record.json", ".json"))
        }, "times differ, nothing else"
        if done.returncode:
            stopped += 1
            assert "No space left on device" in done.stderr
            assert "free some space and run the same command again" in done.stderr.replace("\n", " ")
            assert f"{made}/record.json" not in now
    assert stopped >= 2
    assert _run(root, *words).returncode == 0
    after = _files(root)
    assert after.keys() == before.keys()
    differing = {name for name in before if after[name] != before[name] and not name.endswith((".json", ".csv"))}
    assert differing == set()


@pytest.mark.slow
def test_a_read_only_disk_is_said_and_nothing_changes(finished_once: Path, small_disk: Path) -> None:
    root = small_disk / "project"
    shutil.copytree(finished_once, root)
    shutil.rmtree(root / "build/runs/mnist/mlp/fold-0")
    before = _files(root)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for words in (("stage", "train", "mnist-mlp"), ("stage", "settings")):
        done = _run(root, *words)
        assert done.returncode in (1, 2)
        assert "Read-only file system" in done.stderr
        assert "run in a folder that can be written" in done.stderr.replace("\n", " ")
    assert _files(root) == before


def test_an_array_on_a_full_disk_keeps_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    records.write_npz(path, {"a": np.arange(9)})
    before = path.read_bytes()
    for operation in range(4):
        with failing(monkeypatch, Disk(operation, errno.ENOSPC)), pytest.raises(NotWritten, match="No space left"):
            records.write_npz(path, {"a": np.zeros(100_000)})
        assert os.listdir(tmp_path) == ["a.npz"]
        assert path.read_bytes() == before
