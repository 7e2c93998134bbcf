"""Does the search find what an exhaustive grid finds, for a quarter of its training epochs?

    python benchmarks/tuning.py --model cnn2 --dataset mnist

Runs ``shearbench tune``'s own search, and beside it every point of a grid over the same space, each trained in full on
the same digits and scored on the same inner part. The grid's best (by the inner part, as the search's trials are) then
goes through the cross-validation that the search's finalists went through, on digits that chose neither. Both are
resumable. ``build/benchmarks/tuning/<dataset>-<model>/`` gets ``grid.csv``, ``result.json`` and ``comparison.png``.
"""

import argparse
import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from shearbench.evaluation.canvas import BLUE, GREY, ORANGE, figure, plain, png
from shearbench.execution import run_tasks
from shearbench.params import load
from shearbench.records import write_bytes, write_json, write_text
from shearbench.stages.tune import job_of
from shearbench.statistics.bayesian import correlated_t
from shearbench.statistics.resampled_t import corrected_t
from shearbench.statistics.verdict import decide
from shearbench.tuning.finalists import Finalist, cross_validate_trials
from shearbench.tuning.job import Job, Outcome, run
from shearbench.tuning.results import inner_digits
from shearbench.tuning.space import Setting
from shearbench.tuning.study import Trial
from shearbench.tuning.trial import TrialTask, run_trial

GRID_TRIAL = 10_000  # the number under which a grid point is cross-validated


def grid_of(job: Job, rates: int) -> list[Setting]:
    """Return every point of the grid: ``rates`` learning rates on a log scale, all batch sizes, all widths."""
    space = job.space.including(job.present)
    learning = np.geomspace(*space.learning_rate, rates)
    return [
        Setting(float(rate), batch, width)
        for rate, batch, width in itertools.product(learning, space.batch, space.width)
    ]


def run_grid(job: Job, settings: list[Setting], out: Path) -> pd.DataFrame:
    """Train every setting in full, but those in ``out/grid.csv``; return a row each."""
    path = out / "grid.csv"
    done = pd.read_csv(path).to_dict("records") if path.is_file() else []
    for start in range(len(done), len(settings), 10):
        chunk = settings[start : start + 10]
        tasks = [
            TrialTask(
                job.experiment.varied(**vars(setting)),
                job.part,
                out / "grid" / str(start + place),
                out / "refused",
                job.experiment.recipe.epochs,
                checkpoint_seconds=1e9,
            )
            for place, setting in enumerate(chunk)
        ]
        results = run_tasks(run_trial, tasks, workers=job.workers, label=f"grid {start} of {len(settings)}")
        for setting, result in zip(chunk, results, strict=True):
            accuracy = result.curve[-1].kept if result.curve and not result.failure else None
            done.append({**vars(setting), "epochs": len(result.curve), "accuracy": accuracy, "failure": result.failure})
        write_text(path, pd.DataFrame(done).to_csv(index=False))
    return pd.DataFrame(done)


def score(job: Job, setting: Setting, out: Path) -> Finalist:
    """Cross-validate a setting as the finalists are."""
    (finalist,) = cross_validate_trials(
        [Trial(GRID_TRIAL, setting, "complete")],
        lambda each: job.experiment.varied(**vars(each)),
        part=job.part,
        folds=job.resources.folds,
        out=out / "finalists",
        workers=job.workers,
        label="the grid's best",
    )
    return finalist


def compare(job: Job, outcome: Outcome, grid: pd.DataFrame, best: Finalist) -> dict[str, object]:
    """Return what both cost and came to; a difference is the search's winner less the grid's."""
    found = outcome.final.winner
    t = corrected_t(found.accuracies, best.accuracies)
    verdict = decide(t.p, correlated_t(found.accuracies, best.accuracies, rope=job.rope))
    trials = sum(len(trial.curve) for trial in outcome.trials)
    finalists = sum(each.epochs for each in outcome.final.finalists)
    return {
        "dataset": job.experiment.dataset,
        "model": job.experiment.model,
        "digits": len(outcome.part.ids),
        "grid": {"settings": len(grid), "epochs": int(grid["epochs"].sum()), "best": vars(best.setting)},
        "search": {
            "trials": len(outcome.trials),
            "epochs_trials": trials,
            "epochs_finalists": finalists,
            "found": vars(found.setting),
        },
        "share_of_epochs": (trials + finalists) / int(grid["epochs"].sum()),
        "share_of_epochs_without_finalists": trials / int(grid["epochs"].sum()),
        "accuracy_grid": best.mean,
        "accuracy_found": found.mean,
        "accuracy_present": outcome.final.present.mean,
        "folds": t.folds,
        "digits_scored": best.digits,
        "difference": {"mean": t.difference, "low": t.low, "high": t.high, "sd": t.sd, "p": t.p},
        "verdict": verdict.word,
        "rule": verdict.rule,
    }


def draw(job: Job, outcome: Outcome, grid: pd.DataFrame, facts: dict[str, object]) -> bytes:
    """Draw every grid point and trial by rank on the inner part, and what each way spent."""
    made = figure(10, 4.2)
    left, right = made.subplots(1, 2, width_ratios=[2, 1])
    ordered = grid["accuracy"].dropna().sort_values(ascending=False).to_numpy()
    noise = np.sqrt(ordered[0] * (1 - ordered[0]) / inner_digits(job))
    left.axhspan(100 * (ordered[0] - noise), 100 * (ordered[0] + noise), color=GREY, alpha=0.15, linewidth=0)
    left.plot(np.arange(1, len(ordered) + 1), 100 * ordered, ".", color=GREY, label=f"grid, {len(grid)} in full")
    complete = [trial for trial in outcome.trials if trial.state == "complete"]
    ranks = [1 + int((ordered > trial.score).sum()) for trial in complete]
    left.plot(ranks, [100 * trial.score for trial in complete], "o", color=ORANGE, label="search, trials in full")
    left.set_xlabel("rank among the grid's settings")
    left.set_ylabel(f"accuracy on {inner_digits(job)} inner digits, %")
    left.set_title("band: ± one standard error of the best for the choice of digits", fontsize=9)
    left.legend(frameon=False, fontsize=9)
    search = facts["search"]
    left_over = 0
    for name, colour in (("epochs_trials", ORANGE), ("epochs_finalists", BLUE)):
        right.bar(["search"], [search[name]], bottom=[left_over], color=colour, label=name.replace("epochs_", ""))
        left_over += search[name]
    right.bar(["grid"], [facts["grid"]["epochs"]], color=GREY)
    right.set_ylabel("epochs trained")
    right.set_title(f"{100 * facts['share_of_epochs']:.0f} % of the grid's epochs", fontsize=9)
    right.legend(frameon=False, fontsize=9)
    for axes in (left, right):
        plain(axes)
    made.suptitle(f"{job.name}, {facts['digits']} digits", fontsize=11)
    return png(made)


def main() -> None:
    """Compare the search with the grid for one model on one dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="cnn2")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--rates", type=int, default=7, help="learning rates of the grid: 7 are three a decade")
    arguments = parser.parse_args()
    root = Path.cwd()
    out = root / "build" / "benchmarks" / "tuning" / f"{arguments.dataset}-{arguments.model}"
    job = job_of(load(root / "params.yaml"), root, dataset=arguments.dataset, model=arguments.model)
    job = replace(job, resources=replace(job.resources, timeout=1e9, sizes=False))  # sizes cannot win
    started = time.monotonic()
    outcome = run(job)
    print(f"search: {time.monotonic() - started:.0f} s")
    started = time.monotonic()
    grid = run_grid(job, grid_of(job, arguments.rates), out)
    print(f"grid: {time.monotonic() - started:.0f} s")
    best = grid.loc[grid["accuracy"].idxmax()]
    facts = compare(
        job, outcome, grid, score(job, Setting(float(best.learning_rate), int(best.batch), float(best.width)), out)
    )
    write_json(out / "result.json", facts)
    write_bytes(out / "comparison.png", draw(job, outcome, grid, facts))
    for name, value in facts.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
