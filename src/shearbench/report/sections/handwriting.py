"""Handwriting: accuracy on each class's digits by step of the recipe and by group, and copies of MNIST."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shearbench import yaml12
from shearbench.records import is_finished, read_json
from shearbench.report.blocks import Block, Cell, Column, Data, Facts, Heading, Picture, Pictures, Prose, Section, Table

_TEXT = """Digits that a class drew, predicted by networks that were trained on MNIST only. `study` prepares a picture
as the study did, `mnist` as MNIST was made. Accuracy and loss are means over the folds' networks, on the digits that
a preparation accepts. Intervals are 95 % and resample writers; those of groups are Wilson's. The model for the
detailed figures is the best on MNIST's own held-out folds. The class has no influence on this choice."""
_STEPS = """Steps 1 to 4 are the study's, step 5 is step 4 by group, steps 6 and 7 are ours. A gain is relative to the
previous available step, on the same resampled writers."""
_STAND_IN = """This is a stand-in for a class: scikit-learn's digits, drawn with one style per group, with planted
copies of MNIST and faults. `docs/use-your-own-digits.md` shows how to use a class's own digits."""
_GROUPS = """A verdict compares a group with all others, with the level shared among the groups. If the interval is
wider than 30 points, the group is too small for a verdict."""


def read(root: Path, rows: Sequence[Mapping[str, Any]]) -> Section:
    """Return the section."""
    folders = [folder for folder in sorted((root / "build" / "handwriting").glob("*")) if is_finished(folder)]
    blocks = [each for one in folders for each in _class(one)] + list(_full(root / "reports" / "full" / "handwriting"))
    sources = yaml12.parse((root / "params.yaml").read_text())["sources"]
    planned = "mnist" in sources and "class_digits" in sources  # otherwise the stage is skipped
    missing = ["the digits of a class; run `dvc repro handwriting`"] if planned and not folders else []
    return Section("handwriting", "Handwriting", [Prose(_TEXT), *blocks] if blocks else [], missing)


def _full(folder: Path) -> Iterator[Block]:
    """Yield the steps and groups of a class with networks trained on all of MNIST, if available."""
    if not (folder / "record.json").is_file():
        return
    record = read_json(folder / "record.json")
    rows = [_of_file(row) for row in csv.DictReader((folder / "steps.csv").read_text().splitlines())]
    folds = " or ".join(dict.fromkeys(f"{row['folds']} folds" for row in rows if row["n"]))
    yield Heading(f"At full size: class {record['folder']}, predicted by networks trained on all of MNIST")
    chosen = record["chosen"].replace("_", ", training ")
    yield Prose(
        f"Means over the networks of {folds}. The detailed figures show {chosen}, chosen by MNIST's held-out folds."
    )
    yield _steps(rows, folder / "steps.csv")
    yield _wide(folder, "steps", "Accuracy at each step of the recipe, at full size", "steps.csv")
    yield _wide(folder, "groups", "Accuracy of each group with Wilson's 95 % interval, at full size", "groups.csv")
    yield _wide(folder, "hardness", "Features that go with errors, by group, at full size")
    yield _wide(folder, "confusion", "Confusion matrix of the chosen network, at full size", "confusion.csv")


def _of_file(row: Mapping[str, str]) -> dict[str, Any]:
    """Return a row of ``steps.csv`` in the form of ``results.json``; the file has no numbers for the groups of step 5.

    The file has a column ``missing`` if a network is missing.
    """
    words: dict[str, Any] = {key: row[key] for key in ("model", "title", "missing") if row.get(key)}
    words |= {"step": int(row["step"]), "n": int(float(row["n"] or 0)), "folds": int(float(row["folds"] or 0))}
    numbers = {
        key: float(value) for key, value in row.items() if key.startswith(("accuracy", "loss", "gain_acc")) and value
    }
    if words["n"]:
        words |= {key: numbers[key] for key in ("accuracy", "loss")}
        words["accuracy_interval"] = _pair(numbers, "accuracy")
        if "gain_accuracy" in numbers:
            words["gain"] = {
                "accuracy": numbers["gain_accuracy"],
                "accuracy_interval": _pair(numbers, "gain_accuracy"),
            }
    return words


def _pair(numbers: Mapping[str, float], name: str) -> list[float] | None:
    """Return the ends of an interval, or None if there were too few writers."""
    return [numbers[f"{name}_{end}"] for end in ("low", "high")] if f"{name}_low" in numbers else None


def _class(folder: Path) -> Iterator[Block]:
    results = read_json(folder / "results.json")
    yield Heading(f"{'Stand-in for a class' if results['stand_in'] else 'Class'}: {results['folder']}")
    if results["stand_in"]:
        yield Prose(_STAND_IN)
    yield Facts(_facts(results))
    if results["steps"]:
        yield Prose(_STEPS)
        yield _steps(results["steps"], folder / "steps.csv")
        yield _wide(folder, "steps", "Accuracy at each step of the recipe", "steps.csv")
    yield _networks(results["models"], folder / "networks.csv")
    yield Prose(_GROUPS)
    yield _groups(results, folder / "groups.csv")
    yield _wide(folder, "groups", "Accuracy of each group with Wilson's 95 % interval", "groups.csv")
    if results["hardness"]:
        yield _wide(folder, "hardness", "Features that go with errors, by group", "digits.csv")
        yield _wide(folder, "confusion", "Confusion matrix of the chosen network", "confusion.csv")
    yield Prose(_copies(results["copies"], results["duplicates"]))
    if (folder / "figures" / "copies.png").is_file():
        yield _wide(folder, "copies", "Flagged digits beside the MNIST digits", "copies.csv")
    yield _wide(folder, "before_and_after", "Before and after", "manifest.csv")


def _wide(folder: Path, name: str, text: str, data: str = "") -> Pictures:
    """Return a figure in full width, with the table ``data`` that it was drawn from, if given."""
    path, tables = folder / "figures" / f"{name}.png", [folder / data] if data else []
    return Pictures([Picture.of(path, f"{text}: {folder.name}", f"{text}.", tables)], wide=True)


def _facts(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    files, chosen, through = results["files"], results["chosen"], results["through_mnist"]
    rejected = ", ".join(f"{count} by {by}" for by, count in files["rejected"].items())
    lost = 100 * (through["accuracy"] - through["accuracy_prepared"])
    pairs = [
        ("files", f"{files['all']}, of them {files['read']} read"),
        ("writers", f"{results['writers']} in {results['groups']} groups"),
        ("rejected", rejected),
        ("looked at more closely", f"{chosen['model']}, training {chosen['training']}"),
        (
            "MNIST through the `mnist` preparation",
            f"{100 * through['accuracy']:.2f} % before, {100 * through['accuracy_prepared']:.2f} % after: "
            f"{lost:+.2f} points lost on {through['n']} test digits",
        ),
    ]
    tuned = results["fine_tuning"]
    if tuned:
        gain = 100 * tuned["gain"]["accuracy"]
        pairs.append(
            (
                "fine-tuned on the other groups",
                f"{100 * tuned['accuracy']:.1f} % on groups never trained on, {gain:+.1f} points",
            )
        )
    return pairs


def _steps(rows: Sequence[Mapping[str, Any]], path: Path) -> Table:
    columns = [
        Column("model"),
        Column("step", numeric=True),
        Column("what is new"),
        Column("digits", numeric=True),
        Column("accuracy (%)", numeric=True),
        Column("95 % over writers"),
        Column("loss", numeric=True),
        Column("gain (points)", numeric=True),
    ]
    return Table(columns, [_step(row) for row in rows], "The recipe, step by step.", [Data.of(path)])


def _step(row: Mapping[str, Any]) -> list[Cell | str]:
    head: list[Cell | str] = [row["model"], Cell(str(row["step"]), row["step"]), row["title"]]
    if not row.get("n"):
        return [*head, "", "", row.get("missing", "no digit is kept"), "", ""]
    if row["title"] == "per group":
        if "groups" not in row:
            return [*head, Cell(str(row["n"]), row["n"]), "", "group by group: see the figure", "", ""]
        known = [100 * group["accuracy"] for group in row["groups"] if group["n"]]
        span = f"groups from {min(known):.1f} to {max(known):.1f}"
        return [*head, Cell(str(row["n"]), row["n"]), "", span, "", ""]
    gain = row.get("gain", {}).get("accuracy")
    return [
        *head,
        Cell(str(row["n"]), row["n"]),
        _percent(row["accuracy"]),
        _span(row["accuracy_interval"]),
        Cell(f"{row['loss']:.3f}", row["loss"]),
        "" if gain is None else Cell(_gain(row), 100 * gain),
    ]


def _gain(row: Mapping[str, Any]) -> str:
    span = row["gain"]["accuracy_interval"]
    interval = "" if span is None else f" ({100 * span[0]:+.1f} to {100 * span[1]:+.1f})"
    return f"{100 * row['gain']['accuracy']:+.1f}{interval}".replace("-", "\N{MINUS SIGN}")


def _networks(rows: Sequence[Mapping[str, Any]], path: Path) -> Table:
    columns = [
        Column("model"),
        Column("training", help="run: as in `runs` of params.yaml; grid: beside the recipe"),
        Column("preparation"),
        Column("digits", numeric=True),
        Column("accuracy (%)", numeric=True),
        Column("95 % over writers"),
        Column("rejected as misread (%)", numeric=True),
        Column("MNIST, held out (%)", numeric=True),
    ]
    runs = [
        [
            row["model"],
            row["training"],
            row["preparation"],
            Cell(str(row["n"]), row["n"]),
            _percent(row["accuracy"]),
            _span(row["accuracy_interval"]),
            _percent(row["accuracy_all"]),
            _percent(row["mnist_accuracy"]),
        ]
        for row in rows
        if row["n"]
    ]
    return Table(columns, runs, "Every network, with both preparations.", [Data.of(path)])


def _groups(results: Mapping[str, Any], path: Path) -> Table:
    chosen = results["chosen"]
    own = [row for row in results["models"] if all(row[key] == chosen[key] for key in ("model", "training"))]
    columns = [Column("group", numeric=True)]
    for row in own:
        name = row["preparation"]
        columns += [
            Column(f"{name}: digits", numeric=True),
            Column("accuracy (%)", numeric=True),
            Column("Wilson's 95 %"),
            Column("loss", numeric=True),
            Column("verdict"),
        ]
    columns.append(Column("copies of MNIST", numeric=True))
    flagged = results["copies"]["by_group"]
    runs = [
        [
            Cell(str(groups[0]["group"]), groups[0]["group"]),
            *(run for group in groups for run in _group(group)),
            Cell(str(flagged[str(groups[0]["group"])]), flagged[str(groups[0]["group"])]),
        ]
        for groups in zip(*(row["groups"] for row in own), strict=True)
    ]
    caption = f"Each group, read by {chosen['model']} ({chosen['training']})."
    return Table(columns, runs, caption, [Data.of(path)])


def _group(group: Mapping[str, Any]) -> list[Cell | str]:
    if not group["n"]:
        return [Cell("0", 0), "", "", "", group["verdict"]]
    return [
        Cell(str(group["n"]), group["n"]),
        _percent(group["accuracy"]),
        _span([group["low"], group["high"]]),
        Cell(f"{group['loss']:.2f}", group["loss"]),
        Cell(group["verdict"], strong=group["verdict"].startswith("worse")),
    ]


def _copies(copies: Mapping[str, Any], duplicates: Sequence[Mapping[str, Any]]) -> str:
    """Return sentences on copies of MNIST digits."""
    found = copies["flagged"]
    text = (
        f"Compared with {copies['compared_with']:,} MNIST digits, {len(found)} digits are nearer to one than digits of "
        f"different writers ever are; the limits come from {copies['limits_from']:,} MNIST digits, and flag "
        f"{100 * copies['flagged_of_mnist']:.1f} % of as many others. "
    )
    named = [f"group {group} ({one['flagged']} of {one['of']})" for group, one in copies["groups"].items()]
    text += f"Copied from MNIST: {', '.join(named)}. " if named else "No group has more of them than chance explains. "
    without = copies["accuracy_without"]
    if found and without["n"]:
        text += (
            f"Without them accuracy is {100 * without['accuracy']:.1f} %, with them {100 * copies['accuracy']:.1f} %. "
        )
    return text + f"Within the folder {len(duplicates)} groups of files show the same."


def _percent(share: float) -> Cell:
    return Cell(f"{100 * share:.1f}", 100 * share)


def _span(span: Sequence[float] | None) -> str:
    return "too few to say" if span is None else f"{100 * span[0]:.1f} to {100 * span[1]:.1f}"
