"""Stage ``compare``: all evaluations side by side.

Reads ``build/evaluation/``, ``build/runs/``, ``build/training_configs/`` and ``build/samples/``. Writes into
``reports/``: ``comparison.csv`` and ``.json``, a row for each run; ``pairs.csv`` and ``.json``, a row for each pair of
models on a dataset and of datasets for a model; ``metrics.json`` for DVC. Prints both tables. Writes
``build/comparison/``: runs side by side, by topic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shearbench.comparison.leakage import refuse_broken
from shearbench.comparison.output import write_comparison
from shearbench.comparison.pairs import compare_runs
from shearbench.comparison.table import COLUMNS, VERDICTS, Row, with_verdicts
from shearbench.comparison.table import read_rows as rows_of_runs
from shearbench.errors import InputError
from shearbench.params import Params
from shearbench.predictions.evaluated import read_evaluated
from shearbench.records import read_json, write_json, write_text
from shearbench.report.findings import p_value
from shearbench.stages.present import read_run
from shearbench.statistics.design import Design
from shearbench.statistics.pairs import row as pair_row
from shearbench.statistics.runs import Plan
from shearbench.tuning.tuned import config_path, read_run_config


def main(params: Params, root: Path) -> None:
    """Compare all runs of ``params``.

    Raises:
        InputError: if the evaluation of a run is missing or damaged, its folds are not of the present state, or it
            scores digits that its settings were tuned on.
    """
    runs = [(run.dataset, run.model) for run in params.runs.values()]
    for name in params.runs:
        read_run(params, root, name)
    rows = rows_of_runs(root / "build" / "evaluation", runs)
    tuned = [(dataset, model) for dataset, model in runs if read_run_config(config_path(root, dataset, model)).tuned]
    if tuned:
        refuse_broken(root / "build", tuned, networks=params.cv.networks)
    pairs = pairs_of_runs(params, root, runs)
    rows = with_verdicts(rows, pairs["rows"])
    evaluated = read_evaluated(root / "build", runs, networks=params.cv.networks)
    write_comparison(root / "build" / "comparison", evaluated)
    reports = root / "reports"
    table = pd.DataFrame(rows, columns=[*COLUMNS, *VERDICTS])
    write_text(reports / "comparison.csv", table.to_csv(index=False))
    write_json(reports / "comparison.json", rows)
    write_text(reports / "pairs.csv", pd.DataFrame(pairs["rows"]).to_csv(index=False))
    write_json(reports / "pairs.json", pairs)
    write_json(reports / "metrics.json", metrics(rows))
    print_tables(root)


def pairs_of_runs(params: Params, root: Path, runs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return ``rows``, one a pair; ``refused``: why there are none, or None; ``unpaired``: pairs left out, and why."""
    declared = params.compare
    design = Design(params.cv.folds, params.cv.repeats, alpha=declared.alpha, power=declared.power)
    try:
        compared = compare_runs(root / "build", runs, plan=Plan(design, declared.rope, declared.detect))
    except InputError as error:  # the scores of each run stand; only their comparison does not
        return {"rows": [], "refused": str(error), "unpaired": []}
    rows = [pair_row(pair) for pair in (*compared.networks, *compared.datasets)]
    return {"rows": rows, "refused": None, "unpaired": [asdict(pair) for pair in compared.refused]}


def metrics(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return what ``dvc metrics`` and ``dvc exp show`` list: out-of-fold accuracy in %, by dataset and network.

    Settings are chosen by these columns, so the sealed test set is not among them.
    """
    listed: dict[str, dict[str, float]] = {}
    for row in rows:
        listed.setdefault(row["dataset"], {})[row["model"]] = round(100 * row["cv_accuracy_mean"], 2)
    return listed


def read_rows(root: Path) -> list[Row]:
    """Read the rows of runs that :func:`main` wrote; InputError if it has not run."""
    rows: list[Row] = read_json(root / "reports" / "comparison.json")
    return rows


def read_tables(root: Path) -> dict[str, Any]:
    """Read everything that :func:`main` wrote for a machine: ``runs`` and ``pairs``; InputError if it has not run."""
    return {"runs": read_rows(root), "pairs": read_json(root / "reports" / "pairs.json")}


def print_tables(root: Path) -> None:
    """Print the tables that :func:`main` wrote; InputError if it has not run."""
    tables = read_tables(root)
    print_table(tables["runs"])
    print_pairs(tables["pairs"])


def print_pairs(pairs: Mapping[str, Any]) -> None:
    """Print the verdict on each pair, or why there is none."""
    console = Console()
    if pairs["refused"]:
        console.print(f"[yellow]No verdicts:[/] {escape(pairs['refused'])}", soft_wrap=True)
        return
    table = Table(title="Is the difference real? a against b, out of fold", box=None, padding=(0, 1, 0, 0))
    for heading in ("within", "a", "b"):
        table.add_column(heading, overflow="fold")  # names fold where the terminal is narrow; numbers never do
    for heading in ("a - b", "interval", "p (Holm)"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("a is", overflow="fold")
    for row in pairs["rows"]:
        interval = f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}"
        difference, p = f"{100 * row['difference']:+.2f}", p_value(row["p_holm"])
        table.add_row(row["within"], row["a"], row["b"], difference, interval, p, row["verdict"])
    console.print(table)
    for each in pairs["unpaired"]:
        pair = f"{each['within']}, {each['a']} against {each['b']}"
        console.print(f"[yellow]No verdict[/] on {pair}: {escape(each['reason'])}", soft_wrap=True)
    console.print(
        "In points; corrected resampled t over the folds. The rule of each verdict: reports/pairs.csv", style="dim"
    )


def print_table(rows: Sequence[Row]) -> None:
    """Print the comparison, in percent."""
    table = Table(title="Accuracy in %: mean ± standard deviation over folds", box=None, padding=(0, 1, 0, 0))
    table.add_column("dataset", overflow="fold")
    table.add_column("model", overflow="fold")
    for heading in ("out of fold", "test", "interval", "drop", "weights", "s/fold"):
        table.add_column(heading, justify="right", no_wrap=True)
    previous = rows[0]["dataset"] if rows else ""
    for row in rows:
        if row["dataset"] != previous:
            table.add_row()
        previous = row["dataset"]
        table.add_row(*_printed(row))
    console = Console()
    console.print(table)
    console.print(
        "interval: 95 %, for the choice of the test digits. drop: points of test accuracy lost from mnist.", style="dim"
    )
    trained_on = dict.fromkeys(row["hardware"] for row in rows)
    if len(trained_on) > 1 or any("; " in each for each in trained_on):
        console.print(f"Trained on different hardware, so compare no seconds: {escape('; '.join(trained_on))}.")


def _printed(row: Row) -> list[str]:
    drop = row["accuracy_drop"]
    return [
        row["dataset"],
        row["model"],
        f"{100 * row['cv_accuracy_mean']:.2f} ± {100 * row['cv_accuracy_sd']:.2f}",
        f"{100 * row['test_accuracy_mean']:.2f} ± {100 * row['test_accuracy_sd']:.2f}",
        f"{100 * row['test_accuracy_low']:.1f}–{100 * row['test_accuracy_high']:.1f}",
        "" if drop is None else f"{100 * drop:.2f}",
        f"{row['parameters'] / 1e6:.2f}M",
        f"{row['seconds_per_fold']:.1f}",
    ]
