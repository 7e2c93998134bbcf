"""Handwriting: accuracy on each class's digits by step of the recipe and by group, and copies of MNIST."""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd

from shearbench import yaml12
from shearbench.records import is_finished, read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Facts, Heading, Picture, Pictures, Prose, Section, Table
from shearbench.report.comparison import Columns, number, rows_of_file, table
from shearbench.report.findings import Row, Rows, points

_TEXT = """Digits that a class drew, predicted by models that were trained on MNIST only. `study` prepares a picture
as the study did, `mnist` as MNIST was made. Accuracy and loss are means over the models of the folds, on the digits
that a preparation accepts. Intervals are 95 % and resample writers; those of groups are Wilson's. The model for the
detailed figures is the best on MNIST's own held-out folds. The class has no influence on this choice."""
_STEPS = """Steps 1 to 4 are the study's, step 5 is step 4 by group, steps 6 and 7 are ours. A gain is relative to the
previous available step, on the same resampled writers."""
_STAND_IN = """This is a stand-in for a class: scikit-learn's digits, drawn with one style per group, with planted
copies of MNIST and faults. `docs/use-your-own-digits.md` shows how to use a class's own digits."""
_GROUPS = """A verdict compares a group with all others, with the level shared among the groups. If the interval is
wider than 30 points, the group is too small for a verdict."""


def read(root: Path, rows: Rows) -> Section:
    """Return the section."""
    folders = [folder for folder in sorted((root / "build" / "handwriting").glob("*")) if is_finished(folder)]
    blocks = [each for one in folders for each in _class(one)] + list(_full(root / "reports" / "full" / "handwriting"))
    sources = yaml12.parse((root / "params.yaml").read_text())["sources"]
    planned = "mnist" in sources and "class_digits" in sources  # otherwise the stage is skipped
    missing = ["the digits of a class; run `dvc repro handwriting`"] if planned and not folders else []
    return Section("handwriting", "Handwriting", [Prose(_TEXT), *blocks] if blocks else [], missing)


def _full(folder: Path) -> Iterator[Block]:
    """Yield the steps and groups of a class with models trained on all of MNIST, if available."""
    if not (folder / "record.json").is_file():
        return
    record = read_json(folder / "record.json")
    steps = pd.read_csv(folder / "steps.csv")
    folds = " or ".join(f"{count:.0f} folds" for count in steps.loc[steps["n"] > 0, "folds"].unique())
    yield Heading(f"At full size: class {record['folder']}, predicted by models trained on all of MNIST")
    chosen = record["chosen"].replace("_", ", training ")
    yield Prose(
        f"Means over the models of {folds}. The detailed figures show {chosen}, chosen by MNIST's held-out folds."
    )
    yield _steps(folder / "steps.csv", {})
    yield _wide(folder, "steps", "Accuracy at each step of the recipe, at full size", "steps.csv")
    yield _wide(folder, "groups", "Accuracy of each group with Wilson's 95 % interval, at full size", "groups.csv")
    yield _wide(folder, "hardness", "Features that go with errors, by group, at full size")
    yield _wide(folder, "confusion", "Confusion matrix of the chosen model, at full size", "confusion.csv")


def _class(folder: Path) -> Iterator[Block]:
    results = read_json(folder / "results.json")
    yield Heading(f"{'Stand-in for a class' if results['stand_in'] else 'Class'}: {results['folder']}")
    if results["stand_in"]:
        yield Prose(_STAND_IN)
    yield Facts(_facts(results))
    if results["steps"]:
        yield Prose(_STEPS)
        groups = {row["model"]: row["groups"] for row in results["steps"] if "groups" in row}
        yield _steps(folder / "steps.csv", groups)
        yield _wide(folder, "steps", "Accuracy at each step of the recipe", "steps.csv")
    yield _networks(folder / "networks.csv")
    yield Prose(_GROUPS)
    yield _groups(results, folder / "groups.csv")
    yield _wide(folder, "groups", "Accuracy of each group with Wilson's 95 % interval", "groups.csv")
    if results["hardness"]:
        yield _wide(folder, "hardness", "Features that go with errors, by group", "digits.csv")
        yield _wide(folder, "confusion", "Confusion matrix of the chosen model", "confusion.csv")
    yield Prose(_copies(results["copies"], results["duplicates"]))
    if (folder / "figures" / "copies.png").is_file():
        yield _wide(folder, "copies", "Flagged digits beside the MNIST digits", "copies.csv")
    yield _wide(folder, "before_and_after", "Before and after", "manifest.csv")


def _wide(folder: Path, name: str, text: str, data: str = "") -> Pictures:
    """Return a figure in full width, with the table ``data`` that it was drawn from, if given."""
    path, tables = folder / "figures" / f"{name}.png", [folder / data] if data else []
    return Pictures([Picture.of(path, f"{text}: {folder.name}", f"{text}.", tables)], wide=True)


def _facts(results: Row) -> list[tuple[str, str]]:
    files, chosen, through = results["files"], results["chosen"], results["through_mnist"]
    rejected = ", ".join(f"{count} by {by}" for by, count in files["rejected"].items())
    before, after = through["accuracy"], through["accuracy_prepared"]
    pairs = [
        ("files", f"{files['all']}, of them {files['read']} read"),
        ("writers", f"{results['writers']} in {results['groups']} groups"),
        ("rejected", rejected),
        ("model of the detailed figures", f"{chosen['model']}, training {chosen['training']}"),
        (
            "MNIST through the `mnist` preparation",
            f"{100 * before:.2f} % before, {100 * after:.2f} % after: {points(after - before)} points on "
            f"{through['n']} test digits",
        ),
    ]
    tuned = results["fine_tuning"]
    if tuned:
        text = f"{100 * tuned['accuracy']:.1f} % on groups never trained on, {points(tuned['gain']['accuracy'])} points"
        pairs.append(("fine-tuned on the other groups", text))
    return pairs


def _steps(path: Path, groups: Mapping[str, Rows]) -> Table:
    """Return the table of ``steps.csv``; ``groups`` has the scores of each group at step 5 by model, if known."""
    columns = [
        Column("model"),
        Column("step", True),
        Column("what is new"),
        Column("digits", True),
        Column("accuracy (%)", True),
        Column("95 % over writers"),
        Column("loss", True),
        Column("gain (points)", True, "change of accuracy on the digits that count in the step before too"),
    ]
    rows = rows_of_file(path)
    body = [_step(row, groups.get(row["model"], ())) for row in rows]
    return Table(columns, body, "The recipe, step by step.", [Data.of(path)])


def _step(row: Row, groups: Rows) -> list[Cell | str]:
    head: list[Cell | str] = [row["model"], Cell(str(row["step"]), row["step"]), row["title"]]
    if not row["n"] > 0:
        missing = row.get("missing")
        return [*head, "", "", missing if isinstance(missing, str) else "no digit is accepted", "", ""]
    head.append(Cell(f"{row['n']:.0f}", row["n"]))
    if row["title"] == "per group":
        known = [100 * group["accuracy"] for group in groups if group["n"]]
        text = f"groups from {min(known):.1f} to {max(known):.1f}" if known else "group by group: see the figure"
        return [*head, "", text, "", ""]
    accuracy, interval = _percent(row["accuracy"]), _span(row["accuracy_low"], row["accuracy_high"])
    return [*head, accuracy, interval, Cell(f"{row['loss']:.3f}", row["loss"]), _gain(row)]


def _gain(row: Row) -> Cell | str:
    gain, *ends = (100 * row.get(f"gain_accuracy{end}", np.nan) for end in ("", "_low", "_high"))
    if np.isnan(gain):
        return ""
    text = f"{gain:+.1f}" if np.isnan(ends).any() else f"{gain:+.1f} ({ends[0]:+.1f} to {ends[1]:+.1f})"
    return Cell(text.replace("-", "\N{MINUS SIGN}"), gain)


def _networks(path: Path) -> Table:
    columns: Columns = {
        Column("model"): itemgetter("model"),
        Column("training", help="run: as in `runs` of params.yaml; grid: beside the recipe"): itemgetter("training"),
        Column("preparation"): itemgetter("preparation"),
        Column("digits", True): number("n", ".0f"),
        Column("accuracy (%)", True): lambda row: _percent(row["accuracy"]),
        Column("95 % over writers"): lambda row: _span(row["accuracy_low"], row["accuracy_high"]),
        Column("rejected as misclassified (%)", True): lambda row: _percent(row["accuracy_all"]),
        Column("MNIST, cross-validated (%)", True): lambda row: _percent(row["mnist_accuracy"]),
    }
    rows = [row for row in rows_of_file(path) if row["n"] > 0]
    return table(columns, rows, "Every model, with both preparations.", [Data.of(path)])


def _groups(results: Row, path: Path) -> Table:
    chosen = results["chosen"]
    own = [row for row in results["models"] if all(row[key] == chosen[key] for key in ("model", "training"))]
    columns = [Column("group", True)]
    for row in own:
        columns += [
            Column(f"{row['preparation']}: digits", True),
            Column("accuracy (%)", True),
            Column("Wilson's 95 %"),
            Column("loss", True),
            Column("verdict"),
        ]
    columns.append(Column("copies of MNIST", True))
    rows: list[list[Cell | str]] = []
    for groups in zip(*(row["groups"] for row in own), strict=True):
        number = groups[0]["group"]
        copies = results["copies"]["by_group"][str(number)]
        cells = [cell for group in groups for cell in _group(group)]
        rows.append([Cell(str(number), number), *cells, Cell(str(copies), copies)])
    caption = f"Each group, predicted by {chosen['model']} ({chosen['training']})."
    return Table(columns, rows, caption, [Data.of(path)])


def _group(group: Row) -> list[Cell | str]:
    if not group["n"]:
        return [Cell("0", 0), "", "", "", group["verdict"]]
    return [
        Cell(str(group["n"]), group["n"]),
        _percent(group["accuracy"]),
        _span(group["low"], group["high"]),
        Cell(f"{group['loss']:.2f}", group["loss"]),
        Cell(group["verdict"], strong=group["verdict"].startswith("worse")),
    ]


def _copies(copies: Row, duplicates: Rows) -> str:
    """Return sentences on copies of MNIST digits."""
    found = copies["flagged"]
    text = (
        f"Compared with {copies['compared_with']:,} MNIST digits, {len(found)} digits are nearer to one than almost "
        f"all digits of other writers are; the limits come from {copies['limits_from']:,} MNIST digits, and flag "
        f"{100 * copies['flagged_of_mnist']:.1f} % of as many others. "
    )
    named = [f"group {group} ({one['flagged']} of {one['of']})" for group, one in copies["groups"].items()]
    text += f"Copied from MNIST: {', '.join(named)}. " if named else "No group has more of them than chance explains. "
    without = copies["accuracy_without"]
    if found and without["n"]:
        accuracies = 100 * without["accuracy"], 100 * copies["accuracy"]
        text += "Without them accuracy is {:.1f} %, with them {:.1f} %. ".format(*accuracies)
    return text + f"Within the folder {len(duplicates)} groups of files show the same."


def _percent(share: float) -> Cell:
    return Cell(f"{100 * share:.1f}", 100 * share)


def _span(low: float | None, high: float) -> str:
    return "too few to say" if pd.isna(low) else f"{100 * low:.1f} to {100 * high:.1f}"
