"""The report: one self-contained HTML file.

The page includes the template ``page.html``, the style ``page.css``, the behaviour ``page.js``, the library in
``vendor/`` that sorts tables, and all images.
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from shearbench.errors import InputError
from shearbench.plotting.canvas import colours
from shearbench.records import read_json
from shearbench.report.blocks import Data
from shearbench.report.comparison import evaluations
from shearbench.report.findings import Row, Rows, chart, counted, percent, span
from shearbench.report.overview import answers, budgets, distinct, overview, recipes
from shearbench.report.sections import SECTIONS

_FOLDER = Path(__file__).parent


def read(root: Path, seed: int) -> dict[str, Any]:
    """Return the contents of the report by their names in ``page.html``.

    Raises:
        InputError: if the comparison is missing, or a record is damaged.
    """
    reports = root / "reports"
    rows = read_json(reports / "comparison.json")
    if not rows:
        raise InputError(f"{reports / 'comparison.json'} has no rows; add a run to params.yaml and run `dvc repro`")
    records = [record for _, record in evaluations(root, rows)]
    with ThreadPoolExecutor() as pool:  # images take most of the time, and threads share them
        sections = [each for each in pool.map(lambda read: read(root, rows), SECTIONS) if each.blocks or each.missing]
    return {
        "rows": rows,
        "sections": sections,
        "answers": answers(root, rows),
        "overview": overview(root, rows),
        "recipes": recipes(root, rows),
        "budgets": budgets(root, rows),
        "chart": chart(rows, colours(list(dict.fromkeys(row["model"] for row in rows)))),
        "folds": " or ".join(dict.fromkeys(counted(row) for row in rows)),
        "provenance": _provenance(records, rows, seed),
        "tables": [Data.of(reports / f"{name}.csv") for name in ("comparison", "pairs")],
        "commands": _commands(root, records),
    }


def render(contents: Mapping[str, Any]) -> str:
    """Return the page; all its text is escaped."""
    environment = Environment(
        loader=PackageLoader("shearbench.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(interval=_interval, percent=percent, code=code, counts=counts, slug=slug)
    return environment.get_template("page.html").render(
        contents,
        style=(_FOLDER / "page.css").read_text(),
        script="\n".join((_FOLDER / name).read_text() for name in ("vendor/sortable.js", "page.js")),
    )


def _interval(row: Row) -> str:
    return span(row["cv_accuracy_low"], row["cv_accuracy_high"])


def counts(numbers: Iterable[int]) -> str:
    """Return the distinct numbers, joined by "or"."""
    return " or ".join(f"{number:,}" for number in dict.fromkeys(numbers))


def slug(text: str) -> str:
    """Return a heading as an anchor: lower-case letters and digits with hyphens between."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def code(text: str) -> Markup:
    """Return escaped text in which text between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _commands(root: Path, records: Rows) -> list[str]:
    """Return the commands that reproduce the run, if it was made by one commit."""
    commits = {record["training"]["commit"] for record in records}
    if len(commits) != 1 or not re.fullmatch("[0-9a-f]+", *commits):
        return ["make repro    # several commits, or uncommitted changes: see above"]
    commit = commits.pop()
    if root.resolve() not in Path(__file__).resolve().parents:  # a project of its own has not this commit
        return [f"make repro    # with shearbench at its commit {commit}"]
    return [f"git checkout {commit}", "make repro"]


def _provenance(records: Rows, rows: Rows, seed: int) -> list[tuple[str, str]]:
    """Return (name, value) pairs; if records differ, all their values are listed."""
    trained = [record["training"] for record in records]
    trainings = [row["folds"] * row["repeats"] for row in rows]
    seconds = sum(row["seconds_per_fold"] * count for row, count in zip(rows, trainings, strict=True))
    machines = [each["machine"] for each in trained]
    hashes = [(record["dataset"], record["hashes"]) for record in records]
    return [
        ("seed", str(seed)),
        ("folds", distinct(counted(row) for row in rows)),
        ("code commit", distinct(each["commit"] for each in trained)),
        ("Python", distinct(each["python"] for each in trained)),
        ("libraries", distinct(f"{name} {number}" for each in trained for name, number in each["versions"].items())),
        ("processor", distinct(f"{each['processor']}, {each['cores']} cores" for each in machines)),
        ("system", distinct(each["system"] for each in machines)),
        ("time", f"{seconds / 60:.1f} minutes for the {sum(trainings)} trainings of the comparison"),
        ("device and precision", distinct(record["hardware"] for record in records)),
        ("hash of training data", distinct(f"{dataset} {hashed['data'][:16]}" for dataset, hashed in hashes)),
        ("hash of test data", distinct(f"{dataset} {hashed['test'][:16]}" for dataset, hashed in hashes)),
        ("hash of folds", distinct(hashed["folds"][:16] for _, hashed in hashes)),
    ]
