"""The table of hypotheses on a published number: predictions, results of the trainings, and verdicts."""

from pathlib import Path
from typing import Any

import pandas as pd

from shearbench.records import read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Heading, Picture, Pictures, Prose, Table
from shearbench.report.findings import span

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
    record, table = read_json(folder / "record.json"), pd.read_csv(folder / "hypotheses.csv")
    caption = (
        f"Independent trainings on {record['sizes']['train']:,} samples each, {record['hardware']}. A misfit names "
        "the numbers that differ from the published ones at 95 %, uncorrected for the number of hypotheses."
    )
    rows = [_row(row) for row in table.to_dict("records")]
    blocks: list[Block] = [
        Heading(f"Hypotheses ({heading.lower()})"),
        Prose(f"{record['plan']['question']} {best_candidate(table)}"),
        Table(_COLUMNS, rows, caption, [Data.of(folder / "hypotheses.csv")]),
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


def _row(row: dict[Any, Any]) -> list[Cell | str]:
    run = ", ".join(str(row[key]) for key in ("dataset", "model", "statistics"))
    predicted = [str(row[f"predicted_{key}"]) for key in ("level", "spread", "train_loss")]
    name = Cell(row["hypothesis"], strong=True, help=row["because"])
    verdict = Cell(row["verdict"], strong=True)
    control = _share(row["control_accuracy"])
    if row["verdict"] == "not run":
        return [name, run, Cell("0", 0), *predicted, "", "", "", control, "", verdict]
    interval = f"{100 * row['accuracy']:.1f} ({span(row['accuracy_low'], row['accuracy_high'])})"
    return [
        name,
        run,
        Cell(f"{row['trainings']:.0f}", row["trainings"]),
        *predicted,
        Cell(interval, row["accuracy"]),
        Cell(f"{100 * row['spread']:.2f}", row["spread"]),
        Cell(f"{row['train_loss']:.3f}", row["train_loss"]),
        control,
        row["as_predicted"],
        verdict,
    ]


def _share(value: float) -> Cell | str:
    return "" if pd.isna(value) else Cell(f"{100 * value:.1f}", value)
