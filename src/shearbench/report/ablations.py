"""Read an ablation result from its folder, and describe its verdicts in words; the table of its hypotheses.

Every sentence follows from the numbers and verdicts of one ablation, ``build/ablation_results/<name>/`` or
``reports/full/<name>/``; other records give other sentences.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from shearbench.records import RECORD, read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Heading, Picture, Pictures, Prose, Table
from shearbench.report.findings import TOO_FEW, Row, Rows, listed, p_value, percent, points, span

LEAST_FOLDS = 5
"""Least number of folds for a verdict in words: with 3 folds, five verdicts changed with the precision."""
IS = {
    "better": "is better than",
    "worse": "is worse than",
    "equivalent": "is equivalent to",
}
_HYPOTHESES = (
    Column("hypothesis"),
    Column("run", help="dataset, model, batch-norm statistics"),
    Column("n", True, "independent trainings"),
    Column("level, %", True, "mean test accuracy with Student's 95 % interval"),
    Column("spread", True, "standard deviation over the trainings, percentage points"),
    Column("loss", True, "training loss of the last epoch"),
    Column("control, %", True, "mean test accuracy of the shallow model on the same inputs"),
    Column("as predicted"),
    Column("verdict"),
)


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


def hypotheses_blocks(folder: Path, heading: str) -> list[Block]:
    """Return the blocks on the hypotheses that were judged in a folder."""
    path = folder / "hypotheses.csv"
    record, rows = read_json(folder / "record.json"), rows_of_file(path)
    caption = (
        f"Independent trainings on {record['sizes']['train']:,} samples each, {record['hardware']}. A misfit names "
        "the numbers that differ from the published ones at 95 %, uncorrected for the number of hypotheses. Small: the "
        "range that the hypothesis predicts."
    )
    blocks: list[Block] = [
        Heading(f"Hypotheses ({heading.lower()})"),
        Prose(f"{record['plan']['question']} {best_candidate(pd.DataFrame(rows))}"),
        Table(_HYPOTHESES, [_row(row) for row in rows], caption, [Data.of(path)]),
    ]
    modes = folder / "figures" / "modes.png"
    if modes.is_file():
        text = "Held-out accuracy after each epoch by batch-norm statistics"
        more = "Means over the trainings. The three lines are the same weights on the same samples."
        blocks.append(Pictures([Picture.of(modes, text, more, [folder / "modes.csv"])], wide=True))
    return blocks


def best_candidate(table: pd.DataFrame) -> str:
    """Return a sentence with the hypotheses that fit, or with the least misfit."""
    run = table[table["verdict"] != "not run"]
    if run.empty:
        return "None of the hypotheses has run."
    counts = f"{len(run)} of {len(table)} hypotheses have run."
    fits = run.loc[run["verdict"] == "fits", "hypothesis"]
    if len(fits):
        names = ", ".join(fits)
        return f"{counts} Consistent with all published numbers: {names}. This does not show that it happened."
    missed = run["verdict"].map(lambda verdict: verdict.count(",") + 1 if verdict.startswith("misfit") else 0)
    least = run[missed == missed.min()]
    names, words = ", ".join(least["hypothesis"]), "; ".join(least["verdict"].unique())
    return f"{counts} None fits all published numbers. The least misfit: {names} ({words})."


def _row(row: Row) -> list[Cell | str]:
    run = ", ".join(str(row[key]) for key in ("dataset", "model", "statistics"))
    trainings = 0 if row["verdict"] == "not run" else row["trainings"]
    low, high = row["accuracy_low"], row["accuracy_high"]
    return [
        Cell(row["hypothesis"], strong=True, help=row["because"]),
        run,
        Cell(f"{trainings:.0f}", trainings),
        _cell(row["accuracy"], f"{100 * row['accuracy']:.1f} ({span(low, high)})", row["predicted_level"], 100),
        _cell(row["spread"], f"{100 * row['spread']:.2f}", row["predicted_spread"], 100),
        _cell(row["train_loss"], f"{row['train_loss']:.3f}", row["predicted_train_loss"], 1),
        _cell(row["control_accuracy"], f"{100 * row['control_accuracy']:.1f}", row["predicted_control"], 100),
        "" if pd.isna(row["as_predicted"]) else row["as_predicted"],
        Cell(row["verdict"], strong=True),
    ]


def _cell(value: float, text: str, predicted: str, scale: int) -> Cell:
    """Return a measured number, empty if it was not measured, with the predicted range below it."""
    ends = [] if pd.isna(predicted) else [f"{scale * float(end):g}" for end in predicted.split(" to ")]
    note = " to ".join(ends)
    return Cell("", note=note) if pd.isna(value) else Cell(text, value, note=note)
