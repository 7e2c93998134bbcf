"""Does the search find what an exhaustive grid finds, for a quarter of its training epochs?

    python benchmarks/tuning.py --model cnn2 --dataset mnist

Runs ``shearbench tune``'s own search, and beside it every point of a grid over the same space, each trained in full on
the same digits and scored on the same inner part. The grid's best three go through the cross-validation that the
search's finalists went through, and the best of them is the grid's winner: both ways choose by the same rule.

The two winners, and the present setting, are then trained as ``dvc repro`` would with ``training.use_tuned``: folds
deal the training digits outside the tuning part, so none is scored that had a say in either choice. They are more than
three times as many as score the finalists, and are dealt ``--repeats`` times; so the interval of the difference is
narrow. All is resumable. ``build/benchmarks/tuning/<study>/grid-<rates>/`` gets ``grid.csv``, ``scores.csv``,
``result.json`` and ``comparison.png``; other data, code or settings are another study, as for ``shearbench tune``.
"""

import argparse
import itertools
import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shearbench.data.dataset import FOLDS, TUNING_PART
from shearbench.data.dataset import load as load_dataset
from shearbench.data.folds import FoldTable, make_repeats, read_folds, read_part, write_folds
from shearbench.execution import run_tasks
from shearbench.params import load
from shearbench.plotting.canvas import BLUE, GREY, ORANGE, figure, plain, png
from shearbench.records import hash_of, write_bytes, write_json, write_text
from shearbench.seeds import seed_for
from shearbench.stages.tune import job_of
from shearbench.statistics.resampled_t import corrected_t, correlated_t
from shearbench.statistics.verdict import decide
from shearbench.training.crossval import fold_task, train_folds
from shearbench.training.recipe import Hyperparameters, including
from shearbench.tuning.job import Finalist, Job, SearchResult, cross_validate_trials, run
from shearbench.tuning.study import Trial
from shearbench.tuning.trial import TrialTask, run_trial

Facts = dict[str, Any]
GRID_TRIAL = 10_000  # the number under which the first finalist of the grid is cross-validated


def grid_of(job: Job, rates: int) -> list[Hyperparameters]:
    """Return every point of the grid: ``rates`` learning rates on a log scale, all batch sizes, all widths."""
    space = including(job.space, job.present)
    rate = space["learning_rate"]
    learning = np.geomspace(rate.low, rate.high, rates)
    return [
        {"learning_rate": float(rate), "batch": batch, "width": width}
        for rate, batch, width in itertools.product(learning, space["batch"], space["width"])
    ]


def run_grid(job: Job, settings: list[Hyperparameters], out: Path) -> pd.DataFrame:
    """Train every setting in full, but those in ``out/grid.csv``; return a row each."""
    path = out / "grid.csv"
    done = pd.read_csv(path).to_dict("records") if path.is_file() else []
    for start in range(len(done), len(settings), 10):
        chunk = settings[start : start + 10]
        tasks = [
            TrialTask(
                job.config.varied(hyperparameters),
                job.part,
                out / "grid" / str(start + place),
                out / "refused",
                job.config.recipe.epochs,
                checkpoint_seconds=1e9,
            )
            for place, hyperparameters in enumerate(chunk)
        ]
        results = run_tasks(run_trial, tasks, workers=job.workers, label=f"grid {start} of {len(settings)}")
        for hyperparameters, result in zip(chunk, results, strict=True):
            accuracy = result.curve[-1].stored if result.curve and not result.failure else None
            done.append(
                {**hyperparameters, "epochs": len(result.curve), "accuracy": accuracy, "failure": result.failure}
            )
        write_text(path, pd.DataFrame(done).to_csv(index=False))
    return pd.DataFrame(done)


def winner_of(job: Job, grid: pd.DataFrame, out: Path) -> tuple[Finalist, list[Finalist]]:
    """Return the grid's winner and what it won against: its best, cross-validated as the search's finalists are."""
    best = grid.dropna(subset="accuracy").sort_values("accuracy", ascending=False, kind="stable")
    settings = [
        {"learning_rate": float(row.learning_rate), "batch": int(row.batch), "width": float(row.width)}
        for row in best.head(job.resources.finalists).itertuples()
    ]
    finalists = cross_validate_trials(
        job,
        [Trial(GRID_TRIAL + place, hyperparameters, "complete") for place, hyperparameters in enumerate(settings)],
        out=out / "finalists",
        label="the grid's best",
    )
    done = [finalist for finalist in finalists if finalist.reason is None]
    return max(done, key=lambda each: (each.mean, -each.trial)), done


def write_outer_folds(job: Job, data: Path, *, folds: int, repeats: int) -> None:
    """Copy the dataset to ``data`` and deal its training digits outside the tuning part to folds.

    ``prepare`` does the same with ``training.use_tuned``.
    """
    folder = job.build / "datasets" / job.config.dataset
    whole, units = load_dataset(folder, "train"), read_folds(folder / FOLDS).units
    seeds = [seed_for(job.config.seed, "tune", "benchmark", repeat) for repeat in range(repeats)]
    reserved = np.isin(whole.ids, read_part(folder / TUNING_PART))
    table = make_repeats(units, whole.labels, folds=folds, seeds=seeds, reserved=reserved)
    shutil.copytree(folder, data, dirs_exist_ok=True)
    write_folds(data / FOLDS, FoldTable(whole.ids, table, units))


def score(job: Job, settings: Mapping[str, Hyperparameters], data: Path, out: Path) -> pd.DataFrame:
    """Train each setting in every fold; return a row for each of ``settings`` and each fold."""
    different = {
        hash_of(hyperparameters)[:12]: hyperparameters for hyperparameters in settings.values()
    }  # two may be one and the same
    numbers = read_folds(data / FOLDS).numbers
    tasks = [
        fold_task(
            job.config.varied(hyperparameters),
            number,
            dataset=data,
            out=out / "scores" / name / f"fold-{number}",
        )
        for name, hyperparameters in different.items()
        for number in numbers
    ]
    records = train_folds(tasks, workers=job.workers, label="outside the tuning part")
    trained = {(task.out.parent.name, task.fold): record for task, record in zip(tasks, records, strict=True)}
    rows = []
    for which, hyperparameters in settings.items():
        for number in numbers:
            record = trained[hash_of(hyperparameters)[:12], number]
            sizes, accuracy = record["sizes"], record["metrics"]["validation_accuracy"]
            facts = {"fold": number, "train": sizes["train"], "scored": sizes["validation"], "accuracy": accuracy}
            rows.append({"which": which, **hyperparameters, **facts})
    return pd.DataFrame(rows)


def compare(
    job: Job, search_result: SearchResult, grid: pd.DataFrame, best: list[Finalist], scores: pd.DataFrame
) -> Facts:
    """Return what both ways cost and came to; a difference is the search's winner less another."""
    spent, final = int(grid["epochs"].sum()), search_result.final
    trials = sum(len(trial.curve) for trial in search_result.trials)
    finalists = sum(each.epochs for each in final.finalists)
    return {
        "dataset": job.config.dataset,
        "model": job.config.model,
        "digits": len(search_result.part.ids),
        "grid": {
            "settings": len(grid),
            "epochs": spent,
            "epochs_finalists": sum(each.epochs for each in best),
            "finalists": [{**each.hyperparameters, "accuracy": each.mean} for each in best],
        },
        "search": {
            "trials": len(search_result.trials),
            "epochs": trials,
            "epochs_finalists": finalists,
            "finalists": [{**each.hyperparameters, "accuracy": each.mean} for each in final.finalists],
            "ranks_in_grid": ranks_of(search_result, grid),
        },
        "share_of_epochs": (trials + finalists) / spent,
        "share_of_epochs_without_finalists": trials / spent,
        "train": int(scores["train"].iloc[0]),
        "accuracies": {str(which): float(own["accuracy"].mean()) for which, own in scores.groupby("which")},
        **{f"found_less_{other}": difference(job, scores, other) for other in ("grid", "present")},
    }


def ranks_of(search_result: SearchResult, grid: pd.DataFrame) -> dict[int, int]:
    """Return the place among the grid's points that each trial which was trained in full would have."""
    scores = grid["accuracy"].dropna().to_numpy()
    complete = [trial for trial in search_result.trials if trial.state == "complete"]
    return {trial.number: 1 + int((scores > trial.score).sum()) for trial in complete}


def difference(job: Job, scores: pd.DataFrame, other: str) -> Facts:
    """Return the accuracy of what the search found less that of ``other``, by the corrected resampled t."""
    deals = {
        which: np.array(own["accuracy"]).reshape(-1, job.resources.folds) for which, own in scores.groupby("which")
    }
    t = corrected_t(deals["found"], deals[other])
    verdict = decide(t.p, correlated_t(deals["found"], deals[other], rope=job.rope))
    numbers = {"mean": t.difference, "low": t.low, "high": t.high, "sd": t.sd, "p": t.p}
    scored = int(scores.loc[scores["which"] == other, "scored"].sum())
    design = {"folds": t.folds, "repeats": t.repeats, "digits": scored // t.repeats}
    return {**numbers, **design, "verdict": verdict.word, "rule": verdict.rule}


def draw(job: Job, search_result: SearchResult, grid: pd.DataFrame, facts: Facts) -> bytes:
    """Draw every grid point and trial by rank on the inner part, and what each way spent."""
    made = figure(10, 4.2)
    left, right = made.subplots(1, 2, width_ratios=[2, 1])
    ordered = grid["accuracy"].dropna().sort_values(ascending=False).to_numpy()
    inner = len(read_folds(job.part / FOLDS).reserved_rows)
    noise = np.sqrt(ordered[0] * (1 - ordered[0]) / inner)
    left.axhspan(100 * (ordered[0] - noise), 100 * (ordered[0] + noise), color=GREY, alpha=0.15, linewidth=0)
    left.plot(np.arange(1, len(ordered) + 1), 100 * ordered, ".", color=GREY, label=f"grid, {len(grid)} in full")
    ranks = ranks_of(search_result, grid)
    own = [100 * trial.score for trial in search_result.trials if trial.number in ranks]
    left.plot(list(ranks.values()), own, "o", color=ORANGE, label="search, trials in full")
    left.set_xlabel("rank among the grid's settings")
    left.set_ylabel(f"accuracy on {inner} inner digits, %")
    left.set_title("band: ± one standard error of the best for the choice of digits", fontsize=9)
    left.legend(frameon=False, fontsize=9)
    for name in ("search", "grid"):
        trials, finalists = facts[name]["epochs"], facts[name]["epochs_finalists"]
        labels = ("trials", "finalists") if name == "search" else (None, None)
        right.bar([name], [trials], color=ORANGE, label=labels[0])
        right.bar([name], [finalists], bottom=[trials], color=BLUE, label=labels[1])
    right.set_ylabel("epochs trained")
    right.set_title(f"search: {100 * facts['share_of_epochs']:.0f} % of the epochs of the grid's trials", fontsize=9)
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
    parser.add_argument("--repeats", type=int, default=2, help="deals of the digits outside the tuning part to folds")
    arguments = parser.parse_args()
    root = Path.cwd()
    job = job_of(load(root / "params.yaml"), root, dataset=arguments.dataset, model=arguments.model)
    job = replace(
        job, resources=job.resources.model_copy(update={"timeout": 10**9, "sizes": False})
    )  # sizes cannot win
    started = time.monotonic()
    search_result = run(job)
    print(f"search: {time.monotonic() - started:.0f} s")
    out = root / "build" / "benchmarks" / "tuning" / search_result.study.name / f"grid-{arguments.rates}"
    started = time.monotonic()
    grid = run_grid(job, grid_of(job, arguments.rates), out)
    winner, best = winner_of(job, grid, out)
    print(f"grid: {time.monotonic() - started:.0f} s")
    settings = {
        "found": search_result.final.winner.hyperparameters,
        "grid": winner.hyperparameters,
        "present": job.present,
    }
    write_outer_folds(job, out / "data", folds=job.resources.folds, repeats=arguments.repeats)
    scores = score(job, settings, out / "data", out)
    write_text(out / "scores.csv", scores.to_csv(index=False))
    facts = compare(job, search_result, grid, best, scores)
    write_json(out / "result.json", facts)
    write_bytes(out / "comparison.png", draw(job, search_result, grid, facts))
    for name, value in facts.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
