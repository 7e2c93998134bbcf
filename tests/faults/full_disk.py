"""Every step of a small full pipeline on a disk that is read-only, then full, and then has room again.

    python tests/faults/full_disk.py --disk DISK --folder FOLDER

DISK is a small file system of its own (``mount -t tmpfs -o size=64m``), which only root can make; FOLDER is elsewhere.
Each step must say in a sentence that nothing could be written, leave what was there, and write nothing half; with room,
the same command must end as on a disk that takes everything. The steps are the program's own commands, in processes
that this one forks as :mod:`kill_loop` does.
"""

import argparse
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import kill_loop  # before all others: it sees to it that there are no threads
import yaml
from matplotlib.figure import Figure
from PIL import Image
from whole_pipeline import STEPS, make_project

from made import differences
from shearbench.cli import app
from shearbench.warm import FORKED

COMMANDS = {"tune@mlp": ("tune", "mlp"), "track": ("track",)}
ALL = [*STEPS[:-1], "explore@mnist", "report", "track"]
ROOM = (0, 4096, 16_384, 65_536, 1 << 18, 1 << 20, 1 << 22, 1 << 24)


def command(words: tuple[str, ...], _: Path) -> None:
    """Run a command of ``shearbench`` in this process, which ends with its status."""
    try:
        app(words)
        status: object = 0
    except SystemExit as end:
        status = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 1)


def run(root: Path, step: str, log: Path) -> tuple[int, str]:
    """Run a step; return its status and what it said, in one line."""
    send(root, "default" if step == "track" else "off")
    log.unlink(missing_ok=True)
    pid = kill_loop.start(partial(command, COMMANDS.get(step) or ("stage", *step.split("@"))), root, log)
    status = kill_loop.wait(pid, kill_loop.LONGEST)
    kill_loop.kill_all(pid)
    said = log.read_text()
    assert status is not None, f"{step} did not end:\n{said}"
    assert "Traceback" not in said, f"{step}:\n{said}"
    return status, " ".join(said.split())


def send(root: Path, uri: str) -> None:
    """Say where results are sent: ``off`` while a stage runs, as the process that sends them would go on beside it."""
    params = yaml.safe_load((root / "params.yaml").read_text())
    if params["tracking"]["uri"] != uri:
        params["tracking"]["uri"] = uri
        (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def files(root: Path) -> dict[str, bytes]:
    """Return the content of every file."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def fill(disk: Path, leave: int) -> None:
    """Write a file that leaves so many bytes free."""
    (disk / "filler").unlink(missing_ok=True)
    free = shutil.disk_usage(disk).free - leave
    with (disk / "filler").open("wb") as file:
        for start in range(0, free, 1 << 20):
            file.write(b"\0" * min(1 << 20, free - start))


def on_a_read_only_disk(root: Path, step: str, log: Path) -> None:
    """Run a step where nothing can be written."""
    send(root, "default" if step == "track" else "off")
    before = files(root)
    subprocess.run(["mount", "-o", "remount,ro", str(root.parent)], check=True)
    try:
        status, said = run(root, step, log)
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(root.parent)], check=True)
    assert status in (1, 2), (step, status, said)
    assert "Read-only file system" in said or (step == "track" and "did not take the results" in said), (step, said)
    assert files(root) == before, step


def on_a_full_disk(root: Path, step: str, log: Path) -> int:
    """Run a step with ever more room until it has enough; return how often it had not."""
    for stopped, leave in enumerate(ROOM):
        before = files(root)
        fill(root.parent, leave)
        status, said = run(root, step, log)
        (root.parent / "filler").unlink()
        now = files(root)
        assert not [name for name in now if name.endswith(".tmp")], (step, "nothing half")
        if status == 0:
            return stopped
        if step == "track":
            assert "did not take the results" in said, said
            assert "sends them later" in said, said
        else:
            assert "No space left on device" in said, (step, said)
            assert "free some space and run the same command again" in said, (step, said)
        changed = {name for name, content in before.items() if now.get(name) != content}
        assert not [name for name in changed if name.startswith(("data", "params.yaml"))], (step, "sources")
    raise AssertionError(f"{step} has never had room enough")


def small_picture(_: Figure, target: Any, **__: Any) -> None:
    """Write a small picture in place of drawing, which takes most of the time; the report reads it."""
    Image.new("RGB", (28, 28)).save(target, "PNG")


def main(disk: Path, folder: Path) -> None:
    """Play all steps; raise AssertionError where one does not keep the promise."""
    os.environ[FORKED] = "1"
    Figure.savefig = small_picture
    kill_loop.warm_up(folder)
    log, whole, root = folder / "log", folder / "whole", disk / "project"
    make_project(whole)
    for step in ALL:
        status, said = run(whole, step, log)
        assert status == 0, (step, said)
    make_project(root)
    for step in ALL:
        on_a_read_only_disk(root, step, log)
        kill_loop.say(f"{step}: read-only once, full {on_a_full_disk(root, step, log)} times")
    found = differences(kill_loop.facts_of(whole, log), kill_loop.facts_of(root, log))
    found = [each for each in found if not each.startswith("/reports/index.html")]  # it shows seconds
    assert not found, found[:5]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--disk", type=Path, required=True, help="a small file system of its own, empty")
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder on another one")
    asked = parser.parse_args()
    main(asked.disk.resolve(), asked.folder.resolve())
