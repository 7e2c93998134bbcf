"""The kill loop: a small full pipeline, killed at a random moment and run again, must end as if nothing had happened.

    python tests/faults/kill_loop.py --rounds 200 --folder build/kills

Simulate, train, evaluate, tune, compare, track: real stages, worker processes, journal and MLflow. A round is two runs
of the same command. An accident befalls the first: it is killed, with all its processes or alone, its terminal is
closed, or its parameters are edited. Like ``dvc repro`` the command does not run again what it has finished. A line a
round goes to ``rounds.txt`` in the folder, and rounds that stand there are not run again, so the loop can be cut in
slices.

So that a round takes seconds, this process imports everything once and forks the commands and their workers. A round
begins with the files that the undisturbed run had before the step in which the kill falls: what comes before is the
same anyway. ``--loky`` has the workers that users have.
"""

import argparse
import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
os.environ["NUMBA_NUM_THREADS"] = "1"  # all before numpy and torch come in: a fork has the threads of its parent

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))

from whole_pipeline import STEPS, facts, make_project

from made import differences
from shearbench.params import load
from shearbench.pipeline.dvc import unchanged_inputs
from shearbench.seeds import generator_for
from shearbench.stages import track
from shearbench.warm import FORKED

KILL, KILL_ALONE = "killed with all its processes", "killed, its workers left alive"
HANG_UP, HANG_UP_ALONE = "terminal closed", "hung up alone"
EDIT = "parameters edited"
ACCIDENTS = (KILL, HANG_UP, EDIT, KILL_ALONE, EDIT, HANG_UP_ALONE)
LONGEST = 7200.0  # seconds of a run: far above any, on a busy machine too


def pipeline(root: Path, before: Callable[[str], None] = lambda _: None) -> None:
    """Run every step in the order of ``dvc.yaml``, with a search, that has not been finished; then all is tracked.

    Args:
        before: is called with each step before it begins, when nothing else runs.
    """
    done = root / "done.txt"
    for step in STEPS[len(done.read_text().split()) if done.is_file() else 0 :]:
        before(step)
        run_step(step, root)
        with done.open("a") as file:
            file.write(f"{step}\n")


def run_step(step: str, root: Path) -> None:
    """Run one step as ``stages.run`` does."""
    name, _, of = step.partition("@")
    with unchanged_inputs(root, name, of or None):
        params = load(root / "params.yaml")
        if name == "track":
            assert track.send(params, root)
            return
        importlib.import_module(f"shearbench.stages.{name}").main(params, root, *([of] if of else []))


def start(function: Callable[[Path], None], root: Path, log: Path) -> int:
    """Run a function in a forked process that leads a group of its own; return its id."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # this loop may have been started by nohup, which ignores it
    status = 1
    try:
        with log.open("ab", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.chdir(root)
        function(root)
        status = 0
    except BaseException:  # noqa: BLE001  whatever it is belongs into the log, and must not go on as the loop itself
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait(pid: int, seconds: float) -> int | None:
    """Wait for a process; return its status (negative: the signal that ended it), or None where it goes on."""
    deadline = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= deadline:
            return None
        time.sleep(0.005)


def kill_all(pid: int) -> None:
    """End what is left of a group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def run_whole(root: Path, log: Path, function: Callable[[Path], None] = pipeline) -> float:
    """Run the pipeline to its end; return its seconds."""
    began = time.monotonic()
    pid = start(function, root, log)
    status = wait(pid, LONGEST)
    kill_all(pid)
    if status is None:
        os.waitpid(pid, 0)
    assert status == 0, f"ended with {status}:\n{log.read_text()[-4000:]}"
    return time.monotonic() - began


@dataclass(frozen=True)
class Undisturbed:
    """What a run that nobody kills comes to, its files before each step, and the seconds of each."""

    facts: dict[str, Any]
    folder: Path
    seconds: dict[str, float]


def play(folder: Path, seed: int, expected: Undisturbed) -> str:
    """Play one round; return what happened, which begins with ``same`` where it ended like the undisturbed run."""
    random = generator_for("tests", "kill loop", seed)
    seconds = np.array([expected.seconds[step] for step in STEPS])
    first = int(random.choice(len(STEPS), p=seconds / seconds.sum()))
    moment, accident = float(random.uniform(0, seconds[first : first + 2].sum())), ACCIDENTS[seed % len(ACCIDENTS)]
    root, log = folder / "project", folder / f"round-{seed}.log"
    log.unlink(missing_ok=True)
    while True:
        put_back(expected.folder / STEPS[first], root)
        pid = start(pipeline, root, log)
        if wait(pid, moment) is None:
            break
        moment /= 2  # it had ended: this machine is faster now than when the seconds of the steps were measured
    edited = happen(accident, pid, root)
    done = len((root / "done.txt").read_text().split()) if (root / "done.txt").is_file() else 0
    where = STEPS[done] if done < len(STEPS) else "the end"
    what = f"{accident} in {where}, {moment:.2f} s after {STEPS[first]} began{edited}"
    try:
        again = run_whole(root, log)
    except AssertionError as error:
        return f"FAILED ({what}): {error}"
    finally:
        kill_all(pid)
    found = differences(expected.facts, facts_of(root, log))
    if found:
        return f"DIFFERENT ({what}): {len(found)} differences: {'; '.join(found[:5])}"
    log.unlink()
    return f"same ({what}; the second run took {again:.2f} s)"


def happen(accident: str, pid: int, root: Path) -> str:
    """Let an accident befall the run ``pid``, and wait for its end; return what came of it, where that may differ."""
    if accident == EDIT:
        return edit(pid, root)
    if accident == HANG_UP:
        os.killpg(pid, signal.SIGHUP)  # what a closed terminal sends to all that runs in it
    elif accident == HANG_UP_ALONE:
        os.kill(pid, signal.SIGHUP)
    else:
        os.killpg(pid, signal.SIGKILL) if accident == KILL else os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return ""


def edit(pid: int, root: Path) -> str:
    """Edit a parameter that every step reads while a step runs, see that the step is refused, and undo the edit."""
    params, steps = root / "params.yaml", root / "done.txt"
    before, done = params.read_bytes(), steps.read_text() if steps.is_file() else ""
    params.write_bytes(before.replace(b"epochs: 2", b"epochs: 3").replace(b"seed: 1\n", b"seed: 2\n"))
    deadline = time.monotonic() + LONGEST
    while wait(pid, 0.05) is None and (steps.read_text() if steps.is_file() else "") == done:
        assert time.monotonic() < deadline
    kill_all(pid)  # one that had just begun a step took in the new parameters as its own
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)
    params.write_bytes(before)
    if (steps.read_text() if steps.is_file() else "") == done:
        return ", and refused"
    steps.write_text(done)  # DVC would run it again: its parameters have changed
    return ", and locked with the parameters that it read"


def put_back(copy: Path, root: Path) -> None:
    """Let the project be as it was when it was copied."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(copy, root, symlinks=True)


def blank_picture(figure: Figure, target: Any, **_: Any) -> None:
    """Write a picture of the same size each time, in place of drawing: only its bytes must come out again."""
    target.write(f"a picture of {figure.get_size_inches()}, {len(figure.axes)} axes".encode())


def warm_up(folder: Path) -> None:
    """Import in this process what a run imports, so that the forks need not."""
    names = folder / "modules.txt"

    def run_and_tell(root: Path) -> None:
        pipeline(root)
        names.write_text("\n".join(sys.modules))

    root = folder / "project"
    shutil.rmtree(root, ignore_errors=True)
    make_project(root)
    pid = start(run_and_tell, root, folder / "warm-up.log")
    assert wait(pid, LONGEST) == 0, (folder / "warm-up.log").read_text()[-4000:]
    for name in names.read_text().split("\n"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def undisturbed(folder: Path) -> Undisturbed:
    """Run the pipeline once, and copy the project before each step."""
    root, copies, times = folder / "project", folder / "before", folder / "times.json"
    for path in (root, copies):
        shutil.rmtree(path, ignore_errors=True)
    make_project(root)

    def copying(root: Path) -> None:
        began: dict[str, float] = {}
        seconds: dict[str, float] = {}

        def before(step: str) -> None:
            for last in began.keys() - seconds.keys():
                seconds[last] = time.monotonic() - began[last]
            if step in STEPS:
                shutil.copytree(root, copies / step, symlinks=True)
                began[step] = time.monotonic()

        pipeline(root, before)
        before("the end")
        times.write_text(json.dumps(seconds))

    log = folder / "undisturbed.log"
    run_whole(root, log, copying)
    return Undisturbed(facts_of(root, log), copies, json.loads(times.read_text()))


def facts_of(root: Path, log: Path) -> dict[str, Any]:
    """Return the facts, looked up by another process: MLflow keeps what it opened, and the folder is used again."""
    answer = log.with_suffix(".json")
    pid = start(lambda root: answer.write_text(json.dumps(facts(root))), root, log)
    assert wait(pid, LONGEST) == 0, log.read_text()[-4000:]
    found: dict[str, Any] = json.loads(answer.read_text())
    answer.unlink()
    return found


def say(line: str) -> None:
    """Print a line at once, also where the output is a file."""
    print(line, flush=True)


def loop(folder: Path, seeds: range, *, loky: bool = False, pictures: bool = False) -> list[str]:
    """Play the rounds of all seeds that ``rounds.txt`` does not have; return the lines of those that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    if not loky:
        os.environ[FORKED] = "1"
    if not pictures:
        Figure.savefig = blank_picture
        FigureCanvasAgg.draw = FigureCanvasAgg.get_renderer  # an empty picture of its size
    warm_up(folder)
    done = folder / "rounds.txt"
    lines = done.read_text().splitlines() if done.is_file() else []
    played = {int(line.split()[1].rstrip(":")) for line in lines}
    expected = undisturbed(folder)
    say("undisturbed, in s: " + ", ".join(f"{step} {taken:.2f}" for step, taken in expected.seconds.items()))
    for seed in (seed for seed in seeds if seed not in played):
        line = f"seed {seed}: {play(folder, seed, expected)}"
        say(line)
        lines.append(line)
        with done.open("a") as file:
            file.write(line.replace("\n", " | ") + "\n")
    return [line for line in lines if ": same" not in line]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--loky", action="store_true", help="the workers that users have")
    parser.add_argument("--pictures", action="store_true", help="draw the pictures, which takes most of the time")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.rounds)
    failed = loop(asked.folder.resolve(), seeds, loky=asked.loky, pictures=asked.pictures)
    sys.exit("\n".join(["these rounds failed:", *failed]) if failed else 0)
