"""The table of hypotheses on a published number: predictions, results of the trainings, and verdicts."""

from pathlib import Path

import pandas as pd

from shearbench.records import read_json
from shearbench.report.ablations import rows_of_file
from shearbench.report.blocks import Block, Cell, Column, Data, Heading, Picture, Pictures, Prose, Table
from shearbench.report.findings import Row, span

_COLUMNS = (
    Column("hypothesis"),
    Column("run", help="dataset, model, batch-norm statistics"),
    Column("n", True, "independent trainings"),
    *(Column(f"{name}, predicted") for name in ("level", "spread", "loss")),
    Column("level, %", True, "mean test accuracy with Student's 95 % interval"),
    Column("spread", True, "standard deviation over the trainings, percentage points"),
    Column("loss", True, "training loss of the last epoch"),
    Column("control, %", True, "mean test accuracy of the shallow model on the same inputs"),
    Column("as predicted"),
    Column("verdict"),
)


def hypotheses_blocks(folder: Path, heading: str) -> list[Block]:
    """Return the blocks on the hypotheses that were judged in a folder."""
    path = folder / "hypotheses.csv"
    record, rows = read_json(folder / "record.json"), rows_of_file(path)
    caption = (
        f"Independent trainings on {record['sizes']['train']:,} samples each, {record['hardware']}. A misfit names "
        "the numbers that differ from the published ones at 95 %, uncorrected for the number of hypotheses."
    )
    blocks: list[Block] = [
        Heading(f"Hypotheses ({heading.lower()})"),
        Prose(f"{record['plan']['question']} {best_candidate(pd.DataFrame(rows))}"),
        Table(_COLUMNS, [_row(row) for row in rows], caption, [Data.of(path)]),
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
        *(str(row[f"predicted_{key}"]) for key in ("level", "spread", "train_loss")),
        _cell(row["accuracy"], f"{100 * row['accuracy']:.1f} ({span(low, high)})"),
        _cell(row["spread"], f"{100 * row['spread']:.2f}"),
        _cell(row["train_loss"], f"{row['train_loss']:.3f}"),
        _cell(row["control_accuracy"], f"{100 * row['control_accuracy']:.1f}"),
        "" if pd.isna(row["as_predicted"]) else row["as_predicted"],
        Cell(row["verdict"], strong=True),
    ]


def _cell(value: float, text: str) -> Cell | str:
    return "" if pd.isna(value) else Cell(text, value)
