"""The record of a class: ``results.json``, tables, predictions, figures and the manifest; the tables in a terminal."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shearbench.data.handwritten import CLASSES
from shearbench.errors import shown
from shearbench.handwriting import figures
from shearbench.handwriting.folder import manifest_csv
from shearbench.handwriting.networks import STEPS
from shearbench.handwriting.results import FEATURES, Findings, Row
from shearbench.plotting.files import Files, picture
from shearbench.predictions.contents import Content, Node
from shearbench.records import (
    RECORD,
    csv_cell,
    hash_of,
    read_json,
    read_record,
    sha256_of,
    write_json,
    write_npz,
    write_record,
    write_text,
)

RESULTS = "results.json"
MANIFEST = "manifest.csv"
_NARROWEST = 112  # characters that the tables in a terminal need; a pipe has fewer


def write_findings(folder: Path, findings: Findings) -> Row:
    """Write all files of ``build/handwriting/<name>/``, its record last; return the content of ``results.json``."""
    results: Row = json.loads(json.dumps(findings.as_json(), allow_nan=False))  # as it will be read back
    files: dict[str, Callable[[Path], None]] = {
        MANIFEST: partial(write_text, content=manifest_csv(findings.digits)),
        RESULTS: partial(write_json, value=results),
        "predictions.npz": partial(write_npz, arrays=_predictions(findings)),
        **{name: partial(write_text, content=frame.to_csv(index=False)) for name, frame in _tables(findings, results)},
        **{f"figures/{name}": write for name, write in pictures(findings, results).items()},
    }
    for stale in (folder / "figures").glob("*"):  # an earlier run may have drawn copies
        stale.unlink()
    write_record(folder, _facts(findings), files)
    return results


def _facts(findings: Findings) -> Row:
    chosen = findings.networks[findings.chosen]
    content = [(sheet.entry.file, sheet.facts.get("sha256", sheet.unread)) for sheet in findings.digits.sheets]
    return {
        "folder": findings.digits.name,
        "seed": findings.seed,
        "chosen": chosen.name,
        "read_on": [findings.device],
        "models": {one.name: [fold_run.digest for fold_run in one.fold_runs] for one in findings.networks},
        "hashes": {"folder": hash_of(content)},
    }


def _predictions(findings: Findings) -> dict[str, Any]:
    """Return arrays: digit, group and writer of each file that was read, and ``<network>/<preparation>``."""
    digits = findings.digits
    arrays = {name: np.array(getattr(digits, name)) for name in ("files", "digits", "groups", "writers")}
    for network, predicted in zip(findings.networks, findings.predictions, strict=True):
        arrays |= {f"{network.name}/{preparation}": values for preparation, values in predicted.items()}
    return arrays


def _tables(findings: Findings, results: Row) -> Iterator[tuple[str, pd.DataFrame]]:
    yield "networks.csv", pd.DataFrame([_flat(row) for row in results["models"]])
    yield "steps.csv", pd.DataFrame([_flat(row) for row in results["steps"]])
    groups = [{**_named(row), **group} for row in results["models"] for group in row["groups"]]
    yield "groups.csv", pd.DataFrame(groups)
    classes = [
        {"model": row["model"], "step": row["step"], "class": digit, "loss": loss}
        for row in results["steps"]
        for digit, loss in enumerate(row.get("class_loss", []))
    ]
    yield "class_loss.csv", pd.DataFrame(classes, columns=["model", "step", "class", "loss"])
    yield "confusion.csv", _confusions(findings)
    yield "copies.csv", pd.DataFrame(results["copies"]["flagged"])
    duplicates = [{**row, "files": csv_cell("; ".join(row["files"]))} for row in results["duplicates"]]
    yield "duplicates.csv", pd.DataFrame(duplicates, columns=["files", "kind", "correlation"])
    yield "digits.csv", _digits(findings)
    rejected = [{**row, "file": csv_cell(row["file"])} for row in results["rejected"]]
    yield "rejected.csv", pd.DataFrame(rejected, columns=["file", "by", "reason"])


def _named(row: Mapping[str, Any]) -> Row:
    return {key: row[key] for key in ("model", "training", "preparation")}


def _flat(row: Mapping[str, Any]) -> Row:
    """Return the numbers of a row, with separate columns for the ends of intervals."""
    flat: Row = {}
    for key, value in row.items():
        if key == "gain":
            flat |= {f"gain_{name}": each for name, each in _flat(value).items()}
        elif key.endswith("interval"):
            low, high = value or (None, None)
            flat |= {key.replace("interval", "low"): low, key.replace("interval", "high"): high}
        elif not isinstance(value, list | dict):
            flat[key] = value
    return flat


def _confusions(findings: Findings) -> pd.DataFrame:
    """Return ``model, step, true, predicted, count``: the counts over all folds at each step of the recipe."""
    true, predicted = np.divmod(np.arange(CLASSES * CLASSES), CLASSES)
    frames = [
        pd.DataFrame(
            {"model": network, "step": step.number, "true": true, "predicted": predicted}
            | {"count": predictions.confusion.ravel()}
        )
        for network in findings.families
        for step in STEPS
        if (predictions := findings.of_step(network, step)) is not None
    ]
    return pd.concat(frames) if frames else pd.DataFrame(columns=["model", "step", "true", "predicted", "count"])


def _digits(findings: Findings) -> pd.DataFrame:
    """Return a row for each file that was read: its features, and the share of the chosen folds that are correct."""
    digits, examined = findings.digits, findings.examined
    columns: dict[str, Any] = {"file": digits.files, "digit": digits.digits, "group": digits.groups}
    columns |= {"counted": examined.counted, "right": examined.right, "loss": examined.losses}
    return pd.DataFrame(columns | {name: findings.feature(name) for name in FEATURES})


def pictures(findings: Findings, results: Row) -> Files:
    """Return the figures of a class; ``results`` is the content of its ``results.json``."""
    return {f"{name}.png": picture(made) for name, made in _figures(findings, results)}


def _figures(findings: Findings, results: Row) -> Iterator[tuple[str, Figure]]:
    yield "before_and_after", figures.before_and_after(findings)
    if results["steps"]:
        yield "steps", figures.steps_figure(findings, results["steps"])
    yield "groups", figures.groups_figure(_group_kinds(findings, results))
    if results["hardness"]:
        yield "hardness", figures.hardness_figure(findings, results["hardness"])
    made = figures.copies_figure(findings)
    if made is not None:
        yield "copies", made
    chosen, examined = findings.networks[findings.chosen], findings.examined
    if examined.counted.any():
        title = f"{chosen.network} ({chosen.training}), mnist preparation: n = {int(examined.counted.sum())} digits, "
        title += f"mean of {len(chosen.fold_runs)} networks"
        yield "confusion", figures.confusion_figure(title, examined.confusion, len(chosen.fold_runs))


def _group_kinds(findings: Findings, results: Row) -> dict[str, list[Row]]:
    """Return legend -> rows of groups: the chosen network with each preparation, and fine-tuned if available."""
    chosen = findings.networks[findings.chosen]
    kinds = {
        f"{row['preparation']} preparation, {chosen.network} ({chosen.training})": row["groups"]
        for row in results["models"]
        if (row["model"], row["training"]) == (chosen.network, chosen.training)
    }
    if results["fine_tuning"]:
        kinds["the same, fine-tuned on the other groups"] = results["fine_tuning"]["groups"]
    return kinds


def nodes(folder: Path) -> list[Node]:
    """Return the MLflow run of a class, with a nested run for each network and preparation."""
    record, results = read_record(folder), read_json(folder / RESULTS)
    digest = sha256_of(folder / RECORD)
    files = [folder / name for name in (*record["files"], RECORD) if not name.endswith(".npz")]
    counts = {
        **{f"files_{name}": float(results["files"][name]) for name in ("all", "read")},
        "copies_flagged": float(len(results["copies"]["flagged"])),
        "duplicates": float(len(results["duplicates"])),
    }
    tags = {
        "dvc.stage": "handwriting",
        "git.commit": record["provenance"]["commit"],
        "hash.folder": record["hashes"]["folder"],
        "mlflow.note.content": f"Digits of the folder {results['folder']}, predicted by every available network.",
    }
    children = [_network_node(row, digest, results["folder"], tags) for row in results["models"]]
    params = {"folder": results["folder"], "seed": record["seed"], "chosen": record["chosen"]}
    return [Node(f"handwriting-{results['folder']}", digest, Content(params, tags, counts, [], files), children)]


def _network_node(row: Mapping[str, Any], digest: str, folder: str, tags: Mapping[str, str]) -> Node:
    name = f"handwriting-{folder}-{row['model']}_{row['training']}-{row['preparation']}"
    numbers = {key: float(value) for key, value in _flat(row).items() if isinstance(value, int | float)}
    numbers |= {f"accuracy_group/{group['group']}": group["accuracy"] for group in row["groups"] if group["n"]}
    own = {**tags, "mlflow.note.content": "Accuracy on the digits that the preparation accepts, mean over folds."}
    return Node(name, hash_of([digest, name]), Content({**_named(row), "folder": folder}, own, numbers, [], []))


def print_results(results: Mapping[str, Any]) -> None:
    console = Console()
    console.width = max(console.width, _NARROWEST)
    console.print(heading(results), highlight=False)
    if results["steps"]:
        console.print(_steps_table(results["steps"]))
    console.print(_networks_table(results["models"]))
    console.print(_groups_table(results))
    for group, one in results["copies"]["groups"].items():
        console.print(f"group {group} copied from MNIST: {one['flagged']} of {one['of']} digits", highlight=False)
    if results["duplicates"]:
        console.print(f"{len(results['duplicates'])} groups of files show the same digit", highlight=False)
    if tuned := results["fine_tuning"]:
        console.print(f"fine-tuned on the other groups: {_share(tuned)}, gain {_gain(tuned['gain'])}", highlight=False)


def heading(results: Mapping[str, Any]) -> str:
    """Return the first line as terminal markup: the folder and its numbers of files, writers and rejections."""
    files = results["files"]
    rejected = ", ".join(f"{count} by {by}" for by, count in files["rejected"].items())
    drawn = ", a stand-in drawn from scikit-learn digits" if results["stand_in"] else ""
    name = escape(shown(results["folder"])) + drawn
    return (
        f"{name}: {files['all']} files, {files['read']} read, {results['writers']} writers in "
        f"{results['groups']} groups; rejected: {rejected}"
    )


def _grid(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _steps_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    right = ("n", "accuracy", "gain over the step before")
    table = _grid("The recipe, step by step: accuracy in %, 95 % over writers", ("model", "step"), right)
    for row in rows:
        head = row["model"], f"{row['step']} {row['title']}"
        if not row.get("n"):
            table.add_row(*head, "-", row.get("missing", "no digit accepted"), "")
        elif row["title"] == "per group":
            known = [100 * group["accuracy"] for group in row["groups"] if group["n"]]
            table.add_row(*head, str(row["n"]), f"groups from {min(known):.1f} to {max(known):.1f}", "")
        else:
            usual = 4 if row["step"] == 6 else row["step"] - 1  # step 5 is step 4 by group
            over = f" over {row['gain_over']}" if row.get("gain_over", usual) != usual else ""
            gain = f"{_gain(row['gain'])}{over}" if "gain" in row else ""
            table.add_row(*head, str(row["n"]), _share(row), gain)
    return table


def _networks_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    left, right = ("model", "training", "preparation"), ("n", "accuracy", "rejected as misclassified", "on MNIST")
    table = _grid("Every network: accuracy in %, mean over folds", left, right)
    for row in rows:
        if row["n"]:
            named = (row["model"], row["training"], row["preparation"], str(row["n"]))
            others = f"{100 * row['accuracy_all']:.1f}", f"{100 * row['mnist_accuracy']:.1f}"
            table.add_row(*named, _share(row), *others)
    return table


def _groups_table(results: Mapping[str, Any]) -> Table:
    chosen = results["chosen"]
    own = [row for row in results["models"] if all(row[key] == chosen[key] for key in ("model", "training"))]
    names = [name for row in own for name in ("n", row["preparation"], "verdict")]
    title = f"Each group: accuracy in % of {chosen['model']} ({chosen['training']}), the best on MNIST, Wilson's 95 %"
    table = _grid(title, ("group",), (*names, "copies"))
    for groups in zip(*(row["groups"] for row in own), strict=True):
        name = str(groups[0]["group"])
        cells = [cell for group in groups for cell in _group_cells(group)]
        table.add_row(name, *cells, str(results["copies"]["by_group"][name]))
    return table


def _group_cells(group: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return number of digits, accuracy and short verdict of a group."""
    share = f"{100 * group['accuracy']:.1f} ({_span_text([group['low'], group['high']])})" if group["n"] else "-"
    verdict = group["verdict"].replace(" than the others", "").replace(" to say", "").replace(" shown", "")
    return str(group["n"]), share, verdict


def _share(row: Mapping[str, Any]) -> str:
    return f"{100 * row['accuracy']:.1f} ({_span_text(row['accuracy_interval'])})"


def _gain(gain: Mapping[str, Any]) -> str:
    span = gain["accuracy_interval"]
    interval = "" if span is None else f" ({100 * span[0]:+.1f} to {100 * span[1]:+.1f})"
    return f"{100 * gain['accuracy']:+.1f}{interval}"


def _span_text(span: Sequence[float] | None) -> str:
    return "too few to say" if span is None else f"{100 * span[0]:.1f} to {100 * span[1]:.1f}"
