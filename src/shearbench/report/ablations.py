"""Read an ablation result from its folder, and describe its verdicts in words.

Every sentence follows from the numbers and verdicts of one ablation, ``build/ablation_results/<name>/`` or
``reports/full/<name>/``; other records give other sentences.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from shearbench.records import RECORD, read_json
from shearbench.report.findings import TOO_FEW, Row, Rows, listed, p_value, percent, points, span

LEAST_FOLDS = 5
"""Least number of folds for a verdict in words: with 3 folds, five verdicts changed with the precision."""
IS = {
    "better": "is better than",
    "worse": "is worse than",
    "equivalent": "is equivalent to",
}


@dataclass(frozen=True, eq=False)
class AblationResult:
    """An ablation result: its folder, its record, and its tables as rows."""

    folder: Path
    record: Row
    accuracies: Rows
    pairs: Rows

    @cached_property
    def models(self) -> list[str]:
        """The models, in the order of the ablation."""
        return list(dict.fromkeys(row["model"] for row in self.accuracies))

    @cached_property
    def datasets(self) -> list[str]:
        """The datasets, in the order of the ablation."""
        return list(dict.fromkeys(row["dataset"] for row in self.accuracies))

    def of_family(self, family: str, **values: str) -> list[Row]:
        """Return the pairs of a family that have the given values."""
        wanted = {"family": family, **values}
        return [pair for pair in self.pairs if all(pair[key] == value for key, value in wanted.items())]

    def accuracy(self, dataset: str, model: str, split: str, bn_statistics: str) -> Row | None:
        """Return the row of an accuracy of a run, or None if it was not measured."""
        wanted = {"dataset": dataset, "model": model, "split": split, "bn_statistics": bn_statistics}
        found = (row for row in self.accuracies if all(row[key] == value for key, value in wanted.items()))
        return next(found, None)


def read_ablation_result(folder: Path) -> AblationResult | None:
    """Return the ablation result in a folder, or None if there is none."""
    if not (folder / RECORD).is_file():
        return None
    accuracies, pairs = (rows_of_file(folder / name) for name in ("accuracies.csv", "pairs.csv"))
    return AblationResult(folder, read_json(folder / RECORD), accuracies, pairs)


def sizes_of(result: AblationResult) -> str:
    """Return the sizes and recipes of an ablation's trainings in one sentence."""
    record, plan = result.record, result.record["plan"]
    models = {name: plan["models"][name] for name in result.models}
    recipes = [each["recipe"] for each in models.values()]
    epochs, rates = (listed(dict.fromkeys(f"{each[key]:g}" for each in recipes)) for key in ("epochs", "learning_rate"))
    widths = listed(f"{each['width']:g} ({name})" for name, each in models.items())
    schedules = listed(dict.fromkeys(each["schedule"] for each in recipes))
    return (
        f"{record['folds']} of {record['of_folds']} folds, {record['sizes']['train']:,} training and "
        f"{record['sizes']['test']:,} test samples, {epochs} {'epoch' if epochs == '1' else 'epochs'}, "
        f"learning rate {rates} ({schedules}), width {widths}; {record['hardware']}."
    )


def verdict_of(pair: Row) -> str:
    """Return the verdict on a pair with its numbers; with fewer than ``LEAST_FOLDS`` folds only the numbers."""
    within = f"on {pair['within']}" if pair["kind"] == "models" else f"for {pair['within']}"
    start = f"{within}, {pair['a']} {IS.get(pair['verdict'])} {pair['b']}"
    if pair["folds"] < LEAST_FOLDS:
        start = f"{within}, {pair['a']} and {pair['b']} have no verdict, which needs {LEAST_FOLDS} folds"
    elif pair["verdict"] not in IS:
        start = f"{within} it is undecided whether {pair['a']} differs from {pair['b']}"
    p = p_value(pair["p_adjusted"])
    return (
        f"{start[0].upper()}{start[1:]}: {percent(pair['mean_a'])} against {percent(pair['mean_b'])} % of the samples "
        f"that a model did not train on ({points(pair['difference'])} points, 95 % interval {points(pair['low'])} to "
        f"{points(pair['high'])}, n = {pair['folds']} folds, adjusted p {p if p.startswith('<') else f'= {p}'})."
    )


def interval(row: Row) -> str:
    """Return a mean accuracy with its 95 % interval, in %."""
    ends = span(row["low"], row["high"])
    return f"{percent(row['mean'])} % ({ends if ends == TOO_FEW else f'95 % interval {ends}'})"


def pairs_of_file(path: Path) -> Rows:
    """Return the compared pairs of a ``pairs.json``; empty if the file is missing.

    Files of earlier versions, such as those at full size, name the adjusted p value ``p_holm``.
    """
    rows = read_json(path)["rows"] if path.is_file() else []
    return [{"p_adjusted" if key == "p_holm" else key: value for key, value in row.items()} for row in rows]


def rows_of_file(path: Path) -> Rows:
    """Return the rows of a CSV file; empty if the table is empty."""
    if path.stat().st_size <= 1:  # a table without rows
        return []
    table = pd.read_csv(path).rename(columns={"p_holm": "p_adjusted"})  # its name in tables of earlier versions
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
