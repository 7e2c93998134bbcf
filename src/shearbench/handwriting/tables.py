"""The results of a class as tables in a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from shearbench.errors import shown

_NARROWEST = 112  # characters that the tables need; a pipe has fewer


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


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _steps_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    right = ("n", "accuracy", "gain over the step before")
    table = _table("The recipe, step by step: accuracy in %, 95 % over writers", ("model", "step"), right)
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
    table = _table("Every network: accuracy in %, mean over folds", left, right)
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
    table = _table(title, ("group",), (*names, "copies"))
    for groups in zip(*(row["groups"] for row in own), strict=True):
        name = str(groups[0]["group"])
        cells = [cell for group in groups for cell in _group(group)]
        table.add_row(name, *cells, str(results["copies"]["by_group"][name]))
    return table


def _group(group: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return number of digits, accuracy and short verdict of a group."""
    share = f"{100 * group['accuracy']:.1f} ({_span([group['low'], group['high']])})" if group["n"] else "-"
    verdict = group["verdict"].replace(" than the others", "").replace(" the others", "").replace(" to say", "")
    return str(group["n"]), share, verdict


def _share(row: Mapping[str, Any]) -> str:
    return f"{100 * row['accuracy']:.1f} ({_span(row['accuracy_interval'])})"


def _gain(gain: Mapping[str, Any]) -> str:
    span = gain["accuracy_interval"]
    interval = "" if span is None else f" ({100 * span[0]:+.1f} to {100 * span[1]:+.1f})"
    return f"{100 * gain['accuracy']:+.1f}{interval}"


def _span(span: Sequence[float] | None) -> str:
    return "too few to say" if span is None else f"{100 * span[0]:.1f} to {100 * span[1]:.1f}"
