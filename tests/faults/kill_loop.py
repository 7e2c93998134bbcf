"""The kill loop: a small full pipeline, killed at a random moment and run again, must end as if nothing had happened.

    python tests/faults/kill_loop.py --rounds 200 --folder build/kills

Simulate, train, evaluate, tune, compare, track: real stages, worker processes, journal and MLflow. A round is two runs
of the same command, the first of which gets SIGKILL, with all its processes or alone. Like ``dvc repro`` the command
does not run again what it has finished. A line a round goes to ``rounds.txt`` in the folder, and rounds that stand
there are not run again, so the loop can be cut in slices.

So that a round takes seconds, this process imports everything once and forks the commands, their workers and the
processes that send MLflow what a stage made. A round begins with the files that the undisturbed run had before the step
in which the kill falls: what comes before is the same anyway. ``--loky`` has the workers that users have.
"""

import argparse
import contextlib
import hashlib
import importlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"))
os.environ["NUMBA_NUM_THREADS"] = "1"  # all before numpy and torch come in: a fork has the threads of its parent

import numpy as np
import yaml
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1]))

from shearbench import execution, stages, tracking
from shearbench.data import guard, idx
from shearbench.params import Params, load
from shearbench.records import read_json
from shearbench.seeds import generator_for
from small_project import document

TRAIN, TEST = 60, 20
CELLS = {"mnist-mlp": "mlp", "mechanical-mlp": "mlp"}
STEPS = ["prepare", "simulate", "datasets", "settings"]
STEPS += [f"{stage}@{cell}" for cell in CELLS for stage in ("train", "evaluate")]
STEPS += ["severity", "transfer", "compare", "tune@mlp", "track"]
LONGEST = 300.0  # seconds of a run: far above any
_MEASURED = {"seconds", "epoch_seconds", "seconds_per_fold", "fold_records", "provenance", "evaluations", "networks"}
"""What differs between two runs that nobody disturbs: times, and the hashes of records, which hold times."""


def make_project(root: Path) -> None:
    """Write raw data, adopted, and parameters: two networks, two datasets, two folds, and a search of two trials."""
    folder = root / "data" / "mnist"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for (images_name, labels_name), n in zip(idx.MNIST_FILES.values(), (TRAIN, TEST), strict=True):
        labels = np.arange(n) % 10
        images = rng.integers(0, 60, (n, 28, 28), dtype=np.uint8)
        images[np.arange(n), 2 * labels + 4] = 250
        (folder / images_name).write_bytes(idx.encode(images))
        (folder / labels_name).write_bytes(idx.encode(labels.astype(np.uint8)))
    settings = document()
    settings["cells"] = {cell: {"dataset": cell.split("-")[0], "model": model} for cell, model in CELLS.items()}
    settings["models"] = {"mlp": settings["models"]["mlp"]}
    settings["execution"]["workers"] = 2
    settings["tuning"].update(dataset="mechanical", trials=2, reduction=2, rungs=2, finalists=1, folds=2, share=0.5)
    (root / "params.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    params = load(root / "params.yaml")
    guard.write_adopted(root / "data.dvc", "data", guard.tree_of(root / "data"), params.sources)


def pipeline(root: Path, before: Callable[[str], None] = lambda _: None) -> None:
    """Run every step in the order of ``dvc.yaml``, with a search, that has not been finished; then all is tracked.

    Args:
        before: is called with each step before it begins, when nothing else runs; mirrors go on beside it otherwise.
    """
    params = load(root / "params.yaml")
    done = root / "done.txt"
    for step in STEPS[len(done.read_text().split()) if done.is_file() else 0 :]:
        before(step)
        run_step(step, params, root)
        with done.open("a") as file:
            file.write(f"{step}\n")
    wait_for_mirrors()


def run_step(step: str, params: Params, root: Path) -> None:
    """Run one step, and leave it to another process to send MLflow what it made, as ``stages.run`` does."""
    name, _, of = step.partition("@")
    if name == "track":
        assert tracking.track_all(root, params)
        assert stages.track_searches(params, root)
        return
    importlib.import_module(f"shearbench.stages.{name}").main(params, root, *([of] if of else []))
    if name in stages.MIRRORED and not os.fork():
        status = 1
        try:
            os.nice(19)
            status = not stages.mirror(name, of or None, params=params, root=root)
        finally:
            os._exit(status)


def wait_for_mirrors() -> None:
    """Wait for the processes that send MLflow something; one that cannot is no fault, as ``track`` sends it later."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


def facts(root: Path) -> dict[str, Any]:
    """Return all that must not depend on kills: every file's hash, records without times, and MLflow's runs."""
    found: dict[str, Any] = {}
    for path in sorted([*(root / "build").rglob("*"), *(root / "reports").rglob("*"), *(root / "tuned").rglob("*")]):
        if path.is_file() and path.suffix != ".log" and "lock" not in path.name:
            found[str(path.relative_to(root))] = _fact(path)
    return found | {"mlflow": _runs(root, load(root / "params.yaml"))}


def _fact(path: Path) -> Any:
    if path.suffix == ".json":
        content = _timeless(read_json(path))
        if isinstance(content, dict) and isinstance(content.get("files"), dict):  # those with times are compared below
            content["files"] = {name: d for name, d in content["files"].items() if not _has_seconds(path.parent / name)}
        return content
    if path.suffix == ".yaml":
        return _timeless(yaml.safe_load(path.read_text()))
    if _has_seconds(path):
        return _without_seconds(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _has_seconds(path: Path) -> bool:
    return path.suffix == ".csv" and "second" in path.read_text().split("\n", 1)[0]


def _without_seconds(path: Path) -> list[list[str]]:
    rows = [line.split(",") for line in path.read_text().splitlines()]
    kept = [place for place, name in enumerate(rows[0]) if "second" not in name]
    return [[row[place] for place in kept] for row in rows]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in _MEASURED}
    return [_timeless(inner) for inner in value] if isinstance(value, list) else value


def _runs(root: Path, params: Params) -> list[Any]:
    """Return MLflow's runs that are neither deleted nor superseded, by name, and what was sent to each."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{root}/mlruns/mlflow.db")
    experiment = client.get_experiment_by_name("shearbench")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    names = {run.info.run_id: run.info.run_name for run in runs}
    told = []
    for run in runs:
        metrics = {name: value for name, value in run.data.metrics.items() if "second" not in name}
        files = sorted(file.path for file in client.list_artifacts(run.info.run_id))
        parent = names.get(run.data.tags.get("mlflow.parentRunId"))
        told.append([run.info.run_name, run.info.status, parent, sorted(metrics.items()), files])
    champions = [[name, client.get_model_version_by_alias(name, "champion").tags] for name in params.datasets]
    return [sorted(told, key=lambda run: (run[0], str(run[2]))), champions]


class ForkedWorkers(ProcessPoolExecutor):
    """The workers of ``shearbench.execution``, forked: they need not import torch again."""

    def __init__(self, workers: int, env: object) -> None:
        super().__init__(workers, mp_context=multiprocessing.get_context("fork"))

    def shutdown(self, wait: bool = True, *, kill_workers: bool = False, cancel_futures: bool = False) -> None:
        super().shutdown(wait, cancel_futures=cancel_futures or kill_workers)


def start(function: Callable[[Path], None], root: Path, log: Path) -> int:
    """Run a function in a forked process that leads a group of its own; return its id."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
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


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Return where two values made of dictionaries and lists differ."""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        one, other = dict(enumerate(one)), dict(enumerate(other))
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = ((key, one.get(key), other.get(key)) for key in sorted(one.keys() | other.keys()))
        return [found for key, *pair in pairs for found in differences(*pair, f"{place}/{key}")]
    return [] if one == other else [f"{place}: {str(one)[:80]} | {str(other)[:80]}"]


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
    moment, whole = float(random.uniform(0, seconds[first : first + 2].sum())), bool(random.random() < 0.7)
    root, log = folder / "project", folder / f"round-{seed}.log"
    log.unlink(missing_ok=True)
    put_back(expected.folder / STEPS[first], root)
    pid = start(pipeline, root, log)
    status = wait(pid, moment)
    if status is None:
        os.killpg(pid, signal.SIGKILL) if whole else os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    done = len((root / "done.txt").read_text().split()) if (root / "done.txt").is_file() else 0
    where = STEPS[done] if done < len(STEPS) else "the end"
    workers = "with all its processes" if whole else "its workers left alive"
    what = f"killed in {where}, {moment:.2f} s after {STEPS[first]} began, {workers}"
    if status is not None:
        what = f"had ended before {moment:.2f} s"
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
            wait_for_mirrors()
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
        execution.ProcessPoolExecutor = ForkedWorkers
    if not pictures:
        Figure.savefig = blank_picture
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
