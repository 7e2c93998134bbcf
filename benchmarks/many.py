"""What ten thousand trials and a million points of a metric take: seconds, memory, and whether they grow.

    python benchmarks/many.py [--trials 10000] [--points 1000000] [--folder build/many]

A search of a small `mlp` on 450 of the bundled digits, in brackets of 100, as ``shearbench tune`` runs it; its record
with Optuna's pictures; a search that finds all done, as after Ctrl-C; one run for each of the 1,000 first trials in
MLflow; and the points, as a curve of one run there. With ``--folder`` a stopped search goes on.
"""

import argparse
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.console import Console

from shearbench.data.dataset import TUNING_PART
from shearbench.data.folds import write_part
from shearbench.params import Params, load
from shearbench.predictions.contents import Content, Node
from shearbench.records import provenance
from shearbench.stages.tune import job_of
from shearbench.tracking.mirror import track_all
from shearbench.tracking.store import database
from shearbench.tuning.contents import node_of
from shearbench.tuning.job import Job, SearchResult, run
from shearbench.tuning.results import results_folder, summary, write_results
from training import write_data

REPOSITORY = Path(__file__).parents[1]
BRACKET, RUNGS, EPOCHS, DIGITS = 100, 3, 9, 450
SENT = 1000  # trials sent to MLflow, a run each
console = Console(width=120)


def settings(trials: int) -> Params:
    """Return the project's own parameters with a search of so many short trials."""
    params = load(REPOSITORY / "params.yaml")
    mlp = params.models["mlp"]
    recipe = mlp.recipe.model_copy(update={"epochs": EPOCHS, "patience": None})
    tuning = params.tuning.model_copy(
        update={"trials": trials, "timeout": 10**6, "reduction": 10, "rungs": RUNGS, "dataset": "mnist", "sizes": False}
    )
    return params.model_copy(update={"models": {"mlp": mlp.model_copy(update={"recipe": recipe})}, "tuning": tuning})


@contextmanager
def timed(label: str) -> Iterator[None]:
    """Print how many seconds the block took, and the most memory that this process has had so far."""
    started = time.perf_counter()
    yield
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    console.print(f"{label}: {time.perf_counter() - started:.1f} s, at most {peak:.0f} MB so far")


def seconds_of_brackets(search_result: SearchResult) -> list[float]:
    """Return how long each bracket took, but the last, from first draw to first draw."""
    from shearbench.tuning.study import Ledger

    starts = [
        trial.datetime_start for trial in Ledger(search_result.study).optuna.get_trials(deepcopy=False)[::BRACKET]
    ]
    return [(after - before).total_seconds() for before, after in pairwise(starts)]


def write_record_of(job: Job, search_result: SearchResult, folder: Path) -> Node:
    """Write the record with its pictures, and return what MLflow is told: the study and its first trials."""
    write_results(folder, job, search_result, summary(job, search_result))
    node = node_of(folder)
    return Node(node.name, node.digest, node.content, node.children[:SENT])


def a_long_curve(points: int) -> Node:
    """Return a run with so many points of a metric."""
    values = np.cos(np.arange(points) / 1000)
    curve = [("cosine", step, float(value)) for step, value in enumerate(values)]
    return Node("a long curve", f"{points:064d}", Content({}, {}, {}, curve, []))


def measure(root: Path, trials: int, points: int) -> None:
    """Measure in a folder, and print."""
    write_data(None, DIGITS, root / "build" / "datasets")
    write_part(root / "build" / "datasets" / "mnist" / TUNING_PART, np.arange(DIGITS))
    params = settings(trials)
    job = job_of(params, root, dataset="mnist", model="mlp")
    with timed(f"{trials} trials with their finalists"):
        search_result = run(job)
    brackets = seconds_of_brackets(search_result)
    tenth = max(1, len(brackets) // 10)
    first, last = (np.mean(part) for part in (brackets[:tenth], brackets[-tenth:]))
    console.print(f"seconds a bracket of {BRACKET}: {first:.1f} in the first tenth, {last:.1f} in the last")
    with timed("the same search again, which finds all done"):
        run(job)
    with timed("record and pictures"):
        node = write_record_of(job, search_result, results_folder(root / "build", "mnist", "mlp"))
    with timed(f"{len(node.children)} trials to MLflow, a run each"):
        track_all(root, params, [node])
    with timed(f"{points} points to MLflow"):
        track_all(root, params, [a_long_curve(points)])
    with sqlite3.connect(database(root)) as store:
        asked = "explain query plan select value from metrics where run_uuid = ? and key = ?"
        console.print("a curve is found by:", *(row[-1] for row in store.execute(asked, ("", ""))))
    console.print(f"MLflow's database: {database(root).stat().st_size / 1e6:.0f} MB")


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to keep the study, so that a stopped one goes on")
    asked = parser.parse_args()
    made_by = provenance()
    console.print(made_by["machine"], made_by["versions"], made_by["commit"])
    if asked.folder:
        measure(asked.folder, asked.trials, asked.points)
    else:
        with tempfile.TemporaryDirectory(prefix="shearbench-benchmark-") as folder:
            measure(Path(folder), asked.trials, asked.points)


if __name__ == "__main__":
    main()
