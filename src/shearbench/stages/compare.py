"""Stage ``compare``: compare all evaluated runs.

Reads ``build/evaluation/``, ``build/runs/``, ``build/training_configs/`` and ``build/samples/``. Writes into
``reports/``: ``comparison.csv`` and ``.json``, with a row per run; ``pairs.csv`` and ``.json``, with a row per pair of
models on a dataset or of datasets for a model; ``metrics.json`` for DVC. Prints both tables. Writes comparisons by
topic into ``build/comparison/``, and copies some of its figures into ``build/comparison_plots/`` for ``dvc plots``.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.analysis.comparisons import write_comparison
from shearbench.comparison.champion import abstention_of
from shearbench.comparison.printed import print_tables
from shearbench.comparison.table import (
    compare_runs,
    metrics,
    refuse_leakage,
    rows_of_runs,
    with_abstention,
    with_verdicts,
)
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.pipeline.present import read_run
from shearbench.predictions.evaluated import EvaluatedRun, read_evaluated
from shearbench.records import write_bytes, write_json, write_text
from shearbench.statistics.pairs import row as pair_row
from shearbench.statistics.runs import Design, Plan
from shearbench.tuning.tuned import config_path, read_run_config

_PLOTS = ("learning_curves.png", "classes.png", "noise.png", "calibration.png")


def main(params: Params, root: Path) -> None:
    """Compare all runs of ``params``.

    Raises:
        InputError: if the evaluation of a run is missing or damaged, its folds are not up to date, or it
            scores samples that its hyperparameters were tuned on.
    """
    runs = [(run.dataset, run.model) for run in params.runs.values()]
    for name in params.runs:
        read_run(params, root, name)
    rows = rows_of_runs(root / "build" / "evaluation", runs)
    tuned = [(dataset, model) for dataset, model in runs if read_run_config(config_path(root, dataset, model)).tuned]
    if tuned:
        refuse_leakage(root / "build", tuned, networks=params.cv.networks)
    pairs = pairs_of_runs(params, root, runs)
    rows = with_verdicts(rows, pairs["rows"])
    evaluated = read_evaluated(root / "build", runs, networks=params.cv.networks)
    rows = with_abstention(rows, [_abstention(run, params.predict.accuracy) for run in evaluated.runs])
    write_comparison(root / "build" / "comparison", evaluated, workers=params.execution.workers)
    _copy_plots(root / "build" / "comparison" / "figures", root / "build" / "comparison_plots")
    reports = root / "reports"
    write_text(reports / "comparison.csv", pd.DataFrame(rows).to_csv(index=False))
    write_json(reports / "comparison.json", rows)
    write_text(reports / "pairs.csv", pd.DataFrame(pairs["rows"]).to_csv(index=False))
    write_json(reports / "pairs.json", pairs)
    write_json(reports / "metrics.json", metrics(rows))
    print_tables(root)


def _copy_plots(figures: Path, folder: Path) -> None:
    """Copy the figures for ``dvc plots``; remove copies of figures that no longer exist."""
    folder.mkdir(exist_ok=True)
    for name in _PLOTS:
        if (figures / name).is_file():
            write_bytes(folder / name, (figures / name).read_bytes())
        else:
            (folder / name).unlink(missing_ok=True)


def _abstention(run: EvaluatedRun, demanded: float) -> dict[str, float | int | None]:
    test = run.arrays("test_predictions.npz")
    return abstention_of(run.fold_runs, test["probabilities"], test["labels"], demanded)


def plan_of(params: Params) -> Plan:
    """Return what ``params.yaml`` declares before the run: design, regions of equivalence, differences to detect."""
    cv, declared = params.cv, params.compare
    disjoint = cv.design == "disjoint"
    design = Design(cv.folds, cv.repeats, alpha=declared.alpha, power=declared.power, disjoint=disjoint)
    return Plan(design, declared.rope, declared.detect)


def pairs_of_runs(params: Params, root: Path, runs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return ``rows``, one per pair; ``refused``, why there are none, or None; ``unpaired``, omitted pairs."""
    try:
        compared = compare_runs(root / "build", runs, plan=plan_of(params))
    except InputError as error:  # the scores of each run are valid, only their comparison is not
        return {"rows": [], "refused": str(error), "unpaired": []}
    rows = [pair_row(pair) for pair in (*compared.models, *compared.datasets)]
    return {"rows": rows, "refused": None, "unpaired": list(compared.unpaired)}
