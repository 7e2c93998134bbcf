"""``shearbench aa``: the suite tested on itself; how often does each test claim a difference where there is none?

Two kinds of nulls: simulated ones, and one network against itself over many seeds, really trained (A/A), on draws of
the training digits of ``build/datasets/<aa.dataset>``. Writes ``build/aa/<hash>/draws-<k>.npz``, from which it goes on
when it was stopped, and ``reports/aa.json``, ``aa.csv`` and ``aa.png``. No stage of ``dvc.yaml``: the report shows what
is there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from shearbench.data.dataset import read_card
from shearbench.execution import Advance, run_tasks
from shearbench.params import Params
from shearbench.plotting.canvas import png
from shearbench.records import hash_of, provenance, read_npz, write_bytes, write_json, write_text
from shearbench.report.figures_statistics import false_positive_figure
from shearbench.seeds import generator_for
from shearbench.statistics.design import Design
from shearbench.statistics.false_positives import FalsePositiveRate, row
from shearbench.statistics.null_simulation import NULLS, simulate_nulls
from shearbench.statistics.runs import Plan, Run
from shearbench.statistics.same_network import Pairs, compare_draw, rates_of_same_network
from shearbench.statistics.variance import VarianceSplit, split_variance
from shearbench.training.config import TrainingConfig, applicable, code_hash
from shearbench.training.hardware import resolve
from shearbench.training.same_network import SEEDS, DrawsTask, train_draws

BLOCK = 10
"""Draws of one file, the unit of work."""

Null = tuple[str, str]


def main(params: Params, root: Path) -> bool:
    """Measure all rates, write the reports and print the table; return whether every claim holds.

    Raises:
        InputError: if the dataset is missing, or has too few digits.
        TasksFailed: if draws could not be trained; the others are kept.
    """
    draws = train(params, root)
    plan = Plan(
        Design(params.cv.folds, alpha=params.compare.alpha, power=params.compare.power),
        {params.aa.dataset: params.compare.rope[params.aa.dataset]},
    )
    workers = params.execution.pool
    compared = run_tasks(
        _compare, [(draw, plan) for draw in draws], workers=workers, label="aa: comparisons", name=lambda _: "a draw"
    )
    trained = rates_of_same_network(draws, compared, plan, generator_for(params.seed, "aa", "swaps"))
    asked = [(params.seed, params.aa.trials, null) for null in NULLS]
    simulated = run_tasks(_simulate, asked, workers=workers, label="aa: simulations", name=lambda ask: str(ask[2]))
    rates = [*simulated, *trained]
    write(root / "reports", rates, document(params, rates, draws))
    print_rates(rates)
    return all(rate.holds is not False for rate in rates)


def train(params: Params, root: Path) -> list[list[Run]]:
    """Train the draws that are not there yet; return the runs of each draw, which differ in their seeds alone."""
    aa, dataset = params.aa, root / "build" / "datasets" / params.aa.dataset
    config, data_hash = config_of(params), str(read_card(dataset)["hashes"]["train"])
    sizes = [aa.samples, aa.tests, params.cv.folds, SEEDS]
    name = hash_of([config.config_hash, code_hash(config), data_hash, sizes])[:12]
    tasks = []
    for first in range(0, aa.draws, BLOCK):
        draws = range(first, min(first + BLOCK, aa.draws))
        out = root / "build" / "aa" / name / f"draws-{draws.start}-{draws.stop}.npz"
        tasks.append(DrawsTask(config, dataset, aa.samples, aa.tests, params.cv.folds, draws, out))
    run_tasks(
        train_draws,
        [task for task in tasks if not task.out.is_file()],
        workers=params.execution.pool,
        label=f"aa: {aa.draws} draws of {SEEDS} x {params.cv.folds} networks",
        name=lambda task: task.out.name,
        units=lambda task: len(task.draws),
        reads=DrawsTask.reads,
        writes=DrawsTask.writes,
    )
    return [runs for task in tasks for runs in runs_of(read_npz(task.out), aa.dataset, data_hash)]


def config_of(params: Params) -> TrainingConfig:
    """Return what is trained: on the CPU in fp32, so that the committed rates can be had on every machine."""
    aa, hardware = params.aa, resolve("cpu", "fp32")
    entry = params.datasets[aa.dataset]
    return TrainingConfig(
        dataset=aa.dataset,
        model="aa",
        seed=params.seed,
        architecture=aa.model.architecture,
        width=aa.model.width,
        options=aa.model.options,
        recipe=applicable(aa.model.recipe, entry),
        features=aa.model.settled_features,
        entry=entry,
        inner_fraction=params.cv.inner_fraction,
        device=hardware.device,
        precision=hardware.precision,
    )


def runs_of(arrays: Mapping[str, NDArray[Any]], dataset: str, data_hash: str) -> list[list[Run]]:
    """Return the runs of each draw of a file. Drawn digits are all different, so their ids stand for their content."""
    return [
        [
            Run(
                dataset=dataset,
                model=f"seed {number}",
                data_hash=data_hash,
                ids=ids,
                folds=folds[np.newaxis],
                correct=right[np.newaxis],
                test_ids=test_ids,
                test_correct=test_right[np.newaxis],
                content=ids,
                test_content=test_ids,
            )
            for number, (right, test_right) in enumerate(zip(correct, test_correct, strict=True))
        ]
        for ids, folds, correct, test_ids, test_correct in zip(
            *(arrays[name] for name in ("ids", "folds", "correct", "test_ids", "test_correct")), strict=True
        )
    ]


def document(params: Params, rates: Sequence[FalsePositiveRate], draws: Sequence[Sequence[Run]]) -> dict[str, Any]:
    """Return what ``reports/aa.json`` holds."""
    accuracies = [run.fold_accuracies.mean() for runs in draws for run in runs]
    return {
        "command": "shearbench aa",
        "settings": {
            "seed": params.seed,
            "folds": params.cv.folds,
            "seeds": SEEDS,
            **params.aa.model_dump(mode="json"),
        },
        "accuracy": float(np.mean(accuracies)),
        "variance": variance_of(draws),
        "rates": [row(rate) for rate in rates],
        "provenance": provenance(),
    }


def variance_of(draws: Sequence[Sequence[Run]]) -> dict[str, float]:
    """Return the variance components of a fold's accuracy, mean over the draws, with the seed's part."""
    splits = [split_variance(np.stack([run.correct[0] for run in runs])[None], runs[0].folds) for runs in draws]
    names = [field.name for field in fields(VarianceSplit) if field.name != "note"]
    return {name: float(np.mean([getattr(split, name) for split in splits])) for name in names}


def write(reports: Path, rates: Sequence[FalsePositiveRate], content: Mapping[str, Any]) -> None:
    """Write ``aa.json``, ``aa.csv`` and ``aa.png``."""
    write_json(reports / "aa.json", content)
    write_text(reports / "aa.csv", pd.DataFrame([row(rate) for rate in rates]).to_csv(index=False))
    write_bytes(reports / "aa.png", png(false_positive_figure([row(rate) for rate in rates])))


def print_rates(rates: Sequence[FalsePositiveRate]) -> None:
    """Print a line a test."""
    table = Table(title="False positives", title_justify="left", box=None, padding=(0, 1, 0, 0))
    for heading in ("test", "null", "claimed"):
        table.add_column(heading, overflow="fold")
    for heading in ("rate", "95 % interval", "trials"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("holds", no_wrap=True)
    words = {True: "yes", False: "[bold red]no[/]", None: "no claim"}
    for rate in rates:
        low, high = rate.interval
        interval = f"{100 * low:.1f} to {100 * high:.1f}"
        claim = {"equal": "5 %", "at most": "at most 5 %", "none": "nothing"}[rate.claim]
        measured = (f"{100 * rate.rate:.1f}", interval, f"{rate.trials:,}")
        table.add_row(rate.test, rate.null, claim, *measured, words[rate.holds])
    Console().print(table)


def _compare(task: tuple[Sequence[Run], Plan], advance: Advance) -> Pairs:
    compared = compare_draw(*task)
    advance(1)
    return compared


def _simulate(task: tuple[int, int, Null], advance: Advance) -> FalsePositiveRate:
    seed, trials, null = task
    (rate,) = simulate_nulls(seed, trials=trials, nulls={null: NULLS[null]})
    advance(1)
    return rate
