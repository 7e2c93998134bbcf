"""``shearbench repro``: `dvc repro` with one line per stage, one progress bar, and the time left.

Output of the stages goes to ``build/repro.log``; if a stage fails, its last lines are printed. The durations of stages
are stored in ``build/seconds.json`` as the expectation for the next run. The first run expects ``_SECONDS``, and for
simulations and trainings a time in proportion to epochs, samples and pixels. The pace of the finished stages corrects
the expectation.

DVC runs one stage at a time, and few stages use all cores all the time. Two processes of the lowest priority use the
rest: one trains the ablations until their stages begin, one sends finished records to MLflow until ``track`` begins.
"""

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from shearbench import yaml12
from shearbench.errors import InputError
from shearbench.records import read_json, write_json

LOG, SECONDS = Path("build") / "repro.log", Path("build") / "seconds.json"
BESIDE_LOG = Path("build") / "beside.log"
_BESIDE = (  # a task, the kinds of stages that leave cores idle for it, and the kind that ends it
    ("ablations", ("explore", "train", "evaluate"), "ablation"),
    ("tracking", ("ablation", "ablation_result"), "track"),
)
_SECONDS = {
    **{"code": 2.5, "prepare": 2, "simulate": 22, "datasets": 2, "severity": 10, "explore": 3, "training_configs": 1},
    **{"train": 14, "evaluate": 6, "ablation": 14, "ablation_result": 4},
    **{"transfer": 6, "handwriting": 14, "compare": 14, "report": 8, "track": 10},
}
"""Seconds per stage of the default run on two cores, for stages without a measured duration."""
_TRAINED = 7 * 4
"""Epochs, and passes through all samples in an epoch of five folds, of a training of ``_SECONDS``."""
_EPOCHS_OF_CLASSIFIER = 2.5  # the time to fit a classifier of scikit-learn, in epochs of a network
_SURE = 10  # seconds of finished stages at which their pace counts as much as the expectation
_RUNS, _SKIPS = "Running stage '", "Stage '"
_SHOWN = 25  # last lines printed of a failed stage


class Plan:
    """The expected and measured seconds of the stages of a pipeline run."""

    def __init__(self, expected: dict[str, float]) -> None:
        self.expected = expected
        self.took: dict[str, float] = {}
        self.running: str | None = None
        self._began = 0.0

    def begin(self, stage: str, now: float) -> None:
        """End the running stage, if any, and begin the next."""
        self.end(now)
        self.running, self._began = stage, now

    def end(self, now: float) -> None:
        if self.running is not None:
            self.took[self.running] = now - self._began
            self.running = None

    def seconds_left(self, now: float) -> float:
        """Return the expected seconds of the remaining stages at the pace of finished ones, of the same kind if any."""
        rest = {
            stage: seconds * self._pace(stage) for stage, seconds in self.expected.items() if stage not in self.took
        }
        running = rest.pop(self.running, 0.0) if self.running else 0.0
        return sum(rest.values()) + max(running - (now - self._began), 0.0)

    def _pace(self, stage: str) -> float:
        """Return the ratio of predicted to expected duration of a stage."""
        ended = [each for each in self.took if each in self.expected]
        known = [each for each in ended if _kind(each) == _kind(stage)] or ended
        took, expected = (sum(seconds[each] for each in known) for seconds in (self.took, self.expected))
        return (took + _SURE) / (expected + _SURE)

    def share_done(self, now: float) -> float:
        """Return the elapsed share of the total time."""
        passed = sum(self.took.values()) + (now - self._began if self.running else 0.0)
        left = self.seconds_left(now)
        return passed / (passed + left) if passed + left else 1.0


class Beside:
    """A process beside the stages, at the lowest priority: ``shearbench beside TASK``.

    Args:
        task: an argument of that command.
        begins: kinds of stages. The process starts beside the first of them.
        ends: a kind of stage that does the same work. The process ends before it.
        root: the project's folder.
        environment: that of the stages.
    """

    def __init__(self, task: str, begins: Collection[str], ends: str, root: Path, environment: dict[str, str]) -> None:
        self._task, self._begins, self._ends = task, begins, ends
        self._root, self._environment = root, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._over = False

    def begin(self, stage: str) -> None:
        """Start or end the process as a stage begins."""
        kind = _kind(stage)
        if kind == self._ends:
            self.end()
        elif kind in self._begins and self._process is None and not self._over:
            with (self._root / BESIDE_LOG).open("a") as log:
                self._process = subprocess.Popen(
                    ["shearbench", "beside", self._task],
                    cwd=self._root,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C does not reach it; `end` does
                )

    def end(self) -> None:
        """Stop the process, if it runs. The stage does the rest."""
        self._over = True
        if self._process is not None:
            self._process.terminate()
            self._process.wait()


class _Left(ProgressColumn):
    """Column with the time left, from the plan."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan

    def render(self, task: Task) -> Text:
        now = time.monotonic()
        task.completed = self.plan.share_done(now)
        return Text(f"about {_spoken(self.plan.seconds_left(now))} left")


def main(root: Path) -> int:
    """Run `dvc repro` and return its exit status. After Ctrl-C the next call resumes."""
    plan = Plan(_expected(root))
    (root / LOG).parent.mkdir(exist_ok=True)
    (root / BESIDE_LOG).write_text("")  # both processes beside the stages append to it
    columns = (TextColumn("{task.description}"), _Left(plan), BarColumn(), TimeElapsedColumn())
    command = ["dvc", "repro"]
    with (
        _warm() as environment,
        (root / LOG).open("w") as log,
        Progress(*columns, console=Console(stderr=True)) as progress,
        subprocess.Popen(  # Ctrl-C also reaches DVC and its stage; this process waits for both
            command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        assert process.stdout is not None
        beside = [Beside(task, begins, ends, root, environment) for task, begins, ends in _BESIDE]
        try:
            last = _follow(process.stdout, plan, progress, log, beside)
            if process.wait() == 0:
                _tell(plan, progress, None)
        finally:
            for each in beside:
                each.end()
    if process.returncode:
        print("".join(last), end="", file=sys.stderr)
        print(f"Full output: {root / LOG}", file=sys.stderr)
    known = read_json(root / SECONDS) if (root / SECONDS).is_file() else {}
    write_json(root / SECONDS, known | {stage: round(seconds, 1) for stage, seconds in plan.took.items()})
    return process.returncode


@contextmanager
def _warm() -> Iterator[dict[str, str]]:
    """Start the warm process that runs the stages, and yield an environment with its address."""
    with TemporaryDirectory(prefix="shearbench-") as folder:
        path = str(Path(folder) / "socket")
        server = subprocess.Popen(
            [sys.executable, "-m", "shearbench.warm", path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C must reach DVC only, which ends its stage
        )
        try:
            yield {**os.environ, "SHEARBENCH_WARM": path}
        finally:
            server.terminate()
            server.wait()


def _follow(lines: IO[str], plan: Plan, progress: Progress, log: IO[str], beside: Sequence[Beside]) -> deque[str]:
    """Log the output of DVC and its stages, print a line for each finished stage, and return the last lines."""
    bar, last = progress.add_task("dvc repro", total=1.0), deque[str](maxlen=_SHOWN)
    for line in lines:
        log.write(line)
        log.flush()
        last.append(line)
        stage = line.split("'")[1] if line.count("'") > 1 else ""
        if line.startswith(_RUNS):
            for each in beside:
                each.begin(stage)
            _tell(plan, progress, stage)
            progress.update(bar, description=stage)
            last.clear()
        elif line.startswith(_SKIPS):
            plan.expected.pop(stage, None)
    return last


def _tell(plan: Plan, progress: Progress, following: str | None) -> None:
    """Print the line of the finished stage, and begin the next one."""
    ended, now = plan.running, time.monotonic()
    plan.end(now)
    if ended:
        left = f"about {_spoken(plan.seconds_left(now))} left" if following else "done"
        progress.console.print(f"{ended:<34} {plan.took[ended]:6.1f} s   {left}", highlight=False, markup=False)
    if following:
        plan.begin(following, now)


def _expected(root: Path) -> dict[str, float]:
    """Return the expected seconds of each stage, in the order of ``dvc.yaml``; InputError for bad parameters."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text())["stages"]
    _, params = yaml12.read(root / "params.yaml")
    measured = read_json(root / SECONDS) if (root / SECONDS).is_file() else {}
    expected: dict[str, float] = {}
    try:
        for kind, stage in stages.items():
            for of in params[stage["foreach"].strip("${}")] if "foreach" in stage else [""]:
                name = f"{kind}@{of}" if of else kind
                known = measured.get(name)
                expected[name] = known or _SECONDS.get(kind, 10) * _relative(root, params, kind, of)
    except (AttributeError, KeyError, TypeError) as error:
        path = root / "params.yaml"
        raise InputError(f"{path} cannot be used ({error}); `shearbench check` lists its faults") from None
    return expected


def _relative(root: Path, params: Mapping[str, Any], kind: str, of: str) -> float:
    """Return the length of a stage relative to the default run: by what is trained or simulated; 1 for other kinds."""
    from shearbench.data.config import origin_of  # only stages without a measured duration need it

    if kind in ("simulate", "severity"):
        fields = [entry for entry in params["datasets"].values() if entry["source"] == "simulated"]
        made = {(origin_of(entry), entry["load"]) for entry in fields}
        return sum(_samples(root, source) for source, _ in made) if kind == "simulate" else len(made)
    if kind != "train":
        return 1
    run, cv = params["runs"][of], params["cv"]
    recipe = params["models"][run["model"]].get("recipe")
    epochs = recipe["epochs"] if recipe else _EPOCHS_OF_CLASSIFIER
    passes = 1 if cv.get("design") == "disjoint" else (cv["folds"] - 1) * cv["repeats"]
    return float(epochs * passes / _TRAINED * _samples(root, origin_of(params["datasets"][run["dataset"]])))


def _samples(root: Path, source: str) -> float:
    """Return the number of pixels of all training images of a source, relative to the bundled digits."""
    from shearbench.data.raw import train_pixels  # imports all kinds of sources

    return train_pixels(root / "data" / source) / (4000 * 28 * 28)


def _kind(stage: str) -> str:
    return stage.partition("@")[0]


def _spoken(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"
